// Broken indexes, config.json and weight files of a model: every truncation and random damage end in success or in
// VKD_ERR_INPUT with one line; what is derived is within bounds; no damage makes the readers take much memory.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"
#include "temp.h"
#include "vkdm/derive.h"
#include "vkdm/fileio.h"
#include "vkdm/source.h"
#include "weight_files.h"

static char folder[TEMP_SIZE], index_path[TEMP_SIZE + 48], json_path[TEMP_SIZE + 48], shards[2][TEMP_SIZE + 48];

static const char index_text[] = "{\"metadata\":{\"total_size\":1},\"weight_map\":{%s}}";
static const char config_text[] =
    "{\"_class_name\":\"WanTransformer3DModel\",\"num_attention_heads\":2,\"attention_head_dim\":12,\"eps\":1e-06,"
    "\"qk_norm\":\"rms_norm_across_heads\",\"cross_attn_norm\":true,\"image_dim\":null,\"patch_size\":[1,2,2],"
    "\"in_channels\":2,\"out_channels\":2,\"num_layers\":2,\"ffn_dim\":40,\"text_dim\":9,\"text_len\":3}";

static int opened, derived_well, found, refused;

static void check_error(enum vkd_status st, const struct vkd_error *err, const char *what) {
  refused++;
  CHECK(st == VKD_ERR_INPUT && strstr(err->what, folder) && !strchr(err->what, '\n'), "%s: %s: %s", what,
        vkd_status_name(st), err->what);
}

static void try_all(const char *what) {
  struct weights *w = NULL;
  struct source *s = NULL;
  struct derived d;
  struct vkd_error err = {0};
  enum vkd_status st = weights_open(&w, index_path, &err);
  if (st != VKD_OK) {
    CHECK(!w, "%s: an error and a result", what);
    check_error(st, &err, what);
    return;
  }
  opened++;
  for (size_t i = 0; i < weights_count(w); i++)
    CHECK(weights_find(w, weights_at(w, i)->name) == weights_at(w, i), "%s: a tensor is not found", what);
  st = derive_model(w, &(struct derive_options){.heads = rng() % 4 ? 0 : 2}, &d, &err);
  if (st != VKD_OK) {
    check_error(st, &err, what);
    goto done;
  }
  derived_well++;
  CHECK(dit_config_check(&d.config, NULL) == VKD_OK && d.config.depth <= 1024, "%s: a configuration out of bounds",
        what);
  st = source_open(&s, w, &d.config, &err);
  if (st != VKD_OK) {
    check_error(st, &err, what);
    goto done;
  }
  found++;
  int count;
  const struct dit_param *rows = source_params(s, &count);
  static float values[1 << 13];
  for (int i = 0; i < count; i++) {
    if (rows[i].numel > 1 << 13) continue;
    st = source_read(s, i, 0, (uint64_t)rows[i].numel, values, &err);
    CHECK(st == VKD_OK || st == VKD_ERR_INPUT, "%s: read: %s", what, err.what);
  }
done:
  source_close(&s);
  weights_close(&w);
}

// A few bytes changed, or a value that gives way to another.
static size_t damage(const char *text, size_t size, char *out) {
  static const char *const tokens[] = {"-1",
                                       "0",
                                       "1e999",
                                       "18446744073709551615",
                                       "null",
                                       "[]",
                                       "{}",
                                       "\"\"",
                                       "\"../\"",
                                       "true",
                                       "1e-300",
                                       "7",
                                       "3000000",
                                       "[[[[[[[[",
                                       "\"shard-1.safetensors\"",
                                       "\"\\u0000\"",
                                       "9223372036854775807"};
  size_t at = rng() % size;
  if (rng() % 2) {
    memcpy(out, text, size);
    damage_bytes(out, size, 1 + rng() % 3);
    return rng() % 8 ? size : rng() % size;
  }
  return damage_value(text, size, at, tokens[rng() % (sizeof tokens / sizeof tokens[0])], out);
}

