// case.json of a case folder: every field is checked before use.
#include "verify_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"
#include "vkdm/objective.h"

enum { MAX_BYTES = 16 << 20, MAX_STEPS = 1000 };

// Sticky: after the first mistake every getter gives 0 or NULL.
struct reader {
  const char *path;
  struct vkd_error *err;
  enum vkd_status status;
};

static void fail_key(struct reader *r, const char *key, const char *wanted) {
  if (r->status == VKD_OK) r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\": %s wanted", r->path, key, wanted);
}

static const json_t *object_at(struct reader *r, const json_t *parent, const char *key) {
  const json_t *v = json_object_get(parent, key);
  if (!json_is_object(v)) fail_key(r, key, "an object");
  return v;
}

static const json_t *array_at(struct reader *r, const json_t *parent, const char *key, size_t count) {
  const json_t *v = json_object_get(parent, key);
  if (json_is_array(v) && json_array_size(v) == count) return v;
  if (r->status == VKD_OK)
    r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\": an array of %zu numbers wanted", r->path, key, count);
  return NULL;
}

static int int_of(struct reader *r, const json_t *v, const char *key, int lo, int hi) {
  json_int_t x = json_integer_value(v);
  if (json_is_integer(v) && x >= lo && x <= hi) return (int)x;
  if (r->status == VKD_OK)
    r->status =
        vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\": a whole number from %d to %d wanted", r->path, key, lo, hi);
  return 0;
}

static int int_at(struct reader *r, const json_t *parent, const char *key, int lo, int hi) {
  return int_of(r, json_object_get(parent, key), key, lo, hi);
}

static double real_of(struct reader *r, const json_t *v, const char *key, double lo, double hi) {
  double x = json_number_value(v);
  if (json_is_number(v) && x >= lo && x <= hi) return x;
  if (r->status == VKD_OK)
    r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\": a number from %g to %g wanted", r->path, key, lo, hi);
  return 0;
}

static double real_at(struct reader *r, const json_t *parent, const char *key, double lo, double hi) {
  return real_of(r, json_object_get(parent, key), key, lo, hi);
}

static void true_at(struct reader *r, const json_t *parent, const char *key) {
  if (!json_is_true(json_object_get(parent, key))) fail_key(r, key, "true (the only form that is supported)");
}

static void read_identity(struct reader *r, struct verify_case *c) {
  const char *family = json_string_value(json_object_get(c->root, "family"));
  const char *naming = json_string_value(json_object_get(c->root, "naming"));
  if (!family)
    fail_key(r, "family", "a name");
  else if (strcmp(family, "wan_t2v") != 0 && r->status == VKD_OK)
    r->status =
        vkd_fail(r->err, VKD_ERR_UNSUPPORTED, "%s: family \"%.40s\" is not supported, only wan_t2v", r->path, family);
  if (r->status != VKD_OK) return;
  strcpy(c->family, "wan_t2v");
  if (naming && strcmp(naming, "wan") == 0)
    c->naming = DIT_NAMING_WAN;
  else if (naming && strcmp(naming, "diffusers") == 0)
    c->naming = DIT_NAMING_DIFFUSERS;
  else
    fail_key(r, "naming", "wan or diffusers");
}

static void read_model(struct reader *r, struct verify_case *c) {
  enum { BIG = 1 << 16 };
  const json_t *m = object_at(r, c->root, "model");
  c->model = (struct dit_config){.dim = int_at(r, m, "dim", 2, BIG),
                                 .depth = int_at(r, m, "num_layers", 1, 1024),
                                 .heads = int_at(r, m, "num_heads", 1, BIG),
                                 .ffn = int_at(r, m, "ffn_dim", 1, BIG),
                                 .freq_dim = int_at(r, m, "freq_dim", 2, BIG),
                                 .text_dim = int_at(r, m, "text_dim", 1, BIG),
                                 .text_len = int_at(r, m, "text_len", 1, BIG),
                                 .in_channels = int_at(r, m, "in_dim", 1, BIG),
                                 .out_channels = int_at(r, m, "out_dim", 1, BIG),
                                 .eps = (float)real_at(r, m, "eps", 1e-12, 1)};
  const json_t *patch = array_at(r, m, "patch_size", 3), *latent = array_at(r, c->root, "latent", 4);
  for (size_t i = 0; i < 3; i++) {
    c->model.patch[i] = int_of(r, json_array_get(patch, i), "patch_size", 1, 64);
    c->model.latent[i] = int_of(r, json_array_get(latent, i + 1), "latent", 1, 4096);
  }
  if (int_of(r, json_array_get(latent, 0), "latent", 1, BIG) != c->model.in_channels ||
      c->model.in_channels != c->model.out_channels)
    fail_key(r, "latent", "as many channels as in_dim and out_dim");
  true_at(r, m, "qk_norm");
  true_at(r, m, "cross_attn_norm");
  c->batch = int_at(r, c->root, "batch", 1, 4096);
  c->params = int_at(r, c->root, "params", 1, INT32_MAX);
}

