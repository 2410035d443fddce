#include "vkd/profile.h"

#include <stdlib.h>

#include "exec_internal.h"

enum vkd_status vkd_graph_profile(const struct vkd_graph *g, struct vkd_op_profile **rows, uint32_t *count,
                                  struct vkd_error *err) {
  *count = 0;
  *rows = calloc(g->node_count + 1, sizeof **rows);
  uint8_t *needed = calloc(g->node_count + 1, 1);
  if (!*rows || !needed) {
    free(*rows);
    free(needed);
    *rows = NULL;
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile of %u nodes", g->node_count);
  }
  vkd__graph_needed(g, needed);
  for (uint32_t i = 0; i < g->node_count; i++) {
    const struct vkd_node *n = &g->nodes[i];
    const struct vkd_op_info *op = &vkd__ops[n->op];
    if (!needed[i] || (op->flags & (VKD_OP_LEAF | VKD_OP_VIEW))) continue;
    const struct vkd_tensor_info *out = vkd__info(g, n->nout ? n->out[0] : n->in[0]);
    struct vkd_op_profile *row = &(*rows)[(*count)++];
    *row = (struct vkd_op_profile){.op = op->name,
                                   .label = n->label,
                                   .flops = op->flops(g, n),
                                   .bytes = op->bytes(g, n),
                                   .dtype = out->dtype,
                                   .shape = out->shape};
    for (int k = 0; k < 2 && k < n->nin; k++) row->in[k] = vkd__info(g, n->in[k])->shape;
  }
  free(needed);
  return VKD_OK;
}

