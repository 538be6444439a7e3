/* The engine: Relacy beneath the library as it is.

   The compiler's ThreadSanitizer pass turns each atomic operation, with its
   memory order, and each plain access into a call; here these calls are answered
   by Relacy, which knows what C11 allows to be seen, schedules the threads, and
   reports races.  So what is checked is the product's own source, unchanged.
   The rest is a platform like any other: mutexes, conditions, time. */
#include <cerrno>

/* Before Relacy has its own. */
static void tell_timed_out()
{
  errno = ETIMEDOUT;
}

#include <relacy/relacy.hpp>
/* Relacy redefines these for programs that are written for it. */
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "engine.h"

extern "C" {
#include "platform_types.h"
}

namespace
{

/* ---- Where in the source ---- */

struct place {
  void *address;
  char function[64];
  char file[128];
  unsigned line;
};

const size_t PLACES = 1024;
place places[PLACES];
size_t place_count;

/* By addr2line, and only for a history, since it takes long. */
void look_up(place &at)
{
  char command[256];
  char self[128] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
    return;
  }
  std::snprintf(command, sizeof command, "addr2line -s -f -e %s %p 2>/dev/null",
                self, static_cast<char *>(at.address) - 1);
  FILE *answer = popen(command, "r");
  if (answer == nullptr) {
    return;
  }
  char line[256] = "";
  if (std::fgets(line, sizeof line, answer) != nullptr) {
    std::sscanf(line, "%63s", at.function);
  }
  if (std::fgets(line, sizeof line, answer) != nullptr) {
    std::sscanf(line, "%127[^:]:%u", at.file, &at.line);
  }
  pclose(answer);
}

rl::debug_info where(void *address)
{
  if (!rl::ctx().collecting_history()) {
    return rl::debug_info();
  }
  size_t i = 0;
  while (i < place_count && places[i].address != address) {
    i++;
  }
  if (i == place_count) {
    if (place_count == PLACES) {
      return rl::debug_info();
    }
    places[place_count++].address = address;
    look_up(places[i]);
  }
  return rl::debug_info(places[i].function, places[i].file, places[i].line);
}

#define HERE where(__builtin_return_address(0))

[[noreturn]] void fail(const char *what,
                       rl::test_result_e kind,
                       const rl::debug_info &info)
{
  rl::ctx().fail_test(what, kind, info);
  std::abort(); /* it does not come back */
}

/* ---- Memory: blocks whose every byte is watched, and never used again ---- */

const size_t ARENA = 64 * 1024;
const size_t GRAIN = 4; /* what a plain access is checked by */

struct cell { /* an atomic object */
  size_t size;
  union {
    char of1[sizeof(rl::atomic<uint8_t>)];
    char of4[sizeof(rl::atomic<uint32_t>)];
    char of8[sizeof(rl::atomic<uint64_t>)];
    void *align;
  } body;
};

const size_t CELLS = 256;

enum state : unsigned char {
  NOTHING,
  LIVE,
  FREED
};

struct memory {
  alignas(64) char bytes[ARENA];
  size_t used;
  size_t blocks;
  state life[ARENA / GRAIN];
  uint16_t size[ARENA / 64]; /* of the block that begins here, in grains */
  uint16_t atomic[ARENA];    /* 1 + index of its cell */
  rl::var_data *plain[ARENA / GRAIN];
  cell cells[CELLS];
  size_t cell_count;
};

memory heap;

void reset_heap()
{
  std::memset(heap.bytes, 0, heap.used);
  std::memset(heap.life, 0, heap.used / GRAIN);
  std::memset(heap.atomic, 0, heap.used * sizeof heap.atomic[0]);
  std::memset(heap.plain, 0, heap.used / GRAIN * sizeof heap.plain[0]);
  heap.used = 0;
  heap.blocks = 0;
  heap.cell_count = 0;
}

