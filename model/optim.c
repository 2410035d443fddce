#include "vkdm/optim.h"

#include <math.h>

void optim_hyper(const struct optim_settings *s, int64_t step, float *h) {
  h[VKD_HYPER_LR] = (float)s->lr;
  h[VKD_HYPER_BETA1] = (float)s->beta1;
  h[VKD_HYPER_BETA2] = (float)s->beta2;
  h[VKD_HYPER_ONE_MINUS_BETA1] = (float)(1 - s->beta1);
  h[VKD_HYPER_ONE_MINUS_BETA2] = (float)(1 - s->beta2);
  h[VKD_HYPER_BIAS1] = (float)(1 / (1 - pow(s->beta1, (double)step)));
  h[VKD_HYPER_BIAS2] = (float)(1 / (1 - pow(s->beta2, (double)step)));
  h[VKD_HYPER_EPS] = (float)s->eps;
  h[VKD_HYPER_WEIGHT_DECAY] = (float)s->weight_decay;
  h[VKD_HYPER_EMA] = (float)s->ema;
  h[VKD_HYPER_CLIP] = (float)s->clip;
  h[VKD_HYPER_GRAD_SCALE] = (float)s->grad_scale;
}

double optim_lr(const struct config *c, int64_t step, int64_t steps) {
  double lr = c->train.lr;
  if (step <= c->train.warmup) return lr * (double)step / (double)c->train.warmup;
  if (c->train.schedule == CONFIG_CONSTANT || steps <= c->train.warmup) return lr;
  double done = (double)(step - c->train.warmup) / (double)(steps - c->train.warmup), low = c->train.min_lr_ratio;
  return lr * (low + (1 - low) * 0.5 * (1 + cos(3.14159265358979323846 * (done < 1 ? done : 1))));
}

vkd_tensor optim_norm2(struct vkd_graph *g, const struct params *p, enum params_kind kind) {
  vkd_tensor norm2 = {0};
  vkd_graph_label_push(g, "optim");
  for (uint32_t s = 0; s < p->trainable_segments; s++) {
    vkd_tensor part = vkd_sum_squares(g, params_segment(p, g, kind, s));
    norm2 = s ? vkd_add(g, norm2, part) : part;
  }
  vkd_graph_label_pop(g);
  return norm2;
}

vkd_tensor optim_update(struct vkd_graph *g, const struct params *p, enum params_kind kind, vkd_tensor hyper,
                        vkd_tensor loss) {
  vkd_tensor norm2 = optim_norm2(g, p, kind);
  vkd_graph_label_push(g, "optim");
  if (loss.id) { // times 0 it adds nothing, unless it is not finite
    static const float coef[2] = {1, 0};
    norm2 = vkd_lincomb(g, vkd_constant(g, "guard", VKD_F32, VKD_SHAPE(2), coef), (vkd_tensor[]){norm2, loss}, 2);
  }
  vkd_graph_label_pop(g);
  optim_apply(g, p, kind, hyper, norm2);
  return norm2;
}

void optim_apply(struct vkd_graph *g, const struct params *p, enum params_kind kind, vkd_tensor hyper,
                 vkd_tensor norm2) {
  bool parts = p->ranks > 1;
  vkd_graph_label_push(g, "optim");
  for (uint32_t i = 0; i < (parts ? p->bucket_count : p->trainable_segments); i++) {
    const enum params_kind kinds[] = {PARAMS_WEIGHT, kind, PARAMS_M, PARAMS_V, PARAMS_EMA, PARAMS_COPY};
    vkd_tensor t[6] = {0};
    if (parts && !p->buckets[i].own_count) continue;
    for (int k = 0; k < (parts ? 5 : 6); k++) // copies of parts are made once the weights of all are there
      t[k] = parts ? params_own(p, g, kinds[k], &p->buckets[i]) : params_segment(p, g, kinds[k], i);
    vkd_adamw(g, (struct vkd_adamw_tensors){.p = t[0], .g = t[1], .m = t[2], .v = t[3], .ema = t[4], .copy = t[5]},
              hyper, norm2, 1, 1);
  }
  vkd_graph_label_pop(g);
}
