// Programs: plan, allocate, record, replay.
#include "vkd/exec.h"

#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "exec_internal.h"

static void fill_info(struct vkd_plan_info *info, const struct vkd_graph *g, const struct vkd_plan *plan,
                      const struct vkd_tape *tape, int slots) {
  memset(info, 0, sizeof *info);
  for (uint32_t i = 0; i < plan->chunks; i++) info->temporaries += plan->chunk_bytes[i];
  info->temporaries_raw = plan->temporaries_raw;
  info->inputs = plan->input_bytes;
  info->constants = plan->constant_bytes;
  info->outputs = plan->output_bytes;
  info->staging = (plan->input_bytes + plan->output_bytes) * (uint64_t)slots;
  for (uint32_t i = 0; i < g->node_count; i++)
    info->nodes += plan->needed[i] && !(vkd__ops[g->nodes[i].op].flags & (VKD_OP_LEAF | VKD_OP_VIEW));
  info->dispatches = tape->count;
  info->barriers = tape->barriers;
  for (uint32_t i = 1; i < g->tensor_count; i++) { // each bound buffer once
    if (g->tensors[i].kind != VKD_TENSOR_BOUND) continue;
    uint32_t k = 1;
    while (k < i && g->tensors[k].buffer != g->tensors[i].buffer) k++;
    if (k == i) info->bound += vkd_buffer_bytes(g->tensors[i].buffer);
  }
}

static struct vkd_form_choice choice_of(const struct vkd_program_params *params) {
  return (struct vkd_form_choice){.caps = vkd_device_get_caps(params->device), .forced = params->form};
}

static int slot_count(const struct vkd_program_params *params) { return params->slots > 0 ? params->slots : 1; }

// Records with made-up addresses, for what can be known without memory.
static enum vkd_status dry_record(const struct vkd_plan *plan, const struct vkd_graph *g,
                                  const struct vkd_device_caps *caps, int slots, struct vkd_plan_info *info,
                                  struct vkd_error *err) {
  struct vkd_tape tape = {0};
  uint64_t *chunks = calloc(plan->chunks + 1, sizeof *chunks);
  if (!chunks) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan");
  for (uint32_t i = 0; i < plan->chunks; i++) chunks[i] = (uint64_t)(i + 3) << 50;
  struct vkd_bases bases = {.input = (uint64_t)1 << 50, .constant = (uint64_t)2 << 50, .chunks = chunks};
  enum vkd_status st = vkd__record(&tape, g, plan, caps, &bases, err);
  if (st == VKD_OK) fill_info(info, g, plan, &tape, slots);
  vkd__tape_free(&tape);
  free(chunks);
  return st;
}

enum vkd_status vkd_plan_query(const struct vkd_program_params *params, struct vkd_plan_info *info,
                               struct vkd_error *err) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(params->device);
  struct vkd_form_choice choice = choice_of(params);
  struct vkd_plan *plan;
  enum vkd_status st = vkd__plan_create(&plan, params->graph, &choice, caps->max_allocation, !params->no_reuse, err);
  if (st == VKD_OK) st = dry_record(plan, params->graph, caps, slot_count(params), info, err);
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