bool ours(const volatile void *address)
{
  auto at = reinterpret_cast<uintptr_t>(address);
  auto from = reinterpret_cast<uintptr_t>(heap.bytes);
  return at >= from && at < from + ARENA;
}

size_t offset_of(const volatile void *address)
{
  return reinterpret_cast<uintptr_t>(address) -
         reinterpret_cast<uintptr_t>(heap.bytes);
}

void *allocate(size_t size)
{
  size_t rounded = (size + 1 + 63) / 64 * 64;
  if (heap.used + rounded > ARENA) {
    fail("the model's memory is too small", rl::test_result_memory_leak, $);
  }
  size_t at = heap.used;
  heap.used += rounded;
  heap.blocks++;
  heap.size[at / 64] = static_cast<uint16_t>((size + GRAIN - 1) / GRAIN);
  for (size_t i = 0; i < heap.size[at / 64]; i++) {
    heap.life[at / GRAIN + i] = LIVE;
  }
  return heap.bytes + at;
}

template <typename T> rl::atomic<T> *object(cell &in)
{
  return reinterpret_cast<rl::atomic<T> *>(&in.body);
}

void end_cell(cell &ended)
{
  switch (ended.size) {
  case 1:
    object<uint8_t>(ended)->~atomic();
    break;
  case 4:
    object<uint32_t>(ended)->~atomic();
    break;
  default:
    object<uint64_t>(ended)->~atomic();
  }
}

/* Freeing writes to every byte: whoever reads it without an order races. */
void free_block(void *block, const rl::debug_info &info)
{
  size_t at = offset_of(block);
  if (!ours(block) || at % 64 != 0 || heap.life[at / GRAIN] != LIVE) {
    fail("freed twice", rl::test_result_double_free, info);
  }
  heap.blocks--;
  for (size_t i = 0; i < heap.size[at / 64]; i++) {
    size_t grain = at / GRAIN + i;
    rl::var_data *plain = heap.plain[grain];
    if (plain != nullptr) {
      if (!plain->store(*rl::ctx().threadx_)) {
        fail("freed while somebody uses it", rl::test_result_data_race, info);
      }
      rl::ctx().var_dtor(plain);
      heap.plain[grain] = nullptr;
    }
    heap.life[grain] = FREED;
  }
  for (size_t i = at; i < at + heap.size[at / 64] * GRAIN; i++) {
    if (heap.atomic[i] != 0) {
      end_cell(heap.cells[heap.atomic[i] - 1]);
      heap.atomic[i] = 0;
    }
  }
}

void check_life(const volatile void *address, const rl::debug_info &info)
{
  state life = heap.life[offset_of(address) / GRAIN];
  if (life != LIVE) {
    fail(life == FREED ? "used after it was freed" : "not allocated",
         rl::test_result_access_to_freed_memory, info);
  }
}

/* ---- Thread-local variables of the product, which stand in one section ---- */

extern "C" char __start_model_tls[] __attribute__((weak));
extern "C" char __stop_model_tls[] __attribute__((weak));

const size_t LOCAL = 256;
char local_of[MODEL_THREADS][LOCAL];
int local_owner; /* whose variables are in place; -1 for none */

void swap_locals(const volatile void *address)
{
  const volatile char *at = static_cast<const volatile char *>(address);
  if (__start_model_tls == nullptr || at < __start_model_tls ||
      at >= __stop_model_tls) {
    return;
  }
  int current = rl::ctx().threadx_->index_;
  if (current == local_owner) {
    return;
  }
  size_t size = static_cast<size_t>(__stop_model_tls - __start_model_tls);
  if (size > LOCAL) {
    std::abort();
  }
  if (local_owner >= 0) {
    std::memcpy(local_of[local_owner], __start_model_tls, size);
  }
  std::memcpy(__start_model_tls, local_of[current], size);
  local_owner = current;
}

