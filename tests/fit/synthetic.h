// Runs tables with a known law, from a seeded generator of the tests' own.
#ifndef VKD_TEST_FIT_SYNTHETIC_H
#define VKD_TEST_FIT_SYNTHETIC_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "fit/laws.h"
#include "fit/runs.h"

// The paper's joint law, printed with N and T in billions, in SI units.
static inline void paper_law(double si[FIT_JOINT_PARAMS]) {
  si[FIT_E] = 0.4856;
  si[FIT_ALPHA] = 0.3188;
  si[FIT_BETA] = 0.2917;
  si[FIT_A] = 0.0082 * pow(1e9, si[FIT_ALPHA]);
  si[FIT_B] = 0.0373 * pow(1e9, si[FIT_BETA]);
}

struct prng {
  uint64_t state;
};

static inline double prng_uniform(struct prng *p) { // xorshift64*, in (0, 1)
  p->state ^= p->state >> 12;
  p->state ^= p->state << 25;
  p->state ^= p->state >> 27;
  return ((double)((p->state * 0x2545f4914f6cdd1du) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double prng_normal(struct prng *p) {
  return sqrt(-2 * log(prng_uniform(p))) * cos(6.283185307179586 * prng_uniform(p));
}

// sizes x checkpoints rows, sizes spread over 1e7 .. 3e9 and tokens over 1e9 .. 1e11; `noise` in log units, of which
// the half is common to all rows of a run.  Every size is one run.  The caller frees it with fit_runs_free().
static inline struct fit_runs synthetic_runs(const double si[FIT_JOINT_PARAMS], int sizes, int checkpoints,
                                             double noise, uint64_t seed) {
  struct fit_runs runs = {.rows = (size_t)(sizes * checkpoints), .clusters = sizes, .has_run = true};
  struct prng prng = {seed * 2654435761u + 88172645463325252u};
  runs.row = calloc(runs.rows, sizeof *runs.row);
  if (!runs.row) abort();
  for (int s = 0; s < sizes; s++) {
    double params = 1e7 * pow(300, (s + 0.5 * prng_uniform(&prng)) / sizes), common = prng_normal(&prng);
    for (int c = 0; c < checkpoints; c++) {
      double tokens = 1e9 * pow(100, (c + prng_uniform(&prng)) / checkpoints);
      double error = noise * sqrt(0.5) * (common + prng_normal(&prng));
      runs.row[runs.count++] = (struct fit_run){.params = params,
                                                .tokens = tokens,
                                                .loss = fit_joint_loss(si, params, tokens) * exp(error),
                                                .flops = NAN,
                                                .batch_tokens = NAN,
                                                .lr = NAN,
                                                .seed = NAN,
                                                .steps = NAN,
                                                .run = s,
                                                .line = (long)runs.count + 2};
    }
  }
  return runs;
}

// The same sizes and tokens, but every row is a run of its own: its noise is its own.
static inline struct fit_runs synthetic_grid(const double si[FIT_JOINT_PARAMS], int sizes, int budgets, double noise,
                                             uint64_t seed) {
  struct fit_runs runs = synthetic_runs(si, sizes, budgets, 0, seed);
  struct prng prng = {seed * 0x9e3779b97f4a7c15u + 1};
  for (int i = 0; i < 20; i++) prng_uniform(&prng); // small seeds start alike
  for (size_t i = 0; i < runs.count; i++) {
    runs.row[i].loss *= exp(noise * prng_normal(&prng));
    runs.row[i].run = (int)i;
  }
  runs.clusters = (int)runs.count;
  runs.has_run = false;
  return runs;
}

#endif
