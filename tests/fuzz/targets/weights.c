// A model in shards: index, config.json, two shards, each a part of the input; a lone part is a single file.
#include <string.h>

#include "targets.h"
#include "vkdm/derive.h"
#include "vkdm/source.h"
#include "vkdm/weights.h"

static void read_through(struct source *s) {
  enum { MOST = 1 << 13 };
  static float values[MOST];
  struct vkd_error err = {0};
  int count;
  const struct dit_param *rows = source_params(s, &count);
  for (int i = 0; i < count; i++) {
    if (rows[i].numel > MOST) continue;
    enum vkd_status st = source_read(s, i, 0, (uint64_t)rows[i].numel, values, &err);
    HOLDS(st == VKD_OK || st == VKD_ERR_INPUT, "read: %s", err.what);
  }
}

static bool try_heads(const char *path, int heads) {
  struct weights *w = NULL;
  struct source *s = NULL;
  struct derived d;
  struct vkd_error err = {0};
  enum vkd_status st = weights_open(&w, path, &err);
  HOLDS(st == VKD_OK || !w, "an error and a result");
  for (size_t i = 0; st == VKD_OK && i < weights_count(w); i++)
    HOLDS(weights_find(w, weights_at(w, i)->name) == weights_at(w, i), "a tensor is not found");
  if (st == VKD_OK) st = derive_model(w, &(struct derive_options){.heads = heads}, &d, &err);
  if (st == VKD_OK) {
    HOLDS(dit_config_check(&d.config, NULL) == VKD_OK && d.config.depth <= 1024, "a configuration out of bounds");
    st = source_open(&s, w, &d.config, &err);
  }
  if (st == VKD_OK)
    read_through(s);
  else
    target_refused(st, &err, target_folder(), false);
  source_close(&s);
  weights_close(&w);
  return st == VKD_OK;
}

static bool try_file(const char *path) { return try_heads(path, 0) || try_heads(path, 2); }

static const char *write_shard(const char *name, const struct target_part *part) {
  uint8_t *mended = part->data ? target_mend_safetensors(part->data, part->size) : NULL;
  const char *path = target_write(name, mended ? mended : part->data, part->size);
  free(mended);
  return path;
}

bool target_weights(const uint8_t *data, size_t size) {
  struct target_part parts[TARGET_PARTS];
  target_split(data, size, parts);
  target_write("config.json", parts[1].data, parts[1].size);
  if (!parts[1].data || !parts[2].data) return try_file(write_shard("m.safetensors", &parts[0]));
  write_shard("shard-0.safetensors", &parts[2]);
  write_shard("shard-1.safetensors", &parts[3]);
  return try_file(target_write("m.safetensors.index.json", parts[0].data, parts[0].size));
}
