/* What every language sees of the bridge, said once.

   Handles are flat classes, one for each noun, with no class above them.  A call
   that gives a result returns it and takes `bridge_status *failure` last (before
   it `bridge_error **error`, where the call can tell more); languages hide both
   and raise, or return their idea of a failure.  A call that gives nothing
   returns its bridge_status, which languages treat likewise.

   Values are `bridge_message **` on their way in, taken if the call took them,
   and a new `bridge_message *` on their way out.  A language may show them as
   the class Message, or convert its own values right in its typemaps.

   A method without a body calls bridge_<noun>_<method>.  One with a body needs
   another name than that function has, and gets the right one by %rename. */
%module bridge_core

%{
#include <bridge/bridge.h>
%}

%rename("%(strip:[bridge_])s", %$isfunction) "";
%rename("%(strip:[BRIDGE_])s", %$isenumitem) "";

%rename(Buffer) bridge_buffer;
%rename(Message) bridge_message;
%rename(Queue) bridge_queue;
%rename(Waker) bridge_waker;
%rename(Worker) bridge_worker;
%rename(Channel) bridge_channel;
%rename(Counter) bridge_counter;
%rename(Flag) bridge_flag;
%rename(Mutex) bridge_mutex;
%rename(Timer) bridge_timer;

/* The enumeration comes before any typemap that names it: some generators
   otherwise write the typemap's type into the enumeration. */
%include <bridge/export.h>
%ignore bridge_status_name;
%ignore bridge_status_text;
%include <bridge/status.h>

/* What each language adds: typemaps for bridge_status, `bridge_status *failure`,
   `(bridge_error **error, bridge_status *failure)`, `bridge_message **`,
   (const void *data, size_t size), `const char *optional`, integers; and the
   functions that are its own.  The files are not called lua.swg and python.swg:
   SWIG would take them for its own of that name. */
#if defined(SWIGLUA)
%include "bridge_lua.swg"
#elif defined(SWIGPYTHON)
%include "bridge_python.swg"
#endif

/* Texts that may be absent.  Of handles it is `bridge_waker *waker`. */
%apply const char *optional {
  const char *name, const char *chunk_name, const char *file,
  const char *libraries, const char *path, const char *cpath
};

/* ---- Constants ----------------------------------------------------------- */

%constant int WAKER_DEFAULT = BRIDGE_WAKER_DEFAULT;
%constant int WAKER_EVENTFD = BRIDGE_WAKER_EVENTFD;
%constant int WAKER_PIPE = BRIDGE_WAKER_PIPE;
%constant int WAKER_UDP = BRIDGE_WAKER_UDP;
%constant int WAKER_CONDITION = BRIDGE_WAKER_CONDITION;
%constant int WAKER_CALLBACK = BRIDGE_WAKER_CALLBACK;

%constant int QUEUE_BLOCK = BRIDGE_QUEUE_BLOCK;
%constant int QUEUE_FAIL = BRIDGE_QUEUE_FAIL;
%constant int QUEUE_DROP_OLDEST = BRIDGE_QUEUE_DROP_OLDEST;
%constant int QUEUE_ITEMS_MAX = BRIDGE_QUEUE_ITEMS_MAX;

%constant int LOG_DEBUG = BRIDGE_LOG_DEBUG;
%constant int LOG_INFO = BRIDGE_LOG_INFO;
%constant int LOG_WARNING = BRIDGE_LOG_WARNING;
%constant int LOG_ERROR = BRIDGE_LOG_ERROR;

%constant int PRIORITY_IDLE = BRIDGE_PRIORITY_IDLE;
%constant int PRIORITY_LOW = BRIDGE_PRIORITY_LOW;
%constant int PRIORITY_NORMAL = BRIDGE_PRIORITY_NORMAL;
%constant int PRIORITY_HIGH = BRIDGE_PRIORITY_HIGH;

