/* The limit of Lua to Lua: what it costs if nothing is checked, bounded, closed,
   counted or cancelled.  States on bare threads; a value becomes bytes from
   malloc, is linked into an intrusive list (Vyukov's), and is built anew by the
   other state, which sleeps by a futex.

     lua_limit send PAYLOADS NAME PRODUCERS     in the unit of the payload
     lua_limit call PAYLOADS NAME OUTSTANDING   microseconds for an echo        */
#include "bench.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- List ----------------------------------------------------------------- */

typedef struct entry {
  _Atomic(struct entry *) next;
} entry;

typedef struct node {
  entry link; /* first */
  size_t size;
  size_t capacity;
  unsigned char bytes[];
} node;

typedef struct list {
  _Atomic(entry *) newest;
  atomic_int asleep;
  char line[64];
  entry *oldest;
  entry stub;
} list;

static void list_init(list *l)
{
  atomic_init(&l->stub.next, NULL);
  atomic_init(&l->newest, &l->stub);
  atomic_init(&l->asleep, 0);
  l->oldest = &l->stub;
}

static void list_link(list *l, entry *e)
{
  /* Takes nothing: what follows publishes it. */
  atomic_store_explicit(&e->next, NULL, memory_order_relaxed);
  /* Publishes the node to the producer who comes next, and takes the one before. */
  entry *before = atomic_exchange_explicit(&l->newest, e, memory_order_acq_rel);
  /* Publishes the node to the consumer. */
  atomic_store_explicit(&before->next, e, memory_order_release);
}

static void list_push(list *l, node *n)
{
  list_link(l, &n->link);
  /* The node comes before the look at who sleeps. */
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, 0)) {
    syscall(SYS_futex, &l->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
}

static entry *next_of(entry *e)
{
  /* Takes what the producer wrote into the next one. */
  return atomic_load_explicit(&e->next, memory_order_acquire);
}

/* The oldest, or NULL, also while somebody is about to link one. */
static node *list_take(list *l)
{
  entry *first = l->oldest;
  entry *next = next_of(first);
  if (first == &l->stub) {
    if (next == NULL) {
      return NULL;
    }
    l->oldest = first = next;
    next = next_of(first);
  }
  if (next == NULL && atomic_load(&l->newest) == first) {
    list_link(l, &l->stub);
    next = next_of(first);
  }
  if (next == NULL) {
    return NULL;
  }
  l->oldest = next;
  return (node *)(void *)first;
}

static node *list_pop(list *l, unsigned spin)
{
  for (;;) {
    for (unsigned i = 0; i <= spin; i++) {
      node *n = list_take(l);
      if (n != NULL) {
        return n;
      }
      __builtin_ia32_pause();
    }
    atomic_store(&l->asleep, 1);
    node *n = list_take(l);
    if (n != NULL) {
      atomic_store(&l->asleep, 0);
      return n;
    }
    syscall(SYS_futex, &l->asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
  }
}

/* ---- Values --------------------------------------------------------------- */

enum {
  NIL,
  FALSE,
  TRUE,
  INTEGER,
  NUMBER,
  STRING,
  TABLE,
  FUNCTION,
  END
};

static unsigned char *room(node **n, size_t size)
{
  if ((*n)->size + size > (*n)->capacity) {
    size_t capacity = (*n)->capacity * 2;
    if (capacity < (*n)->size + size) {
      capacity = (*n)->size + size;
    }
    *n = realloc(*n, sizeof(node) + capacity);
    (*n)->capacity = capacity;
  }
  unsigned char *at = (*n)->bytes + (*n)->size;
  (*n)->size += size;
  return at;
}

static void put(node **n, unsigned char tag, const void *data, size_t size)
{
  unsigned char *at = room(n, 1 + size);
  at[0] = tag;
  memcpy(at + 1, data, size);
}

static void pack(lua_State *L, int index, node **n);

static void pack_table(lua_State *L, int index, node **n)
{
  uint32_t length = (uint32_t)lua_rawlen(L, index);
  put(n, TABLE, &length, sizeof length);
  for (uint32_t i = 1; i <= length; i++) {
    lua_rawgeti(L, index, i);
    pack(L, lua_gettop(L), n);
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    int top = lua_gettop(L);
    bool done = lua_isinteger(L, -2) && lua_tointeger(L, -2) <= length;
    if (!done) {
      pack(L, top - 1, n);
      pack(L, top, n);
    }
    lua_pop(L, 1);
  }
  *room(n, 1) = END;
}

static int write_piece(lua_State *L, const void *data, size_t size, void *user)
{
  (void)L;
  memcpy(room(user, size), data, size);
  return 0;
}

/* The size of the code, the code, how many upvalues, the upvalues. */
static void pack_function(lua_State *L, int index, node **n)
{
  put(n, FUNCTION, &(uint32_t){0}, sizeof(uint32_t));
  size_t begin = (*n)->size;
  lua_pushvalue(L, index);
  lua_dump(L, write_piece, n, 0);
  lua_pop(L, 1);
  uint32_t size = (uint32_t)((*n)->size - begin);
  memcpy((*n)->bytes + begin - sizeof size, &size, sizeof size);
  size_t place = (*n)->size;
  unsigned char count = 0;
  *room(n, 1) = count;
  while (lua_getupvalue(L, index, count + 1) != NULL) {
    count++;
    pack(L, lua_gettop(L), n);
    lua_pop(L, 1);
  }
  (*n)->bytes[place] = count;
}

static void pack(lua_State *L, int index, node **n)
{
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    *room(n, 1) = lua_toboolean(L, index) ? TRUE : FALSE;
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      put(n, INTEGER, &(lua_Integer){lua_tointeger(L, index)},
          sizeof(lua_Integer));
    } else {
      put(n, NUMBER, &(lua_Number){lua_tonumber(L, index)}, sizeof(lua_Number));
    }
    break;
  case LUA_TSTRING: {
    size_t size = 0;
    const char *data = lua_tolstring(L, index, &size);
    put(n, STRING, &(uint32_t){(uint32_t)size}, sizeof(uint32_t));
    memcpy(room(n, size), data, size);
    break;
  }
  case LUA_TTABLE:
    pack_table(L, index, n);
    break;
  case LUA_TFUNCTION:
    pack_function(L, index, n);
    break;
  default:
    *room(n, 1) = NIL;
    break;
  }
}

