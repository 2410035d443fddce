#include "profile_trace.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"

enum track { HOST = 1, DEVICE };

// "64x192"; "": a number or nothing
static void shape_text(const struct vkd_shape *s, char text[96]) {
  int at = 0;
  *text = 0;
  for (int i = 0; i < s->rank && at < 80; i++)
    at += snprintf(text + at, 96 - (size_t)at, "%s%" PRId64, i ? "x" : "", s->dim[i]);
}

// From begin on, in seconds; args: taken over, or NULL.
static void add(json_t *events, enum track track, const char *name, double begin, double seconds, json_t *args) {
  json_array_append_new(events,
                        json_pack("{s:s,s:s,s:i,s:i,s:f,s:f,s:o}", "name", name, "ph", "X", "pid", 1, "tid", (int)track,
                                  "ts", begin * 1e6, "dur", seconds * 1e6, "args", args ? args : json_object()));
}

static void name_track(json_t *events, enum track track, const char *name) {
  json_array_append_new(events, json_pack("{s:s,s:s,s:i,s:i,s:{s:s}}", "name", "thread_name", "ph", "M", "pid", 1,
                                          "tid", (int)track, "args", "name", name));
  json_array_append_new(events, json_pack("{s:s,s:s,s:i,s:i,s:{s:i}}", "name", "thread_sort_index", "ph", "M", "pid", 1,
                                          "tid", (int)track, "args", "sort_index", (int)track));
}

static json_t *row_args(const struct profile_row *row, double ns) {
  char shape[96], in[2][96];
  shape_text(&row->shape, shape);
  for (int i = 0; i < 2; i++) shape_text(&row->in[i], in[i]);
  json_t *args = json_pack("{s:s,s:s,s:s,s:s,s:f,s:f,s:i}", "layer", row->label, "shape", shape, "type",
                           vkd_dtype_name(row->dtype), "inputs", in[0], "FLOPs", row->flops, "bytes", row->bytes,
                           "dispatches", (int)row->dispatches);
  if (*in[1]) {
    char both[200];
    snprintf(both, sizeof both, "%s, %s", in[0], in[1]);
    json_object_set_new(args, "inputs", json_string(both));
  }
  if (ns > 0 && row->flops > 0) json_object_set_new(args, "GFLOP/s", json_real(row->flops / ns));
  if (ns > 0) json_object_set_new(args, "GB/s", json_real(row->bytes / ns));
  return args;
}

static void add_run(json_t *events, const struct profile *p, const struct profile_run *r) {
  char name[48];
  double at = r->begin;
  snprintf(name, sizeof name, "run %d", r->number);
  add(events, HOST, name, r->begin, r->done - r->begin,
      json_pack("{s:i}", "of each, per step", p->rows[r->first].repeats));
  add(events, HOST, "submit", r->begin, r->submitted - r->begin, NULL);
  add(events, HOST, "wait", r->submitted, r->done - r->submitted, NULL);
  for (uint32_t i = 0; i < r->count; i++) {
    const struct profile_row *row = &p->rows[r->first + i];
    if (!row->dispatches) continue;
    add(events, DEVICE, row->op, at, r->ns[i] * 1e-9, row_args(row, r->ns[i]));
    at += r->ns[i] * 1e-9;
  }
}

enum vkd_status profile_trace_write(const struct profile *p, const char *device, const char *path,
                                    struct vkd_error *err) {
  json_t *events = json_array();
  char title[300];
  snprintf(title, sizeof title, "device: %.280s", device);
  name_track(events, HOST, "host");
  name_track(events, DEVICE, title);
  for (int i = 0; i < p->phase_count; i++)
    add(events, HOST, p->phases[i].name, p->phases[i].begin, p->phases[i].seconds, NULL);
  for (int i = 0; i < p->timed_count; i++) add_run(events, p, &p->timed[i]);
  json_t *root =
      json_pack("{s:s,s:{s:s,s:s},s:o}", "displayTimeUnit", "ms", "otherData", "device", device, "clocks",
                "the device's first op of a run begins where the host begins to submit it", "traceEvents", events);
  char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
  enum vkd_status st = text ? fileio_write_whole(path, text, strlen(text), err)
                            : vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for a trace", path);
  free(text);
  json_decref(root);
  return st;
}
