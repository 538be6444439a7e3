/* What the build decides about the library itself. */
#ifndef BRIDGE_BASE_CONFIG_H
#define BRIDGE_BASE_CONFIG_H

/* Whether small blocks are kept for the next message.  Builds with a sanitizer
   say 0, so that it sees a block that is used after it was freed. */
#ifndef BRIDGE_RECYCLE
#define BRIDGE_RECYCLE 1
#endif

#endif
