// Kernels made into pipelines and not run, with what the driver tells of each.  Works on a device that cannot run
// anything, such as a driver's null device.
#ifndef VKD_COMPILE_H
#define VKD_COMPILE_H

#include "vkd/device.h"
#include "vkd/graph.h"

// What drivers tell of a pipeline, in one vocabulary: statistic, name in reports.  runtime/statistics.def has the
// names that drivers use.
#define VKD_STAT_MAP(X)                                                                                                \
  X(VGPRS, "registers")         /* of a lane, 32 bits each */                                                          \
  X(SGPRS, "scalar_registers")  /* of a subgroup */                                                                    \
  X(SPILLS, "spills")           /* registers that do not fit, or stores that this costs: 0 where all is well */        \
  X(SCRATCH, "scratch_bytes")   /* private memory: spills, and arrays that registers cannot index */                   \
  X(SHARED, "shared_bytes")     /* of a workgroup, as the driver lays it out */                                        \
  X(WAVES, "subgroups_at_once") /* on one scheduler, as far as registers and shared memory allow */                    \
  X(CODE, "code_bytes")                                                                                                \
  X(INSTRUCTIONS, "instructions")

enum vkd_stat {
#define X(stat, name) VKD_STAT_##stat,
  VKD_STAT_MAP(X)
#undef X
      VKD_STAT_COUNT
};

// A kernel row with one set of specialisation constants.
struct vkd_compiled {
  const char *kernel;
  uint32_t spec[16], spec_count; // the first is the number of lanes of a workgroup
  uint32_t subgroup;             // lanes, 0: not told
  uint32_t shared_bytes;         // that the kernel asks for
  double stats[VKD_STAT_COUNT];  // negative: not told
  bool pass;
  char what[256]; // why not
};
typedef void (*vkd_compile_fn)(void *user, const struct vkd_compiled *result);

struct vkd_compile;

// device: opened with vkd_device_params.compile_only, outlives the set.
enum vkd_status vkd_compile_create(struct vkd_compile **out, struct vkd_device *device, struct vkd_error *err);
void vkd_compile_destroy(struct vkd_compile **set);

// A fake device of the same abilities and of endless memory, on which graphs for the set are built.
struct vkd_device *vkd_compile_planner(struct vkd_compile *set);

// Adds what the graph dispatches on the device, in every form that its ops can take there.
enum vkd_status vkd_compile_graph(struct vkd_compile *set, const struct vkd_graph *graph, struct vkd_error *err);
// The same of every case of the self-test.
enum vkd_status vkd_compile_cases(struct vkd_compile *set, struct vkd_error *err);

// Makes the pipelines, by kernel.  One that the driver refuses, that spills, or whose workgroup, shared memory or push
// constants exceed the device's limits, is a miss; so is a kernel row that the device can run and nothing dispatches.
enum vkd_status vkd_compile_run(struct vkd_compile *set, vkd_compile_fn fn, void *user, uint32_t *failed,
                                struct vkd_error *err);

// Whether the driver tells statistics (VK_KHR_pipeline_executable_properties).
bool vkd_device_statistics(const struct vkd_device *device);

#endif
