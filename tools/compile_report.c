#include "compile_report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_arg.h"
#include "vkd/compile.h"
#include "vkd/selftest.h"
#include "vkdm/profile.h"
#include "vkdm/shapes.h"

struct report {
  struct vkd_compiled *rows;
  uint32_t count, cap;
  bool full; // no memory for all of them
};

static void keep(void *user, const struct vkd_compiled *row) {
  struct report *r = user;
  if (r->count == r->cap) {
    uint32_t cap = r->cap ? r->cap * 2 : 512;
    struct vkd_compiled *bigger = realloc(r->rows, cap * sizeof *bigger);
    if (!bigger) {
      r->full = true;
      return;
    }
    r->rows = bigger;
    r->cap = cap;
  }
  r->rows[r->count++] = *row;
}

// ---- models --------------------------------------------------------------------------------------------------------
static enum vkd_status add_profile(struct vkd_compile *set, const struct profile_params *params,
                                   struct vkd_error *err) {
  struct profile *p = NULL;
  enum vkd_status st = profile_create(&p, params, err);
  if (st == VKD_OK) st = vkd_compile_graph(set, p->graph, err);
  profile_destroy(&p);
  return st;
}

// Built-in configurations of every width and head size.
static const struct model {
  const char *name;
  bool train; // not what no single device trains
} models[] = {
    {"tiny-video", true}, {"dit-s-2", true},  {"dit-b-2", true},  {"dit-l-2", true},
    {"dit-xl-2", true},   {"wan-1.3b", true}, {"wan-14b", false},
};

static enum vkd_status add_model(struct vkd_compile *set, const struct model *model, const char *precision,
                                 struct vkd_error *err) {
  struct config *config = calloc(1, sizeof *config);
  struct dataset *data = NULL;
  struct dataset_info info;
  struct profile_params params = {.device = vkd_compile_planner(set), .config = config, .data = &info, .sample = true};
  char override[64];
  const char *const overrides[] = {override, "train.batch=1", "train.micro_batch=0"};
  snprintf(override, sizeof override, "train.precision=%s", precision);
  enum vkd_status st = config ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  if (st == VKD_OK) st = config_arg_named(model->name, overrides, 3, config, err);
  if (st == VKD_OK) st = shapes_open(config, &data, &info, err);
  if (st == VKD_OK) st = add_profile(set, &params, err);
  params.sample = false;
  if (st == VKD_OK && model->train) st = add_profile(set, &params, err);
  dataset_close(&data);
  free(config);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "model %s", model->name);
}

static enum vkd_status add_models(struct vkd_compile *set, struct vkd_error *err) {
  static const char *const precisions[] = {"fp32", "fp16", "bf16"};
  int count = vkd_device_get_caps(vkd_compile_planner(set))->storage_16bit ? 3 : 1;
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
    for (int k = 0; k < count && st == VKD_OK; k++) st = add_model(set, &models[i], precisions[k], err);
  return st;
}

// ---- text ----------------------------------------------------------------------------------------------------------
static bool worse(const struct vkd_compiled *a, const struct vkd_compiled *b) {
  if (a->pass != b->pass) return !a->pass;
  static const enum vkd_stat most[] = {VKD_STAT_SPILLS, VKD_STAT_SCRATCH};
  for (int k = 0; k < 2; k++)
    if (a->stats[most[k]] != b->stats[most[k]]) return a->stats[most[k]] > b->stats[most[k]];
  if (a->stats[VKD_STAT_WAVES] != b->stats[VKD_STAT_WAVES]) return a->stats[VKD_STAT_WAVES] < b->stats[VKD_STAT_WAVES];
  return a->stats[VKD_STAT_VGPRS] > b->stats[VKD_STAT_VGPRS];
}

static void print_number(double x) {
  if (x < 0)
    printf(" %8s", "-");
  else
    printf(" %8.0f", x);
}

static void print_row(const struct vkd_compiled *r, uint32_t count) {
  char spec[128] = "";
  for (uint32_t i = 1, at = 0; i < r->spec_count && at < sizeof spec; i++)
    at += (uint32_t)snprintf(spec + at, sizeof spec - at, " %u", r->spec[i]);
  printf("%-4s %-24s %5u %5u %8u %8u", r->pass ? "ok" : "MISS", r->kernel, count, r->spec[0], r->subgroup,
         r->shared_bytes);
  for (int k = 0; k < VKD_STAT_COUNT; k++)
    if (k != VKD_STAT_SHARED) print_number(r->stats[k]);
  printf("  %s%s%s\n", spec, r->pass ? "" : "  ", r->what);
}

