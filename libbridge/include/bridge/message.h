#ifndef BRIDGE_MESSAGE_H
#define BRIDGE_MESSAGE_H

#include <bridge/buffer.h>
#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * @file
 * Values that belong to no state: the only thing that crosses threads.
 *
 * A message is a row of values, such as the arguments of a call.  Its bytes are
 * MessagePack, one value after the other.  What has no bytes (buffers, queues,
 * pointers, ...) stands in a table beside them, and the bytes hold only its
 * index: so no byte string can forge a handle.
 *
 * Extension types below 16 are the bridge's:
 *
 *     1 reference   index of a container of this message, begun earlier
 *     2 function    an array: dump, upvalues ...
 *     3 globals     the table of globals of whichever state reads it
 *     4 slot        index into the table beside the bytes
 *     5 upvalue     index of an upvalue of this message, written earlier
 *     6 null        nothing, where nil would mean that there is no value
 *     7 object      an array: the name of a class, its module, values ...
 *     8 instance    an array: the name of a class, its module, a table
 *
 * Containers (arrays, maps, functions, objects, instances) are numbered from 0 in the order in
 * which they begin; a reference may name one that has not ended, which makes a
 * cycle.  Upvalues are numbered in the same way on their own.
 */

/** A row of values.  It has one owner; who pushes it gives it away. */
typedef struct bridge_message bridge_message;

/** What can stand at a place in a message. */
typedef enum bridge_type {
  BRIDGE_TYPE_NIL = 0,
  BRIDGE_TYPE_BOOLEAN = 1,
  /** A whole number from INT64_MIN to INT64_MAX. */
  BRIDGE_TYPE_INTEGER = 2,
  /** A whole number above INT64_MAX.  Only bytes from outside have it. */
  BRIDGE_TYPE_UNSIGNED = 3,
  BRIDGE_TYPE_FLOAT = 4,
  /** Bytes that are meant as text.  NULs and any other byte may be in them. */
  BRIDGE_TYPE_STRING = 5,
  /** Bytes that are not meant as text. */
  BRIDGE_TYPE_BINARY = 6,
  /** `count` values follow. */
  BRIDGE_TYPE_ARRAY = 7,
  /** `count` pairs follow, so twice as many values. */
  BRIDGE_TYPE_MAP = 8,
  /** An extension of somebody else. */
  BRIDGE_TYPE_EXTENSION = 9,
  /** The container of number `index` again. */
  BRIDGE_TYPE_REFERENCE = 10,
  /** `count` values follow: the dump (binary), then its upvalues in order. */
  BRIDGE_TYPE_FUNCTION = 11,
  /** The globals of the state that reads. */
  BRIDGE_TYPE_GLOBALS = 12,
  /** The upvalue of number `index` again.  Only within a function. */
  BRIDGE_TYPE_UPVALUE = 13,
  /** A handle of the bridge. */
  BRIDGE_TYPE_HANDLE = 14,
  /** A pointer that means something within this process only. */
  BRIDGE_TYPE_POINTER = 15,
  /** Lua's `bridge.null` where nil would be another value: at the top level, in an
      upvalue, as a key.  Within arrays and as a value of a map nil itself means
      it. */
  BRIDGE_TYPE_NULL = 16,
  /** `count` values follow: the name of a class (string), the module that knows it
      (string or nil), then the values of which the class makes the object. */
  BRIDGE_TYPE_OBJECT = 17,
  /** `count` values follow, which are three: the name of a class (string), the
      module that knows it (string or nil), and the array or map that becomes an
      object of the class. */
  BRIDGE_TYPE_INSTANCE = 18
} bridge_type;

/** What a handle is.  The numbers are part of the ABI. */
typedef enum bridge_handle_kind {
  BRIDGE_HANDLE_NONE = 0,
  BRIDGE_HANDLE_BUFFER = 1,
  BRIDGE_HANDLE_QUEUE = 2,
  BRIDGE_HANDLE_WAKER = 3,
  BRIDGE_HANDLE_THREAD = 4,
  BRIDGE_HANDLE_WORKER = 5,
  BRIDGE_HANDLE_ERROR = 6,
  BRIDGE_HANDLE_CHANNEL = 7,
  BRIDGE_HANDLE_COUNTER = 8,
  BRIDGE_HANDLE_FLAG = 9,
  BRIDGE_HANDLE_MUTEX = 10,
  BRIDGE_HANDLE_TIMER = 11
} bridge_handle_kind;

