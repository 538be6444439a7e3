/* What scan.c needs besides the bridge: files to scan, and a table of names. */
#ifndef EXAMPLE_SCAN_H
#define EXAMPLE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- files.c: what is below some folders -------------------------------- */

typedef struct file_list {
  char **paths;
  size_t count;
  size_t capacity;
  size_t skipped; /* links, and what is no regular file */
  size_t failed;  /* folders that cannot be listed */
} file_list;

/* Add what is below a folder; false if it is none, or without memory. */
bool files_find(file_list *all, const char *folder);
void files_free(file_list *all);

/* ---- names.c: how often there was what ----------------------------------- */

typedef struct name {
  char *text; /* NULL: nothing here */
  size_t size;
  int64_t count;
} name;

typedef struct names {
  name *slots;
  size_t capacity; /* a power of two */
  size_t count;
} names;

/* False without memory. */
bool names_add(names *table, const char *text, size_t size, int64_t count);
/* Print the most frequent ones; those of one frequency by name. */
void names_print(names *table, size_t most);
void names_free(names *table);

#endif
