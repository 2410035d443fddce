// Whether chosen runs are worth more than others of the same cost, on a published table: some of its cheap rows are
// given, the rest can be "run", which reveals their measured loss; what is predicted are the most expensive rows, which
// nobody sees.  With arguments (SPLITS GIVEN CHEAP BUDGET RUNS): the experiment of docs/planning.md at full length.
#include "fit/design.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "synthetic.h"

#define TABLE "../shared/runs/epoch_chinchilla.csv"
#define EXPENSIVE 1e21 // FLOPs from which rows are predicted
#define MAX_SPLITS 1000
#define MAX_ROWS 400

enum way { NOTHING, RANDOM, GRID, LARGEST, DESIGN, WAYS };
static const char *const way_name[WAYS] = {"no further run", "random runs", "equal-cost grid", "largest runs",
                                           "design"};

struct setting {
  int splits, given, most;
  double cheap, budget; // given rows lie below `cheap` FLOPs; budget in multiples of what they cost
};

struct score {
  double error, width, cost, runs; // |mean ln(predicted/measured)|, interval of its prediction, both over the top rows
};

struct split {
  const struct fit_runs *all;
  int below, target_rows; // rows under EXPENSIVE, and above; `all` is sorted by cost
  struct fit_run given[MAX_ROWS];
  int count;
  struct fit_candidate candidate[MAX_ROWS];
  int row[MAX_ROWS], candidates; // rows of the candidates
  double params, tokens, budget, spent;
  int most;
};

static int by_cost(const void *a, const void *b) {
  double x = fit_run_flops(a), y = fit_run_flops(b);
  return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, by_value);
  return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static void split_make(struct split *s, const struct setting *set, struct prng *prng) {
  int pool[MAX_ROWS], cheap = 0;
  bool taken[MAX_ROWS] = {false};
  double n = 0, t = 0;
  while (cheap < s->below && fit_run_flops(&s->all->row[cheap]) < set->cheap) cheap++;
  for (int i = 0; i < cheap; i++) pool[i] = i;
  s->count = s->candidates = 0;
  s->spent = 0;
  for (int i = 0; i < set->given && i < cheap; i++) {
    int j = i + (int)(prng_uniform(prng) * (cheap - i)), row = pool[j];
    pool[j] = pool[i];
    taken[row] = true;
    s->given[s->count] = s->all->row[row];
    s->given[s->count].run = s->count;
    s->spent += fit_run_flops(&s->given[s->count++]);
  }
  for (int i = s->below; i < (int)s->all->count; i++) {
    n += log(s->all->row[i].params) / s->target_rows;
    t += log(s->all->row[i].tokens) / s->target_rows;
  }
  s->params = exp(n);
  s->tokens = exp(t);
  s->budget = set->budget * s->spent;
  s->most = set->most;
  for (int i = 0; i < s->below; i++) {
    const struct fit_run *r = &s->all->row[i];
    double ratio = r->tokens / r->params / (s->tokens / s->params);
    if (taken[i] || ratio > FIT_DEFAULT_SPAN || ratio < 1 / FIT_DEFAULT_SPAN) continue;
    s->row[s->candidates] = i;
    s->candidate[s->candidates++] = (struct fit_candidate){r->params, r->tokens, fit_run_flops(r), 1, 0};
  }
}

// ln loss of the rows to predict by a law, and by its side what was measured.
static double predict(const struct split *s, const double *si, bool against_measured) {
  double sum = 0;
  for (int i = s->below; i < (int)s->all->count; i++) {
    const struct fit_run *r = &s->all->row[i];
    double loss = fit_joint_loss(si, r->params, r->tokens);
    sum += log(against_measured ? loss / r->loss : loss) / s->target_rows;
  }
  return sum;
}

static int pick_random(const struct split *s, struct prng *prng, int *pick) {
  double left = s->budget;
  bool used[MAX_ROWS] = {false};
  int count = 0;
  while (count < s->most) {
    int open[MAX_ROWS], n = 0;
    for (int c = 0; c < s->candidates; c++)
      if (!used[c] && s->candidate[c].cost <= left) open[n++] = c;
    if (!n) break;
    int c = open[(int)(prng_uniform(prng) * n)];
    used[c] = true;
    left -= s->candidate[c].cost;
    pick[count++] = c;
  }
  return count;
}

