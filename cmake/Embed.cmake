# cmake -Dtext=FILE -Dheader=FILE -Dname=NAME -P Embed.cmake
# Bytes rather than a string literal, which C limits to 4095 characters.
file(READ "${text}" bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(............................................................)"
       "\\1\n" bytes "${bytes}")
file(WRITE "${header}"
"/* Generated from a text of the bridge; changes are lost. */
#include <stddef.h>

static const size_t ${name}_size = ${size};
static const char ${name}[] = {
${bytes}
0};
")
