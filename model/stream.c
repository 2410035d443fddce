#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "vkd/profile.h"
#include "vkd/upload.h"
#include "vkdm/clock.h"

enum { SLOTS = 2, ALIGN = 64, PIECE = 1 << 20, NONE = -1 };

// A parameter of a block: row `block 0's row`, whose value in block i is that of row `row + i * stride`.
struct part {
  int row, stride;
  uint64_t offset; // in a slot
};

struct slot {
  struct vkd_upload *upload;
  struct vkd_graph *graph;
  struct vkd_program *program;
  int block; // whose weights it holds
};

struct stream {
  struct denoiser_params p; // arrays of it are not used after create
  struct params *params;
  struct part *parts;
  int part_count;
  uint64_t slot_bytes;
  // weights outside the blocks
  uint64_t *outer_at; // [params->count]: offset in its buffer
  uint32_t *outer_in; // [params->count]: index of the buffer + 1; 0: of a block
  struct vkd_buffer **outer;
  uint32_t outer_count;
  // what lies between the stages
  struct vkd_buffer *hidden[DIT_HIDDEN];
  struct vkd_shape shapes[DIT_HIDDEN];
  enum vkd_dtype dtypes[DIT_HIDDEN];
  int hidden_count;
  struct vkd_graph *begin_graph, *end_graph;
  struct vkd_program *begin, *end;
  struct dit_inputs in;
  struct slot slots[SLOTS];
  int turn;           // slot of the next block
  struct fill *fills; // [part_count], of a slot
  bool keep;
  struct stream_info info;
};

static uint64_t bytes_of(const struct params *p, int row) {
  return (uint64_t)p->rows[row].numel * vkd_dtype_bytes(params_dtype(p, row));
}
static uint64_t padded(const struct params *p, int row) { return (bytes_of(p, row) + ALIGN - 1) / ALIGN * ALIGN; }

// ---- where weights lie ---------------------------------------------------------------------------------------------
static void add_parts(struct stream *s, int first, int count, int next) {
  for (int i = 0; i < count; i++) {
    s->parts[s->part_count++] = (struct part){.row = first + i, .stride = next - first, .offset = s->slot_bytes};
    s->slot_bytes += padded(s->params, first + i);
  }
}

static enum vkd_status lay_out(struct stream *s, struct vkd_error *err) {
  struct params *p = s->params;
  const struct dit_config *c = &p->config;
  uint64_t limit = vkd_device_get_caps(p->dev)->max_allocation / ALIGN * ALIGN, at = 0;
  int first, count, next = 0, unused;
  s->parts = calloc((size_t)p->count, sizeof *s->parts);
  s->fills = calloc((size_t)p->count, sizeof *s->fills);
  s->outer_at = calloc((size_t)p->count, sizeof *s->outer_at);
  s->outer_in = calloc((size_t)p->count, sizeof *s->outer_in);
  s->outer = calloc((size_t)p->count, sizeof *s->outer);
  bool *of_block = calloc((size_t)p->count, sizeof *of_block);
  if (!s->parts || !s->fills || !s->outer_at || !s->outer_in || !s->outer || !of_block) {
    free(of_block);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to stream %d parameters", p->count);
  }
  for (int kind = 0; kind < 2; kind++) {
    void (*rows)(const struct dit_config *, int, int *, int *) = kind ? dit_block_adapter_rows : dit_block_rows;
    rows(c, 0, &first, &count);
    if (c->depth > 1) rows(c, 1, &next, &unused);
    add_parts(s, first, count, next);
    for (int b = 0; b < c->depth; b++) {
      rows(c, b, &first, &count);
      for (int i = 0; i < count; i++) of_block[first + i] = true;
    }
  }
  uint64_t bytes[2] = {0, 0}; // of the buffer under way, of all
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    if (of_block[i]) continue;
    if (at && at + padded(p, i) > limit) {
      st = vkd_buffer_create(&s->outer[s->outer_count++], p->dev, at, err);
      at = 0;
    }
    s->outer_at[i] = at;
    s->outer_in[i] = s->outer_count + 1;
    at += padded(p, i);
    bytes[1] += padded(p, i);
  }
  if (st == VKD_OK) st = vkd_buffer_create(&s->outer[s->outer_count++], p->dev, at, err);
  free(of_block);
  s->info.resident_bytes = bytes[1];
  s->info.block_bytes = s->slot_bytes;
  return st;
}