%constant int CHANNEL_SENDING = BRIDGE_CHANNEL_SENDING;
%constant int CHANNEL_RECEIVING = BRIDGE_CHANNEL_RECEIVING;

%constant int RELATION_AT_LEAST = BRIDGE_AT_LEAST;
%constant int RELATION_AT_MOST = BRIDGE_AT_MOST;
%constant int RELATION_EQUAL = BRIDGE_EQUAL;
%constant int RELATION_NOT_EQUAL = BRIDGE_NOT_EQUAL;

%constant int TIMER_AFTER = BRIDGE_TIMER_AFTER;
%constant int TIMER_STEADY = BRIDGE_TIMER_STEADY;
%constant int TIMER_WALL = BRIDGE_TIMER_WALL;

%constant int DRIVE_THREAD = BRIDGE_DRIVE_THREAD;
%constant int DRIVE_HOST = BRIDGE_DRIVE_HOST;

%constant int STOP_DEFAULT = BRIDGE_STOP_DEFAULT;
%constant int STOP_COOPERATIVE = BRIDGE_STOP_COOPERATIVE;
%constant int STOP_PROMPT = BRIDGE_STOP_PROMPT;
%constant int STOP_STRICT = BRIDGE_STOP_STRICT;

%constant int WORKER_RUNNING = BRIDGE_WORKER_RUNNING;
%constant int WORKER_SERVING = BRIDGE_WORKER_SERVING;
%constant int WORKER_STOPPING = BRIDGE_WORKER_STOPPING;
%constant int WORKER_ENDED = BRIDGE_WORKER_ENDED;
%constant int WORKER_LOST = BRIDGE_WORKER_LOST;

/* ---- The library ---------------------------------------------------------- */

const char *bridge_version(void);
void bridge_trim(void);

%newobject current;
%inline %{
/* The name of a status, "BRIDGE_EFULL" and the like. */
static const char *status_name(int status)
{
  return bridge_status_name((bridge_status)status);
}

/* One line of English. */
static const char *status_text(int status)
{
  return bridge_status_text((bridge_status)status);
}

/* How many processors the process may use. */
static unsigned cores(void)
{
  return bridge_thread_cores();
}

/* The worker whose script is running, or nothing. */
static bridge_worker *current(void)
{
  return bridge_worker_retain(bridge_worker_current());
}

/* Whether it was cancelled, or its time is over. */
static bool cancelled(void)
{
  return bridge_worker_cancelled();
}
%}

/* ---- The logger ----------------------------------------------------------- */

%inline %{
/* Where records go, or stderr. */
static bridge_status set_log_queue(bridge_queue *log)
{
  return bridge_set_log_queue(log);
}

static bridge_status set_log_level(int log_level)
{
  return bridge_set_log_level((bridge_log_level)log_level);
}

/* 0 ends it. */
static bridge_status set_watchdog(int limit_ms)
{
  return bridge_set_watchdog(limit_ms);
}

/* As the worker whose script is running, if any. */
static bridge_status log_text(int log_level, const void *data, size_t size)
{
  return bridge_log((bridge_log_level)log_level, (const char *)data, size);
}
%}

/* ---- Message -------------------------------------------------------------- */

%nodefaultctor bridge_message;
struct bridge_message {};

%extend bridge_message {
  ~bridge_message() { bridge_message_release($self); }
  size_t count();
  size_t size();
  size_t slot_count();
}

/* ---- Buffer --------------------------------------------------------------- */

struct bridge_buffer {};

%extend bridge_buffer {
  bridge_buffer(size_t size, bridge_status *failure)
  {
    bridge_buffer *buffer = NULL;
    *failure = bridge_buffer_create(&buffer, size);
    return buffer;
  }
  ~bridge_buffer() { bridge_buffer_release($self); }
  size_t size();
  bridge_status freeze();
  bool frozen();
}

%newobject copied;
%inline %{
/* A buffer with a copy of some bytes. */
static bridge_buffer *
copied(const void *data, size_t size, bridge_status *failure)
{
  bridge_buffer *buffer = NULL;
  *failure = bridge_buffer_copy(&buffer, data, size);
  return buffer;
}
%}

