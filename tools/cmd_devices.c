// vkdit devices: what there is, what it can do, and which kernel rows it cannot run.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd.h"
#include "vkd/selftest.h"
#include "vkd/tune.h"

static const struct cmd_opt opts[] = {CMD_OPT_JSON, {0}};

// field of struct vkd_device_caps, name
#define ABILITY_MAP(X)                                                                                                 \
  X(buffer_device_address, "buffer device address")                                                                    \
  X(timeline_semaphore, "timeline semaphore")                                                                          \
  X(subgroup_arithmetic, "subgroup arithmetic")                                                                        \
  X(shader_f16, "16-bit float arithmetic")                                                                             \
  X(storage_16bit, "16-bit storage")                                                                                   \
  X(coopmat, "cooperative matrix")                                                                                     \
  X(bf16, "bfloat16")

static double mib(uint64_t bytes) { return (double)bytes / 1048576; }

static void version(uint32_t v, char text[32]) {
  snprintf(text, 32, "%u.%u.%u", v >> 22 & 0x7f, v >> 12 & 0x3ff, v & 0xfff);
}

static void print_abilities(const struct vkd_device_caps *c, bool wanted) {
  const char *separator = "";
#define X(field, name)                                                                                                 \
  if (c->field == wanted) {                                                                                            \
    printf("%s%s", separator, name);                                                                                   \
    separator = ", ";                                                                                                  \
  }
  ABILITY_MAP(X)
#undef X
  puts(*separator ? "" : "none");
}

// Cooperative matrices at subgroup scope, as m x n x k.
static void print_coopmats(const struct vkd_device_caps *c) {
  for (uint32_t i = 0; i < c->coopmat_count; i++) {
    const struct vkd_coopmat *s = &c->coopmats[i];
    printf("   matrices     %ux%ux%u: %s x %s + %s -> %s\n", s->m, s->n, s->k, vkd_coopmat_type_name(s->a),
           vkd_coopmat_type_name(s->b), vkd_coopmat_type_name(s->c), vkd_coopmat_type_name(s->result));
  }
}

static enum vkd_status print_kernels(const struct vkd_device_caps *c, struct vkd_error *err) {
  const char **names = NULL, **reasons = NULL;
  uint32_t count = 0, usable = 0;
  enum vkd_status st = vkd_kernel_rows(c, &names, &reasons, &count, err);
  if (st == VKD_OK) {
    for (uint32_t i = 0; i < count; i++) usable += !reasons[i];
    printf("   kernels      %u of %u rows\n", usable, count);
    for (uint32_t i = 0; i < count; i++)
      if (reasons[i]) printf("     without %s: %s\n", names[i], reasons[i]);
  }
  free(names);
  free(reasons);
  return st;
}

// What `vkdit tune` left for the device.
static enum vkd_status print_tune(const struct vkd_device_caps *c, struct vkd_error *err) {
  struct vkd_tune *tune = NULL;
  enum vkd_status st = vkd_tune_load(&tune, c, NULL, err);
  if (st == VKD_OK && tune->count)
    printf("   tuned        %u entries in %s\n", tune->count, tune->path);
  else if (st == VKD_OK)
    printf("   tuned        no: forms are chosen by kind of device (vkdit tune measures them)\n");
  vkd_tune_destroy(&tune);
  return st;
}

static enum vkd_status print_device(const struct vkd_device_caps *c, struct vkd_error *err) {
  char api[32];
  version(c->api_version, api);
  printf("%u: %s (%s)%s\n", c->index, c->name, vkd_device_kind_name(c->kind), c->unusable[0] ? ", not usable" : "");
  if (c->unusable[0]) printf("   not usable   %s\n", c->unusable);
  printf("   driver       %s %s, Vulkan %s, vendor %04x, device %04x\n", c->driver, c->driver_info, api, c->vendor_id,
         c->device_id);
  printf("   memory       %.0f MiB, %.0f MiB of it free, %.0f MiB in one buffer\n", mib(c->memory_bytes),
         mib(c->memory_budget), mib(c->max_allocation));
  printf("   workgroup    %u lanes (%u x %u x %u), subgroup %u, %u KiB shared, %u bytes of push constants\n",
         c->max_workgroup_invocations, c->max_workgroup_size[0], c->max_workgroup_size[1], c->max_workgroup_size[2],
         c->subgroup_size, c->max_shared_bytes / 1024, c->max_push_bytes);
  printf("   dispatch     %u x %u x %u workgroups\n", c->max_workgroup_count[0], c->max_workgroup_count[1],
         c->max_workgroup_count[2]);
  if (c->timestamp_ns > 0)
    printf("   timestamps   every %g ns\n", c->timestamp_ns);
  else
    printf("   timestamps   none: vkdit profile counts but does not time\n");
  printf("   uploads      %s\n", c->upload_queue ? "on a queue of their own" : "on the computing queue");
  printf("   has          ");
  print_abilities(c, true);
  printf("   lacks        ");
  print_abilities(c, false);
  print_coopmats(c);
  if (!c->unusable[0] && print_tune(c, err) != VKD_OK) return err->status;
  return print_kernels(c, err);
}

