// A run in pieces, none of which keeps the device for longer than a budget: a desktop that shares it stays alive, and
// no watchdog (2 s on Windows, 10 s on Linux) takes a slow device for a hung one.  Dispatches are cut along their
// workgroups, which compute the same in whatever dispatch they are.  The first runs are cut by estimates and timed;
// later ones are cut by what was measured, which on a fast device leaves one piece.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exec_internal.h"
#include "vkd/log.h"

enum { TIMED_RUNS = 2 }; // the first one may compile
// What the slowest of GPUs still does, so that no piece is longer than estimated.
static const double slow_flops = 1e10, slow_bytes = 2e9;

// Workgroups in y where there are any, so that those in x, which flat_group() counts by, stay; z tells kernels into how
// many parts a sum is split.
static int axis_of(const struct vkd_tape_entry *e) { return e->groups[1] > 1; }

static double node_seconds(const struct vkd_program *p, uint32_t node) {
  const struct vkd_graph *g = p->graph;
  uint32_t other = p->plan->fused[node].node;
  const struct vkd_node *nodes[] = {&g->nodes[node], other ? &g->nodes[other] : NULL};
  double seconds = 0;
  for (int i = 0; i < 2 && nodes[i]; i++)
    seconds +=
        vkd__ops[nodes[i]->op].flops(g, nodes[i]) / slow_flops + vkd__ops[nodes[i]->op].bytes(g, nodes[i]) / slow_bytes;
  return seconds;
}

// Cuts the tape by pieces->seconds.
static enum vkd_status cut(struct vkd_program *p, const struct vkd_tape *tape, struct vkd_error *err) {
  struct vkd_pieces *all = &p->pieces;
  double budget = p->dev->budget_s, used = 0;
  uint32_t cap = 0;
  all->cut_count = all->count = 0;
  for (uint32_t i = 0; i < tape->count; i++) {
    const struct vkd_tape_entry *e = &tape->entries[i];
    uint32_t n = e->groups[axis_of(e)];
    double s = all->seconds[i];
    uint32_t parts = !(budget > 0 && s > budget) ? 1 : s < budget * n ? (uint32_t)ceil(s / budget) : n;
    if (all->cut_count + parts > cap) {
      cap = (all->cut_count + parts) * 2;
      struct vkd_cut *bigger = realloc(all->cuts, cap * sizeof *bigger);
      if (!bigger) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u parts of dispatches", cap);
      all->cuts = bigger;
    }
    for (uint32_t k = 0; k < parts; k++) {
      uint32_t first = (uint32_t)((uint64_t)n * k / parts), end = (uint32_t)((uint64_t)n * (k + 1) / parts);
      struct vkd_cut c = {.entry = i, .base = first, .count = end - first, .seconds = s * (end - first) / n};
      c.begins = !all->count || (budget > 0 && used + c.seconds > budget) || (k == 0 && vkd__buckets_end(p, i - 1));
      if (c.begins) used = 0, all->count++;
      used += c.seconds;
      all->cuts[all->cut_count++] = c;
    }
    vkd__buckets_cut(p, i, all->count - 1);
  }
  if (!all->count) all->count = 1; // nothing to compute
  double *timed = realloc(all->timed, all->count * sizeof *timed);
  if (!timed) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u pieces", all->count);
  all->timed = timed;
  for (uint32_t i = 0; i < all->count; i++) timed[i] = INFINITY;
  p->info.pieces = all->count;
  if (all->count > 1 && budget > 0)
    vkd_log(VKD_LOG_DEBUG, "a run of %u dispatches in %u parts, submitted in %u pieces of at most %g ms%s", tape->count,
            all->cut_count, all->count, budget * 1e3, all->runs_left ? ", as estimated" : "");
  return VKD_OK;
}

