// What graphs dispatch on a device, made into pipelines without running them.
#include "vkd/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "device_internal.h"
#include "plan.h"
#include "record.h"
#include "selftest_plan.h"
#include "spirv_shared.h"
#include "vkd/selftest.h"

struct want {
  enum vkd_kernel_id kernel;
  uint32_t spec[VKD_MAX_SPEC], spec_count, push_size;
};

struct vkd_compile {
  struct vkd_device *dev, *planner;
  struct vkd_device_caps caps[2]; // the device's; of a CPU those of a GPU too, as the self-test has it
  int caps_count;
  struct want *wants;
  uint32_t count, cap;
};

bool vkd_device_statistics(const struct vkd_device *dev) { return dev->statistics; }

enum vkd_status vkd_compile_create(struct vkd_compile **out, struct vkd_device *dev, struct vkd_error *err) {
  struct vkd_compile *set = *out = calloc(1, sizeof *set);
  if (!set) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a set of kernels");
  set->dev = dev;
  set->caps[0] = dev->caps;
  set->caps[0].memory_bytes = set->caps[0].memory_budget = (uint64_t)1 << 50;
  set->caps_count = 1;
  if (dev->caps.kind == VKD_DEVICE_SOFTWARE) {
    set->caps[1] = set->caps[0];
    vkd__test_caps(&set->caps[1], &(struct vkd_test_way){.as_gpu = true});
    set->caps_count = 2;
  }
  enum vkd_status st = vkd_device_create(&set->planner, &(struct vkd_device_params){.fake = &set->caps[0]}, err);
  if (st != VKD_OK) vkd_compile_destroy(out);
  return st;
}

void vkd_compile_destroy(struct vkd_compile **pset) {
  if (!*pset) return;
  vkd_device_destroy(&(*pset)->planner);
  free((*pset)->wants);
  free(*pset);
  *pset = NULL;
}

struct vkd_device *vkd_compile_planner(struct vkd_compile *set) {
  return set->planner;
}

static bool want(struct vkd_compile *set, const struct vkd_tape_entry *e) {
  for (uint32_t i = 0; i < set->count; i++) {
    struct want *w = &set->wants[i];
    if (w->kernel != e->kernel || w->spec_count != e->spec_count || memcmp(w->spec, e->spec, e->spec_count * 4) != 0)
      continue;
    if (e->push_size > w->push_size) w->push_size = e->push_size;
    return true;
  }
  if (set->count == set->cap) {
    uint32_t cap = set->cap ? set->cap * 2 : 256;
    struct want *bigger = realloc(set->wants, cap * sizeof *bigger);
    if (!bigger) return false;
    set->wants = bigger;
    set->cap = cap;
  }
  struct want *w = &set->wants[set->count++];
  *w = (struct want){.kernel = e->kernel, .spec_count = e->spec_count, .push_size = e->push_size};
  memcpy(w->spec, e->spec, e->spec_count * 4);
  return true;
}

static enum vkd_status add_dispatches(struct vkd_compile *set, const struct vkd_graph *g,
                                      const struct vkd_form_choice *choice, struct vkd_error *err) {
  struct vkd_plan *plan = NULL;
  struct vkd_tape tape = {0};
  enum vkd_status st = vkd__plan_create(&plan, g, choice, choice->caps->max_allocation, true, err);
  if (st == VKD_OK) st = vkd__record_dry(&tape, g, plan, choice->caps, err);
  for (uint32_t i = 0; i < tape.count && st == VKD_OK; i++)
    if (!want(set, &tape.entries[i])) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a set of kernels");
  vkd__tape_free(&tape);
  vkd__plan_destroy(&plan);
  return st;
}

static bool has_op(const struct vkd_graph *g, enum vkd_op op) {
  for (uint32_t i = 0; i < g->node_count; i++)
    if (g->nodes[i].op == op) return true;
  return false;
}

enum vkd_status vkd_compile_graph(struct vkd_compile *set, const struct vkd_graph *g, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int c = 0; c < set->caps_count && st == VKD_OK; c++) {
    struct vkd_form_choice choice = {.caps = &set->caps[c], .tune = c ? NULL : set->dev->tune};
    st = add_dispatches(set, g, &choice, err);
    for (int f = 0; f < VKD_FORM_COUNT && st == VKD_OK; f++) {
      if (!has_op(g, vkd__forms[f].op)) continue;
      choice.forced = vkd__forms[f].name;
      st = add_dispatches(set, g, &choice, err);
    }
  }
  return st;
}

enum vkd_status vkd_compile_cases(struct vkd_compile *set, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < vkd__case_count && st == VKD_OK; i++) {
    struct vkd_built b;
    st = vkd__case_build(&b, i, set->planner, err);
    if (st == VKD_OK) st = vkd__case_place(&b, err);
    if (st == VKD_OK && (set->dev->caps.storage_16bit || !vkd__case_16bit(b.c.g)))
      st = vkd_compile_graph(set, b.c.g, err);
    vkd__case_free(&b);
  }
  return st;
}

