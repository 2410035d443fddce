#include "vkd/selftest.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "exec_internal.h"
#include "form.h"

enum { GUARD = 256 }; // bytes before and after every result

static uint64_t rng_state;
static double uniform(void) { // splitmix64; the same draws in every run
  uint64_t z = rng_state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}
static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

static void add_leaf(struct vkd_case *c, vkd_tensor t, struct vkd_buffer *buffer, double lo, double hi, bool integer) {
  if (c->leaf_count == VKD_CASE_MAX)
    vkd__graph_fail(c->g, VKD_ERR_INTERNAL, "a case has more than %d leaves", VKD_CASE_MAX);
  else
    c->leaves[c->leaf_count++] = (struct vkd_case_leaf){t, buffer, lo, hi, integer};
}

vkd_tensor vkd__case_rand(struct vkd_case *c, struct vkd_shape shape) {
  vkd_tensor t = vkd_input(c->g, "x", VKD_F32, shape);
  add_leaf(c, t, NULL, 1, -1, false);
  if (c->wrt_count < VKD_CASE_MAX) c->wrt[c->wrt_count++] = t;
  return t;
}
vkd_tensor vkd__case_fixed(struct vkd_case *c, double lo, double hi, struct vkd_shape shape) {
  vkd_tensor t = vkd_input(c->g, "c", VKD_F32, shape);
  add_leaf(c, t, NULL, lo, hi, false);
  return t;
}
vkd_tensor vkd__case_index(struct vkd_case *c, int below, struct vkd_shape shape) {
  vkd_tensor t = vkd_input(c->g, "i", VKD_I32, shape);
  add_leaf(c, t, NULL, 0, below, true);
  return t;
}

// A bound tensor between guard bands.
static vkd_tensor guarded(struct vkd_case *c, struct vkd_shape shape, struct vkd_buffer **buffer) {
  struct vkd_error err = {0};
  uint64_t bytes = (uint64_t)vkd_shape_numel(&shape) * 4;
  if (vkd_buffer_create(buffer, c->dev, bytes + 2 * GUARD, &err) != VKD_OK)
    vkd__graph_fail(c->g, err.status, "%s", err.what);
  return *buffer ? vkd_bound(c->g, "s", VKD_F32, shape, *buffer, GUARD) : (vkd_tensor){0};
}

vkd_tensor vkd__case_state(struct vkd_case *c, double lo, double hi, struct vkd_shape shape) {
  struct vkd_buffer *buffer;
  vkd_tensor t = guarded(c, shape, &buffer);
  add_leaf(c, t, buffer, lo, hi, false);
  c->state_out[c->out_count] = true;
  c->outs[c->out_count++] = t;
  return t;
}

void vkd__case_out(struct vkd_case *c, vkd_tensor y) {
  if (c->out_count == VKD_CASE_MAX)
    vkd__graph_fail(c->g, VKD_ERR_INTERNAL, "a case has more than %d outputs", VKD_CASE_MAX);
  else
    c->outs[c->out_count++] = y;
}

#define R(...) vkd__case_rand(c, VKD_SHAPE(__VA_ARGS__))
#define F(lo, hi, ...) vkd__case_fixed(c, lo, hi, VKD_SHAPE(__VA_ARGS__))
#define I(below, ...) vkd__case_index(c, below, VKD_SHAPE(__VA_ARGS__))
#define S(lo, hi, ...) vkd__case_state(c, lo, hi, VKD_SHAPE(__VA_ARGS__))
#define H(dtype, x) vkd_cast(g, x, VKD_##dtype)
#define OUT(y) vkd__case_out(c, y)
#define T(t) (c->tolerance = (t))
#define CASE(op, name, ...)                                                                                            \
  static void case_##op##_##name(struct vkd_case *c) {                                                                 \
    struct vkd_graph *g = c->g;                                                                                        \
    (void)g;                                                                                                           \
    __VA_ARGS__;                                                                                                       \
  }
#include "cases.def"
#undef CASE