static const unsigned char *unpack(lua_State *L, const unsigned char *at);

static const unsigned char *unpack_table(lua_State *L, const unsigned char *at)
{
  uint32_t length = 0;
  memcpy(&length, at, sizeof length);
  at += sizeof length;
  lua_createtable(L, (int)length, 0);
  for (uint32_t i = 1; i <= length; i++) {
    at = unpack(L, at);
    lua_rawseti(L, -2, i);
  }
  while (*at != END) {
    at = unpack(L, at);
    at = unpack(L, at);
    lua_rawset(L, -3);
  }
  return at + 1;
}

static const unsigned char *unpack_function(lua_State *L,
                                            const unsigned char *at)
{
  uint32_t size = 0;
  memcpy(&size, at, sizeof size);
  at += sizeof size;
  luaL_loadbufferx(L, (const char *)at, size, "=function", "b");
  at += size;
  int count = *at++;
  for (int i = 1; i <= count; i++) {
    at = unpack(L, at);
    lua_setupvalue(L, -2, i);
  }
  return at;
}

static const unsigned char *unpack(lua_State *L, const unsigned char *at)
{
  unsigned char tag = *at++;
  lua_Integer integer = 0;
  lua_Number number = 0;
  uint32_t size = 0;
  switch (tag) {
  case INTEGER:
    memcpy(&integer, at, sizeof integer);
    lua_pushinteger(L, integer);
    return at + sizeof integer;
  case NUMBER:
    memcpy(&number, at, sizeof number);
    lua_pushnumber(L, number);
    return at + sizeof number;
  case STRING:
    memcpy(&size, at, sizeof size);
    lua_pushlstring(L, (const char *)at + sizeof size, size);
    return at + sizeof size + size;
  case TABLE:
    return unpack_table(L, at);
  case FUNCTION:
    return unpack_function(L, at);
  case NIL:
    lua_pushnil(L);
    return at;
  default:
    lua_pushboolean(L, tag == TRUE);
    return at;
  }
}

/* ---- Lua ------------------------------------------------------------------ */

static unsigned spin;

static int lua_push(lua_State *L)
{
  node *n = malloc(sizeof(node) + 64);
  n->size = 0;
  n->capacity = 64;
  pack(L, 2, &n);
  list_push(lua_touserdata(L, 1), n);
  return 0;
}

static int lua_pop_(lua_State *L)
{
  node *n = list_pop(lua_touserdata(L, 1), spin);
  unpack(L, n->bytes);
  free(n);
  return 1;
}

/* One thread: a state, and what it runs. */
typedef struct party {
  pthread_t thread;
  const char *script;
  const char *payloads;
  const char *name;
  long count;
  list *in;
  list *out;
} party;

static pthread_barrier_t start;

static int wait_for_all(lua_State *L)
{
  (void)L;
  pthread_barrier_wait(&start);
  return 0;
}

