/* Version: of the library that was linked, not of the headers. */
#include <bridge/version.h>

const char *bridge_version(void)
{
  return BRIDGE_VERSION;
}