// The device's limits, before a driver is asked for what it need not know how to refuse.
static void check_limits(const struct vkd_device_caps *caps, const struct want *w, struct vkd_compiled *r) {
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[w->kernel];
  uint64_t shared = 0;
  uint32_t lanes = w->spec[0], most = caps->max_workgroup_invocations;
  if (caps->max_workgroup_size[0] < most) most = caps->max_workgroup_size[0];
  r->pass = false;
  if (!blob->code)
    snprintf(r->what, sizeof r->what, "dispatched, but not in this build: %s", blob->skip_reason);
  else if (!vkd__spirv_shared(blob->code, blob->bytes, w->spec, w->spec_count, &shared))
    snprintf(r->what, sizeof r->what, "its shared memory cannot be counted");
  else if (!w->spec_count || !lanes || lanes > most)
    snprintf(r->what, sizeof r->what, "%u lanes in a workgroup, at most %u", lanes, most);
  else if (shared > caps->max_shared_bytes)
    snprintf(r->what, sizeof r->what, "%llu bytes of shared memory, at most %u", (unsigned long long)shared,
             caps->max_shared_bytes);
  else if (w->push_size > caps->max_push_bytes)
    snprintf(r->what, sizeof r->what, "%u bytes of push constants, at most %u", w->push_size, caps->max_push_bytes);
  else
    r->pass = true;
  r->shared_bytes = (uint32_t)shared;
}

static void check_statistics(const struct vkd_device_caps *caps, struct vkd_compiled *r) {
  r->pass = false;
  if (r->stats[VKD_STAT_SPILLS] > 0)
    snprintf(r->what, sizeof r->what, "spills %.0f registers", r->stats[VKD_STAT_SPILLS]);
  else if (r->stats[VKD_STAT_SHARED] > caps->max_shared_bytes)
    snprintf(r->what, sizeof r->what, "laid out in %.0f bytes of shared memory, at most %u", r->stats[VKD_STAT_SHARED],
             caps->max_shared_bytes);
  else
    r->pass = true;
}

static void compile(struct vkd_device *dev, const struct want *w, struct vkd_compiled *r) {
  struct vkd_error why = {0};
  struct vkd_dispatch d = {.kernel = w->kernel, .spec_count = w->spec_count};
  VkPipeline pipeline;
  *r = (struct vkd_compiled){.kernel = vkd_kernel_blobs[w->kernel].name, .spec_count = w->spec_count};
  _Static_assert(sizeof r->spec == sizeof d.spec, "all constants fit");
  memcpy(d.spec, w->spec, sizeof d.spec);
  memcpy(r->spec, w->spec, sizeof r->spec);
  for (int k = 0; k < VKD_STAT_COUNT; k++) r->stats[k] = -1;
  check_limits(&dev->caps, w, r);
  if (!r->pass) return;
  if (vkd__pipeline(dev, &d, &pipeline, &why) != VKD_OK || vkd__executable_read(dev, pipeline, r, &why) != VKD_OK) {
    r->pass = false;
    snprintf(r->what, sizeof r->what, "%.250s", why.what);
    return;
  }
  check_statistics(&dev->caps, r);
}

enum vkd_status vkd_compile_run(struct vkd_compile *set, vkd_compile_fn fn, void *user, uint32_t *failed,
                                struct vkd_error *err) {
  if (set->dev->caps.fake) return vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device compiles no kernels");
  *failed = 0;
  for (int k = 0; k < VKD_K_COUNT; k++) {
    struct vkd_compiled r;
    bool any = false;
    for (uint32_t i = 0; i < set->count; i++) {
      if (set->wants[i].kernel != (enum vkd_kernel_id)k) continue;
      any = true;
      compile(set->dev, &set->wants[i], &r);
      *failed += !r.pass;
      fn(user, &r);
    }
    if (any || vkd__kernel_unusable(&set->dev->caps, (enum vkd_kernel_id)k)) continue;
    r = (struct vkd_compiled){.kernel = vkd_kernel_blobs[k].name, .what = "nothing dispatches this kernel row"};
    for (int s = 0; s < VKD_STAT_COUNT; s++) r.stats[s] = -1;
    *failed += 1;
    fn(user, &r);
  }
  return VKD_OK;
}

enum vkd_status vkd_kernel_rows(const struct vkd_device_caps *caps, const char ***names, const char ***reasons,
                                uint32_t *count, struct vkd_error *err) {
  *count = VKD_K_COUNT;
  *names = calloc(VKD_K_COUNT, sizeof **names);
  *reasons = calloc(VKD_K_COUNT, sizeof **reasons);
  if (!*names || !*reasons) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the kernel rows");
  for (int k = 0; k < VKD_K_COUNT; k++) {
    (*names)[k] = vkd_kernel_blobs[k].name;
    (*reasons)[k] = vkd__kernel_unusable(caps, (enum vkd_kernel_id)k);
  }
  return VKD_OK;
}
