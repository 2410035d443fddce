// Steps whose loss or gradient is not finite: weights, moments, averages and rounded copies stay as they are to the
// bit, in every precision, in one pass and in several; a trace finds the tensor, and nothing in a sound step.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../model/random_batch.h"
#include "../../model/step.h"
#include "device.h"
#include "models.h"
#include "vkdm/random_fill.h"

enum { BATCH = 2 };

struct state {
  unsigned char *bytes;
  size_t size;
};

// Everything that an update writes.
static struct state read_state(const struct params *p) {
  static const enum params_kind kinds[] = {PARAMS_WEIGHT, PARAMS_M, PARAMS_V, PARAMS_EMA, PARAMS_COPY};
  struct state s = {0};
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
    for (uint32_t i = 0; p->buffers[kinds[k]] && i < p->trainable_segments; i++) {
      struct vkd_buffer *b = p->buffers[kinds[k]][i];
      size_t size = vkd_buffer_bytes(b);
      s.bytes = realloc(s.bytes, s.size + size);
      if (!s.bytes || vkd_buffer_read(b, 0, s.bytes + s.size, size, NULL)) exit(1);
      s.size += size;
    }
  return s;
}

static bool equal(const struct state *a, const struct state *b) {
  return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static struct step_result submit(struct step *s, int64_t number, const struct random_batch *batch) {
  struct step_result results[2] = {{0}}, one;
  struct vkd_error err = {0};
  int count;
  enum vkd_status st = step_submit(s, number, 1e-3, &batch->data, results, &count, &err);
  one = results[0];
  if (st == VKD_OK && !count) {
    st = step_flush(s, results, &count, &err);
    one = results[0];
  }
  CHECK(st == VKD_OK && one.step == number, "step %lld: %s", (long long)number, err.what);
  return one;
}

static void trace_of(struct step *s, const struct step_result *at, const struct random_batch *batch, const char *name,
                     const char *first) {
  struct step_trace t;
  struct vkd_error err = {0};
  CHECK(step_trace(s, at, &batch->data, &t, &err) == VKD_OK, "%s: %s", name, err.what);
  if (!first)
    CHECK(!t.found.tensor.id, "%s: a sound step has %s of %s", name, t.found.op, t.found.name);
  else
    CHECK(t.found.tensor.id && !strcmp(t.found.name, first), "%s: first in %s of %s, not %s", name,
          t.found.op ? t.found.op : "nothing", t.found.name ? t.found.name : "", first);
}

static void check(struct vkd_device *dev, const struct dit_config *small, const char *name,
                  enum config_precision precision, int micro) {
  struct config c;
  struct dit_config model = *small;
  struct params *params = NULL;
  struct step *step = NULL;
  struct random_batch good = {0}, bad = {0};
  struct vkd_error err = {0};
  static const enum vkd_dtype dtypes[] = {[CONFIG_FP32] = VKD_F32, [CONFIG_FP16] = VKD_F16, [CONFIG_BF16] = VKD_BF16};
  config_default(&c);
  c.train.batch = BATCH;
  c.train.micro_batch = micro;
  c.train.precision = precision;
  c.train.objective = model.family == DIT_CLASS ? CONFIG_HYBRID : CONFIG_FLOW;
  model.compute = dtypes[precision];
  enum vkd_status st = params_create(&params, dev, &model, step_params_kinds(&c), &err);
  if (st == VKD_OK) st = params_init(params, 1, &err);
  if (st == VKD_OK) st = step_create(&step, &c, params, NULL, &err);
  if (st == VKD_OK) st = random_batch_create(&good, &model, BATCH, &err);
  if (st == VKD_OK) st = random_batch_create(&bad, &model, BATCH, &err);
  CHECK(st == VKD_OK, "%s: %s", name, err.what);
  if (st == VKD_OK) {
    int64_t numel = (int64_t)model.in_channels * model.latent[0] * model.latent[1] * model.latent[2];
    bad.values[(BATCH - 1) * numel] = INFINITY; // in the last pass
    struct step_result r = submit(step, 1, &good);
    CHECK(isfinite(r.loss) && isfinite(r.grad_norm), "%s: loss %g, norm %g", name, r.loss, r.grad_norm);
    struct state before = read_state(params);
    r = submit(step, 2, &bad);
    CHECK(!isfinite(r.grad_norm), "%s: the norm of a bad batch is %g", name, r.grad_norm);
    struct state after = read_state(params);
    CHECK(equal(&before, &after), "%s: a skipped step changed the state", name);
    CHECK(submit(step, 3, &good).step == 3, "%s", name);
    struct state later = read_state(params);
    CHECK(!equal(&before, &later), "%s: the step after it changed nothing", name);
    loss_scale_begin(step_loss_scale(step), 4);
    CHECK(step_loss_scale(step)->skipped == 1, "%s: %lld counted", name, (long long)step_loss_scale(step)->skipped);
    trace_of(step, &r, &good, name, NULL);
    trace_of(step, &r, &bad, name, "x0");
    free(before.bytes);
    free(after.bytes);
    free(later.bytes);
  }
  random_batch_free(&good);
  random_batch_free(&bad);
  step_destroy(&step);
  params_destroy(&params);
}

// A loss that is not finite, though the gradient is.
static void check_loss(struct vkd_device *dev, enum vkd_dtype compute) {
  struct dit_config model = small_cross;
  struct params *params = NULL;
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct vkd_error err = {0};
  vkd_tensor hyper = {0}, loss = {0}, norm2 = {0};
  model.compute = compute;
  enum vkd_status st =
      params_create(&params, dev, &model, PARAMS_FOR_TRAINING | (compute == VKD_F32 ? 0 : 1u << PARAMS_COPY), &err);
  if (st == VKD_OK) st = params_init(params, 1, &err);
  for (uint32_t i = 0; st == VKD_OK && i < params->trainable_segments; i++) {
    struct vkd_buffer *grads = params->buffers[PARAMS_GRAD][i];
    float *values = malloc(vkd_buffer_bytes(grads));
    if (!values) exit(1);
    random_fill(values, vkd_buffer_bytes(grads) / sizeof *values, 0);
    st = vkd_buffer_write(grads, 0, values, vkd_buffer_bytes(grads), &err);
    free(values);
  }
  if (st == VKD_OK) st = vkd_graph_create(&g, &err);
  if (st == VKD_OK) {
    hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
    loss = vkd_input(g, "loss", VKD_F32, VKD_SHAPE(1));
    vkd_output(g, norm2 = optim_update(g, params, PARAMS_GRAD, hyper, loss));
    st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err);
  }
  CHECK(st == VKD_OK, "%s", err.what);
  static const float losses[] = {INFINITY, NAN, 3e38f};
  for (int i = 0; i < 3 && st == VKD_OK; i++) {
    struct optim_settings o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .ema = 0.9, .grad_scale = 1};
    optim_hyper(&o, 1, vkd_program_input(program, 0, hyper));
    *(float *)vkd_program_input(program, 0, loss) = losses[i];
    struct state before = read_state(params);
    CHECK(vkd_program_run(program, &err) == VKD_OK, "%s", err.what);
    struct state after = read_state(params);
    bool finite = isfinite(losses[i]);
    CHECK(equal(&before, &after) == !finite, "%s, a loss of %g", vkd_dtype_name(compute), losses[i]);
    CHECK(isfinite(*(const float *)vkd_program_output(program, 0, norm2)) == finite, "the norm, of a loss of %g",
          losses[i]);
    free(before.bytes);
    free(after.bytes);
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  params_destroy(&params);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  bool half = vkd_device_get_caps(dev)->storage_16bit;
  static const char *const names[] = {[CONFIG_FP32] = "fp32", [CONFIG_FP16] = "fp16", [CONFIG_BF16] = "bf16"};
  for (int p = CONFIG_FP32; p <= CONFIG_BF16; p++)
    for (int micro = 1; micro <= BATCH && (half || p == CONFIG_FP32); micro++) {
      char name[64];
      snprintf(name, sizeof name, "cross %s, passes of %d", names[p], micro);
      check(dev, &small_cross, name, (enum config_precision)p, micro);
      snprintf(name, sizeof name, "class %s, passes of %d", names[p], micro);
      check(dev, &small_class, name, (enum config_precision)p, micro);
    }
  static const enum vkd_dtype dtypes[] = {VKD_F32, VKD_F16, VKD_BF16};
  for (int i = 0; i < (half ? 3 : 1); i++) check_loss(dev, dtypes[i]);
  return device_done(&dev);
}
