// Programs: plan, allocate, record, replay.
#include "vkd/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "exec_internal.h"
#include "reload.h"
#include "vkd/log.h"

static void list_forms(const struct vkd_graph *g, const struct vkd_plan *plan, char *text, size_t size) {
  for (int f = 0; f < VKD_FORM_COUNT; f++) {
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < g->node_count; i++) nodes += plan->forms[i] == &vkd__forms[f];
    size_t at = strlen(text);
    if (nodes)
      snprintf(text + at, size - at, "%s%s %s x%u", at ? ", " : "", vkd__ops[vkd__forms[f].op].name, vkd__forms[f].name,
               nodes);
  }
}

static void fill_info(struct vkd_plan_info *info, const struct vkd_graph *g, const struct vkd_plan *plan,
                      const struct vkd_tape *tape, int slots, int regions) {
  memset(info, 0, sizeof *info);
  for (uint32_t i = 0; i < plan->chunks; i++) info->temporaries += plan->chunk_bytes[i];
  info->temporaries_raw = plan->temporaries_raw;
  info->inputs = plan->input_bytes * (uint64_t)regions;
  info->constants = plan->constant_bytes;
  info->outputs = plan->output_bytes;
  info->staging = (plan->input_bytes + plan->output_bytes) * (uint64_t)slots;
  for (uint32_t i = 0; i < g->node_count; i++)
    info->nodes += plan->needed[i] && !(vkd__ops[g->nodes[i].op].flags & (VKD_OP_LEAF | VKD_OP_VIEW));
  info->dispatches = tape->count;
  info->barriers = tape->barriers;
  info->pieces = 1;
  list_forms(g, plan, info->forms, sizeof info->forms);
  for (uint32_t i = 1; i < g->tensor_count; i++) { // each bound buffer once
    if (g->tensors[i].kind != VKD_TENSOR_BOUND) continue;
    uint32_t k = 1;
    while (k < i && g->tensors[k].buffer != g->tensors[i].buffer) k++;
    if (k == i) info->bound += vkd_buffer_bytes(g->tensors[i].buffer);
  }
}

static struct vkd_form_choice choice_of(const struct vkd_program_params *params) {
  return (struct vkd_form_choice){.caps = &params->device->caps, .forced = params->form, .tune = params->device->tune};
}

static int slot_count(const struct vkd_program_params *params) { return params->slots > 0 ? params->slots : 1; }
static int regions_of(const struct vkd_device_caps *caps, int slots) { return caps->upload_queue ? slots : 1; }

// Inputs, outputs and constants have a buffer each.
static enum vkd_status check_blocks(const struct vkd_plan *plan, const struct vkd_device_caps *caps,
                                    struct vkd_error *err) {
  const struct {
    const char *name;
    uint64_t bytes;
  } blocks[] = {{"inputs", plan->input_bytes}, {"outputs", plan->output_bytes}, {"constants", plan->constant_bytes}};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (blocks[i].bytes > caps->max_allocation)
      return vkd_fail(err, VKD_ERR_DEVICE_MEMORY,
                      "%s take %.1f MiB, %s allocates at most %.1f MiB at once; lower the batch", blocks[i].name,
                      (double)blocks[i].bytes / 1048576, caps->name, (double)caps->max_allocation / 1048576);
  return VKD_OK;
}

static enum vkd_status dry_record(const struct vkd_plan *plan, const struct vkd_graph *g,
                                  const struct vkd_device_caps *caps, struct vkd_tape *tape, struct vkd_error *err) {
  enum vkd_status st = check_blocks(plan, caps, err);
  if (st == VKD_OK) st = vkd__record_dry(tape, g, plan, caps, err);
  return st;
}