void reset_locals()
{
  std::memset(local_of, 0, sizeof local_of);
  local_owner = -1;
}

/* ---- Plain accesses ---- */

struct plain_event {
  const void *address;
  size_t size;
  uint64_t value;
  bool write;

  void output(std::ostream &out) const
  {
    out << "<" << address << "> plain " << (write ? "write" : "read") << " of "
        << size << " bytes";
  }
};

void access_grain(size_t grain, bool write, const rl::debug_info &info)
{
  rl::context &c = rl::ctx();
  rl::var_data *&plain = heap.plain[grain];
  if (plain == nullptr) {
    plain = c.var_ctor();
    plain->init(*c.threadx_);
    return;
  }
  if (!(write ? plain->store(*c.threadx_) : plain->load(*c.threadx_))) {
    fail("a plain access", rl::test_result_data_race, info);
  }
}

/* Zeroing writes to every byte: who finds 0 there takes it from who allocated. */
void zero_block(void *block, const rl::debug_info &info)
{
  size_t at = offset_of(block);
  for (size_t i = 0; i < heap.size[at / 64]; i++) {
    access_grain(at / GRAIN + i, true, info);
  }
}

void access(void *address, size_t size, bool write, void *caller)
{
  if (!rl::is_ctx() || rl::ctx().threadx_ == nullptr) {
    return;
  }
  if (!ours(address)) {
    swap_locals(address);
    return;
  }
  rl::context &c = rl::ctx();
  rl::debug_info info = where(caller);
  RL_HIST(plain_event){address, size, 0, write} RL_HIST_END();
  check_life(address, info);
  size_t from = offset_of(address);
  for (size_t i = from; i < from + size; i++) {
    if (heap.atomic[i] != 0) {
      fail("a plain access to an atomic object", rl::test_result_data_race,
           info);
    }
  }
  for (size_t i = from / GRAIN; i <= (from + size - 1) / GRAIN; i++) {
    access_grain(i, write, info);
  }
}

/* ---- Atomic accesses ---- */

/* A static one, which outlives all runs: a value that is found once and stands for
   itself.  Any other order would tell that something rests on it. */
bool standing(const volatile void *address, int order)
{
  return !ours(address) && order == __ATOMIC_RELAXED;
}

template <typename T>
rl::atomic<T> &atomic_at(const volatile void *address,
                         bool make,
                         const rl::debug_info &info)
{
  if (!ours(address)) {
    std::fputs("an atomic object outside of the model's memory\n", stderr);
    std::abort();
  }
  check_life(address, info);
  uint16_t &index = heap.atomic[offset_of(address)];
  if (index == 0) {
    if (!make) {
      fail("an atomic object", rl::test_result_unitialized_access, info);
    }
    if (heap.cell_count == CELLS) {
      std::abort();
    }
    cell &made = heap.cells[heap.cell_count++];
    made.size = sizeof(T);
    ::new (&made.body) rl::atomic<T>();
    index = static_cast<uint16_t>(heap.cell_count);
  }
  cell &found = heap.cells[index - 1];
  if (found.size != sizeof(T)) {
    std::abort();
  }
  return *object<T>(found);
}

rl::memory_order order_of(int order)
{
  return static_cast<rl::memory_order>(order); /* they are numbered alike */
}

/* Relacy does not know that a failed exchange may take more than a successful
   one publishes; it is the only place where an order is made stronger. */
rl::memory_order covering(int order, int failure)
{
  return order == rl::mo_release && failure == rl::mo_acquire ? rl::mo_acq_rel
                                                              : order_of(order);
}

/* ---- Mutexes and conditions ---- */

const size_t OBJECTS = 16;

template <typename T> struct pool {
  alignas(T) char bodies[OBJECTS][sizeof(T)];
  size_t count;

  T *make()
  {
    if (count == OBJECTS) {
      std::abort();
    }
    return ::new (bodies[count++]) T();
  }
};