/** All kinds are below. */
#define BRIDGE_HANDLE_KINDS 32

/** What a pointer is. */
typedef enum bridge_pointer_kind {
  /** Lua's light userdata. */
  BRIDGE_POINTER_LIGHT = 1,
  /** A `lua_CFunction`. */
  BRIDGE_POINTER_CFUNCTION = 2
} bridge_pointer_kind;

/** Tells apart the pointers to functions; cast it to the real type. */
typedef void bridge_function(void);

/** One value of a message, as a reader finds it. */
typedef struct bridge_value {
  /** Says which of the fields below is meant. */
  bridge_type type;
  /** EXTENSION: -128 to 127.  HANDLE: bridge_handle_kind.  POINTER:
      bridge_pointer_kind. */
  int kind;
  union {
    bool boolean;
    int64_t integer;
    uint64_t unsigned_integer;
    double number;
    /** ARRAY, MAP, FUNCTION, OBJECT, INSTANCE. */
    size_t count;
    /** REFERENCE, UPVALUE. */
    size_t index;
    /** STRING, BINARY, EXTENSION: borrowed from the message. */
    struct {
      const char *data;
      size_t size;
    } bytes;
    /** HANDLE: a bridge_buffer *, bridge_queue *, ... borrowed from the
        message.  POINTER to data. */
    void *pointer;
    /** POINTER to a function. */
    bridge_function *function;
  } as;
} bridge_value;

/** How deep containers may be nested. */
#define BRIDGE_DEPTH_MAX 1000

/** How many bytes a message may have: 1 GiB. */
#define BRIDGE_SIZE_MAX ((size_t)1 << 30)

/** For bridge_message_begin_*: the count is not known yet. */
#define BRIDGE_COUNT_UNKNOWN SIZE_MAX

/* ---- Handles ----------------------------------------------------------- */

/**
 * Take one more reference of a handle, whatever its kind.
 *
 * @param handle  a bridge_buffer *, bridge_queue *, ...; or NULL
 * @return the handle
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void *bridge_handle_retain(void *handle);

/**
 * Drop a reference of a handle, whatever its kind.
 *
 * @param handle  a bridge_buffer *, bridge_queue *, ...; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_handle_release(void *handle);

/* ---- Messages ---------------------------------------------------------- */

/**
 * Create an empty message.
 *
 * @param[out] out   the message; the caller owns it
 * @param size_hint  how many bytes it will probably have; 0 if unknown
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ELIMIT if the hint is above
 *         BRIDGE_SIZE_MAX; BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_message_create(bridge_message **out,
                                               size_t size_hint);

/**
 * Create a message from bytes that came from anywhere: any number of
 * MessagePack values, one after the other.
 *
 * All of it is checked here, so that reading it later cannot fail.  Functions,
 * slots, globals, objects and instances are refused: they mean something only
 * within a process.
 * References are accepted if they name a container that has begun.
 *
 * @param[out] out  the message; the caller owns it
 * @param data      copied; NULL only if @p size is 0
 * @param size      how many bytes
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ECORRUPT; BRIDGE_ELIMIT if it is
 *         longer than BRIDGE_SIZE_MAX or deeper than BRIDGE_DEPTH_MAX;
 *         BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_message_from_bytes(bridge_message **out,
                                                   const void *data,
                                                   size_t size);

/**
 * Copy a message; handles in it get one more reference.
 *
 * @param[out] out  the copy; the caller owns it
 * @param message   a finished message
 * @return BRIDGE_OK; BRIDGE_EINVAL, also if a container of it is still open;
 *         BRIDGE_ENOMEM
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_clone(bridge_message **out,
                                              const bridge_message *message);

/**
 * Free a message and drop the handles in it.  A request that nobody answered is
 * answered now, with BRIDGE_EDEAD.
 *
 * @param message  the message; NULL does nothing
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API void bridge_message_release(bridge_message *message);

/**
 * The bytes: MessagePack.  They are all there is only if
 * bridge_message_slot_count is 0.
 *
 * @param message  the message, or NULL
 * @return borrowed until the message is written or released; never NULL, except
 *         for NULL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API const void *bridge_message_data(const bridge_message *message);

/**
 * How many bytes there are.
 *
 * @param message  the message, or NULL, which has none
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API size_t bridge_message_size(const bridge_message *message);

/**
 * How many values stand in a row at the top level.
 *
 * @param message  the message, or NULL, which has none
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API size_t bridge_message_count(const bridge_message *message);

/**
 * How many handles and pointers stand beside the bytes.
 *
 * @param message  the message, or NULL, which has none
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API size_t bridge_message_slot_count(const bridge_message *message);

/**
 * Let the message have no more bytes than so many: what is written beyond fails
 * with BRIDGE_ELIMIT.
 *
 * @param message  the message
 * @param size     bytes; 0 for BRIDGE_SIZE_MAX, which is the most
 * @return BRIDGE_OK; BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_set_limit(bridge_message *message,
                                                  size_t size);

/* ---- Writing ------------------------------------------------------------
   Every function appends one value, or fails and changes nothing.  Beside what
   each one says they return BRIDGE_EINVAL (NULL message, too many values for
   the container that is open, a message that was a result), BRIDGE_ELIMIT (the
   message would be longer than BRIDGE_SIZE_MAX or deeper than
   BRIDGE_DEPTH_MAX) and BRIDGE_ENOMEM.

   @threadsafety The owner's thread. */