static enum vkd_status write_outer(struct stream *s, struct vkd_error *err) {
  const struct params *p = s->params;
  void *piece = malloc(PIECE * sizeof(float));
  enum vkd_status st = piece ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to load weights");
  for (int i = 0; i < p->count; i++) {
    uint64_t numel = (uint64_t)p->rows[i].numel, each = vkd_dtype_bytes(params_dtype(p, i));
    for (uint64_t at = 0; s->outer_in[i] && at < numel && st == VKD_OK; at += PIECE) {
      struct fill f = {i, params_dtype(p, i), at, numel - at < PIECE ? numel - at : PIECE, piece};
      st = fill_run(p->reader, &f, 1, err);
      if (st == VKD_OK)
        st = vkd_buffer_write(s->outer[s->outer_in[i] - 1], s->outer_at[i] + at * each, piece, f.count * each, err);
    }
  }
  free(piece);
  return st;
}

static enum vkd_status fill_slot(struct stream *s, struct slot *slot, int block, struct vkd_error *err) {
  const struct params *p = s->params;
  void *map;
  if (slot->block == block || (s->keep && slot->block != NONE)) return VKD_OK;
  enum vkd_status st = vkd_upload_wait(slot->upload, &map, err);
  if (st != VKD_OK) return st;
  double start = clock_seconds();
  for (int i = 0; i < s->part_count; i++) {
    const struct part *part = &s->parts[i];
    s->fills[i] = (struct fill){.index = part->row + block * part->stride,
                                .dtype = params_dtype(p, part->row),
                                .count = (uint64_t)p->rows[part->row].numel,
                                .dst = (char *)map + part->offset};
    s->info.uploaded += bytes_of(p, part->row);
  }
  st = fill_run(p->reader, s->fills, s->part_count, err);
  s->info.fill_s += clock_seconds() - start;
  slot->block = st == VKD_OK ? block : NONE;
  return st == VKD_OK ? vkd_upload_flush(slot->upload, err) : st;
}

// ---- stages --------------------------------------------------------------------------------------------------------
// Bound tensors of the parameters outside the blocks, and of block 0's in `slot` where there is one; freed by the
// caller.
static vkd_tensor *bind_weights(const struct stream *s, struct vkd_graph *g, const struct slot *slot) {
  const struct params *p = s->params;
  enum dit_naming naming = dit_native_naming(&p->config);
  vkd_tensor *t = calloc((size_t)p->count, sizeof *t);
  for (int i = 0; t && !slot && i < p->count; i++)
    if (s->outer_in[i])
      t[i] = vkd_bound(g, p->rows[i].name[naming], params_dtype(p, i), p->rows[i].shape, s->outer[s->outer_in[i] - 1],
                       s->outer_at[i]);
  for (int i = 0; t && slot && i < s->part_count; i++) {
    const struct dit_param *row = &p->rows[s->parts[i].row];
    t[s->parts[i].row] = vkd_bound(g, row->name[naming], params_dtype(p, s->parts[i].row), row->shape,
                                   vkd_upload_buffer(slot->upload), s->parts[i].offset);
  }
  return t;
}

static void bind_hidden(const struct stream *s, struct vkd_graph *g, struct dit_hidden *h) {
  *h = (struct dit_hidden){.count = s->hidden_count};
  for (int i = 0; i < h->count; i++)
    if (s->hidden[i]) h->t[i] = vkd_bound(g, "hidden", s->dtypes[i], s->shapes[i], s->hidden[i], 0);
}