static enum vkd_status dry_info(const struct vkd_plan *plan, const struct vkd_graph *g,
                                const struct vkd_device_caps *caps, int slots, struct vkd_plan_info *info,
                                struct vkd_error *err) {
  struct vkd_tape tape = {0};
  enum vkd_status st = dry_record(plan, g, caps, &tape, err);
  if (st == VKD_OK) fill_info(info, g, plan, &tape, slots, regions_of(caps, slots));
  vkd__tape_free(&tape);
  return st;
}

static enum vkd_status plan_of(struct vkd_plan **plan, const struct vkd_program_params *params, struct vkd_error *err) {
  struct vkd_form_choice choice = choice_of(params);
  return vkd__plan_create(plan, params->graph, &choice, choice.caps->max_allocation, !params->no_reuse, err);
}

enum vkd_status vkd_plan_query(const struct vkd_program_params *params, struct vkd_plan_info *info,
                               struct vkd_error *err) {
  struct vkd_plan *plan;
  enum vkd_status st = plan_of(&plan, params, err);
  if (st == VKD_OK) st = dry_info(plan, params->graph, &params->device->caps, slot_count(params), info, err);
  vkd__plan_destroy(&plan);
  return st;
}

enum vkd_status vkd__plan_tape(const struct vkd_program_params *params, struct vkd_tape *tape, struct vkd_error *err) {
  struct vkd_plan *plan;
  enum vkd_status st = plan_of(&plan, params, err);
  if (st == VKD_OK) st = dry_record(plan, params->graph, &params->device->caps, tape, err);
  vkd__plan_destroy(&plan);
  return st;
}

// Takes the temporaries' memory of `other` where every chunk is large enough there.
static enum vkd_status borrow(struct vkd_program *p, const struct vkd_program *other, struct vkd_error *err) {
  bool fits = other && p->plan->chunks <= other->chunk_count;
  for (uint32_t i = 0; fits && i < p->plan->chunks; i++) fits = p->plan->chunk_bytes[i] <= other->chunks[i]->bytes;
  p->chunk_count = p->plan->chunks;
  p->chunks_lent = fits;
  p->chunks = calloc(p->plan->chunks + 1, sizeof *p->chunks);
  if (!p->chunks) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a program");
  for (uint32_t i = 0; fits && i < p->plan->chunks; i++) p->chunks[i] = other->chunks[i];
  return VKD_OK;
}

static enum vkd_status check_memory(const struct vkd_program *p, struct vkd_error *err) {
  const struct vkd_device_caps *caps = &p->dev->caps;
  uint64_t temporaries = p->chunks_lent ? 0 : p->info.temporaries;
  uint64_t own = temporaries + p->info.inputs + p->info.outputs + p->info.constants + p->info.staging;
  uint64_t free_bytes = caps->memory_budget > p->dev->allocated ? caps->memory_budget - p->dev->allocated : 0;
  if (own <= free_bytes) return VKD_OK;
  return vkd_fail(
      err, VKD_ERR_DEVICE_MEMORY,
      "the step needs %.1f MiB beside the %.1f MiB in use (activations %.1f, inputs and outputs %.1f), %s has %.1f MiB",
      (double)own / 1048576, (double)p->dev->allocated / 1048576, (double)temporaries / 1048576,
      (double)(own - temporaries) / 1048576, caps->name, (double)caps->memory_budget / 1048576);
}

static enum vkd_status what_for(const char *what, enum vkd_status st, struct vkd_error *err) {
  return st == VKD_OK || !err ? st : vkd_error_prefix(err, "%s", what);
}

