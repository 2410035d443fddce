// Tables of bowls with a known vertex, from the tests' own generator.
#ifndef VKD_TEST_FIT_BOWLS_H
#define VKD_TEST_FIT_BOWLS_H

#include "fit/hyper.h"
#include "synthetic.h"

// One bowl: ln(loss) = ln(loss) + 1/2 (x - vertex)' H (x - vertex), x = (ln B, ln lr).
struct bowl_truth {
  double params, tokens, batch, lr, loss;
  double h[3]; // as fit_bowl.hessian
};

// Adds batches x rates runs, in steps of `step` in ln, from (first_batch, first_rate) upwards; noise in ln(loss).
static inline void bowl_runs(struct fit_runs *runs, const struct bowl_truth *b, double first_batch, int batches,
                             double first_rate, int rates, double step, double noise, struct prng *prng) {
  runs->row = realloc(runs->row, (runs->count + (size_t)(batches * rates)) * sizeof *runs->row);
  if (!runs->row) abort();
  for (int i = 0; i < batches; i++)
    for (int j = 0; j < rates; j++) {
      double batch = first_batch * exp(i * step), lr = first_rate * exp(j * step);
      double x = log(batch / b->batch), y = log(lr / b->lr);
      double far = b->h[0] * x * x / 2 + b->h[1] * x * y + b->h[2] * y * y / 2;
      runs->row[runs->count++] = (struct fit_run){.params = b->params,
                                                  .tokens = b->tokens,
                                                  .loss = b->loss * exp(far + noise * prng_normal(prng)),
                                                  .batch_tokens = batch,
                                                  .lr = lr,
                                                  .flops = NAN,
                                                  .seed = NAN,
                                                  .steps = NAN,
                                                  .run = runs->clusters++,
                                                  .line = (long)runs->count + 2};
    }
  runs->rows = runs->count;
}

// sizes x budgets cells with vertices on known laws, off by `scatter` in ln, on a grid of 10 x 10.
static inline struct fit_runs bowl_table(const double batch_law[FIT_HYPER_COUNT], const double lr_law[FIT_HYPER_COUNT],
                                         int sizes, int budgets, double noise, double scatter, struct prng *prng) {
  struct fit_runs runs = {0};
  for (int i = 0; i < sizes; i++)
    for (int j = 0; j < budgets; j++) {
      double n = 5e7 * pow(2.5, i), t = 4e9 * pow(2.2, j + 0.3 * i), u = prng_uniform(prng);
      struct bowl_truth b = {.params = n,
                             .tokens = t,
                             .batch = batch_law[FIT_HYPER_K] * pow(t, batch_law[FIT_HYPER_TOKENS]) *
                                      pow(n, batch_law[FIT_HYPER_PARAMS]) * exp(scatter * prng_normal(prng)),
                             .lr = lr_law[FIT_HYPER_K] * pow(t, lr_law[FIT_HYPER_TOKENS]) *
                                   pow(n, lr_law[FIT_HYPER_PARAMS]) * exp(scatter * prng_normal(prng)),
                             .loss = 1.5 + 400 * pow(n, -0.35) + 2000 * pow(t, -0.37),
                             .h = {0.008 + 0.006 * u, -0.006 * u, 0.014}};
      bowl_runs(&runs, &b, b.batch * exp(-1.6 + 0.4 * prng_uniform(prng)), 10,
                b.lr * exp(-1.6 + 0.4 * prng_uniform(prng)), 10, 0.34657359, noise, prng);
    }
  return runs;
}

#endif
