// The cross-attention video DiT (Wan-style; the paper's family at ffn = 4 dim): shapes, parameter table, forward graph.
// Source: Wan-Video/Wan2.1; tensor names in its original and in diffusers' naming.
#ifndef VKDM_DIT_H
#define VKDM_DIT_H

#include "vkd/ops.h"

struct dit_config {
  int dim, depth, heads, ffn, freq_dim;
  int text_dim, text_len; // of the context
  int class_rows; // > 0: the context is one row of a learned table of so many rows, the last the null one; text_len is
                  // 1
  int in_channels, out_channels;
  int patch[3];  // frames, rows, columns of the latent per token
  int latent[3]; // T, H, W
  float eps;
};

// Errors: VKD_ERR_INPUT naming what does not fit (heads and dim, odd head_dim, patch and latent).
enum vkd_status dit_config_check(const struct dit_config *config, struct vkd_error *err);
int64_t dit_tokens(const struct dit_config *config); // per sample

// FLOPs per trained video token, forward and backward, as the paper counts: 3/4 N (7 + n/d) with N = 16 L d^2 where ffn
// = 4 dim; for another ffn the MLP's share is 4 L d ffn per token and pass: 3 L (12 d^2 + 4 d ffn + 4 n d).
double dit_token_flops(const struct dit_config *config);

enum dit_naming { DIT_NAMING_WAN, DIT_NAMING_DIFFUSERS, DIT_NAMINGS };

enum dit_init {
  DIT_INIT_ZERO,
  DIT_INIT_ONE,
  DIT_INIT_XAVIER,     // uniform, bound sqrt(6 / (fan in + fan out)) of the [rows, rest] view
  DIT_INIT_NORMAL,     // standard deviation `scale`
  DIT_INIT_MODULATION, // normal / sqrt(dim)
  DIT_INIT_FAN_IN      // uniform, bound 1 / sqrt(patch volume * in_channels): PyTorch's default for a conv's bias
};

struct dit_param {
  char name[DIT_NAMINGS][96];
  struct vkd_shape shape;
  enum dit_init init;
  float init_scale;
  int64_t numel;
};

// One row per tensor: the outer ones, then block by block.  *rows is freed with free().
enum vkd_status dit_params(const struct dit_config *config, struct dit_param **rows, int *count, struct vkd_error *err);

// Initial values of row `index`, from (seed, index) alone.  dst [numel]
void dit_param_init(const struct dit_config *config, const struct dit_param *param, int index, uint64_t seed,
                    float *dst);

// s(t) = [cos(t w_i) | sin(t w_i)], w_i = 10000^(-i/half), computed in double.  t on the 0..1000 scale; out [freq_dim]
void dit_timestep_embedding(int freq_dim, double t, float *out);

// v [B, out_channels, T, H, W] from x [B, in_channels, T, H, W], s [B, freq_dim], context [B, text_len, text_dim].
// params: as dit_params() lists them.
vkd_tensor dit_forward(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params, vkd_tensor x,
                       vkd_tensor s, vkd_tensor context);
// The context [B, 1, text_dim] of class labels, int32 [B].
vkd_tensor dit_class_context(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params,
                             vkd_tensor labels);

#endif
