/* Messages: what is written, byte for byte, and what may not be written. */
#include "message_support.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

using support::bytes;
using support::hex;
using support::Message;

namespace
{

class MessageTest : public support::Balanced
{
};

/* What a message looks like: a failed call leaves this as it was. */
struct Look {
  explicit Look(const bridge_message *m)
      : data(bytes(m)), count(bridge_message_count(m)),
        slots(bridge_message_slot_count(m))
  {
  }
  bool operator==(const Look &other) const
  {
    return data == other.data && count == other.count && slots == other.slots;
  }
  std::string data;
  size_t count;
  size_t slots;
};

void c_function()
{
}

/* ---- Creating ---- */

TEST_F(MessageTest, IsEmptyAtFirst)
{
  Message m;
  EXPECT_EQ(0u, bridge_message_size(m));
  EXPECT_EQ(0u, bridge_message_count(m));
  EXPECT_EQ(0u, bridge_message_slot_count(m));
  EXPECT_NE(nullptr, bridge_message_data(m));
}

TEST_F(MessageTest, CreateChecksItsArguments)
{
  bridge_message *m = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_create(nullptr, 0));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_create(&m, BRIDGE_SIZE_MAX + 1));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_create(&m, SIZE_MAX));
  EXPECT_EQ(nullptr, m);
}

TEST_F(MessageTest, TheHintMakesRoomAtOnce)
{
  bridge_message *made = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&made, 5000));
  Message m(made);
  const void *place = bridge_message_data(m);
  std::string text(4990, 'x');
  EXPECT_EQ(BRIDGE_OK,
            bridge_message_write_string(m, text.data(), text.size()));
  EXPECT_EQ(place, bridge_message_data(m));
}

TEST_F(MessageTest, NullIsHarmless)
{
  bridge_message_release(nullptr);
  EXPECT_EQ(nullptr, bridge_message_data(nullptr));
  EXPECT_EQ(0u, bridge_message_size(nullptr));
  EXPECT_EQ(0u, bridge_message_count(nullptr));
  EXPECT_EQ(0u, bridge_message_slot_count(nullptr));
}

TEST_F(MessageTest, EveryWriteRefusesNull)
{
  int data = 0;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_boolean(nullptr, true));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_integer(nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_float(nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_string(nullptr, "", 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_binary(nullptr, "", 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_extension(nullptr, 16, "", 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_array(nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_begin_array(nullptr, BRIDGE_COUNT_UNKNOWN));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_map(nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_begin_map(nullptr, BRIDGE_COUNT_UNKNOWN));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_function(nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_globals(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_light(nullptr, &data));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_cfunction(nullptr, c_function));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_truncate(nullptr, 0));
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_buffer(nullptr, buffer));
  EXPECT_FALSE(bridge_buffer_frozen(buffer));
  bridge_buffer_release(buffer);
}

/* ---- Scalars ---- */

TEST_F(MessageTest, NilAndBooleansTakeOneByte)
{
  Message m;
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_boolean(m, false));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_boolean(m, true));
  EXPECT_EQ("c0c2c3", hex(m));
  EXPECT_EQ(3u, bridge_message_count(m));
}

TEST_F(MessageTest, IntegersTakeTheFewestBytes)
{
  const std::pair<int64_t, const char *> table[] = {
      {0, "00"},
      {1, "01"},
      {127, "7f"},
      {128, "cc80"},
      {255, "ccff"},
      {256, "cd0100"},
      {65535, "cdffff"},
      {65536, "ce00010000"},
      {4294967295, "ceffffffff"},
      {4294967296, "cf0000000100000000"},
      {(INT64_C(1) << 53) + 1, "cf0020000000000001"},
      {INT64_MAX, "cf7fffffffffffffff"},
      {-1, "ff"},
      {-32, "e0"},
      {-33, "d0df"},
      {-128, "d080"},
      {-129, "d1ff7f"},
      {-32768, "d18000"},
      {-32769, "d2ffff7fff"},
      {-2147483648LL, "d280000000"},
      {-2147483649LL, "d3ffffffff7fffffff"},
      {INT64_MIN, "d38000000000000000"},
  };
  for (const auto &row : table) {
    Message m;
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, row.first));
    EXPECT_EQ(row.second, hex(m)) << row.first;
  }
}

