/* Pattern: the functions of `string` whose work has no bound: those that take a
   pattern, and rep.  match.c does the matching. */
#include "lua/strict/match.h"
#include "lua/strict/strict.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* The offset that a script's position means: from 0, and behind the end if it is
   behind the end. */
static size_t offset_of(lua_Integer position, size_t size)
{
  if (position > 0) {
    return (size_t)position - 1;
  }
  if (position == 0 || position < -(lua_Integer)size) {
    return 0;
  }
  return size - (size_t)-position;
}

/* ---- Captures ---- */

/* Push capture `i` of a match from `s` to `e`; the first is all of it, where the
   pattern has none. */
static void push_capture(bridge__matching *m,
                         int i,
                         const char *s,
                         const char *e)
{
  lua_State *L = m->L;
  if (i >= m->count) {
    if (i != 0) {
      luaL_error(L, "invalid capture index %%%d", i + 1);
    }
    lua_pushlstring(L, s, (size_t)(e - s));
    return;
  }
  const bridge__capture *c = &m->captures[i];
  if (c->size == BRIDGE__CAPTURE_OPEN) {
    luaL_error(L, "unfinished capture");
  } else if (c->size == BRIDGE__CAPTURE_PLACE) {
    lua_pushinteger(L, c->begin - m->begin + 1);
  } else {
    lua_pushlstring(L, c->begin, (size_t)c->size);
  }
}

/* Push all; `least` is 1 if a pattern without captures has one nevertheless. */
static int push_captures(bridge__matching *m,
                         int least,
                         const char *s,
                         const char *e)
{
  int count = m->count > least ? m->count : least;
  luaL_checkstack(m->L, count, "too many captures");
  for (int i = 0; i < count; i++) {
    push_capture(m, i, s, e);
  }
  return count;
}

/* ---- find, match ---- */

/* Where the text stands in the subject, or NULL. */
static const char *search(bridge__matching *m,
                          const char *s,
                          const char *text,
                          size_t size)
{
  if (size == 0) {
    return s;
  }
  while ((size_t)(m->end - s) >= size) {
    size_t room = (size_t)(m->end - s) - size + 1;
    room = room < BRIDGE__PIECE ? room : BRIDGE__PIECE;
    const char *first = memchr(s, *text, room);
    bridge__matching_spend(m, 1 + room / 1024);
    if (first == NULL) {
      s += room;
      continue;
    }
    if (memcmp(first, text, size) == 0) {
      return first;
    }
    bridge__matching_spend(m, size / 64);
    s = first + 1;
  }
  return NULL;
}

/* Whether nothing in a pattern, which may contain NULs, is special. */
static bool is_plain(const char *pattern, size_t size)
{
  const char *end = pattern + size;
  const char *p = pattern;
  for (;;) {
    p += strcspn(p, "^$*+?.([%-");
    if (p >= end) {
      return true;
    }
    if (*p != '\0') {
      return false;
    }
    p++;
  }
}

static int find_plain(bridge__matching *m,
                      const char *s,
                      const char *text,
                      size_t size)
{
  const char *found = search(m, s, text, size);
  if (found == NULL) {
    luaL_pushfail(m->L);
    return 1;
  }
  lua_pushinteger(m->L, found - m->begin + 1);
  lua_pushinteger(m->L, found - m->begin + (lua_Integer)size);
  return 2;
}

/* Try the pattern at each place from `*s` on; where it matches, `*s` is. */
static const char *match_from(bridge__matching *m,
                              const char **s,
                              const char *pattern)
{
  bool anchored = *pattern == '^' && pattern < m->pattern_end;
  pattern += anchored;
  do {
    const char *e = bridge__match(m, *s, pattern);
    if (e != NULL) {
      return e;
    }
    bridge__matching_spend(m, 1);
  } while ((*s)++ < m->end && !anchored);
  return NULL;
}

static int find_or_match(lua_State *L, bool find)
{
  bridge__poll(L);
  size_t size = 0;
  size_t pattern_size = 0;
  const char *subject = luaL_checklstring(L, 1, &size);
  const char *pattern = luaL_checklstring(L, 2, &pattern_size);
  size_t start = offset_of(luaL_optinteger(L, 3, 1), size);
  if (start > size) {
    luaL_pushfail(L);
    return 1;
  }
  bridge__matching m;
  bridge__matching_init(&m, L, subject, size, pattern + pattern_size);
  const char *s = subject + start;
  if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_size))) {
    return find_plain(&m, s, pattern, pattern_size);
  }
  const char *e = match_from(&m, &s, pattern);
  if (e == NULL) {
    luaL_pushfail(L);
    return 1;
  }
  if (!find) {
    return push_captures(&m, 1, s, e);
  }
  lua_pushinteger(L, s - subject + 1);
  lua_pushinteger(L, e - subject);
  return push_captures(&m, 0, s, e) + 2;
}

