// What a model is trained to predict: noisy samples, targets and losses as graphs, and the host's draws for them.
// An objective is a row of vkdm/objective.def.
#ifndef VKDM_OBJECTIVE_H
#define VKDM_OBJECTIVE_H

#include "vkd/exec.h"
#include "vkdm/config.h"
#include "vkdm/dit.h"

// Streams of random numbers: the last word of Philox' counter.
enum noise_stream { STREAM_NOISE = 1, STREAM_LEVEL, STREAM_DROP, STREAM_EVAL_NOISE, STREAM_SAMPLE };

// A uniform draw in (0, 1) that depends on (seed, stream, step, sample) alone.
double noise_uniform(uint64_t seed, enum noise_stream stream, uint64_t step, uint32_t sample);

// shift sigma / (1 + (shift - 1) sigma)
double flow_shift(double sigma, double shift);

const char *objective_name(enum config_objective objective);
// The model gives a second channel for every one of the latent: out_channels = 2 in_channels.
bool objective_learns_variance(enum config_objective objective);

// What the host draws for one sample.
struct objective_draw {
  double timestep;                // fed to the model: 1000 sigma, or a whole step 0 .. 999
  float mix[4];                   // of vkd_diffuse()
  float hybrid[VKD_HYBRID_COUNT]; // of vkd_hybrid()
};
// The noise level of quantile u in (0, 1).  flow: of the configured distribution of sigma, shifted; the others: step
// floor(1000 u).
void objective_draw(const struct config *config, double u, struct objective_draw *out);

// The inputs of a pass over `batch` samples.
struct objective_inputs {
  int64_t batch;
  vkd_tensor x0;           // [B, C, T, H, W]
  vkd_tensor mix;          // [B, 4]
  vkd_tensor hybrid;       // [B, VKD_HYBRID_COUNT]; empty where no variance is learned
  struct dit_inputs model; // but x, which is computed
  vkd_tensor key;          // int32 [4]: seed low, seed high, step, stream
  vkd_tensor sample;       // int32 [B]
};
void objective_make_inputs(struct vkd_graph *g, enum config_objective objective, const struct dit_config *config,
                           int64_t batch, struct objective_inputs *in);

// Writes what `draw` gives for sample `i` of the pass: mix, hybrid and the timestep's embedding.
void objective_write(struct vkd_program *program, int slot, const struct objective_inputs *in, int64_t i,
                     const struct dit_config *config, const struct objective_draw *draw);

// What lies between the inputs and the loss.
struct objective_parts {
  vkd_tensor xt, target; // [B, C, T, H, W]
  vkd_tensor y;          // the model's output for xt
  vkd_tensor terms;      // [B, 2]: every sample's mse and vb in bits; empty where no variance is learned
};
// The batch's mean loss: [1].  noise [B, C, T, H, W]; empty: drawn by key and sample.
vkd_tensor objective_loss_of(struct vkd_graph *g, enum config_objective objective, const struct dit_config *config,
                             const vkd_tensor *params, const struct objective_inputs *in, vkd_tensor noise,
                             struct objective_parts *parts);

// The same with drawn noise; *zero (may be NULL): for a model that gives zeros.
vkd_tensor objective_loss(struct vkd_graph *g, enum config_objective objective, const struct dit_config *config,
                          const vkd_tensor *params, const struct objective_inputs *in, vkd_tensor *zero);

#endif