enum vkd_status vkd__pieces_estimate(struct vkd_program *p, const struct vkd_tape *tape, struct vkd_error *err) {
  struct vkd_pieces *all = &p->pieces;
  uint32_t *dispatches = calloc(p->graph->node_count + 1, sizeof *dispatches);
  all->seconds = calloc(tape->count + 1, sizeof *all->seconds);
  double whole = 0;
  if (!dispatches || !all->seconds) {
    free(dispatches);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u dispatches", tape->count);
  }
  for (uint32_t i = 0; i < tape->count; i++) dispatches[tape->entries[i].node]++;
  for (uint32_t i = 0; i < tape->count; i++) {
    uint32_t node = tape->entries[i].node;
    whole += all->seconds[i] = node_seconds(p, node) / dispatches[node];
  }
  free(dispatches);
  all->runs_left = p->dev->budget_s > 0 && whole > p->dev->budget_s ? TIMED_RUNS : 0;
  return cut(p, tape, err);
}

bool vkd__pieces_timed(const struct vkd_program *p) {
  return p->pieces.runs_left == 0 && p->pieces.timed && p->pieces.count && isfinite(p->pieces.timed[0]);
}

enum vkd_status vkd__pieces_settle(struct vkd_program *p, const struct vkd_tape *tape, struct vkd_error *err) {
  struct vkd_pieces *all = &p->pieces;
  double *estimated = calloc(all->count, sizeof *estimated);
  if (!estimated) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u pieces", all->count);
  uint32_t piece = 0;
  for (uint32_t i = 0; i < all->cut_count; i++) {
    piece += i > 0 && all->cuts[i].begins;
    estimated[piece] += all->cuts[i].seconds;
  }
  memset(all->seconds, 0, tape->count * sizeof *all->seconds);
  piece = 0;
  for (uint32_t i = 0; i < all->cut_count; i++) { // what a piece took, shared as its parts were estimated
    const struct vkd_cut *c = &all->cuts[i];
    piece += i > 0 && c->begins;
    if (estimated[piece] > 0) all->seconds[c->entry] += all->timed[piece] * c->seconds / estimated[piece];
  }
  free(estimated);
  return cut(p, tape, err);
}

void vkd__pieces_free(struct vkd_pieces *all) {
  free(all->cuts);
  free(all->seconds);
  free(all->timed);
  *all = (struct vkd_pieces){0};
}

// ---- command buffers -----------------------------------------------------------------------------------------------
static enum vkd_status encode_cut(struct vkd_program *p, const struct vkd_tape_entry *e, const struct vkd_cut *c,
                                  VkCommandBuffer cmd, struct vkd_error *err) {
  struct vkd_dispatch d = {.kernel = e->kernel, .spec_count = e->spec_count};
  memcpy(d.spec, e->spec, sizeof d.spec);
  VkPipeline pipeline;
  enum vkd_status st = vkd__pipeline(p->dev, &d, &pipeline, err);
  if (st != VKD_OK) return st;
  uint32_t base[3] = {0}, n[3] = {e->groups[0], e->groups[1], e->groups[2]};
  base[axis_of(e)] = c->base;
  n[axis_of(e)] = c->count;
  vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  if (e->push_size) vkCmdPushConstants(cmd, p->dev->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, e->push_size, e->push);
  if (c->count == e->groups[axis_of(e)])
    vkCmdDispatch(cmd, n[0], n[1], n[2]);
  else
    vkCmdDispatchBase(cmd, base[0], base[1], base[2], n[0], n[1], n[2]);
  return VKD_OK;
}

// After all that was before, and seen by the host if what follows never ends.
static void mark_start(VkCommandBuffer cmd, const struct vkd__host_buffer *marks, uint32_t number) {
  vkd__barrier(cmd, VKD__SHADERS | VKD__COPIES, VKD__COPIES);
  vkCmdFillBuffer(cmd, marks->handle, 0, sizeof number, number);
  vkd__barrier(cmd, VK_ACCESS_TRANSFER_WRITE_BIT, VKD__SHADERS | VK_ACCESS_HOST_READ_BIT);
}

