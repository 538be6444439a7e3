/* Match: a pattern against a place of a subject, for pattern.c.

   What was decided on the way stands on a stack of its own, as in a search by
   backtracking: how often an item was taken, which capture was begun.  When an item
   does not fit, the latest decision is taken back.  The stack's size is what makes
   a pattern too complex; and since nothing recurses, each step passes the same
   place, where the budget is. */
#include "lua/strict/match.h"

#include <lauxlib.h>

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* One less than Lua's own calls of itself, of which the first decides nothing. */
#define DECISIONS 199

typedef enum decision_kind {
  TAKEN,  /* an item with "?" was; it could be left out */
  GREEDY, /* an item was taken as often as it fits; it could be less */
  LAZY,   /* an item was taken as seldom as possible; it could be more */
  OPENED, /* a capture began */
  CLOSED  /* a capture ended */
} decision_kind;

typedef struct decision {
  decision_kind kind;
  int capture;      /* that was closed */
  size_t more;      /* times that a greedy item can still be taken less */
  const char *from; /* in the subject: where the choice is */
  const char *item; /* in the pattern: what repeats */
  const char *rest; /* in the pattern: what follows */
} decision;

typedef struct trail {
  const char *s; /* the next byte of the subject */
  const char *p; /* the next item of the pattern */
  int depth;
  decision decisions[DECISIONS];
} trail;

/* ---- One character against one item ---- */

/* Whether a character is in the class of a lower-case letter; negative if no class
   has that name. */
static inline int in_named(int c, int letter)
{
  switch (letter) {
  case 'a':
    return isalpha(c) != 0;
  case 'c':
    return iscntrl(c) != 0;
  case 'd':
    return isdigit(c) != 0;
  case 'g':
    return isgraph(c) != 0;
  case 'l':
    return islower(c) != 0;
  case 'p':
    return ispunct(c) != 0;
  case 's':
    return isspace(c) != 0;
  case 'u':
    return isupper(c) != 0;
  case 'w':
    return isalnum(c) != 0;
  case 'x':
    return isxdigit(c) != 0;
  case 'z': /* of earlier versions */
    return c == 0;
  default:
    return -1;
  }
}

static bool in_class(int c, int class)
{
  int in = in_named(c, tolower(class));
  if (in < 0) {
    return class == c;
  }
  return (in != 0) != (isupper(class) != 0);
}

/* `set` is behind the "[", `last` is its "]". */
static bool in_set(int c, const char *set, const char *last)
{
  bool wanted = true;
  if (*set == '^') {
    wanted = false;
    set++;
  }
  while (set < last) {
    int first = (unsigned char)*set;
    if (first == '%') {
      if (in_class(c, (unsigned char)set[1])) {
        return wanted;
      }
      set += 2;
    } else if (set[1] == '-' && set + 2 < last) {
      if (first <= c && c <= (unsigned char)set[2]) {
        return wanted;
      }
      set += 3;
    } else {
      if (first == c) {
        return wanted;
      }
      set++;
    }
  }
  return !wanted;
}

/* Whether the byte at `s` is one of the item at `p`, which ends before `rest`. */
static inline bool fits(const bridge__matching *m,
                        const char *s,
                        const char *p,
                        const char *rest)
{
  if (s >= m->end) {
    return false;
  }
  switch (*p) {
  case '.':
    return true;
  case '%':
    return in_class((unsigned char)*s, (unsigned char)p[1]);
  case '[':
    return in_set((unsigned char)*s, p + 1, rest - 1);
  default:
    return *p == *s;
  }
}

/* Behind the set whose first character is at `p`.  That one is never its end, and
   neither is one behind a "%". */
static const char *end_of_set(const bridge__matching *m, const char *p)
{
  p += *p == '^';
  do {
    if (p == m->pattern_end) {
      luaL_error(m->L, "malformed pattern (missing ']')");
    }
    bool escape = *p == '%' && p + 1 < m->pattern_end;
    p += escape ? 2 : 1;
  } while (*p != ']');
  return p + 1;
}

/* Behind the character, class or set at `p`. */
static inline const char *end_of_item(const bridge__matching *m, const char *p)
{
  if (*p == '[') {
    return end_of_set(m, p + 1);
  }
  if (*p != '%') {
    return p + 1;
  }
  if (p + 1 == m->pattern_end) {
    luaL_error(m->L, "malformed pattern (ends with '%%')");
  }
  return p + 2;
}

/* ---- Decisions ---- */

static inline decision *decide(bridge__matching *m,
                               trail *t,
                               decision_kind kind)
{
  if (t->depth == DECISIONS) {
    luaL_error(m->L, "pattern too complex");
  }
  decision *d = &t->decisions[t->depth++];
  d->kind = kind;
  d->from = t->s;
  return d;
}

/* Try a decision in another way.  False if there is none, and then it is as if it
   was never taken. */
static inline bool revise(bridge__matching *m, trail *t, decision *d)
{
  switch (d->kind) {
  case TAKEN:
    t->depth--;
    t->s = d->from;
    t->p = d->rest;
    return true;
  case GREEDY:
    if (d->more == 0) {
      return false;
    }
    t->s = d->from + --d->more;
    t->p = d->rest;
    return true;
  case LAZY:
    if (!fits(m, d->from, d->item, d->rest - 1)) {
      return false;
    }
    t->s = ++d->from;
    t->p = d->rest;
    return true;
  case OPENED:
    m->count--;
    return false;
  default:
    m->captures[d->capture].size = BRIDGE__CAPTURE_OPEN;
    return false;
  }
}

static inline bool go_back(bridge__matching *m, trail *t)
{
  while (t->depth > 0) {
    if (revise(m, t, &t->decisions[t->depth - 1])) {
      return true;
    }
    t->depth--;
  }
  return false;
}