static int strict_find(lua_State *L)
{
  return find_or_match(L, true);
}

static int strict_match(lua_State *L)
{
  return find_or_match(L, false);
}

/* ---- gmatch ---- */

/* Kept in a block of the iterator's, with the strings that it points into. */
typedef struct walk {
  const char *subject;
  size_t size;
  const char *pattern;
  size_t pattern_size;
  const char *next; /* where to look */
  const char *last; /* where the latest match ended; NULL before the first */
} walk;

static int next_match(lua_State *L)
{
  bridge__poll(L);
  walk *w = lua_touserdata(L, lua_upvalueindex(3));
  bridge__matching m;
  bridge__matching_init(&m, L, w->subject, w->size,
                        w->pattern + w->pattern_size);
  for (const char *s = w->next; s <= m.end; s++) {
    const char *e = bridge__match(&m, s, w->pattern);
    if (e != NULL && e != w->last) {
      w->next = e;
      w->last = e;
      return push_captures(&m, 1, s, e);
    }
    bridge__matching_spend(&m, 1);
  }
  return 0;
}

static int strict_gmatch(lua_State *L)
{
  bridge__poll(L);
  size_t size = 0;
  size_t pattern_size = 0;
  const char *subject = luaL_checklstring(L, 1, &size);
  const char *pattern = luaL_checklstring(L, 2, &pattern_size);
  size_t start = offset_of(luaL_optinteger(L, 3, 1), size);
  lua_settop(L, 2);
  walk *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (walk){subject, size, pattern, pattern_size, NULL, NULL};
  w->next = subject + (start > size ? size + 1 : start);
  lua_pushcclosure(L, next_match, 3);
  return 1;
}

/* ---- gsub ---- */

/* What replaces. */
typedef struct substitution {
  luaL_Buffer buffer;
  size_t most; /* bytes of the result; 0 for no limit */
  size_t made; /* bytes so far */
  int type;    /* of the replacement, which is argument 3 */
  const char *text;
  size_t size;
} substitution;

static void add(bridge__matching *m,
                substitution *r,
                const char *bytes,
                size_t size)
{
  r->made += size;
  bridge__strict_check(m->L, r->made, r->most);
  bridge__matching_spend(m, size / 1024);
  luaL_addlstring(&r->buffer, bytes, size);
}

/* What is on top of the stack. */
static void add_value(bridge__matching *m, substitution *r)
{
  r->made += lua_rawlen(m->L, -1); /* of a string; a number is short */
  bridge__strict_check(m->L, r->made, r->most);
  luaL_addvalue(&r->buffer);
}

/* Capture `i`, which replaces. */
static void add_capture(
    bridge__matching *m, substitution *r, int i, const char *s, const char *e)
{
  if (i < m->count && m->captures[i].size >= 0) {
    add(m, r, m->captures[i].begin, (size_t)m->captures[i].size);
  } else if (m->count == 0 && i == 0) {
    add(m, r, s, (size_t)(e - s));
  } else {
    push_capture(m, i, s, e); /* a place, or an error */
    add_value(m, r);
  }
}

/* Behind a "%" of the replacement. */
static void add_escaped(
    bridge__matching *m, substitution *r, char c, const char *s, const char *e)
{
  if (c == '%') {
    add(m, r, &c, 1);
  } else if (c == '0') {
    add(m, r, s, (size_t)(e - s));
  } else if (c >= '1' && c <= '9') {
    add_capture(m, r, c - '1', s, e);
  } else {
    luaL_error(m->L, "invalid use of '%%' in replacement string");
  }
}

static void add_text(bridge__matching *m,
                     substitution *r,
                     const char *s,
                     const char *e)
{
  const char *p = r->text;
  const char *end = p + r->size;
  while (p < end) {
    const char *escape = memchr(p, '%', (size_t)(end - p));
    const char *stop = escape == NULL ? end : escape;
    add(m, r, p, (size_t)(stop - p));
    if (escape == NULL) {
      return;
    }
    add_escaped(m, r, escape[1], s, e); /* a NUL is behind the end */
    p = escape + 2;
  }
}

/* Whether the match from `s` to `e` is replaced by something else. */
static bool replace(bridge__matching *m,
                    substitution *r,
                    const char *s,
                    const char *e)
{
  lua_State *L = m->L;
  if (r->type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(m, 1, s, e), 1);
  } else if (r->type == LUA_TTABLE) {
    push_capture(m, 0, s, e);
    lua_gettable(L, 3);
  } else {
    add_text(m, r, s, e);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    add(m, r, s, (size_t)(e - s));
    return false;
  }
  if (!lua_isstring(L, -1)) {
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  }
  add_value(m, r);
  return true;
}

