/* Readers: what is found in a message, and which foreign bytes become one. */
#include "message_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

using support::accepts;
using support::bytes;
using support::from;
using support::hex;
using support::Message;
using support::unhex;

namespace
{

class ReaderTest : public support::Balanced
{
};

bridge_message *make(const std::string &text)
{
  bridge_message *message = nullptr;
  EXPECT_EQ(BRIDGE_OK, from(&message, unhex(text))) << text;
  return message;
}

bridge_reader read(const bridge_message *message)
{
  bridge_reader reader;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_init(&reader, message));
  return reader;
}

/* The only value of a message that is made of these bytes. */
bridge_value value_of(const bridge_message *message)
{
  bridge_value value = {};
  bridge_reader reader = read(message);
  EXPECT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  return value;
}

void c_function()
{
}

/* ---- Every type ---- */

TEST_F(ReaderTest, FindsWhatWasWritten)
{
  Message m;
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_boolean(m, true));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, -5));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_float(m, 2.5));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "a\0b", 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "\xff\0", 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_extension(m, -7, "xy", 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(m, &m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_cfunction(m, c_function));
  bridge_buffer_release(buffer);

  bridge_reader reader = read(m);
  bridge_value v;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_NIL, v.type);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_BOOLEAN, v.type);
  EXPECT_TRUE(v.as.boolean);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_INTEGER, v.type);
  EXPECT_EQ(-5, v.as.integer);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_FLOAT, v.type);
  EXPECT_EQ(2.5, v.as.number);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_STRING, v.type);
  EXPECT_EQ(std::string("a\0b", 3),
            std::string(v.as.bytes.data, v.as.bytes.size));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_BINARY, v.type);
  EXPECT_EQ(std::string("\xff\0", 2),
            std::string(v.as.bytes.data, v.as.bytes.size));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_EXTENSION, v.type);
  EXPECT_EQ(-7, v.kind);
  EXPECT_EQ("xy", std::string(v.as.bytes.data, v.as.bytes.size));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_HANDLE, v.type);
  EXPECT_EQ(BRIDGE_HANDLE_BUFFER, v.kind);
  EXPECT_EQ(buffer, v.as.pointer);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_POINTER, v.type);
  EXPECT_EQ(BRIDGE_POINTER_LIGHT, v.kind);
  EXPECT_EQ(&m, v.as.pointer);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_TYPE_POINTER, v.type);
  EXPECT_EQ(BRIDGE_POINTER_CFUNCTION, v.kind);
  EXPECT_EQ(c_function, v.as.function);
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_POINTER_CFUNCTION, v.kind); /* untouched */
}

TEST_F(ReaderTest, EntersContainers)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "dump", 4));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_globals(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));

  bridge_reader reader = read(m);
  bridge_value v;
  const std::pair<bridge_type, size_t> expected[] = {
      {BRIDGE_TYPE_MAP, 1},
      {BRIDGE_TYPE_INTEGER, 1},
      {BRIDGE_TYPE_FUNCTION, 4},
      {BRIDGE_TYPE_BINARY, SIZE_MAX},
      {BRIDGE_TYPE_GLOBALS, SIZE_MAX},
      {BRIDGE_TYPE_UPVALUE, 0},
      {BRIDGE_TYPE_ARRAY, 1},
      {BRIDGE_TYPE_REFERENCE, 1}};
  for (const auto &row : expected) {
    ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
    EXPECT_EQ(row.first, v.type);
    if (row.second != SIZE_MAX) {
      EXPECT_EQ(row.second, v.as.count);
    }
  }
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_skip(&reader));
}

TEST_F(ReaderTest, SkipsAllThatIsInAValue)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "key", 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "dump", 4));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_float(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 42));

  bridge_reader reader = read(m);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  int64_t number = 0;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_integer(&reader, &number));
  EXPECT_EQ(42, number);
  /* From within the container only its parts are skipped. */
  reader = read(m);
  bridge_value v;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  double real = 0;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
  EXPECT_EQ(1.0, real);
}

