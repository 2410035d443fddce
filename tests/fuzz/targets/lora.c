// An adapter file, and as a second part the configuration beside it; what opens has layers that merging can rely on.
#include <math.h>
#include <string.h>

#include "../../../model/lora_internal.h"
#include "models.h"
#include "targets.h"

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

bool target_lora(const uint8_t *data, size_t size) {
  struct target_part parts[TARGET_PARTS];
  struct dit_config model = tiny_cross;
  struct lora *lora = NULL;
  struct vkd_error err = {0};
  model.depth = 1;
  target_split(data, size, parts);
  target_write("adapter_config.json", parts[1].data, parts[1].size);
  uint8_t *mended = target_mend_safetensors(parts[0].data, parts[0].size);
  const char *path = target_write("a.safetensors", mended ? mended : parts[0].data, parts[0].size);
  free(mended);
  enum vkd_status st = lora_open(&lora, path, &model, &err);
  if (st != VKD_OK) {
    HOLDS(!lora, "an error and a result");
    target_refused(st, &err, target_folder(), false);
    return false;
  }
  HOLDS(is_whole(lora), "opened, but its layers are not whole");
  lora_close(&lora);
  return true;
}
