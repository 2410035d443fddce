// Models in fp16 and bf16: forward pass and gradients on the device against the float64 interpreter, which rounds at
// the same places, and against the same model in fp32.
#include <math.h>
#include <string.h>

#include "device.h"
#include "device_internal.h"
#include "form.h"
#include "models.h"
#include "normal.h"
#include "trial.h"
#include "vkd/half.h"
#include "vkdm/derive.h"

enum { BATCH = 2 };

// Half a step between neighbouring numbers, relative: what one rounding changes at most.
static double unit_of(enum vkd_dtype dtype) { return dtype == VKD_F16 ? 0x1p-11 : 0x1p-8; }

// Device and interpreter round the same numbers but for those that fp32 puts on the other side of a tie: a share of
// some 1e-7 / unit of them, each a step of 2 units away, so about 2 sqrt(1e-7 unit) in all: 1.4e-5 in fp16, 4e-5 in
// bf16. Five times that is left for depth and backward pass, over all gradients; one that hangs on few numbers, as of
// what is computed once per sample, moves by a unit where one of them does.
static double interpreter_bound(enum vkd_dtype dtype) { return 16 * sqrt(1e-7 * unit_of(dtype)); }

// What forms add that round on their way where the interpreter does not (runtime/forms.def): errors of the nodes that
// take them are independent.
static double form_bound(const struct vkd_device *dev, const struct vkd_graph *g, const char *form) {
  struct vkd_form_choice choice = {.caps = &dev->caps, .forced = form, .tune = dev->tune};
  double squares = 0;
  for (uint32_t i = 0; i < g->node_count; i++) {
    double e = vkd__form_error(vkd__form_choose(&choice, g, &g->nodes[i]), g, &g->nodes[i]);
    squares += e * e;
  }
  return sqrt(squares);
}

// Against fp32, in units times sqrt(depth): a product of rounded operands is off by some 0.6 units, since a rounding is
// off by 0.4 at the root mean square and there are two; independent ones add up as roots, and a block adds its own to a
// residual stream that keeps the rest.  Backwards there are three times as many; of a single tensor, gradients that
// cancel over tokens leave the rounding larger beside them.
static const double OUTPUT_UNITS = 1, GRADIENT_UNITS = 1, WORST_UNITS = 4;

struct run {
  struct trial t;
  vkd_tensor scale;
};

// What gradients are multiplied with, so that in fp16 few of them fall below 6e-5, where steps no longer shrink.
static float scale_of(const struct run *r) { return r->t.model.compute == VKD_F16 ? 4096 : 1; }

// Every run of a model draws the same.
static uint32_t draws;
static float draw(void) { return (float)normal_at(78, 9, draws++, 0); }
static float any(const struct trial *t, int64_t i) { return (void)t, (void)i, draw(); }
static float noise(int row, int64_t i) { return (void)row, (void)i, draw(); }

// Squares of ‖x - ref‖ and ‖ref‖, added up.
struct off {
  double d2, r2;
};
static void add(struct off *off, double x, double ref) {
  off->d2 += (x - ref) * (x - ref);
  off->r2 += ref * ref;
}
static double relative(const struct off *off) { return sqrt(off->d2 / off->r2); }

static enum vkd_status build(struct run *r, struct vkd_device *dev, unsigned kinds, struct vkd_error *err) {
  struct trial *t = &r->t;
  enum vkd_status st = trial_open(t, dev, kinds, err);
  if (st != VKD_OK) return st;
  trial_mse(t, BATCH);
  r->scale = vkd_input(t->graph, "scale", VKD_F32, VKD_SHAPE(1));
  trial_gradients(t, r->scale);
  return trial_program(t, dev, err);
}

// file: weights, or NULL for initial ones with noise on top.
static enum vkd_status fill(struct run *r, const struct st_file *file, struct vkd_error *err) {
  struct trial *t = &r->t;
  const struct dit_config *m = &t->model;
  draws = 0;
  enum vkd_status st =
      file ? params_load(t->params, PARAMS_WEIGHT, file, NULL, err) : trial_weights(t, t->params->count, noise, err);
  if (st != VKD_OK) return st;
  *(float *)vkd_program_input(t->program, 0, r->scale) = scale_of(r);
  trial_put(t, t->in.x, any);
  trial_put(t, t->target, any);
  float *s = vkd_program_input(t->program, 0, t->in.s);
  for (int b = 0; b < BATCH; b++) dit_timestep_embedding(m->freq_dim, b ? 870 : 310, s + b * m->freq_dim);
  if (m->class_rows) {
    int32_t *labels = vkd_program_input(t->program, 0, t->in.labels);
    for (int b = 0; b < BATCH; b++) labels[b] = m->class_rows - 1 - b;
  } else {
    trial_put(t, t->in.text, any);
  }
  const vkd_tensor inputs[] = {r->scale, t->in.x, t->target, t->in.s, t->in.labels, t->in.text};
  return trial_values(t, inputs, sizeof inputs / sizeof inputs[0], err);
}