static const struct {
  const char *op, *name;
  void (*build)(struct vkd_case *c);
} cases[] = {
#define CASE(op, name, ...) {#op, #name, case_##op##_##name},
#include "cases.def"
#undef CASE
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

// A case with its gradients: outs ++ grads are the results, `cotangent[i]` belongs to outs[i].
struct built {
  struct vkd_case c;
  vkd_tensor grads[VKD_CASE_MAX];
  int grad_count;
  struct vkd_buffer *result_buffers[2 * VKD_CASE_MAX];
  int buffer_count;
  double **values;
};

static void built_free(struct built *b) {
  free(b->values);
  for (int i = 0; i < b->c.leaf_count; i++)
    if (b->c.leaves[i].buffer) vkd_buffer_destroy(&b->c.leaves[i].buffer);
  for (int i = 0; i < b->buffer_count; i++) vkd_buffer_destroy(&b->result_buffers[i]);
  vkd_graph_destroy(&b->c.g);
}

static enum vkd_status build(struct built *b, int index, struct vkd_device *dev, struct vkd_error *err) {
  *b = (struct built){.c = {.dev = dev, .tolerance = 3e-6}};
  enum vkd_status st = vkd_graph_create(&b->c.g, err);
  if (st != VKD_OK) return st;
  cases[index].build(&b->c);
  struct vkd_case *c = &b->c;
  if (c->wrt_count) {
    vkd_tensor dy[VKD_CASE_MAX];
    int outs = c->out_count;
    for (int i = 0; i < outs; i++) dy[i] = vkd__case_fixed(c, 1, -1, vkd__shape(c->g, c->outs[i])); // normal
    vkd__vjp(c->g, c->outs, dy, outs, c->wrt, c->wrt_count, b->grads);
    b->grad_count = c->wrt_count;
  }
  for (int i = 0; i < c->out_count; i++)
    if (c->state_out[i]) vkd_output(c->g, c->outs[i]);
  st = vkd_graph_status(c->g, err);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "case %s/%s", cases[index].op, cases[index].name);
}

static void draw_leaves(struct built *b) {
  for (int i = 0; i < b->c.leaf_count; i++) {
    const struct vkd_case_leaf *leaf = &b->c.leaves[i];
    double *v = b->values[leaf->tensor.id];
    int64_t n = vkd__numel(b->c.g, leaf->tensor);
    for (int64_t k = 0; k < n; k++) {
      double x = leaf->lo > leaf->hi ? normal() : leaf->lo + (leaf->hi - leaf->lo) * uniform();
      v[k] = leaf->integer ? floor(x) : (double)(float)x; // the device sees exactly these
    }
  }
}

static double relative(const double *want, const float *got, int64_t n) {
  double d2 = 0, w2 = 0;
  for (int64_t i = 0; i < n; i++) {
    d2 += (got[i] - want[i]) * (got[i] - want[i]);
    w2 += want[i] * want[i];
  }
  return w2 > 0 ? sqrt(d2 / w2) : sqrt(d2);
}

// A failure of one case that is not an error of the run
static void miss(struct vkd_selftest_result *r, const char *fmt, ...) VKD_PRINTF(2, 3);
static void miss(struct vkd_selftest_result *r, const char *fmt, ...) {
  va_list ap;
  r->pass = false;
  va_start(ap, fmt);
  vsnprintf(r->what, sizeof r->what, fmt, ap);
  va_end(ap);
}

// Compares a result that lies between guard bands of its buffer.
static enum vkd_status compare(struct built *b, vkd_tensor t, struct vkd_buffer *buffer, const char *kind, int index,
                               double *worst, struct vkd_selftest_result *r, struct vkd_error *err) {
  uint64_t bytes = vkd_buffer_bytes(buffer);
  unsigned char *data = malloc(bytes);
  if (!data) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a result");
  enum vkd_status st = vkd_buffer_read(buffer, 0, data, bytes, err);
  if (st == VKD_OK) {
    double e = relative(b->values[t.id], (const float *)(const void *)(data + GUARD), vkd__numel(b->c.g, t));
    if (!(e <= *worst)) *worst = e;
    if (!(e <= r->tolerance)) miss(r, "%s %d is off by %.3g", kind, index, e);
    for (uint64_t i = 0; i < GUARD; i++)
      if (data[i] != 0xa5 || data[bytes - 1 - i] != 0xa5) {
        miss(r, "%s %d: written outside its storage", kind, index);
        break;
      }
  }
  free(data);
  return st;
}

