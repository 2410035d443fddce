// Low-rank adapters in the graph: gradients against the float64 interpreter, nothing changed where B is zero, merged as
// on the fly, and training that moves the adapters alone.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../model/step.h"
#include "device.h"
#include "models.h"
#include "normal.h"
#include "temp.h"
#include "trial.h"
#include "vkdm/lora.h"

enum { BATCH = 2, STEPS = 30 };

// As tests/train/reference.c: fp32 against float64 over about 60 ops; a wrong term is at 1e-3 or more.
static const double tolerance = 2e-5;

// Standard normal number i of a stream.
static float draw(uint32_t stream, int64_t i) { return (float)normal_at(77, 9, stream, i); }
static float noise(int row, int64_t i) { return draw(100 + (uint32_t)row, i); }

// Initial weights with noise on top, but for B where it is to be zero.
static enum vkd_status fill_params(struct trial *t, bool zero_b, struct vkd_error *err) {
  return trial_weights(t, zero_b ? dit_base_rows(&t->model) : t->params->count, noise, err);
}

static void fill_inputs(struct trial *t) {
  const vkd_tensor real[] = {t->in.x, t->in.text, t->target};
  for (uint32_t k = 0; k < 3; k++)
    if (real[k].id) normal_fill(vkd_program_input(t->program, 0, real[k]), trial_numel(t, real[k]), 77, 9, k);
  float *s = vkd_program_input(t->program, 0, t->in.s);
  for (int i = 0; i < BATCH; i++) dit_timestep_embedding(t->model.freq_dim, 310 + 500 * i, s + i * t->model.freq_dim);
  int32_t *labels = t->in.labels.id ? vkd_program_input(t->program, 0, t->in.labels) : NULL;
  for (int i = 0; labels && i < BATCH; i++) labels[i] = 2 + i;
}

enum use { FORWARD, GRADIENTS, TRAINING };