TEST_F(MessageTest, FloatsStayFloats)
{
  uint64_t odd_nan = 0x7ff8000000000123;
  double nan = 0;
  std::memcpy(&nan, &odd_nan, sizeof nan);
  const std::pair<double, const char *> table[] = {
      {1.0, "cb3ff0000000000000"},
      {0.0, "cb0000000000000000"},
      {-0.0, "cb8000000000000000"},
      {0.1, "cb3fb999999999999a"},
      {std::numeric_limits<double>::infinity(), "cb7ff0000000000000"},
      {-std::numeric_limits<double>::infinity(), "cbfff0000000000000"},
      {std::numeric_limits<double>::denorm_min(), "cb0000000000000001"},
      {nan, "cb7ff8000000000123"},
  };
  for (const auto &row : table) {
    Message m;
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_float(m, row.first));
    EXPECT_EQ(row.second, hex(m)) << row.first;
  }
}

using Header = std::pair<size_t, const char *>;

TEST_F(MessageTest, StringsTakeTheShortestHeader)
{
  const Header table[] = {
      {0, "a0"},     {1, "a1"},       {31, "bf"},        {32, "d920"},
      {255, "d9ff"}, {256, "da0100"}, {65535, "daffff"}, {65536, "db00010000"}};
  for (const auto &row : table) {
    Message m;
    std::string text(row.first, '\0');
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_string(m, text.data(), text.size()));
    EXPECT_EQ(row.second + hex(text.data(), text.size()), hex(m));
  }
}

TEST_F(MessageTest, BinariesTakeTheShortestHeader)
{
  const Header table[] = {{0, "c400"},       {1, "c401"},
                          {255, "c4ff"},     {256, "c50100"},
                          {65535, "c5ffff"}, {65536, "c600010000"}};
  for (const auto &row : table) {
    Message m;
    std::string data(row.first, '\xfe');
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_binary(m, data.data(), data.size()));
    EXPECT_EQ(row.second + hex(data.data(), data.size()), hex(m));
  }
}

TEST_F(MessageTest, ExtensionsTakeTheShortestHeader)
{
  const Header table[] = {{0, "c70010"},       {1, "d410"},
                          {2, "d510"},         {3, "c70310"},
                          {4, "d610"},         {5, "c70510"},
                          {8, "d710"},         {9, "c70910"},
                          {16, "d810"},        {17, "c71110"},
                          {255, "c7ff10"},     {256, "c8010010"},
                          {65535, "c8ffff10"}, {65536, "c90001000010"}};
  for (const auto &row : table) {
    Message m;
    std::string data(row.first, 'd');
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_extension(m, 16, data.data(), data.size()));
    EXPECT_EQ(row.second + hex(data.data(), data.size()), hex(m));
  }
}

TEST_F(MessageTest, ExtensionsOfTheBridgeCannotBeForged)
{
  Message m;
  for (int type = 0; type < 16; type++) {
    EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_extension(m, type, "a", 1));
  }
  const int wrong[] = {-129, 128, 1000, INT_MIN, INT_MAX};
  for (int type : wrong) {
    EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_extension(m, type, "a", 1));
  }
  EXPECT_EQ(0u, bridge_message_size(m));
  const int right[] = {-128, -1, 16, 127};
  for (int type : right) {
    EXPECT_EQ(BRIDGE_OK, bridge_message_write_extension(m, type, "a", 1));
  }
  EXPECT_EQ("d48061d4ff61d41061d47f61", hex(m));
}

