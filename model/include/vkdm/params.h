// A model's parameters on the device: flat arenas of weights, gradients, moments and EMA, all in one order.
// An arena is cut into segments where the device cannot allocate it whole; a tensor never straddles two.  Frozen
// tensors lie in segments of their own, which only the weights have: as weights and EMA they are the same.
#ifndef VKDM_PARAMS_H
#define VKDM_PARAMS_H

#include "vkd/device.h"
#include "vkdm/dit.h"
#include "vkdm/weights.h"

enum params_kind {
  PARAMS_WEIGHT,
  PARAMS_GRAD,
  PARAMS_GRAD_SUM,
  PARAMS_M,
  PARAMS_V,
  PARAMS_EMA,
  PARAMS_COPY,
  PARAMS_KINDS
};
// PARAMS_COPY: the weights rounded to config.compute, as products read them; what writes weights writes it too
#define PARAMS_FOR_INFERENCE (1u << PARAMS_WEIGHT)
#define PARAMS_FOR_TRAINING                                                                                            \
  (1u << PARAMS_WEIGHT | 1u << PARAMS_GRAD | 1u << PARAMS_M | 1u << PARAMS_V | 1u << PARAMS_EMA)

// Weights that stay on the host: elements [first, first + count) of parameter `index`, dst [count].  Several threads
// call at once.
struct params_reader {
  enum vkd_status (*read)(void *user, int index, uint64_t first, uint64_t count, float *dst, struct vkd_error *err);
  void *user;
};

// Numbers [first, first + count) of a trainable segment, which ranks exchange at once.  Its part `own` [own_count],
// from first + own on, is this rank's, and lies at number `at` of arenas that are kept in parts.
struct params_bucket {
  uint32_t segment;
  uint64_t first, count, own, own_count, at;
};

struct params {
  struct vkd_device *dev;
  struct dit_config config;
  struct dit_param *rows;
  int count;
  bool narrow;       // no kind but the weights is kept: operands of products are stored in config.compute
  int64_t numel;     // without the padding between tensors, and without fixed tables (DIT_INIT_POSITION)
  int64_t trainable; // of it, what is not frozen
  uint32_t segments, trainable_segments; // the trainable ones come first
  uint64_t *segment_bytes;               // [segments]
  struct {
    uint32_t segment;
    uint64_t offset;
  } * places;                                // [count], offset in bytes
  struct vkd_buffer **buffers[PARAMS_KINDS]; // [segments, or trainable_segments]; NULL: kind not kept
  int rank, ranks;                           // whose part of moments and EMA this is; ranks 1: all of them
  struct params_bucket *buckets;             // [bucket_count], in the order of the arenas
  uint32_t bucket_count;
  // Of params that keep nothing on the device (kinds 0): where a denoiser streams the weights from.  NULL: none
  const struct params_reader *reader;
};

// Whether a kind has a value of its own, or the weights' where frozen, for row `index`.
static inline bool params_has(const struct params *p, enum params_kind kind, int index) {
  return !p->rows[index].frozen || kind == PARAMS_WEIGHT || kind == PARAMS_EMA;
}

// Whether the ranks of a run keep a part of a kind each.
static inline bool params_in_parts(const struct params *p, enum params_kind kind) {
  return p->ranks > 1 && (kind == PARAMS_M || kind == PARAMS_V || kind == PARAMS_EMA);
}

// How row `index` is stored.
static inline enum vkd_dtype params_dtype(const struct params *p, int index) {
  return p->narrow && p->rows[index].operand ? p->config.compute : VKD_F32;
}

// kinds: mask of 1 << params_kind.  Everything is zero.  Errors: VKD_ERR_UNSUPPORTED where the device cannot compute in
// config->compute.
enum vkd_status params_create(struct params **out, struct vkd_device *dev, const struct dit_config *config,
                              unsigned kinds, struct vkd_error *err);
// Of moments and EMA only what rank `rank` of `ranks` updates.
enum vkd_status params_create_part(struct params **out, struct vkd_device *dev, const struct dit_config *config,
                                   unsigned kinds, int rank, int ranks, struct vkd_error *err);
void params_destroy(struct params **params); // NULL inside is fine

// Initial weights from the seed; EMA starts as their copy where it is kept.  The second: of rows `first` and later.
enum vkd_status params_init(struct params *params, uint64_t seed, struct vkd_error *err);
enum vkd_status params_init_from(struct params *params, int first, uint64_t seed, struct vkd_error *err);

// The model's own parameters, without adapters: a view that owns nothing, for the functions below but params_destroy().
struct params params_base(const struct params *params);

// A view that owns nothing, in which the kinds that are kept in parts are whole, all of them in PARAMS_GRAD: one at a
// time, as the last that wrote there left it.  What reads and writes parameters one by one takes this view.
struct params params_whole(const struct params *params);
// The part of this rank becomes what the view has.  Nothing where `kind` is not kept in parts.
enum vkd_status params_keep_part(struct params *params, enum params_kind kind, struct vkd_error *err);

// Makes room for the adapters that config->lora tells of, beside a model that has none and is for inference only.  The
// weights stay where they are; what was bound to *params must be gone.
enum vkd_status params_adapt(struct params **params, const struct dit_config *config, struct vkd_error *err);

// Bound tensors: of every parameter, out [count], empty where params_has() is false; of a whole segment, [n], where no
// row is stored in 16 bits.
void params_tensors(const struct params *params, struct vkd_graph *g, enum params_kind kind, vkd_tensor *out);
// Makes known in a graph that weights [count], tensors of it, have copies (PARAMS_COPY), where these are kept.
void params_bind_copies(const struct params *params, struct vkd_graph *g, const vkd_tensor *weights);
// Empty where the kind is not kept.
vkd_tensor params_segment(const struct params *params, struct vkd_graph *g, enum params_kind kind, uint32_t segment);
// This rank's part of a bucket [own_count], of a kind that is fp32; likewise.
vkd_tensor params_own(const struct params *params, struct vkd_graph *g, enum params_kind kind,
                      const struct params_bucket *bucket);

// A whole tensor, or elements [first, first + count) of it; rounded to nearest even, or widened, where stored in 16
// bits.
enum vkd_status params_write(struct params *params, enum params_kind kind, int index, const float *src,
                             struct vkd_error *err);
enum vkd_status params_read(const struct params *params, enum params_kind kind, int index, float *dst,
                            struct vkd_error *err);
enum vkd_status params_write_part(struct params *params, enum params_kind kind, int index, uint64_t first,
                                  uint64_t count, const float *src, struct vkd_error *err);
enum vkd_status params_read_part(const struct params *params, enum params_kind kind, int index, uint64_t first,
                                 uint64_t count, float *dst, struct vkd_error *err);

// Reads every parameter of a file in one of the public namings (vkdm/source.h), streamed in bounded pieces.
// *naming: the one recognised; may be NULL.  Errors: as source_open().
enum vkd_status params_load_weights(struct params *params, enum params_kind kind, const struct weights *weights,
                                    enum dit_naming *naming, struct vkd_error *err);
enum vkd_status params_load(struct params *params, enum params_kind kind, const struct st_file *file,
                            enum dit_naming *naming, struct vkd_error *err);
enum vkd_status params_save(const struct params *params, enum params_kind kind, enum dit_naming naming,
                            const char *path, const struct st_meta *meta, size_t meta_count, struct vkd_error *err);

#endif