double vkd_graph_flops(const struct vkd_graph *g) {
  struct vkd_op_profile *rows;
  uint32_t count;
  double flops = 0;
  if (vkd_graph_profile(g, &rows, &count, NULL) != VKD_OK) return -1;
  for (uint32_t i = 0; i < count; i++) flops += rows[i].flops;
  free(rows);
  return flops;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// One run with timestamps: ticks [mark_count].  host: its times there.
static enum vkd_status timed_run(struct vkd_program *p, const VkCommandBuffer *pieces, VkQueryPool pool,
                                 uint32_t mark_count, uint64_t *ticks, struct vkd_profile_run *host,
                                 struct vkd_error *err) {
  uint64_t ticket;
  host->begin = vkd__seconds();
  enum vkd_status st = vkd__submit_run(p, 0, pieces, false, VK_NULL_HANDLE, &ticket, err);
  host->submitted = vkd__seconds();
  if (st == VKD_OK) st = vkd__wait(p->dev, &p->dev->compute, ticket, err);
  host->done = vkd__seconds();
  if (st != VKD_OK) return st;
  VkResult r = vkGetQueryPoolResults(p->dev->handle, pool, 0, mark_count, mark_count * sizeof *ticks, ticks,
                                     sizeof *ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "reading timestamps");
}

static void free_runs(struct vkd_profile_run *timed, int runs) {
  for (int i = 0; i < runs; i++) {
    free(timed[i].ns);
    timed[i].ns = NULL;
  }
}

static enum vkd_status alloc_runs(struct vkd_profile_run *timed, int runs, uint32_t rows, struct vkd_error *err) {
  bool failed = false;
  for (int i = 0; i < runs; i++) {
    timed[i] = (struct vkd_profile_run){.ns = calloc((size_t)rows + 1, sizeof *timed[i].ns)};
    failed |= !timed[i].ns;
  }
  return failed ? vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile of %u nodes", rows) : VKD_OK;
}

// A warm-up, then the timed runs.
static enum vkd_status time_runs(struct vkd_program *p, const VkCommandBuffer *pieces, VkQueryPool pool, int runs,
                                 struct vkd_profile_run *timed, struct vkd_op_profile *rows, uint32_t count,
                                 uint32_t marks, uint64_t *ticks, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  struct vkd_profile_run first;
  for (int run = -1; run < runs && st == VKD_OK; run++) {
    st = timed_run(p, pieces, pool, marks, ticks, run < 0 ? &first : &timed[run], err);
    for (uint32_t row = 0, mark = 0; st == VKD_OK && row < count; row++) {
      if (!rows[row].dispatches) continue;
      double ns = (double)vkd__ticks_between(&p->dev->caps, ticks[mark], ticks[mark + 1]) * p->dev->caps.timestamp_ns;
      *(run < 0 ? &rows[row].first_ns : &timed[run].ns[row]) = ns;
      mark++;
    }
  }
  return st;
}

static enum vkd_status take_medians(const struct vkd_profile_run *timed, int runs, struct vkd_op_profile *rows,
                                    uint32_t count, struct vkd_error *err) {
  if (runs < 1) return VKD_OK;
  double *times = calloc((size_t)runs, sizeof *times);
  if (!times) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d runs", runs);
  for (uint32_t row = 0; row < count; row++) {
    for (int run = 0; run < runs; run++) times[run] = timed[run].ns[row];
    qsort(times, (size_t)runs, sizeof *times, by_value);
    rows[row].ns = times[runs / 2];
  }
  free(times);
  return VKD_OK;
}

// Rows and marks run over the same nodes, save those that needed no dispatch.  Returns how many did.
static uint32_t count_dispatches(const struct vkd_program *p, uint32_t *dispatches, struct vkd_op_profile *rows) {
  const struct vkd_tape *tape = &p->regions[0].tape;
  uint32_t used = 0;
  for (uint32_t i = 0; i < tape->count; i++) dispatches[tape->entries[i].node]++;
  for (uint32_t i = 0, row = 0; i < p->graph->node_count; i++) {
    if (!p->plan->needed[i] || (vkd__ops[p->graph->nodes[i].op].flags & (VKD_OP_LEAF | VKD_OP_VIEW))) continue;
    rows[row++].dispatches = dispatches[i];
    used += dispatches[i] > 0;
  }
  return used;
}

enum vkd_status vkd_program_profile_runs(struct vkd_program *p, int runs, struct vkd_profile_run *timed,
                                         struct vkd_op_profile **rows, uint32_t *count, struct vkd_error *err) {
  if (p->dev->caps.timestamp_ns <= 0)
    return vkd_fail(err, VKD_ERR_UNSUPPORTED, "%s has no timestamps", p->dev->caps.name);
  enum vkd_status st = vkd__program_settle(p, err);
  if (st == VKD_OK) st = vkd_graph_profile(p->graph, rows, count, err);
  if (st != VKD_OK) return st;
  VkQueryPool pool = VK_NULL_HANDLE;
  VkCommandBuffer *pieces = NULL;
  VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                .queryCount = *count + 1};
  uint64_t *ticks = calloc(*count + 1, sizeof *ticks);
  uint32_t *dispatches = calloc(p->graph->node_count + 1, sizeof *dispatches);
  st = alloc_runs(timed, runs, *count, err);
  if (st == VKD_OK && (!ticks || !dispatches)) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile");
  if (st != VKD_OK) goto done;
  uint32_t used = count_dispatches(p, dispatches, *rows);
  VkResult r = vkCreateQueryPool(p->dev->handle, &info, NULL, &pool);
  if (r != VK_SUCCESS) {
    st = vkd__vk_fail(err, r, "timestamps for %u ops", *count);
    goto done;
  }
  st = vkd__encode(p, &p->regions[0].tape, 0, pool, *count + 1, &pieces, err);
  if (st == VKD_OK) st = time_runs(p, pieces, pool, runs, timed, *rows, *count, used + 1, ticks, err);
  if (st == VKD_OK) st = take_medians(timed, runs, *rows, *count, err);
done:
  vkd__encoded_free(p, &pieces);
  vkDestroyQueryPool(p->dev->handle, pool, NULL);
  free(ticks);
  free(dispatches);
  if (st != VKD_OK) {
    free_runs(timed, runs);
    free(*rows);
    *rows = NULL;
    *count = 0;
  }
  return st;
}

enum vkd_status vkd_program_profile(struct vkd_program *p, int runs, struct vkd_op_profile **rows, uint32_t *count,
                                    struct vkd_error *err) {
  struct vkd_profile_run *timed = calloc((size_t)runs + 1, sizeof *timed);
  if (!timed) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d runs", runs);
  enum vkd_status st = vkd_program_profile_runs(p, runs, timed, rows, count, err);
  free_runs(timed, runs);
  free(timed);
  return st;
}
