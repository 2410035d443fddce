// The model families: shapes, parameter tables, forward graphs.  A family is one row of model/dit.c, a parameter table
// (model/*_params.def) and a file of its own (model/cross_dit.c, model/class_dit.c).
// cross_dit: the cross-attention video DiT (Wan-style; the paper's family at ffn = 4 dim).  Source: Wan-Video/Wan2.1
// dit: the class-conditional image DiT with adaLN-Zero.  Source: facebookresearch/DiT
#ifndef VKDM_DIT_H
#define VKDM_DIT_H

#include "vkd/ops.h"

enum dit_family { DIT_CROSS, DIT_CLASS, DIT_FAMILIES }; // in the order of model.family

struct dit_config {
  enum dit_family family;
  int dim, depth, heads, ffn, freq_dim;
  int text_dim, text_len; // of the context; 0 in family dit
  // > 0: the model takes class labels, by a learned table of so many rows, the last the null one.  In cross_dit the
  // table's row is the context, and text_len is 1; family dit always has it.
  int class_rows;
  int in_channels, out_channels;
  int patch[3];  // frames, rows, columns of the latent per token
  int latent[3]; // T, H, W
  float eps;
  // Low-rank adapters beside the linear layers: y = x Wᵀ + b + alpha / rank (x Aᵀ) Bᵀ.  rank 0: none.  With them, the
  // model's own parameters are frozen.  targets: DIT_LORA_...  Source: Hu et al. 2021, arXiv:2106.09685
  struct {
    int rank;
    float alpha;
    unsigned targets;
  } lora;
  // VKD_F16, VKD_BF16: operands of the blocks' products and attention are rounded to it; sums, results, norms, the
  // residual stream, and all outside the blocks (patches, time, text, head: few FLOPs, and what every block sees) are
  // fp32.  Of how a model is computed, not of the model: checkpoints do not have it.
  enum vkd_dtype compute;
  // Blocks but the last, whose gradient comes first, are computed again for the gradient: what is kept of the forward
  // pass is their inputs.  Of how a model is computed too.
  bool recompute;
};

// Errors: VKD_ERR_INPUT naming what does not fit (heads and dim, odd head_dim, patch and latent).
enum vkd_status dit_config_check(const struct dit_config *config, struct vkd_error *err);
int64_t dit_tokens(const struct dit_config *config); // per sample

// FLOPs per trained video token, forward and backward, as the paper counts: 3/4 N (7 + n/d) with N = 16 L d^2 where ffn
// = 4 dim; for another ffn the MLP's share is 4 L d ffn per token and pass: 3 L (12 d^2 + 4 d ffn + 4 n d).
double dit_token_flops(const struct dit_config *config);

const char *dit_family_name(enum dit_family family);

enum dit_naming { DIT_NAMING_WAN, DIT_NAMING_DIFFUSERS, DIT_NAMING_META, DIT_NAMINGS };
const char *dit_naming_name(enum dit_naming naming);           // "wan", ...
enum dit_naming dit_native_naming(const struct dit_config *c); // of the family's public code; labels and checkpoints

enum dit_init {
  DIT_INIT_ZERO,
  DIT_INIT_ONE,
  DIT_INIT_XAVIER,     // uniform, bound sqrt(6 / (fan in + fan out)) of the [rows, rest] view
  DIT_INIT_NORMAL,     // standard deviation `scale`
  DIT_INIT_MODULATION, // normal / sqrt(dim)
  DIT_INIT_FAN_IN,     // uniform, bound 1 / sqrt(patch volume * in_channels): PyTorch's default for a conv's bias
  DIT_INIT_LINEAR,     // uniform, bound 1 / sqrt(columns): PyTorch's default for a linear layer
  DIT_INIT_POSITION    // the fixed sine-cosine table of family dit
};

struct dit_param {
  char name[DIT_NAMINGS][96]; // "": the family has no such naming, or the tensor is not stored in it
  struct vkd_shape shape;
  enum dit_init init;
  float init_scale;
  int64_t numel;
  bool frozen;  // never trained: no gradient, no update, no decay
  bool operand; // of products in config.compute and of nothing else: may be stored so
};