pool<rl::mutex> mutexes;
pool<rl::condition_variable> conditions;

template <typename T> void end(T &object)
{
  object.~T();
}

rl::mutex &body(bridge__mutex *mutex)
{
  return *static_cast<rl::mutex *>(mutex->body);
}

rl::condition_variable &body(bridge__condition *condition)
{
  return *static_cast<rl::condition_variable *>(condition->body);
}

/* ---- Descriptors: what the kernel knows, in one order, and publishing
        nothing ---- */

struct descriptor {
  bool open;
  unsigned signals;
};

const size_t DESCRIPTORS = 4;
descriptor descriptors[DESCRIPTORS];

struct descriptor_event {
  int number;
  const char *what;
  unsigned signals;

  void output(std::ostream &out) const
  {
    out << "descriptor " << number << ": " << what << ", " << signals
        << " signals";
  }
};

descriptor &use(int number, const char *what, const rl::debug_info &info)
{
  rl::context &c = rl::ctx();
  c.sched();
  descriptor &used = descriptors[number];
  RL_HIST(descriptor_event){number, what, used.signals} RL_HIST_END();
  if (!used.open) {
    fail("a descriptor that was closed", rl::test_result_user_assert_failed,
         info);
  }
  return used;
}

/* ---- Bells ---- */

const size_t BELLS = 4;
unsigned bells[BELLS];
size_t bell_count;

/* ---- Futexes ---- */

unsigned futex_wakes; /* of all words: a sleep may end without a reason */

int64_t now;
bool hurried; /* deadlines may pass */

void pass(int64_t moment)
{
  if (now < moment) {
    now = moment;
  }
}

void reset()
{
  reset_heap();
  reset_locals();
  mutexes.count = 0;
  conditions.count = 0;
  std::memset(descriptors, 0, sizeof descriptors);
  std::memset(bells, 0, sizeof bells);
  bell_count = 0;
  futex_wakes = 0;
  now = 0;
  hurried = false;
}

} // namespace

/* ---- What the compiler calls ---- */

extern "C" {

void __tsan_init(void)
{
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit(void)
{
}

#define PLAIN(size)                                                            \
  void __tsan_read##size(void *address)                                        \
  {                                                                            \
    access(address, size, false, __builtin_return_address(0));                 \
  }                                                                            \
  void __tsan_write##size(void *address)                                       \
  {                                                                            \
    access(address, size, true, __builtin_return_address(0));                  \
  }                                                                            \
  void __tsan_unaligned_read##size(void *address)                              \
  {                                                                            \
    access(address, size, false, __builtin_return_address(0));                 \
  }                                                                            \
  void __tsan_unaligned_write##size(void *address)                             \
  {                                                                            \
    access(address, size, true, __builtin_return_address(0));                  \
  }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *address, size_t size)
{
  access(address, size, false, __builtin_return_address(0));
}

void __tsan_write_range(void *address, size_t size)
{
  access(address, size, true, __builtin_return_address(0));
}

#define EXCHANGE(bits, T, strength)                                            \
  bool __tsan_atomic##bits##_compare_exchange_##strength(                      \
      volatile T *at, T *expected, T value, int order, int failure)            \
  {                                                                            \
    rl::debug_info info = HERE;                                                \
    return atomic_at<T>(at, false, info)                                       \
        .compare_exchange_##strength(*expected, value,                         \
                                     covering(order, failure), info,           \
                                     order_of(failure), info);                 \
  }

#define CHANGE(bits, T, name)                                                  \
  T __tsan_atomic##bits##_##name(volatile T *at, T value, int order)           \
  {                                                                            \
    rl::debug_info info = HERE;                                                \
    return atomic_at<T>(at, false, info).name(value, order_of(order), info);   \
  }

