// Damaged images are refused, or become the same pixels whatever was in memory before: every seed of the fuzzer, cut and
// with changed bytes.  Under the sanitizers, whose heap is another, only crashes are looked for.
#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"
#include "vkdm/image.h"

enum { WIDTH = 31, HEIGHT = 47, BYTES = WIDTH * HEIGHT * 3, WAYS = 4000 };

// With the heap full of `fill`.
static enum vkd_status load(const char *path, int fill, uint8_t *rgb) {
  struct vkd_error err = {0};
  memset(rgb, 0, BYTES);
  mallopt(M_PERTURB, fill);
  enum vkd_status st = image_load(path, WIDTH, HEIGHT, rgb, &err);
  mallopt(M_PERTURB, 0);
  return st;
}

// Gives how many damaged copies were taken.  text: room for a copy.
static int try_damaged(const char *name, const char *data, size_t size, char *text) {
  static uint8_t first[BYTES], second[BYTES];
  int taken = 0;
  rng_state = 0x2545f4914f6cdd1du; // whatever order the folder has
  for (uint32_t way = 0; way < WAYS; way++) {
    memcpy(text, data, size);
    damage_bytes(text, size, way % 15);
    const char *path = target_write("i.png", text, way % 2 ? size : 1 + rng() % size);
    enum vkd_status a = load(path, 0x11, first), b = load(path, 0xee, second);
    CHECK(a == b && memcmp(first, second, BYTES) == 0, "%s, way %u", name, way);
    taken += a == VKD_OK;
  }
  return taken;
}

int main(void) {
  const char *folder = "tests/fuzz/corpus/image";
  struct vkd_error err = {0};
  DIR *dir = opendir(folder);
  CHECK(dir, "%s", folder);
  int taken = 0;
  for (struct dirent *e; dir && (e = readdir(dir));) {
    char *path = fileio_join(folder, e->d_name), *data = NULL, *text = NULL;
    size_t size = 0;
    if (path && fileio_is_file(path)) {
      CHECK(fileio_read_whole(path, 1 << 20, &data, &size, &err) == VKD_OK && size > 0, "%s: %s", path, err.what);
      if (size > 0 && (text = malloc(size))) taken += try_damaged(e->d_name, data, size, text);
    }
    free(text);
    free(data);
    free(path);
  }
  if (dir) closedir(dir);
  CHECK(taken > 1000, "%d damaged images were taken", taken); // or too little was compared
  target_write("i.png", NULL, 0);
  return check_done();
}