static void read_training(struct reader *r, struct verify_case *c) {
  const json_t *t = object_at(r, c->root, "train"), *a = object_at(r, t, "adamw");
  const json_t *betas = array_at(r, a, "betas", 2), *losses = array_at(r, t, "loss_at_steps_1_2_3", VERIFY_STEPS);
  c->optim = (struct optim_settings){.lr = real_at(r, a, "lr", 0, 1),
                                     .beta1 = real_of(r, json_array_get(betas, 0), "betas", 0, 1 - 1e-9),
                                     .beta2 = real_of(r, json_array_get(betas, 1), "betas", 0, 1 - 1e-9),
                                     .eps = real_at(r, a, "eps", 0, 1),
                                     .weight_decay = real_at(r, a, "weight_decay", 0, 100),
                                     .ema = real_at(r, a, "ema_decay", 0, 1),
                                     .grad_scale = 1};
  for (size_t i = 0; i < VERIFY_STEPS; i++)
    c->loss[i] = real_of(r, json_array_get(losses, i), "loss_at_steps_1_2_3", 0, 1e30);
}

// The stated noise levels must be the grid that the sampler makes of steps and shift.
static void read_sampling(struct reader *r, struct verify_case *c) {
  const json_t *s = object_at(r, c->root, "sample"), *euler = object_at(r, s, "euler");
  c->sample_steps = int_at(r, s, "steps", 1, MAX_STEPS);
  c->sample_shift = real_at(r, s, "shift", 1e-3, 1e3);
  c->sample_cfg = real_at(r, s, "guidance", 0, 1e3);
  const json_t *sigmas = array_at(r, euler, "sigmas", (size_t)c->sample_steps + 1);
  for (int i = 0; i <= c->sample_steps && r->status == VKD_OK; i++) {
    double stated = real_of(r, json_array_get(sigmas, (size_t)i), "sigmas", 0, 1);
    double made = flow_shift(1 - (double)i / c->sample_steps, c->sample_shift);
    if (!(fabs(stated - made) <= 1e-12)) fail_key(r, "sigmas", "the Euler grid of \"steps\" and \"shift\"");
  }
}

static void read_tolerances(struct reader *r, struct verify_case *c) {
  const json_t *t = object_at(r, c->root, "suggested_fp32_tolerance");
  // Bounds, so that a case cannot talk every comparison into passing.
  c->tol_loss = real_at(r, t, "loss_abs", 1e-9, 1e-3);
  c->tol_adamw = real_at(r, t, "adamw_max_abs", 1e-9, 1e-3);
  c->tol_checks = real_at(r, t, "adamw_checks_abs", 1e-9, 1e-2);
  c->checks = object_at(r, c->root, "checks");
}

enum vkd_status verify_case_read(struct verify_case *c, const char *path, struct vkd_error *err) {
  *c = (struct verify_case){.path = path};
  char *text = NULL;
  size_t size;
  enum vkd_status st = fileio_read_whole(path, MAX_BYTES, &text, &size, err);
  if (st != VKD_OK) return st;
  json_error_t why;
  c->root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
  free(text);
  if (!c->root) return vkd_fail(err, VKD_ERR_INPUT, "%s:%d: %s", path, why.line, why.text);
  struct reader r = {.path = path, .err = err};
  read_identity(&r, c);
  if (r.status == VKD_OK) read_model(&r, c);
  if (r.status == VKD_OK) read_training(&r, c);
  if (r.status == VKD_OK) read_sampling(&r, c);
  if (r.status == VKD_OK) read_tolerances(&r, c);
  if (r.status == VKD_OK && (r.status = dit_config_check(&c->model, err)) != VKD_OK) vkd_error_prefix(err, "%s", path);
  if (r.status != VKD_OK) verify_case_free(c);
  return r.status;
}

void verify_case_free(struct verify_case *c) {
  json_decref(c->root);
  c->root = NULL;
}

enum vkd_status verify_case_checks(const struct verify_case *c, const char *group, const char *tensor, double out[3],
                                   struct vkd_error *err) {
  const json_t *v = json_object_get(json_object_get(c->checks, group), tensor);
  bool ok = json_is_array(v) && json_array_size(v) == 3;
  for (size_t i = 0; i < 3 && ok; i++) {
    ok = json_is_number(json_array_get(v, i));
    out[i] = json_number_value(json_array_get(v, i));
  }
  if (ok) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: \"checks\": three numbers wanted for %s of %s", c->path, group, tensor);
}