static void print_table(const struct report *report) {
  printf("%-4s %-24s %5s %5s %8s %8s %8s %8s %8s %8s %8s %8s %8s   %s\n", "", "worst pipeline of", "of", "lanes",
         "subgroup", "shared", "regs", "scalar", "spills", "scratch", "at once", "code", "instr", "constants");
  for (uint32_t i = 0; i < report->count;) {
    const struct vkd_compiled *worst = &report->rows[i];
    uint32_t n = 0;
    for (; i + n < report->count && strcmp(report->rows[i + n].kernel, worst->kernel) == 0; n++)
      if (worse(&report->rows[i + n], worst)) worst = &report->rows[i + n];
    print_row(worst, n);
    i += n;
  }
}

static enum vkd_status skipped_rows(const struct vkd_device_caps *caps, bool print, uint32_t *skipped,
                                    struct vkd_error *err) {
  const char **names = NULL, **reasons = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_kernel_rows(caps, &names, &reasons, &count, err);
  *skipped = 0;
  for (uint32_t i = 0; i < count && st == VKD_OK; i++) {
    if (!reasons[i]) continue;
    ++*skipped;
    if (print) printf("skip %-24s %s\n", names[i], reasons[i]);
  }
  free(names);
  free(reasons);
  return st;
}

// ---- JSON ----------------------------------------------------------------------------------------------------------
static json_t *row_json(const struct vkd_compiled *r) {
  static const char *const names[] = {
#define X(stat, name) name,
      VKD_STAT_MAP(X)
#undef X
  };
  json_t *spec = json_array(), *told = json_object();
  for (uint32_t i = 0; i < r->spec_count; i++) json_array_append_new(spec, json_integer(r->spec[i]));
  for (int k = 0; k < VKD_STAT_COUNT; k++)
    if (r->stats[k] >= 0) json_object_set_new(told, names[k], json_real(r->stats[k]));
  return json_pack("{s:s,s:o,s:I,s:I,s:I,s:o,s:b,s:s*}", "kernel", r->kernel, "constants", spec, "lanes",
                   (json_int_t)r->spec[0], "subgroup", (json_int_t)r->subgroup, "shared_bytes",
                   (json_int_t)r->shared_bytes, "driver", told, "pass", r->pass, "what", r->pass ? NULL : r->what);
}

static enum vkd_status print_json(const struct vkd_device *dev, const struct report *report, uint32_t skipped,
                                  uint32_t failed, struct vkd_error *err) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  json_t *rows = json_array();
  for (uint32_t i = 0; i < report->count; i++) json_array_append_new(rows, row_json(&report->rows[i]));
  json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:o}", "device", caps->name, "driver", caps->driver, "driver_info",
                        caps->driver_info, "statistics", vkd_device_statistics(dev), "skipped_rows",
                        (json_int_t)skipped, "missed", (json_int_t)failed, "pipelines", rows);
  char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
  if (text) puts(text);
  free(text);
  json_decref(o);
  return text ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "selftest: no memory for a report");
}

static uint32_t kernels_of(const struct report *r) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < r->count; i++) n += i == 0 || strcmp(r->rows[i].kernel, r->rows[i - 1].kernel) != 0;
  return n;
}

enum vkd_status compile_report(struct vkd_device *dev, bool json, struct vkd_error *err) {
  struct vkd_compile *set = NULL;
  struct report report = {0};
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  uint32_t failed = 0, skipped = 0;
  enum vkd_status st = vkd_compile_create(&set, dev, err);
  if (st == VKD_OK) st = vkd_compile_cases(set, err);
  if (st == VKD_OK) st = add_models(set, err);
  if (st == VKD_OK) st = vkd_compile_run(set, keep, &report, &failed, err);
  if (st == VKD_OK && report.full) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "selftest: no memory for a report");
  if (st == VKD_OK) st = skipped_rows(caps, !json, &skipped, err);
  if (st == VKD_OK && json) st = print_json(dev, &report, skipped, failed, err);
  if (st == VKD_OK && !json) {
    print_table(&report);
    if (!vkd_device_statistics(dev))
      printf("the driver lacks VK_KHR_pipeline_executable_properties: limits alone were checked\n");
    printf("%u pipelines of %u kernels on %s (%s): %u rows skipped, %u missed\n", report.count, kernels_of(&report),
           caps->name, caps->driver_info, skipped, failed);
  }
  if (st == VKD_OK && failed)
    st = vkd_fail(err, VKD_ERR_MISMATCH, "selftest: %u of %u pipelines missed", failed, report.count);
  free(report.rows);
  vkd_compile_destroy(&set);
  return st;
}
