// What opens can be found and read through, and is no more than the file.
#include <string.h>

#include "targets.h"
#include "vkdm/safetensors.h"

static void read_through(const struct st_tensor *t) {
  static float floats[64];
  static int32_t ints[64];
  for (uint64_t at = 0; at < t->numel; at += 64) {
    uint64_t n = t->numel - at < 64 ? t->numel - at : 64;
    enum vkd_status f = st_read_f32_part(t, at, n, floats, NULL), k = st_read_i32_part(t, at, n, ints, NULL);
    HOLDS((!f || f == VKD_ERR_DTYPE || f == VKD_ERR_INPUT) && (!k || k == VKD_ERR_DTYPE || k == VKD_ERR_INPUT),
          "read of %s", t->name);
  }
}

static bool try_bytes(const uint8_t *data, size_t size) {
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  const char *path = target_write("t.safetensors", data, size), *key, *value;
  enum vkd_status st = st_open(path, &file, &err);
  if (st != VKD_OK) {
    HOLDS(!file, "a result beside an error");
    target_refused(st, &err, path, false);
    return false;
  }
  uint64_t total = 0;
  for (size_t i = 0; i < st_count(file); i++) {
    const struct st_tensor *t = st_at(file, i);
    total += t->size;
    HOLDS(st_find(file, t->name) == t, "%s is not found by its name", t->name);
    read_through(t);
  }
  HOLDS(total <= size, "%llu bytes of tensors in a file of %zu", (unsigned long long)total, size);
  for (size_t i = 0; i < st_metadata_count(file); i++) {
    st_metadata_at(file, i, &key, &value);
    HOLDS(st_metadata(file, key) == value, "metadata %s is not found by its name", key);
  }
  st_close(&file);
  return true;
}

bool target_safetensors(const uint8_t *data, size_t size) {
  if (try_bytes(data, size)) return true;
  uint8_t *mended = target_mend_safetensors(data, size);
  bool taken = mended && try_bytes(mended, size);
  free(mended);
  return taken;
}
