// "Did you mean ...?": the known name that is closest to a mistyped one.
#ifndef VKD_NEAREST_H
#define VKD_NEAREST_H

#include <stddef.h>

// Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string alignment), letter
// case ignored. Only the first 63 bytes of each are looked at.
int vkd_edit_distance(const char *a, const char *b);

// For names that do not lie in one array: start with {.name = typed}, offer every candidate, read best (NULL: none is
// close enough).
struct vkd_nearest {
  const char *name, *best;
  int distance;
};
void vkd_nearest_offer(struct vkd_nearest *nearest, const char *candidate);

// The closest of names[n], the earlier one on a tie; NULL where none is within 2 edits (1 for a name of one or two
// letters, a third of the length for one longer than 8).
const char *vkd_nearest_name(const char *name, const char *const *names, size_t n);

#endif