TEST_F(MessageTest, NullBytesAreFineOnlyIfThereAreNone)
{
  Message m;
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_string(m, nullptr, 0));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_binary(m, nullptr, 0));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_extension(m, 16, nullptr, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_string(m, nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_binary(m, nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_extension(m, 16, nullptr, 1));
  EXPECT_EQ("a0c400c70010", hex(m));
}

TEST_F(MessageTest, TheSizeLimitHoldsBeforeAnyByteIsRead)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  const size_t sizes[] = {BRIDGE_SIZE_MAX - 1, BRIDGE_SIZE_MAX,
                          BRIDGE_SIZE_MAX + 1, SIZE_MAX};
  for (size_t size : sizes) {
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_write_string(m, "x", size));
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_write_binary(m, "x", size));
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_write_extension(m, 16, "x", size));
  }
  EXPECT_EQ("c0", hex(m));
  EXPECT_EQ(1u, bridge_message_count(m));
}

/* ---- Containers ---- */

void fill(bridge_message *m, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  }
}

TEST_F(MessageTest, ArraysTakeTheShortestHeaderHoweverTheyBegan)
{
  const Header table[] = {{0, "90"},         {1, "91"},
                          {15, "9f"},        {16, "dc0010"},
                          {65535, "dcffff"}, {65536, "dd00010000"}};
  for (const auto &row : table) {
    Message known;
    ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(known, row.first));
    fill(known, row.first);
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(known));
    std::string header = support::unhex(row.second);
    EXPECT_EQ(header + std::string(row.first, '\xc0'), bytes(known));

    Message unknown;
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_begin_array(unknown, BRIDGE_COUNT_UNKNOWN));
    fill(unknown, row.first);
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(unknown));
    EXPECT_EQ(bytes(known), bytes(unknown));
  }
}

TEST_F(MessageTest, MapsTakeTheShortestHeaderHoweverTheyBegan)
{
  const Header table[] = {{0, "80"},         {1, "81"},
                          {15, "8f"},        {16, "de0010"},
                          {65535, "deffff"}, {65536, "df00010000"}};
  for (const auto &row : table) {
    Message known;
    ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(known, row.first));
    fill(known, row.first * 2);
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(known));
    std::string header = support::unhex(row.second);
    EXPECT_EQ(header + std::string(row.first * 2, '\xc0'), bytes(known));

    Message unknown;
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_begin_map(unknown, BRIDGE_COUNT_UNKNOWN));
    fill(unknown, row.first * 2);
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(unknown));
    EXPECT_EQ(bytes(known), bytes(unknown));
  }
}

TEST_F(MessageTest, ContainersOfUnknownCountMayBeNested)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, BRIDGE_COUNT_UNKNOWN));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, BRIDGE_COUNT_UNKNOWN));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "a", 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, BRIDGE_COUNT_UNKNOWN));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 7));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_boolean(m, true));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 8));
  EXPECT_EQ("9281a16191"
            "07c308",
            hex(m));
  EXPECT_EQ(2u, bridge_message_count(m));
}

TEST_F(MessageTest, CountsMustBeKept)
{
  Message m;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  std::string full = hex(m);
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_string(m, "long", 4));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_array(m, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_array(m, SIZE_MAX));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_light(m, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 0));
  EXPECT_EQ(full, hex(m));
  EXPECT_EQ(0u, bridge_message_slot_count(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  EXPECT_EQ("9181c0c0", hex(m));
}

TEST_F(MessageTest, AMapsLastKeyNeedsAValueAlsoIfTheCountIsUnknown)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, BRIDGE_COUNT_UNKNOWN));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_OK, bridge_message_end(m));
}

TEST_F(MessageTest, CountsThatCannotFitAreRefused)
{
  Message m;
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_array(m, BRIDGE_SIZE_MAX + 1));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_array(m, SIZE_MAX - 1));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_map(m, BRIDGE_SIZE_MAX));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_map(m, SIZE_MAX / 2 + 1));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_function(m, SIZE_MAX));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_function(m, SIZE_MAX - 1));
  EXPECT_EQ(0u, bridge_message_size(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
}

/* All three kinds by turns. */
void nest(bridge_message *m, int depth)
{
  for (int i = 0; i < depth; i++) {
    switch (i % 3) {
    case 0:
      ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 1));
      break;
    case 1:
      ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, SIZE_MAX));
      ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
      break;
    default:
      ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
      ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "d", 1));
      break;
    }
  }
}

