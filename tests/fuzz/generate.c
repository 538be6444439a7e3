/* A fuzzer without coverage, for every compiler: makes well-formed values by a
   fixed seed, spoils them, and tries both.  With arguments it tries these files,
   such as a crash that libFuzzer found. */
#include "message_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ROUNDS = 20000,
  SPOILED = 8, /* inputs made of each well-formed one */
  ROOM = 4096
};

/* Input in the making. */
typedef struct input {
  uint8_t bytes[ROOM];
  size_t size;
} input;

/* xorshift64*: the same numbers on every machine. */
static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next_number(void)
{
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}

static size_t below(size_t limit)
{
  return (size_t)(next_number() >> 33) % limit;
}

static void put(input *in, unsigned byte)
{
  if (in->size < ROOM) {
    in->bytes[in->size++] = (uint8_t)byte;
  }
}

static void put_number(input *in, uint64_t number, unsigned width)
{
  for (unsigned i = width; i > 0; i--) {
    put(in, (unsigned)(number >> 8 * (i - 1) & 0xff));
  }
}

static void put_noise(input *in, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    put(in, (unsigned)below(256));
  }
}

/* ---- Well-formed values ---- */

static void put_scalar(input *in)
{
  static const uint8_t heads[] = {0xc0, 0xc2, 0xc3, 0xca, 0xcb, 0xcc, 0xcd,
                                  0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3};
  static const uint8_t widths[] = {0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
  size_t which = below(sizeof heads + 1);
  if (which == sizeof heads) {
    put(in, (unsigned)(below(160) + 0xe0) & 0xff); /* a small integer */
    return;
  }
  put(in, heads[which]);
  put_noise(in, widths[which]);
}

static void put_bytes(input *in)
{
  static const uint8_t heads[] = {0xd9, 0xda, 0xdb, 0xc4, 0xc5, 0xc6};
  size_t size = below(40);
  size_t which = below(sizeof heads + 1);
  if (which == sizeof heads) {
    size %= 32;
    put(in, 0xa0 + (unsigned)size);
  } else {
    put(in, heads[which]);
    put_number(in, size, 1u << which % 3);
  }
  put_noise(in, size);
}

static void put_extension(input *in)
{
  unsigned width = (unsigned)below(3);
  size_t size = below(20);
  put(in, 0xc7 + width);
  put_number(in, size, 1u << width);
  put(in, (unsigned)(below(240) + 16));
  put_noise(in, size);
}

/* Null, which may come from anywhere; and objects, which may not. */
static void put_own(input *in)
{
  put(in, 0xc7);
  if (below(4) > 0) {
    put(in, 0);
    put(in, 6);
    return;
  }
  put(in, 4);
  put(in, 7 + (unsigned)below(2));
  put(in, 0x93);
  put(in, 0xa0);
  put(in, 0xc0);
  put(in, 0x90);
}

static void put_reference(input *in)
{
  if (below(2) == 0) {
    put_own(in);
    return;
  }
  put(in, 0xd4);
  put(in, 1);
  put(in, (unsigned)below(3));
}

/* Returns how many values must follow. */
static size_t put_container(input *in)
{
  size_t map = below(2);
  size_t count = below(6);
  unsigned width = (unsigned)below(3);
  if (width == 0) {
    put(in, (map ? 0x80 : 0x90) + (unsigned)count);
  } else {
    put(in, (map ? 0xde : 0xdc) + width - 1);
    put_number(in, count, width * 2);
  }
  return count * (map + 1);
}

/* Now and then, a deep one. */
static void put_nest(input *in, size_t depth)
{
  for (size_t i = 0; i < depth; i++) {
    put(in, 0x91);
  }
}

static void make(input *in)
{
  in->size = 0;
  if (below(50) == 0) {
    put_nest(in, 995 + below(10));
  }
  size_t pending = 1 + below(4);
  while (pending > 0 && in->size < ROOM / 2) {
    pending--;
    switch (below(6)) {
    case 0:
      put_bytes(in);
      break;
    case 1:
      put_extension(in);
      break;
    case 2:
      put_reference(in);
      break;
    case 3:
    case 4:
      pending += put_container(in);
      break;
    default:
      put_scalar(in);
      break;
    }
  }
}

/* ---- Spoiled ones ---- */

static void cut_out(input *in, size_t at, size_t size)
{
  if (size > in->size - at) {
    size = in->size - at;
  }
  memmove(in->bytes + at, in->bytes + at + size, in->size - at - size);
  in->size -= size;
}

static void double_part(input *in, size_t at, size_t size)
{
  if (size > in->size - at) {
    size = in->size - at;
  }
  if (in->size + size <= ROOM) {
    memmove(in->bytes + at + size, in->bytes + at, in->size - at);
    in->size += size;
  }
}

static void spoil(input *in)
{
  if (in->size == 0) {
    return;
  }
  size_t at = below(in->size);
  switch (below(6)) {
  case 0:
    in->bytes[at] = (uint8_t)below(256);
    break;
  case 1:
    in->bytes[at] = (uint8_t)(0xc0 + below(32)); /* another header */
    break;
  case 2:
    in->bytes[at] ^= (uint8_t)(1u << below(8));
    break;
  case 3:
    in->size = at;
    break;
  case 4:
    cut_out(in, at, 1 + below(4));
    break;
  default:
    double_part(in, at, 1 + below(8));
    break;
  }
}

/* A copy that ends where the input ends, so that a sanitizer sees each byte too
   many. */
static void try_input(const uint8_t *bytes, size_t size)
{
  uint8_t *copy = malloc(size == 0 ? 1 : size);
  if (copy == NULL) {
    fprintf(stderr, "generate: no memory\n");
    exit(1);
  }
  memcpy(copy, bytes, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static int try_file(const char *path)
{
  static uint8_t bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  try_input(bytes, size);
  return 0;
}

static int try_generated(void)
{
  static input whole;
  static input spoiled;
  unsigned long tried = 0;
  for (int round = 0; round < ROUNDS; round++) {
    make(&whole);
    try_input(whole.bytes, whole.size);
    tried++;
    for (int i = 0; i < SPOILED; i++) {
      spoiled = whole;
      for (size_t times = 1 + below(3); times > 0; times--) {
        spoil(&spoiled);
      }
      try_input(spoiled.bytes, spoiled.size);
      tried++;
    }
  }
  printf("%lu inputs, %lu well-formed\n", tried, fuzz_taken);
  /* Else only the way to a refusal was tried. */
  return fuzz_taken > tried / 20 && fuzz_taken < tried ? 0 : 1;
}

int main(int count, char **arguments)
{
  if (count == 1) {
    return try_generated();
  }
  int result = 0;
  for (int i = 1; i < count; i++) {
    result |= try_file(arguments[i]);
  }
  return result;
}