static enum vkd_status fill_guarded(struct vkd_buffer *buffer, const double *values, struct vkd_error *err) {
  uint64_t bytes = vkd_buffer_bytes(buffer);
  unsigned char *data = malloc(bytes);
  if (!data) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a result");
  memset(data, 0xa5, bytes);
  for (uint64_t i = 0; values && i < (bytes - 2 * GUARD) / 4; i++)
    ((float *)(void *)(data + GUARD))[i] = (float)values[i];
  enum vkd_status st = vkd_buffer_write(buffer, 0, data, bytes, err);
  free(data);
  return st;
}

static void write_inputs(struct built *b, struct vkd_program *program) {
  for (int i = 0; i < b->c.leaf_count; i++) {
    const struct vkd_case_leaf *leaf = &b->c.leaves[i];
    if (leaf->buffer || !program->plan->tensors[leaf->tensor.id].bytes) continue;
    void *dst = vkd_program_input(program, 0, leaf->tensor);
    int64_t n = vkd__numel(b->c.g, leaf->tensor);
    for (int64_t k = 0; k < n; k++)
      if (leaf->integer)
        ((int32_t *)dst)[k] = (int32_t)b->values[leaf->tensor.id][k];
      else
        ((float *)dst)[k] = (float)b->values[leaf->tensor.id][k];
  }
}

static enum vkd_status place_results(struct built *b, struct vkd_error *err) {
  struct vkd_case *c = &b->c;
  for (int i = 0; i < c->out_count + b->grad_count; i++) {
    vkd_tensor t = i < c->out_count ? c->outs[i] : b->grads[i - c->out_count];
    if (i < c->out_count && c->state_out[i]) continue;
    vkd_tensor dst = guarded(c, vkd__shape(c->g, t), &b->result_buffers[b->buffer_count]);
    if (dst.id) b->buffer_count++;
    vkd_place(c->g, t, dst);
  }
  return vkd_graph_status(c->g, err);
}

static enum vkd_status check_results(struct built *b, struct vkd_selftest_result *r, struct vkd_error *err) {
  struct vkd_case *c = &b->c;
  enum vkd_status st = VKD_OK;
  int at = 0;
  for (int i = 0; i < c->out_count + b->grad_count && st == VKD_OK; i++) {
    bool grad = i >= c->out_count;
    vkd_tensor t = grad ? b->grads[i - c->out_count] : c->outs[i];
    struct vkd_buffer *buffer = NULL;
    if (!grad && c->state_out[i]) {
      for (int k = 0; k < c->leaf_count; k++)
        if (c->leaves[k].tensor.id == t.id) buffer = c->leaves[k].buffer;
    } else {
      buffer = b->result_buffers[at++];
    }
    st = compare(b, t, buffer, grad ? "gradient" : "output", grad ? i - c->out_count : i,
                 grad ? &r->backward : &r->forward, r, err);
  }
  return st;
}

static bool has_16bit(const struct vkd_graph *g) {
  for (uint32_t i = 1; i < g->tensor_count; i++)
    if (vkd_dtype_16bit(g->tensors[i].dtype)) return true;
  return false;
}

// Whether a needed node of the graph can take the form and would not take it by itself.
static bool other_form(const struct vkd_graph *g, const struct vkd_device *dev, const struct vkd_form *form) {
  struct vkd_form_choice usual = {.caps = &dev->caps, .tune = dev->tune};
  for (uint32_t i = 0; i < g->node_count; i++)
    if (g->nodes[i].op == form->op && form->rank(&dev->caps, g, &g->nodes[i]) != VKD_FORM_NEVER &&
        vkd__form_choose(&usual, g, &g->nodes[i]) != form)
      return true;
  return false;
}

