// Made-up devices, what is dispatched on them, and whether they could run it.
#ifndef TESTS_FAKE_GPU_H
#define TESTS_FAKE_GPU_H

#include <string.h>

#include "check.h"
#include "plan.h"
#include "record.h"
#include "spirv_shared.h"

static inline struct vkd_device_caps fake_gpu(uint32_t subgroup, uint32_t lanes, uint32_t shared) {
  return (struct vkd_device_caps){.name = "fake",
                                  .subgroup_size = subgroup,
                                  .max_workgroup_invocations = lanes,
                                  .max_workgroup_size = {lanes, lanes, 64},
                                  .max_workgroup_count = {65535, 65535, 65535},
                                  .max_shared_bytes = shared,
                                  .max_push_bytes = 128,
                                  .max_allocation = (uint64_t)1 << 40,
                                  .memory_bytes = (uint64_t)1 << 40,
                                  .memory_budget = (uint64_t)1 << 40,
                                  .shader_f16 = true,
                                  .storage_16bit = true,
                                  .bf16 = true,
                                  .subgroup_arithmetic = true};
}

// Shared memory of a kernel once specialised, in bytes; each pair is looked at once.  False: its code was not
// understood.
static inline bool fake_gpu_shared(const struct vkd_tape_entry *e, uint64_t *bytes) {
  enum { KEPT = 4096 };
  static struct {
    struct vkd_tape_entry e;
    uint64_t bytes;
    bool known;
  } kept[KEPT];
  static int count;
  for (int i = 0; i < count; i++)
    if (kept[i].e.kernel == e->kernel && kept[i].e.spec_count == e->spec_count &&
        memcmp(kept[i].e.spec, e->spec, sizeof e->spec) == 0)
      return *bytes = kept[i].bytes, kept[i].known;
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[e->kernel];
  bool known = vkd__spirv_shared(blob->code, blob->code ? blob->bytes : 0, e->spec, e->spec_count, bytes);
  if (count < KEPT) kept[count].e = *e, kept[count].known = known, kept[count++].bytes = *bytes;
  return known;
}

// Every dispatch within the device's limits.
static inline void check_tape(const struct vkd_device_caps *caps, const struct vkd_tape *tape, const char *what) {
  for (uint32_t i = 0; i < tape->count; i++) {
    const struct vkd_tape_entry *e = &tape->entries[i];
    const char *name = vkd_kernel_blobs[e->kernel].name, *unusable = vkd__kernel_unusable(caps, e->kernel);
    uint64_t shared = 0;
    bool known = fake_gpu_shared(e, &shared);
    CHECK(!unusable, "%s: kernel %s: %s", what, name, unusable);
    CHECK(known, "%s: kernel %s: its code was not understood", what, name);
    CHECK(e->spec[0] >= 1 && e->spec[0] <= caps->max_workgroup_invocations && e->spec[0] <= caps->max_workgroup_size[0],
          "%s: kernel %s: %u lanes", what, name, e->spec[0]);
    CHECK(shared <= caps->max_shared_bytes, "%s: kernel %s: %llu bytes of shared memory, %u there", what, name,
          (unsigned long long)shared, caps->max_shared_bytes);
    CHECK(e->push_size <= caps->max_push_bytes, "%s: kernel %s: %u bytes pushed", what, name, e->push_size);
    for (int k = 0; k < 3; k++)
      CHECK(e->groups[k] >= 1 && e->groups[k] <= caps->max_workgroup_count[k], "%s: kernel %s: %u workgroups in %d",
            what, name, e->groups[k], k);
  }
}

// Plans and records the graph, by the forms of a name where it is given; the tape is the caller's.
static inline enum vkd_status record_form(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                          const char *form, struct vkd_tape *tape, struct vkd_error *err) {
  struct vkd_plan *plan = NULL;
  struct vkd_form_choice choice = {.caps = caps, .forced = form};
  enum vkd_status st = vkd__plan_create(&plan, g, &choice, caps->max_allocation, true, err);
  for (uint32_t i = 0; st == VKD_OK && i < plan->chunks; i++)
    CHECK(plan->chunk_bytes[i] <= caps->max_allocation, "chunk %u of %llu bytes", i,
          (unsigned long long)plan->chunk_bytes[i]);
  if (st == VKD_OK) st = vkd__record_dry(tape, g, plan, caps, err);
  vkd__plan_destroy(&plan);
  return st;
}

static inline void record_on(const struct vkd_device_caps *caps, const struct vkd_graph *g, struct vkd_tape *tape) {
  struct vkd_error err = {0};
  CHECK(record_form(caps, g, NULL, tape, &err) == VKD_OK, "%s", err.what);
}

#endif