TEST_F(MessageTest, DepthIsLimited)
{
  Message m;
  nest(m, BRIDGE_DEPTH_MAX);
  std::string full = bytes(m);
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_array(m, 0));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_array(m, SIZE_MAX));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_map(m, 0));
  EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_function(m, 0));
  EXPECT_EQ(full, bytes(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  for (int i = 0; i < BRIDGE_DEPTH_MAX; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  }
  EXPECT_EQ(1u, bridge_message_count(m));
  bridge_reader reader;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, m));
  EXPECT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  EXPECT_EQ(BRIDGE_EEMPTY, bridge_reader_skip(&reader));
}

TEST_F(MessageTest, AnOpenMessageCanBeReleased)
{
  Message few;
  nest(few, 2);
  Message some;
  nest(some, 10);
  Message many;
  nest(many, 100);
}

/* ---- Functions, references, upvalues, globals ---- */

TEST_F(MessageTest, AFunctionIsAnExtensionWithAnArray)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "dump", 4));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_globals(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 5));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ("c70b02"
            "93"
            "c40464756d70"
            "c70003"
            "05",
            hex(m));
}

TEST_F(MessageTest, AFunctionTakesTheShortestHeader)
{
  /* array (1), binary header (2, 3 or 5), dump */
  const Header table[] = {{0, "c70302"},       {1, "d602"},
                          {5, "d702"},         {13, "d802"},
                          {252, "c7ff02"},     {253, "c8010002"},
                          {65531, "c8ffff02"}, {65532, "c90001000002"}};
  for (const auto &row : table) {
    Message m;
    std::string dump(row.first, 'f');
    ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 0));
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_binary(m, dump.data(), dump.size()));
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
    std::string header = support::unhex(row.second);
    EXPECT_EQ(hex(header.data(), header.size()) + "91",
              hex(m).substr(0, header.size() * 2 + 2))
        << row.first;
  }
}

TEST_F(MessageTest, AFunctionBeginsWithItsDump)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_string(m, "dump", 4));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_array(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "dump", 4));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(m));
  EXPECT_EQ(BRIDGE_OK, bridge_message_end(m));
}

TEST_F(MessageTest, ReferencesNameWhatHasBegun)
{
  Message m;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, SIZE_MAX));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, SIZE_MAX));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 0)); /* a cycle */
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ("93d4010080d40101", hex(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 1));
  EXPECT_EQ(2u, bridge_message_count(m));
}

TEST_F(MessageTest, LargeNumbersOfContainersTakeMoreBytes)
{
  Message m;
  for (int i = 0; i < 65537; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  }
  size_t at = bridge_message_size(m) * 2;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 255));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 256));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 65535));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 65536));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 65537));
  EXPECT_EQ("d401ffd5010100d501ffffd60100010000", hex(m).substr(at));
}

TEST_F(MessageTest, UpvaluesAreNumberedInOrder)
{
  Message m;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "a", 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));         /* 0 */
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 3)); /* 1 */
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "b", 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 1)); /* still open */
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m)); /* 2 */
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  /* Nothing outside a function is one of its upvalues. */
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "c", 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ("c71302"
            "93c40161c0"
            "c70b02"
            "94c40162d40500d40501c0"
            "c70702"
            "92c40163d40502",
            hex(m));
}

TEST_F(MessageTest, AnUpvalueStandsDirectlyInAFunction)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "a", 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m)); /* not an upvalue */
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 1));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
}

/* ---- Handles and pointers ---- */

TEST_F(MessageTest, HandlesStandBesideTheBytes)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_copy(&buffer, "abc", 3));
  Message m;
  int here = 0;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(m, &here));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(m, nullptr));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_cfunction(m, c_function));
  bridge_buffer_release(buffer);
  EXPECT_EQ("d40400d40401d40402d40403", hex(m));
  EXPECT_EQ(4u, bridge_message_slot_count(m));
  EXPECT_EQ(4u, bridge_message_count(m));
}