TEST_F(ReaderTest, ChecksItsArguments)
{
  Message m;
  bridge_reader reader = {};
  bridge_value v;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  const char *data = nullptr;
  size_t size = 0;
  void *handle = nullptr;
  const bridge_handle_kind kind = BRIDGE_HANDLE_BUFFER;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_init(nullptr, m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_init(&reader, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_next(nullptr, &v));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_next(&reader, &v)); /* no message */
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_skip(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_skip(&reader));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_boolean(nullptr, &boolean));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_integer(nullptr, &integer));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_float(nullptr, &real));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_string(nullptr, &data, &size));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_handle(nullptr, kind, &handle));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  reader = read(m);
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_next(&reader, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_boolean(&reader, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_integer(&reader, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_float(&reader, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_string(&reader, nullptr, &size));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_string(&reader, &data, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_handle(&reader, kind, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_NONE, &handle));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_reader_handle(
                &reader, (bridge_handle_kind)BRIDGE_HANDLE_KINDS, &handle));
}

TEST_F(ReaderTest, WantsAFinishedMessage)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  bridge_reader old = read(m);
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, SIZE_MAX));
  bridge_reader reader;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_init(&reader, m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_skip(&old));
  bridge_value v;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_reader_next(&old, &v));
}

/* A place that nobody gave: nothing outside the message is read. */
TEST_F(ReaderTest, StaysInsideTheMessage)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "abc", 3));
  bridge_reader reader = read(m);
  bridge_value v;
  reader.position = SIZE_MAX;
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_skip(&reader));
  /* In the middle: 'a', 'b' and 'c' are numbers of their own. */
  reader.position = 1;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &v));
  Message cut;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(cut, "\xdb\xff\xff", 3));
  reader = read(cut);
  reader.position = 1;
  EXPECT_EQ(BRIDGE_ECORRUPT, bridge_reader_next(&reader, &v));
  EXPECT_EQ(BRIDGE_ECORRUPT, bridge_reader_skip(&reader));
  EXPECT_EQ(1u, reader.position);
}

/* Bytes of ours in the wrong place name nothing. */
TEST_F(ReaderTest, FindsNoHandleThatIsNotThere)
{
  const char *const table[] = {"d40400", "d40100",   "d40500",      "d40300",
                               "c70002", "d4020c",   "c70103",      "c70004",
                               "d40600", "c7010190", "d602000000ff"};
  for (const char *text : table) {
    std::string forged = unhex(text);
    Message m;
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_string(m, forged.data(), forged.size()));
    bridge_reader reader = read(m);
    reader.position = 1;
    bridge_value v;
    EXPECT_EQ(BRIDGE_ECORRUPT, bridge_reader_next(&reader, &v)) << text;
    EXPECT_EQ(1u, reader.position);
  }
}

/* ---- One type ---- */

TEST_F(ReaderTest, EachTypedReadStandsStillOnAnotherType)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  bridge_reader reader = read(m);
  bool boolean = true;
  int64_t integer = 7;
  double real = 7;
  const char *data = nullptr;
  size_t size = 7;
  void *handle = nullptr;
  EXPECT_EQ(BRIDGE_ETYPE, bridge_reader_boolean(&reader, &boolean));
  EXPECT_EQ(BRIDGE_ETYPE, bridge_reader_integer(&reader, &integer));
  EXPECT_EQ(BRIDGE_ETYPE, bridge_reader_float(&reader, &real));
  EXPECT_EQ(BRIDGE_ETYPE, bridge_reader_string(&reader, &data, &size));
  EXPECT_EQ(BRIDGE_ETYPE,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &handle));
  EXPECT_TRUE(boolean);
  EXPECT_EQ(7, integer);
  EXPECT_EQ(7.0, real);
  EXPECT_EQ(7u, size);
  EXPECT_EQ(nullptr, handle);
  EXPECT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_boolean(&reader, &boolean));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_integer(&reader, &integer));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_float(&reader, &real));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_string(&reader, &data, &size));
  EXPECT_EQ(BRIDGE_EEMPTY,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &handle));
}

