// vkdit devices: what there is, what it can do, and which kernel rows it cannot run; fit for a bug report.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "vkd/selftest.h"
#include "vkd/tune.h"

static const struct cmd_opt opts[] = {CMD_OPT_JSON, {0}};

static double mib(uint64_t bytes) { return (double)bytes / 1048576; }

void devices_api_version(uint32_t v, char text[32]) {
  snprintf(text, 32, "%u.%u.%u", v >> 22 & 0x7f, v >> 12 & 0x3ff, v & 0xfff);
}

// NVIDIA packs its numbers in its own way.
void devices_driver_version(const struct vkd_device_caps *c, char text[32]) {
  uint32_t v = c->driver_version;
  if (c->vendor_id == 0x10de)
    snprintf(text, 32, "%u.%u.%u.%u", v >> 22, v >> 14 & 0xff, v >> 6 & 0xff, v & 0x3f);
  else
    snprintf(text, 32, "%u.%u.%u", v >> 22, v >> 12 & 0x3ff, v & 0xfff);
}

void devices_flags(const struct devices_flag *table, uint32_t flags, char *text, size_t size) {
  *text = 0;
  for (; table->name; table++) {
    size_t at = strlen(text);
    if (flags & table->bit) snprintf(text + at, size - at, "%s%s", at ? ", " : "", table->name);
  }
}

const struct devices_flag devices_memory_flags[] = {{VKD_MEMORY_DEVICE, "device"},     {VKD_MEMORY_HOST, "host"},
                                                    {VKD_MEMORY_COHERENT, "coherent"}, {VKD_MEMORY_CACHED, "cached"},
                                                    {~(uint32_t)15, "special"},        {0}};
const struct devices_flag devices_queue_flags[] = {
    {VKD_QUEUE_GRAPHICS, "graphics"}, {VKD_QUEUE_COMPUTE, "compute"}, {VKD_QUEUE_TRANSFER, "transfer"}, {0}};

static void print_features(const struct vkd_device_caps *c) {
#define X(field, name, lost) printf("   feature      %-24s %s\n", name, c->field ? "yes" : "no: " lost);
  DEVICES_FEATURE_MAP(X)
#undef X
}

// Cooperative matrices at subgroup scope, as m x n x k.
static void print_coopmats(const struct vkd_device_caps *c) {
  for (uint32_t i = 0; i < c->coopmat_count; i++) {
    const struct vkd_coopmat *s = &c->coopmats[i];
    printf("   matrices     %ux%ux%u: %s x %s + %s -> %s\n", s->m, s->n, s->k, vkd_coopmat_type_name(s->a),
           vkd_coopmat_type_name(s->b), vkd_coopmat_type_name(s->c), vkd_coopmat_type_name(s->result));
  }
}

static void print_memory(const struct vkd_device_caps *c) {
  char flags[80];
  printf("   memory       %.0f MiB, %.0f MiB of it %s, %.0f MiB in one buffer\n", mib(c->memory_bytes),
         mib(c->memory_budget), c->budget_known ? "free" : "taken as free (the driver does not say)",
         mib(c->max_allocation));
  for (uint32_t i = 0; i < c->heap_count; i++)
    printf("   heap %-2u      %.0f MiB, %.0f MiB free, %s\n", i, mib(c->heaps[i].bytes), mib(c->heaps[i].budget),
           c->heaps[i].device ? "the device's own" : "the host's");
  for (uint32_t i = 0; i < c->memory_type_count; i++) {
    devices_flags(devices_memory_flags, c->memory_types[i].flags, flags, sizeof flags);
    printf("   memory %-2u    in heap %u: %s\n", i, c->memory_types[i].heap, *flags ? flags : "no flags");
  }
}

static void print_queues(const struct vkd_device_caps *c) {
  char flags[80];
  for (uint32_t i = 0; i < c->queue_family_count; i++) {
    const struct vkd_queue_family *f = &c->queue_families[i];
    devices_flags(devices_queue_flags, f->flags, flags, sizeof flags);
    printf("   queues %-2u    %u of %s, timestamps of %u bits%s%s\n", i, f->count, *flags ? flags : "other kinds",
           f->timestamp_bits, c->has_compute_queue && i == c->compute_family ? "; computes" : "",
           c->upload_queue && i == c->upload_family ? "; uploads" : "");
  }
  printf("   uploads      %s\n", c->upload_queue ? "on a queue of their own" : "on the computing queue");
  if (c->timestamp_ns > 0)
    printf("   timestamps   every %g ns\n", c->timestamp_ns);
  else
    printf("   timestamps   none: vkdit profile counts but does not time\n");
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
  char api[32], driver[32];
  devices_api_version(c->api_version, api);
  devices_driver_version(c, driver);
  printf("%u: %s (%s)%s\n", c->index, c->name, vkd_device_kind_name(c->kind), c->unusable[0] ? ", not usable" : "");
  if (c->unusable[0]) printf("   not usable   %s\n", c->unusable);
  if (!c->heap_count) { // not looked at any further
    printf("   driver       version %s, Vulkan %s\n", driver, api);
    return VKD_OK;
  }
  printf("   driver       %s %s, version %s, Vulkan %s\n", c->driver, c->driver_info, driver, api);
  printf("   ids          vendor %04x, device %04x, pipelines ", c->vendor_id, c->device_id);
  for (size_t i = 0; i < sizeof c->uuid; i++) printf("%02x", c->uuid[i]);
  putchar('\n');
  printf("   workgroup    %u lanes (%u x %u x %u), subgroup %u, %u KiB shared, %u bytes of push constants\n",
         c->max_workgroup_invocations, c->max_workgroup_size[0], c->max_workgroup_size[1], c->max_workgroup_size[2],
         c->subgroup_size, c->max_shared_bytes / 1024, c->max_push_bytes);
  printf("   dispatch     %u x %u x %u workgroups\n", c->max_workgroup_count[0], c->max_workgroup_count[1],
         c->max_workgroup_count[2]);
  print_memory(c);
  print_queues(c);
  print_features(c);
  print_coopmats(c);
  if (!c->unusable[0] && print_tune(c, err) != VKD_OK) return err->status;
  return print_kernels(c, err);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct vkd_device_caps *list = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_device_list(&list, &count, err);
  if (st == VKD_OK && cmd_has(args, "json"))
    st = devices_print_json(list, count, err);
  else if (st == VKD_OK) {
    printf("vkdit %s\n", VKDIT_VERSION);
    for (uint32_t i = 0; i < count && st == VKD_OK; i++) st = print_device(&list[i], err);
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