TEST_F(MessageTest, ManySlotsFit)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  Message m;
  for (int i = 0; i < 300; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  }
  bridge_buffer_release(buffer);
  EXPECT_EQ(300u, bridge_message_slot_count(m));
  bridge_reader reader;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, m));
  for (int i = 0; i < 300; i++) {
    void *found = nullptr;
    ASSERT_EQ(BRIDGE_OK,
              bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &found));
    EXPECT_EQ(buffer, found);
  }
}

TEST_F(MessageTest, WrongHandlesAreRefused)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  Message m;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_buffer(m, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_write_handle(m, BRIDGE_HANDLE_QUEUE, nullptr));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_write_handle(m, BRIDGE_HANDLE_NONE, buffer));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_write_handle(m, BRIDGE_HANDLE_QUEUE, buffer));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_write_handle(m, (bridge_handle_kind)7, buffer));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_cfunction(m, nullptr));
  EXPECT_FALSE(bridge_buffer_frozen(buffer));
  EXPECT_EQ(0u, bridge_message_size(m));
  EXPECT_EQ(0u, bridge_message_slot_count(m));
  bridge_buffer_release(buffer);
}

TEST_F(MessageTest, ABufferIsFrozenUnlessItIsBeingWritten)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  void *data = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_begin_write(buffer, &data));
  Message m;
  EXPECT_EQ(BRIDGE_EBUSY, bridge_message_write_buffer(m, buffer));
  EXPECT_EQ(0u, bridge_message_size(m));
  EXPECT_EQ(0u, bridge_message_slot_count(m));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_end_write(buffer));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  EXPECT_TRUE(bridge_buffer_frozen(buffer));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
  bridge_buffer_release(buffer);
}

TEST_F(MessageTest, HandlesOfTheParentAreRefusedAfterAFork)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  bridge_queue *queue = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_queue_create(&queue, nullptr));
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Message m;
    bool right = bridge_message_write_buffer(m, buffer) == BRIDGE_EFORKED &&
                 bridge_message_write_handle(m, BRIDGE_HANDLE_QUEUE, queue) ==
                     BRIDGE_EFORKED &&
                 bridge_message_size(m) == 0 &&
                 bridge_message_write_nil(m) == BRIDGE_OK;
    bridge_buffer_release(buffer);
    _exit(right ? 0 : 1);
  }
  int result = -1;
  ASSERT_EQ(child, waitpid(child, &result, 0));
  EXPECT_EQ(0, result);
  bridge_queue_release(queue);
  bridge_buffer_release(buffer);
}

/* ---- Cloning ---- */

void count_free(void *user, void *, size_t)
{
  ++*static_cast<int *>(user);
}

TEST_F(MessageTest, ACloneIsEqualAndIndependent)
{
  int freed = 0;
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_buffer_wrap(&buffer, nullptr, 0, count_free, &freed));
  bridge_message *copy = nullptr;
  {
    Message m;
    ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "d", 1));
    for (int i = 0; i < 20; i++) {
      if (i == 1) {
        ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
      }
      ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, buffer));
    }
    bridge_buffer_release(buffer);
    std::string large(1000, 'l');
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, large.data(), 1000));
    ASSERT_EQ(BRIDGE_OK, bridge_message_clone(&copy, m));
    EXPECT_EQ(bytes(m), bytes(copy));
    EXPECT_EQ(21u, bridge_message_count(copy));
    EXPECT_EQ(20u, bridge_message_slot_count(copy));
  }
  EXPECT_EQ(0, freed); /* the copy has references of its own */
  /* It counts on where the original had stopped. */
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_reference(copy, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(copy, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(copy, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(copy, "d", 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(copy, 1));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_upvalue(copy, 0));
  bridge_message_release(copy);
  EXPECT_EQ(1, freed);
}

TEST_F(MessageTest, CloneChecksItsArguments)
{
  Message m;
  bridge_message *copy = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_clone(nullptr, m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_clone(&copy, nullptr));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_clone(&copy, m));
  EXPECT_EQ(nullptr, copy);
}

