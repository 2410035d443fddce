// case.json of a case folder: every field is checked before use.
#include "verify_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "vkdm/fileio.h"

enum { MAX_BYTES = 16 << 20, BIG = 1 << 16 };

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

static void read_naming(struct reader *r, struct verify_case *c) {
  const char *naming = json_string_value(json_object_get(c->root, "naming"));
  for (int i = 0; naming && i < DIT_NAMINGS; i++)
    if (strcmp(naming, dit_naming_name((enum dit_naming)i)) == 0) {
      c->naming = (enum dit_naming)i;
      if (c->naming == DIT_NAMING_DIFFUSERS || c->naming == dit_native_naming(&c->model)) return;
    }
  fail_key(r, "naming", "wan, diffusers or meta, as the family has it");
}

static void read_wan(struct reader *r, struct verify_case *c) {
  const json_t *m = object_at(r, c->root, "model");
  c->model = (struct dit_config){.family = DIT_CROSS,
                                 .dim = int_at(r, m, "dim", 2, BIG),
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
  c->params = int_at(r, c->root, "params", 1, INT32_MAX);
}

static void read_dit(struct reader *r, struct verify_case *c) {
  const json_t *m = object_at(r, c->root, "model"), *sigma = json_object_get(m, "learn_sigma");
  int dim = int_at(r, m, "hidden_size", 4, BIG), patch = int_at(r, m, "patch_size", 1, 64);
  int channels = int_at(r, m, "in_channels", 1, 1024), classes = int_at(r, m, "num_classes", 1, BIG);
  double ffn = dim * real_at(r, m, "mlp_ratio", 1e-3, 64);
  if (!json_is_boolean(sigma)) fail_key(r, "learn_sigma", "true or false");
  if (!(ffn >= 1 && ffn < BIG)) fail_key(r, "mlp_ratio", "a feed-forward layer of a possible width");
  c->model = (struct dit_config){.family = DIT_CLASS,
                                 .dim = dim,
                                 .depth = int_at(r, m, "depth", 1, 1024),
                                 .heads = int_at(r, m, "num_heads", 1, BIG),
                                 .ffn = (int)ffn,
                                 .freq_dim = 256,
                                 .class_rows = classes + 1,
                                 .in_channels = channels,
                                 .out_channels = json_is_true(sigma) ? 2 * channels : channels,
                                 .patch = {1, patch, patch},
                                 .latent = {1},
                                 .eps = 1e-6f};
  const json_t *latent = array_at(r, c->root, "latent", 3);
  for (size_t i = 1; i < 3; i++) c->model.latent[i] = int_of(r, json_array_get(latent, i), "latent", 1, 4096);
  if (int_of(r, json_array_get(latent, 0), "latent", 1, BIG) != channels)
    fail_key(r, "latent", "as many channels as in_channels");
  c->params = int_at(r, c->root, "params_trainable", 1, INT32_MAX);
}

// An optional array of a known length.
static const json_t *optional_at(struct reader *r, const json_t *parent, const char *key, size_t count) {
  return json_object_get(parent, key) ? array_at(r, parent, key, count) : NULL;
}

static void read_training(struct reader *r, struct verify_case *c) {
  const json_t *t = object_at(r, c->root, "train"), *a = object_at(r, t, "adamw");
  c->batch = int_at(r, c->root, "batch", 1, VERIFY_BATCH);
  c->mse = optional_at(r, t, "mse_per_sample", (size_t)c->batch);
  c->vb = optional_at(r, t, "vb_per_sample", (size_t)c->batch);
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

static void add_solver(struct reader *r, struct verify_case *c, struct verify_solver solver) {
  size_t stored = json_array_size(solver.stored);
  if (solver.stored && (!json_is_array(solver.stored) || stored < 1 || stored > (size_t)solver.steps))
    fail_key(r, "stored_steps", "an array of steps");
  for (size_t i = 0; r->status == VKD_OK && i < stored; i++)
    int_of(r, json_array_get(solver.stored, i), "stored_steps", 0, solver.steps - 1);
  c->solvers[c->solver_count++] = solver;
}

static void read_flow_sampling(struct reader *r, struct verify_case *c) {
  static const char *const names[VERIFY_SOLVERS][2] = {{"euler", "euler"}, {"dpm", "dpm++"}, {"unipc", "unipc"}};
  const json_t *s = object_at(r, c->root, "sample");
  int steps = int_at(r, s, "steps", 1, VERIFY_SOLVER_STEPS);
  c->sample_shift = real_at(r, s, "shift", 1e-3, 1e3);
  c->sample_cfg = real_at(r, s, "guidance", 0, 1e3);
  for (int i = 0; i < VERIFY_SOLVERS; i++) {
    if (!json_object_get(s, names[i][0])) continue;
    const json_t *o = object_at(r, s, names[i][0]);
    add_solver(r, c,
               (struct verify_solver){.key = names[i][0],
                                      .sampler = names[i][1],
                                      .steps = steps,
                                      .grid = optional_at(r, o, "sigmas", (size_t)steps + 1),
                                      .timesteps = optional_at(r, o, "timesteps", (size_t)steps),
                                      .stored = json_object_get(o, "stored_steps")});
  }
}

static void read_ddpm_sampling(struct reader *r, struct verify_case *c) {
  static const char *const names[][3] = {{"ddim", "ddim_steps", "ddim_timestep_map"},
                                         {"ddpm", "ddpm_steps", "ddpm_timestep_map"}};
  const json_t *s = object_at(r, c->root, "sample");
  c->sample_shift = 1;
  c->sample_cfg = real_at(r, s, "cfg_scale", 0, 1e3);
  // The public code says 3, whatever the number of channels.
  c->sample_channels = c->model.out_channels < 3 ? c->model.out_channels : 3;
  for (int i = 0; i < 2; i++) {
    if (!json_object_get(s, names[i][1])) continue;
    int steps = int_at(r, s, names[i][1], 1, VERIFY_SOLVER_STEPS);
    add_solver(r, c,
               (struct verify_solver){.key = names[i][0],
                                      .sampler = names[i][0],
                                      .steps = steps,
                                      .timesteps = optional_at(r, s, names[i][2], (size_t)steps)});
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

static const struct {
  const char *name;
  void (*read_model)(struct reader *r, struct verify_case *c);
  void (*read_sampling)(struct reader *r, struct verify_case *c);
} families[] = {{"wan_t2v", read_wan, read_flow_sampling}, {"dit_class", read_dit, read_ddpm_sampling}};

static void read_case(struct reader *r, struct verify_case *c) {
  size_t row = 0, rows = sizeof families / sizeof families[0];
  const char *family = json_string_value(json_object_get(c->root, "family"));
  if (!family) {
    fail_key(r, "family", "a name");
    return;
  }
  while (row < rows && strcmp(family, families[row].name) != 0) row++;
  if (row == rows) {
    r->status = vkd_fail(r->err, VKD_ERR_UNSUPPORTED, "%s: family \"%.40s\" is not supported, only %s and %s", r->path,
                         family, families[0].name, families[1].name);
    return;
  }
  c->family = families[row].name;
  families[row].read_model(r, c);
  if (r->status == VKD_OK) read_naming(r, c);
  if (r->status == VKD_OK) read_training(r, c);
  if (r->status == VKD_OK && json_object_get(c->root, "sample")) families[row].read_sampling(r, c);
  if (r->status == VKD_OK) read_tolerances(r, c);
}

enum vkd_status verify_case_read(struct verify_case *c, const char *path, struct vkd_error *err) {
  *c = (struct verify_case){.path = path};
  char *text = NULL;
  size_t size;
  enum vkd_status st = fileio_read_whole(path, MAX_BYTES, &text, &size, err);
  if (st != VKD_OK) return st;
  json_error_t why;
  c->root = json_in(text, size, JSON_IN_VALUES, &why);
  free(text);
  if (!c->root) return vkd_fail(err, VKD_ERR_INPUT, "%s:%d: %s", path, why.line, why.text);
  struct reader r = {.path = path, .err = err};
  read_case(&r, c);
  if (r.status == VKD_OK && (r.status = dit_config_check(&c->model, err)) != VKD_OK) vkd_error_prefix(err, "%s", path);
  if (r.status != VKD_OK) verify_case_free(c);
  return r.status;
}

void verify_case_free(struct verify_case *c) {
  json_decref(c->root);
  c->root = NULL;
}

double verify_case_number(const json_t *array, size_t i) {
  const json_t *v = json_array_get(array, i);
  return json_is_number(v) ? json_number_value(v) : (double)NAN;
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
