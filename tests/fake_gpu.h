// Made-up GPUs, and what is dispatched on them.
#ifndef TESTS_FAKE_GPU_H
#define TESTS_FAKE_GPU_H

#include "check.h"
#include "plan.h"
#include "record.h"

static struct vkd_device_caps fake_gpu(uint32_t subgroup, uint32_t lanes, uint32_t shared) {
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

// Plans and records the graph; the tape is the caller's.
static void record_on(const struct vkd_device_caps *caps, const struct vkd_graph *g, struct vkd_tape *tape) {
  struct vkd_error err = {0};
  struct vkd_plan *plan = NULL;
  const uint64_t chunks[4] = {(uint64_t)8 << 50, (uint64_t)9 << 50, (uint64_t)10 << 50, (uint64_t)11 << 50};
  struct vkd_bases bases = {.input = (uint64_t)1 << 50, .constant = (uint64_t)2 << 50, .chunks = chunks};
  struct vkd_form_choice choice = {.caps = caps};
  CHECK(vkd__plan_create(&plan, g, &choice, caps->max_allocation, true, &err) == VKD_OK && plan->chunks <= 4, "%s",
        err.what);
  if (plan) CHECK(vkd__record(tape, g, plan, caps, &bases, &err) == VKD_OK, "%s", err.what);
  vkd__plan_destroy(&plan);
}

#endif
