#include "vkdm/shapes.h"

static uint32_t levels_of(int wanted, bool divides) { return wanted == CONFIG_AUTO ? divides : (uint32_t)wanted; }

enum vkd_status shapes_open(const struct config *c, struct dataset **file, struct dataset_info *info,
                            struct vkd_error *err) {
  *file = NULL;
  if (*c->data.path) {
    enum vkd_status st = dataset_open(c->data.path, file, err);
    if (st == VKD_OK) *info = *dataset_get_info(*file);
    return st;
  }
  const int *l = c->data.latent;
  bool latent = l[0] && !c->data.synthetic;
  *info = (struct dataset_info){.classes = latent ? 0 : (uint32_t)c->data.classes};
  if (!c->data.synthetic && c->model.text_len > 0 && c->model.text_dim > 0) {
    info->text_len = (uint32_t)c->model.text_len;
    info->text_dim = (uint32_t)c->model.text_dim;
  }
  if (latent)
    return latent_codec_init(&info->codec, LATENT_RAW, (uint32_t)l[0], (uint32_t)l[1], (uint32_t)l[2], (uint32_t)l[3],
                             0, 0, err);
  uint32_t t = (uint32_t)c->data.frames, h = (uint32_t)c->data.size[0], w = (uint32_t)c->data.size[1];
  bool haar = c->data.codec == CONFIG_HAAR;
  return latent_codec_init(&info->codec, haar ? LATENT_HAAR : LATENT_PIXEL, 0, t, h, w,
                           haar ? levels_of(c->data.levels_t, t % 2 == 0) : 0,
                           haar ? levels_of(c->data.levels_s, h % 2 == 0 && w % 2 == 0) : 0, err);
}