static int pick_largest(const struct split *s, int *pick) {
  double left = s->budget;
  int count = 0;
  for (int c = s->candidates - 1; c >= 0 && count < s->most; c--) {
    if (s->candidate[c].cost > left) continue;
    left -= s->candidate[c].cost;
    pick[count++] = c;
  }
  return count;
}

// Runs of equal cost, sizes even in ln N: for each the nearest row that can be had and fits what is left.
static int pick_grid(const struct split *s, int *pick) {
  double each = s->budget / s->most, low = INFINITY, high = 0, left = s->budget;
  bool used[MAX_ROWS] = {false};
  int count = 0;
  for (int c = 0; c < s->candidates; c++) {
    const struct fit_candidate *at = &s->candidate[c];
    if (at->cost > each || at->cost < each / 4) continue;
    low = fmin(low, at->params);
    high = fmax(high, at->params);
  }
  for (int k = 0; k < s->most && high > 0; k++) {
    double params = low * pow(high / low, (k + 0.5) / s->most), tokens = each / (6 * params), nearest = INFINITY;
    int best = -1;
    for (int c = 0; c < s->candidates; c++) {
      double far = hypot(log(s->candidate[c].params / params), log(s->candidate[c].tokens / tokens));
      if (used[c] || s->candidate[c].cost > left || !(far < nearest)) continue;
      nearest = far;
      best = c;
    }
    if (best < 0) break;
    used[best] = true;
    left -= s->candidate[best].cost;
    pick[count++] = best;
  }
  return count;
}

static int pick_design(const struct split *s, const struct fit_runs *given, const struct fit_solution *fit,
                       const struct fit_sample *sample, int *pick) {
  struct fit_design d;
  struct fit_error err;
  struct fit_design_problem p = {.sample = *sample,
                                 .targets = 1,
                                 .candidate = s->candidate,
                                 .candidates = s->candidates,
                                 .misfit = FIT_DEFAULT_MISFIT,
                                 .params = s->params,
                                 .tokens = s->tokens,
                                 .budget = s->budget,
                                 .max_runs = s->most,
                                 .once = true};
  double *target = malloc((size_t)sample->count * sizeof *target);
  if (!target) abort();
  for (int i = 0; i < sample->count; i++) target[i] = predict(s, sample->law + (size_t)i * FIT_JOINT_PARAMS, false);
  p.target = target;
  bool good = !fit_noise_estimate(given, fit, &p.noise, &err) && !fit_design_find(&p, &d, &err);
  CHECK(good, "%s", err.what);
  free(target);
  if (!good) return 0;
  memcpy(pick, d.pick, (size_t)d.count * sizeof *pick);
  return d.count;
}

// Fits the given rows and the chosen ones.
static bool score_of(const struct split *s, const int *pick, int count, int replicates, struct score *out) {
  struct fit_run row[MAX_ROWS];
  struct fit_runs runs = {.row = row, .count = (size_t)(s->count + count), .clusters = s->count + count};
  struct fit_solution fit;
  struct fit_bootstrap b;
  struct fit_error err;
  *out = (struct score){.runs = count};
  memcpy(row, s->given, (size_t)s->count * sizeof *row);
  for (int i = 0; i < count; i++) {
    row[s->count + i] = s->all->row[s->row[pick[i]]];
    row[s->count + i].run = s->count + i;
    out->cost += s->candidate[pick[i]].cost / s->budget;
  }
  if (fit_solve(&runs, NULL, &fit, &err) || fit_bootstrap(&runs, NULL, &fit, replicates, 0.9, 2, 0, &b, &err))
    return false;
  int laws = b.replicates - b.failed;
  double *value = malloc((size_t)laws * sizeof *value);
  if (!value) abort();
  for (int i = 0; i < laws; i++) value[i] = predict(s, b.sample + (size_t)i * FIT_JOINT_PARAMS, false);
  struct fit_interval interval = fit_interval_of(value, laws, 0.9);
  out->error = fabs(predict(s, fit.params, true));
  out->width = interval.high - interval.low;
  free(value);
  fit_bootstrap_free(&b);
  return true;
}

