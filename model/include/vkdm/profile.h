// What a training step or a sampler's pass costs: FLOPs, bytes and time of every op, memory by kind, and the FLOPs
// beside the paper's formula.
#ifndef VKDM_PROFILE_H
#define VKDM_PROFILE_H

#include "vkd/device.h"
#include "vkdm/comm.h"
#include "vkdm/config.h"
#include "vkdm/dataset.h"
#include "vkdm/dit.h"

struct profile_params {
  struct vkd_device *device; // a fake one with runs = 0: counts and memory only
  const struct config *config;
  struct comm *comm; // NULL, or ranks that share the batch of a training step, and all profile their parts of it
  const struct dataset_info *data; // shapes only; the numbers are random
  const struct dit_config *model;  // NULL: as train_model_config() makes it of config and data
  bool sample;                     // a forward pass over a micro-batch of latents in place of a training step
  int runs;                        // timed runs; 0: nothing runs
};

struct profile_row {
  const char *op, *label; // owned by the profile
  double flops, bytes;    // of one run
  double ns;              // of one run, median; 0: not measured
  uint32_t dispatches;    // 0: not measured, or done by another node
  int repeats;            // runs per step
  enum vkd_dtype dtype;   // of the result; of the first input where an op has none
  struct vkd_shape shape;
  struct vkd_shape in[2]; // of the first inputs; rank 0: none
};

// What the host did, in seconds from the profile's begin.
struct profile_phase {
  const char *name;
  double begin, seconds;
};
enum { PROFILE_PHASES = 8 };

// One of the timed runs whose medians the rows hold; seconds from the profile's begin.
struct profile_run {
  uint32_t first, count;         // rows
  int number;                    // from 1, of its part of the step
  double begin, submitted, done; // of the host, which waits up to `done`
  double *ns;                    // [count], of the device, op after op between begin and done
};

// arenas, and what the programs take beside them
#define PROFILE_MEMORY_MAP(X)                                                                                          \
  X(weights) X(gradients) X(gradient_sums) X(moments) X(ema) X(activations) X(inputs) X(outputs) X(constants) X(staging)

struct profile_memory {
#define X(kind) uint64_t kind;
  PROFILE_MEMORY_MAP(X)
#undef X
  uint64_t activations_raw; // without reuse of storage
};

// Of whole steps of several ranks, medians in seconds.
struct profile_exchange {
  double step;
  double sums, late; // struct exchange_times
};

// Parts of the model: every op belongs to exactly one, so counted adds up to the step and formula to C_token * tokens.
// name, title, what the formula leaves out or counts otherwise
#define PROFILE_SHARE_MAP(X)                                                                                           \
  X(SELF_PROJ, "self-attention projections", "8 d^2 per token, layer and pass: as counted")                            \
  X(SELF_ATTENTION, "self-attention", "backward: scores twice and dout v' once more, dout . o")                        \
  X(CROSS_PROJ, "cross-attention projections", "keys and values of the context, 4 m d^2 per clip, are left out")       \
  X(CROSS_ATTENTION, "cross-attention", "4 n m d per clip, and its recomputation, are left out")                       \
  X(FFN, "feed-forward", "4 d ffn per token, layer and pass: as counted")                                              \
  X(MODULATION, "modulation per sample", "adaLN of family dit, 12 d^2 per sample, layer and pass, is left out")        \
  X(RECOMPUTED, "recomputed blocks", "train.recompute: blocks run forward twice, which is left out")                   \
  X(EMBEDDINGS, "embeddings and head", "patches, time, text or label, output layer are left out")                      \
  X(ELEMENTWISE, "norms and elementwise", "norms, rotary, gates, biases, noise, loss are left out")                    \
  X(OPTIMISER, "optimiser", "gradient norm, AdamW, EMA are left out")

enum profile_share_id {
#define X(name, title, why) PROFILE_##name,
  PROFILE_SHARE_MAP(X)
#undef X
      PROFILE_SHARES
};

struct profile_share {
  const char *title, *why;
  double counted, formula, ns; // of a step
};

struct profile {
  struct dit_config model;
  int64_t params;
  int batch;                        // samples per step or pass, of this rank
  int ranks;                        // that share the step
  bool parts;                       // train.shard_optimizer: where there are several, the update is of a part
  struct profile_exchange exchange; // zeros of one rank, and where nothing ran
  double formula;                   // FLOPs of a step as the paper counts
  struct profile_row *rows;
  uint32_t count;
  struct profile_memory memory;
  struct profile_share shares[PROFILE_SHARES];
  double peak_flops, peak_bytes; // per second: profile_peaks(); 0: not measured
  const struct vkd_graph
      *graph;      // of the pass: forward, or forward and backward (with the update where one makes a step)
  char forms[240]; // what its nodes take, as vkd_plan_info.forms
  double begin;    // clock_seconds()
  struct profile_phase phases[PROFILE_PHASES];
  int phase_count;
  struct profile_run *timed; // [timed_count], part by part
  int timed_count;
  struct profile_graphs *graphs; // what the rows' names live in
};

// Errors: as train_model_config() and step by step; VKD_ERR_UNSUPPORTED where the device has no timestamps.
enum vkd_status profile_create(struct profile **out, const struct profile_params *params, struct vkd_error *err);

// Measures what the device can do at most (vkdm/peak.h), products in the model's precision.
enum vkd_status profile_peaks(struct profile *profile, struct vkd_device *device, struct vkd_error *err);
// The least time of so many FLOPs and bytes at these peaks, whichever takes longer; 0: not measured.
double profile_floor_ns(const struct profile *p, double flops, double bytes);
void profile_destroy(struct profile **profile); // NULL inside is fine

#endif