/* ---- Truncating ---- */

TEST_F(MessageTest, TruncateTakesBackAllThatWasCounted)
{
  bridge_buffer *kept = nullptr;
  bridge_buffer *dropped = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&kept, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&dropped, 1));
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "d", 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, kept));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 1));
  Look look(m);
  long memory = support::used();

  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(m, dropped));
  bridge_buffer_release(dropped);
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, SIZE_MAX));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "d", 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, SIZE_MAX));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(m, nullptr));
  ASSERT_EQ(BRIDGE_OK, bridge_message_truncate(m, look.data.size()));

  EXPECT_TRUE(look == Look(m));
  EXPECT_EQ(memory - 1, support::used()); /* the dropped buffer is gone */
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 1));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_function(m, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(m, "d", 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_upvalue(m, 1));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_upvalue(m, 0));
  bridge_buffer_release(kept);
}

TEST_F(MessageTest, TruncateWantsAPlaceBetweenValues)
{
  Message m;
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "abc", 3));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(m, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 1000));
  Look look(m); /* a3616263 92cd03e8 */
  const size_t wrong[] = {1, 2, 3, 5, 6, 7, 8, 9, SIZE_MAX};
  for (size_t size : wrong) {
    EXPECT_EQ(BRIDGE_EINVAL, bridge_message_truncate(m, size)) << size;
  }
  EXPECT_TRUE(look == Look(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_truncate(m, 5));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_truncate(m, 8));
  EXPECT_EQ(BRIDGE_OK, bridge_message_truncate(m, 9)); /* all of it */
  EXPECT_EQ(BRIDGE_OK, bridge_message_truncate(m, 4));
  EXPECT_EQ("a3616263", hex(m));
  EXPECT_EQ(1u, bridge_message_count(m));
  EXPECT_EQ(BRIDGE_OK, bridge_message_truncate(m, 0));
  EXPECT_EQ(0u, bridge_message_count(m));
  EXPECT_EQ(BRIDGE_OK, bridge_message_truncate(m, 0));
}

/* ---- Without memory ---- */

TEST_F(MessageTest, CreatingFailsCleanlyWithoutMemory)
{
  bridge_message *m = nullptr;
  EXPECT_EQ(2, support::starve([&] { return bridge_message_create(&m, 5000); },
                               [&] { EXPECT_EQ(nullptr, m); }));
  bridge_message_release(m);
}

TEST_F(MessageTest, ForeignBytesFailCleanlyWithoutMemory)
{
  std::string data(5000, '\xc0');
  bridge_message *m = nullptr;
  EXPECT_EQ(2, support::starve([&] { return support::from(&m, data); },
                               [&] { EXPECT_EQ(nullptr, m); }));
  EXPECT_EQ(data, bytes(m));
  bridge_message_release(m);
}

/* Each kind of write, again and again, while memory runs out at every
   allocation in turn: a failed one leaves no trace. */
TEST_F(MessageTest, EveryWriteIsAllOrNothing)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  std::string text(100, 't');
  long failures = 0;
  Message m;
  auto write = [&](auto attempt) {
    Look look(m);
    long result = support::starve(attempt, [&] { EXPECT_EQ(look, Look(m)); });
    ASSERT_GE(result, 0);
    failures += result;
  };
  for (int i = 0; i < 40; i++) {
    write([&] { return bridge_message_begin_array(m, SIZE_MAX); });
    write([&] { return bridge_message_begin_map(m, 2); });
    write([&] { return bridge_message_write_light(m, &m); });
    write([&] { return bridge_message_write_buffer(m, buffer); });
    write([&] { return bridge_message_write_cfunction(m, c_function); });
    write([&] { return bridge_message_begin_function(m, 2); });
    write([&] { return bridge_message_write_binary(m, text.data(), 100); });
    write([&] { return bridge_message_write_globals(m); });
  }
  /* The innermost function lacks its second upvalue; that of each other one is
     the array that began after it. */
  write([&] { return bridge_message_write_upvalue(m, 39); });
  for (int i = 0; i < 40; i++) {
    write([&] { return bridge_message_end(m); });
    write([&] { return bridge_message_end(m); });
    write([&] { return bridge_message_write_float(m, 0.5); });
    write([&] { return bridge_message_write_extension(m, 16, "four", 4); });
    write([&] { return bridge_message_end(m); });
  }
  bridge_buffer_release(buffer);
  EXPECT_GT(failures, 8); /* the bytes grew, and both tables */
  EXPECT_EQ(1u, bridge_message_count(m));

  bridge_message *copy = nullptr;
  EXPECT_EQ(3, support::starve([&] { return bridge_message_clone(&copy, m); },
                               [&] { EXPECT_EQ(nullptr, copy); }));
  EXPECT_EQ(Look(m), Look(copy));
  bridge_message_release(copy);
}