static double form_errors(const struct vkd_graph *g, const struct vkd_device *dev, const struct vkd_form *form) {
  struct vkd_form_choice choice = {.caps = &dev->caps, .forced = form};
  double error = 0;
  for (uint32_t i = 0; i < g->node_count; i++)
    error += vkd__form_error(vkd__form_choose(&choice, g, &g->nodes[i]), g, &g->nodes[i]);
  return error;
}

// form: NULL, or the one that nodes take where they can; *r stays as it is where none would take it for that.
static enum vkd_status run_case(int index, struct vkd_device *dev, const struct vkd_form *form, uint8_t *kernels_run,
                                struct vkd_selftest_result *r, struct vkd_error *err) {
  struct built b;
  struct vkd_program *program = NULL;
  enum vkd_status st = build(&b, index, dev, err);
  if (st != VKD_OK || (form && !other_form(b.c.g, dev, form))) goto done;
  st = place_results(&b, err);
  if (st == VKD_OK) st = vkd_graph_ref_alloc(b.c.g, &b.values, err);
  if (st != VKD_OK) goto done;
  if (has_16bit(b.c.g) && !dev->caps.storage_16bit) {
    *r = (struct vkd_selftest_result){.op = cases[index].op, .name = cases[index].name, .pass = true, .skipped = true};
    goto done;
  }
  rng_state = 1 + (uint64_t)index;
  draw_leaves(&b);
  *r = (struct vkd_selftest_result){.op = cases[index].op,
                                    .name = cases[index].name,
                                    .pass = true,
                                    .tolerance = b.c.tolerance + form_errors(b.c.g, dev, form)};
  r->form = form ? form->name : NULL;
  r->backward = b.grad_count ? 0 : -1;
  for (int i = 0; i < b.c.leaf_count && st == VKD_OK; i++)
    if (b.c.leaves[i].buffer) st = fill_guarded(b.c.leaves[i].buffer, b.values[b.c.leaves[i].tensor.id], err);
  for (int i = 0; i < b.buffer_count && st == VKD_OK; i++) st = fill_guarded(b.result_buffers[i], NULL, err);
  if (st == VKD_OK)
    st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = b.c.g, .form = form}, err);
  if (st != VKD_OK) goto done;
  for (uint32_t i = 0; i < program->regions[0].tape.count; i++)
    kernels_run[program->regions[0].tape.entries[i].kernel] = 1;
  write_inputs(&b, program);
  st = vkd_program_run(program, err);
  if (st == VKD_OK) st = vkd_graph_ref_run(b.c.g, b.values, err);
  if (st == VKD_OK) st = check_results(&b, r, err);
done:
  vkd_program_destroy(&program);
  built_free(&b);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "case %s/%s", cases[index].op, cases[index].name);
}

// Every case whose nodes can take another form than the usual one, once with each.
static enum vkd_status run_forms(struct vkd_device *dev, const char *only, uint8_t *kernels_run, vkd_selftest_fn fn,
                                 void *user, uint32_t *failed, struct vkd_error *err) {
  for (int f = 0; f < VKD_FORM_COUNT; f++)
    for (int i = 0; i < CASE_COUNT; i++) {
      struct vkd_selftest_result r = {.op = NULL};
      if (only && strcmp(only, cases[i].op) != 0) continue;
      enum vkd_status st = run_case(i, dev, &vkd__forms[f], kernels_run, &r, err);
      if (st != VKD_OK) return st;
      if (!r.op) continue;
      *failed += !r.pass;
      fn(user, &r);
    }
  return VKD_OK;
}

