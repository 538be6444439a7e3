/* The list that queues are made of. */
#include <bridge/bridge.h>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace
{

struct Item {
  bridge_node node; /* first */
  int producer;
  int number;
};

class Mpsc : public testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_EQ(bridge_mpsc_create(&list), BRIDGE_OK);
  }
  void TearDown() override
  {
    bridge_mpsc_destroy(list);
  }
  bool push(Item &item)
  {
    bool armed = false;
    EXPECT_EQ(bridge_mpsc_push(list, &item.node, &armed), BRIDGE_OK);
    return armed;
  }

  bridge_mpsc *list = nullptr;
};

} // namespace

TEST_F(Mpsc, RefusesBadArguments)
{
  bridge_node node;
  bool armed = false;
  bridge_node *first = &node;
  EXPECT_EQ(bridge_mpsc_create(nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_push(nullptr, &node, &armed), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_push(list, nullptr, &armed), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_push(list, &node, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_take(nullptr, &first), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_take(list, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_arm(nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_mpsc_take(list, &first), BRIDGE_EEMPTY);
  EXPECT_EQ(first, &node);
  bridge_mpsc_destroy(nullptr);
}

TEST_F(Mpsc, GivesWhatWasPushedInOrder)
{
  Item items[5] = {};
  for (Item &item : items) {
    EXPECT_FALSE(push(item)); /* a new list is not armed */
  }
  bridge_node *node = nullptr;
  ASSERT_EQ(bridge_mpsc_take(list, &node), BRIDGE_OK);
  for (Item &item : items) {
    ASSERT_EQ(node, &item.node);
    node = node->next;
  }
  EXPECT_EQ(node, nullptr);
  EXPECT_EQ(bridge_mpsc_take(list, &node), BRIDGE_EEMPTY);
}

TEST_F(Mpsc, TellsOnePushThatTheConsumerSleeps)
{
  Item items[3] = {};
  EXPECT_EQ(bridge_mpsc_arm(list), BRIDGE_OK);
  EXPECT_EQ(bridge_mpsc_arm(list), BRIDGE_OK);
  bridge_node *node = nullptr;
  EXPECT_EQ(bridge_mpsc_take(list, &node), BRIDGE_EEMPTY); /* stays armed */
  EXPECT_TRUE(push(items[0]));
  EXPECT_FALSE(push(items[1]));
  ASSERT_EQ(bridge_mpsc_take(list, &node), BRIDGE_OK);
  EXPECT_EQ(node, &items[0].node);
  EXPECT_FALSE(push(items[2])); /* awake since it took */
}

TEST_F(Mpsc, IsNotArmedWhileSomethingIsThere)
{
  Item item = {};
  push(item);
  EXPECT_EQ(bridge_mpsc_arm(list), BRIDGE_EBUSY);
  bridge_node *node = nullptr;
  EXPECT_EQ(bridge_mpsc_take(list, &node), BRIDGE_OK);
  EXPECT_EQ(bridge_mpsc_arm(list), BRIDGE_OK);
}

TEST_F(Mpsc, KeepsTheOrderOfEachOfManyProducers)
{
  constexpr int producers = 4;
  constexpr int each = 20000;
  std::vector<std::vector<Item>> items(producers, std::vector<Item>(each));
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; p++) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; i++) {
        Item &item = items[p][i];
        item.producer = p;
        item.number = i;
        push(item);
      }
    });
  }
  int next[producers] = {};
  int total = 0;
  while (total < producers * each) {
    bridge_node *node = nullptr;
    if (bridge_mpsc_take(list, &node) != BRIDGE_OK) {
      std::this_thread::yield();
      continue;
    }
    for (; node != nullptr; node = node->next) {
      auto *item = reinterpret_cast<Item *>(node);
      ASSERT_EQ(item->number, next[item->producer]++);
      total++;
    }
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}
