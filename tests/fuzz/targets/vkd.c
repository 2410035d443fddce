// What opens has labels, splits and names within bounds, and its clips are read or refused.
#include <string.h>

#include "../../../model/vkd_format.h"
#include "targets.h"
#include "vkd/bytes.h"
#include "vkd/hash.h"
#include "vkdm/data.h"

static void check_index(const struct dataset *d) {
  const struct dataset_info *info = dataset_get_info(d);
  for (int s = 0; s < DATA_SPLITS; s++)
    for (uint32_t k = 0; k < info->split_clips[s]; k++) {
      const struct dataset_clip clip = dataset_get_clip(d, dataset_split_clip(d, (enum data_split)s, k));
      HOLDS(clip.split == (enum data_split)s && clip.label < (int64_t)info->classes, "index");
    }
  for (uint32_t c = 0; c < info->classes; c++) HOLDS(info->class_names[c], "class %u has no name", c);
}

bool target_vkd_as_is(const uint8_t *data, size_t size, bool *opened) {
  const char *path = target_write("f.vkd", data, size);
  struct vkd_error err = {0};
  struct dataset *d = NULL;
  enum vkd_status st = dataset_open(path, &d, &err);
  if (opened) *opened = st == VKD_OK;
  if (st == VKD_OK) {
    const struct dataset_info *info = dataset_get_info(d);
    check_index(d);
    // larger ones only cost time
    if (vkd_clip_raw_bytes(&info->codec) * info->clips < 1 << 20) st = dataset_verify(d, &err);
  }
  if (st != VKD_OK) target_refused(st, &err, path, false);
  dataset_close(&d);
  return st == VKD_OK;
}

// Makes the checksums fit what stands there: of clips, tables and header.
static void mend(uint8_t *data, size_t size) {
  put_u64(data + 16, size);
  const uint64_t tables = get_u64(data + 24), entries = tables + 8 * (uint64_t)get_u32(data + 72);
  if (tables <= size) {
    for (uint64_t i = 0; i < get_u32(data + 48) && entries + (i + 1) * VKD_CLIP_BYTES <= size; i++) {
      uint8_t *entry = data + entries + i * VKD_CLIP_BYTES;
      const uint64_t at = get_u64(entry), stored = get_u64(entry + 8);
      if (at <= size && stored <= size - at) put_u64(entry + 24, hash_xxh64(data + at, (size_t)stored, 0));
    }
    put_u64(data + 40, hash_xxh64(data + tables, size - (size_t)tables, 0));
  }
  put_u64(data + 120, hash_xxh64(data, 120, 0));
}

bool target_vkd(const uint8_t *data, size_t size) {
  if (target_vkd_as_is(data, size, NULL)) return true;
  if (size < VKD_HEADER_BYTES) return false;
  uint8_t *copy = malloc(size);
  HOLDS(copy, "no memory");
  memcpy(copy, data, size);
  mend(copy, size);
  bool taken = target_vkd_as_is(copy, size, NULL);
  free(copy);
  return taken;
}
