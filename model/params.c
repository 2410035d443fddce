#include "vkdm/params.h"

#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "vkd/half.h"
#include "vkdm/comm.h"

enum { ALIGN = 64 };

// Places the rows that are frozen, or those that are not, in segments from `segment` on; returns the one past the last.
static uint32_t place(struct params *p, bool frozen, uint32_t segment) {
  uint64_t limit = vkd_device_get_caps(p->dev)->max_allocation / ALIGN * ALIGN, at = 0;
  for (int i = 0; i < p->count; i++) {
    if (p->rows[i].frozen != frozen) continue;
    uint64_t bytes = ((uint64_t)p->rows[i].numel * vkd_dtype_bytes(params_dtype(p, i)) + ALIGN - 1) / ALIGN * ALIGN;
    if (at && at + bytes > limit) {
      segment++;
      at = 0;
    }
    p->places[i].segment = segment;
    p->places[i].offset = at;
    at += bytes;
    p->segment_bytes[segment] = at;
    if (p->rows[i].init != DIT_INIT_POSITION) p->numel += p->rows[i].numel;
    if (!frozen) p->trainable += p->rows[i].numel;
  }
  return at ? segment + 1 : segment;
}

static uint32_t segments_of(const struct params *p, int kind) {
  return kind == PARAMS_WEIGHT || kind == PARAMS_COPY ? p->segments : p->trainable_segments;
}

// Bytes of segment s, and of a place in it, of a kind.  Places are multiples of 64 bytes in fp32.
static uint64_t bytes_in(const struct params *p, int kind, uint64_t fp32) {
  return kind == PARAMS_COPY ? fp32 / 4 * vkd_dtype_bytes(p->config.compute) : fp32;
}

static enum vkd_status cut(struct params *p, struct vkd_error *err) {
  uint64_t most = 0;
  for (uint32_t s = 0; s < p->trainable_segments; s++) most += p->segment_bytes[s] / 4 / COMM_BUCKET + 1;
  p->buckets = calloc(most + 1, sizeof *p->buckets);
  if (!p->buckets) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for buckets of parameters");
  for (uint32_t s = 0; s < p->trainable_segments; s++) {
    uint64_t n = p->segment_bytes[s] / 4, parts = (n + COMM_BUCKET - 1) / COMM_BUCKET, at = 0;
    for (uint64_t k = 0; k < parts; k++) {
      struct params_bucket *b = &p->buckets[p->bucket_count++];
      uint64_t rank = (uint64_t)p->rank, ranks = (uint64_t)p->ranks;
      *b = (struct params_bucket){.segment = s, .first = comm_cut(n, k, parts), .at = at};
      b->count = comm_cut(n, k + 1, parts) - b->first;
      b->own = comm_cut(b->count, rank, ranks);
      b->own_count = comm_cut(b->count, rank + 1, ranks) - b->own;
      at += b->own_count;
    }
  }
  return VKD_OK;
}

// Bytes of segment s of a kind.
static uint64_t segment_size(const struct params *p, int kind, uint32_t s) {
  uint64_t own = 0;
  if (!params_in_parts(p, kind)) return bytes_in(p, kind, p->segment_bytes[s]);
  for (uint32_t i = 0; i < p->bucket_count; i++)
    if (p->buckets[i].segment == s) own += p->buckets[i].own_count * 4;
  return own > ALIGN ? own : ALIGN; // few numbers and many ranks: some have none
}

// Where row i of a kind lives: a frozen one among the weights.
static struct vkd_buffer *buffer_of(const struct params *p, enum params_kind kind, int i) {
  return p->buffers[p->rows[i].frozen ? PARAMS_WEIGHT : kind][p->places[i].segment];
}

static enum vkd_status check_compute(const struct vkd_device *dev, enum vkd_dtype compute, struct vkd_error *err) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  if (!vkd_dtype_16bit(compute) || caps->storage_16bit) return VKD_OK;
  return vkd_fail(err, VKD_ERR_UNSUPPORTED,
                  "precision %s: %s lacks 16-bit storage (storageBuffer16BitAccess); use fp32", vkd_dtype_name(compute),
                  caps->name);
}

enum vkd_status params_create(struct params **out, struct vkd_device *dev, const struct dit_config *config,
                              unsigned kinds, struct vkd_error *err) {
  return params_create_part(out, dev, config, kinds, 0, 1, err);
}