static enum vkd_status start(struct run *r, struct vkd_device *dev, const struct dit_config *model, const char *form,
                             unsigned kinds, const struct st_file *file, struct vkd_error *err) {
  *r = (struct run){.t = {.model = *model, .form = form}};
  enum vkd_status st = build(r, dev, kinds, err);
  if (st == VKD_OK) st = fill(r, file, err);
  return st == VKD_OK ? vkd_program_run(r->t.program, err) : st;
}

static const float *output(const struct run *r, vkd_tensor x) { return vkd_program_output(r->t.program, 0, x); }

// The key's bias moves every score of a query alike: softmax leaves it no gradient, and what is there is rounding.  In
// family dit, where no norm follows, it is the second of three parts.
static bool has_gradient(const struct run *r, int i, int64_t k) {
  const struct dit_param *p = &r->t.params->rows[i];
  bool qkv_bias = r->t.model.family == DIT_CLASS && p->shape.rank == 1 && p->numel == 3 * (int64_t)r->t.model.dim;
  return !p->frozen && !(qkv_bias && k / r->t.model.dim == 1);
}

static struct off gradient_off(const struct run *r, int i, const struct run *full) {
  struct off off = {0, 0};
  double scale = (double)scale_of(r);
  for (int64_t k = 0; k < r->t.params->rows[i].numel; k++)
    if (has_gradient(r, i, k))
      add(&off, (double)output(r, r->t.grads[i])[k] / scale,
          full ? (double)output(full, full->t.grads[i])[k] : r->t.values[r->t.grads[i].id][k] / scale);
  return off;
}

