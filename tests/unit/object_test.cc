/* The registry of all objects: who is in it, what can be seen of each, and how those
   are found and closed that nobody has a handle of. */
#include "../support.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

constexpr int kLong = 20000;

struct ReleaseHandle {
  void operator()(void *p) const
  {
    bridge_handle_release(p);
  }
};

using Any = std::unique_ptr<void, ReleaseHandle>;

template <typename T, typename... Arguments>
Owned<T> make(bridge_status (*create)(T **, Arguments...), Arguments... with)
{
  T *made = nullptr;
  EXPECT_STATUS(create(&made, with...), BRIDGE_OK);
  return Owned<T>(made);
}

Owned<bridge_queue> queue()
{
  return make<bridge_queue, const bridge_queue_options *>(bridge_queue_create,
                                                          nullptr);
}

Owned<bridge_channel> channel()
{
  return make<bridge_channel, const bridge_channel_options *>(
      bridge_channel_create, nullptr);
}

/* In a while, or never. */
Owned<bridge_timer> timer(bridge_channel *target, int64_t period_ns)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.channel = target;
  options.period_ns = period_ns;
  options.first_ns = period_ns == 0 ? INT64_MAX : period_ns;
  bridge_message *m = message("tick");
  bridge_timer *made = nullptr;
  EXPECT_STATUS(bridge_timer_create(&made, &options, &m), BRIDGE_OK);
  bridge_message_release(m);
  return Owned<bridge_timer>(made);
}

Owned<bridge_worker> worker(const char *source, const char *name)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.name = name;
  bridge_worker *made = nullptr;
  EXPECT_STATUS(bridge_worker_create(&made, &options, nullptr, nullptr),
                BRIDGE_OK);
  return Owned<bridge_worker>(made);
}

bridge_object_info look(void *handle)
{
  bridge_object_info info;
  bridge_object_info_init(&info);
  EXPECT_STATUS(bridge_object_look(handle, &info), BRIDGE_OK);
  return info;
}

std::vector<Any> all()
{
  size_t count = 0;
  EXPECT_STATUS(bridge_objects(nullptr, 0, &count), BRIDGE_OK);
  std::vector<void *> found(count + 16);
  EXPECT_STATUS(bridge_objects(found.data(), found.size(), &count), BRIDGE_OK);
  std::vector<Any> owned;
  for (size_t i = 0; i < std::min(count, found.size()); i++) {
    owned.emplace_back(found[i]);
  }
  return owned;
}

/* What is left, for people. */
std::string rest()
{
  std::string text;
  for (const auto &each : all()) {
    const auto info = look(each.get());
    text += std::to_string(info.kind) + " " + info.name + " " +
            std::to_string(info.references - 1) + "; ";
  }
  return text;
}

/* The thread of a worker that has ended may have its reference for a moment. */
void expect_nothing_left()
{
  const auto limit =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kLong);
  while (!all().empty() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_EQ(rest(), "");
}

size_t count()
{
  size_t count = 0;
  EXPECT_STATUS(bridge_objects(nullptr, 0, &count), BRIDGE_OK);
  return count;
}

/* One of each kind. */
struct Each {
  Owned<bridge_queue> q = queue();
  Owned<bridge_channel> c = channel();
  Owned<bridge_counter> n = make(bridge_counter_create, int64_t{7});
  Owned<bridge_flag> f = make(bridge_flag_create, true);
  Owned<bridge_mutex> m = make(bridge_mutex_create);
  Owned<bridge_timer> t = timer(c.get(), 0);
  Owned<bridge_worker> w =
      worker("return require 'bridge'.serve {}", "one of all");

  /* Those that go on without their handles. */
  ~Each()
  {
    bridge_object_close(t.get());
    EXPECT_STATUS(bridge_worker_close(w.get(), kLong), BRIDGE_OK);
  }

  std::vector<std::pair<bridge_handle_kind, void *>> list() const
  {
    return {{BRIDGE_HANDLE_QUEUE, q.get()},   {BRIDGE_HANDLE_CHANNEL, c.get()},
            {BRIDGE_HANDLE_COUNTER, n.get()}, {BRIDGE_HANDLE_FLAG, f.get()},
            {BRIDGE_HANDLE_MUTEX, m.get()},   {BRIDGE_HANDLE_TIMER, t.get()},
            {BRIDGE_HANDLE_WORKER, w.get()}};
  }
};