// Every case of the ops that have kernels for a CPU's lanes and no forms, with those that a GPU takes, in workgroups of
// a GPU's size.
static enum vkd_status run_as_gpu(struct vkd_device *dev, const char *only, uint8_t *kernels_run, vkd_selftest_fn fn,
                                  void *user, uint32_t *failed, struct vkd_error *err) {
  static const enum vkd_op ops[] = {VKD_OP_layernorm,  VKD_OP_rmsnorm_rope, VKD_OP_sum_rows, VKD_OP_add,
                                    VKD_OP_gelu,       VKD_OP_silu,         VKD_OP_zero,     VKD_OP_assign,
                                    VKD_OP_accumulate, VKD_OP_adamw};
  bool cpu_lanes = dev->caps.cpu_lanes;
  enum vkd_status st = VKD_OK;
  dev->caps.cpu_lanes = false;
  dev->caps.kind = VKD_DEVICE_OTHER;
  for (int i = 0; i < CASE_COUNT && st == VKD_OK; i++) {
    struct vkd_selftest_result r;
    bool any = false;
    for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++) any |= strcmp(vkd__ops[ops[k]].name, cases[i].op) == 0;
    if (!any || (only && strcmp(only, cases[i].op) != 0)) continue;
    st = run_case(i, dev, NULL, kernels_run, &r, err);
    if (st != VKD_OK) break;
    r.form = "gpu";
    *failed += !r.pass;
    fn(user, &r);
  }
  dev->caps.cpu_lanes = cpu_lanes;
  dev->caps.kind = VKD_DEVICE_SOFTWARE;
  return st;
}

enum vkd_status vkd_selftest_run(struct vkd_device *dev, const char *only, vkd_selftest_fn fn, void *user,
                                 uint32_t *failed, struct vkd_error *err) {
  uint8_t kernels_run[VKD_K_COUNT] = {0};
  bool any = false;
  enum vkd_status st = VKD_OK;
  *failed = 0;
  for (int i = 0; i < CASE_COUNT; i++) {
    struct vkd_selftest_result r;
    if (only && strcmp(only, cases[i].op) != 0) continue;
    any = true;
    st = run_case(i, dev, NULL, kernels_run, &r, err);
    if (st != VKD_OK) return st;
    *failed += !r.pass;
    fn(user, &r);
  }
  st = run_forms(dev, only, kernels_run, fn, user, failed, err);
  if (st == VKD_OK && dev->caps.kind == VKD_DEVICE_SOFTWARE)
    st = run_as_gpu(dev, only, kernels_run, fn, user, failed, err);
  if (st != VKD_OK) return st;
  if (only && !any) return vkd_fail(err, VKD_ERR_USAGE, "no self-test of an op '%s'", only);
  for (int k = 0; !only && k < VKD_K_COUNT; k++) {
    if (kernels_run[k] || vkd__kernel_unusable(&dev->caps, (enum vkd_kernel_id)k)) continue;
    struct vkd_selftest_result r = {.op = "kernel", .name = vkd_kernel_blobs[k].name, .backward = -1};
    miss(&r, "no case runs this kernel row");
    *failed += 1;
    fn(user, &r);
  }
  return VKD_OK;
}

// <w, f(x)> over all outputs, summed with compensation (Kahan): differences of it are divided by 1e-5.
static double project(const struct built *b) {
  const struct vkd_case *c = &b->c;
  double sum = 0, lost = 0;
  int first_w = c->leaf_count - c->out_count; // cotangents are the last leaves
  for (int i = 0; i < c->out_count; i++) {
    const double *y = b->values[c->outs[i].id], *w = b->values[c->leaves[first_w + i].tensor.id];
    int64_t n = vkd__numel(c->g, c->outs[i]);
    for (int64_t k = 0; k < n; k++) {
      double term = y[k] * w[k] - lost, next = sum + term;
      lost = next - sum - term;
      sum = next;
    }
  }
  return sum;
}

