// Files below a folder, and none outside it: names are taken apart and opened folder by folder, no symbolic link is
// followed, hidden names and ".." are not taken.  Errors are told as "not there".
#ifndef VKDIT_BELOW_H
#define VKDIT_BELOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

// A folder or a regular file; the path begins without '/'.  Returns a file descriptor that never blocks, -1: none.
// info: what it is.
int below_open(int folder, const char *path, struct stat *info);

// A regular file's bytes, malloc'd with a 0 after them; NULL: none, or more than `limit`.
char *below_read(int folder, const char *path, size_t limit, size_t *size);

// Whether a name of a folder's entry may be shown: not hidden, no '/'.
bool below_is_shown(const char *name);

#endif