TEST(Object, SaysNoToNothing)
{
  bridge_object_info info;
  bridge_object_info_init(&info);
  bridge_object_info_init(nullptr);
  size_t number = 7;
  EXPECT_STATUS(bridge_objects(nullptr, 1, &number), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_objects(nullptr, 0, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_object_look(nullptr, &info), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_object_look(queue().get(), nullptr), BRIDGE_EINVAL);
  info.version = 99;
  EXPECT_STATUS(bridge_object_look(queue().get(), &info), BRIDGE_EVERSION);
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_NONE, nullptr), nullptr);
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_NONE, ""), nullptr);
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_NONE, "nobody"), nullptr);
  EXPECT_EQ(bridge_object_find_id(0), nullptr);
  EXPECT_EQ(bridge_object_find_id(UINT64_MAX), nullptr);
  EXPECT_STATUS(bridge_object_set_name(nullptr, "x"), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_object_close(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_object_hide(nullptr), BRIDGE_EINVAL);
}

TEST(Object, ListsEachKindTheOldestFirst)
{
  expect_nothing_left();
  {
    Each each;
    const auto made = each.list();
    const auto found = all();
    ASSERT_EQ(found.size(), made.size());
    uint64_t before = 0;
    for (size_t i = 0; i < made.size(); i++) {
      EXPECT_EQ(found[i].get(), made[i].second);
      const auto info = look(found[i].get());
      EXPECT_EQ(info.kind, made[i].first);
      EXPECT_GT(info.id, before);
      EXPECT_FALSE(info.closed);
      EXPECT_EQ(Any(bridge_object_find_id(info.id)).get(), made[i].second);
      before = info.id;
    }
    EXPECT_EQ(look(each.w.get()).id, bridge_worker_id(each.w.get()));
    void *two[2];
    size_t number = 0;
    EXPECT_STATUS(bridge_objects(two, 2, &number), BRIDGE_OK);
    EXPECT_EQ(number, made.size());
    EXPECT_EQ(two[1], each.c.get());
    bridge_handle_release(two[0]);
    bridge_handle_release(two[1]);
  }
  expect_nothing_left();
}

TEST(Object, ShowsWhatIsInIt)
{
  Each each;
  for (auto [handle, value] : {std::pair<void *, int64_t>{each.n.get(), 7},
                               {each.f.get(), 1},
                               {each.m.get(), 0},
                               {each.t.get(), 0}}) {
    EXPECT_EQ(look(handle).value, value);
  }
  EXPECT_STATUS(bridge_mutex_lock(each.m.get(), 0, nullptr), BRIDGE_OK);
  EXPECT_EQ(look(each.m.get()).value, 1);
  EXPECT_STATUS(bridge_mutex_unlock(each.m.get()), BRIDGE_OK);
  EXPECT_EQ(look(each.t.get()).target, look(each.c.get()).id);
  bridge_message *first = message("one");
  bridge_message *second = message("two");
  EXPECT_STATUS(bridge_queue_push(each.q.get(), &first), BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_send(each.c.get(), &second), BRIDGE_OK);
  EXPECT_EQ(look(each.q.get()).items, 1u);
  EXPECT_EQ(look(each.q.get()).bytes, bridge_queue_bytes(each.q.get()));
  EXPECT_EQ(look(each.c.get()).items, 1u);
  EXPECT_EQ(look(each.c.get()).bytes, bridge_channel_bytes(each.c.get()));
  EXPECT_EQ(look(each.q.get()).references, 1u);
  EXPECT_EQ(look(each.c.get()).references, 2u); /* the timer's */
}

TEST(Object, ClosesEachKind)
{
  Each each;
  for (int i = 0; i < 2; i++) {
    for (const auto &[kind, handle] : each.list()) {
      EXPECT_STATUS(bridge_object_close(handle), BRIDGE_OK) << kind;
    }
  }
  EXPECT_STATUS(bridge_worker_join(each.w.get(), kLong, nullptr, nullptr),
                BRIDGE_OK);
  for (const auto &[kind, handle] : each.list()) {
    EXPECT_TRUE(look(handle).closed) << kind;
  }
  EXPECT_TRUE(bridge_queue_closed(each.q.get()));
  EXPECT_TRUE(bridge_channel_closed(each.c.get(), BRIDGE_CHANNEL_SENDING));
  EXPECT_FALSE(bridge_channel_closed(each.c.get(), BRIDGE_CHANNEL_RECEIVING));
  EXPECT_TRUE(bridge_counter_closed(each.n.get()));
  EXPECT_TRUE(bridge_flag_closed(each.f.get()));
  EXPECT_TRUE(bridge_mutex_closed(each.m.get()));
  EXPECT_FALSE(bridge_timer_active(each.t.get()));
}

TEST(Object, OthersAreNotListed)
{
  expect_nothing_left();
  bridge_waker *made = nullptr;
  ASSERT_STATUS(bridge_waker_create(&made, BRIDGE_WAKER_DEFAULT), BRIDGE_OK);
  Owned<bridge_waker> waker(made);
  expect_nothing_left();
  const auto info = look(waker.get());
  EXPECT_EQ(info.kind, BRIDGE_HANDLE_WAKER);
  EXPECT_EQ(info.references, 1u);
  EXPECT_EQ(info.id, 0u);
  EXPECT_STATUS(bridge_object_close(waker.get()), BRIDGE_EUNSUPPORTED);
  EXPECT_STATUS(bridge_object_hide(waker.get()), BRIDGE_EUNSUPPORTED);
  EXPECT_STATUS(bridge_object_set_name(waker.get(), "x"), BRIDGE_EUNSUPPORTED);
}

