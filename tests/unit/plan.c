// Plans of random graphs: every tensor still lies where it was put when it is read, live ranges share no bytes, chunks
// keep to the device's limit, and a barrier stands between any two nodes that touch the same bytes.
#include "check.h"
#include "random_graph.h"
#include "record.h"

#include <stdlib.h>
#include <string.h>

enum { GRAPHS = 240, BUFFER = 16384 };

static const struct vkd_device_caps limits = {.name = "fake",
                                              .max_workgroup_invocations = 256,
                                              .max_workgroup_size = {256, 256, 64},
                                              .max_workgroup_count = {65535, 65535, 65535},
                                              .subgroup_size = 32,
                                              .max_shared_bytes = 32768,
                                              .max_push_bytes = 128,
                                              .storage_16bit = true,
                                              .subgroup_arithmetic = true,
                                              .max_allocation = (uint64_t)1 << 40,
                                              .memory_bytes = (uint64_t)1 << 40,
                                              .memory_budget = (uint64_t)1 << 40};
static const struct vkd_form_choice choice = {.caps = &limits};
static struct vkd_device *fake;
static struct vkd_buffer *state;

static const struct vkd_op_info *op_of(const struct vkd_graph *g, uint32_t node) {
  return &vkd__ops[g->nodes[node].op];
}
static bool works(const struct vkd_graph *g, const struct vkd_plan *plan, uint32_t node) {
  return plan->needed[node] && !(op_of(g, node)->flags & (VKD_OP_LEAF | VKD_OP_VIEW));
}