static enum vkd_status allocate(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  p->addresses = calloc(p->plan->chunks + 1, sizeof *p->addresses);
  p->slots = calloc((size_t)p->slot_count, sizeof *p->slots);
  p->regions = calloc((size_t)p->region_count, sizeof *p->regions);
  if (!p->addresses || !p->slots || !p->regions) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a program");
  for (uint32_t i = 0; i < p->plan->chunks && st == VKD_OK; i++) {
    if (!p->chunks_lent)
      st = what_for("activations", vkd_buffer_create(&p->chunks[i], p->dev, p->plan->chunk_bytes[i], err), err);
    if (st == VKD_OK) p->addresses[i] = p->chunks[i]->address;
  }
  for (int r = 0; r < p->region_count && st == VKD_OK && p->plan->input_bytes; r++)
    st = what_for("inputs", vkd_buffer_create(&p->regions[r].inputs, p->dev, p->plan->input_bytes, err), err);
  if (st == VKD_OK && p->plan->constant_bytes)
    st = what_for("constants", vkd_buffer_create(&p->constants, p->dev, p->plan->constant_bytes, err), err);
  for (int s = 0; s < p->slot_count && st == VKD_OK; s++) {
    st = vkd__host_buffer_create(&p->slots[s].in, p->dev, p->plan->input_bytes, err);
    if (st == VKD_OK) st = vkd__host_buffer_create(&p->slots[s].out, p->dev, p->plan->output_bytes, err);
    st = what_for("inputs and outputs", st, err);
  }
  for (uint32_t i = 1; i < p->graph->tensor_count && st == VKD_OK; i++) {
    const struct vkd_place *at = &p->plan->tensors[i];
    if (at->space == VKD_SPACE_CONSTANT && p->graph->tensors[i].data)
      st = vkd_buffer_write(p->constants, at->offset, p->graph->tensors[i].data, at->bytes, err);
  }
  return st;
}

static struct vkd_region *region_of(const struct vkd_program *p, int slot) {
  return &p->regions[slot % p->region_count];
}

// Command buffers of one slot: inputs up, outputs down.
static enum vkd_status record_upload(struct vkd_program *p, int s, struct vkd_error *err) {
  struct vkd__queue *queue = vkd__upload_queue(p->dev);
  VkCommandBuffer *cmd = &p->slots[s].upload;
  enum vkd_status st = vkd__command_begin(p->dev, queue, cmd, 0, err);
  if (st != VKD_OK) return st;
  // An earlier run may still read what is overwritten; between queues a semaphore keeps them apart.
  if (queue == &p->dev->compute) vkd__barrier(*cmd, VKD__SHADERS | VKD__COPIES, VK_ACCESS_TRANSFER_WRITE_BIT);
  VkBufferCopy all = {.size = p->plan->input_bytes};
  if (all.size) vkCmdCopyBuffer(*cmd, p->slots[s].in->handle, region_of(p, s)->inputs->handle, 1, &all);
  VkResult r = vkEndCommandBuffer(*cmd);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording inputs");
}

static enum vkd_status record_download(struct vkd_program *p, int s, struct vkd_error *err) {
  VkCommandBuffer *cmd = &p->slots[s].download;
  enum vkd_status st = vkd__command_begin(p->dev, &p->dev->compute, cmd, 0, err);
  if (st != VKD_OK) return st;
  vkd__barrier(*cmd, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VKD__COPIES);
  for (uint32_t i = 0; i < p->plan->output_count; i++) {
    const struct vkd_copy *copy = &p->plan->outputs[i];
    const struct vkd_place *at = &p->plan->tensors[copy->tensor.id];
    VkBuffer from = at->space == VKD_SPACE_TEMP    ? p->chunks[at->chunk]->handle
                    : at->space == VKD_SPACE_INPUT ? region_of(p, s)->inputs->handle
                    : at->space == VKD_SPACE_BOUND ? at->buffer->handle
                                                   : p->constants->handle;
    VkBufferCopy region = {.srcOffset = at->offset, .dstOffset = copy->offset, .size = at->bytes};
    vkCmdCopyBuffer(*cmd, from, p->slots[s].out->handle, 1, &region);
  }
  vkd__barrier(*cmd, VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_HOST_READ_BIT);
  VkResult r = vkEndCommandBuffer(*cmd);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording outputs");
}