static enum vkd_status allocate(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  p->addresses = calloc(p->plan->chunks + 1, sizeof *p->addresses);
  p->slots = calloc((size_t)p->slot_count, sizeof *p->slots);
  if (!p->addresses || !p->slots) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a program");
  for (uint32_t i = 0; i < p->plan->chunks && st == VKD_OK; i++) {
    if (!p->chunks_lent) st = vkd_buffer_create(&p->chunks[i], p->dev, p->plan->chunk_bytes[i], err);
    if (st == VKD_OK) p->addresses[i] = p->chunks[i]->address;
  }
  if (st == VKD_OK && p->plan->input_bytes) st = vkd_buffer_create(&p->inputs, p->dev, p->plan->input_bytes, err);
  if (st == VKD_OK && p->plan->constant_bytes)
    st = vkd_buffer_create(&p->constants, p->dev, p->plan->constant_bytes, err);
  for (int s = 0; s < p->slot_count && st == VKD_OK; s++) {
    st = vkd__host_buffer_create(&p->slots[s].in, p->dev, p->plan->input_bytes, err);
    if (st == VKD_OK) st = vkd__host_buffer_create(&p->slots[s].out, p->dev, p->plan->output_bytes, err);
  }
  for (uint32_t i = 1; i < p->graph->tensor_count && st == VKD_OK; i++) {
    const struct vkd_place *at = &p->plan->tensors[i];
    if (at->space == VKD_SPACE_CONSTANT && p->graph->tensors[i].data)
      st = vkd_buffer_write(p->constants, at->offset, p->graph->tensors[i].data, at->bytes, err);
  }
  return st;
}

// Command buffers of one slot: inputs up, outputs down.
static enum vkd_status record_transfers(struct vkd_program *p, struct vkd_slot *slot, struct vkd_error *err) {
  enum vkd_status st = vkd__command_begin(p->dev, &slot->upload, 0, err);
  if (st != VKD_OK) return st;
  vkd__full_barrier(slot->upload); // an earlier run may still read what is overwritten
  VkBufferCopy all = {.size = p->plan->input_bytes};
  if (all.size) vkCmdCopyBuffer(slot->upload, slot->in->handle, p->inputs->handle, 1, &all);
  vkd__full_barrier(slot->upload);
  VkResult r = vkEndCommandBuffer(slot->upload);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "recording inputs");
  if ((st = vkd__command_begin(p->dev, &slot->download, 0, err)) != VKD_OK) return st;
  vkd__full_barrier(slot->download);
  for (uint32_t i = 0; i < p->plan->output_count; i++) {
    const struct vkd_copy *copy = &p->plan->outputs[i];
    const struct vkd_place *at = &p->plan->tensors[copy->tensor.id];
    VkBuffer from = at->space == VKD_SPACE_TEMP    ? p->chunks[at->chunk]->handle
                    : at->space == VKD_SPACE_INPUT ? p->inputs->handle
                    : at->space == VKD_SPACE_BOUND ? at->buffer->handle
                                                   : p->constants->handle;
    VkBufferCopy region = {.srcOffset = at->offset, .dstOffset = copy->offset, .size = at->bytes};
    vkCmdCopyBuffer(slot->download, from, slot->out->handle, 1, &region);
  }
  vkd__full_barrier(slot->download);
  r = vkEndCommandBuffer(slot->download);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording outputs");
}

enum vkd_status vkd__encode(struct vkd_program *p, VkCommandBuffer cmd, VkQueryPool timestamps, struct vkd_error *err) {
  const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                   .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
  uint32_t mark = 0;
  vkd__full_barrier(cmd);
  for (uint32_t i = 0; i < p->tape.count; i++) {
    const struct vkd_tape_entry *e = &p->tape.entries[i];
    struct vkd_dispatch d = {.kernel = e->kernel, .spec_count = e->spec_count};
    memcpy(d.spec, e->spec, sizeof d.spec);
    VkPipeline pipeline;
    enum vkd_status st = vkd__pipeline(p->dev, &d, &pipeline, err);
    if (st != VKD_OK) return st;
    if (e->barrier)
      vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1,
                           &barrier, 0, NULL, 0, NULL);
    if (timestamps && (i == 0 || e->node != p->tape.entries[i - 1].node)) {
      vkd__full_barrier(cmd);
      vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timestamps, mark++);
    }
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    if (e->push_size) vkCmdPushConstants(cmd, p->dev->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, e->push_size, e->push);
    vkCmdDispatch(cmd, e->groups[0], e->groups[1], e->groups[2]);
  }
  if (timestamps) {
    vkd__full_barrier(cmd);
    vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timestamps, mark);
  }
  return VKD_OK;
}