TEST_F(ReaderTest, ReadsBooleansAndText)
{
  Message m(make("c3 c2 a3616263 c402fffe a0"));
  bridge_reader reader = read(m);
  bool boolean = false;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_boolean(&reader, &boolean));
  EXPECT_TRUE(boolean);
  EXPECT_EQ(BRIDGE_OK, bridge_reader_boolean(&reader, &boolean));
  EXPECT_FALSE(boolean);
  const char *data = nullptr;
  size_t size = 0;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_string(&reader, &data, &size));
  EXPECT_EQ("abc", std::string(data, size));
  EXPECT_EQ(BRIDGE_OK, bridge_reader_string(&reader, &data, &size));
  EXPECT_EQ("\xff\xfe", std::string(data, size));
  EXPECT_EQ(BRIDGE_OK, bridge_reader_string(&reader, &data, &size));
  EXPECT_EQ(0u, size);
  EXPECT_NE(nullptr, data);
}

TEST_F(ReaderTest, IntegersComeFromWhateverIsWhole)
{
  const double two63 = 9223372036854775808.0;
  const std::pair<double, int64_t> whole[] = {
      {0.0, 0},
      {-0.0, 0},
      {3.0, 3},
      {-3.0, -3},
      {9007199254740992.0, INT64_C(1) << 53},
      {-two63, INT64_MIN},
      {std::nextafter(two63, 0), INT64_MAX - 1023}};
  for (const auto &row : whole) {
    Message m;
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_float(m, row.first));
    bridge_reader reader = read(m);
    int64_t number = 1;
    EXPECT_EQ(BRIDGE_OK, bridge_reader_integer(&reader, &number));
    EXPECT_EQ(row.second, number) << row.first;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  const std::pair<double, bridge_status> others[] = {
      {two63, BRIDGE_EOVERFLOW},
      {std::nextafter(-two63, -infinity), BRIDGE_EOVERFLOW},
      {1e300, BRIDGE_EOVERFLOW},
      {infinity, BRIDGE_EOVERFLOW},
      {-infinity, BRIDGE_EOVERFLOW},
      {0.5, BRIDGE_ETYPE},
      {-1e-300, BRIDGE_ETYPE},
      {std::numeric_limits<double>::quiet_NaN(), BRIDGE_ETYPE}};
  for (const auto &row : others) {
    Message m;
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_float(m, row.first));
    bridge_reader reader = read(m);
    int64_t number = 1;
    EXPECT_EQ(row.second, bridge_reader_integer(&reader, &number)) << row.first;
    EXPECT_EQ(1, number);
    EXPECT_EQ(0u, reader.position);
  }
}

TEST_F(ReaderTest, NumbersAboveInt64AreUnsigned)
{
  Message m(make("cf8000000000000000"));
  bridge_value v = value_of(m);
  EXPECT_EQ(BRIDGE_TYPE_UNSIGNED, v.type);
  EXPECT_EQ(UINT64_C(1) << 63, v.as.unsigned_integer);
  bridge_reader reader = read(m);
  int64_t integer = 0;
  EXPECT_EQ(BRIDGE_EOVERFLOW, bridge_reader_integer(&reader, &integer));
  double real = 0;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
  EXPECT_EQ(9223372036854775808.0, real);
}

TEST_F(ReaderTest, FloatsComeFromEveryNumber)
{
  Message m(make("05 ff cb3ff8000000000000 ca3fc00000 cf0020000000000001"));
  const double expected[] = {5, -1, 1.5, 1.5, 9007199254740992.0};
  bridge_reader reader = read(m);
  for (double number : expected) {
    double real = 0;
    EXPECT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
    EXPECT_EQ(number, real);
  }
}

TEST_F(ReaderTest, HandlesAreOnlyGivenAsWhatTheyAre)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(m, buffer));
  bridge_buffer_release(buffer);
  bridge_reader reader = read(m);
  void *found = nullptr;
  EXPECT_EQ(BRIDGE_ETYPE,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_QUEUE, &found));
  EXPECT_EQ(nullptr, found);
  EXPECT_EQ(BRIDGE_OK,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &found));
  EXPECT_EQ(buffer, found);
  /* The number of POINTER_LIGHT is that of HANDLE_BUFFER. */
  EXPECT_EQ(BRIDGE_ETYPE,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &found));
}

