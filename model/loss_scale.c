#include "vkdm/loss_scale.h"

#include <math.h>

double loss_scale_begin(struct loss_scale *s, int64_t step) {
  double was = s->recent[step % 2].scale;
  if (s->recent[step % 2].overflow) {
    s->skipped++;
    s->good = 0;
    if (was > LOSS_SCALE_LEAST) s->scale = fmin(s->scale, was / 2);
  } else if (was > 0 && ++s->good == LOSS_SCALE_PATIENCE) {
    s->good = 0;
    s->scale = fmin(s->scale * 2, LOSS_SCALE_MOST);
  }
  s->recent[step % 2].scale = s->scale;
  s->recent[step % 2].overflow = false;
  return s->scale;
}

void loss_scale_end(struct loss_scale *s, int64_t step, bool overflow) { s->recent[step % 2].overflow = overflow; }

bool loss_scale_is_lost(double scale) { return !(scale > 1); }

json_t *loss_scale_to_json(const struct loss_scale *s) {
  return json_pack("{s:f,s:I,s:I,s:[{s:f,s:b},{s:f,s:b}]}", "scale", s->scale, "good", (json_int_t)s->good, "skipped",
                   (json_int_t)s->skipped, "recent", "scale", s->recent[0].scale, "overflow", s->recent[0].overflow,
                   "scale", s->recent[1].scale, "overflow", s->recent[1].overflow);
}

// A power of two in bounds, or 0.
static bool read_scale(const json_t *v, double *out) {
  int exponent;
  if (!json_is_real(v)) return false;
  *out = json_real_value(v);
  return *out == 0 || (*out >= LOSS_SCALE_LEAST && *out <= LOSS_SCALE_MOST && frexp(*out, &exponent) == 0.5);
}

enum vkd_status loss_scale_from_json(const json_t *o, struct loss_scale *s, struct vkd_error *err) {
  const json_t *good = json_object_get(o, "good"), *skipped = json_object_get(o, "skipped"),
               *recent = json_object_get(o, "recent");
  bool ok = read_scale(json_object_get(o, "scale"), &s->scale) && json_is_integer(good) &&
            json_integer_value(good) >= 0 && json_integer_value(good) < LOSS_SCALE_PATIENCE &&
            json_is_integer(skipped) && json_integer_value(skipped) >= 0 && json_array_size(recent) == 2;
  for (size_t i = 0; i < 2 && ok; i++) {
    const json_t *e = json_array_get(recent, i), *overflow = json_object_get(e, "overflow");
    ok = read_scale(json_object_get(e, "scale"), &s->recent[i].scale) && json_is_boolean(overflow) &&
         (s->scale > 0 || s->recent[i].scale == 0);
    s->recent[i].overflow = json_is_true(overflow);
  }
  if (!ok) return vkd_fail(err, VKD_ERR_INPUT, "loss_scale is incomplete or out of range");
  s->good = json_integer_value(good);
  s->skipped = json_integer_value(skipped);
  return VKD_OK;
}
