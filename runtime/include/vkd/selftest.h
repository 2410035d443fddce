// Every kernel row against its op's float64 reference, and every reference backward against central differences.
#ifndef VKD_SELFTEST_H
#define VKD_SELFTEST_H

#include "vkd/device.h"

struct vkd_selftest_result {
  const char *op, *name;
  const char *form;         // the one of several ways to run the op that was asked for; NULL: the usual one
  double forward, backward; // ‖got - want‖ / ‖want‖, the worst of the outputs and of the gradients; backward < 0: none
  double tolerance;
  bool pass, skipped; // skipped: the device has not what the case needs
  char what[256];     // what went wrong, or the worst tensor
};
typedef void (*vkd_selftest_fn)(void *user, const struct vkd_selftest_result *result);

struct vkd_selftest_params {
  const char *only; // an op; NULL: all
  bool all;         // also other ways to run a case that would compile pipelines to show nothing new
  int jobs;         // threads, each with a device of its own; 0: one per processor, at most 8
  // NULL, or called where a case begins, one call at a time, from any of the threads
  void (*progress)(void *user, uint32_t done, uint32_t total, const struct vkd_selftest_result *begun);
};

struct vkd_selftest_summary {
  uint32_t cases, failed, skipped; // results by kind; `cases` counts them all
  uint32_t left_out;               // for want of params->all
  uint32_t rows;                   // kernel rows that ran
};

// Runs the cases on the device: forward and, with random cotangents, backward, twice, which must give the same bits;
// storage around every result must stay untouched.  At the end fn is called for every result, in the same order
// whatever the number of jobs.  With only == NULL a usable kernel row that no case has run is a miss too.  Misses are
// counted, not errors.  dev is in use meanwhile, and others like it are opened.
enum vkd_status vkd_selftest_run(struct vkd_device *dev, const struct vkd_selftest_params *params, vkd_selftest_fn fn,
                                 void *user, struct vkd_selftest_summary *summary, struct vkd_error *err);

// The float64 backward of every case against central differences of <w, f(x)> with random w.  No device.
// With only == NULL an op of the table that no case builds is a miss.
enum vkd_status vkd_selftest_gradients(const char *only, vkd_selftest_fn fn, void *user, uint32_t *failed,
                                       struct vkd_error *err);

// Whether the device can run each kernel row: names[i] and reason[i] (NULL: it can), *count rows.  Arrays freed with
// free().
enum vkd_status vkd_kernel_rows(const struct vkd_device_caps *caps, const char ***names, const char ***reasons,
                                uint32_t *count, struct vkd_error *err);

#endif
