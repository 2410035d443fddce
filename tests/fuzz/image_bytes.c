// Damaged images are refused, or become the same pixels whatever was in memory before: every seed of the fuzzer, cut and
// with changed bytes.
#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"
#include "vkdm/image.h"

enum { WIDTH = 31, HEIGHT = 47, BYTES = WIDTH * HEIGHT * 3, WAYS = 4000 };

static uint32_t state = 5;
static uint32_t next_random(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

// What is taken from the heap is filled with `fill`, where the C library can do that.
static enum vkd_status load(const char *path, int fill, uint8_t *rgb) {
  struct vkd_error err = {0};
  mallopt(M_PERTURB, fill);
  enum vkd_status st = image_load(path, WIDTH, HEIGHT, rgb, &err);
  mallopt(M_PERTURB, 0);
  return st;
}

int main(void) {
  const char *folder = "tests/fuzz/corpus/image";
  struct vkd_error err = {0};
  DIR *dir = opendir(folder);
  CHECK(dir, "%s", folder);
  int taken = 0;
  for (struct dirent *e; dir && (e = readdir(dir));) {
    char *path = fileio_join(folder, e->d_name), *data = NULL;
    size_t size = 0;
    if (path && fileio_is_file(path) && fileio_read_whole(path, 1 << 20, &data, &size, &err) == VKD_OK) {
      for (int way = 0; way < WAYS; way++) {
        uint8_t *copy = malloc(size), *first = calloc(BYTES, 1), *second = calloc(BYTES, 1);
        size_t keep = way % 2 ? size : 1 + next_random() % size;
        if (!copy || !first || !second) return 1;
        memcpy(copy, data, size);
        for (int k = 0; k < way % 15; k++) copy[next_random() % size] = (uint8_t)next_random();
        const char *file = target_write("i.png", copy, keep);
        enum vkd_status a = load(file, 0x11, first), b = load(file, 0xee, second);
        CHECK(a == b && memcmp(first, second, BYTES) == 0, "%s, way %d", path, way);
        taken += a == VKD_OK;
        free(copy);
        free(first);
        free(second);
      }
    }
    free(data);
    free(path);
  }
  if (dir) closedir(dir);
  CHECK(taken > 1000, "%d damaged images were taken", taken); // or nothing was compared
  target_write("i.png", NULL, 0);
  return check_done();
}
