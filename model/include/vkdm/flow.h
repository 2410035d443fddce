// The rectified-flow objective and the host's draws for it.
#ifndef VKDM_FLOW_H
#define VKDM_FLOW_H

#include "vkdm/config.h"
#include "vkdm/dit.h"
#include "vkdm/params.h"

// Streams of random numbers: the last word of Philox' counter.
enum flow_stream {
  FLOW_STREAM_NOISE = 1,
  FLOW_STREAM_SIGMA,
  FLOW_STREAM_DROP,
  FLOW_STREAM_EVAL_NOISE,
  FLOW_STREAM_SAMPLE
};

// Noise level of quantile u in (0, 1): the configured distribution, then sigma' = shift sigma / (1 + (shift - 1)
// sigma).
double flow_sigma(const struct config *config, double u);
double flow_shift(double sigma, double shift);

// A uniform draw in (0, 1) that depends on (seed, stream, step, sample) alone.
double flow_uniform(uint64_t seed, enum flow_stream stream, uint64_t step, uint32_t sample);

// The inputs of a pass over `batch` samples.
struct flow_inputs {
  int64_t batch;
  vkd_tensor x0;           // [B, C, T, H, W]
  vkd_tensor sigma;        // [B]
  struct dit_inputs model; // but x, which is computed; s: of 1000 sigma
  vkd_tensor key;          // int32 [4]: seed low, seed high, step, stream
  vkd_tensor sample;       // int32 [B]
};
void flow_make_inputs(struct vkd_graph *g, const struct dit_config *config, int64_t batch, struct flow_inputs *in);

// mean((v - (noise - x0))^2): [1]; *zero (may be NULL): the same with v = 0.
vkd_tensor flow_loss(struct vkd_graph *g, const struct dit_config *config, const vkd_tensor *params,
                     const struct flow_inputs *in, vkd_tensor *zero);

#endif
