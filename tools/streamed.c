#include "streamed.h"

#include "vkd/log.h"
#include "vkdm/streaming.h"

static enum vkd_status read_source(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                   struct vkd_error *err) {
  return source_read(user, index, first, count, dst, err);
}

struct params_reader streamed_reader(struct source *source) {
  return (struct params_reader){.read = read_source, .user = source};
}

enum vkd_status streamed_open(struct streamed *s, struct params **params, struct vkd_device *dev,
                              const struct dit_config *c, struct weights **weights, const struct streamed_wish *wish,
                              struct vkd_error *err) {
  struct stream_need need;
  *s = (struct streamed){.source = NULL};
  enum vkd_status st = stream_need(dev, c, wish->batch, &need, err);
  if (st != VKD_OK)
    return vkd_error_prefix(err, "%s: %lld latents of %d x %d x %d x %d at once", weights_path(*weights),
                            (long long)wish->batch, c->in_channels, c->latent[0], c->latent[1], c->latent[2]);
  bool streamed = wish->always || need.streamed;
  st = params_create(params, dev, c, streamed ? 0 : PARAMS_FOR_INFERENCE, err);
  if (st == VKD_OK && !streamed) return params_load_weights(*params, PARAMS_WEIGHT, *weights, NULL, err);
  if (st == VKD_OK) st = source_open(&s->source, *weights, c, err);
  if (st != VKD_OK) return st;
  vkd_log(VKD_LOG_INFO, "%s: %.0f MiB of weights beside %.0f MiB of activations %s %s: streamed block by block",
          weights_path(*weights), (double)need.weights / 1048576, (double)need.activations / 1048576,
          need.streamed ? "do not fit" : "fit", vkd_device_get_caps(dev)->name);
  s->weights = *weights;
  *weights = NULL;
  s->reader = streamed_reader(s->source);
  (*params)->reader = &s->reader;
  return VKD_OK;
}

void streamed_close(struct streamed *s) {
  source_close(&s->source);
  weights_close(&s->weights);
}
