// A case folder against this implementation: reference values of the forward pass, loss, gradients, AdamW steps, EMA
// and samples of one small model, as case.json and safetensors files beside it.
#ifndef VKDM_VERIFY_H
#define VKDM_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "vkd/device.h"

// name, title
#define VERIFY_GROUP_MAP(X)                                                                                            \
  X(TRACE, "blocks, where an error begins")                                                                            \
  X(OUTPUT, "output")                                                                                                  \
  X(LOSS, "loss")                                                                                                      \
  X(GRADIENT, "gradients")                                                                                             \
  X(ADAMW1, "adamw step 1")                                                                                            \
  X(ADAMW3, "adamw step 3")                                                                                            \
  X(EMA3, "ema after step 3")                                                                                          \
  X(SAMPLE, "samples")

enum verify_group {
#define X(name, title) VERIFY_##name,
  VERIFY_GROUP_MAP(X)
#undef X
      VERIFY_GROUPS
};
const char *verify_group_title(enum verify_group group);

enum verify_measure {
  VERIFY_RELATIVE, // ‖x - ref‖ / ‖ref‖
  VERIFY_ABSOLUTE, // max |x - ref|
  VERIFY_CHECKS    // the largest difference of [sum, ‖x‖, Σ x_i cos(0.37 i)]
};
const char *verify_measure_name(enum verify_measure measure);

struct verify_row {
  enum verify_group group;
  enum verify_measure measure;
  char name[120]; // of the tensor, as the case names it
  double error, tolerance;
  bool pass;
};

struct verify_report {
  char family[32], naming[32];
  int64_t params;
  struct verify_row *rows; // group by group, the worst (error / tolerance) first
  int count, failed;
};

// Runs the case on the device.  Misses are no error: they are counted in report->failed.
// Errors: VKD_ERR_INPUT naming the file and what is wrong in it; VKD_ERR_UNSUPPORTED on another model family.
enum vkd_status verify_case(struct vkd_device *dev, const char *folder, struct verify_report *report,
                            struct vkd_error *err);
void verify_report_free(struct verify_report *report);

#endif