// One row per tensor: the outer ones, then block by block; after them the adapters, in that order too.  *rows is freed
// with free().
enum vkd_status dit_params(const struct dit_config *config, struct dit_param **rows, int *count, struct vkd_error *err);

// Initial values of row `index`, from (seed, index) alone.  dst [numel]
void dit_param_init(const struct dit_config *config, const struct dit_param *param, int index, uint64_t seed,
                    float *dst);
// Elements [first, first + count) of any but a fixed table (DIT_INIT_POSITION), dst [count]; first divisible by 4.
void dit_param_init_part(const struct dit_config *config, const struct dit_param *param, int index, uint64_t seed,
                         int64_t first, int64_t count, float *dst);

// s(t) = [cos(t w_i) | sin(t w_i)], w_i = 10000^(-i/half), computed in double.  t on the 0..1000 scale; out [freq_dim]
void dit_timestep_embedding(int freq_dim, double t, float *out);

// What a forward pass takes.  text where class_rows is 0, labels where not.
struct dit_inputs {
  vkd_tensor x;      // [B, in_channels, T, H, W]
  vkd_tensor s;      // [B, freq_dim]: dit_timestep_embedding()
  vkd_tensor text;   // [B, text_len, text_dim], zero padded
  vkd_tensor labels; // int32 [B]
};

// The inputs of a graph, without x where that is computed.
void dit_make_inputs(struct vkd_graph *g, const struct dit_config *config, int64_t batch, bool with_x,
                     struct dit_inputs *in);

// The model's output [B, out_channels, T, H, W].  params: as dit_params() lists them.
vkd_tensor dit_forward(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params,
                       const struct dit_inputs *in);

// The same in stages, each of which may be a graph of its own: begin, every block in turn, end.  What lies between two
// stages: t[0] [B, n, d], which every block replaces, and the conditions, which stay.
enum { DIT_HIDDEN = 5 };
struct dit_hidden {
  vkd_tensor t[DIT_HIDDEN]; // [count]
  int count;
};
// A stage reads only its own rows of params.
void dit_begin(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params,
               const struct dit_inputs *in, struct dit_hidden *hidden);
void dit_block(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params, int block,
               struct dit_hidden *hidden);
vkd_tensor dit_end(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params,
                   const struct dit_hidden *hidden);
// Rows of dit_params() that block `block` reads: [*first, *first + *count), and those of its adapters.
void dit_block_rows(const struct dit_config *config, int block, int *first, int *count);
void dit_block_adapter_rows(const struct dit_config *config, int block, int *first, int *count);

// ---- low-rank adapters ---------------------------------------------------------------------------------------------
// Linear layers by their part in the model; Q, K, V and O of self- and cross-attention alike.
enum {
  DIT_LORA_Q = 1,
  DIT_LORA_K = 2,
  DIT_LORA_V = 4,
  DIT_LORA_O = 8,
  DIT_LORA_FFN = 16,
  DIT_LORA_OTHER = 32, // embeddings of text and timestep, modulation, head; the timestep's not in family dit
  DIT_LORA_ALL = 63
};
// A list of names, as "q,k,v,o": in public code's words too (to_q, to_out.0, qkv, ...).  Errors: VKD_ERR_INPUT naming
// the one that is unknown.
enum vkd_status dit_lora_targets(const char *text, unsigned *targets, struct vkd_error *err);

// Where an adapter sits: beside outputs [part * out, (part + 1) * out) of the weight `row`.
struct dit_adapter {
  int row;
  int part, parts; // 0, 1 but for the matrix of queries, keys and values that family dit has in one: 0..2, 3
  unsigned target;
  int64_t out, in;
  char module[DIT_NAMINGS][96]; // the layer's name, which in naming meta the parts share; "": the naming has none
};
// Every adapter that the config could have, whatever its lora.rank and targets.  *adapters is freed with free().
enum vkd_status dit_adapters(const struct dit_config *config, struct dit_adapter **adapters, int *count,
                             struct vkd_error *err);
// Row of A [rank, in] in dit_params(); B [out, rank] is the one after it.  -1: there is none.
int dit_adapter_row(const struct dit_config *config, int row, int part);
// Rows of dit_params() that are not adapters: [0, the count).
int dit_base_rows(const struct dit_config *config);

#endif