#define ATOMIC(bits, T)                                                        \
  T __tsan_atomic##bits##_load(const volatile T *at, int order)                \
  {                                                                            \
    if (standing(at, order)) {                                                 \
      return *at;                                                              \
    }                                                                          \
    rl::debug_info info = HERE;                                                \
    return atomic_at<T>(at, false, info).load(order_of(order), info);          \
  }                                                                            \
  void __tsan_atomic##bits##_store(volatile T *at, T value, int order)         \
  {                                                                            \
    if (standing(at, order)) {                                                 \
      *at = value;                                                             \
      return;                                                                  \
    }                                                                          \
    rl::debug_info info = HERE;                                                \
    atomic_at<T>(at, true, info).store(value, order_of(order), info);          \
  }                                                                            \
  CHANGE(bits, T, exchange)                                                    \
  CHANGE(bits, T, fetch_add)                                                   \
  CHANGE(bits, T, fetch_sub)                                                   \
  CHANGE(bits, T, fetch_and)                                                   \
  CHANGE(bits, T, fetch_or)                                                    \
  EXCHANGE(bits, T, strong)                                                    \
  EXCHANGE(bits, T, weak)

ATOMIC(8, uint8_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order)
{
  rl::atomic_thread_fence(order_of(order), HERE);
}

/* ---- The platform ---- */

/* To destroy something must come after every use of it, by an order that C
   knows. */
#define USE(object, ends)                                                      \
  access(object, sizeof *(object), ends, __builtin_return_address(0))

bridge_status bridge__mutex_init(bridge__mutex *mutex)
{
  USE(mutex, true);
  mutex->body = mutexes.make();
  return BRIDGE_OK;
}

void bridge__mutex_destroy(bridge__mutex *mutex)
{
  USE(mutex, true);
  end(body(mutex));
}

void bridge__mutex_lock(bridge__mutex *mutex)
{
  USE(mutex, false);
  body(mutex).lock(HERE);
}

void bridge__mutex_unlock(bridge__mutex *mutex)
{
  USE(mutex, false);
  body(mutex).unlock(HERE);
}

bridge_status bridge__condition_init(bridge__condition *condition)
{
  USE(condition, true);
  condition->body = conditions.make();
  return BRIDGE_OK;
}

void bridge__condition_destroy(bridge__condition *condition)
{
  USE(condition, true);
  end(body(condition));
}

/* In a hurried scenario a deadline passes whenever the checker likes, in others
   never: a wake-up that is only late is as lost as any. */
bool bridge__condition_wait(bridge__condition *condition,
                            bridge__mutex *mutex,
                            int64_t deadline)
{
  rl::debug_info info = HERE;
  USE(condition, false);
  if (deadline == INT64_MAX || !hurried) {
    body(condition).wait(body(mutex), info);
    return true;
  }
  bool in_time = body(condition).wait_for(body(mutex), 0, info);
  if (!in_time) {
    pass(deadline);
  }
  return in_time;
}

void bridge__condition_signal(bridge__condition *condition)
{
  USE(condition, false);
  body(condition).notify_one(HERE);
}

void bridge__condition_broadcast(bridge__condition *condition)
{
  USE(condition, false);
  body(condition).notify_all(HERE);
}

/* futex(2), for the platform's own parking.  The kernel compares the word as it
   is now, and publishes nothing. */
static bool futex_wait(uint32_t *word,
                       uint32_t expected,
                       const timespec *until,
                       const rl::debug_info &info)
{
  if (atomic_at<uint32_t>(word, false, info)
          .fetch_add(0, rl::mo_relaxed, info) != expected) {
    return true;
  }
  const unsigned before = futex_wakes;
  while (futex_wakes == before) {
    if (until != nullptr && hurried && model_choose(4) == 0) {
      pass(until->tv_sec * INT64_C(1000000000) + until->tv_nsec);
      return false;
    }
    rl::yield(1, info);
  }
  return true;
}