static enum vkd_status record_pieces(struct vkd_program *p, struct vkd_region *region, struct vkd_error *err) {
  // Runs of different slots may be pending at once.
  VkCommandBufferUsageFlags usage = p->region_count < p->slot_count ? VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT : 0;
  return vkd__encode(p, &region->tape, usage, VK_NULL_HANDLE, 0, &region->pieces, err);
}

static enum vkd_status record_region(struct vkd_program *p, struct vkd_region *region, struct vkd_error *err) {
  struct vkd_bases bases = {.input = region->inputs ? region->inputs->address : 0,
                            .constant = p->constants ? p->constants->address : 0,
                            .chunks = p->addresses};
  region->tape.buckets = p->buckets;
  region->tape.bucket_count = p->bucket_count;
  enum vkd_status st = vkd__record(&region->tape, p->graph, p->plan, &p->dev->caps, &bases, err);
  if (st == VKD_OK && region == p->regions) st = vkd__pieces_estimate(p, &region->tape, err);
  if (st == VKD_OK) st = vkd__pipelines_make(p->dev, &region->tape, err);
  return st == VKD_OK ? record_pieces(p, region, err) : st;
}

// Records anew what is cut by estimates, once its runs were timed, and what pipelines of before are in: the device is
// idle in either case.
static enum vkd_status follow(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  bool settle = vkd__pieces_timed(p);
  vkd__reload_poll(p->dev);
  if (!settle && p->generation == p->dev->generation) return VKD_OK;
  for (int r = 0; r < p->region_count; r++) vkd__encoded_free(p, &p->regions[r].pieces);
  if (settle) st = vkd__pieces_settle(p, &p->regions[0].tape, err);
  if (settle && st == VKD_OK) st = vkd__buckets_record(p, err);
  for (int r = 0; r < p->region_count && st == VKD_OK; r++) st = record_pieces(p, &p->regions[r], err);
  p->generation = p->dev->generation;
  return st;
}

static enum vkd_status record_all(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int r = 0; r < p->region_count && st == VKD_OK; r++) st = record_region(p, &p->regions[r], err);
  if (st == VKD_OK) st = vkd__buckets_record(p, err);
  for (int s = 0; s < p->slot_count && st == VKD_OK; s++) {
    st = record_upload(p, s, err);
    if (st == VKD_OK) st = record_download(p, s, err);
  }
  return st;
}

enum vkd_status vkd_program_create(struct vkd_program **out, const struct vkd_program_params *params,
                                   struct vkd_error *err) {
  struct vkd_program *p = *out = calloc(1, sizeof *p);
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a program");
  p->dev = params->device;
  p->graph = params->graph;
  p->slot_count = slot_count(params);
  p->region_count = regions_of(&p->dev->caps, p->slot_count);
  p->generation = p->dev->generation;
  enum vkd_status st = VKD_OK;
  if (p->dev->caps.fake) st = vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device plans, it does not run");
  if (p->dev->compile_only) st = vkd_fail(err, VKD_ERR_UNSUPPORTED, "a device to compile for runs nothing");
  if (st == VKD_OK) st = plan_of(&p->plan, params, err);
  if (st == VKD_OK) st = dry_info(p->plan, p->graph, &p->dev->caps, p->slot_count, &p->info, err);
  if (st == VKD_OK && *p->info.forms) vkd_log(VKD_LOG_DEBUG, "forms: %s", p->info.forms);
  if (st == VKD_OK) st = borrow(p, params->beside, err);
  if (st == VKD_OK) st = check_memory(p, err);
  if (st == VKD_OK) st = allocate(p, err);
  if (st == VKD_OK) st = vkd__buckets_create(p, params->buckets, params->bucket_count, err);
  if (st == VKD_OK) st = record_all(p, err);
  if (st != VKD_OK) vkd_program_destroy(out);
  return st;
}