static void against_interpreter(struct run *r, const struct vkd_device *dev, const char *name) {
  struct vkd_error err = {0};
  double forms = form_bound(dev, r->t.graph, r->t.form), bound = interpreter_bound(r->t.model.compute) + forms,
         unit = unit_of(r->t.model.compute) + WORST_UNITS * forms, worst = 0;
  enum vkd_status st = vkd_graph_ref_run(r->t.graph, r->t.values, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  struct off out = {0, 0}, all = {0, 0};
  for (int64_t k = 0; k < trial_numel(&r->t, r->t.out); k++)
    add(&out, (double)output(r, r->t.out)[k], r->t.values[r->t.out.id][k]);
  CHECK(relative(&out) <= bound, "%s: the output is off the interpreter's by %g", name, relative(&out));
  for (int i = 0; i < r->t.params->count; i++) {
    const struct dit_param *p = &r->t.params->rows[i];
    if (p->frozen) continue;
    struct off off = gradient_off(r, i, NULL);
    double e = relative(&off);
    CHECK(e <= unit, "%s: gradient of %s is off by %g", name, p->name[dit_native_naming(&r->t.model)], e);
    worst = fmax(worst, e);
    all.d2 += off.d2;
    all.r2 += off.r2;
  }
  CHECK(relative(&all) <= bound, "%s: gradients are off the interpreter's by %g", name, relative(&all));
  printf(
      "%s: output %.1e, all gradients %.1e (at most %.1e), the worst of them %.1e (at most %.1e) off the interpreter\n",
      name, relative(&out), relative(&all), bound, worst, unit);
}

static void against_fp32(const struct run *r, const struct run *full, const struct vkd_device *dev, const char *name) {
  double unit = unit_of(r->t.model.compute), root = sqrt(r->t.model.depth), worst = 0;
  double single = WORST_UNITS * (root + form_bound(dev, r->t.graph, r->t.form) / unit);
  struct off out = {0, 0}, all = {0, 0};
  for (int64_t k = 0; k < trial_numel(&r->t, r->t.out); k++)
    add(&out, (double)output(r, r->t.out)[k], (double)output(full, full->t.out)[k]);
  for (int i = 0; i < r->t.params->count; i++) {
    const struct dit_param *p = &r->t.params->rows[i];
    if (p->frozen) continue;
    struct off off = gradient_off(r, i, full);
    double e = relative(&off) / unit;
    CHECK(e <= single, "%s: gradient of %s is %.2f units of %.1e off fp32", name,
          p->name[dit_native_naming(&r->t.model)], e, unit);
    worst = fmax(worst, e);
    all.d2 += off.d2;
    all.r2 += off.r2;
  }
  double output_units = relative(&out) / unit, all_units = relative(&all) / unit;
  CHECK(output_units <= OUTPUT_UNITS * root, "%s: the output is %.2f units of %.1e off fp32", name, output_units, unit);
  CHECK(all_units <= GRADIENT_UNITS * root, "%s: gradients are %.2f units of %.1e off fp32", name, all_units, unit);
  printf("%s: output %.2f, all gradients %.2f, the worst of them %.2f units of %.1e off fp32\n", name, output_units,
         all_units, worst, unit);
}

static void run_model(struct vkd_device *dev, const char *title, struct dit_config model, const struct st_file *file) {
  static const enum vkd_dtype dtypes[] = {VKD_F16, VKD_BF16};
  static const unsigned kinds[] = {1u << PARAMS_WEIGHT | 1u << PARAMS_EMA, PARAMS_FOR_INFERENCE};
  struct vkd_error err = {0};
  struct run full, r;
  enum vkd_status st = start(&full, dev, &model, NULL, PARAMS_FOR_INFERENCE, file, &err);
  CHECK(st == VKD_OK, "%s: %s", title, err.what);
  for (int i = 0; st == VKD_OK && i < 6; i++) {
    static const char *const names[] = {"", " weights", " coopmat"};
    struct dit_config narrow = model;
    char name[80];
    narrow.compute = dtypes[i % 2];
    if (i >= 4 && (file || !vkd__coopmat_for(&dev->caps, narrow.compute))) continue;
    snprintf(name, sizeof name, "%s, %s%s", title, vkd_dtype_name(narrow.compute), names[i / 2]);
    st = start(&r, dev, &narrow, i < 4 ? NULL : "coopmat", kinds[i / 2 % 2], file, &err);
    CHECK(st == VKD_OK, "%s: %s", name, err.what);
    if (st == VKD_OK) {
      if (!file) against_interpreter(&r, dev, name);
      against_fp32(&r, &full, dev, name);
    }
    trial_close(&r.t);
  }
  trial_close(&full.t);
}

static void run_case(struct vkd_device *dev, const char *folder, int heads, int frames, int rows, int columns) {
  char path[200];
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  struct weights *weights = NULL;
  struct derived d;
  snprintf(path, sizeof path, "../shared/oracle/%s/weights.safetensors", folder);
  FILE *there = fopen(path, "rb");
  if (!there) {
    printf("%s: skipped, it is not there\n", path);
    return;
  }
  fclose(there);
  enum vkd_status st = st_open(path, &file, &err);
  if (st == VKD_OK) st = weights_wrap(&weights, file, &err);
  const struct derive_options options = {.heads = heads, .latent = {frames, rows, columns}};
  if (st == VKD_OK) st = derive_model(weights, &options, &d, &err);
  CHECK(st == VKD_OK, "%s: %s", path, err.what);
  if (st == VKD_OK) run_model(dev, folder, d.config, file);
  weights_close(&weights);
  st_close(&file);
}

static void refused_without_storage(struct vkd_device *dev) {
  struct vkd_device_caps *caps = (struct vkd_device_caps *)(uintptr_t)vkd_device_get_caps(dev);
  struct dit_config narrow = text_model;
  struct params *params;
  struct vkd_error err = {0};
  narrow.compute = VKD_BF16;
  caps->storage_16bit = false;
  CHECK(params_create(&params, dev, &narrow, PARAMS_FOR_INFERENCE, &err) == VKD_ERR_UNSUPPORTED && !params,
        "a device without 16-bit storage is taken");
  CHECK(strstr(err.what, "precision bf16") && strstr(err.what, "use fp32"), "%s", err.what);
  caps->storage_16bit = true;
}

int main(void) {
  struct vkd_device *dev = device_or_skip(true);
  struct dit_config image = image_model;
  image.depth = 3;
  image.out_channels *= 2;
  refused_without_storage(dev);
  run_model(dev, "text", text_model, NULL);
  run_model(dev, "image", image, NULL);
  run_case(dev, "wan_hd24", 3, 3, 8, 12);
  run_case(dev, "dit_hybrid", 3, 1, 16, 16);
  return device_done(&dev);
}