long syscall(long number, ...) noexcept
{
  rl::debug_info info = HERE;
  va_list rest;
  va_start(rest, number);
  uint32_t *word = va_arg(rest, uint32_t *);
  int operation = va_arg(rest, int);
  uint32_t value = va_arg(rest, uint32_t);
  const timespec *until = va_arg(rest, const timespec *);
  va_end(rest);
  if (number != SYS_futex) {
    std::abort();
  }
  if (operation == FUTEX_WAKE_PRIVATE) {
    rl::ctx().sched();
    check_life(word, info);
    futex_wakes++;
    return 1;
  }
  if (operation != FUTEX_WAIT_BITSET_PRIVATE) {
    std::abort();
  }
  if (futex_wait(word, value, until, info)) {
    return 0;
  }
  tell_timed_out();
  return -1;
}

int64_t bridge__now(void)
{
  return now;
}

unsigned bridge__native_cores(void)
{
  return 1;
}

void bridge__relax(void)
{
  rl::yield(1, HERE);
}

void bridge__yield(void)
{
  rl::yield(1, HERE);
}

unsigned bridge__forks; /* nobody forks here */

unsigned bridge__process(void)
{
  return bridge__forks;
}

void *bridge__allocate(size_t size)
{
  return allocate(size);
}

void *bridge__allocate_zero(size_t size)
{
  void *block = allocate(size); /* nothing is used twice */
  zero_block(block, HERE);
  return block;
}

void bridge__free(void *block)
{
  if (block != nullptr) {
    free_block(block, HERE);
  }
}

void bridge__blocks_rest(void)
{
} /* no thread keeps any */

/* ---- Descriptors, for the model's kind of waker ---- */

int model_descriptor_open(void)
{
  for (size_t i = 0; i < DESCRIPTORS; i++) {
    if (!descriptors[i].open) {
      descriptors[i] = {true, 0};
      return static_cast<int>(i);
    }
  }
  std::abort();
}

void model_descriptor_signal(int number)
{
  use(number, "signal", HERE).signals++;
}

bool model_descriptor_drain(int number)
{
  descriptor &drained = use(number, "drain", HERE);
  bool some = drained.signals > 0;
  drained.signals = 0;
  return some;
}

void model_descriptor_close(int number)
{
  use(number, "close", HERE).open = false;
}

bool model_readable(int number)
{
  return use(number, "look", HERE).signals > 0;
}

void model_poll(int number)
{
  while (use(number, "poll", HERE).signals == 0) {
    rl::yield(1, HERE);
  }
}

size_t model_open(void)
{
  size_t open = 0;
  for (size_t i = 0; i < DESCRIPTORS; i++) {
    open += descriptors[i].open ? 1 : 0;
  }
  return open;
}

/* ---- For scenarios ---- */

/* The sleeper looks again and again: what Relacy sleeps on would publish. */
int model_bell_open(void)
{
  return static_cast<int>(bell_count++);
}

void model_bell_ring(int bell)
{
  rl::ctx().sched();
  bells[bell]++;
}

void model_bell_wait(int bell)
{
  rl::ctx().sched();
  while (bells[bell] == 0) {
    rl::yield(1, HERE);
  }
  bells[bell]--;
}

void model_check(bool holds, const char *what)
{
  if (!holds) {
    fail(what, rl::test_result_user_assert_failed, HERE);
  }
}

void model_hurry(void)
{
  hurried = true;
}

void model_yield(void)
{
  rl::yield(1, HERE);
}

unsigned model_choose(unsigned limit)
{
  return rl::ctx().rand(limit, rl::sched_type_user);
}

size_t model_blocks(void)
{
  return heap.blocks;
}

} // extern "C"

/* ---- Running ---- */