static bool same_space(const struct vkd_place *a, const struct vkd_place *b) {
  return a->space == b->space && a->chunk == b->chunk && a->buffer == b->buffer;
}
static bool share_bytes(const struct vkd_place *a, const struct vkd_place *b) {
  return a->space && same_space(a, b) && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

// Some of the pool is read by the host.
static void choose_outputs(struct random_graph *r) {
  vkd_output(r->g, r->pool[r->pool_count - 1]);
  for (int i = 0; i < 4; i++) vkd_output(r->g, r->pool[rg_below(r, r->pool_count)]);
}

// ---- memory played through with a mark in every half word
// ---------------------------------------------------------------
struct play {
  const struct vkd_graph *g;
  const struct vkd_plan *plan;
  uint64_t *memory; // every space, one behind another
  uint64_t **holds; // per tensor: the marks that it must hold; NULL before it was written
  uint8_t *overrun; // placed tensors whose bound storage was written again: they are that storage, whatever it holds
};

static uint64_t *mark_at(const struct play *p, const struct vkd_place *at) {
  uint64_t base = 0;
  if (at->space == VKD_SPACE_TEMP)
    for (uint32_t i = 0; i < at->chunk; i++) base += p->plan->chunk_bytes[i];
  else
    for (uint32_t i = 0; i < p->plan->chunks; i++) base += p->plan->chunk_bytes[i];
  if (at->space == VKD_SPACE_CONSTANT || at->space == VKD_SPACE_BOUND) base += p->plan->input_bytes;
  if (at->space == VKD_SPACE_BOUND) base += p->plan->constant_bytes;
  return p->memory + (base + at->offset) / 2;
}

static size_t marks_of(const struct vkd_graph *g, vkd_tensor x) { return (size_t)vkd__tensor_bytes(g, x) / 2; }

static vkd_tensor root_of(const struct vkd_graph *g, vkd_tensor x) {
  uint64_t offset;
  return vkd__view_root(g, x, &offset);
}

// A bound tensor, or one that has become its bound storage.
static bool is_storage(const struct play *p, vkd_tensor x) {
  vkd_tensor root = root_of(p->g, x);
  return vkd__info(p->g, root)->kind == VKD_TENSOR_BOUND || p->overrun[root.id];
}

static uint32_t count_wrong(const struct play *p, vkd_tensor x) {
  uint32_t wrong = 0;
  const uint64_t *at = mark_at(p, &p->plan->tensors[x.id]);
  if (is_storage(p, x)) return 0;
  if (!p->holds[x.id]) return UINT32_MAX;
  for (size_t i = 0; i < marks_of(p->g, x); i++) wrong += at[i] != p->holds[x.id][i];
  return wrong;
}

static void fill(const struct play *p, const struct vkd_place *at, uint64_t mark) {
  for (uint64_t i = 0; at->space && i < (at->bytes + 1) / 2; i++) mark_at(p, at)[i] = mark + i;
}

static void overrun(struct play *p, const struct vkd_place *written, vkd_tensor by) {
  for (uint32_t t = 1; t < p->g->tensor_count; t++)
    if (t != by.id && p->g->tensors[t].place.id && share_bytes(&p->plan->tensors[t], written)) p->overrun[t] = 1;
}

static uint64_t *copy_marks(const uint64_t *from, size_t n) {
  uint64_t *marks = malloc(n * sizeof *marks);
  memcpy(marks, from, n * sizeof *marks);
  return marks;
}

// What nothing reads but what its own kernel computes beside it is not stored.
static bool is_hidden(const struct play *p, vkd_tensor x) { return p->plan->hidden[root_of(p->g, x).id]; }

// Results may be written before the last input is read.
static void fill_results(const struct play *p, uint32_t node, uint64_t mark) {
  for (int o = 0; o < p->g->nodes[node].nout; o++) {
    vkd_tensor y = p->g->nodes[node].out[o];
    if (!is_hidden(p, y)) fill(p, &p->plan->tensors[y.id], mark);
  }
}

static void play_node(struct play *p, uint32_t index, uint64_t seed) {
  const struct vkd_node *n = &p->g->nodes[index];
  const struct vkd_place *at = p->plan->tensors;
  uint64_t mark = (uint64_t)(index + 1) << 32, *whole = NULL;
  if (n->op == VKD_OP_concat) { // its parts may lie in place
    whole = malloc(marks_of(p->g, n->out[0]) * sizeof *whole);
    size_t done = 0;
    for (int k = 0; k < n->nin; k++) {
      CHECK(count_wrong(p, n->in[k]) == 0, "seed %llu, node %u (concat): part %d was overwritten",
            (unsigned long long)seed, index, k);
      memcpy(whole + done, mark_at(p, &at[n->in[k].id]), marks_of(p->g, n->in[k]) * sizeof *whole);
      done += marks_of(p->g, n->in[k]);
    }
  } else {
    const struct vkd_fused *beside = &p->plan->fused[index];
    fill(p, &p->plan->scratch[index], mark | 1u << 31);
    fill_results(p, index, mark | 1u << 30);
    if (beside->node) fill_results(p, beside->node, mark | 1u << 29);
    if (beside->cast) fill_results(p, beside->cast, mark | 1u << 28);
    for (int k = 0; k < n->nin; k++)
      CHECK(!n->in[k].id || is_hidden(p, n->in[k]) || count_wrong(p, n->in[k]) == 0,
            "seed %llu, node %u (%s): input %d was overwritten", (unsigned long long)seed, index,
            op_of(p->g, index)->name, k);
    for (int k = 0; k < n->nin; k++)
      for (int o = 0; o < n->nout; o++)
        CHECK(!n->in[k].id || is_hidden(p, n->in[k]) || is_hidden(p, n->out[o]) ||
                  !share_bytes(&at[n->in[k].id], &at[n->out[o].id]),
              "seed %llu, node %u (%s): input %d lies in output %d", (unsigned long long)seed, index,
              op_of(p->g, index)->name, k, o);
  }
  for (int k = 0; k < n->nin; k++)
    if (op_of(p->g, index)->writes >> k & 1) {
      fill(p, &at[n->in[k].id], mark);
      overrun(p, &at[n->in[k].id], (vkd_tensor){0});
    }
  for (int o = 0; o < n->nout; o++) {
    vkd_tensor y = n->out[o];
    if (is_hidden(p, y)) continue;
    CHECK(at[y.id].space != VKD_SPACE_NONE, "seed %llu, node %u (%s): output %d has no place", (unsigned long long)seed,
          index, op_of(p->g, index)->name, o);
    CHECK(at[y.id].space != VKD_SPACE_BOUND || vkd__info(p->g, y)->place.id,
          "seed %llu, node %u (%s): written into a bound tensor early", (unsigned long long)seed, index,
          op_of(p->g, index)->name);
    if (whole)
      memcpy(mark_at(p, &at[y.id]), whole, marks_of(p->g, y) * sizeof *whole);
    else
      fill(p, &at[y.id], mark | (uint64_t)o << 24);
    if (vkd__info(p->g, y)->place.id) overrun(p, &at[y.id], y);
    p->holds[y.id] = copy_marks(mark_at(p, &at[y.id]), marks_of(p->g, y));
  }
  free(whole);
}

// Views hold a part of what their input holds.
static void play_view(struct play *p, const struct vkd_node *n) {
  size_t rows = (size_t)vkd__shape(p->g, n->in[0]).dim[0];
  size_t begin = n->op == VKD_OP_slice ? (size_t)n->p.slice.begin * (marks_of(p->g, n->in[0]) / rows) : 0;
  if (p->holds[n->in[0].id])
    p->holds[n->out[0].id] = copy_marks(p->holds[n->in[0].id] + begin, marks_of(p->g, n->out[0]));
}

static void play(const struct vkd_graph *g, const struct vkd_plan *plan, uint64_t seed) {
  uint64_t marks = (plan->input_bytes + plan->constant_bytes + BUFFER) / 2;
  for (uint32_t i = 0; i < plan->chunks; i++) marks += plan->chunk_bytes[i] / 2;
  struct play p = {g, plan, calloc(marks, sizeof *p.memory), calloc(g->tensor_count, sizeof *p.holds),
                   calloc(g->tensor_count, 1)};
  for (uint32_t t = 1; t < g->tensor_count; t++) {
    if (g->tensors[t].kind == VKD_TENSOR_TEMP || !plan->tensors[t].space) continue;
    fill(&p, &plan->tensors[t], (uint64_t)t << 16);
    p.holds[t] = copy_marks(mark_at(&p, &plan->tensors[t]), marks_of(g, (vkd_tensor){t}));
  }
  for (uint32_t i = 0; i < g->node_count; i++) {
    if (works(g, plan, i))
      play_node(&p, i, seed);
    else if (plan->needed[i] && (op_of(g, i)->flags & VKD_OP_VIEW))
      play_view(&p, &g->nodes[i]);
  }
  for (uint32_t i = 0; i < plan->output_count; i++)
    CHECK(count_wrong(&p, plan->outputs[i].tensor) == 0, "seed %llu: output %u was overwritten",
          (unsigned long long)seed, i);
  for (uint32_t t = 1; t < g->tensor_count; t++) free(p.holds[t]);
  free(p.holds);
  free(p.overrun);
  free(p.memory);
}

// ---- lifetimes and chunks ------------------------------------------------------------------------------------------
static void check_lifetimes(const struct vkd_graph *g, const struct vkd_plan *plan, bool reuse, uint64_t seed) {
  struct vkd_lifetime *lives;
  uint32_t count;
  struct vkd_error err = {0};
  CHECK(vkd__plan_lifetimes(g, &choice, &lives, &count, &err) == VKD_OK, "%s", err.what);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t bytes = lives[i].place.bytes;
    lives[i].place = lives[i].tensor.id ? plan->tensors[lives[i].tensor.id] : plan->scratch[lives[i].first];
    const struct vkd_place *at = &lives[i].place;
    CHECK(at->space == VKD_SPACE_TEMP && at->bytes == bytes && at->offset % 64 == 0 && at->chunk < plan->chunks &&
              at->offset + bytes <= plan->chunk_bytes[at->chunk],
          "seed %llu: %llu bytes at %llu of chunk %u", (unsigned long long)seed, (unsigned long long)bytes,
          (unsigned long long)at->offset, at->chunk);
    for (uint32_t k = 0; k < i; k++)
      if (!reuse || (lives[i].first <= lives[k].last && lives[k].first <= lives[i].last))
        CHECK(!share_bytes(&lives[i].place, &lives[k].place), "seed %llu: lives %u and %u share bytes",
              (unsigned long long)seed, k, i);
  }
  free(lives);
}

