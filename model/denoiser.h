// A model with guidance as a function of latents that lie on the device: out = model(x, t, conditions).
// Internal to model/.
#ifndef VKDM_DENOISER_H
#define VKDM_DENOISER_H

#include "vkd/exec.h"
#include "vkdm/params.h"

struct denoiser_params {
  struct params *params;
  enum params_kind kind;
  int count;              // samples
  double cfg;             // 1: no guidance, and half the work
  int cfg_channels;       // of the output, the first ones, that guidance moves; 0: as the family's public code does
  const int32_t *labels;  // [count], -1: null; NULL: all null.  Models with a class table
  const float *text;      // [count, text_len, text_dim]; NULL: zeros.  Models without one
  const float *null_text; // [text_len, text_dim]; NULL: zeros
  struct vkd_buffer *x;   // [count, in_channels, T, H, W], the caller's, read by every run
  struct vkd_buffer *out; // [count, out_channels, T, H, W], the caller's, written by every run
};

struct denoiser;

// The arrays of params are read here and not kept; params->params and the buffers outlive the denoiser.
enum vkd_status denoiser_create(struct denoiser **out, const struct denoiser_params *params, struct vkd_error *err);
void denoiser_destroy(struct denoiser **denoiser); // NULL inside is fine

// One evaluation at `timestep` (0..1000) of every sample; returns when it is done.
enum vkd_status denoiser_run(struct denoiser *denoiser, double timestep, struct vkd_error *err);

// What streams the weights, where params->params has a reader in place of storage (model/stream.h); NULL: nothing.
struct stream;
struct stream *denoiser_stream(const struct denoiser *denoiser);

// ---- what every way to evaluate the model shares -------------------------------------------------------------------
// Samples of the model's batch: count, or with guidance 2 count, null conditions first.
int64_t denoiser_batch(const struct denoiser_params *params);

// The model's inputs in a graph: params->x (twice with guidance), and inputs for timestep and conditions.
void denoiser_inputs(struct vkd_graph *g, const struct denoiser_params *params, struct dit_inputs *in);

// params->out from the model's output [denoiser_batch(), out_channels, T, H, W].  Errors: VKD_ERR_HOST_MEMORY; others
// stay in the graph.
enum vkd_status denoiser_combine(struct vkd_graph *g, const struct denoiser_params *params, vkd_tensor output,
                                 struct vkd_error *err);

// Into the inputs of slot 0.  Conditions stay until they are written again.
void denoiser_write_conditions(const struct denoiser_params *params, const struct dit_inputs *in,
                               struct vkd_program *program);
void denoiser_write_timestep(const struct denoiser_params *params, const struct dit_inputs *in,
                             struct vkd_program *program, double timestep);

#endif
