// Broken adapter files and configurations beside them: random damage ends in VKD_ERR_INPUT that names a file, or in
// layers that hold what merging relies on.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../model/lora_internal.h"
#include "check.h"
#include "damage.h"
#include "models.h"
#include "temp.h"
#include "vkdm/fileio.h"

static struct dit_config model; // of one block
static char folder[TEMP_SIZE], path[TEMP_SIZE + 32], side[TEMP_SIZE + 32];

static bool is_whole(const struct lora *lora) {
  bool good = lora->count > 0;
  for (int i = 0; i < lora->count && good; i++) {
    const struct lora_layer *l = &lora->layers[i];
    float x;
    good = l->rank > 0 && isfinite(l->alpha) && l->a->numel == (uint64_t)(l->rank * l->at.in) &&
           l->b->numel >= (uint64_t)((l->b_first + l->at.out) * l->rank) &&
           st_read_f32_part(l->a, l->a->numel - 1, 1, &x, NULL) == VKD_OK &&
           st_read_f32_part(l->b, l->b->numel - 1, 1, &x, NULL) == VKD_OK;
  }
  return good;
}

static int opened;
static void try_open(const char *what) {
  struct lora *lora = NULL;
  struct vkd_error err = {0};
  enum vkd_status st = lora_open(&lora, path, &model, &err);
  if (st == VKD_OK) {
    opened++;
    CHECK(is_whole(lora), "%s: opened, but its layers are not whole", what);
  } else {
    CHECK(st == VKD_ERR_INPUT && strstr(err.what, folder) && !lora, "%s: status %d, %s", what, (int)st, err.what);
  }
  lora_close(&lora);
}

int main(void) {
  static const char config[] = "{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 6, \"use_rslora\": false, "
                               "\"alpha_pattern\": {\"attn1.to_q\": 2}, \"target_modules\": [\"to_q\"]}";
  static const float values[64] = {1};
  const struct st_entry entries[] = {
      {.name = "transformer.blocks.0.attn1.to_q.lora_A.weight",
       .dtype = ST_F32,
       .ndim = 2,
       .shape = {3, 12},
       .data = values},
      {.name = "transformer.blocks.0.attn1.to_q.lora_B.weight",
       .dtype = ST_F32,
       .ndim = 2,
       .shape = {12, 3},
       .data = values},
      {.name = "transformer.blocks.0.attn1.to_q.alpha", .dtype = ST_F32, .data = values}};
  const struct st_meta meta = {"lora_adapter_metadata", "{\"transformer.lora_alpha\": 6, \"transformer.r\": 3}"};
  rng_state = 0x2545f4914f6cdd1du;
  model = tiny_cross;
  model.depth = 1;
  struct vkd_error err = {0};
  char *whole = NULL;
  size_t size = 0;
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/file.safetensors", folder);
  snprintf(side, sizeof side, "%s/adapter_config.json", folder);
  CHECK(st_write(path, entries, 3, &meta, 1, &err) == VKD_OK, "%s", err.what);
  CHECK(fileio_read_whole(path, 1 << 20, &whole, &size, &err) == VKD_OK, "%s", err.what);
  try_open("whole");
  CHECK(opened == 1, "the whole file is not opened");
  for (int round = 0; round < 1500 && whole; round++) {
    char *copy = malloc(size);
    memcpy(copy, whole, size);
    size_t n = rng() % 8 ? size : rng() % size;
    for (uint32_t k = 1 + rng() % 4; k-- > 0;)
      copy[rng() % size] = rng() % 2 ? (char)rng() : "0123456789[]{},:\"."[rng() % 19];
    damage_write(path, copy, n);
    free(copy);
    try_open("damaged");
  }
  // The configuration is read where the file has no metadata.
  CHECK(st_write(path, entries, 2, NULL, 0, &err) == VKD_OK, "%s", err.what);
  for (int round = 0; round < 1500; round++) {
    char copy[sizeof config];
    memcpy(copy, config, sizeof config);
    damage_bytes(copy, sizeof config - 1, 1 + rng() % 4);
    damage_write(side, copy, rng() % 8 ? sizeof config - 1 : rng() % sizeof config);
    try_open("configuration");
  }
  CHECK(opened > 100, "only %d damaged files are opened: nothing was checked of them", opened);
  unlink(path);
  unlink(side);
  rmdir(folder);
  free(whole);
  return check_done();
}
