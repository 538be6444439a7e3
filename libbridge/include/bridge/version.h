#ifndef BRIDGE_VERSION_H
#define BRIDGE_VERSION_H

#include <bridge/export.h>

BRIDGE_BEGIN_DECLS

/* The build reads the version from here. */
#define BRIDGE_VERSION_MAJOR 0
#define BRIDGE_VERSION_MINOR 1
#define BRIDGE_VERSION_PATCH 0
#define BRIDGE_VERSION       "0.1.0"

/**
 * The version of the library that runs, which may be newer than the headers.
 *
 * @return "major.minor.patch"; static
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_version(void);

BRIDGE_END_DECLS

#endif /* BRIDGE_VERSION_H */
