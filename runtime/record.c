#include "record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "ref.h"

struct range {
  uint64_t begin, end; // device addresses
  bool write;
};

struct vkd_lower {
  const struct vkd_graph *graph;
  const struct vkd_plan *plan;
  const struct vkd_device_caps *caps;
  const struct vkd_bases *bases;
  struct vkd_tape *tape;
  uint32_t node;
  struct range next[16]; // what the next dispatch touches
  uint32_t next_count;
  struct range *open; // touched since the last barrier
  uint32_t open_count, open_cap;
  bool sync_all; // VKD_SYNC=full
  struct vkd_error error;
};

const struct vkd_graph *vkd__lower_graph(const struct vkd_lower *l) { return l->graph; }
const struct vkd_device_caps *vkd__lower_caps(const struct vkd_lower *l) { return l->caps; }

static uint64_t address_of(const struct vkd_lower *l, const struct vkd_place *p) {
  switch (p->space) {
  case VKD_SPACE_TEMP:
    return l->bases->chunks[p->chunk] + p->offset;
  case VKD_SPACE_INPUT:
    return l->bases->input + p->offset;
  case VKD_SPACE_CONSTANT:
    return l->bases->constant + p->offset;
  case VKD_SPACE_BOUND:
    return p->buffer->address + p->offset;
  default:
    return 0;
  }
}

static uint64_t note(struct vkd_lower *l, uint64_t address, uint64_t bytes, bool write) {
  if (l->next_count < sizeof l->next / sizeof l->next[0])
    l->next[l->next_count++] = (struct range){address, address + bytes, write};
  else
    vkd_fail(&l->error, VKD_ERR_INTERNAL, "a dispatch touches more than %zu ranges",
             sizeof l->next / sizeof l->next[0]);
  return address;
}

static uint64_t operand(struct vkd_lower *l, vkd_tensor x, bool write) {
  if (!x.id) return 0;
  const struct vkd_place *p = &l->plan->tensors[x.id];
  if (p->space == VKD_SPACE_NONE) // an output that nothing reads still needs somewhere to go
    vkd_fail(&l->error, VKD_ERR_INTERNAL, "%s: an operand was not planned", vkd__ops[l->graph->nodes[l->node].op].name);
  return note(l, address_of(l, p), p->bytes, write);
}

uint64_t vkd__read(struct vkd_lower *l, vkd_tensor x) { return operand(l, x, false); }
uint64_t vkd__write(struct vkd_lower *l, vkd_tensor x) { return l->plan->hidden[x.id] ? 0 : operand(l, x, true); }

uint64_t vkd__write_part(struct vkd_lower *l, vkd_tensor x, uint64_t offset, uint64_t bytes) {
  const struct vkd_place *p = &l->plan->tensors[x.id];
  if (p->space == VKD_SPACE_NONE || offset > p->bytes || bytes > p->bytes - offset)
    vkd_fail(&l->error, VKD_ERR_INTERNAL, "%s: writes past its result", vkd__ops[l->graph->nodes[l->node].op].name);
  return note(l, address_of(l, p) + offset, bytes, true);
}

uint64_t vkd__scratch(struct vkd_lower *l, uint64_t offset, uint64_t bytes, bool write) {
  const struct vkd_place *p = &l->plan->scratch[l->node];
  if (p->space != VKD_SPACE_TEMP || offset > p->bytes || bytes > p->bytes - offset)
    vkd_fail(&l->error, VKD_ERR_INTERNAL, "%s uses more scratch than it asked for",
             vkd__ops[l->graph->nodes[l->node].op].name);
  return note(l, address_of(l, p) + offset, bytes, write);
}

bool vkd__placed_in(const struct vkd_lower *l, vkd_tensor part, vkd_tensor whole, uint64_t byte_offset) {
  const struct vkd_place *p = &l->plan->tensors[part.id], *w = &l->plan->tensors[whole.id];
  return p->space == w->space && address_of(l, p) == address_of(l, w) + byte_offset;
}

struct vkd_fused vkd__lower_fused(const struct vkd_lower *l) {
  return l->plan->fused[l->node];
}

uint64_t vkd__write_rounded(struct vkd_lower *l) {
  uint32_t cast = l->plan->fused[l->node].cast;
  return cast ? vkd__write(l, l->graph->nodes[cast].out[0]) : 0;
}

uint32_t vkd__round_to(const struct vkd_lower *l) {
  uint32_t cast = l->plan->fused[l->node].cast;
  if (!cast) return 0;
  return (l->graph->nodes[cast].p.cast.dtype == VKD_F16 ? ROUND_F16 : ROUND_BF16) |
         (l->plan->fused[l->node].narrow ? ROUND_ALONE : 0);
}