static enum vkd_status end(VkCommandBuffer cmd, struct vkd_error *err) {
  VkResult r = vkEndCommandBuffer(cmd);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "recording a run");
}

enum vkd_status vkd__encode(struct vkd_program *p, const struct vkd_tape *tape, VkCommandBufferUsageFlags usage,
                            VkQueryPool timestamps, uint32_t marks, VkCommandBuffer **out, struct vkd_error *err) {
  const struct vkd_pieces *all = &p->pieces;
  VkCommandBuffer *commands = *out = calloc(all->count, sizeof *commands);
  if (!commands) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %u command buffers", all->count);
  enum vkd_status st = vkd__command_begin(p->dev, &p->dev->compute, &commands[0], usage, err);
  uint32_t piece = 0, mark = 0;
  if (st != VKD_OK) return st;
  if (timestamps) vkCmdResetQueryPool(commands[0], timestamps, 0, marks);
  vkd__barrier(commands[0], VKD__SHADERS | VKD__COPIES, VKD__SHADERS); // runs and copies before this one
  for (uint32_t i = 0; i < all->cut_count && st == VKD_OK; i++) {
    const struct vkd_cut *c = &all->cuts[i];
    const struct vkd_tape_entry *e = &tape->entries[c->entry];
    if (i > 0 && c->begins) {
      if ((st = end(commands[piece], err)) != VKD_OK) return st;
      if ((st = vkd__command_begin(p->dev, &p->dev->compute, &commands[++piece], usage, err)) != VKD_OK) return st;
    }
    bool first = timestamps && (i == 0 || e->node != tape->entries[all->cuts[i - 1].entry].node);
    if ((e->barrier && c->base == 0) || first) vkd__barrier(commands[piece], VKD__SHADERS, VKD__SHADERS);
    if (first) vkCmdWriteTimestamp(commands[piece], VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timestamps, mark++);
    if (p->dev->marks) mark_start(commands[piece], p->dev->marks, i + 1);
    st = encode_cut(p, e, c, commands[piece], err);
  }
  if (st == VKD_OK && timestamps) {
    vkd__barrier(commands[piece], VKD__SHADERS, VKD__SHADERS);
    vkCmdWriteTimestamp(commands[piece], VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timestamps, mark);
  }
  return st == VKD_OK ? end(commands[piece], err) : st;
}

void vkd__encoded_free(struct vkd_program *p, VkCommandBuffer **commands) {
  for (uint32_t i = 0; *commands && i < p->pieces.count; i++)
    vkd__command_free(p->dev, &p->dev->compute, &(*commands)[i]);
  free(*commands);
  *commands = NULL;
}

enum vkd_status vkd__submit_run(struct vkd_program *p, int slot, const VkCommandBuffer *pieces, bool buckets,
                                VkCommandBuffer after, uint64_t *ticket, struct vkd_error *err) {
  struct vkd_pieces *all = &p->pieces;
  VkCommandBuffer commands[4];
  uint32_t n = 0;
  enum vkd_status st = vkd__send_inputs(p, slot, commands, &n, err);
  for (uint32_t i = 0; i < all->count && st == VKD_OK; i++, n = 0) {
    double begin = vkd__seconds();
    commands[n++] = pieces[i];
    if (buckets && p->takes[i]) commands[n++] = p->takes[i];
    if (after && i + 1 == all->count) commands[n++] = after;
    vkd__note_submit(p->dev, p, i, p->dev->compute.submitted + 1);
    st = vkd__submit(p->dev, commands, n, ticket, err);
    if (st == VKD_OK && buckets) vkd__buckets_taken(p, i, *ticket);
    if (!all->runs_left || st != VKD_OK) continue;
    st = vkd__wait(p->dev, &p->dev->compute, *ticket, err);
    all->timed[i] = fmin(all->timed[i], vkd__seconds() - begin);
  }
  if (st == VKD_OK && all->runs_left) all->runs_left--;
  return st;
}