/* Its inbox, and the queues at which callers wait. */
TEST(Object, WhatAWorkerIsMadeOfIsNotListed)
{
  auto echo = worker("return require 'bridge'.serve {"
                     "  echo = function(...) return ... end }",
                     "echo");
  bridge_message *request = message("echo", 1);
  EXPECT_STATUS(
      bridge_worker_call(echo.get(), &request, kLong, nullptr, nullptr),
      BRIDGE_OK);
  bridge_message_release(request);
  EXPECT_EQ(count(), 1u) << rest();
  EXPECT_STATUS(bridge_worker_close(echo.get(), kLong), BRIDGE_OK);
}

TEST(Object, ALongNameIsNotCutWithinACharacter)
{
  Each each;
  const struct {
    const char *character;
    size_t bytes;
  } cases[] = {{"\u00e9", 62}, {"\u20ac", 63}, {"\U0001f600", 60}};
  for (const auto &[character, bytes] : cases) {
    std::string name;
    while (name.size() < 100) {
      name += character;
    }
    EXPECT_STATUS(bridge_object_set_name(each.f.get(), name.c_str()),
                  BRIDGE_OK);
    EXPECT_EQ(look(each.f.get()).name, name.substr(0, bytes));
  }
  const std::string no_text(100, '\x80');
  EXPECT_STATUS(bridge_object_set_name(each.f.get(), no_text.c_str()),
                BRIDGE_OK);
  EXPECT_EQ(look(each.f.get()).name, no_text.substr(0, 60));
}

TEST(Object, IsFoundByItsName)
{
  Each each;
  const std::string name(100, 'n');
  for (const auto &[kind, handle] : each.list()) {
    if (kind != BRIDGE_HANDLE_WORKER) {
      EXPECT_STREQ(look(handle).name, "");
      EXPECT_STATUS(bridge_object_set_name(handle, name.c_str()), BRIDGE_OK);
      EXPECT_EQ(look(handle).name, std::string(63, 'n'));
      Any found(bridge_object_find(BRIDGE_HANDLE_NONE, name.c_str()));
      EXPECT_EQ(found.get(), handle) << "not the latest";
    }
  }
  EXPECT_EQ(Any(bridge_object_find(BRIDGE_HANDLE_FLAG, name.c_str())).get(),
            each.f.get());
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_WORKER, name.c_str()), nullptr);
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_FLAG, look(each.f.get()).name),
            nullptr)
      << "by the beginning of it";
  for (const char *none : {"", static_cast<const char *>(nullptr)}) {
    EXPECT_STATUS(bridge_object_set_name(each.t.get(), "another"), BRIDGE_OK);
    EXPECT_STATUS(bridge_object_set_name(each.t.get(), none), BRIDGE_OK);
    EXPECT_STREQ(look(each.t.get()).name, "");
    EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_NONE, "another"), nullptr);
  }
  EXPECT_STATUS(bridge_object_set_name(each.w.get(), "x"), BRIDGE_EUNSUPPORTED);
  EXPECT_STREQ(look(each.w.get()).name, "one of all");
  EXPECT_EQ(Any(bridge_object_find(BRIDGE_HANDLE_NONE, "one of all")).get(),
            each.w.get());
}

/* ---- Who is not to be found ---- */

TEST(Object, AHiddenOneIsInNoList)
{
  auto one = channel();
  EXPECT_STATUS(bridge_object_set_name(one.get(), "mine"), BRIDGE_OK);
  size_t before = 0;
  EXPECT_STATUS(bridge_objects(nullptr, 0, &before), BRIDGE_OK);
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(bridge_object_hide(one.get()), BRIDGE_OK);
    size_t count = 0;
    EXPECT_STATUS(bridge_objects(nullptr, 0, &count), BRIDGE_OK);
    EXPECT_EQ(count, before - 1);
    EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_NONE, "mine"), nullptr);
    EXPECT_EQ(bridge_object_find_id(look(one.get()).id), nullptr);
  }
  EXPECT_STREQ(look(one.get()).name, "mine");
}

/* ---- Those of which nobody has a handle ---- */

