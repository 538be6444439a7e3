/* Finds the files that scan.c hands out.  Links are not followed, and only
   regular files are taken, so that no pipe keeps a worker waiting. */
#include "scan.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
  OPEN_FOLDERS = 32
};

static file_list *found; /* nftw has no argument for it */

static bool add(const char *path)
{
  if (found->count == found->capacity) {
    size_t capacity = found->capacity == 0 ? 1024 : found->capacity * 2;
    char **paths = realloc(found->paths, capacity * sizeof *paths);
    if (paths == NULL) {
      return false;
    }
    found->paths = paths;
    found->capacity = capacity;
  }
  char *copy = strdup(path);
  if (copy == NULL) {
    return false;
  }
  found->paths[found->count++] = copy;
  return true;
}

static int visit(const char *path,
                 const struct stat *state,
                 int kind,
                 struct FTW *place)
{
  (void)place;
  switch (kind) {
  case FTW_D:
    return 0;
  case FTW_F:
    if (S_ISREG(state->st_mode)) {
      return add(path) ? 0 : -1;
    }
    found->skipped++;
    return 0;
  case FTW_SL:
    found->skipped++;
    return 0;
  default:
    found->failed++;
    printf("  %s: cannot be looked at\n", path);
    return 0;
  }
}

bool files_find(file_list *all, const char *folder)
{
  char *root = realpath(folder, NULL);
  struct stat state;
  if (root == NULL || stat(root, &state) != 0) {
    perror(folder);
    free(root);
    return false;
  }
  if (!S_ISDIR(state.st_mode)) {
    fprintf(stderr, "%s is not a folder\n", folder);
    free(root);
    return false;
  }
  found = all;
  int failure = nftw(root, visit, OPEN_FOLDERS, FTW_PHYS);
  if (failure != 0) {
    perror(root);
  }
  free(root);
  return failure == 0;
}

void files_free(file_list *all)
{
  for (size_t i = 0; i < all->count; i++) {
    free(all->paths[i]);
  }
  free(all->paths);
  *all = (file_list){0};
}