/* ---- Waker ---------------------------------------------------------------- */

struct bridge_waker {};

%rename(kind) bridge_waker::which_kind;
%rename(fileno) bridge_waker::descriptor;

%extend bridge_waker {
  bridge_waker(int kind, bridge_status *failure)
  {
    bridge_waker *waker = NULL;
    *failure = bridge_waker_create(&waker, (bridge_waker_kind)kind);
    return waker;
  }
  ~bridge_waker() { bridge_waker_release($self); }
  int which_kind() { return bridge_waker_kind_of($self); }
  bridge_status raise();
  bridge_status clear();
  bridge_status wait(int timeout_ms);
  bridge_status close();
  int descriptor(bridge_status *failure)
  {
    int descriptor = -1;
    *failure = bridge_waker_fileno($self, &descriptor);
    return descriptor;
  }
}

/* ---- Queue ---------------------------------------------------------------- */

struct bridge_queue {};

/* Python has its own calls that wait, which Ctrl-C can break. */
#if !defined(SWIGPYTHON)
%rename(pop) bridge_queue::pop_one;
#endif
%rename(waker) bridge_queue::shared_waker;
%newobject bridge_queue::pop_one;
%newobject bridge_queue::shared_waker;

%extend bridge_queue {
  /* 0 items or bytes: the default.  `waker_kind` counts if `waker` is absent. */
  bridge_queue(size_t items,
               size_t bytes,
               int policy,
               int timeout_ms,
               bridge_waker *waker,
               int waker_kind,
               bridge_status *failure)
  {
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    options.items = items;
    options.bytes = bytes;
    options.policy = (bridge_queue_policy)policy;
    options.timeout_ms = timeout_ms;
    options.waker = waker;
    options.waker_kind = (bridge_waker_kind)waker_kind;
    bridge_queue *queue = NULL;
    *failure = bridge_queue_create(&queue, &options);
    return queue;
  }
  ~bridge_queue() { bridge_queue_release($self); }

  bridge_status push(bridge_message **message);
  bridge_status push_timeout(bridge_message **message, int timeout_ms);
  bridge_message *pop_one(int timeout_ms, bridge_status *failure)
  {
    bridge_message *message = NULL;
    *failure = bridge_queue_pop($self, &message, timeout_ms);
    return message;
  }
  bridge_status unpop(bridge_message **message);

  bridge_status close();
  bool closed();
  size_t count();
  size_t bytes();
  uint64_t dropped();
#if defined(SWIGPYTHON)
  /* One that the package makes for itself. */
  void hide() { bridge_object_hide($self); }
#endif
  bridge_waker *shared_waker()
  {
    return bridge_waker_retain(bridge_queue_waker($self));
  }
}

/* ---- Channel -------------------------------------------------------------- */

struct bridge_channel {};

%rename(close) bridge_channel::close_end;
%rename(closed) bridge_channel::closed_end;
%rename(clear) bridge_channel::clear_all;
%rename(waker) bridge_channel::shared_waker;
%newobject bridge_channel::shared_waker;

