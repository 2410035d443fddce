#include "hyper_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lsq.h"
#include "stats.h"

#define HUBER 1.345        // residuals over their error, at which 95 % of the efficiency on normal errors is kept
#define HUBER_SHARE 0.8214 // E[min(z^2, 1.345*|z|)] = erf(1.345/sqrt(2)) of a standard normal z
#define EFFICIENCY 0.95
#define LEAST_VARIANCE 1e-12 // of a vertex in ln: an exact table has none, and division needs one
#define SCATTER_STEP 1e-4    // to which the variance between cells is found: it moves a law by 1e-4 of its error or so
#define ROUNDS 50            // of reweighting; it ends sooner where the weights stay

const char *const fit_hyper_target_name[FIT_HYPER_TARGETS] = {"batch", "lr"};
const char *const fit_hyper_param_name[FIT_HYPER_COUNT] = {"k", "tokens_exp", "params_exp"};

const char *fit_hyper_refusal_text(enum fit_hyper_refusal refusal) {
  static const char *const text[] = {"fitted",
#define X(code, words) words,
                                     FIT_HYPER_REFUSAL_MAP(X)
#undef X
  };
  return (unsigned)refusal < FIT_HYPER_REFUSAL_COUNT ? text[refusal] : "unknown";
}

double fit_hyper_at(const struct fit_hyper_law *law, double params, double tokens) {
  const double *p = law->param;
  return p[FIT_HYPER_K] * pow(tokens, p[FIT_HYPER_TOKENS]) * pow(params, p[FIT_HYPER_PARAMS]);
}

double fit_hyper_sd(const struct fit_hyper_law *law, double params, double tokens) {
  const double at[FIT_HYPER_COUNT] = {1, log(tokens) - law->centre_tokens, log(params) - law->centre_params};
  double sum = 0;
  for (int j = 0; j < FIT_HYPER_COUNT; j++)
    for (int k = 0; k < FIT_HYPER_COUNT; k++) sum += at[j] * law->cov[j * FIT_HYPER_COUNT + k] * at[k];
  return sqrt(sum);
}

struct fit_hyper_point fit__hyper_point(const struct fit_cell *cell, const struct fit_bowl *bowl, double weight) {
  return (struct fit_hyper_point){.t = log(cell->tokens),
                                  .n = log(cell->params),
                                  .y = {log(bowl->batch), log(bowl->lr)},
                                  .var = {bowl->sd_batch * bowl->sd_batch, bowl->sd_lr * bowl->sd_lr},
                                  .weight = weight};
}

// A log-linear problem made ready: the free columns of 1, ln T, ln N (centred), less what is held.
struct problem {
  int count, columns;
  int param[FIT_HYPER_COUNT];   // of the columns
  double *x, *y, *var, *weight; // [count][columns], [count] each
  double *use;                  // [count]: weights of one round
  double total;
};

// Starts from beta where `warm`.
static bool reweighted(const struct problem *p, double scatter, bool warm, double *beta, double *inverse, double *sum) {
  double rss;
  if (!warm) memset(beta, 0, FIT_HYPER_COUNT * sizeof *beta);
  for (int round = 0; round < ROUNDS; round++) {
    double moved = 0;
    *sum = 0;
    for (int i = 0; i < p->count; i++) {
      double error = sqrt(p->var[i] + scatter), r = p->y[i], share = 1;
      for (int j = 0; j < p->columns; j++) r -= p->x[i * p->columns + j] * beta[j];
      if ((round || warm) && fabs(r) > HUBER * error) share = HUBER * error / fabs(r);
      double use = p->weight[i] * share / (error * error);
      moved = fmax(moved, round ? fabs(use - p->use[i]) * error * error : 1);
      p->use[i] = use;
      *sum += use * r * r;
    }
    if (moved < 1e-7) break;
    if (!fit__least_squares(p->x, p->y, p->use, (size_t)p->count, p->columns, beta, inverse, &rss)) return false;
  }
  return true;
}

// The scatter at which the residuals are as large as their errors say.
static bool solve_robust(const struct problem *p, double floor, double *scatter, double *beta, double *inverse) {
  double want = HUBER_SHARE * (p->total - p->columns), sum, low = floor, high = fmax(floor, 1e-6);
  if (!reweighted(p, floor, false, beta, inverse, &sum)) return false;
  *scatter = floor;
  if (sum <= want) return true;
  do {
    high *= 4;
    if (!reweighted(p, high, true, beta, inverse, &sum)) return false;
  } while (sum > want && high < 1e6);
  while (high > low * (1 + SCATTER_STEP)) {
    *scatter = sqrt(low * high);
    if (!reweighted(p, *scatter, true, beta, inverse, &sum)) return false;
    *(sum > want ? &low : &high) = *scatter;
  }
  return true;
}

static double median_variance(const struct problem *p, double *work) {
  memcpy(work, p->var, (size_t)p->count * sizeof *work);
  qsort(work, (size_t)p->count, sizeof *work, fit__by_value);
  return work[p->count / 2];
}

static bool differ(const struct fit_hyper_point *p, int count, bool tokens) {
  for (int i = 1; i < count; i++)
    if (fabs(tokens ? p[i].t - p[0].t : p[i].n - p[0].n) > FIT_CELL_TOLERANCE) return true;
  return false;
}