static enum vkd_status record_all(struct vkd_program *p, struct vkd_error *err) {
  struct vkd_bases bases = {.input = p->inputs ? p->inputs->address : 0,
                            .constant = p->constants ? p->constants->address : 0,
                            .chunks = p->addresses};
  enum vkd_status st = vkd__record(&p->tape, p->graph, p->plan, &p->dev->caps, &bases, err);
  // Runs of different slots may be pending at once.
  if (st == VKD_OK) st = vkd__command_begin(p->dev, &p->main, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT, err);
  if (st == VKD_OK) st = vkd__encode(p, p->main, VK_NULL_HANDLE, err);
  if (st != VKD_OK) return st;
  VkResult r = vkEndCommandBuffer(p->main);
  if (r != VK_SUCCESS) return vkd__vk_fail(err, r, "recording a step");
  for (int s = 0; s < p->slot_count && st == VKD_OK; s++) st = record_transfers(p, &p->slots[s], err);
  return st;
}

enum vkd_status vkd_program_create(struct vkd_program **out, const struct vkd_program_params *params,
                                   struct vkd_error *err) {
  struct vkd_program *p = *out = calloc(1, sizeof *p);
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a program");
  p->dev = params->device;
  p->graph = params->graph;
  p->slot_count = slot_count(params);
  struct vkd_form_choice choice = choice_of(params);
  enum vkd_status st = VKD_OK;
  if (p->dev->caps.fake) st = vkd_fail(err, VKD_ERR_UNSUPPORTED, "a fake device plans, it does not run");
  if (st == VKD_OK)
    st = vkd__plan_create(&p->plan, p->graph, &choice, p->dev->caps.max_allocation, !params->no_reuse, err);
  if (st == VKD_OK) st = dry_record(p->plan, p->graph, &p->dev->caps, p->slot_count, &p->info, err);
  if (st == VKD_OK) st = borrow(p, params->beside, err);
  if (st == VKD_OK) st = check_memory(p, err);
  if (st == VKD_OK) st = allocate(p, err);
  if (st == VKD_OK) st = record_all(p, err);
  if (st != VKD_OK) vkd_program_destroy(out);
  return st;
}

void vkd_program_destroy(struct vkd_program **pp) {
  struct vkd_program *p = *pp;
  if (!p) return;
  if (!p->dev->caps.fake) vkDeviceWaitIdle(p->dev->handle);
  for (int s = 0; p->slots && s < p->slot_count; s++) {
    vkd__command_free(p->dev, &p->slots[s].upload);
    vkd__command_free(p->dev, &p->slots[s].download);
    vkd__host_buffer_destroy(p->dev, &p->slots[s].in);
    vkd__host_buffer_destroy(p->dev, &p->slots[s].out);
  }
  vkd__command_free(p->dev, &p->main);
  for (uint32_t i = 0; p->chunks && !p->chunks_lent && i < p->chunk_count; i++) vkd_buffer_destroy(&p->chunks[i]);
  vkd_buffer_destroy(&p->inputs);
  vkd_buffer_destroy(&p->constants);
  vkd__tape_free(&p->tape);
  vkd__plan_destroy(&p->plan);
  free(p->chunks);
  free(p->addresses);
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

enum vkd_status vkd_program_submit(struct vkd_program *p, int slot, struct vkd_error *err) {
  struct vkd_slot *s = &p->slots[slot];
  VkCommandBuffer commands[] = {s->upload, p->main, s->download};
  return vkd__submit(p->dev, commands, 3, &s->ticket, err);
}

enum vkd_status vkd_program_wait(struct vkd_program *p, int slot, struct vkd_error *err) {
  return p->slots[slot].ticket ? vkd__wait(p->dev, p->slots[slot].ticket, err) : VKD_OK;
}

enum vkd_status vkd_program_run(struct vkd_program *p, struct vkd_error *err) {
  enum vkd_status st = vkd_program_submit(p, 0, err);
  return st == VKD_OK ? vkd_program_wait(p, 0, err) : st;
}
