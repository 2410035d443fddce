// Self-test cases: how they are built, filled and compared.
#include "case.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256 }; // bytes before and after every result

static double uniform(uint64_t *state) { // splitmix64; the same draws in every run
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}
static double normal(uint64_t *state) {
  double radius = sqrt(-2 * log(1 - uniform(state)));
  return radius * cos(6.283185307179586 * uniform(state));
}

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

vkd_tensor vkd__case_half(struct vkd_case *c, enum vkd_dtype dtype, struct vkd_shape shape) {
  struct vkd_buffer *buffer;
  struct vkd_error err = {0};
  if (vkd_buffer_create(&buffer, c->dev, (uint64_t)vkd_shape_numel(&shape) * 2, &err) != VKD_OK) {
    vkd__graph_fail(c->g, err.status, "%s", err.what);
    return (vkd_tensor){0};
  }
  vkd_tensor t = vkd_bound(c->g, "h", dtype, shape, buffer, 0);
  add_leaf(c, t, buffer, 0, 0, false);
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
#define HALVES(dtype, ...) vkd__case_half(c, VKD_##dtype, VKD_SHAPE(__VA_ARGS__))
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

const struct vkd_case_row vkd__cases[] = {
#define CASE(op, name, ...) {#op, #name, case_##op##_##name},
#include "cases.def"
#undef CASE
};
const int vkd__case_count = sizeof vkd__cases / sizeof vkd__cases[0];

enum vkd_status vkd__case_build(struct vkd_built *b, int index, struct vkd_device *dev, struct vkd_error *err) {
  const struct vkd_case_row *row = &vkd__cases[index];
  *b = (struct vkd_built){.c = {.dev = dev, .tolerance = 3e-6}};
  enum vkd_status st = vkd_graph_create(&b->c.g, err);
  if (st != VKD_OK) return st;
  row->build(&b->c);
  struct vkd_case *c = &b->c;
  if (c->wrt_count) {
    vkd_tensor dy[VKD_CASE_MAX];
    int outs = c->out_count;
    for (int i = 0; i < outs; i++) dy[i] = vkd__case_fixed(c, 1, -1, vkd__shape(c->g, c->outs[i])); // normal
    vkd__vjp(c->g, c->outs, dy, outs, c->wrt, c->wrt_count, b->grads, NULL);
    b->grad_count = c->wrt_count;
  }
  for (int i = 0; i < c->out_count; i++)
    if (c->state_out[i]) vkd_output(c->g, c->outs[i]);
  st = vkd_graph_status(c->g, err);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "case %s/%s", row->op, row->name);
}

void vkd__case_free(struct vkd_built *b) {
  free(b->values);
  for (int i = 0; i < b->c.leaf_count; i++)
    if (b->c.leaves[i].buffer) vkd_buffer_destroy(&b->c.leaves[i].buffer);
  for (int i = 0; i < b->result_count; i++)
    if (!b->results[i].state && b->results[i].buffer) vkd_buffer_destroy(&b->results[i].buffer);
  vkd_graph_destroy(&b->c.g);
}

void vkd__case_draw(struct vkd_built *b, uint64_t seed) {
  for (int i = 0; i < b->c.leaf_count; i++) {
    const struct vkd_case_leaf *leaf = &b->c.leaves[i];
    double *v = b->values[leaf->tensor.id];
    int64_t n = vkd__numel(b->c.g, leaf->tensor);
    for (int64_t k = 0; k < n; k++) {
      double x = leaf->lo > leaf->hi ? normal(&seed) : leaf->lo + (leaf->hi - leaf->lo) * uniform(&seed);
      v[k] = leaf->integer ? floor(x) : (double)(float)x; // the device sees exactly these
    }
  }
}

static struct vkd_buffer *state_buffer(const struct vkd_case *c, vkd_tensor t) {
  for (int i = 0; i < c->leaf_count; i++)
    if (c->leaves[i].tensor.id == t.id) return c->leaves[i].buffer;
  return NULL;
}

enum vkd_status vkd__case_place(struct vkd_built *b, struct vkd_error *err) {
  struct vkd_case *c = &b->c;
  for (int i = 0; i < c->out_count + b->grad_count; i++) {
    struct vkd_case_result *r = &b->results[b->result_count++];
    bool grad = i >= c->out_count;
    *r = (struct vkd_case_result){.tensor = grad ? b->grads[i - c->out_count] : c->outs[i],
                                  .index = grad ? i - c->out_count : i,
                                  .grad = grad,
                                  .state = !grad && c->state_out[i]};
    if (r->state)
      r->buffer = state_buffer(c, r->tensor);
    else
      vkd_place(c->g, r->tensor, guarded(c, vkd__shape(c->g, r->tensor), &r->buffer));
  }
  return vkd_graph_status(c->g, err);
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

enum vkd_status vkd__case_reset(const struct vkd_built *b, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < b->result_count && st == VKD_OK; i++) {
    const struct vkd_case_result *r = &b->results[i];
    st = fill_guarded(r->buffer, r->state ? b->values[r->tensor.id] : NULL, err);
  }
  return st;
}

enum vkd_status vkd__case_read(const struct vkd_built *b, unsigned char **bytes, uint64_t *size,
                               struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  *size = 0;
  for (int i = 0; i < b->result_count; i++) *size += vkd_buffer_bytes(b->results[i].buffer);
  *bytes = malloc(*size + 1);
  if (!*bytes) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for results");
  uint64_t at = 0;
  for (int i = 0; i < b->result_count && st == VKD_OK; i++) {
    uint64_t part = vkd_buffer_bytes(b->results[i].buffer);
    st = vkd_buffer_read(b->results[i].buffer, 0, *bytes + at, part, err);
    at += part;
  }
  return st;
}

void vkd__case_miss(struct vkd_selftest_result *r, const char *fmt, ...) {
  va_list ap;
  r->pass = false;
  va_start(ap, fmt);
  vsnprintf(r->what, sizeof r->what, fmt, ap);
  va_end(ap);
}

static double relative(const double *want, const float *got, int64_t n) {
  double d2 = 0, w2 = 0;
  for (int64_t i = 0; i < n; i++) {
    d2 += (got[i] - want[i]) * (got[i] - want[i]);
    w2 += want[i] * want[i];
  }
  return w2 > 0 ? sqrt(d2 / w2) : sqrt(d2);
}

void vkd__case_compare(const struct vkd_built *b, const unsigned char *bytes, struct vkd_selftest_result *r) {
  const unsigned char *data = bytes;
  for (int i = 0; i < b->result_count; i++) {
    const struct vkd_case_result *result = &b->results[i];
    const char *kind = result->grad ? "gradient" : "output";
    double *worst = result->grad ? &r->backward : &r->forward;
    uint64_t part = vkd_buffer_bytes(result->buffer);
    double e = relative(b->values[result->tensor.id], (const float *)(const void *)(data + GUARD),
                        vkd__numel(b->c.g, result->tensor));
    if (!(e <= *worst)) *worst = e;
    if (!(e <= r->tolerance)) vkd__case_miss(r, "%s %d is off by %.3g", kind, result->index, e);
    for (uint64_t k = 0; k < GUARD; k++)
      if (data[k] != 0xa5 || data[part - 1 - k] != 0xa5) {
        vkd__case_miss(r, "%s %d: written outside its storage", kind, result->index);
        break;
      }
    data += part;
  }
}