// Parameters, errors and the covariance from the columns' solution.
static void fill(struct fit_hyper_law *out, const struct problem *p, const double *beta, const double *inverse,
                 double variance, const double held[FIT_HYPER_COUNT]) {
  double value[FIT_HYPER_COUNT], shift[FIT_HYPER_COUNT] = {1, -out->centre_tokens, -out->centre_params}, square = 0;
  memcpy(value, held, sizeof value);
  for (int j = 0; j < p->columns; j++) {
    value[p->param[j]] = beta[j];
    for (int k = 0; k < p->columns; k++)
      out->cov[p->param[j] * FIT_HYPER_COUNT + p->param[k]] = variance * inverse[j * p->columns + k];
  }
  for (int j = 0; j < FIT_HYPER_COUNT; j++) {
    for (int k = 0; k < FIT_HYPER_COUNT; k++) square += shift[j] * out->cov[j * FIT_HYPER_COUNT + k] * shift[k];
    out->param[j] = value[j];
    out->sd[j] = sqrt(out->cov[j * FIT_HYPER_COUNT + j]);
  }
  out->param[FIT_HYPER_K] = exp(value[FIT_HYPER_K] - value[FIT_HYPER_TOKENS] * out->centre_tokens -
                                value[FIT_HYPER_PARAMS] * out->centre_params);
  out->sd[FIT_HYPER_K] = sqrt(square);
}

// Chooses the columns, centres, and moves what is held to the left side.
static void make_ready(struct problem *q, const struct fit_hyper_point *p, int count, enum fit_hyper_target target,
                       const bool hold[FIT_HYPER_COUNT], const double held[FIT_HYPER_COUNT],
                       struct fit_hyper_law *out) {
  q->count = count;
  for (int j = 0; j < FIT_HYPER_COUNT; j++)
    if (!hold[j]) q->param[q->columns++] = j;
  for (int i = 0; i < count; i++) q->total += p[i].weight;
  for (int i = 0; i < count; i++) {
    out->centre_tokens += p[i].weight * p[i].t / q->total;
    out->centre_params += p[i].weight * p[i].n / q->total;
  }
  for (int i = 0; i < count; i++) {
    const double row[FIT_HYPER_COUNT] = {1, p[i].t - out->centre_tokens, p[i].n - out->centre_params};
    q->y[i] = p[i].y[target];
    for (int j = 0; j < FIT_HYPER_COUNT; j++) q->y[i] -= hold[j] ? held[j] * row[j] : 0;
    for (int j = 0; j < q->columns; j++) q->x[i * q->columns + j] = row[q->param[j]];
    q->var[i] = fmax(p[i].var[target], LEAST_VARIANCE);
    q->weight[i] = p[i].weight;
  }
}

bool fit__hyper_law(const struct fit_hyper_point *p, int count, const struct fit_hyper_options *options,
                    enum fit_hyper_target target, bool robust, struct fit_hyper_law *out) {
  static const struct fit_hyper_options defaults;
  const struct fit_hyper_options *o = options ? options : &defaults;
  const bool hold[FIT_HYPER_COUNT] = {false, o->hold_tokens[target], o->hold_params[target]};
  const double held[FIT_HYPER_COUNT] = {0, hold[FIT_HYPER_TOKENS] ? o->tokens_exp[target] : 0,
                                        hold[FIT_HYPER_PARAMS] ? o->params_exp[target] : 0};
  double beta[FIT_HYPER_COUNT], inverse[FIT_HYPER_COUNT * FIT_HYPER_COUNT], rss;
  *out = (struct fit_hyper_law){.points = count};
  if (count < FIT_HYPER_COUNT + 1 - hold[FIT_HYPER_TOKENS] - hold[FIT_HYPER_PARAMS])
    out->refusal = FIT_HYPER_REFUSED_FEW_CELLS;
  else if (!hold[FIT_HYPER_PARAMS] && !differ(p, count, false))
    out->refusal = FIT_HYPER_REFUSED_ONE_SIZE;
  else if (!hold[FIT_HYPER_TOKENS] && !differ(p, count, true))
    out->refusal = FIT_HYPER_REFUSED_ONE_BUDGET;
  if (out->refusal) return true;
  double *work = malloc((size_t)count * (FIT_HYPER_COUNT + 4) * sizeof *work);
  if (!work) return false;
  struct problem q = {.x = work,
                      .y = work + count * FIT_HYPER_COUNT,
                      .var = work + count * (FIT_HYPER_COUNT + 1),
                      .weight = work + count * (FIT_HYPER_COUNT + 2),
                      .use = work + count * (FIT_HYPER_COUNT + 3)};
  make_ready(&q, p, count, target, hold, held, out);
  if (robust) {
    double floor = median_variance(&q, q.use) / 4, scatter = 0;
    if (!solve_robust(&q, floor, &scatter, beta, inverse)) out->refusal = FIT_HYPER_REFUSED_TIED;
    out->scatter = sqrt(scatter);
    if (!out->refusal) {
      // errors from the weights without the outliers' discount, over the efficiency that it costs
      double again[FIT_HYPER_COUNT];
      for (int i = 0; i < count; i++) q.use[i] = q.weight[i] / (q.var[i] + scatter);
      fit__least_squares(q.x, q.y, q.use, (size_t)count, q.columns, again, inverse, &rss);
      fill(out, &q, beta, inverse, 1 / EFFICIENCY, held);
    }
  } else if (!fit__least_squares(q.x, q.y, q.weight, (size_t)count, q.columns, beta, inverse, &rss)) {
    out->refusal = FIT_HYPER_REFUSED_TIED;
  } else {
    out->scatter = sqrt(rss / (q.total - q.columns));
    fill(out, &q, beta, inverse, out->scatter * out->scatter, held);
  }
  free(work);
  return true;
}
