// state.json beside four files of 64 equal letters each: hashes are compared, contents not read yet.
#include <string.h>
#include <sys/stat.h>

#include "damage.h"
#include "targets.h"
#include "vkdm/ckpt.h"
#include "vkdm/config.h"

static void write_files(void) {
  static const char *const names[] = {"weights.safetensors", "ema.safetensors", "m.safetensors", "v.safetensors"};
  static bool written;
  for (int i = 0; i < 4 && !written; i++) {
    char bytes[64];
    memset(bytes, 'a' + i, sizeof bytes);
    target_write(names[i], bytes, sizeof bytes);
  }
  written = true;
}

bool target_checkpoint(const uint8_t *data, size_t size) {
  struct ckpt_state s;
  struct config config;
  struct vkd_error err = {0};
  write_files();
  const char *path = target_write("state.json", data, size), *folder = target_folder();
  enum vkd_status st = ckpt_open(folder, &s, &err);
  if (st != VKD_OK) {
    HOLDS(!s.config && !s.class_names && !s.base, "a refused checkpoint keeps memory");
    target_refused(st, &err, path, false);
    return false;
  }
  struct latent_shape l = latent_shape(&s.codec);
  HOLDS(s.step >= 0 && s.config && dit_config_check(&s.model, NULL) == VKD_OK, "taken");
  HOLDS((int)l.c == s.model.in_channels && (int)l.t == s.model.latent[0] && (int)l.h == s.model.latent[1] &&
            (int)l.w == s.model.latent[2],
        "a codec of other latents is taken");
  for (uint32_t i = 0; i < s.class_count; i++) HOLDS(s.class_names[i], "class %u has no name", i);
  st = config_from_string(folder, s.config, strlen(s.config), NULL, 0, &config, &err);
  if (st != VKD_OK) target_refused(st, &err, folder, true);
  ckpt_state_free(&s);
  return true;
}