/* ---- The end ---- */

/* Frees the message that a buffer stands for. */
void release_message(void *user, void *, size_t)
{
  bridge_message_release(static_cast<bridge_message *>(user));
}

TEST_F(MessageTest, LongChainsOfOwnersAreFreedWithoutDeepStacks)
{
  bridge_message *chain = nullptr;
  for (int i = 0; i < 100000; i++) {
    bridge_buffer *buffer = nullptr;
    ASSERT_EQ(BRIDGE_OK,
              bridge_buffer_wrap(&buffer, nullptr, 0, release_message, chain));
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&chain, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(chain, buffer));
    bridge_buffer_release(buffer);
  }
  bridge_message_release(chain);
}

TEST_F(MessageTest, QueuesInsideQueuesAreFreedWithoutDeepStacks)
{
  bridge_queue *chain = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_queue_create(&chain, nullptr));
  for (int i = 0; i < 100000; i++) {
    bridge_queue *outer = nullptr;
    bridge_message *m = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_queue_create(&outer, nullptr));
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
    ASSERT_EQ(BRIDGE_OK,
              bridge_message_write_handle(m, BRIDGE_HANDLE_QUEUE, chain));
    bridge_queue_release(chain);
    ASSERT_EQ(BRIDGE_OK, bridge_queue_push(outer, &m));
    chain = outer;
  }
  bridge_queue_release(chain);
}

TEST_F(MessageTest, SmallOnesAreMadeOfWhatWasFreed)
{
  Message warm; /* the first one may also fill a magazine */
  bridge_message *m = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "small", 5));
  long one = support::blocks;
  bridge_message_release(m);
  for (int i = 0; i < 1000; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "small", 5));
    EXPECT_EQ(one, support::blocks);
    bridge_message_release(m);
  }
}

/* ---- Null, objects, limits ---- */

std::string BytesOf(const bridge_message *m)
{
  return std::string(static_cast<const char *>(bridge_message_data(m)),
                     bridge_message_size(m));
}

TEST(Null, IsAnExtensionWithoutBytes)
{
  bridge_message *m = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_null(nullptr));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_null(m));
  EXPECT_EQ(std::string("\xc7\x00\x06", 3), BytesOf(m));
  bridge_reader reader;
  bridge_value value;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, m));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(BRIDGE_TYPE_NULL, value.type);
  bridge_message_release(m);
  EXPECT_EQ(BRIDGE_ECORRUPT, bridge_message_from_bytes(&m, "\xd4\x06\x00", 3));
}

