/* Status and version. */
#include <bridge/bridge.h>

#include <gtest/gtest.h>

#include <cctype>
#include <climits>
#include <set>
#include <string>

TEST(Status, HasANameAndATextForEachNumber)
{
  std::set<std::string> names;
  std::set<std::string> texts;
  for (int number = 0; number >= BRIDGE_ELOST; number--) {
    const std::string name =
        bridge_status_name(static_cast<bridge_status>(number));
    const std::string text =
        bridge_status_text(static_cast<bridge_status>(number));
    EXPECT_EQ(name.rfind("BRIDGE_", 0), 0u) << number;
    EXPECT_NE(name, "BRIDGE_E?") << number;
    ASSERT_FALSE(text.empty()) << number;
    EXPECT_TRUE(std::islower(static_cast<unsigned char>(text.front()))) << text;
    EXPECT_NE(text.back(), '.') << text;
    names.insert(name);
    texts.insert(text);
  }
  EXPECT_EQ(names.size(), 27u);
  EXPECT_EQ(texts.size(), 27u);
}

TEST(Status, NamesAreThoseWrittenInC)
{
  EXPECT_STREQ(bridge_status_name(BRIDGE_OK), "BRIDGE_OK");
  EXPECT_STREQ(bridge_status_name(BRIDGE_EFULL), "BRIDGE_EFULL");
  EXPECT_STREQ(bridge_status_name(BRIDGE_ELOST), "BRIDGE_ELOST");
}

TEST(Status, UnknownNumbersHaveANameToo)
{
  for (int number : {1, 7, INT_MAX, BRIDGE_ELOST - 1, -1000, INT_MIN}) {
    auto status = static_cast<bridge_status>(number);
    EXPECT_STREQ(bridge_status_name(status), "BRIDGE_E?");
    EXPECT_STREQ(bridge_status_text(status), "unknown status");
  }
}

TEST(Version, IsThatOfTheHeaders)
{
  EXPECT_STREQ(bridge_version(), BRIDGE_VERSION);
  EXPECT_EQ(std::string(bridge_version()),
            std::to_string(BRIDGE_VERSION_MAJOR) + "." +
                std::to_string(BRIDGE_VERSION_MINOR) + "." +
                std::to_string(BRIDGE_VERSION_PATCH));
}
