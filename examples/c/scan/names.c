/* Adds up the identifiers that the workers of scan.c have counted: a hash table
   with open addressing. */
#include "scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CAPACITY = 4096
};

static uint64_t hash(const char *text, size_t size)
{
  uint64_t sum = 14695981039346656037u;
  for (size_t i = 0; i < size; i++) {
    sum = (sum ^ (unsigned char)text[i]) * 1099511628211u;
  }
  return sum;
}

/* Where the name is, or would be. */
static name *find(const names *table, const char *text, size_t size)
{
  size_t mask = table->capacity - 1;
  size_t at = (size_t)hash(text, size) & mask;
  for (;;) {
    name *slot = &table->slots[at];
    if (slot->text == NULL ||
        (slot->size == size && memcmp(slot->text, text, size) == 0)) {
      return slot;
    }
    at = (at + 1) & mask;
  }
}

static bool grow(names *table)
{
  size_t capacity = table->capacity == 0 ? CAPACITY : table->capacity * 2;
  names larger = {calloc(capacity, sizeof(name)), capacity, table->count};
  if (larger.slots == NULL) {
    return false;
  }
  for (size_t i = 0; i < table->capacity; i++) {
    const name *old = &table->slots[i];
    if (old->text != NULL) {
      *find(&larger, old->text, old->size) = *old;
    }
  }
  free(table->slots);
  *table = larger;
  return true;
}

bool names_add(names *table, const char *text, size_t size, int64_t count)
{
  if (table->count >= table->capacity / 2 && !grow(table)) {
    return false;
  }
  name *slot = find(table, text, size);
  if (slot->text == NULL) {
    char *copy = malloc(size + 1);
    if (copy == NULL) {
      return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    *slot = (name){copy, size, 0};
    table->count++;
  }
  slot->count += count;
  return true;
}

/* Those that are most frequent first, then by name; empty slots last. */
static int compare(const void *left, const void *right)
{
  const name *a = left;
  const name *b = right;
  if (a->text == NULL || b->text == NULL) {
    return (a->text == NULL) - (b->text == NULL);
  }
  if (a->count != b->count) {
    return a->count < b->count ? 1 : -1;
  }
  return strcmp(a->text, b->text);
}

void names_print(names *table, size_t most)
{
  printf("\n%zu different identifier%s", table->count,
         table->count == 1 ? "" : "s");
  puts(table->count == 0 ? "" : "; the most frequent:");
  if (table->count == 0) {
    return;
  }
  /* Sorting ends its use as a hash table. */
  qsort(table->slots, table->capacity, sizeof(name), compare);
  for (size_t i = 0; i < most && i < table->count; i++) {
    printf("  %-24s %9" PRId64 "\n", table->slots[i].text,
           table->slots[i].count);
  }
}

void names_free(names *table)
{
  for (size_t i = 0; i < table->capacity; i++) {
    free(table->slots[i].text);
  }
  free(table->slots);
  *table = (names){0};
}