static void *run(void *user)
{
  party *p = user;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "push", lua_push);
  lua_register(L, "pop", lua_pop_);
  lua_register(L, "wait_for_all", wait_for_all);
  luaL_loadstring(L, p->script);
  lua_pushlightuserdata(L, p->in);
  lua_pushlightuserdata(L, p->out);
  lua_pushinteger(L, p->count);
  if (luaL_dofile(L, p->payloads)) {
    bench_fail(lua_tostring(L, -1));
  }
  lua_getfield(L, -1, p->name);
  lua_remove(L, -2);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    bench_fail(lua_tostring(L, -1));
  }
  lua_close(L);
  return NULL;
}

/* From the start of all to the end of all. */
static double measure(party *parties, int count)
{
  pthread_barrier_init(&start, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; i++) {
    pthread_create(&parties[i].thread, NULL, run, &parties[i]);
  }
  pthread_barrier_wait(&start);
  int64_t begun = bench_now();
  pthread_join(parties[0].thread, NULL);
  double seconds = (double)(bench_now() - begun) * 1e-9;
  for (int i = 1; i < count; i++) {
    pthread_join(parties[i].thread, NULL);
  }
  return seconds;
}

/* ---- What is measured ----------------------------------------------------- */

static const char producer[] = "local _, out, count, payload = ...\n"
                               "local push, value = push, payload[1]\n"
                               "wait_for_all()\n"
                               "for i = 1, count do push(out, value) end\n";

static const char consumer[] = "local from, _, count = ...\n"
                               "local pop = pop\n"
                               "wait_for_all()\n"
                               "for i = 1, count do pop(from) end\n";

static const char asker[] =
    "local from, out, count, payload = ...\n"
    "local push, pop, value = push, pop, payload[1]\n"
    "wait_for_all()\n"
    "for i = 1, OUTSTANDING do push(out, value) end\n"
    "for i = 1, count - OUTSTANDING do pop(from) push(out, value) end\n"
    "for i = 1, OUTSTANDING do pop(from) end\n";

static const char answerer[] = "local from, out, count = ...\n"
                               "local push, pop = push, pop\n"
                               "wait_for_all()\n"
                               "for i = 1, count do push(out, pop(from)) end\n";

static list lists[2];

/* The second and the third of a payload: how many, and what one counts. */
static double number_of(const char *payloads, const char *name, int index)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_dofile(L, payloads) || lua_getfield(L, -1, name) != LUA_TTABLE) {
    bench_fail("no such payload");
  }
  lua_rawgeti(L, -1, index);
  double number = lua_tonumber(L, -1);
  lua_close(L);
  return number;
}

static void send(const char *payloads, const char *name, int producers)
{
  party parties[65];
  long each = (long)number_of(payloads, name, 2) / producers;
  parties[0] = (party){.script = consumer, .in = &lists[0]};
  parties[0].count = each * producers;
  for (int i = 1; i <= producers; i++) {
    parties[i] = (party){.script = producer, .out = &lists[0], .count = each};
  }
  for (int i = 0; i <= producers; i++) {
    parties[i].payloads = payloads;
    parties[i].name = name;
  }
  spin = 200;
  double seconds = measure(parties, producers + 1);
  bench_print((double)(each * producers) * number_of(payloads, name, 3) /
              seconds);
}

static void call(const char *payloads, const char *name, int outstanding)
{
  char script[1024];
  snprintf(script, sizeof script, "local OUTSTANDING = %d; %s", outstanding,
           asker);
  long count = 20000L * outstanding;
  count = count > 400000 ? 400000 : count;
  party parties[2] = {
      {.script = script, .in = &lists[0], .out = &lists[1], .count = count},
      {.script = answerer, .in = &lists[1], .out = &lists[0], .count = count},
  };
  for (int i = 0; i < 2; i++) {
    parties[i].payloads = payloads;
    parties[i].name = name;
  }
  /* As ours: not where nobody can push meanwhile. */
  cpu_set_t cores;
  sched_getaffinity(0, sizeof cores, &cores);
  spin = CPU_COUNT(&cores) > 1 ? 1024 : 0;
  double seconds = measure(parties, 2);
  bench_print(seconds / (double)count * 1e6);
}

int main(int count, char **arguments)
{
  if (count != 5) {
    fprintf(stderr, "lua_limit send|call PAYLOADS NAME NUMBER\n");
    return BENCH_USAGE;
  }
  list_init(&lists[0]);
  list_init(&lists[1]);
  int number = atoi(arguments[4]);
  if (strcmp(arguments[1], "send") == 0) {
    send(arguments[2], arguments[3], number < 64 ? number : 64);
  } else {
    call(arguments[2], arguments[3], number);
  }
  return 0;
}