/** Append nil. @param message the message @threadsafety The owner's thread. */
BRIDGE_API bridge_status bridge_message_write_nil(bridge_message *message);

/** Append null, a value that stands for nothing and is not nil.
 * @param message the message @threadsafety The owner's thread. */
BRIDGE_API bridge_status bridge_message_write_null(bridge_message *message);

/**
 * Append a boolean.
 *
 * @param message  the message
 * @param value    true or false
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_boolean(bridge_message *message,
                                                      bool value);

/**
 * Append a whole number, in the fewest bytes.
 *
 * @param message  the message
 * @param value    any
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_integer(bridge_message *message,
                                                      int64_t value);

/**
 * Append a floating-point number; it stays one, also where it is whole.
 *
 * @param message  the message
 * @param value    any, also infinite or not a number
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_float(bridge_message *message,
                                                    double value);

/**
 * Append text.
 *
 * @param message  the message
 * @param data     any bytes, copied; NULL only if @p size is 0
 * @param size     how many
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_string(bridge_message *message,
                                                     const char *data,
                                                     size_t size);

/**
 * Append bytes that are not text.
 *
 * @param message  the message
 * @param data     copied; NULL only if @p size is 0
 * @param size     how many
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_binary(bridge_message *message,
                                                     const void *data,
                                                     size_t size);

/**
 * Append an extension.
 *
 * @param message  the message
 * @param type     -128 to -1 (MessagePack's own) or 16 to 127 (yours)
 * @param data     copied; NULL only if @p size is 0
 * @param size     how many bytes
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_extension(bridge_message *message,
                                                        int type,
                                                        const void *data,
                                                        size_t size);

/**
 * Begin an array; the values written next are its elements.
 *
 * @param message  the message
 * @param count    how many elements it will have, or BRIDGE_COUNT_UNKNOWN
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_begin_array(bridge_message *message,
                                                    size_t count);

/**
 * Begin a map; the values written next are keys and values in turn.
 *
 * @param message  the message
 * @param count    how many pairs it will have, or BRIDGE_COUNT_UNKNOWN
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_begin_map(bridge_message *message,
                                                  size_t count);

/**
 * Begin a Lua function: its dump comes next, as binary, then its upvalues.
 *
 * @param message   the message
 * @param upvalues  how many upvalues will follow the dump
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_begin_function(bridge_message *message,
                                                       size_t upvalues);

/**
 * Begin an object: the name of its class comes next, as a string; then the module
 * that knows the class, a string or nil; then the values.
 *
 * @param message  the message
 * @param type     BRIDGE_TYPE_OBJECT; or BRIDGE_TYPE_INSTANCE, whose one value is
 *                 an array or a map
 * @param values   how many values will follow the name and the module
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_begin_object(bridge_message *message,
                                                     bridge_type type,
                                                     size_t values);

/**
 * End the innermost open container.
 *
 * @param message  the message
 * @return BRIDGE_EINVAL if none is open, if it has fewer values than announced,
 *         or if a map's last key has no value
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_end(bridge_message *message);

/**
 * Append a container of this message again.
 *
 * @param message  the message
 * @param index    its number; it must have begun
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_reference(bridge_message *message,
                                                        size_t index);

/** Append "the globals of whichever state reads this".
 * @param message the message @threadsafety The owner's thread. */
BRIDGE_API bridge_status bridge_message_write_globals(bridge_message *message);

