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
    (*rows)[(*count)++] =
        (struct vkd_op_profile){.op = op->name, .label = n->label, .flops = op->flops(g, n), .bytes = op->bytes(g, n)};
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

// One run with timestamps; marks[k] = nanoseconds at mark k.
static enum vkd_status timed_run(struct vkd_program *p, const VkCommandBuffer *pieces, VkQueryPool pool,
                                 uint32_t mark_count, uint64_t *ticks, struct vkd_error *err) {
  uint64_t ticket;
  enum vkd_status st = vkd__submit_run(p, 0, pieces, VK_NULL_HANDLE, &ticket, err);
  if (st == VKD_OK) st = vkd__wait(p->dev, &p->dev->compute, ticket, err);
  if (st != VKD_OK) return st;
  VkResult r = vkGetQueryPoolResults(p->dev->handle, pool, 0, mark_count, mark_count * sizeof *ticks, ticks,
                                     sizeof *ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
  return r == VK_SUCCESS ? VKD_OK : vkd__vk_fail(err, r, "reading timestamps");
}

enum vkd_status vkd_program_profile(struct vkd_program *p, int runs, struct vkd_op_profile **rows, uint32_t *count,
                                    struct vkd_error *err) {
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
  double *times = calloc((size_t)*count * (size_t)runs + 1, sizeof *times);
  uint32_t *dispatches = calloc(p->graph->node_count + 1, sizeof *dispatches), used = 0;
  if (!ticks || !times || !dispatches) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a profile");
    goto done;
  }
  // Rows and marks run over the same nodes, save those that needed no dispatch.
  const struct vkd_tape *tape = &p->regions[0].tape;
  for (uint32_t i = 0; i < tape->count; i++) dispatches[tape->entries[i].node]++;
  for (uint32_t i = 0, row = 0; i < p->graph->node_count; i++) {
    if (!p->plan->needed[i] || (vkd__ops[p->graph->nodes[i].op].flags & (VKD_OP_LEAF | VKD_OP_VIEW))) continue;
    (*rows)[row++].dispatches = dispatches[i];
    used += dispatches[i] > 0;
  }
  VkResult r = vkCreateQueryPool(p->dev->handle, &info, NULL, &pool);
  if (r != VK_SUCCESS) {
    st = vkd__vk_fail(err, r, "timestamps for %u ops", *count);
    goto done;
  }
  if ((st = vkd__encode(p, tape, 0, pool, *count + 1, &pieces, err)) != VKD_OK) goto done;
  for (int run = -1; run < runs && st == VKD_OK; run++) { // run -1 warms up
    st = timed_run(p, pieces, pool, used + 1, ticks, err);
    for (uint32_t row = 0, mark = 0; st == VKD_OK && row < *count; row++) {
      if (!(*rows)[row].dispatches) continue;
      double ns = (double)vkd__ticks_between(&p->dev->caps, ticks[mark], ticks[mark + 1]) * p->dev->caps.timestamp_ns;
      *(run < 0 ? &(*rows)[row].first_ns : &times[row * (uint32_t)runs + (uint32_t)run]) = ns;
      mark++;
    }
  }
  for (uint32_t row = 0; row < *count && st == VKD_OK && runs > 0; row++) {
    qsort(times + row * (uint32_t)runs, (size_t)runs, sizeof *times, by_value);
    (*rows)[row].ns = times[row * (uint32_t)runs + (uint32_t)runs / 2];
  }
done:
  vkd__encoded_free(p, &pieces);
  vkDestroyQueryPool(p->dev->handle, pool, NULL);
  free(ticks);
  free(times);
  free(dispatches);
  if (st != VKD_OK) {
    free(*rows);
    *rows = NULL;
    *count = 0;
  }
  return st;
}