/* The loop of gsub; returns how many matches there were. */
static lua_Integer replace_all(bridge__matching *m,
                               substitution *r,
                               const char *pattern,
                               lua_Integer most,
                               bool *changed)
{
  bool anchored = *pattern == '^' && pattern < m->pattern_end;
  pattern += anchored;
  const char *s = m->begin;
  const char *last = NULL;
  lua_Integer count = 0;
  while (count < most) {
    const char *e = bridge__match(m, s, pattern);
    bridge__matching_spend(m, 1);
    if (e != NULL && e != last) {
      count++;
      *changed = replace(m, r, s, e) || *changed;
      s = last = e;
    } else if (s < m->end) {
      luaL_addchar(&r->buffer, *s);
      r->made++;
      s++;
    } else {
      break;
    }
    if (anchored) {
      break;
    }
  }
  if (*changed) {
    add(m, r, s, (size_t)(m->end - s));
  }
  return count;
}

static int strict_gsub(lua_State *L)
{
  bridge__poll(L);
  size_t size = 0;
  size_t pattern_size = 0;
  const char *subject = luaL_checklstring(L, 1, &size);
  const char *pattern = luaL_checklstring(L, 2, &pattern_size);
  substitution r;
  r.type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)size + 1);
  luaL_argexpected(L,
                   r.type == LUA_TNUMBER || r.type == LUA_TSTRING ||
                       r.type == LUA_TFUNCTION || r.type == LUA_TTABLE,
                   3, "string/function/table");
  r.most = bridge__strict_most(L);
  r.made = 0;
  if (r.type == LUA_TNUMBER || r.type == LUA_TSTRING) {
    r.text = lua_tolstring(L, 3, &r.size);
  }
  bridge__matching m;
  bridge__matching_init(&m, L, subject, size, pattern + pattern_size);
  luaL_buffinit(L, &r.buffer);
  bool changed = false;
  lua_Integer count = replace_all(&m, &r, pattern, most, &changed);
  if (changed) {
    luaL_pushresult(&r.buffer);
  } else {
    lua_pushvalue(L, 1); /* the buffer's block, if any, is below */
  }
  lua_pushinteger(L, count);
  return 2;
}

/* ---- rep ---- */

static void copy(lua_State *L, char *to, const char *from, size_t size)
{
  while (size > BRIDGE__PIECE) {
    memcpy(to, from, BRIDGE__PIECE);
    to += BRIDGE__PIECE;
    from += BRIDGE__PIECE;
    size -= BRIDGE__PIECE;
    bridge__poll(L);
  }
  memcpy(to, from, size);
}

/* Fill the rest with what is at the beginning, by ever larger pieces of it. */
static void fill(lua_State *L, char *bytes, size_t unit, size_t total)
{
  size_t done = unit;
  while (done < total) {
    size_t piece = done < BRIDGE__PIECE ? done : BRIDGE__PIECE / unit * unit;
    piece = piece == 0 ? unit : piece; /* which is larger than a piece */
    piece = piece < total - done ? piece : total - done;
    copy(L, bytes + done, bytes, piece);
    done += piece;
    bridge__poll(L);
  }
}

static int strict_rep(lua_State *L)
{
  bridge__poll(L);
  size_t size = 0;
  size_t between = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer times = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &between);
  if (times <= 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  size_t unit = size + between;
  if (unit < size || unit > (size_t)INT_MAX / (size_t)times) {
    return luaL_error(L, "resulting string too large");
  }
  size_t total = (size_t)times * unit - between;
  bridge__strict_check(L, total, bridge__strict_most(L));
  luaL_Buffer buffer;
  char *bytes = luaL_buffinitsize(L, &buffer, total);
  copy(L, bytes, text, size);
  if (times > 1) {
    copy(L, bytes + size, separator, between);
    fill(L, bytes, unit, total);
  }
  luaL_pushresultsize(&buffer, total);
  return 1;
}

/* ---- Long texts ---- */

void bridge__strict_add(luaL_Buffer *buffer, const char *bytes, size_t size)
{
  while (size > BRIDGE__PIECE) {
    luaL_addlstring(buffer, bytes, BRIDGE__PIECE);
    bytes += BRIDGE__PIECE;
    size -= BRIDGE__PIECE;
    bridge__poll(buffer->L);
  }
  luaL_addlstring(buffer, bytes, size);
}

const luaL_Reg bridge__strict_string[] = {
    {"find", strict_find},   {"gmatch", strict_gmatch}, {"gsub", strict_gsub},
    {"match", strict_match}, {"rep", strict_rep},       {NULL, NULL}};
