/* What tests of several nouns share: owners that release, and short ways to
   write and read messages. */
#ifndef BRIDGE_TESTS_SUPPORT_H
#define BRIDGE_TESTS_SUPPORT_H

#include <bridge/bridge.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

struct Release {
  void operator()(bridge_message *p) const
  {
    bridge_message_release(p);
  }
  void operator()(bridge_buffer *p) const
  {
    bridge_buffer_release(p);
  }
  void operator()(bridge_queue *p) const
  {
    bridge_queue_release(p);
  }
  void operator()(bridge_waker *p) const
  {
    bridge_waker_release(p);
  }
  void operator()(bridge_thread *p) const
  {
    bridge_thread_release(p);
  }
  void operator()(bridge_error *p) const
  {
    bridge_error_release(p);
  }
  void operator()(bridge_worker *p) const
  {
    bridge_worker_release(p);
  }
  void operator()(bridge_state *p) const
  {
    bridge_state_release(p);
  }
  void operator()(bridge_channel *p) const
  {
    bridge_channel_release(p);
  }
  void operator()(bridge_counter *p) const
  {
    bridge_counter_release(p);
  }
  void operator()(bridge_flag *p) const
  {
    bridge_flag_release(p);
  }
  void operator()(bridge_mutex *p) const
  {
    bridge_mutex_release(p);
  }
  void operator()(bridge_timer *p) const
  {
    bridge_timer_release(p);
  }
};

template <typename T> using Owned = std::unique_ptr<T, Release>;

inline void write(bridge_message *m, bool v)
{
  ASSERT_EQ(bridge_message_write_boolean(m, v), BRIDGE_OK);
}
inline void write(bridge_message *m, int64_t v)
{
  ASSERT_EQ(bridge_message_write_integer(m, v), BRIDGE_OK);
}
inline void write(bridge_message *m, int v)
{
  write(m, static_cast<int64_t>(v));
}
inline void write(bridge_message *m, double v)
{
  ASSERT_EQ(bridge_message_write_float(m, v), BRIDGE_OK);
}
inline void write(bridge_message *m, const std::string &v)
{
  ASSERT_EQ(bridge_message_write_string(m, v.data(), v.size()), BRIDGE_OK);
}
inline void write(bridge_message *m, const char *v)
{
  write(m, std::string(v));
}
inline void write(bridge_message *m, std::nullptr_t)
{
  ASSERT_EQ(bridge_message_write_nil(m), BRIDGE_OK);
}
inline void write(bridge_message *m, bridge_queue *v)
{
  ASSERT_EQ(bridge_message_write_handle(m, BRIDGE_HANDLE_QUEUE, v), BRIDGE_OK);
}
inline void write(bridge_message *m, bridge_channel *v)
{
  ASSERT_EQ(bridge_message_write_handle(m, BRIDGE_HANDLE_CHANNEL, v),
            BRIDGE_OK);
}
inline void write(bridge_message *m, bridge_worker *v)
{
  ASSERT_EQ(bridge_message_write_handle(m, BRIDGE_HANDLE_WORKER, v), BRIDGE_OK);
}
inline void write(bridge_message *m, bridge_buffer *v)
{
  ASSERT_EQ(bridge_message_write_buffer(m, v), BRIDGE_OK);
}

/* A message with these values; the caller owns it. */
template <typename... Values> bridge_message *message(Values... values)
{
  bridge_message *m = nullptr;
  EXPECT_EQ(bridge_message_create(&m, 0), BRIDGE_OK);
  (write(m, values), ...);
  return m;
}

/* All values at the top level, as text: "1 2.5 'a' nil true [2] ..." */
inline std::string show(const bridge_message *m)
{
  std::string out;
  bridge_reader reader;
  bridge_value value;
  if (bridge_reader_init(&reader, m) != BRIDGE_OK) {
    return "(no message)";
  }
  while (bridge_reader_next(&reader, &value) == BRIDGE_OK) {
    out += out.empty() ? "" : " ";
    switch (value.type) {
    case BRIDGE_TYPE_NIL:
      out += "nil";
      break;
    case BRIDGE_TYPE_BOOLEAN:
      out += value.as.boolean ? "true" : "false";
      break;
    case BRIDGE_TYPE_INTEGER:
      out += std::to_string(value.as.integer);
      break;
    case BRIDGE_TYPE_FLOAT:
      out += std::to_string(value.as.number);
      break;
    case BRIDGE_TYPE_STRING:
      out += "'" + std::string(value.as.bytes.data, value.as.bytes.size) + "'";
      break;
    case BRIDGE_TYPE_ARRAY:
      out += "array " + std::to_string(value.as.count);
      break;
    case BRIDGE_TYPE_MAP:
      out += "map " + std::to_string(value.as.count);
      break;
    default:
      out += "type " + std::to_string(value.type);
    }
  }
  return out;
}

/* Statuses by name, so that a failing test says more than a number. */
#define EXPECT_STATUS(call, status)                                            \
  EXPECT_STREQ(bridge_status_name(call), bridge_status_name(status))
#define ASSERT_STATUS(call, status)                                            \
  ASSERT_STREQ(bridge_status_name(call), bridge_status_name(status))

#endif