void vkd__lower_form(struct vkd_lower *l, const struct vkd_node *node) { l->plan->forms[l->node]->lower(l, node); }

// Read after write, write after read, write after write since the last barrier.
static bool conflicts(const struct vkd_lower *l) {
  for (uint32_t i = 0; i < l->next_count; i++)
    for (uint32_t k = 0; k < l->open_count; k++) {
      const struct range *a = &l->next[i], *b = &l->open[k];
      if ((a->write || b->write) && a->begin < b->end && b->begin < a->end) return true;
    }
  return false;
}

static bool keep_open(struct vkd_lower *l) {
  if (l->open_count + l->next_count > l->open_cap) {
    uint32_t cap = l->open_cap ? l->open_cap * 2 : 256;
    struct range *bigger = realloc(l->open, cap * sizeof *bigger);
    if (!bigger) return false;
    l->open = bigger;
    l->open_cap = cap;
  }
  memcpy(l->open + l->open_count, l->next, l->next_count * sizeof *l->next);
  l->open_count += l->next_count;
  return true;
}

// The next dispatch is the last one so far that touches them.
static void note_buckets(const struct vkd_lower *l) {
  for (uint32_t i = 0; i < l->tape->bucket_count; i++) {
    struct vkd__bucket *b = &l->tape->buckets[i];
    uint64_t begin = b->range.buffer->address + b->range.offset, end = begin + b->range.bytes;
    for (uint32_t k = 0; k < l->next_count; k++)
      if (l->next[k].begin < end && begin < l->next[k].end) b->last = l->tape->count;
  }
}

static bool fold_groups(const struct vkd_lower *l, const struct vkd_dispatch *d, uint32_t groups[3]) {
  uint64_t g[3] = {d->groups[0] ? d->groups[0] : 1, d->groups[1] ? d->groups[1] : 1, d->groups[2] ? d->groups[2] : 1};
  const uint32_t *max = l->caps->max_workgroup_count;
  if (g[0] > max[0] && g[1] == 1) {
    uint64_t wide = max[0] < 32768 ? max[0] : 32768;
    g[1] = vkd__groups(g[0], wide);
    g[0] = wide;
  }
  for (int i = 0; i < 3; i++) {
    if (g[i] > max[i]) return false;
    groups[i] = (uint32_t)g[i];
  }
  return true;
}

// Whether the device can run it at all.
static bool within_limits(struct vkd_lower *l, const struct vkd_dispatch *d, const char *op) {
  const struct vkd_device_caps *caps = l->caps;
  const char *kernel = vkd_kernel_blobs[d->kernel].name, *unusable = vkd__kernel_unusable(caps, d->kernel);
  if (d->push_size > caps->max_push_bytes)
    vkd_fail(&l->error, VKD_ERR_UNSUPPORTED, "%s: kernel %s takes %u bytes of push constants, %s has %u", op, kernel,
             d->push_size, caps->name, caps->max_push_bytes);
  else if (d->spec_count && d->spec[0] > vkd__max_lanes(caps))
    vkd_fail(&l->error, VKD_ERR_UNSUPPORTED, "%s: kernel %s takes workgroups of %u lanes, %s has %u", op, kernel,
             d->spec[0], caps->name, vkd__max_lanes(caps));
  else if (unusable)
    vkd_fail(&l->error, VKD_ERR_UNSUPPORTED, "%s: kernel %s: %s", op, kernel, unusable);
  return l->error.status == VKD_OK;
}

void vkd__dispatch(struct vkd_lower *l, const struct vkd_dispatch *d) {
  const char *op = vkd__ops[l->graph->nodes[l->node].op].name;
  struct vkd_tape *tape = l->tape;
  struct vkd_tape_entry e = {
      .kernel = d->kernel, .node = l->node, .push_size = (uint8_t)d->push_size, .spec_count = (uint8_t)d->spec_count};
  if (l->error.status != VKD_OK) return;
  if (d->push_size > sizeof e.push || d->spec_count > VKD_MAX_SPEC) {
    vkd_fail(&l->error, VKD_ERR_INTERNAL, "%s: %u bytes of push constants, %u specialisation constants", op,
             d->push_size, d->spec_count);
    return;
  }
  if (!within_limits(l, d, op)) return;
  if (!fold_groups(l, d, e.groups)) {
    vkd_fail(&l->error, VKD_ERR_UNSUPPORTED, "%s needs %llu x %llu x %llu workgroups, more than %s takes", op,
             (unsigned long long)d->groups[0], (unsigned long long)d->groups[1], (unsigned long long)d->groups[2],
             l->caps->name);
    return;
  }
  memcpy(e.push, d->push, d->push_size);
  memcpy(e.spec, d->spec, d->spec_count * sizeof d->spec[0]);
  e.barrier = l->sync_all || conflicts(l);
  if (e.barrier) {
    l->open_count = 0;
    tape->barriers++;
  }
  if (tape->count == tape->cap) {
    uint32_t cap = tape->cap ? tape->cap * 2 : 256;
    struct vkd_tape_entry *bigger = realloc(tape->entries, cap * sizeof *bigger);
    if (bigger) tape->entries = bigger, tape->cap = cap;
  }
  if (tape->count == tape->cap || !keep_open(l)) {
    vkd_fail(&l->error, VKD_ERR_HOST_MEMORY, "no memory for %u dispatches", tape->count + 1);
    return;
  }
  note_buckets(l);
  l->next_count = 0;
  tape->entries[tape->count++] = e;
}