%extend bridge_channel {
  /* 0 items or bytes: the default.  `waker` may be absent. */
  bridge_channel(size_t items,
                 size_t bytes,
                 int policy,
                 int timeout_ms,
                 bridge_waker *waker,
                 bridge_status *failure)
  {
    bridge_channel_options options;
    bridge_channel_options_init(&options);
    options.items = items;
    options.bytes = bytes;
    options.policy = (bridge_queue_policy)policy;
    options.timeout_ms = timeout_ms;
    options.waker = waker;
    bridge_channel *channel = NULL;
    *failure = bridge_channel_create(&channel, &options);
    return channel;
  }
  ~bridge_channel() { bridge_channel_release($self); }

  size_t clear_all(bridge_status *failure)
  {
    size_t count = 0;
    *failure = bridge_channel_clear($self, &count);
    return count;
  }
  bridge_status set_limit(size_t items, size_t bytes);
  size_t most_items(bridge_status *failure)
  {
    size_t items = 0;
    *failure = bridge_channel_limit($self, &items, NULL);
    return items;
  }
  size_t most_bytes(bridge_status *failure)
  {
    size_t bytes = 0;
    *failure = bridge_channel_limit($self, NULL, &bytes);
    return bytes;
  }
  bridge_status wake();
  bridge_status close_end(int end)
  {
    return bridge_channel_close($self, (bridge_channel_end)end);
  }
  bool closed_end(int end)
  {
    return bridge_channel_closed($self, (bridge_channel_end)end);
  }
  size_t count();
  size_t bytes();
  uint64_t dropped();
  bridge_waker *shared_waker()
  {
    return bridge_waker_retain(bridge_channel_waker($self));
  }
}

/* ---- Counter, flag, mutex, timer ------------------------------------------ */

struct bridge_counter {};

%rename(set) bridge_counter::set_value;
%rename(add) bridge_counter::add_value;
%rename(get) bridge_counter::value;

%extend bridge_counter {
  bridge_counter(int64_t value, bridge_status *failure)
  {
    bridge_counter *counter = NULL;
    *failure = bridge_counter_create(&counter, value);
    return counter;
  }
  ~bridge_counter() { bridge_counter_release($self); }
  bridge_status close();
  bool closed();
  int64_t value() { return bridge_counter_get($self); }
  /* What it was. */
  int64_t set_value(int64_t value, bridge_status *failure)
  {
    int64_t before = 0;
    *failure = bridge_counter_set($self, value, &before);
    return before;
  }
  /* What it is then. */
  int64_t add_value(int64_t change, bridge_status *failure)
  {
    int64_t after = 0;
    *failure = bridge_counter_add($self, change, &after);
    return after;
  }
}

struct bridge_flag {};

%extend bridge_flag {
  bridge_flag(bool set, bridge_status *failure)
  {
    bridge_flag *flag = NULL;
    *failure = bridge_flag_create(&flag, set);
    return flag;
  }
  ~bridge_flag() { bridge_flag_release($self); }
  bridge_status close();
  bool closed();
  bridge_status set();
  bridge_status clear();
  bool is_set();
  bridge_status wait(int timeout_ms);
}

struct bridge_mutex {};

%extend bridge_mutex {
  bridge_mutex(bridge_status *failure)
  {
    bridge_mutex *mutex = NULL;
    *failure = bridge_mutex_create(&mutex);
    return mutex;
  }
  ~bridge_mutex() { bridge_mutex_release($self); }
  bridge_status close();
  bool closed();
  bool locked();
}

%nodefaultctor bridge_timer;
struct bridge_timer {};

%extend bridge_timer {
  ~bridge_timer() { bridge_timer_release($self); }
  bridge_status cancel();
  bool active();
  uint64_t posted();
  uint64_t missed();
}

/* ---- Worker --------------------------------------------------------------- */

struct bridge_worker {};

%rename(phase) bridge_worker::which_phase;
%rename(memory_used) bridge_worker::used_memory;
%rename(memory_peak) bridge_worker::peak_memory;
%rename(memory_limit) bridge_worker::most_memory;
%rename(timeout) bridge_worker::next_timeout;
%rename(waker) bridge_worker::shared_waker;
#if !defined(SWIGPYTHON)
%rename(call) bridge_worker::call_answer;
%rename(join) bridge_worker::join_results;
#endif
%newobject bridge_worker::shared_waker;
%newobject bridge_worker::call_answer;
%newobject bridge_worker::join_results;