TEST_F(ReaderTest, ManyMayReadOneMessageAtOnce)
{
  Message m;
  for (int i = 0; i < 1000; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, i));
  }
  std::vector<std::thread> threads;
  std::atomic<int64_t> sum{0};
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      bridge_reader reader;
      bridge_reader_init(&reader, m);
      int64_t number = 0;
      while (bridge_reader_integer(&reader, &number) == BRIDGE_OK) {
        sum += number;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(4 * 499500, sum);
}

/* ---- Bytes from outside ---- */

TEST_F(ReaderTest, FromBytesChecksItsArguments)
{
  bridge_message *m = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_from_bytes(nullptr, "", 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_from_bytes(&m, nullptr, 1));
  EXPECT_EQ(BRIDGE_ELIMIT,
            bridge_message_from_bytes(&m, "", BRIDGE_SIZE_MAX + 1));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_from_bytes(&m, "", SIZE_MAX));
  EXPECT_EQ(nullptr, m);
  ASSERT_EQ(BRIDGE_OK, bridge_message_from_bytes(&m, nullptr, 0));
  EXPECT_EQ(0u, bridge_message_count(m));
  bridge_message_release(m);
}

TEST_F(ReaderTest, TakesEveryFormOfAValue)
{
  const std::pair<const char *, int64_t> integers[] = {
      {"05", 5},
      {"cc05", 5},
      {"cd0005", 5},
      {"ce00000005", 5},
      {"cf0000000000000005", 5},
      {"cf7fffffffffffffff", INT64_MAX},
      {"d005", 5},
      {"d10005", 5},
      {"d200000005", 5},
      {"d30000000000000005", 5},
      {"e0", -32},
      {"ff", -1},
      {"d0ff", -1},
      {"d1ffff", -1},
      {"d2ffffffff", -1},
      {"d3ffffffffffffffff", -1},
      {"d38000000000000000", INT64_MIN}};
  for (const auto &row : integers) {
    Message m(make(row.first));
    bridge_value v = value_of(m);
    EXPECT_EQ(BRIDGE_TYPE_INTEGER, v.type);
    EXPECT_EQ(row.second, v.as.integer) << row.first;
  }
  const std::pair<const char *, bridge_type> texts[] = {
      {"a26869", BRIDGE_TYPE_STRING},
      {"d9026869", BRIDGE_TYPE_STRING},
      {"da00026869", BRIDGE_TYPE_STRING},
      {"db000000026869", BRIDGE_TYPE_STRING},
      {"c4026869", BRIDGE_TYPE_BINARY},
      {"c500026869", BRIDGE_TYPE_BINARY},
      {"c6000000026869", BRIDGE_TYPE_BINARY},
      {"d5206869", BRIDGE_TYPE_EXTENSION},
      {"c702206869", BRIDGE_TYPE_EXTENSION},
      {"c80002206869", BRIDGE_TYPE_EXTENSION},
      {"c900000002206869", BRIDGE_TYPE_EXTENSION}};
  for (const auto &row : texts) {
    Message m(make(row.first));
    bridge_value v = value_of(m);
    EXPECT_EQ(row.second, v.type) << row.first;
    EXPECT_EQ("hi", std::string(v.as.bytes.data, v.as.bytes.size));
  }
  const std::pair<const char *, bridge_type> containers[] = {
      {"92c0c0", BRIDGE_TYPE_ARRAY},
      {"dc0002c0c0", BRIDGE_TYPE_ARRAY},
      {"dd00000002c0c0", BRIDGE_TYPE_ARRAY},
      {"82c0c0c0c0", BRIDGE_TYPE_MAP},
      {"de0002c0c0c0c0", BRIDGE_TYPE_MAP},
      {"df00000002c0c0c0c0", BRIDGE_TYPE_MAP}};
  for (const auto &row : containers) {
    Message m(make(row.first));
    bridge_value v = value_of(m);
    EXPECT_EQ(row.second, v.type) << row.first;
    EXPECT_EQ(2u, v.as.count);
    EXPECT_EQ(1u, bridge_message_count(m));
  }
}

TEST_F(ReaderTest, TakesTimestamps)
{
  const char *const table[] = {"d6ff00000000", "d7ff0000000000000000",
                               "c70cff000000000000000000000000"};
  for (const char *text : table) {
    Message m(make(text));
    bridge_value v = value_of(m);
    EXPECT_EQ(BRIDGE_TYPE_EXTENSION, v.type);
    EXPECT_EQ(-1, v.kind);
  }
}