uint32_t vkd__wg_items(const struct vkd_lower *l) {
  uint32_t want = l->caps->kind == VKD_DEVICE_SOFTWARE ? 64 : 256;
  return want < vkd__max_lanes(l->caps) ? want : vkd__max_lanes(l->caps);
}

uint32_t vkd__wg_row(const struct vkd_lower *l, int64_t row_length) {
  // A software driver runs lanes of a subgroup at once, and subgroups one after another.
  uint32_t lanes = l->caps->subgroup_size ? l->caps->subgroup_size : 32;
  if (l->caps->kind == VKD_DEVICE_SOFTWARE) return lanes;
  while (lanes < 256 && lanes * 4 < row_length && lanes * 2 <= vkd__max_lanes(l->caps)) lanes *= 2;
  return lanes;
}

// Dispatches between two barriers may run in any order: in the opposite one, results that change tell of a dispatch
// that touches what it did not name.  Drivers that run one dispatch at a time show no such mistake by themselves, and
// validation layers see nothing of what is reached through addresses.
static void reverse_between_barriers(struct vkd_tape *tape) {
  for (uint32_t begin = 0, end; begin < tape->count; begin = end) {
    bool barrier = tape->entries[begin].barrier;
    for (end = begin + 1; end < tape->count && !tape->entries[end].barrier; end++) {
    }
    tape->entries[begin].barrier = false;
    for (uint32_t i = begin, k = end - 1; i < k; i++, k--) {
      struct vkd_tape_entry e = tape->entries[i];
      tape->entries[i] = tape->entries[k];
      tape->entries[k] = e;
    }
    tape->entries[begin].barrier = barrier;
    for (uint32_t i = 0; i < tape->bucket_count; i++)
      if (tape->buckets[i].last >= begin && tape->buckets[i].last < end) tape->buckets[i].last = end - 1;
  }
}

enum vkd_status vkd__record(struct vkd_tape *tape, const struct vkd_graph *g, const struct vkd_plan *plan,
                            const struct vkd_device_caps *caps, const struct vkd_bases *bases, struct vkd_error *err) {
  const char *sync = getenv("VKD_SYNC");
  struct vkd_lower l = {.graph = g, .plan = plan, .caps = caps, .bases = bases, .tape = tape};
  l.sync_all = sync && strcmp(sync, "full") == 0;
  for (uint32_t i = 0; i < g->node_count && l.error.status == VKD_OK; i++) {
    const struct vkd_op_info *op = &vkd__ops[g->nodes[i].op];
    if (!plan->needed[i] || plan->done[i] || (op->flags & (VKD_OP_LEAF | VKD_OP_VIEW))) continue;
    l.node = i;
    l.next_count = 0;
    op->lower(&l, &g->nodes[i]);
  }
  free(l.open);
  if (sync && strcmp(sync, "reverse") == 0) reverse_between_barriers(tape);
  return l.error.status == VKD_OK ? VKD_OK : vkd_fail(err, l.error.status, "%s", l.error.what);
}

enum vkd_status vkd__record_dry(struct vkd_tape *tape, const struct vkd_graph *g, const struct vkd_plan *plan,
                                const struct vkd_device_caps *caps, struct vkd_error *err) {
  uint64_t *chunks = calloc(plan->chunks + 1, sizeof *chunks);
  if (!chunks) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan");
  for (uint32_t i = 0; i < plan->chunks; i++) chunks[i] = (uint64_t)(i + 3) << 50;
  struct vkd_bases bases = {.input = (uint64_t)1 << 50, .constant = (uint64_t)2 << 50, .chunks = chunks};
  enum vkd_status st = vkd__record(tape, g, plan, caps, &bases, err);
  free(chunks);
  return st;
}

void vkd__tape_free(struct vkd_tape *tape) {
  free(tape->entries);
  *tape = (struct vkd_tape){0};
}
