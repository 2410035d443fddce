// vkdit verify: a folder of reference values against this device.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd.h"
#include "vkd/device.h"
#include "vkdm/verify.h"

enum { SHOWN = 5 }; // of a group, without --verbose

static const struct cmd_opt opts[] = {CMD_OPT_DEVICE, CMD_OPT_JSON, {0}};

static void print_rows(const struct verify_report *r, bool all) {
  for (int i = 0; i < r->count;) {
    enum verify_group group = r->rows[i].group;
    int end = i, missed = 0, hidden = 0;
    for (; end < r->count && r->rows[end].group == group; end++) missed += !r->rows[end].pass;
    printf("%s: %d of %d ok\n", verify_group_title(group), end - i - missed, end - i);
    for (int k = i; k < end; k++) {
      const struct verify_row *row = &r->rows[k];
      if (!all && k - i >= SHOWN && row->pass)
        hidden++;
      else
        printf("  %-4s %9.2e  (%s, at most %.1e)  %s\n", row->pass ? "ok" : "MISS", row->error,
               verify_measure_name(row->measure), row->tolerance, row->name);
    }
    if (hidden) printf("  ...  %d better ones; --verbose shows them\n", hidden);
    i = end;
  }
}

static json_t *row_json(const struct verify_row *row) {
  json_t *o = json_pack("{s:s,s:s,s:s,s:f,s:b}", "group", verify_group_title(row->group), "name", row->name, "measure",
                        verify_measure_name(row->measure), "tolerance", row->tolerance, "pass", row->pass);
  // JSON has no NaN or infinity
  if (o) json_object_set_new(o, "error", isfinite(row->error) ? json_real(row->error) : json_null());
  return o;
}

static enum vkd_status print_json(const char *folder, const char *device, const struct verify_report *r,
                                  struct vkd_error *err) {
  json_t *rows = json_array();
  for (int i = 0; i < r->count; i++) json_array_append_new(rows, row_json(&r->rows[i]));
  json_t *root =
      json_pack("{s:s,s:s,s:s,s:s,s:I,s:i,s:i,s:o}", "case", folder, "device", device, "family", r->family, "naming",
                r->naming, "params", (json_int_t)r->params, "compared", r->count, "failed", r->failed, "rows", rows);
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  if (text) puts(text);
  free(text);
  json_decref(root);
  return text ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "verify: no memory for a report");
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const char *folder = args->pos[0];
  struct vkd_device *dev = NULL;
  struct verify_report report = {0};
  enum vkd_status st = vkd_device_create(&dev, &(struct vkd_device_params){.select = cmd_string(args, "device")}, err);
  if (st == VKD_OK) st = verify_case(dev, folder, &report, err);
  if (st != VKD_OK) goto done;
  const char *device = vkd_device_get_caps(dev)->name;
  if (cmd_has(args, "json")) {
    if ((st = print_json(folder, device, &report, err)) != VKD_OK) goto done;
  } else {
    printf("%s: %s, %s names, %lld parameters, on %s\n", folder, report.family, report.naming, (long long)report.params,
           device);
    print_rows(&report, args->verbose);
    printf("%d compared, %d missed\n", report.count, report.failed);
  }
  if (report.failed)
    st = vkd_fail(err, VKD_ERR_MISMATCH, "%s: %d of %d comparisons missed", folder, report.failed, report.count);
done:
  verify_report_free(&report);
  vkd_device_destroy(&dev);
  return st;
}

const struct cmd cmd_verify = {
    .name = "verify",
    .summary = "Compares forward pass, gradients, optimiser steps and samples with a folder of reference values",
    .usage = "CASE_DIR",
    .details =
        "CASE_DIR holds case.json and weights, io, grads, adamw1 and adamw3.safetensors; where there are samples,\n"
        "sample.safetensors; and perhaps trace.safetensors.  Each group shows its worst comparisons first.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