TEST(Objects, BeginWithTheNameAndTheModule)
{
  bridge_message *m = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_begin_object(nullptr, BRIDGE_TYPE_OBJECT, 0));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_begin_object(m, BRIDGE_TYPE_ARRAY, 0));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_message_begin_object(m, BRIDGE_TYPE_INSTANCE, 2));
  EXPECT_EQ(BRIDGE_ELIMIT,
            bridge_message_begin_object(m, BRIDGE_TYPE_OBJECT, SIZE_MAX));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_object(m, BRIDGE_TYPE_OBJECT, 2));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_nil(m)) << "no name";
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_begin_array(m, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "class", 5));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_integer(m, 1)) << "no module";
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(m, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_end(m)) << "one is missing";
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_object(m, BRIDGE_TYPE_INSTANCE, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "in", 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_string(m, "module", 6));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_integer(m, 1)) << "no table";
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_map(m, BRIDGE_COUNT_UNKNOWN));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_integer(m, 2)) << "full";
  ASSERT_EQ(BRIDGE_OK, bridge_message_end(m));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_reference(m, 2)); /* the map */
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_write_reference(m, 3));
  EXPECT_EQ(std::string("\xc7\x18\x07\x94\xa5"
                        "class\xc0\x01\xc7\x0c\x08\x93\xa2"
                        "in\xa6module\x80\xd4\x01\x02",
                        30),
            BytesOf(m));
  EXPECT_EQ(2u, bridge_message_count(m));

  bridge_reader reader;
  bridge_value value;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, m));
  bridge_reader skipping = reader;
  EXPECT_EQ(BRIDGE_OK, bridge_reader_skip(&skipping));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&skipping, &value));
  EXPECT_EQ(BRIDGE_TYPE_REFERENCE, value.type);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(BRIDGE_TYPE_OBJECT, value.type);
  EXPECT_EQ(4u, value.as.count);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  }
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(BRIDGE_TYPE_INSTANCE, value.type);
  EXPECT_EQ(3u, value.as.count);

  bridge_message *copy = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_clone(&copy, m));
  EXPECT_EQ(BytesOf(m), BytesOf(copy));
  EXPECT_EQ(BRIDGE_OK, bridge_message_truncate(copy, 27));
  EXPECT_EQ(1u, bridge_message_count(copy));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_truncate(copy, 10));
  bridge_message_release(copy);
  EXPECT_EQ(BRIDGE_ECORRUPT,
            bridge_message_from_bytes(&copy, bridge_message_data(m), 27));
  bridge_message_release(m);
}

TEST(MessageLimit, HoldsToTheByte)
{
  for (size_t limit : {1u, 50u, 79u, 80u, 300u, 5000u}) {
    bridge_message *m = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_set_limit(m, limit));
    bridge_status status = BRIDGE_OK;
    while ((status = bridge_message_write_integer(m, 1)) == BRIDGE_OK) {
      ASSERT_LE(bridge_message_size(m), limit);
    }
    EXPECT_EQ(BRIDGE_ELIMIT, status);
    EXPECT_EQ(limit, bridge_message_size(m));
    EXPECT_EQ(limit, bridge_message_count(m));
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_begin_array(m, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_set_limit(m, 0));
    const std::string text(10000, 'x');
    EXPECT_EQ(BRIDGE_OK,
              bridge_message_write_string(m, text.data(), text.size()));
    /* Lower than what there is: nothing is lost, nothing is added. */
    ASSERT_EQ(BRIDGE_OK, bridge_message_set_limit(m, limit));
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_message_write_nil(m));
    EXPECT_EQ(limit + 10003, bridge_message_size(m));
    bridge_message_release(m);
  }
}

TEST(MessageLimit, IsChecked)
{
  bridge_message *m = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_set_limit(nullptr, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&m, 0));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_message_set_limit(m, BRIDGE_SIZE_MAX + 1));
  EXPECT_EQ(BRIDGE_OK, bridge_message_set_limit(m, BRIDGE_SIZE_MAX));
  bridge_message_release(m);
}

TEST(Handles, AreRetainedWhateverTheyAre)
{
  EXPECT_EQ(nullptr, bridge_handle_retain(nullptr));
  bridge_handle_release(nullptr);
  bridge_waker *waker = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_waker_create(&waker, BRIDGE_WAKER_CONDITION));
  EXPECT_EQ(waker, bridge_handle_retain(waker));
  bridge_waker_release(waker);
  EXPECT_EQ(BRIDGE_OK, bridge_waker_raise(waker)) << "it lives";
  bridge_handle_release(waker);
}

} // namespace
