// vkdit devices --json.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices.h"
#include "vkd/selftest.h"
#include "vkd/tune.h"

static json_t *integer(uint64_t v) { return json_integer((json_int_t)v); }

static json_t *triple(const uint32_t v[3]) {
  return json_pack("[I,I,I]", (json_int_t)v[0], (json_int_t)v[1], (json_int_t)v[2]);
}

// ["device", "host"]
static json_t *flags(const struct devices_flag *table, uint32_t bits) {
  json_t *list = json_array();
  for (; table->name; table++)
    if (bits & table->bit) json_array_append_new(list, json_string(table->name));
  return list;
}

static json_t *tune_json(const struct vkd_device_caps *c) {
  struct vkd_tune *tune = NULL;
  json_t *o = vkd_tune_load(&tune, c, NULL, NULL) == VKD_OK
                  ? json_pack("{s:s,s:I}", "path", tune->path, "entries", (json_int_t)tune->count)
                  : NULL;
  vkd_tune_destroy(&tune);
  return o ? o : json_null();
}

static json_t *coopmats_json(const struct vkd_device_caps *c) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < c->coopmat_count; i++) {
    const struct vkd_coopmat *s = &c->coopmats[i];
    json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:s,s:s,s:s,s:s}", "m", (json_int_t)s->m, "n", (json_int_t)s->n,
                                          "k", (json_int_t)s->k, "a", vkd_coopmat_type_name(s->a), "b",
                                          vkd_coopmat_type_name(s->b), "c", vkd_coopmat_type_name(s->c), "result",
                                          vkd_coopmat_type_name(s->result)));
  }
  return list;
}

static json_t *features_json(const struct vkd_device_caps *c) {
  json_t *o = json_object();
#define X(field, name, lost) json_object_set_new(o, #field, json_boolean(c->field));
  DEVICES_FEATURE_MAP(X)
#undef X
  return o;
}

static void add_memory(json_t *o, const struct vkd_device_caps *c) {
  json_t *heaps = json_array(), *types = json_array();
  for (uint32_t i = 0; i < c->heap_count; i++)
    json_array_append_new(heaps, json_pack("{s:o,s:o,s:b}", "bytes", integer(c->heaps[i].bytes), "budget",
                                           integer(c->heaps[i].budget), "device", c->heaps[i].device));
  for (uint32_t i = 0; i < c->memory_type_count; i++)
    json_array_append_new(types, json_pack("{s:o,s:o}", "heap", integer(c->memory_types[i].heap), "flags",
                                           flags(devices_memory_flags, c->memory_types[i].flags)));
  json_object_set_new(o, "memory_bytes", integer(c->memory_bytes));
  json_object_set_new(o, "memory_budget", integer(c->memory_budget));
  json_object_set_new(o, "max_allocation", integer(c->max_allocation));
  json_object_set_new(o, "heaps", heaps);
  json_object_set_new(o, "memory_types", types);
}

static void add_queues(json_t *o, const struct vkd_device_caps *c) {
  json_t *families = json_array();
  for (uint32_t i = 0; i < c->queue_family_count; i++) {
    const struct vkd_queue_family *f = &c->queue_families[i];
    json_array_append_new(families,
                          json_pack("{s:o,s:o,s:o,s:b,s:b}", "count", integer(f->count), "flags",
                                    flags(devices_queue_flags, f->flags), "timestamp_bits", integer(f->timestamp_bits),
                                    "computes", c->has_compute_queue && i == c->compute_family, "uploads",
                                    c->upload_queue && i == c->upload_family));
  }
  json_object_set_new(o, "queue_families", families);
  json_object_set_new(o, "upload_queue", json_boolean(c->upload_queue));
  json_object_set_new(o, "timestamp_ns", json_real(c->timestamp_ns));
}

static void add_limits(json_t *o, const struct vkd_device_caps *c) {
  json_object_set_new(o, "subgroup_size", integer(c->subgroup_size));
  json_object_set_new(o, "max_workgroup_invocations", integer(c->max_workgroup_invocations));
  json_object_set_new(o, "max_workgroup_size", triple(c->max_workgroup_size));
  json_object_set_new(o, "max_workgroup_count", triple(c->max_workgroup_count));
  json_object_set_new(o, "max_shared_bytes", integer(c->max_shared_bytes));
  json_object_set_new(o, "max_push_bytes", integer(c->max_push_bytes));
}

static enum vkd_status add_kernels(json_t *o, const struct vkd_device_caps *c, struct vkd_error *err) {
  const char **names = NULL, **reasons = NULL;
  uint32_t count = 0;
  json_t *kernels = json_array();
  enum vkd_status st = vkd_kernel_rows(c, &names, &reasons, &count, err);
  for (uint32_t i = 0; st == VKD_OK && i < count; i++)
    json_array_append_new(kernels,
                          json_pack("{s:s,s:b,s:s*}", "name", names[i], "usable", !reasons[i], "reason", reasons[i]));
  json_object_set_new(o, "kernels", kernels);
  free(names);
  free(reasons);
  return st;
}

static enum vkd_status device_json(const struct vkd_device_caps *c, json_t **out, struct vkd_error *err) {
  char api[32], driver[32], uuid[2 * sizeof c->uuid + 1];
  devices_api_version(c->api_version, api);
  devices_driver_version(c, driver);
  for (size_t i = 0; i < sizeof c->uuid; i++) snprintf(uuid + 2 * i, 3, "%02x", c->uuid[i]);
  json_t *o = *out =
      json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:b,s:s*}", "vkdit", VKDIT_VERSION, "index",
                (json_int_t)c->index, "name", c->name, "kind", vkd_device_kind_name(c->kind), "driver", c->driver,
                "driver_info", c->driver_info, "driver_version", driver, "api", api, "vendor_id",
                (json_int_t)c->vendor_id, "device_id", (json_int_t)c->device_id, "pipelines", uuid, "usable",
                !c->unusable[0], "unusable", c->unusable[0] ? c->unusable : NULL);
  if (!o) return vkd_fail(err, VKD_ERR_INTERNAL, "devices: a name is not UTF-8");
  add_limits(o, c);
  add_memory(o, c);
  add_queues(o, c);
  json_object_set_new(o, "abilities", features_json(c));
  json_object_set_new(o, "cooperative_matrices", coopmats_json(c));
  json_object_set_new(o, "tune", tune_json(c));
  return add_kernels(o, c, err);
}

enum vkd_status devices_print_json(const struct vkd_device_caps *list, uint32_t count, struct vkd_error *err) {
  json_t *all = json_array();
  enum vkd_status st = VKD_OK;
  for (uint32_t i = 0; i < count && st == VKD_OK; i++) {
    json_t *device = NULL;
    st = device_json(&list[i], &device, err);
    json_array_append_new(all, device);
  }
  char *text = st == VKD_OK ? json_dumps(all, JSON_INDENT(1)) : NULL;
  if (text)
    puts(text);
  else if (st == VKD_OK)
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "devices: no memory for a report");
  free(text);
  json_decref(all);
  return st;
}