TEST_F(ReaderTest, TakesFloatsOfFourBytes)
{
  Message m(make("cabf000000 ca7f800000 ca7fc00000"));
  bridge_reader reader = read(m);
  double real = 0;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
  EXPECT_EQ(-0.5, real);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
  EXPECT_TRUE(std::isinf(real));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_float(&reader, &real));
  EXPECT_TRUE(std::isnan(real));
}

TEST_F(ReaderTest, TakesReferencesToWhatHasBegun)
{
  EXPECT_EQ(BRIDGE_OK, accepts("91d40100"));     /* a cycle */
  EXPECT_EQ(BRIDGE_OK, accepts("90 d40100"));    /* from beside */
  EXPECT_EQ(BRIDGE_OK, accepts("92 80 d40101")); /* to the map */
  EXPECT_EQ(BRIDGE_OK, accepts("91 d5010000"));  /* longer than needed */
  EXPECT_EQ(BRIDGE_OK, accepts("91 c7010100"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("d40100"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("92 d40101 90")); /* not yet */
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("91 d601ffffffff"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("91 c70001"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("91 c70301000000"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("91 d7010000000000000000"));
  EXPECT_EQ(BRIDGE_ECORRUPT,
            accepts("91 d80100000000000000000000000000000000"));
}

TEST_F(ReaderTest, ForeignContainersAreCountedOn)
{
  Message m(make("91 80"));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 2));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 1));
  EXPECT_EQ(2u, bridge_message_count(m));
}

TEST_F(ReaderTest, RefusesWhatOnlyThisProcessMaySay)
{
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("d602 91c40164")); /* a function */
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("c70402 91c40164"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("c70003")); /* globals */
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("d40400")); /* a slot */
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("c7010400"));
  EXPECT_EQ(BRIDGE_ECORRUPT, accepts("d40500")); /* an upvalue */
  for (int type = 0; type < 16; type++) {
    char text[16];
    std::snprintf(text, sizeof text, "91d4%02x00", static_cast<unsigned>(type));
    EXPECT_EQ(type == 1 ? BRIDGE_OK : BRIDGE_ECORRUPT, accepts(text)) << type;
  }
  EXPECT_EQ(BRIDGE_OK, accepts("91d41000"));
  EXPECT_EQ(BRIDGE_OK, accepts("91d48000"));
}

TEST_F(ReaderTest, RefusesMalformedBytes)
{
  const char *const table[] = {
      "c1",           "c0c1",     "cc",           "cd00",
      "ce000000",     "cf00",     "ca000000",     "cb00",
      "d0",           "d300",     "a1",           "bf",
      "d9",           "d901",     "da00",         "db00000001",
      "c4",           "c401",     "c6ffffffff",   "dbffffffff",
      "91",           "9f",       "81c0",         "8f",
      "dc",           "dc0001",   "dcffff",       "ddffffffff",
      "dd80000000c0", "deffff",   "dfffffffffc0", "df80000000c0c0",
      "d420",         "d8202020", "c7ff20",       "c9ffffffff20",
      "c7",           "c701",     "9291c0",       "92dd00000003c0c0c0"};
  for (const char *text : table) {
    EXPECT_EQ(BRIDGE_ECORRUPT, accepts(text)) << text;
  }
}

/* A few bytes that promise millions of values take no memory. */
TEST_F(ReaderTest, RefusesBoastfulCountsWithoutMemory)
{
  std::string data;
  for (int i = 0; i < 900; i++) {
    data += unhex("dd 00 00 03 00");
  }
  support::left = 0;
  support::failed = false;
  bridge_message *m = nullptr;
  bridge_status status = from(&m, data);
  support::left = -1;
  EXPECT_EQ(BRIDGE_ECORRUPT, status);
  EXPECT_FALSE(support::failed);
}

