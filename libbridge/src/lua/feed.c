/* Feed: between a text and Lua's compiler. */
#include "lua/feed.h"

#include "lua/guard.h"

/* Bytes between two polls: the names in them are looked up in some milliseconds at
   worst, and Lua reads them in a hundred nanoseconds at best. */
#define STEP ((size_t)64)

static const char *read(lua_State *L, void *user, size_t *size)
{
  bridge__feed *feed = user;
  feed->obeyed = true;
  bridge__poll(L);
  feed->obeyed = false;
  if (feed->size == 0 && feed->more != NULL) {
    feed->more(L, feed);
  }
  const char *piece = feed->text;
  *size = feed->size < STEP ? feed->size : STEP;
  feed->text += *size;
  feed->size -= *size;
  return piece;
}

int bridge__feed_load(lua_State *L,
                      bridge__feed *feed,
                      const char *name,
                      const char *mode)
{
  feed->obeyed = false;
  return lua_load(L, read, feed, name, mode);
}