static json_t *triple(const uint32_t v[3]) {
  return json_pack("[I,I,I]", (json_int_t)v[0], (json_int_t)v[1], (json_int_t)v[2]);
}

static json_t *tune_json(const struct vkd_device_caps *c) {
  struct vkd_tune *tune = NULL;
  json_t *o = vkd_tune_load(&tune, c, NULL, NULL) == VKD_OK
                  ? json_pack("{s:s,s:I}", "path", tune->path, "entries", (json_int_t)tune->count)
                  : NULL;
  vkd_tune_destroy(&tune);
  return o ? o : json_null();
}

static json_t *device_json(const struct vkd_device_caps *c, struct vkd_error *err) {
  char api[32];
  version(c->api_version, api);
  const char **names = NULL, **reasons = NULL;
  uint32_t count = 0;
  if (vkd_kernel_rows(c, &names, &reasons, &count, err) != VKD_OK) {
    free(names);
    free(reasons);
    return NULL;
  }
  json_t *kernels = json_array(), *abilities = json_object(), *coopmats = json_array();
  for (uint32_t i = 0; i < c->coopmat_count; i++) {
    const struct vkd_coopmat *s = &c->coopmats[i];
    json_array_append_new(coopmats, json_pack("{s:I,s:I,s:I,s:s,s:s,s:s,s:s}", "m", (json_int_t)s->m, "n",
                                              (json_int_t)s->n, "k", (json_int_t)s->k, "a", vkd_coopmat_type_name(s->a),
                                              "b", vkd_coopmat_type_name(s->b), "c", vkd_coopmat_type_name(s->c),
                                              "result", vkd_coopmat_type_name(s->result)));
  }
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(kernels,
                          json_pack("{s:s,s:b,s:s*}", "name", names[i], "usable", !reasons[i], "reason", reasons[i]));
#define X(field, name) json_object_set_new(abilities, #field, json_boolean(c->field));
  ABILITY_MAP(X)
#undef X
  free(names);
  free(reasons);
  json_t *o =
      json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:b,s:s*,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:b,s:o,s:o}", "index",
                (json_int_t)c->index, "name", c->name, "kind", vkd_device_kind_name(c->kind), "driver", c->driver,
                "driver_info", c->driver_info, "api", api, "vendor_id", (json_int_t)c->vendor_id, "device_id",
                (json_int_t)c->device_id, "usable", !c->unusable[0], "unusable", c->unusable[0] ? c->unusable : NULL,
                "memory_bytes", (json_int_t)c->memory_bytes, "memory_budget", (json_int_t)c->memory_budget,
                "max_allocation", (json_int_t)c->max_allocation, "subgroup_size", (json_int_t)c->subgroup_size,
                "max_workgroup_invocations", (json_int_t)c->max_workgroup_invocations, "max_shared_bytes",
                (json_int_t)c->max_shared_bytes, "max_push_bytes", (json_int_t)c->max_push_bytes, "timestamp_ns",
                c->timestamp_ns, "upload_queue", c->upload_queue, "abilities", abilities, "kernels", kernels);
  if (o) json_object_set(o, "cooperative_matrices", coopmats);
  json_decref(coopmats);
  if (o) {
    json_object_set_new(o, "tune", tune_json(c));
    json_object_set_new(o, "max_workgroup_size", triple(c->max_workgroup_size));
    json_object_set_new(o, "max_workgroup_count", triple(c->max_workgroup_count));
  }
  return o;
}

static enum vkd_status print_json(const struct vkd_device_caps *list, uint32_t count, struct vkd_error *err) {
  json_t *all = json_array();
  enum vkd_status st = VKD_OK;
  for (uint32_t i = 0; i < count && st == VKD_OK; i++)
    if (json_array_append_new(all, device_json(&list[i], err)) != 0)
      st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "devices: no memory for a report");
  char *text = st == VKD_OK ? json_dumps(all, JSON_INDENT(1)) : NULL;
  if (text)
    puts(text);
  else if (st == VKD_OK)
    st = vkd_fail(err, VKD_ERR_INTERNAL, "devices: a name is not UTF-8");
  free(text);
  json_decref(all);
  return st;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct vkd_device_caps *list = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_device_list(&list, &count, err);
  if (st == VKD_OK && cmd_has(args, "json"))
    st = print_json(list, count, err);
  else if (st == VKD_OK) {
    for (uint32_t i = 0; i < count && st == VKD_OK; i++) st = print_device(&list[i], err);
    if (!count) printf("no Vulkan device; a software one comes with Mesa (package mesa-vulkan-drivers)\n");
  }
  free(list);
  return st;
}

const struct cmd cmd_devices = {
    .name = "devices",
    .summary = "Lists the Vulkan devices, what they can do, and which kernels they cannot run",
    .usage = "",
    .opts = opts,
    .run = run,
};