// hyper: of TRAINING.
static enum vkd_status open_trial(struct trial *t, struct vkd_device *dev, enum use use, vkd_tensor *hyper,
                                  struct vkd_error *err) {
  enum vkd_status st = trial_open(t, dev, use == TRAINING ? PARAMS_FOR_TRAINING : PARAMS_FOR_INFERENCE, err);
  if (st != VKD_OK) return st;
  trial_mse(t, BATCH);
  if (use == GRADIENTS) {
    trial_gradients(t, (vkd_tensor){0});
  } else if (use == TRAINING) {
    st = step_gradients(t->graph, t->params, t->weights, t->loss, err);
    *hyper = vkd_input(t->graph, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
    vkd_output(t->graph, optim_update(t->graph, t->params, PARAMS_GRAD, *hyper, t->loss));
  }
  if (st == VKD_OK) st = trial_program(t, dev, err);
  if (st == VKD_OK) fill_inputs(t);
  return st;
}

// ---- gradients -----------------------------------------------------------------------------------------------------
static void check_gradients(struct vkd_device *dev, const char *name, const struct dit_config *model) {
  struct vkd_error err = {0};
  struct trial t = {.model = *model};
  double worst = 0;
  t.model.lora.rank = 3;
  t.model.lora.alpha = 5;
  t.model.lora.targets = DIT_LORA_ALL;
  enum vkd_status st = open_trial(&t, dev, GRADIENTS, NULL, &err);
  if (st == VKD_OK) st = fill_params(&t, false, &err);
  if (st == VKD_OK) st = vkd_program_run(t.program, &err);
  const vkd_tensor inputs[] = {t.in.x, t.in.s, t.in.text, t.in.labels, t.target};
  if (st == VKD_OK) st = trial_values(&t, inputs, sizeof inputs / sizeof inputs[0], &err);
  if (st == VKD_OK) st = vkd_graph_ref_run(t.graph, t.values, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  int base = dit_base_rows(model), count = st == VKD_OK ? t.params->count : 0;
  for (int i = base; i < count; i++) {
    const struct dit_param *p = &t.params->rows[i];
    double e = check_relative(vkd_program_output(t.program, 0, t.grads[i]), t.values[t.grads[i].id], p->numel);
    CHECK(e <= tolerance, "%s: gradient of %s is off by %g", name, p->name[DIT_NAMING_DIFFUSERS], e);
    worst = fmax(worst, e);
  }
  CHECK(count > base, "%s: no adapters", name);
  printf("%s: %d adapter gradients, worst %.2e\n", name, count - base, worst);
  trial_close(&t);
}

// ---- what the model gives ------------------------------------------------------------------------------------------
static float *run_out(struct trial *t, int64_t *n, struct vkd_error *err) {
  if (vkd_program_run(t->program, err) != VKD_OK) return NULL;
  *n = trial_numel(t, t->out);
  float *copy = malloc((size_t)*n * sizeof *copy);
  memcpy(copy, vkd_program_output(t->program, 0, t->out), (size_t)*n * sizeof *copy);
  return copy;
}

// Plain, with adapters whose B is zero, with trained ones, and with those merged or read back from their file.
static void check_outputs(struct vkd_device *dev, const char *name, const struct dit_config *model) {
  struct vkd_error err = {0};
  struct trial plain = {.model = *model}, with = {.model = *model}, again = {.model = *model};
  struct lora *lora = NULL;
  float *base = NULL, *adapted = NULL, *other = NULL;
  char folder[TEMP_SIZE], path[TEMP_SIZE + 32];
  int64_t n = 0;
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/lora.safetensors", folder);
  with.model.lora.rank = 4;
  with.model.lora.alpha = 6;
  with.model.lora.targets = DIT_LORA_Q | DIT_LORA_V | DIT_LORA_FFN;
  enum vkd_status st = open_trial(&plain, dev, FORWARD, NULL, &err);
  if (st == VKD_OK) st = fill_params(&plain, false, &err);
  if (st == VKD_OK) st = open_trial(&with, dev, FORWARD, NULL, &err);
  if (st == VKD_OK) st = fill_params(&with, false, &err);
  // B at its initial zero: the same bits
  int first = dit_base_rows(model);
  for (int i = first; st == VKD_OK && i < with.params->count; i += 2) {
    float *zero = calloc((size_t)with.params->rows[i + 1].numel, sizeof *zero);
    st = params_write(with.params, PARAMS_WEIGHT, i + 1, zero, &err);
    free(zero);
  }
  if (st == VKD_OK) base = run_out(&plain, &n, &err);
  if (st == VKD_OK) adapted = run_out(&with, &n, &err);
  CHECK(base && adapted && memcmp(base, adapted, (size_t)n * sizeof *base) == 0, "%s: B = 0 changes the output", name);
  free(adapted);
  adapted = NULL;
  if (st == VKD_OK) st = fill_params(&with, false, &err);
  if (st == VKD_OK) adapted = run_out(&with, &n, &err);
  if (st == VKD_OK) st = lora_save(with.params, PARAMS_WEIGHT, path, &err);
  if (st == VKD_OK) st = lora_open(&lora, path, model, &err);
  CHECK(st == VKD_OK && base && adapted, "%s: %s", name, err.what);
  if (st != VKD_OK) goto done;
  double *ref = malloc((size_t)n * sizeof *ref);
  for (int64_t i = 0; i < n; i++) ref[i] = (double)adapted[i];
  double moved = check_relative(base, ref, n);
  CHECK(moved > 1e-3, "%s: adapters change the output by %g only", name, moved);
  CHECK(lora_rank(lora) == 4 && 2 * lora_count(lora) == with.params->count - first, "%s: %d adapters of rank %d", name,
        lora_count(lora), lora_rank(lora));
  lora_configure(lora, 1, &again.model);
  st = open_trial(&again, dev, FORWARD, NULL, &err);
  if (st == VKD_OK) st = fill_params(&again, true, &err);
  if (st == VKD_OK) st = lora_apply(lora, 1, again.params, &err);
  if (st == VKD_OK) other = run_out(&again, &n, &err);
  CHECK(st == VKD_OK && other && memcmp(other, adapted, (size_t)n * sizeof *other) == 0,
        "%s: read back, the adapters give another output: %s", name, err.what);
  free(other);
  st = lora_merge(lora, 1, plain.params, &err);
  other = st == VKD_OK ? run_out(&plain, &n, &err) : NULL;
  // The sum in W is rounded once per element, that on the fly per product: some 1e-7 each over the whole depth.
  double e = other ? check_relative(other, ref, n) : NAN;
  CHECK(e <= 1e-5, "%s: merged is off by %g from on the fly: %s", name, e, err.what);
  printf("%s: adapters move the output by %.2e; merged against on the fly %.2e\n", name, moved, e);
  st = lora_merge(lora, -1, plain.params, &err);
  free(other);
  other = st == VKD_OK ? run_out(&plain, &n, &err) : NULL;
  for (int64_t i = 0; i < n; i++) ref[i] = (double)base[i];
  e = other ? check_relative(other, ref, n) : NAN;
  CHECK(e <= 1e-5, "%s: merged with strength -1 on top, the base is off by %g", name, e);
  free(ref);
done:
  unlink(path);
  rmdir(folder);
  lora_close(&lora);
  free(base);
  free(adapted);
  free(other);
  trial_close(&plain);
  trial_close(&with);
  trial_close(&again);
}

// ---- weights on the host -------------------------------------------------------------------------------------------
static enum vkd_status read_host(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err) {
  return params_read_part(user, PARAMS_WEIGHT, index, first, count, dst, err);
}

// Rows of a reader, asked for in odd pieces, against those of params, bit for bit.
static void check_reader(const char *name, const struct lora_reader *reader, const struct params *want) {
  const struct params_reader *r = lora_reader_get(reader);
  int differ = 0;
  for (int i = 0; i < want->count; i++) {
    uint64_t n = (uint64_t)want->rows[i].numel;
    float *got = malloc((size_t)n * sizeof *got), *whole = malloc((size_t)n * sizeof *whole);
    enum vkd_status st = params_read(want, PARAMS_WEIGHT, i, whole, NULL);
    for (uint64_t at = 0, piece; at < n && st == VKD_OK; at += piece) {
      piece = n - at < 37 ? n - at : 37;
      st = r->read(r->user, i, at, piece, got + at, NULL);
    }
    differ += st != VKD_OK || memcmp(got, whole, (size_t)n * sizeof *got) != 0;
    free(got);
    free(whole);
  }
  CHECK(differ == 0, "%s: %d of %d rows differ", name, differ, want->count);
}

// Readers of merged weights and of adapters beside them; ranks and alphas that differ, and blocks without any.
static void check_readers(struct vkd_device *dev, const char *name, const struct dit_config *model) {
  struct vkd_error err = {0};
  struct params *plain = NULL, *merged = NULL, *beside = NULL;
  struct lora *lora = NULL;
  struct lora_reader *reader = NULL;
  char folder[TEMP_SIZE], path[TEMP_SIZE + 32];
  const char *attention = model->family == DIT_CLASS ? "transformer_blocks.1.attn1" : "blocks.1.attn1",
             *ffn = model->family == DIT_CLASS ? "transformer_blocks.0.ff" : "blocks.0.ffn";
  char names[4][96];
  uint64_t d = (uint64_t)model->dim, f = (uint64_t)model->ffn;
  float *values = malloc(5 * (d + f) * sizeof *values);
  for (uint64_t i = 0; i < 5 * (d + f); i++) values[i] = draw(7, (int64_t)i);
  snprintf(names[0], sizeof names[0], "%s.to_v.lora_A.weight", attention);
  snprintf(names[1], sizeof names[1], "%s.to_v.lora_B.weight", attention);
  snprintf(names[2], sizeof names[2], "%s.net.2.lora_A.weight", ffn);
  snprintf(names[3], sizeof names[3], "%s.net.2.lora_B.weight", ffn);
  const struct st_entry entries[] = {{names[0], ST_F32, 2, {2, d}, values, NULL, NULL},
                                     {names[1], ST_F32, 2, {d, 2}, values + 3, NULL, NULL},
                                     {names[2], ST_F32, 2, {5, f}, values, NULL, NULL},
                                     {names[3], ST_F32, 2, {d, 5}, values + 1, NULL, NULL}};
  const struct st_meta meta = {"lora_alpha", "3"};
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/lora.safetensors", folder);
  enum vkd_status st = st_write(path, entries, 4, &meta, 1, &err);
  if (st == VKD_OK) st = lora_open(&lora, path, model, &err);
  if (st == VKD_OK) st = params_create(&plain, dev, model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = params_init(plain, 5, &err);
  if (st == VKD_OK) st = params_create(&merged, dev, model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = params_init(merged, 5, &err);
  if (st == VKD_OK) st = lora_merge(lora, -0.7, merged, &err);
  struct params_reader host = {.read = read_host, .user = plain};
  if (st == VKD_OK) st = lora_reader_create(&reader, lora, -0.7, false, model, &host, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  if (st == VKD_OK) check_reader("merged", reader, merged);
  lora_reader_destroy(&reader);
  // Adapters beside the weights, whose memory the new params take over.
  struct dit_config with = *model;
  if (st == VKD_OK) lora_configure(lora, -0.7, &with);
  if (st == VKD_OK) st = params_create(&beside, dev, model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = params_init(beside, 5, &err);
  if (st == VKD_OK) st = params_adapt(&beside, &with, &err);
  if (st == VKD_OK) st = lora_apply(lora, -0.7, beside, &err);
  if (st == VKD_OK) st = lora_reader_create(&reader, lora, -0.7, true, model, &host, &err);
  CHECK(st == VKD_OK && with.lora.rank == 5, "%s: rank %d, %s", name, with.lora.rank, err.what);
  if (st == VKD_OK) check_reader("beside", reader, beside);
  lora_reader_destroy(&reader);
  lora_close(&lora);
  unlink(path);
  rmdir(folder);
  free(values);
  params_destroy(&plain);
  params_destroy(&merged);
  params_destroy(&beside);
}

// ---- training ------------------------------------------------------------------------------------------------------
static float *read_rows(const struct params *p, enum params_kind kind, int first, int end, int64_t *count) {
  *count = 0;
  for (int i = first; i < end; i++) *count += p->rows[i].numel;
  float *all = malloc((size_t)*count * sizeof *all), *at = all;
  for (int i = first; i < end; i++) {
    CHECK(params_read(p, kind, i, at, NULL) == VKD_OK, "row %d cannot be read", i);
    at += p->rows[i].numel;
  }
  return all;
}

static uint64_t kind_bytes(const struct params *p, enum params_kind kind) {
  uint64_t bytes = 0;
  for (uint32_t s = 0; s < p->segments; s++)
    if (p->buffers[kind][s]) bytes += p->segment_bytes[s];
  return bytes;
}

static void check_training(struct vkd_device *dev, const char *name, const struct dit_config *model) {
  struct vkd_error err = {0};
  struct trial t = {.model = *model};
  vkd_tensor hyper = {0};
  float first_loss = NAN, last_loss = NAN;
  t.model.lora.rank = 4;
  t.model.lora.alpha = 4;
  t.model.lora.targets = DIT_LORA_Q | DIT_LORA_K | DIT_LORA_V | DIT_LORA_O;
  enum vkd_status st = open_trial(&t, dev, TRAINING, &hyper, &err);
  if (st == VKD_OK) st = fill_params(&t, true, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  if (st != VKD_OK) {
    trial_close(&t);
    return;
  }
  int base = dit_base_rows(model), end = t.params->count;
  int64_t frozen = 0, trained = 0;
  float *before = read_rows(t.params, PARAMS_WEIGHT, 0, base, &frozen);
  float *adapters = read_rows(t.params, PARAMS_WEIGHT, base, end, &trained);
  CHECK(t.params->trainable == trained, "%s: %lld numbers are trained, the adapters have %lld", name,
        (long long)t.params->trainable, (long long)trained);
  // Rows are padded to 64 bytes.
  CHECK(kind_bytes(t.params, PARAMS_M) <= (uint64_t)trained * 4 + (uint64_t)(end - base) * 64,
        "%s: moments of %llu bytes for %lld numbers", name, (unsigned long long)kind_bytes(t.params, PARAMS_M),
        (long long)trained);
  // With weight decay, which must not reach the frozen ones either.
  struct optim_settings o = {.lr = 1e-2,
                             .beta1 = 0.9,
                             .beta2 = 0.95,
                             .eps = 1e-8,
                             .weight_decay = 0.1,
                             .ema = 0.9,
                             .clip = 1,
                             .grad_scale = 1};
  for (int i = 0; i < STEPS && st == VKD_OK; i++) {
    optim_hyper(&o, i + 1, vkd_program_input(t.program, 0, hyper));
    st = vkd_program_run(t.program, &err);
    const float *loss = vkd_program_output(t.program, 0, t.loss);
    *(i ? &last_loss : &first_loss) = *loss;
  }
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  CHECK(last_loss < 0.99f * first_loss, "%s: the loss went from %g to %g", name, (double)first_loss, (double)last_loss);
  float *after = read_rows(t.params, PARAMS_WEIGHT, 0, base, &frozen);
  CHECK(memcmp(before, after, (size_t)frozen * sizeof *after) == 0, "%s: training moved the base", name);
  int still = 0;
  for (int i = base; i < end; i++) {
    int64_t n = 0, at = 0;
    for (int k = base; k < i; k++) at += t.params->rows[k].numel;
    float *now = read_rows(t.params, PARAMS_WEIGHT, i, i + 1, &n);
    still += memcmp(now, adapters + at, (size_t)n * sizeof *now) == 0;
    free(now);
  }
  CHECK(still == 0, "%s: %d adapter tensors did not move", name, still);
  printf("%s: loss %.4f to %.4f in %d steps, %lld of %lld numbers trained\n", name, (double)first_loss,
         (double)last_loss, STEPS, (long long)trained, (long long)(frozen + trained));
  free(before);
  free(after);
  free(adapters);
  trial_close(&t);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  static const struct {
    const char *name;
    const struct dit_config *model;
  } models[] = {{"text", &text_model}, {"image", &image_model}};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
    check_gradients(dev, models[i].name, models[i].model);
    check_outputs(dev, models[i].name, models[i].model);
    check_readers(dev, models[i].name, models[i].model);
    check_training(dev, models[i].name, models[i].model);
  }
  return device_done(&dev);
}
