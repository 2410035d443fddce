// Broken adapter files and configurations beside them: random damage ends in VKD_ERR_INPUT that names a file, or in
// layers that hold what merging relies on.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

static int opened;
static void try_files(const char *file, size_t size, const char *config, size_t config_size) {
  char *both = malloc(size + 4 + config_size);
  if (!both) exit(1);
  memcpy(both, file, size);
  memcpy(both + size, "\n%%\n", 4);
  memcpy(both + size + 4, config, config_size);
  opened += target_lora((const uint8_t *)both, size + 4 + config_size);
  free(both);
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
  struct vkd_error err = {0};
  char *whole = NULL;
  size_t size = 0;
  const char *path = target_write("seed.safetensors", NULL, 0);
  CHECK(st_write(path, entries, 3, &meta, 1, &err) == VKD_OK, "%s", err.what);
  CHECK(fileio_read_whole(path, 1 << 20, &whole, &size, &err) == VKD_OK, "%s", err.what);
  try_files(whole, size, config, 0);
  CHECK(opened == 1, "the whole file is not opened");
  for (int round = 0; round < 1500 && whole; round++) {
    char *copy = malloc(size);
    memcpy(copy, whole, size);
    size_t n = rng() % 8 ? size : rng() % size;
    for (uint32_t k = 1 + rng() % 4; k-- > 0;)
      copy[rng() % size] = rng() % 2 ? (char)rng() : "0123456789[]{},:\"."[rng() % 19];
    try_files(copy, n, config, 0);
    free(copy);
  }
  free(whole);
  // The configuration is read where the file has no metadata.
  CHECK(st_write(path, entries, 2, NULL, 0, &err) == VKD_OK, "%s", err.what);
  CHECK(fileio_read_whole(path, 1 << 20, &whole, &size, &err) == VKD_OK, "%s", err.what);
  for (int round = 0; round < 1500 && whole; round++) {
    char copy[sizeof config];
    memcpy(copy, config, sizeof config);
    damage_bytes(copy, sizeof config - 1, 1 + rng() % 4);
    try_files(whole, size, copy, rng() % 8 ? sizeof config - 1 : rng() % sizeof config);
  }
  free(whole);
  CHECK(opened > 100, "only %d damaged files are opened: nothing was checked of them", opened);
  return check_done();
}
