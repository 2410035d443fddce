// Made-up devices, what is dispatched on them, and whether they could run it.
#ifndef TESTS_FAKE_GPU_H
#define TESTS_FAKE_GPU_H

#include <string.h>

#include "check.h"
#include "plan.h"
#include "record.h"
#include "spirv.h"

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

// What a kernel takes once specialised; each pair is looked at once.
static inline struct spirv_uses fake_gpu_uses(const struct vkd_tape_entry *e) {
  enum { KEPT = 4096 };
  static struct {
    struct vkd_tape_entry e;
    struct spirv_uses uses;
  } kept[KEPT];
  static int count;
  for (int i = 0; i < count; i++)
    if (kept[i].e.kernel == e->kernel && kept[i].e.spec_count == e->spec_count &&
        memcmp(kept[i].e.spec, e->spec, sizeof e->spec) == 0)
      return kept[i].uses;
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[e->kernel];
  struct spirv_uses uses = {0};
  if (blob->code) uses = spirv_uses(blob->code, blob->bytes, e->spec, e->spec_count);
  if (count < KEPT) kept[count].e = *e, kept[count++].uses = uses;
  return uses;
}

// Every dispatch within the device's limits.
static inline void check_tape(const struct vkd_device_caps *caps, const struct vkd_tape *tape, const char *what) {
  for (uint32_t i = 0; i < tape->count; i++) {
    const struct vkd_tape_entry *e = &tape->entries[i];
    const char *name = vkd_kernel_blobs[e->kernel].name, *unusable = vkd__kernel_unusable(caps, e->kernel);
    struct spirv_uses uses = fake_gpu_uses(e);
    CHECK(!unusable, "%s: kernel %s: %s", what, name, unusable);
    CHECK(uses.known, "%s: kernel %s: its code was not understood", what, name);
    CHECK(e->spec[0] >= 1 && e->spec[0] <= caps->max_workgroup_invocations && e->spec[0] <= caps->max_workgroup_size[0],
          "%s: kernel %s: %u lanes", what, name, e->spec[0]);
    CHECK(uses.shared <= caps->max_shared_bytes, "%s: kernel %s: %llu bytes of shared memory, %u there", what, name,
          (unsigned long long)uses.shared, caps->max_shared_bytes);
    CHECK(uses.push <= e->push_size && e->push_size <= caps->max_push_bytes, "%s: kernel %s: %llu of %u bytes pushed",
          what, name, (unsigned long long)uses.push, e->push_size);
    for (int k = 0; k < 3; k++)
      CHECK(e->groups[k] >= 1 && e->groups[k] <= caps->max_workgroup_count[k], "%s: kernel %s: %u workgroups in %d",
            what, name, e->groups[k], k);
  }
}

// Plans and records the graph, by the forms of a name where it is given; the tape is the caller's.
static inline enum vkd_status record_form(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                                          const char *form, struct vkd_tape *tape, struct vkd_error *err) {
  enum { CHUNKS = 4096 };
  static uint64_t chunks[CHUNKS];
  struct vkd_plan *plan = NULL;
  struct vkd_bases bases = {.input = (uint64_t)1 << 50, .constant = (uint64_t)2 << 50, .chunks = chunks};
  struct vkd_form_choice choice = {.caps = caps, .forced = form};
  for (uint64_t i = 0; i < CHUNKS; i++) chunks[i] = (i + 3) << 50;
  enum vkd_status st = vkd__plan_create(&plan, g, &choice, caps->max_allocation, true, err);
  if (st == VKD_OK && plan->chunks > CHUNKS) st = vkd_fail(err, VKD_ERR_INTERNAL, "%u chunks", plan->chunks);
  for (uint32_t i = 0; st == VKD_OK && i < plan->chunks; i++)
    CHECK(plan->chunk_bytes[i] <= caps->max_allocation, "chunk %u of %llu bytes", i,
          (unsigned long long)plan->chunk_bytes[i]);
  if (st == VKD_OK) st = vkd__record(tape, g, plan, caps, &bases, err);
  vkd__plan_destroy(&plan);
  return st;
}

static inline void record_on(const struct vkd_device_caps *caps, const struct vkd_graph *g, struct vkd_tape *tape) {
  struct vkd_error err = {0};
  CHECK(record_form(caps, g, NULL, tape, &err) == VKD_OK, "%s", err.what);
}

#endif