enum vkd_status params_create_part(struct params **out, struct vkd_device *dev, const struct dit_config *config,
                                   unsigned kinds, int rank, int ranks, struct vkd_error *err) {
  struct params *p = *out = calloc(1, sizeof *p);
  enum vkd_status st = VKD_OK;
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for parameters");
  p->dev = dev;
  p->config = *config;
  p->narrow = !(kinds & ~PARAMS_FOR_INFERENCE);
  p->rank = rank;
  p->ranks = ranks;
  if ((st = dit_config_check(config, err)) != VKD_OK) goto fail;
  if ((st = dit_params(config, &p->rows, &p->count, err)) != VKD_OK) goto fail;
  if ((st = check_compute(dev, config->compute, err)) != VKD_OK) goto fail;
  p->places = calloc((size_t)p->count, sizeof *p->places);
  p->segment_bytes = calloc((size_t)p->count, sizeof *p->segment_bytes);
  if (!p->places || !p->segment_bytes) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d parameters", p->count);
    goto fail;
  }
  p->trainable_segments = place(p, false, 0);
  p->segments = place(p, true, p->trainable_segments);
  if ((st = cut(p, err)) != VKD_OK) goto fail;
  uint64_t total = 0, budget = vkd_device_get_caps(dev)->memory_budget, used = vkd_device_allocated(dev, NULL);
  int kept = 0;
  for (int k = 0; k < PARAMS_KINDS; k++) {
    if (!(kinds >> k & 1)) continue;
    kept++;
    for (uint32_t s = 0; s < segments_of(p, k); s++) total += segment_size(p, k, s);
  }
  if (total > budget - (used < budget ? used : budget)) {
    st = vkd_fail(err, VKD_ERR_DEVICE_MEMORY,
                  "%.1f M parameters take %.1f MiB (arenas: %d), %s has %.1f MiB; lower model.dim or depth",
                  (double)p->numel / 1e6, (double)total / 1048576, kept, vkd_device_get_caps(dev)->name,
                  (double)budget / 1048576);
    goto fail;
  }
  for (int k = 0; k < PARAMS_KINDS; k++) {
    if (!(kinds >> k & 1)) continue;
    p->buffers[k] = calloc(p->segments, sizeof *p->buffers[k]); // unused past segments_of()
    if (!p->buffers[k]) {
      st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for parameters");
      goto fail;
    }
    for (uint32_t s = 0; s < segments_of(p, k); s++)
      if ((st = vkd_buffer_create(&p->buffers[k][s], dev, segment_size(p, k, s), err)) != VKD_OK) {
        if (err)
          vkd_error_prefix(err, "%.1f M parameters (arenas: %d; %s)", (double)p->numel / 1e6, kept,
                           p->narrow ? "precision fp16 halves them, --memory-limit streams them"
                                     : "lower model.dim or depth");
        goto fail;
      }
  }
  return VKD_OK;
fail:
  params_destroy(out);
  return st;
}

enum vkd_status params_adapt(struct params **params, const struct dit_config *config, struct vkd_error *err) {
  struct params *old = *params, *p = calloc(1, sizeof *p);
  uint32_t n = 0;
  if (!p) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for adapters");
  if (old->config.lora.rank || !old->buffers[PARAMS_WEIGHT] || old->buffers[PARAMS_EMA]) {
    free(p);
    return vkd_fail(err, VKD_ERR_INTERNAL, "adapters go beside a plain model's weights, for inference");
  }
  p->dev = old->dev;
  p->config = *config;
  p->narrow = old->narrow;
  p->ranks = 1;
  enum vkd_status st = dit_config_check(config, err);
  if (st == VKD_OK) st = dit_params(config, &p->rows, &p->count, err);
  if (st != VKD_OK) goto fail;
  p->places = calloc((size_t)p->count, sizeof *p->places);
  p->segment_bytes = calloc((size_t)p->count + old->segments, sizeof *p->segment_bytes);
  p->buffers[PARAMS_WEIGHT] = calloc((size_t)p->count + old->segments, sizeof *p->buffers[PARAMS_WEIGHT]);
  if (!p->places || !p->segment_bytes || !p->buffers[PARAMS_WEIGHT]) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d parameters", p->count);
    goto fail;
  }
  p->segments = p->trainable_segments = n = place(p, false, 0);
  for (uint32_t s = 0; s < n; s++)
    if ((st = vkd_buffer_create(&p->buffers[PARAMS_WEIGHT][s], p->dev, p->segment_bytes[s], err)) != VKD_OK) goto fail;
  // Nothing fails from here on: the old segments follow the new ones.
  for (uint32_t s = 0; s < old->segments; s++) {
    p->segment_bytes[n + s] = old->segment_bytes[s];
    p->buffers[PARAMS_WEIGHT][n + s] = old->buffers[PARAMS_WEIGHT][s];
    old->buffers[PARAMS_WEIGHT][s] = NULL;
  }
  for (int i = 0; i < old->count; i++) {
    p->places[i] = old->places[i];
    p->places[i].segment += n;
  }
  p->segments += old->segments;
  p->numel += old->numel;
  params_destroy(params);
  *params = p;
  return VKD_OK;