/* ---- Items of all kinds: false if it does not fit ---- */

static bool open_capture(bridge__matching *m, trail *t)
{
  bool place = t->p + 1 < m->pattern_end && t->p[1] == ')';
  if (m->count == BRIDGE__CAPTURES) {
    luaL_error(m->L, "too many captures");
  }
  decide(m, t, OPENED);
  m->captures[m->count].begin = t->s;
  m->captures[m->count].size =
      place ? BRIDGE__CAPTURE_PLACE : BRIDGE__CAPTURE_OPEN;
  m->count++;
  t->p += place ? 2 : 1;
  return true;
}

static bool close_capture(bridge__matching *m, trail *t)
{
  int i = m->count - 1;
  while (i >= 0 && m->captures[i].size != BRIDGE__CAPTURE_OPEN) {
    i--;
  }
  if (i < 0) {
    luaL_error(m->L, "invalid pattern capture");
  }
  decide(m, t, CLOSED)->capture = i;
  m->captures[i].size = t->s - m->captures[i].begin;
  t->p++;
  return true;
}

/* "%bxy" */
static bool balance(bridge__matching *m, trail *t)
{
  if (m->pattern_end - t->p < 4) {
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  }
  char open = t->p[2];
  char close = t->p[3];
  if (t->s >= m->end || *t->s != open) {
    return false;
  }
  size_t level = 1;
  for (const char *s = t->s + 1; s < m->end; s++) {
    if (*s == close) {
      level--;
    } else if (*s == open) {
      level++;
    }
    if (level == 0) {
      bridge__matching_spend(m, (size_t)(s - t->s) / 8);
      t->s = s + 1;
      t->p += 4;
      return true;
    }
  }
  bridge__matching_spend(m, (size_t)(m->end - t->s) / 8);
  return false;
}

/* "%f[set]": the ends of the subject count as '\0'. */
static bool frontier(bridge__matching *m, trail *t)
{
  const char *set = t->p + 2;
  if (set >= m->pattern_end || *set != '[') {
    luaL_error(m->L, "missing '[' after '%%f' in pattern");
  }
  const char *rest = end_of_set(m, set + 1);
  int before = t->s == m->begin ? 0 : (unsigned char)t->s[-1];
  int behind = t->s == m->end ? 0 : (unsigned char)*t->s;
  t->p = rest;
  return !in_set(before, set + 1, rest - 1) &&
         in_set(behind, set + 1, rest - 1);
}

/* "%1" */
static bool same_again(bridge__matching *m, trail *t)
{
  int i = t->p[1] - '1';
  if (i < 0 || i >= m->count || m->captures[i].size == BRIDGE__CAPTURE_OPEN) {
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  }
  const bridge__capture *c = &m->captures[i];
  if (c->size == BRIDGE__CAPTURE_PLACE || m->end - t->s < c->size) {
    return false;
  }
  size_t size = (size_t)c->size;
  bridge__matching_spend(m, size / 64);
  if (memcmp(c->begin, t->s, size) != 0) {
    return false;
  }
  t->s += size;
  t->p += 2;
  return true;
}

/* Take an item as often as it fits from `t->s` on. */
static inline void take_all(bridge__matching *m, trail *t, const char *rest)
{
  const char *s = t->s;
  while (fits(m, s, t->p, rest)) {
    s++;
  }
  size_t times = (size_t)(s - t->s);
  bridge__matching_spend(m, times / 8);
  decision *d = decide(m, t, GREEDY);
  d->more = times;
  d->rest = rest + 1;
  t->s = s;
}

/* A character, class or set, with what says how often. */
static inline bool single(bridge__matching *m, trail *t)
{
  const char *rest = end_of_item(m, t->p);
  bool fit = fits(m, t->s, t->p, rest);
  decision *d = NULL;
  switch (rest < m->pattern_end ? *rest : '\0') {
  case '?':
    if (fit) {
      d = decide(m, t, TAKEN);
      d->rest = rest + 1;
      t->s++;
    }
    break;
  case '*':
    if (fit) {
      take_all(m, t, rest);
    }
    break;
  case '+':
    if (!fit) {
      return false;
    }
    t->s++;
    take_all(m, t, rest);
    break;
  case '-':
    if (fit) {
      d = decide(m, t, LAZY);
      d->item = t->p;
      d->rest = rest + 1;
    }
    break;
  default:
    t->s++;
    t->p = rest;
    return fit;
  }
  t->p = rest + 1;
  return true;
}

static inline bool escaped(bridge__matching *m, trail *t)
{
  switch (t->p + 1 < m->pattern_end ? t->p[1] : '\0') {
  case 'b':
    return balance(m, t);
  case 'f':
    return frontier(m, t);
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return same_again(m, t);
  default:
    return single(m, t);
  }
}

static inline bool next_item(bridge__matching *m, trail *t)
{
  switch (*t->p) {
  case '(':
    return open_capture(m, t);
  case ')':
    return close_capture(m, t);
  case '%':
    return escaped(m, t);
  case '$':
    if (t->p + 1 == m->pattern_end) {
      t->p++;
      return t->s == m->end;
    }
    return single(m, t);
  default:
    return single(m, t);
  }
}

const char *bridge__match(bridge__matching *m,
                          const char *subject,
                          const char *pattern)
{
  trail t; /* its decisions are written before they are read */
  t.s = subject;
  t.p = pattern;
  t.depth = 0;
  m->count = 0;
  while (t.p != m->pattern_end) {
    bridge__matching_spend(m, 1);
    if (!next_item(m, &t) && !go_back(m, &t)) {
      return NULL;
    }
  }
  return t.s;
}