static uint64_t total_of(const struct vkd_plan *plan) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < plan->chunks; i++) sum += plan->chunk_bytes[i];
  return sum;
}

static uint64_t largest_of(const struct vkd_plan *plan, const struct vkd_graph *g) {
  uint64_t most = 0;
  for (uint32_t t = 1; t < g->tensor_count; t++)
    if (plan->tensors[t].space == VKD_SPACE_TEMP && plan->tensors[t].bytes > most) most = plan->tensors[t].bytes;
  for (uint32_t i = 0; i < g->node_count; i++)
    if (plan->scratch[i].bytes > most) most = plan->scratch[i].bytes;
  return (most + 63) / 64 * 64;
}

static int many_chunks, saved, regions;

static void test_limits(const struct vkd_graph *g, const struct vkd_plan *whole, uint64_t seed) {
  uint64_t most = largest_of(whole, g);
  struct vkd_plan *plan;
  struct vkd_error err = {0};
  if (!most) return;
  for (int i = 0; i < 2; i++) {
    uint64_t limit = most + (uint64_t)i * 100; // what is not a multiple of the alignment is a limit too
    CHECK(vkd__plan_create(&plan, g, &choice, limit, true, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed,
          err.what);
    if (!plan) return;
    for (uint32_t k = 0; k < plan->chunks; k++)
      CHECK(plan->chunk_bytes[k] <= limit, "seed %llu: chunk %u is too large", (unsigned long long)seed, k);
    many_chunks += plan->chunks > 1;
    check_lifetimes(g, plan, true, seed);
    play(g, plan, seed);
    vkd__plan_destroy(&plan);
  }
  CHECK(vkd__plan_create(&plan, g, &choice, most - 64, true, &err) == VKD_ERR_DEVICE_MEMORY && !plan,
        "seed %llu: a tensor above the limit is taken", (unsigned long long)seed);
  CHECK(strstr(err.what, "MiB") && strstr(err.what, "at once"), "%s", err.what);
}

static void test_storage(uint64_t seed) {
  struct random_graph r;
  struct vkd_plan *plan, *apart;
  struct vkd_error err = {0};
  CHECK(rg_build(&r, seed, 24, 20, false, seed % 3 ? state : NULL, &err) == VKD_OK, "seed %llu: %s",
        (unsigned long long)seed, err.what);
  choose_outputs(&r);
  if (r.state_count) { // a whole whose part could be computed in place, placed itself
    struct vkd_shape s = vkd_tensor_shape(r.g, r.states[3]);
    vkd_tensor part = vkd_gelu(r.g, rg_leaf(&r, s.dim[0], s.dim[1])), before = vkd_silu(r.g, r.states[3]);
    vkd_place(r.g, vkd_concat(r.g, &part, 1), r.states[3]);
    vkd_output(r.g, before);
  }
  CHECK(vkd__plan_create(&plan, r.g, &choice, 1 << 30, true, &err) == VKD_OK &&
            vkd__plan_create(&apart, r.g, &choice, 1 << 30, false, &err) == VKD_OK,
        "seed %llu: %s", (unsigned long long)seed, err.what);
  if (err.status == VKD_OK) {
    check_lifetimes(r.g, plan, true, seed);
    check_lifetimes(r.g, apart, false, seed);
    play(r.g, plan, seed);
    play(r.g, apart, seed);
    CHECK(total_of(plan) <= total_of(apart) && total_of(apart) == plan->temporaries_raw && plan->chunks <= 1,
          "seed %llu: %llu bytes, without reuse %llu, raw %llu", (unsigned long long)seed,
          (unsigned long long)total_of(plan), (unsigned long long)total_of(apart),
          (unsigned long long)plan->temporaries_raw);
    saved += total_of(plan) < total_of(apart);
    test_limits(r.g, plan, seed);
  }
  vkd__plan_destroy(&plan);
  vkd__plan_destroy(&apart);
  vkd_graph_destroy(&r.g);
}

// Gradients of graphs with regions to recompute, whose nodes stand in another order than they were made in.
static void test_regions(uint64_t seed) {
  struct random_graph r;
  struct vkd_plan *plan;
  struct vkd_error err = {0};
  vkd_tensor wrt[RG_LEAVES], grads[RG_LEAVES];
  CHECK(rg_build(&r, seed, 24, 12, true, seed % 3 ? state : NULL, &err) == VKD_OK, "seed %llu: %s",
        (unsigned long long)seed, err.what);
  rg_gradients(&r, rg_loss(&r, 6), (vkd_tensor){0}, wrt, grads);
  for (int reuse = 0; reuse < 2 && !rg_overlaps(&r); reuse++) {
    CHECK(vkd__plan_create(&plan, r.g, &choice, 1 << 30, reuse, &err) == VKD_OK, "seed %llu: %s",
          (unsigned long long)seed, err.what);
    if (!plan) break;
    check_lifetimes(r.g, plan, reuse, seed);
    play(r.g, plan, seed);
    regions += reuse;
    vkd__plan_destroy(&plan);
  }
  vkd_graph_destroy(&r.g);
}

// ---- barriers ------------------------------------------------------------------------------------------------------
enum { RANGES = 3 * (VKD_MAX_IN + VKD_MAX_OUT) + 1 };
struct touched {
  struct vkd_place at[RANGES];
  bool write[RANGES];
  int count;
  uint32_t first, last; // tape entries
  bool any;
};

static void add_touched(struct touched *t, const struct vkd_plan *plan, const struct vkd_node *n) {
  for (int k = 0; k < n->nin; k++) t->at[t->count++] = plan->tensors[n->in[k].id];
  t->write[t->count] = true;
  t->at[t->count++] = plan->tensors[n->out[0].id];
}

static struct touched touched_by(const struct vkd_graph *g, const struct vkd_plan *plan, const struct vkd_tape *tape,
                                 uint32_t node) {
  struct touched t = {.count = 0};
  const struct vkd_node *n = &g->nodes[node];
  for (uint32_t e = 0; e < tape->count; e++) {
    if (tape->entries[e].node != node) continue;
    if (!t.any) t.first = e;
    t.last = e;
    t.any = true;
  }
  if (t.any && plan->fused[node].node) add_touched(&t, plan, &g->nodes[plan->fused[node].node]);
  if (t.any && plan->fused[node].cast) add_touched(&t, plan, &g->nodes[plan->fused[node].cast]);
  uint64_t offset = 0;
  for (int k = 0; k < n->nin; k++) {
    const struct vkd_place *at = &plan->tensors[n->in[k].id], *whole = &plan->tensors[n->out[0].id];
    bool concat = n->op == VKD_OP_concat;
    struct vkd_place part = *whole; // what a concat writes: parts that are not in place already
    part.offset += offset;
    part.bytes = at->bytes;
    offset += at->bytes;
    if (!n->in[k].id || (concat && same_space(at, whole) && at->offset == part.offset)) continue;
    if (concat) {
      t.write[t.count] = true;
      t.at[t.count++] = part;
    }
    t.write[t.count] = op_of(g, node)->writes >> k & 1;
    t.at[t.count++] = *at;
  }
  for (int o = 0; o < n->nout && n->op != VKD_OP_concat; o++) {
    t.write[t.count] = true;
    t.at[t.count++] = plan->tensors[n->out[o].id];
  }
  if (plan->scratch[node].bytes) {
    t.write[t.count] = true;
    t.at[t.count++] = plan->scratch[node];
  }
  return t;
}

static bool conflict(const struct touched *a, const struct touched *b) {
  for (int i = 0; i < a->count; i++)
    for (int k = 0; k < b->count; k++)
      if ((a->write[i] || b->write[k]) && share_bytes(&a->at[i], &b->at[k])) return true;
  return false;
}

static enum vkd_status record(const struct vkd_device_caps *caps, const struct vkd_graph *g,
                              const struct vkd_plan *plan, struct vkd_tape *tape, struct vkd_error *err) {
  uint64_t chunks[64];
  for (uint64_t i = 0; i < 64; i++) chunks[i] = (i + 8) << 50;
  CHECK(plan->chunks <= 64, "%u chunks", plan->chunks);
  return vkd__record(tape, g, plan, caps, &(struct vkd_bases){(uint64_t)1 << 50, (uint64_t)2 << 50, chunks}, err);
}

static uint32_t pairs_seen;

// Between the dispatches of two nodes that touch the same bytes, one of them writing, stands a barrier.
static void test_barriers(uint64_t seed, bool cpu_lanes) {
  struct random_graph r;
  struct vkd_plan *plan;
  struct vkd_tape tape = {0};
  struct vkd_error err = {0};
  // Many rows: sums take two passes through scratch.
  CHECK(rg_build(&r, seed, 24, seed % 4 ? 20 : 3000, false, seed % 3 ? state : NULL, &err) == VKD_OK, "seed %llu: %s",
        (unsigned long long)seed, err.what);
  choose_outputs(&r);
  // Forms for a CPU's lanes write panels into scratch before they multiply.
  struct vkd_device_caps caps = limits;
  caps.cpu_lanes = cpu_lanes;
  CHECK(vkd__plan_create(&plan, r.g, &(struct vkd_form_choice){.caps = &caps}, 1 << 30, seed % 5 != 0, &err) == VKD_OK,
        "%s", err.what);
  if (plan) CHECK(record(&caps, r.g, plan, &tape, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  struct touched *t = calloc(r.g->node_count, sizeof *t);
  uint32_t *barriers = calloc(tape.count + 1, sizeof *barriers); // before entry e and at it
  for (uint32_t e = 0; e < tape.count; e++) barriers[e] = (e ? barriers[e - 1] : 0) + tape.entries[e].barrier;
  for (uint32_t i = 0; i < r.g->node_count && plan; i++) {
    if (!works(r.g, plan, i)) continue;
    t[i] = touched_by(r.g, plan, &tape, i);
    for (uint32_t k = 0; k < i && t[i].any; k++) {
      if (!t[k].any || !conflict(&t[k], &t[i])) continue;
      pairs_seen++;
      CHECK(t[k].last < t[i].first && barriers[t[i].last] > barriers[t[k].first],
            "seed %llu: no barrier between nodes %u (%s) and %u (%s)", (unsigned long long)seed, k, op_of(r.g, k)->name,
            i, op_of(r.g, i)->name);
    }
  }
  CHECK(!tape.count || barriers[tape.count - 1] == tape.barriers, "%u barriers, %u counted", barriers[tape.count - 1],
        tape.barriers);
  free(t);
  free(barriers);
  vkd__tape_free(&tape);
  vkd__plan_destroy(&plan);
  vkd_graph_destroy(&r.g);
}

// Graphs of single dispatches whose barriers can be told by hand: want[i] is '|' where one stands before dispatch i,
// else '.'.
static void expect_barriers(const char *what, struct vkd_graph *g, const char *want) {
  struct vkd_plan *plan;
  struct vkd_tape tape = {0};
  struct vkd_error err = {0};
  char got[32] = "";
  CHECK(vkd__plan_create(&plan, g, &choice, 1 << 30, false, &err) == VKD_OK &&
            record(&limits, g, plan, &tape, &err) == VKD_OK,
        "%s: %s", what, err.what);
  for (uint32_t e = 0; e < tape.count && e < sizeof got - 1; e++) got[e] = tape.entries[e].barrier ? '|' : '.';
  CHECK(strcmp(got, want) == 0, "%s: barriers %s, not %s", what, got, want);
  vkd__tape_free(&tape);
  vkd__plan_destroy(&plan);
  vkd_graph_destroy(&g);
}

static struct vkd_graph *new_graph(vkd_tensor x[4], vkd_tensor s[2]) {
  struct vkd_graph *g;
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  for (int i = 0; i < 4; i++) x[i] = vkd_input(g, "x", VKD_F32, VKD_SHAPE(16, 8));
  for (int i = 0; i < 2; i++) s[i] = vkd_bound(g, "s", VKD_F32, VKD_SHAPE(16, 8), state, (uint64_t)i * 512);
  return g;
}

// A product and a sum of it that is placed where the product reads, or where it does not.
static struct vkd_graph *placed_sum(bool over_a) {
  vkd_tensor x[4], s[2], none = {0};
  struct vkd_graph *g = new_graph(x, s);
  vkd_tensor w = vkd_input(g, "w", VKD_F32, VKD_SHAPE(8, 8));
  vkd_tensor a = over_a ? s[0] : x[1];
  vkd_place(g, vkd_add(g, vkd_matmul(g, a, w, false, false, none, none), x[0]), s[0]);
  return g;
}

static void test_known_barriers(void) {
  vkd_tensor x[4], s[2];
  expect_barriers("a sum over what its product reads", placed_sum(true), ".|");
  expect_barriers("a sum elsewhere is the product's kernel's", placed_sum(false), ".");
  struct vkd_graph *g = new_graph(x, s);
  for (int i = 0; i < 4; i++) vkd_output(g, vkd_gelu(g, x[i]));
  expect_barriers("nothing shared", g, "....");
  g = new_graph(x, s);
  for (int i = 0; i < 4; i++) vkd_output(g, vkd_add(g, x[0], x[i]));
  expect_barriers("reads alone", g, "....");
  g = new_graph(x, s);
  vkd_output(g, vkd_gelu(g, vkd_gelu(g, vkd_gelu(g, x[0]))));
  expect_barriers("read after write", g, ".||");
  g = new_graph(x, s);
  vkd_output(g, vkd_gelu(g, s[0]));
  vkd_assign(g, s[0], x[0]);
  expect_barriers("write after read", g, ".|");
  g = new_graph(x, s);
  vkd_assign(g, s[0], x[0]);
  vkd_assign(g, s[1], x[1]);
  vkd_zero(g, s[0]);
  vkd_zero(g, s[1]);
  expect_barriers("write after write; one barrier serves both", g, "..|.");
  g = new_graph(x, s);
  vkd_tensor y = vkd_gelu(g, x[0]);
  vkd_assign(g, vkd_bound(g, "half", VKD_F32, VKD_SHAPE(8, 8), state, 256), vkd_slice(g, x[1], 0, 8));
  vkd_output(g, vkd_slice(g, s[0], 0, 8)); // no dispatch of its own
  vkd_output(g, vkd_gelu(g, vkd_slice(g, s[0], 0, 8)));
  vkd_output(g, vkd_gelu(g, vkd_slice(g, s[0], 7, 2)));
  vkd_output(g, vkd_gelu(g, y));
  expect_barriers("halves of one buffer", g, "...|.");
  g = new_graph(x, s);
  vkd_output(g, vkd_gelu(g, vkd_concat(g, x, 3)));
  expect_barriers("parts of a whole", g, "...|");
}

// ---- what is left out ----------------------------------------------------------------------------------------------
static void test_needed(void) {
  vkd_tensor x[4], s[2];
  struct vkd_graph *g = new_graph(x, s);
  struct vkd_plan_info info;
  struct vkd_error err = {0};
  const struct vkd_program_params params = {.device = fake, .graph = g};
  vkd_tensor dead = vkd_gelu(g, x[0]);
  for (int i = 0; i < 5; i++) dead = vkd_add(g, dead, x[1]);
  CHECK(vkd_plan_query(&params, &info, &err) == VKD_OK && info.nodes == 0 && info.dispatches == 0 &&
            info.temporaries == 0,
        "a graph without outputs runs %u nodes", info.nodes);
  CHECK(info.inputs == 4 * 512 && info.bound == BUFFER, "inputs %llu, bound %llu", (unsigned long long)info.inputs,
        (unsigned long long)info.bound);
  vkd_output(g, vkd_silu(g, x[2]));
  vkd_place(g, vkd_silu(g, x[3]), s[0]);
  vkd_accumulate(g, s[1], vkd_gelu(g, x[0]));
  CHECK(vkd_plan_query(&params, &info, &err) == VKD_OK && info.nodes == 4,
        "an output, a placed tensor and a write run %u nodes, not 4", info.nodes);
  CHECK(info.outputs == 512, "outputs %llu", (unsigned long long)info.outputs);
  vkd_output(g, dead);
  CHECK(vkd_plan_query(&params, &info, &err) == VKD_OK && info.nodes == 10, "%u nodes, not 10", info.nodes);
  struct vkd_program *program;
  CHECK(vkd_program_create(&program, &params, &err) == VKD_ERR_UNSUPPORTED && !program && strstr(err.what, "fake"),
        "a fake device runs: %s", err.what);
  vkd_graph_destroy(&g);
}

static void test_graph_errors(void) {
  vkd_tensor x[4], s[2];
  struct vkd_graph *g = new_graph(x, s);
  struct vkd_plan_info info;
  struct vkd_error err = {0};
  vkd_add(g, x[0], vkd_slice(g, x[1], 0, 3));
  CHECK(vkd_plan_query(&(struct vkd_program_params){.device = fake, .graph = g}, &info, &err) == VKD_ERR_SHAPE,
        "a graph with a mistake is planned");
  vkd_graph_destroy(&g);
}

int main(void) {
  struct vkd_error err = {0};
  CHECK(vkd_device_create(&fake, &(struct vkd_device_params){.fake = &limits}, &err) == VKD_OK, "%s", err.what);
  CHECK(fake && vkd_buffer_create(&state, fake, BUFFER, &err) == VKD_OK, "%s", err.what);
  if (check_failed) return check_done();
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_storage(seed);
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_barriers(seed, seed % 2);
  rg_regions = true;
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_regions(seed);
  // A property that no graph exercises is not tested.
  CHECK(many_chunks > GRAPHS / 10 && saved > GRAPHS / 2 && pairs_seen > 1000 && regions > GRAPHS / 2,
        "%d plans of several chunks, %d smaller by reuse, %u pairs, %d with regions", many_chunks, saved, pairs_seen,
        regions);
  test_known_barriers();
  test_needed();
  test_graph_errors();
  vkd_buffer_destroy(&state);
  vkd_device_destroy(&fake);
  return check_done();
}
