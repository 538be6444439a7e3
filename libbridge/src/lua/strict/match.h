/* Patterns of Lua, matched without recursion and with a budget. */
#ifndef BRIDGE_LUA_STRICT_MATCH_H
#define BRIDGE_LUA_STRICT_MATCH_H

#include "lua/guard.h"

#include <lua.h>

#include <stddef.h>

/* As many as Lua's own. */
#define BRIDGE__CAPTURES 32
/* Items looked at between two polls. */
#define BRIDGE__STEPS 1024

/* Sizes of captures that have none. */
enum {
  BRIDGE__CAPTURE_OPEN = -1, /* "(" was met, ")" not yet */
  BRIDGE__CAPTURE_PLACE = -2 /* "()" */
};

typedef struct bridge__capture {
  const char *begin;
  ptrdiff_t size;
} bridge__capture;

typedef struct bridge__matching {
  lua_State *L;
  const char *begin; /* of the subject */
  const char *end;
  const char *pattern_end;
  size_t budget; /* until the next poll; never 0 */
  int count;     /* of captures */
  bridge__capture captures[BRIDGE__CAPTURES];
} bridge__matching;

static inline void bridge__matching_init(bridge__matching *m,
                                         lua_State *L,
                                         const char *subject,
                                         size_t size,
                                         const char *pattern_end)
{
  m->L = L;
  m->begin = subject;
  m->end = subject + size;
  m->pattern_end = pattern_end;
  m->budget = BRIDGE__STEPS;
  m->count = 0;
}

/* Account for work that was done.  May raise. */
static inline void bridge__matching_spend(bridge__matching *m, size_t steps)
{
  if (steps < m->budget) {
    m->budget -= steps;
  } else {
    m->budget = BRIDGE__STEPS;
    bridge__poll(m->L);
  }
}

/* Where a match that begins at `subject` ends, or NULL.  Raises for a malformed
   pattern, when it comes to where it is malformed. */
const char *bridge__match(bridge__matching *m,
                          const char *subject,
                          const char *pattern);

#endif
