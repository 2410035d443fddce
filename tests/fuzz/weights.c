// Broken indexes, config.json and weight files of a model: every truncation and random damage end in success or in
// VKD_ERR_INPUT with one line; what is derived is within bounds.
#include "damage.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"
#include "weight_files.h"

// The files of a model, as target_weights() takes them apart.
enum { INDEX, JSON, SHARD_0, SHARD_1, FILES };
static struct file {
  const char *data;
  size_t size;
} files[FILES];

static const char index_text[] = "{\"metadata\":{\"total_size\":1},\"weight_map\":{%s}}";
static const char config_text[] =
    "{\"_class_name\":\"WanTransformer3DModel\",\"num_attention_heads\":2,\"attention_head_dim\":12,\"eps\":1e-06,"
    "\"qk_norm\":\"rms_norm_across_heads\",\"cross_attn_norm\":true,\"image_dim\":null,\"patch_size\":[1,2,2],"
    "\"in_channels\":2,\"out_channels\":2,\"num_layers\":2,\"ffn_dim\":40,\"text_dim\":9,\"text_len\":3}";

static int found, refused;

static void try_all(void) {
  size_t size = 0, most = 4 * FILES;
  for (int i = 0; i < FILES; i++) most += files[i].size;
  char *all = malloc(most);
  if (!all) exit(1);
  for (int i = 0; i < FILES; i++) {
    if (i) memcpy(all + size, "\n%%\n", 4);
    size += i ? 4 : 0;
    memcpy(all + size, files[i].data, files[i].size);
    size += files[i].size;
  }
  *(target_weights((const uint8_t *)all, size) ? &found : &refused) += 1;
  free(all);
}

static void try_with(int which, const char *data, size_t size) {
  struct file was = files[which];
  files[which] = (struct file){data, size};
  try_all();
  files[which] = was;
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

static void damage_text(int which, int rounds) {
  const struct file f = files[which];
  char *bad = malloc(f.size + 64);
  if (!bad) exit(1);
  for (size_t n = 0; n < f.size; n += 1 + f.size / 400) try_with(which, f.data, n);
  for (int i = 0; i < rounds; i++) try_with(which, bad, damage(f.data, f.size, bad));
  free(bad);
}

// The header of a shard, whose length stays right so that the names and shapes are reached.
static void damage_shard(int which, int rounds) {
  const struct file f = files[which];
  uint64_t length;
  memcpy(&length, f.data, 8);
  char *bad = malloc(f.size + 64);
  if (!bad) exit(1);
  for (int i = 0; i < rounds; i++) {
    memcpy(bad, f.data, f.size);
    if (i % 2) {
      for (uint32_t k = 1 + rng() % 2; k; k--) {
        size_t at = 8 + rng() % length;
        bad[at] = (char)(rng() % 2 && bad[at] >= '0' && bad[at] <= '9' ? '0' + rng() % 10 : rng());
      }
      try_with(which, bad, f.size);
    } else {
      uint64_t n = damage(f.data + 8, length, bad + 8);
      memcpy(bad, &n, 8);
      memcpy(bad + 8 + n, f.data + 8 + length, f.size - 8 - length);
      try_with(which, bad, f.size - length + n);
    }
  }
  free(bad);
}

static struct file write_shard(const struct st_entry *entries, size_t count) {
  struct vkd_error err = {0};
  char *data = NULL;
  size_t size = 0;
  const char *path = target_write("seed.safetensors", NULL, 0);
  CHECK(!st_write(path, entries, count, NULL, 0, &err) && !fileio_read_whole(path, 1 << 22, &data, &size, &err), "%s",
        err.what);
  if (!data) exit(1);
  return (struct file){data, size};
}

static void make_files(void) {
  struct weight_file f;
  weight_file_make(&f, &small_cross, DIT_NAMING_DIFFUSERS, "", ST_BF16, true, 1);
  char *map = malloc(f.count * 160), *all = malloc(f.count * 160 + sizeof index_text);
  if (!map || !all) exit(1);
  size_t used = 0, half = f.count / 2;
  for (size_t i = 0; i < f.count; i++)
    used +=
        (size_t)sprintf(map + used, "%s\"%s\":\"shard-%d.safetensors\"", i ? "," : "", f.entries[i].name, i >= half);
  files[INDEX] = (struct file){all, (size_t)sprintf(all, index_text, map)};
  files[JSON] = (struct file){config_text, sizeof config_text - 1};
  files[SHARD_0] = write_shard(f.entries, half);
  files[SHARD_1] = write_shard(f.entries + half, f.count - half);
  weight_file_free(&f);
  free(map);
}

int main(void) {
  make_files();
  try_all();
  CHECK(found == 1, "the sound files are refused");
  damage_text(INDEX, 500);
  damage_text(JSON, 500);
  damage_shard(SHARD_0, 500);
  damage_shard(SHARD_1, 500);
  try_all();
  CHECK(found > 25 && refused > 1000, "%d found, %d refused: the damage is of no use", found, refused);
  printf("%d found, %d refused\n", found, refused);
  for (int i = 0; i < FILES; i++)
    if (i != JSON) free((char *)files[i].data);
  return check_done();
}
