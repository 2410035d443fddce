// Which runs a self-test takes: every case as the device runs it by itself, and again in other ways.  Internal to
// runtime/.
#ifndef VKD_SELFTEST_PLAN_H
#define VKD_SELFTEST_PLAN_H

#include "form.h"

// A way to run cases.
struct vkd_test_way {
  const char *name; // NULL: the usual one
  const char *form; // name of one that nodes take where they can; NULL: the usual ones
  bool as_gpu;      // a software device as if it were a GPU
};

struct vkd_test_run {
  int index, way;                      // of vkd__cases, for vkd__test_way()
  bool skipped, left_out;              // the device lacks 16-bit storage; not in this selection
  uint32_t *pipelines, pipeline_count; // of the plan's, each once
};

struct vkd_test_pipeline {
  enum vkd_kernel_id kernel;
  uint32_t spec[VKD_MAX_SPEC], spec_count;
};

struct vkd_test_plan {
  struct vkd_test_run *runs;
  struct vkd_test_pipeline *pipelines;
  uint32_t run_count, run_cap, pipeline_count, pipeline_cap;
};

// Plans the runs of op `only` (NULL: of all) on the device, without touching it.  Another way is one where it takes
// other kernels than the usual one.  Unless `all`, a run is left out that would compile pipelines to show nothing new
// (selftest_plan.c).  Errors: VKD_ERR_USAGE where no case is of that op.  vkd__test_plan_free()
// follows either way.
enum vkd_status vkd__test_plan(struct vkd_test_plan *plan, const struct vkd_device *dev, const char *only, bool all,
                               struct vkd_error *err);
void vkd__test_plan_free(struct vkd_test_plan *plan);

struct vkd_test_way vkd__test_way(int way);

// What a way makes of the device's capabilities.
void vkd__test_caps(struct vkd_device_caps *caps, const struct vkd_test_way *way);

#endif