static void damage_text(const char *path, const char *text, size_t size, int rounds, const char *what) {
  char *bad = malloc(size + 64);
  if (!bad) exit(1);
  for (size_t n = 0; n < size; n += 1 + size / 400) {
    damage_write(path, text, n);
    try_all(what);
  }
  for (int i = 0; i < rounds; i++) {
    damage_write(path, bad, damage(text, size, bad));
    try_all(what);
  }
  damage_write(path, text, size);
  free(bad);
}

// The header of a shard, whose length stays right so that the names and shapes are reached.
static void damage_shard(const char *path, int rounds) {
  char *good = NULL;
  size_t size;
  uint64_t length;
  if (fileio_read_whole(path, 1 << 22, &good, &size, NULL)) exit(1);
  memcpy(&length, good, 8);
  char *bad = malloc(size + 64);
  if (!bad) exit(1);
  for (int i = 0; i < rounds; i++) {
    memcpy(bad, good, size);
    if (i % 2) {
      for (uint32_t k = 1 + rng() % 2; k; k--) {
        size_t at = 8 + rng() % length;
        bad[at] = (char)(rng() % 2 && bad[at] >= '0' && bad[at] <= '9' ? '0' + rng() % 10 : rng());
      }
      damage_write(path, bad, size);
    } else {
      uint64_t n = damage(good + 8, length, bad + 8);
      memcpy(bad, &n, 8);
      memcpy(bad + 8 + n, good + 8 + length, size - 8 - length);
      damage_write(path, bad, size - length + n);
    }
    try_all("shard");
  }
  damage_write(path, good, size);
  free(bad);
  free(good);
}

static size_t make_files(char **text) {
  struct weight_file f;
  struct vkd_error err = {0};
  weight_file_make(&f, &small_cross, DIT_NAMING_DIFFUSERS, "", ST_BF16, true, 1);
  char *map = malloc(f.count * 160), *all = malloc(f.count * 160 + sizeof index_text);
  if (!map || !all) exit(1);
  size_t used = 0, half = f.count / 2;
  for (size_t i = 0; i < f.count; i++)
    used +=
        (size_t)sprintf(map + used, "%s\"%s\":\"shard-%d.safetensors\"", i ? "," : "", f.entries[i].name, i >= half);
  int n = sprintf(all, index_text, map);
  CHECK(!st_write(shards[0], f.entries, half, NULL, 0, &err) &&
            !st_write(shards[1], f.entries + half, f.count - half, NULL, 0, &err),
        "%s", err.what);
  damage_write(index_path, all, (size_t)n);
  damage_write(json_path, config_text, sizeof config_text - 1);
  weight_file_free(&f);
  free(map);
  *text = all;
  return (size_t)n;
}

int main(void) {
#ifndef __SANITIZE_ADDRESS__
  // What a file of a few hundred kilobytes may make the readers take: a number that is believed goes beyond it.
  const struct rlimit limit = {256 << 20, 256 << 20};
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
#endif
  temp_folder(folder);
  snprintf(index_path, sizeof index_path, "%s/m.safetensors.index.json", folder);
  snprintf(json_path, sizeof json_path, "%s/config.json", folder);
  for (int i = 0; i < 2; i++) snprintf(shards[i], sizeof shards[i], "%s/shard-%d.safetensors", folder, i);
  char *text = NULL;
  size_t size = make_files(&text);
  try_all("sound");
  CHECK(found == 1, "the sound files are refused");
  damage_text(index_path, text, size, 500, "index");
  damage_text(json_path, config_text, sizeof config_text - 1, 500, "config.json");
  damage_shard(shards[0], 500);
  damage_shard(shards[1], 500);
  try_all("sound");
  CHECK(opened > 300 && derived_well > 25 && found > 25 && refused > 1000,
        "%d opened, %d derived, %d found, %d refused: the damage is of no use", opened, derived_well, found, refused);
  printf("%d opened, %d derived, %d found, %d refused\n", opened, derived_well, found, refused);
  free(text);
  unlink(index_path);
  unlink(json_path);
  for (int i = 0; i < 2; i++) unlink(shards[i]);
  CHECK(rmdir(folder) == 0, "files are left in %s", folder);
  return check_done();
}
