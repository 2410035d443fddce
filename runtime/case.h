// Self-test cases (cases.def): building, drawing, comparing.  Internal to runtime/.
#ifndef VKD_CASE_H
#define VKD_CASE_H

#include "graph_internal.h"
#include "vkd/device.h"
#include "vkd/selftest.h"

enum { VKD_CASE_MAX = 24 };

struct vkd_case_leaf {
  vkd_tensor tensor;
  struct vkd_buffer *buffer; // of a state tensor; NULL: an input
  double lo, hi;             // uniform range, or lo > hi: standard normal
  bool integer;
};

struct vkd_case {
  struct vkd_graph *g;
  struct vkd_device *dev;
  double tolerance;
  struct vkd_case_leaf leaves[VKD_CASE_MAX];
  vkd_tensor wrt[VKD_CASE_MAX], outs[VKD_CASE_MAX];
  int leaf_count, wrt_count, out_count;
  bool state_out[VKD_CASE_MAX];
};

// ---- what cases.def is written in ----
// Standard normal, with a gradient checked.
vkd_tensor vkd__case_rand(struct vkd_case *c, struct vkd_shape shape);
// Uniform in [lo, hi], no gradient.
vkd_tensor vkd__case_fixed(struct vkd_case *c, double lo, double hi, struct vkd_shape shape);
// Integers 0 .. below-1
vkd_tensor vkd__case_index(struct vkd_case *c, int below, struct vkd_shape shape);
// A bound tensor, uniform in [lo, hi], that the op writes; it is compared afterwards.
vkd_tensor vkd__case_state(struct vkd_case *c, double lo, double hi, struct vkd_shape shape);
// Storage of 16 bits that the case fills before it reads it; not compared.
vkd_tensor vkd__case_half(struct vkd_case *c, enum vkd_dtype dtype, struct vkd_shape shape);

// y is compared, and gets a random cotangent.
void vkd__case_out(struct vkd_case *c, vkd_tensor y);

// ---- the cases ----
struct vkd_case_row {
  const char *op, *name;
  void (*build)(struct vkd_case *c);
};
extern const struct vkd_case_row vkd__cases[];
extern const int vkd__case_count;

struct vkd_case_result {
  vkd_tensor tensor;
  struct vkd_buffer *buffer; // with guard bands before and after
  int index;                 // of outs or of grads
  bool grad, state;          // state: the buffer is a leaf's
};

// A case with its gradients; the cotangent of outs[i] is the leaf leaf_count - out_count + i.
struct vkd_built {
  struct vkd_case c;
  vkd_tensor grads[VKD_CASE_MAX];
  int grad_count;
  struct vkd_case_result results[2 * VKD_CASE_MAX]; // outputs, then gradients
  int result_count;
  double **values; // of every tensor, by id; vkd_graph_ref_alloc()
};

// Works on a fake device.  Errors: those of the graph, with the case's name.  vkd__case_free() follows either way.
enum vkd_status vkd__case_build(struct vkd_built *b, int index, struct vkd_device *dev, struct vkd_error *err);
void vkd__case_free(struct vkd_built *b);

// Whether the graph has tensors of 16-bit types.
bool vkd__case_16bit(const struct vkd_graph *g);

// Places every result between guard bands of a buffer.
enum vkd_status vkd__case_place(struct vkd_built *b, struct vkd_error *err);

// Draws `values` of the leaves.
void vkd__case_draw(struct vkd_built *b, uint64_t seed);

// Before a run: the guard bands' pattern everywhere, and state as `values` has it.
enum vkd_status vkd__case_reset(const struct vkd_built *b, struct vkd_error *err);

// After a run: the bytes of all results with their guard bands, one after another; freed with free() either way.
enum vkd_status vkd__case_read(const struct vkd_built *b, unsigned char **bytes, uint64_t *size, struct vkd_error *err);

// These bytes against `values`, as the reference left them: fills errors and pass.
void vkd__case_compare(const struct vkd_built *b, const unsigned char *bytes, struct vkd_selftest_result *r);

// Notes what a case missed: no error of the run.
void vkd__case_miss(struct vkd_selftest_result *r, const char *fmt, ...) VKD_PRINTF(2, 3);

#endif