TEST_F(ReaderTest, LimitsTheDepthOfForeignBytes)
{
  std::string deep(BRIDGE_DEPTH_MAX - 1, '\x91');
  bridge_message *m = nullptr;
  ASSERT_EQ(BRIDGE_OK, from(&m, deep + '\x90'));
  bridge_reader reader = read(m);
  EXPECT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_skip(&reader));
  bridge_message_release(m);
  m = nullptr;
  EXPECT_EQ(BRIDGE_ELIMIT, from(&m, deep + "\x91\x90"));
  EXPECT_EQ(BRIDGE_ELIMIT, from(&m, std::string(100000, '\x91') + '\x90'));
  std::string maps;
  for (int i = 0; i < 100000; i++) {
    maps += "\x81\xc0";
  }
  EXPECT_EQ(BRIDGE_ELIMIT, from(&m, maps + '\xc0'));
  EXPECT_EQ(nullptr, m);
}

/* ---- Anything ---- */

/* One of each that may come from outside. */
std::string sample()
{
  return unhex("c0 c3 7f cc80 cd0100 ce00010000 cf8000000000000000 ff d0df "
               "d1ff7f d2ffff7fff d38000000000000000 ca3fc00000 "
               "cb3ff8000000000000 a3616263 d903646566 da0002 6869 "
               "db00000001 7a c403000102 c5000199 c60000000177 "
               "93 01 d40100 82 a16b 91c2 a16c 80 "
               "dc0002 90 d5010002 de0001 c0 dd00000001 c3 "
               "d410aa d510aabb d6ff00000001 d71000112233 44556677 "
               "d8100011223344556677 8899aabbccddeeff c70342010203 "
               "c8000180 ff c90000000011");
}

/* Reads all of it, one by one and by skipping, and says whether that worked. */
void walk(const bridge_message *m)
{
  bridge_reader reader = read(m);
  bridge_value v;
  bridge_status status = BRIDGE_OK;
  while (status == BRIDGE_OK) {
    status = bridge_reader_next(&reader, &v);
  }
  ASSERT_EQ(BRIDGE_EEMPTY, status);
  reader = read(m);
  size_t count = 0;
  while ((status = bridge_reader_skip(&reader)) == BRIDGE_OK) {
    count++;
  }
  ASSERT_EQ(BRIDGE_EEMPTY, status);
  ASSERT_EQ(bridge_message_count(m), count);
}

TEST_F(ReaderTest, EachTruncationIsRefusedOrAWholeRow)
{
  std::string data = sample();
  Message whole;
  bridge_message_release(whole.message);
  whole.message = nullptr;
  ASSERT_EQ(BRIDGE_OK, from(&whole.message, data));
  walk(whole);
  /* The places between the values of the top level are known. */
  std::vector<bool> boundary(data.size() + 1, false);
  bridge_reader reader = read(whole);
  boundary[0] = true;
  while (bridge_reader_skip(&reader) == BRIDGE_OK) {
    boundary[reader.position] = true;
  }
  for (size_t size = 0; size <= data.size(); size++) {
    /* A copy of exactly this size, so that a sanitizer sees each byte too
       many. */
    std::vector<char> cut(data.begin(),
                          data.begin() + static_cast<std::ptrdiff_t>(size));
    cut.shrink_to_fit();
    bridge_message *m = nullptr;
    bridge_status status = bridge_message_from_bytes(&m, cut.data(), size);
    EXPECT_EQ(boundary[size] ? BRIDGE_OK : BRIDGE_ECORRUPT, status) << size;
    bridge_message_release(m);
  }
}

TEST_F(ReaderTest, EachChangedByteIsRefusedOrReadable)
{
  const std::string data = sample();
  size_t taken = 0;
  size_t refused = 0;
  for (size_t i = 0; i < data.size(); i++) {
    for (int byte = 0; byte < 256; byte++) {
      std::string changed = data;
      changed[i] = static_cast<char>(byte);
      bridge_message *m = nullptr;
      bridge_status status = from(&m, changed);
      if (status == BRIDGE_OK) {
        taken++;
        walk(m);
        EXPECT_EQ(changed, bytes(m));
      } else {
        refused++;
        EXPECT_EQ(BRIDGE_ECORRUPT, status);
        EXPECT_EQ(nullptr, m);
      }
      bridge_message_release(m);
    }
  }
  EXPECT_GT(taken, data.size());
  EXPECT_GT(refused, data.size());
}

} // namespace
