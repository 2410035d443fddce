// What the parts of a verification share.  Internal to model/.
#ifndef VKDM_VERIFY_INTERNAL_H
#define VKDM_VERIFY_INTERNAL_H

#include "verify_case.h"
#include "vkd/exec.h"
#include "vkdm/naming.h"
#include "vkdm/params.h"
#include "vkdm/verify.h"

enum verify_file {
  VERIFY_FILE_WEIGHTS,
  VERIFY_FILE_IO,
  VERIFY_FILE_GRADS,
  VERIFY_FILE_ADAMW1,
  VERIFY_FILE_ADAMW3,
  VERIFY_FILE_SAMPLE, // may be absent where case.json states no samples
  VERIFY_FILE_TRACE,  // may be absent
  VERIFY_FILES
};

struct verify {
  struct verify_case c;
  struct verify_report *report;
  struct st_file *files[VERIFY_FILES];
  struct params *params;
  struct naming_tensor *tensors; // of the parameters, as the case names them
  int tensor_count;
};

// ‖x - ref‖ / ‖ref‖ of outputs, gradients and samples in fp32.  Plain fp32 PyTorch is within 6.5e-6 of these references
// for gradients; a wrong epsilon or another GELU costs 1e-4 or more.  Samples are judged the same way and not by the
// case's largest absolute difference: their scale grows with the guidance, that of the rounding with it.
#define VERIFY_TOLERANCE 2e-5

// ---- measures (verify_measure.c); NaN comes out as NaN
// -----------------------------------------------------------------
double verify_relative(const float *x, const float *ref, uint64_t n);
double verify_largest(const float *x, const float *ref, uint64_t n);
double verify_checks_difference(const float *x, uint64_t n, const double ref[3]);
enum vkd_status verify_add_row(struct verify *v, enum verify_group group, enum verify_measure measure, const char *name,
                               double error, double tolerance, struct vkd_error *err);

// ---- files (verify.c)
// -------------------------------------------------------------------------------------------------- A tensor of
// exactly that shape.
enum vkd_status verify_require(const struct verify *v, enum verify_file file, const char *name,
                               const struct vkd_shape *shape, const struct st_tensor **out, struct vkd_error *err);
enum vkd_status verify_read(const struct verify *v, enum verify_file file, const char *name,
                            const struct vkd_shape *shape, float *dst, struct vkd_error *err);
enum vkd_status verify_read_int(const struct verify *v, enum verify_file file, const char *name,
                                const struct vkd_shape *shape, int32_t *dst, struct vkd_error *err);
// Floats or whole numbers, as timesteps are.
enum vkd_status verify_read_numbers(const struct verify *v, enum verify_file file, const char *name,
                                    const struct vkd_shape *shape, float *dst, struct vkd_error *err);
// Relative difference from a stored tensor, as a row called `label`.
enum vkd_status verify_compare(struct verify *v, enum verify_group group, const char *label, const float *x,
                               enum verify_file file, const char *name, const struct vkd_shape *shape,
                               struct vkd_error *err);
// Conditions of the case's first `count` samples into a program's slot 0.
enum vkd_status verify_conditions(const struct verify *v, struct vkd_program *program, const struct dit_inputs *in,
                                  int count, struct vkd_error *err);
// [batch, channels, T, H, W] as the case stores it: without T in a family of images
struct vkd_shape verify_latent(const struct verify *v, int64_t batch, int channels);

// ---- the parts
// ---------------------------------------------------------------------------------------------------------
enum vkd_status verify_train(struct verify *v, struct vkd_error *err);  // verify_train.c
enum vkd_status verify_trace(struct verify *v, struct vkd_error *err);  // verify_trace.c
enum vkd_status verify_sample(struct verify *v, struct vkd_error *err); // verify_sample.c

#endif
