// Broken case.json files: every truncation and random damage end in success, VKD_ERR_INPUT or VKD_ERR_UNSUPPORTED with
// a message that names the file, and what is read is within the bounds that the rest relies on.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"

static const char sound_wan[] =
    "{\"family\":\"wan_t2v\",\"naming\":\"wan\",\"model\":{\"patch_size\":[1,2,2],\"text_len\":8,\"in_dim\":4,\"out_"
    "dim\":4,"
    "\"dim\":24,\"ffn_dim\":96,\"freq_dim\":16,\"text_dim\":6,\"num_heads\":2,\"num_layers\":2,\"eps\":1e-06,"
    "\"qk_norm\":true,\"cross_attn_norm\":true},\"params\":99,\"batch\":2,\"latent\":[4,3,4,6],"
    "\"train\":{\"adamw\":{\"lr\":0.001,\"betas\":[0.9,0.95],\"eps\":1e-8,\"weight_decay\":0.1,\"ema_decay\":0.9},"
    "\"loss_at_steps_1_2_3\":[3.5,3.25,3.0]},\"sample\":{\"steps\":2,\"shift\":3.0,\"guidance\":5.0,"
    "\"euler\":{\"sigmas\":[1.0,0.75,0.0]}},\"suggested_fp32_tolerance\":{\"loss_abs\":5e-6,\"adamw_max_abs\":2e-4,"
    "\"adamw_checks_abs\":3e-4},\"checks\":{\"ema3\":{\"head.modulation\":[1,2.5,-3]}}}";

static const char sound_dit[] =
    "{\"family\":\"dit_class\",\"naming\":\"meta\",\"model\":{\"input_size\":8,\"patch_size\":2,\"in_channels\":4,"
    "\"hidden_"
    "size\":24,\"depth\":2,\"num_heads\":2,\"mlp_ratio\":4.0,\"num_classes\":10,\"learn_sigma\":true},\"params_"
    "trainable\":"
    "99,\"batch\":2,\"latent\":[4,8,8],\"train\":{\"t\":[0,7],\"mse_per_sample\":[0.9,1.1],\"vb_per_sample\":[2.0,0.1],"
    "\"adamw\":{\"lr\":0.001,\"betas\":[0.9,0.95],\"eps\":1e-8,\"weight_decay\":0.1,\"ema_decay\":0.9},"
    "\"loss_at_steps_1_2_3\":[3.5,3.25,3.0]},\"sample\":{\"cfg_scale\":4.0,\"ddim_steps\":2,\"ddpm_steps\":3,"
    "\"ddim_timestep_map\":[0,500],\"ddpm_timestep_map\":[0,500,999]},\"suggested_fp32_tolerance\":{\"loss_abs\":5e-6,"
    "\"adamw_max_abs\":2e-4,\"adamw_checks_abs\":3e-4},\"checks\":{\"ema3\":{\"head.modulation\":[1,2.5,-3]}}}";

static int read_well, refused;

static void try_bytes(const char *data, size_t size) {
  *(target_case((const uint8_t *)data, size) ? &read_well : &refused) += 1;
}

static void damage(const char *sound) {
  static const char *const tokens[] = {"-1",   "0",      "1e999", "99999999999999999999", "null", "[]", "{}", "\"x\"",
                                       "true", "1e-300", "7"};
  size_t size = strlen(sound);
  char *text = malloc(2 * size);
  int before = read_well;
  try_bytes(sound, size);
  CHECK(read_well == before + 1, "the sound case was refused");
  for (size_t n = 0; n < size; n++) try_bytes(sound, n);
  for (int round = 0; round < 2000; round++) {
    memcpy(text, sound, size);
    size_t length = size, at = rng() % size;
    if (round % 2) {
      damage_bytes(text, size, 1 + rng() % 3);
    } else {
      const char *token = tokens[rng() % (sizeof tokens / sizeof tokens[0])];
      length = damage_value(sound, size, at, token, text);
    }
    try_bytes(text, length);
  }
  free(text);
}

int main(void) {
  damage(sound_wan);
  damage(sound_dit);
  CHECK(read_well > 50 && refused > 1000, "%d read, %d refused: the damage is of no use", read_well, refused);
  printf("%d read, %d refused\n", read_well, refused);
  return check_done();
}