static enum vkd_status build_begin(struct stream *s, struct vkd_error *err) {
  struct dit_hidden h;
  enum vkd_status st = vkd_graph_create(&s->begin_graph, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = bind_weights(s, s->begin_graph, NULL);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a graph");
  denoiser_inputs(s->begin_graph, &s->p, &s->in);
  dit_begin(s->begin_graph, &s->params->config, weights, &s->in, &h);
  free(weights);
  if ((st = vkd_graph_status(s->begin_graph, err)) != VKD_OK) return st;
  s->hidden_count = h.count;
  for (int i = 0; i < h.count && st == VKD_OK; i++) {
    if (!h.t[i].id) continue;
    s->shapes[i] = vkd_tensor_shape(s->begin_graph, h.t[i]);
    s->dtypes[i] = vkd_tensor_dtype(s->begin_graph, h.t[i]);
    uint64_t bytes = (uint64_t)vkd_shape_numel(&s->shapes[i]) * vkd_dtype_bytes(s->dtypes[i]);
    st = vkd_buffer_create(&s->hidden[i], s->params->dev, bytes, err);
    if (st == VKD_OK)
      vkd_place(s->begin_graph, h.t[i],
                vkd_bound(s->begin_graph, "hidden", s->dtypes[i], s->shapes[i], s->hidden[i], 0));
  }
  return st;
}

static enum vkd_status build_block(struct stream *s, struct slot *slot, struct vkd_error *err) {
  struct dit_hidden h;
  enum vkd_status st = vkd_upload_create(&slot->upload, s->params->dev, s->slot_bytes, err);
  if (st == VKD_OK) st = vkd_graph_create(&slot->graph, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = bind_weights(s, slot->graph, slot);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a graph");
  bind_hidden(s, slot->graph, &h);
  vkd_tensor z = h.t[0];
  dit_block(slot->graph, &s->params->config, weights, 0, &h);
  vkd_place(slot->graph, h.t[0], z);
  free(weights);
  return VKD_OK;
}

static enum vkd_status build_end(struct stream *s, struct vkd_error *err) {
  struct dit_hidden h;
  enum vkd_status st = vkd_graph_create(&s->end_graph, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = bind_weights(s, s->end_graph, NULL);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a graph");
  bind_hidden(s, s->end_graph, &h);
  vkd_tensor output = dit_end(s->end_graph, &s->params->config, weights, &h);
  free(weights);
  return denoiser_combine(s->end_graph, &s->p, output, err);
}

static enum vkd_status check_memory(const struct stream *s, struct vkd_error *err) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(s->params->dev);
  uint64_t used = vkd_device_allocated(s->params->dev, NULL), own = SLOTS * s->slot_bytes;
  if (used <= caps->memory_budget && own <= caps->memory_budget - used) return VKD_OK;
  return vkd_fail(err, VKD_ERR_DEVICE_MEMORY,
                  "streaming needs %.1f MiB for two blocks' weights beside %.1f MiB in use, %s has %.1f MiB",
                  (double)own / 1048576, (double)used / 1048576, caps->name, (double)caps->memory_budget / 1048576);
}

static enum vkd_status create_programs(struct stream *s, struct vkd_error *err) {
  struct vkd_program_params p = {.device = s->params->dev, .graph = s->slots[0].graph};
  enum vkd_status st = vkd_program_create(&s->slots[0].program, &p, err); // the largest, as a rule
  p.beside = s->slots[0].program;
  p.graph = s->slots[1].graph;
  if (st == VKD_OK) st = vkd_program_create(&s->slots[1].program, &p, err);
  p.graph = s->begin_graph;
  if (st == VKD_OK) st = vkd_program_create(&s->begin, &p, err);
  p.graph = s->end_graph;
  if (st == VKD_OK) st = vkd_program_create(&s->end, &p, err);
  return st;
}

enum vkd_status stream_create(struct stream **out, const struct denoiser_params *params, struct vkd_error *err) {
  struct stream *s = *out = calloc(1, sizeof *s);
  if (!s) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to stream a model");
  s->p = *params;
  s->params = params->params;
  for (int i = 0; i < SLOTS; i++) s->slots[i].block = NONE;
  enum vkd_status st = lay_out(s, err);
  if (st == VKD_OK) st = build_begin(s, err);
  if (st == VKD_OK) st = check_memory(s, err);
  for (int i = 0; i < SLOTS && st == VKD_OK; i++) st = build_block(s, &s->slots[i], err);
  if (st == VKD_OK) st = build_end(s, err);
  if (st == VKD_OK) st = create_programs(s, err);
  if (st == VKD_OK) st = write_outer(s, err);
  if (st == VKD_OK) s->info.mapped = vkd_upload_mapped(s->slots[0].upload);
  if (st == VKD_OK) denoiser_write_conditions(&s->p, &s->in, s->begin);
  s->p.labels = NULL;
  s->p.text = s->p.null_text = NULL;
  if (st != VKD_OK) stream_destroy(out);
  return st;
}

void stream_destroy(struct stream **ps) {
  struct stream *s = *ps;
  if (!s) return;
  vkd_program_destroy(&s->begin);
  vkd_program_destroy(&s->end);
  for (int i = SLOTS - 1; i >= 0; i--) { // the first one's memory is the others'
    vkd_program_destroy(&s->slots[i].program);
    vkd_graph_destroy(&s->slots[i].graph);
    vkd_upload_destroy(&s->slots[i].upload);
  }
  vkd_graph_destroy(&s->begin_graph);
  vkd_graph_destroy(&s->end_graph);
  for (int i = 0; i < DIT_HIDDEN; i++) vkd_buffer_destroy(&s->hidden[i]);
  for (uint32_t i = 0; i < s->outer_count; i++) vkd_buffer_destroy(&s->outer[i]);
  free(s->outer);
  free(s->outer_at);
  free(s->outer_in);
  free(s->parts);
  free(s->fills);
  free(s);
  *ps = NULL;
}

// The host fills a slot for the next block while the device computes; at the end of a run, for the next run's first.
enum vkd_status stream_run(struct stream *s, double timestep, struct vkd_error *err) {
  int depth = s->params->config.depth;
  denoiser_write_timestep(&s->p, &s->in, s->begin, timestep);
  enum vkd_status st = vkd_program_submit(s->begin, 0, err);
  if (st == VKD_OK) st = fill_slot(s, &s->slots[s->turn], 0, err);
  for (int block = 0; block < depth && st == VKD_OK; block++) {
    struct slot *slot = &s->slots[s->turn];
    st = vkd_program_wait(slot->program, 0, err); // of the block before the last
    if (st == VKD_OK) st = vkd_program_submit(slot->program, 0, err);
    if (st != VKD_OK) break;
    vkd_upload_used(slot->upload);
    s->turn = (s->turn + 1) % SLOTS;
    if (block + 1 == depth) st = vkd_program_submit(s->end, 0, err);
    if (st == VKD_OK) st = fill_slot(s, &s->slots[s->turn], (block + 1) % depth, err);
  }
  s->info.runs++;
  return st == VKD_OK ? vkd_program_wait(s->end, 0, err) : st;
}

void stream_keep(struct stream *s, bool keep) { s->keep = keep; }
void stream_get_info(const struct stream *s, struct stream_info *info) { *info = s->info; }

// ---- is it needed --------------------------------------------------------------------------------------------------
enum vkd_status stream_need(const struct vkd_device *dev, const struct dit_config *config, int64_t batch,
                            struct stream_need *need, struct vkd_error *err) {
  struct vkd_device_caps caps = *vkd_device_get_caps(dev);
  uint64_t used = vkd_device_allocated(dev, NULL);
  uint64_t left = caps.memory_budget > used ? caps.memory_budget - used : 0;
  struct vkd_device *fake = NULL;
  struct params *params = NULL;
  struct vkd_graph *g = NULL;
  struct dit_inputs in;
  struct vkd_plan_info plan;
  *need = (struct stream_need){.weights = 0};
  caps.memory_budget = UINT64_MAX / 4;
  enum vkd_status st = vkd_device_create(&fake, &(struct vkd_device_params){.fake = &caps}, err);
  if (st == VKD_OK) st = params_create(&params, fake, config, PARAMS_FOR_INFERENCE, err);
  if (st == VKD_OK) st = vkd_graph_create(&g, err);
  vkd_tensor *weights = st == VKD_OK ? calloc((size_t)params->count, sizeof *weights) : NULL;
  if (st == VKD_OK && !weights) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to plan a model");
  if (st == VKD_OK) {
    params_tensors(params, g, PARAMS_WEIGHT, weights);
    dit_make_inputs(g, config, batch, true, &in);
    vkd_output(g, dit_forward(g, config, weights, &in));
    st = vkd_plan_query(&(struct vkd_program_params){.device = fake, .graph = g}, &plan, err);
  }
  if (st == VKD_OK) {
    for (uint32_t i = 0; i < params->segments; i++) need->weights += params->segment_bytes[i];
    need->activations = plan.temporaries;
    need->flops = vkd_graph_flops(g);
    need->other =
        2 * (plan.inputs + plan.outputs) + plan.constants + plan.staging; // twice: latents that a sampler keeps
    need->streamed = need->weights + need->activations + need->other > left;
  }
  free(weights);
  vkd_graph_destroy(&g);
  params_destroy(&params);
  vkd_device_destroy(&fake);
  return st;
}
