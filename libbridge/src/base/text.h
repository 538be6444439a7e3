/* Text that has to fit: its beginning, not cut within a character of UTF-8. */
#ifndef BRIDGE_BASE_TEXT_H
#define BRIDGE_BASE_TEXT_H

#include <stddef.h>
#include <string.h>

/* How many of these bytes to keep if there is room for `most`. */
static inline size_t bridge__text_fit(const char *text,
                                      size_t size,
                                      size_t most)
{
  size_t kept = size;
  if (size > most) {
    kept = most;
    while (kept > 0 && most - kept < 3 &&
           ((unsigned char)text[kept] & 0xC0) == 0x80) {
      kept--;
    }
  }
  return kept;
}

/* As much of the text as fits, and a NUL. */
static inline void bridge__text_copy(char *out,
                                     size_t capacity,
                                     const char *text)
{
  const size_t kept = bridge__text_fit(text, strlen(text), capacity - 1);
  memcpy(out, text, kept);
  out[kept] = '\0';
}

#endif
