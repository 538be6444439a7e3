/* Feed: hands a text to Lua's compiler in small pieces, and polls between them.

   To compile takes longer than in proportion to the text: each name is looked up
   among all variables around it, and a text of one mebibyte can be made to take
   minutes.  So a script that is to stop, or whose time is over, does so here. */
#ifndef BRIDGE_LUA_FEED_H
#define BRIDGE_LUA_FEED_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

/* A text up to so many bytes is compiled in no time, whatever it says. */
#define BRIDGE__FEED_FREE 4096

typedef struct bridge__feed bridge__feed;
struct bridge__feed {
  const char *text; /* what is left of it */
  size_t size;
  /* Makes more of it, or leaves it empty; NULL if this was all.  May raise. */
  void (*more)(lua_State *L, bridge__feed *feed);
  /* Of the feed: it was a poll that raised. */
  bool obeyed;
};

/* lua_load.  Runs in a slice, else nobody can stop it. */
int bridge__feed_load(lua_State *L,
                      bridge__feed *feed,
                      const char *name,
                      const char *mode);

#endif