fail:
  params_destroy(&p);
  return st;
}

void params_destroy(struct params **pp) {
  struct params *p = *pp;
  if (!p) return;
  for (int k = 0; k < PARAMS_KINDS; k++) {
    for (uint32_t s = 0; p->buffers[k] && s < p->segments; s++) vkd_buffer_destroy(&p->buffers[k][s]);
    free(p->buffers[k]);
  }
  free(p->rows);
  free(p->places);
  free(p->segment_bytes);
  free(p->buckets);
  free(p);
  *pp = NULL;
}

struct params params_base(const struct params *p) {
  struct params base = *p;
  base.count = dit_base_rows(&p->config);
  base.config.lora.rank = 0;
  return base;
}

struct params params_whole(const struct params *p) {
  struct params whole = *p;
  for (int k = 0; k < PARAMS_KINDS; k++)
    if (params_in_parts(p, k)) whole.buffers[k] = p->buffers[PARAMS_GRAD];
  whole.ranks = 1;
  return whole;
}

enum vkd_status params_keep_part(struct params *p, enum params_kind kind, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  if (!params_in_parts(p, kind)) return VKD_OK;
  float *x = malloc(COMM_BUCKET * sizeof *x);
  if (!x) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a part of an arena");
  for (uint32_t i = 0; i < p->bucket_count && st == VKD_OK; i++) {
    const struct params_bucket *b = &p->buckets[i];
    if (!b->own_count) continue;
    st = vkd_buffer_read(p->buffers[PARAMS_GRAD][b->segment], (b->first + b->own) * 4, x, b->own_count * 4, err);
    if (st == VKD_OK) st = vkd_buffer_write(p->buffers[kind][b->segment], b->at * 4, x, b->own_count * 4, err);
  }
  free(x);
  return st;
}

enum vkd_status params_init(struct params *p, uint64_t seed, struct vkd_error *err) {
  return params_init_from(p, 0, seed, err);
}

struct init {
  const struct params *params;
  uint64_t seed;
};

static enum vkd_status init_part(void *user, int index, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err) {
  const struct init *in = user;
  (void)err;
  dit_param_init_part(&in->params->config, &in->params->rows[index], index, in->seed, (int64_t)first, (int64_t)count,
                      dst);
  return VKD_OK;
}

enum vkd_status params_init_from(struct params *p, int first, uint64_t seed, struct vkd_error *err) {
  int64_t largest = 1;
  for (int i = first; i < p->count; i++)
    if (p->rows[i].numel > largest) largest = p->rows[i].numel;
  float *values = malloc((size_t)largest * sizeof *values);
  if (!values) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for initial weights");
  enum vkd_status st = VKD_OK;
  for (int i = first; i < p->count && st == VKD_OK; i++) {
    if (p->rows[i].init == DIT_INIT_POSITION)
      dit_param_init(&p->config, &p->rows[i], i, seed, values);
    else // by several threads
      st = fill_run(&(struct params_reader){init_part, &(struct init){p, seed}},
                    &(struct fill){.index = i, .dtype = VKD_F32, .count = (uint64_t)p->rows[i].numel, .dst = values}, 1,
                    err);
    if (st == VKD_OK) st = params_write(p, PARAMS_WEIGHT, i, values, err);
    if (st == VKD_OK && p->buffers[PARAMS_EMA] && !p->rows[i].frozen) st = params_write(p, PARAMS_EMA, i, values, err);
  }
  free(values);
  return st;
}

void params_tensors(const struct params *p, struct vkd_graph *g, enum params_kind kind, vkd_tensor *out) {
  enum dit_naming naming = dit_native_naming(&p->config);
  for (int i = 0; i < p->count; i++)
    out[i] = params_has(p, kind, i) ? vkd_bound(g, p->rows[i].name[naming], params_dtype(p, i), p->rows[i].shape,
                                                buffer_of(p, kind, i), p->places[i].offset)
                                    : (vkd_tensor){0};
}

void params_bind_copies(const struct params *p, struct vkd_graph *g, const vkd_tensor *weights) {
  for (int i = 0; p->buffers[PARAMS_COPY] && i < p->count; i++)
    if (p->rows[i].operand)
      vkd_bound_cast(g, weights[i],
                     vkd_bound(g, "copy", p->config.compute, p->rows[i].shape,
                               p->buffers[PARAMS_COPY][p->places[i].segment],
                               bytes_in(p, PARAMS_COPY, p->places[i].offset)));
}

