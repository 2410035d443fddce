#include "vkd/nearest.h"

#include <ctype.h>
#include <string.h>

enum { MAX_LENGTH = 63 };

static int min_int(int a, int b) { return a < b ? a : b; }
static int fold(char c) { return tolower((unsigned char)c); }
static size_t bounded_length(const char *s) {
  const char *end = memchr(s, 0, MAX_LENGTH);
  return end ? (size_t)(end - s) : MAX_LENGTH;
}

int vkd_edit_distance(const char *a, const char *b) {
  size_t na = bounded_length(a), nb = bounded_length(b);
  int rows[3][MAX_LENGTH + 1];
  int *before = rows[0], *last = rows[1], *row = rows[2];
  for (size_t j = 0; j <= nb; j++) last[j] = (int)j;
  for (size_t i = 1; i <= na; i++) {
    row[0] = (int)i;
    for (size_t j = 1; j <= nb; j++) {
      int change = fold(a[i - 1]) != fold(b[j - 1]);
      row[j] = min_int(min_int(last[j], row[j - 1]) + 1, last[j - 1] + change);
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
        row[j] = min_int(row[j], before[j - 2] + 1);
    }
    int *oldest = before;
    before = last;
    last = row;
    row = oldest;
  }
  return last[nb];
}

void vkd_nearest_offer(struct vkd_nearest *nearest, const char *candidate) {
  size_t length = bounded_length(nearest->name);
  int allowed = length > 8 ? (int)(length / 3) : 2;
  if (length <= 2) allowed = 1;
  int distance = vkd_edit_distance(nearest->name, candidate);
  if (distance > allowed || (nearest->best && distance >= nearest->distance)) return;
  nearest->best = candidate;
  nearest->distance = distance;
}

const char *vkd_nearest_name(const char *name, const char *const *names, size_t n) {
  struct vkd_nearest nearest = {.name = name};
  for (size_t i = 0; i < n; i++) vkd_nearest_offer(&nearest, names[i]);
  return nearest.best;
}