namespace
{

const model_scenario *running;

template <int threads> struct suite : rl::test_suite<suite<threads>, threads> {
  void before()
  {
    reset();
    running->before();
  }
  void thread(unsigned index)
  {
    running->thread(index);
  }
  void after()
  {
    running->after();
    model_check(model_blocks() == 0, "a block was not freed");
    model_check(model_open() == 0, "a descriptor was not closed");
  }
};

template <int threads> bool run(rl::test_params &params)
{
  return rl::simulate<suite<threads>>(params);
}

bool run(const model_scenario &scenario, rl::test_params &params)
{
  running = &scenario;
  switch (scenario.threads) {
  case 2:
    return run<2>(params);
  case 3:
    return run<3>(params);
  case 4:
    return run<4>(params);
  default:
    std::abort();
  }
}

const model_scenario *const tables[] = {
    model_list_scenarios, model_waker_scenarios, model_queue_scenarios};

int usage()
{
  std::fputs("model_check [--full | --bound CHANGES] [--history] ITERATIONS "
             "SCENARIO...\nscenarios:\n",
             stderr);
  for (const model_scenario *table : tables) {
    for (; table->name != nullptr; table++) {
      std::fprintf(stderr, "  %s (%u threads)\n", table->name, table->threads);
    }
  }
  return 2;
}

const model_scenario *find(const char *name)
{
  for (const model_scenario *table : tables) {
    for (; table->name != nullptr; table++) {
      if (std::strcmp(name, table->name) == 0) {
        return table;
      }
    }
  }
  return nullptr;
}

/* From 1 to `most`; 0 if the text is anything else. */
unsigned long long number(const char *text, unsigned long long most)
{
  char *end = nullptr;
  unsigned long long value = std::strtoull(text, &end, 10);
  bool digits = *text >= '0' && *text <= '9' && *end == '\0';
  return digits && value <= most ? value : 0;
}

struct options {
  rl::iteration_t iterations = 0;
  rl::scheduler_type_e search = rl::sched_random;
  unsigned bound = 0;
  bool history = false;
};

/* True if nothing was found.  The last line says what. */
bool check(const model_scenario &scenario, const options &chosen)
{
  rl::ostringstream report; /* by malloc, outside of the model */
  rl::test_params params;
  params.iteration_count = chosen.iterations;
  params.search_type = chosen.search;
  params.context_bound = chosen.bound;
  params.execution_depth_limit = 5000;
  params.output_stream = &report;
  params.progress_stream = &report;
  bool well = run(scenario, params);
  if (!well && chosen.history) {
    /* A byte is written as a character, which may be NUL. */
    rl::string text = report.str();
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  std::printf("%s: %s after %llu runs\n", scenario.name,
              well ? "holds" : rl::test_result_str(params.test_result),
              static_cast<unsigned long long>(params.stop_iteration));
  if (!well) {
    rl::string text = report.str();
    size_t line = text.find('\n') + 1;
    std::printf("  %s\n",
                text.substr(line, text.find('\n', line) - line).c_str());
  }
  std::fflush(stdout);
  return well;
}

} // namespace

int main(int argc, char **argv)
{
  options chosen;
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (std::strcmp(argv[i], "--full") == 0) {
      chosen.search = rl::sched_full;
    } else if (std::strcmp(argv[i], "--bound") == 0 && i + 1 < argc) {
      chosen.search = rl::sched_bound;
      unsigned long long bound = number(argv[++i], 1000);
      if (bound == 0) {
        return usage();
      }
      chosen.bound = static_cast<unsigned>(bound);
    } else if (std::strcmp(argv[i], "--history") == 0) {
      chosen.history = true;
    } else {
      return usage();
    }
  }
  if (i + 1 >= argc) {
    return usage();
  }
  chosen.iterations = number(argv[i++], 1000000000000);
  if (chosen.iterations == 0) {
    return usage();
  }
  bool well = true;
  for (; i < argc && well; i++) {
    const model_scenario *scenario = find(argv[i]);
    if (scenario == nullptr) {
      return usage();
    }
    well = check(*scenario, chosen);
  }
  return well ? 0 : 1;
}