static bool split_run(struct split *s, struct prng *prng, int replicates, struct score out[WAYS]) {
  struct fit_runs given = {.row = s->given, .count = (size_t)s->count, .clusters = s->count};
  struct fit_solution fit;
  struct fit_bootstrap b;
  struct fit_error err;
  if (fit_solve(&given, NULL, &fit, &err) || fit_bootstrap(&given, NULL, &fit, replicates, 0.9, 1, 0, &b, &err))
    return false;
  struct fit_sample sample = fit_bootstrap_sample(&b);
  bool good = true;
  for (int w = 0; w < WAYS && good; w++) {
    int pick[MAX_ROWS], count = w == RANDOM    ? pick_random(s, prng, pick)
                                : w == GRID    ? pick_grid(s, pick)
                                : w == LARGEST ? pick_largest(s, pick)
                                : w == DESIGN  ? pick_design(s, &given, &fit, &sample, pick)
                                               : 0;
    good = score_of(s, pick, count, replicates, &out[w]);
    CHECK(out[w].cost <= 1 + 1e-9, "%s costs %g of the budget", way_name[w], out[w].cost);
  }
  fit_bootstrap_free(&b);
  return good;
}

static void experiment(const struct fit_runs *all, const struct setting *set, int replicates, double width[WAYS]) {
  static struct score score[MAX_SPLITS][WAYS];
  static struct split s;
  struct prng prng = {88172645463325252u};
  int done = 0;
  s.all = all;
  while (s.below < (int)all->count && fit_run_flops(&all->row[s.below]) <= EXPENSIVE) s.below++;
  s.target_rows = (int)all->count - s.below;
  for (int i = 0; i < set->splits; i++) {
    split_make(&s, set, &prng);
    done += split_run(&s, &prng, replicates, score[done]);
  }
  CHECK(done >= set->splits - set->splits / 10, "%d of %d splits", done, set->splits);
  printf(
      "%d splits: %d rows below %g FLOPs, %g times their cost for at most %d runs; medians over the %d rows above %g\n",
      done, set->given, set->cheap, set->budget, set->most, s.target_rows, EXPENSIVE);
  for (int w = 0; w < WAYS; w++) {
    double value[4][MAX_SPLITS];
    int narrower = 0, nearer = 0;
    for (int i = 0; i < done; i++) {
      const struct score *at = &score[i][w];
      value[0][i] = at->width;
      value[1][i] = at->error;
      value[2][i] = at->cost;
      value[3][i] = at->runs;
      narrower += score[i][DESIGN].width < at->width;
      nearer += score[i][DESIGN].error < at->error;
    }
    width[w] = median(value[0], done);
    printf("  %-16s interval %.3f %%  error %.3f %%  of the budget %.2f  runs %.0f", way_name[w], 100 * width[w],
           100 * median(value[1], done), median(value[2], done), median(value[3], done));
    if (w != DESIGN)
      printf("; the design is narrower in %.0f %%, nearer in %.0f %%", 100.0 * narrower / done, 100.0 * nearer / done);
    printf("\n");
  }
}

int main(int argc, char **argv) {
  struct fit_runs all;
  struct fit_error err;
  struct setting set = {20, 30, 8, 1e20, 1};
  double width[WAYS];
  if (fit_runs_read(TABLE, &all, &err)) {
    printf("skipped: %s\n", err.what);
    return 77;
  }
  if (argc == 6)
    set = (struct setting){atoi(argv[1]) < MAX_SPLITS ? atoi(argv[1]) : MAX_SPLITS, atoi(argv[2]), atoi(argv[5]),
                           atof(argv[3]), atof(argv[4])};
  qsort(all.row, all.count, sizeof *all.row, by_cost);
  experiment(&all, &set, argc == 6 ? 100 : 40, width);
  CHECK(width[DESIGN] < width[RANDOM], "no better than random runs: %g, %g", width[DESIGN], width[RANDOM]);
  CHECK(width[DESIGN] < width[GRID], "no better than a grid: %g, %g", width[DESIGN], width[GRID]);
  fit_runs_free(&all);
  return check_done();
}