// Gradients against central differences at up to 40 elements per input, spread over it.
static enum vkd_status check_gradients(struct built *b, struct vkd_selftest_result *r, struct vkd_error *err) {
  struct vkd_case *c = &b->c;
  enum vkd_status st = VKD_OK;
  for (int k = 0; k < b->grad_count && st == VKD_OK; k++) {
    st = vkd_graph_ref_run(c->g, b->values, err); // at the unchanged inputs
    int64_t n = vkd__numel(c->g, c->wrt[k]), step = n > 40 ? n / 40 : 1;
    double *grad = malloc((size_t)n * sizeof *grad), d2 = 0, w2 = 0;
    if (!grad) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a gradient");
    memcpy(grad, b->values[b->grads[k].id], (size_t)n * sizeof *grad);
    double *x = b->values[c->wrt[k].id];
    for (int64_t i = 0; i < n && st == VKD_OK; i += step) {
      const double h = 1e-5, keep = x[i];
      x[i] = keep + h;
      st = vkd_graph_ref_run(c->g, b->values, err);
      double up = project(b);
      x[i] = keep - h;
      if (st == VKD_OK) st = vkd_graph_ref_run(c->g, b->values, err);
      double want = (up - project(b)) / (2 * h);
      x[i] = keep;
      d2 += (grad[i] - want) * (grad[i] - want);
      w2 += want * want;
    }
    free(grad);
    double e = w2 > 0 ? sqrt(d2 / w2) : sqrt(d2);
    if (!(e <= r->backward)) r->backward = e;
    if (!(e <= r->tolerance)) miss(r, "gradient %d is off by %.3g", k, e);
  }
  return st;
}

enum vkd_status vkd_selftest_gradients(const char *only, vkd_selftest_fn fn, void *user, uint32_t *failed,
                                       struct vkd_error *err) {
  static const struct vkd_device_caps limits = {
      .name = "fake", .max_allocation = (uint64_t)1 << 40, .memory_bytes = (uint64_t)1 << 40};
  uint8_t ops_built[VKD_OP_COUNT] = {0};
  struct vkd_device *fake;
  enum vkd_status st = vkd_device_create(&fake, &(struct vkd_device_params){.fake = &limits}, err);
  *failed = 0;
  for (int i = 0; i < CASE_COUNT && st == VKD_OK; i++) {
    if (only && strcmp(only, cases[i].op) != 0) continue;
    struct built b;
    // Central differences with h = 1e-5 are good to about h^2 = 1e-10 and to 1e-16 / h = 1e-11 of rounding.
    struct vkd_selftest_result r = {.op = cases[i].op, .name = cases[i].name, .pass = true, .tolerance = 1e-8};
    st = build(&b, i, fake, err);
    for (int k = 0; k < b.grad_count; k++) vkd_output(b.c.g, b.grads[k]);
    for (int k = 0; k < b.c.out_count; k++) vkd_output(b.c.g, b.c.outs[k]);
    if (st == VKD_OK) st = vkd_graph_ref_alloc(b.c.g, &b.values, err);
    if (st == VKD_OK) {
      for (uint32_t k = 0; k < b.c.g->node_count; k++) ops_built[b.c.g->nodes[k].op] = 1;
      rng_state = 1000 + (uint64_t)i;
      draw_leaves(&b);
      b.c.g->unrounded = true;
      r.backward = b.grad_count ? 0 : -1;
      if (b.grad_count) st = check_gradients(&b, &r, err);
    }
    built_free(&b);
    *failed += !r.pass;
    if (st == VKD_OK) fn(user, &r);
  }
  for (int k = 0; k < VKD_OP_COUNT && !only && st == VKD_OK; k++) {
    if (ops_built[k]) continue;
    struct vkd_selftest_result r = {.op = vkd__ops[k].name, .name = "", .backward = -1};
    miss(&r, "no case builds this op");
    *failed += 1;
    fn(user, &r);
  }
  vkd_device_destroy(&fake);
  return st;
}

enum vkd_status vkd_kernel_rows(const struct vkd_device_caps *caps, const char ***names, const char ***reasons,
                                uint32_t *count, struct vkd_error *err) {
  *count = VKD_K_COUNT;
  *names = calloc(VKD_K_COUNT, sizeof **names);
  *reasons = calloc(VKD_K_COUNT, sizeof **reasons);
  if (!*names || !*reasons) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the kernel rows");
  for (int k = 0; k < VKD_K_COUNT; k++) {
    (*names)[k] = vkd_kernel_blobs[k].name;
    (*reasons)[k] = vkd__kernel_unusable(caps, (enum vkd_kernel_id)k);
  }
  return VKD_OK;
}