/**
 * Append an upvalue of this message again, so that two functions share it.
 *
 * @param message  the message; a function must be open
 * @param index    its number; it must have been written
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_upvalue(bridge_message *message,
                                                      size_t index);

/**
 * Append a handle.  A buffer is frozen by it.
 *
 * @param message  the message; it takes a reference of its own
 * @param kind     what @p handle is
 * @param handle   a bridge_buffer *, bridge_queue *, ...
 * @return also BRIDGE_EBUSY for a buffer that is being written
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_handle(bridge_message *message,
                                                     bridge_handle_kind kind,
                                                     void *handle);

/**
 * Append a buffer: bridge_message_write_handle with the right type.
 *
 * @param message  the message; it takes a reference of its own
 * @param buffer   frozen by the call
 * @return also BRIDGE_EBUSY if the buffer is being written
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_buffer(bridge_message *message,
                                                     bridge_buffer *buffer);

/**
 * Append a pointer to data; nobody owns what it points to.
 *
 * @param message  the message
 * @param pointer  any, also NULL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_light(bridge_message *message,
                                                    void *pointer);

/**
 * Append a C function of Lua.
 *
 * @param message   the message
 * @param function  a `lua_CFunction`, not NULL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_write_cfunction(
    bridge_message *message, bridge_function *function);

/**
 * Drop everything that was written after a place, as if it had never been.
 *
 * For packers that meet a value which cannot cross: the message stays usable.
 *
 * @param message  the message; no container may be open that was open at the
 *                 place
 * @param size     bridge_message_size at the place, which was at the top level
 * @return BRIDGE_OK; BRIDGE_EINVAL if @p size is no such place
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_message_truncate(bridge_message *message,
                                                 size_t size);

/* ---- Reading ----------------------------------------------------------- */

/**
 * A place in a message.  It lives on the caller's stack and owns nothing; the
 * message must stay as it is.  Any number may read one message.
 */
typedef struct bridge_reader {
  /** Private. */
  const bridge_message *message;
  /** Private. */
  size_t position;
} bridge_reader;

/**
 * Stand before the first value.
 *
 * @param[out] reader  the reader
 * @param message      the message, finished
 * @return BRIDGE_OK; BRIDGE_EINVAL, also if a container is still open
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_init(bridge_reader *reader,
                                            const bridge_message *message);

/**
 * Read the next value.  Of an array, a map or a function this is the count; the
 * values in it are read next, one by one.
 *
 * @param reader      the reader; it does not move on failure
 * @param[out] value  the value; what it borrows is the message's
 * @return BRIDGE_OK; BRIDGE_EEMPTY at the end; BRIDGE_EINVAL; BRIDGE_ECORRUPT
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_next(bridge_reader *reader,
                                            bridge_value *value);

/**
 * Move past the next value, with all that is in it.
 *
 * @param reader  the reader; it does not move on failure
 * @return BRIDGE_OK; BRIDGE_EEMPTY at the end; BRIDGE_EINVAL; BRIDGE_ECORRUPT
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_skip(bridge_reader *reader);

/**
 * Read a boolean.
 *
 * @param reader    the reader; it does not move on failure
 * @param[out] out  the value
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ETYPE if something else stands there;
 *         BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_boolean(bridge_reader *reader,
                                               bool *out);

/**
 * Read a whole number, also from a float that is whole.
 *
 * @param reader    the reader; it does not move on failure
 * @param[out] out  the value
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ETYPE; BRIDGE_EOVERFLOW if it does
 *         not fit; BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_integer(bridge_reader *reader,
                                               int64_t *out);

/**
 * Read a number of any kind as a float.
 *
 * @param reader    the reader; it does not move on failure
 * @param[out] out  the value; large whole numbers are rounded
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ETYPE; BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_float(bridge_reader *reader,
                                             double *out);

/**
 * Read text or bytes.
 *
 * @param reader     the reader; it does not move on failure
 * @param[out] data  borrowed from the message; no NUL behind it
 * @param[out] size  how many bytes
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ETYPE; BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_string(bridge_reader *reader,
                                              const char **data,
                                              size_t *size);

/**
 * Read a handle.
 *
 * @param reader    the reader; it does not move on failure
 * @param kind      what must stand there
 * @param[out] out  a bridge_buffer *, bridge_queue *, ... borrowed from the
 *                  message: retain it to keep it
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ETYPE; BRIDGE_EINVAL
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_reader_handle(bridge_reader *reader,
                                              bridge_handle_kind kind,
                                              void **out);

BRIDGE_END_DECLS

#endif /* BRIDGE_MESSAGE_H */