void vkd_program_destroy(struct vkd_program **pp) {
  struct vkd_program *p = *pp;
  if (!p) return;
  if (!p->dev->caps.fake) vkDeviceWaitIdle(p->dev->handle);
  vkd__forget_program(p->dev, p);
  for (int s = 0; p->slots && s < p->slot_count; s++) {
    vkd__command_free(p->dev, vkd__upload_queue(p->dev), &p->slots[s].upload);
    vkd__command_free(p->dev, &p->dev->compute, &p->slots[s].download);
    vkd__host_buffer_destroy(p->dev, &p->slots[s].in);
    vkd__host_buffer_destroy(p->dev, &p->slots[s].out);
  }
  for (int r = 0; p->regions && r < p->region_count; r++) {
    vkd__encoded_free(p, &p->regions[r].pieces);
    vkd_buffer_destroy(&p->regions[r].inputs);
    vkd__tape_free(&p->regions[r].tape);
  }
  for (uint32_t i = 0; p->chunks && !p->chunks_lent && i < p->chunk_count; i++) vkd_buffer_destroy(&p->chunks[i]);
  vkd_buffer_destroy(&p->constants);
  vkd__buckets_free(p);
  vkd__pieces_free(&p->pieces);
  vkd__plan_destroy(&p->plan);
  free(p->chunks);
  free(p->addresses);
  free(p->regions);
  free(p->slots);
  free(p);
  *pp = NULL;
}

const struct vkd_plan_info *vkd_program_plan(const struct vkd_program *p) { return &p->info; }

void *vkd_program_input(struct vkd_program *p, int slot, vkd_tensor input) {
  return (char *)p->slots[slot].in->map + p->plan->tensors[input.id].offset;
}

const void *vkd_program_output(struct vkd_program *p, int slot, vkd_tensor output) {
  for (uint32_t i = 0; i < p->plan->output_count; i++)
    if (p->plan->outputs[i].tensor.id == output.id)
      return (const char *)p->slots[slot].out->map + p->plan->outputs[i].offset;
  return NULL;
}

enum vkd_status vkd__send_inputs(struct vkd_program *p, int slot, VkCommandBuffer *commands, uint32_t *count,
                                 struct vkd_error *err) {
  struct vkd_slot *s = &p->slots[slot];
  uint64_t ticket;
  // Its last run was waited for by whoever writes its inputs; to the device a semaphore says so.
  if (vkd__upload_queue(p->dev) != &p->dev->compute)
    return vkd__submit_upload(p->dev, s->upload, s->ticket, &ticket, err);
  commands[(*count)++] = s->upload;
  return VKD_OK;
}

static enum vkd_status submit(struct vkd_program *p, int slot, bool buckets, struct vkd_error *err) {
  enum vkd_status st = follow(p, err);
  if (st != VKD_OK) return st;
  struct vkd_slot *s = &p->slots[slot];
  return vkd__submit_run(p, slot, region_of(p, slot)->pieces, buckets, s->download, &s->ticket, err);
}

enum vkd_status vkd_program_submit(struct vkd_program *p, int slot, struct vkd_error *err) {
  return submit(p, slot, false, err);
}

enum vkd_status vkd_program_submit_buckets(struct vkd_program *p, int slot, struct vkd_error *err) {
  return submit(p, slot, true, err);
}

enum vkd_status vkd_program_wait(struct vkd_program *p, int slot, struct vkd_error *err) {
  return p->slots[slot].ticket ? vkd__wait(p->dev, &p->dev->compute, p->slots[slot].ticket, err) : VKD_OK;
}

enum vkd_status vkd__program_settle(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  while (p->pieces.runs_left && st == VKD_OK) st = vkd_program_run(p, err);
  return st == VKD_OK ? follow(p, err) : st;
}

enum vkd_status vkd_program_run(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = vkd_program_submit(p, 0, err);
  return st == VKD_OK ? vkd_program_wait(p, 0, err) : st;
}