TEST(Object, ATimerWithoutItsHandleIsFoundAndEnded)
{
  auto target = channel();
  auto lost = timer(target.get(), 1000000);
  EXPECT_STATUS(bridge_object_set_name(lost.get(), "lost"), BRIDGE_OK);
  lost.reset();
  bridge_message *m = nullptr;
  EXPECT_STATUS(bridge_channel_receive(target.get(), &m, kLong), BRIDGE_OK);
  bridge_message_release(m);
  Any found(bridge_object_find(BRIDGE_HANDLE_TIMER, "lost"));
  ASSERT_NE(found, nullptr);
  EXPECT_STATUS(bridge_object_close(found.get()), BRIDGE_OK);
  EXPECT_TRUE(look(found.get()).closed);
  found.reset();
  EXPECT_EQ(bridge_object_find(BRIDGE_HANDLE_TIMER, "lost"), nullptr);
}

TEST(Object, TwoQueuesWithinEachOtherAreSeenAndFreed)
{
  expect_nothing_left();
  auto one = queue();
  auto two = queue();
  bridge_message *m = message(two.get());
  EXPECT_STATUS(bridge_queue_push(one.get(), &m), BRIDGE_OK);
  m = message(one.get());
  EXPECT_STATUS(bridge_queue_push(two.get(), &m), BRIDGE_OK);
  one.reset();
  two.reset();
  auto left = all();
  ASSERT_EQ(left.size(), 2u);
  for (const auto &each : left) {
    EXPECT_EQ(look(each.get()).references, 2u); /* a message's, and ours */
    EXPECT_EQ(look(each.get()).items, 1u);
  }
  EXPECT_STATUS(
      bridge_queue_pop(static_cast<bridge_queue *>(left[0].get()), &m, 0),
      BRIDGE_OK);
  bridge_message_release(m);
  left.clear();
  expect_nothing_left();
}

/* ---- Those that come and go ---- */

/* Makes them, names them and drops them, as fast as it can. */
void come_and_go(const std::atomic<bool> &over)
{
  auto target = channel();
  for (int i = 0; !over; i++) {
    auto q = queue();
    auto n = make(bridge_counter_create, int64_t{i});
    auto f = make(bridge_flag_create, false);
    auto t = timer(target.get(), 0);
    EXPECT_STATUS(bridge_object_set_name(n.get(), "guest"), BRIDGE_OK);
    EXPECT_STATUS(bridge_object_set_name(n.get(), "another"), BRIDGE_OK);
    bridge_message *m = message(target.get());
    EXPECT_STATUS(bridge_queue_push(q.get(), &m), BRIDGE_OK);
    EXPECT_STATUS(bridge_timer_cancel(t.get()), BRIDGE_OK);
  }
}

TEST(Object, ThoseThatGoAreNotTouched)
{
  std::atomic<bool> over{false};
  std::vector<std::thread> guests;
  for (int i = 0; i < 3; i++) {
    guests.emplace_back([&over] { come_and_go(over); });
  }
  size_t seen = 0;
  size_t named = 0;
  for (int i = 0; i < 2000 || seen == 0 || named == 0; i++) {
    for (const auto &each : all()) {
      const auto info = look(each.get());
      EXPECT_GT(info.references, 0u);
      seen += info.kind == BRIDGE_HANDLE_COUNTER;
    }
    Any found(bridge_object_find(BRIDGE_HANDLE_COUNTER, "guest"));
    named += found != nullptr;
    if (found != nullptr) {
      EXPECT_STATUS(bridge_object_close(found.get()), BRIDGE_OK);
    }
  }
  over = true;
  for (auto &each : guests) {
    each.join();
  }
  expect_nothing_left();
}

/* ---- fork ---- */

int in_child(const Each &parents)
{
  bridge_object_info info;
  bridge_object_info_init(&info);
  bool good = count() == 0;
  for (const auto &[kind, handle] : parents.list()) {
    good = good && bridge_object_look(handle, &info) == BRIDGE_EFORKED &&
           bridge_object_close(handle) == BRIDGE_EFORKED &&
           bridge_object_set_name(handle, "x") == BRIDGE_EFORKED;
  }
  good =
      good && bridge_object_find(BRIDGE_HANDLE_NONE, "the parent's") == nullptr;
  auto own = make(bridge_flag_create, false);
  good = good && bridge_object_set_name(own.get(), "own") == BRIDGE_OK;
  Any found(bridge_object_find(BRIDGE_HANDLE_NONE, "own"));
  return good && found.get() == own.get() && count() == 1 ? 0 : 1;
}

TEST(Object, TheChildOfAForkHasItsOwn)
{
  Each each;
  EXPECT_STATUS(bridge_object_set_name(each.q.get(), "the parent's"),
                BRIDGE_OK);
  std::atomic<bool> over{false};
  std::thread guest([&over] {
    while (!over) {
      make(bridge_mutex_create);
    }
  });
  for (int i = 0; i < 20; i++) {
    const pid_t child = fork();
    if (child == 0) {
      _exit(in_child(each));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  over = true;
  guest.join();
}

} // namespace