%extend bridge_worker {
#if !defined(SWIGPYTHON) /* which has a dict of options */
  /* Zeros and absent texts: the defaults. */
  bridge_worker(const char *name,
                const char *source,
                size_t source_size,
                const char *chunk_name,
                const char *file,
                int drive,
                int waker_kind,
                size_t inbox_items,
                size_t inbox_bytes,
                size_t stack_size,
                const char *libraries,
                const char *path,
                const char *cpath,
                size_t memory_limit,
                size_t depth_limit,
                size_t value_limit,
                size_t message_limit,
                bool binary_chunks,
                bool tracebacks,
                bridge_queue *log,
                int inbox_full,
                int priority,
                uint64_t affinity,
                int level,
                bool sandbox,
                int life_ms,
                int life_cpu_ms,
                int request_ms,
                int request_cpu_ms,
                bridge_message **arguments,
                bridge_error **error,
                bridge_status *failure)
  {
    bridge_state_options state;
    bridge_state_options_init(&state);
    state.name = name;
    state.libraries = libraries;
    state.path = path;
    state.cpath = cpath;
    state.memory_limit = memory_limit;
    state.depth_limit = depth_limit;
    state.value_limit = value_limit;
    state.message_limit = message_limit;
    state.binary_chunks = binary_chunks;
    state.tracebacks = tracebacks;
    state.stop = (bridge_stop_level)level;
    state.sandbox = sandbox;

    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.name = name;
    options.source = source;
    options.source_size = source_size;
    options.chunk_name = chunk_name;
    options.file = file;
    options.drive = (bridge_drive)drive;
    options.waker_kind = (bridge_waker_kind)waker_kind;
    options.inbox_items = inbox_items;
    options.inbox_bytes = inbox_bytes;
    options.stack_size = stack_size;
    options.log = log;
    options.inbox_full = (bridge_queue_policy)inbox_full;
    options.priority = (bridge_priority)priority;
    options.affinity = affinity;
    options.life = (bridge_limits){life_ms, life_cpu_ms};
    options.request = (bridge_limits){request_ms, request_cpu_ms};
    options.state = &state;

    bridge_worker *worker = NULL;
    *failure = bridge_worker_create(&worker, &options, arguments, error);
    return worker;
  }
#endif
  ~bridge_worker() { bridge_worker_release($self); }

  const char *name();
  uint64_t id();
  int which_phase() { return bridge_worker_phase_of($self); }
  size_t used_memory(bridge_status *failure)
  {
    size_t used = 0;
    *failure = bridge_worker_memory($self, &used, NULL, NULL);
    return used;
  }
  size_t peak_memory(bridge_status *failure)
  {
    size_t peak = 0;
    *failure = bridge_worker_memory($self, NULL, &peak, NULL);
    return peak;
  }
  size_t most_memory(bridge_status *failure)
  {
    size_t limit = 0;
    *failure = bridge_worker_memory($self, NULL, NULL, &limit);
    return limit;
  }

  bridge_message *call_answer(bridge_message **request,
                              int timeout_ms,
                              bridge_error **error,
                              bridge_status *failure)
  {
    bridge_message *answer = NULL;
    *failure = bridge_worker_call($self, request, timeout_ms, &answer, error);
    return answer;
  }
  bridge_status send(bridge_message **request, int timeout_ms);
  bridge_status request(bridge_message **request,
                        int timeout_ms,
                        bridge_queue *answers,
                        uint64_t session);

  bridge_message *join_results(int timeout_ms,
                               bridge_error **error,
                               bridge_status *failure)
  {
    bridge_message *results = NULL;
    *failure = bridge_worker_join($self, timeout_ms, &results, error);
    return results;
  }
  bridge_status pause();
  bridge_status resume();
  bridge_status stop();
  bridge_status cancel(int level, int cancel_grace_ms);
  bridge_status close(int grace_ms);

  bridge_status step(size_t budget);
  int next_timeout(bridge_status *failure)
  {
    int timeout = -1;
    *failure = bridge_worker_timeout($self, &timeout);
    return timeout;
  }
  bridge_waker *shared_waker()
  {
    return bridge_waker_retain(bridge_worker_waker($self));
  }
}