vkd_tensor params_segment(const struct params *p, struct vkd_graph *g, enum params_kind kind, uint32_t segment) {
  if (!p->buffers[kind]) return (vkd_tensor){0};
  return vkd_bound(g, "arena", kind == PARAMS_COPY ? p->config.compute : VKD_F32,
                   VKD_SHAPE((int64_t)(p->segment_bytes[segment] / 4)), p->buffers[kind][segment], 0);
}

vkd_tensor params_own(const struct params *p, struct vkd_graph *g, enum params_kind kind,
                      const struct params_bucket *b) {
  if (!p->buffers[kind]) return (vkd_tensor){0};
  uint64_t first = params_in_parts(p, kind) ? b->at : b->first + b->own;
  return vkd_bound(g, "arena", VKD_F32, VKD_SHAPE((int64_t)b->own_count), p->buffers[kind][b->segment], first * 4);
}

static enum vkd_status not_kept(const struct params *p, struct vkd_error *err) {
  if (p->ranks > 1) return vkd_fail(err, VKD_ERR_INTERNAL, "an arena that is kept in parts is no tensor of parameters");
  return vkd_fail(err, VKD_ERR_UNSUPPORTED, "the weights are streamed: they are neither read back nor changed");
}

// Passes elements [first, first + count) of what begins at `place` of buffer b through a piece of values of `dtype`,
// from src or into dst.
enum { PIECE = 1 << 16 };
static enum vkd_status move_narrow(struct vkd_buffer *b, uint64_t place, enum vkd_dtype dtype, uint64_t first,
                                   uint64_t count, const float *src, float *dst, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  uint16_t *piece = malloc(PIECE * sizeof *piece);
  if (!piece) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to convert weights");
  for (uint64_t at = 0; at < count && st == VKD_OK; at += PIECE) {
    uint64_t n = count - at < PIECE ? count - at : PIECE, offset = place + (first + at) * sizeof *piece;
    for (uint64_t k = 0; src && k < n; k++) piece[k] = vkd_half_bits(dtype, src[at + k]);
    st = src ? vkd_buffer_write(b, offset, piece, n * sizeof *piece, err)
             : vkd_buffer_read(b, offset, piece, n * sizeof *piece, err);
    for (uint64_t k = 0; dst && st == VKD_OK && k < n; k++) dst[at + k] = vkd_half_value(dtype, piece[k]);
  }
  free(piece);
  return st;
}

enum vkd_status params_write_part(struct params *p, enum params_kind kind, int i, uint64_t first, uint64_t count,
                                  const float *src, struct vkd_error *err) {
  if (!p->buffers[kind] || params_in_parts(p, kind)) return not_kept(p, err);
  struct vkd_buffer *b = buffer_of(p, kind, i);
  uint64_t place = p->places[i].offset;
  if (params_dtype(p, i) != VKD_F32) return move_narrow(b, place, params_dtype(p, i), first, count, src, NULL, err);
  enum vkd_status st = vkd_buffer_write(b, place + first * 4, src, count * 4, err);
  if (st != VKD_OK || kind != PARAMS_WEIGHT || !p->buffers[PARAMS_COPY]) return st;
  return move_narrow(p->buffers[PARAMS_COPY][p->places[i].segment], bytes_in(p, PARAMS_COPY, place), p->config.compute,
                     first, count, src, NULL, err);
}

enum vkd_status params_read_part(const struct params *p, enum params_kind kind, int i, uint64_t first, uint64_t count,
                                 float *dst, struct vkd_error *err) {
  if (!p->buffers[kind] || params_in_parts(p, kind)) return not_kept(p, err);
  if (params_dtype(p, i) != VKD_F32)
    return move_narrow(buffer_of(p, kind, i), p->places[i].offset, params_dtype(p, i), first, count, NULL, dst, err);
  return vkd_buffer_read(buffer_of(p, kind, i), p->places[i].offset + first * 4, dst, count * 4, err);
}

enum vkd_status params_write(struct params *p, enum params_kind kind, int i, const float *src, struct vkd_error *err) {
  return params_write_part(p, kind, i, 0, (uint64_t)p->rows[i].numel, src, err);
}

enum vkd_status params_read(const struct params *p, enum params_kind kind, int i, float *dst, struct vkd_error *err) {
  return params_read_part(p, kind, i, 0, (uint64_t)p->rows[i].numel, dst, err);
}
