// vkdit plan --next: the runs that leave the narrowest interval of a target, as a table and as a sweep.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "sweep_job.h"
#include "vkdm/fileio.h"

#define SIZES 24         // of the candidates, even in ln N before rounding
#define LENGTHS 20       // of every size, even in ln T
#define FIRST_ROW 0.2    // of a run's tokens, where it gives several rows: a fifth, past its warmup
#define DEFAULT_REACH 10 // target over the largest run, FLOPs

struct candidates {
  struct fit_candidate *at;
  int count, room;
};

// ---- the target -----------------------------------------------------------------------------------------------------

static enum vkd_status target_of(const struct plan_answer *a, struct plan_next *n, double *value,
                                 struct vkd_error *err) {
  struct fit_optimum best = {.params = n->target_params, .tokens = n->target_tokens};
  struct fit_error bad;
  if (!(n->target_params > 0)) {
    if (!(n->target_compute > 0)) n->target_compute = DEFAULT_REACH * a->law.plan.compute[1];
    if (fit_optimum_at(a->law.params, &a->family, n->target_compute, &best, &bad))
      return vkd_fail(err, VKD_ERR_INPUT, "target: %s", bad.what);
    n->target_params = best.params;
    n->target_tokens = best.tokens;
  }
  double *copy = malloc((size_t)a->sample.count * sizeof *copy);
  if (!copy) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d laws", a->sample.count);
  n->target = n->size ? best.params : fit_joint_loss(a->law.params, best.params, best.tokens);
  int laws = 0;
  for (int i = 0; i < a->sample.count; i++) {
    const double *si = a->sample.law + (size_t)i * FIT_JOINT_PARAMS;
    struct fit_optimum at;
    copy[i] = fit_joint_loss(si, best.params, best.tokens);
    if (n->size) copy[i] = fit_optimum_at(si, &a->family, n->target_compute, &at, NULL) ? NAN : at.params;
    value[i] = log(copy[i]);
    laws += isfinite(value[i]);
  }
  if (laws == a->sample.count) n->interval = fit_interval_of(copy, laws, a->law.level);
  free(copy);
  return laws == a->sample.count ? VKD_OK
                                 : vkd_fail(err, VKD_ERR_INPUT, "%d of %d resampled laws have no such target",
                                            a->sample.count - laws, a->sample.count);
}

// Standard deviations of half a normal interval.
static double width_factor(double level) {
  double low = 0, high = 10;
  for (int i = 0; i < 60; i++) {
    double middle = 0.5 * (low + high);
    if (erf(middle / sqrt(2)) < level)
      low = middle;
    else
      high = middle;
  }
  return low;
}

// ---- candidates -----------------------------------------------------------------------------------------------------

static void add(const struct plan_answer *a, const struct plan_next *n, struct candidates *c, double params,
                double tokens) {
  double cost = tokens * fit_flops_per_token(&a->family, params);
  if (c->count == c->room || !(cost <= n->budget * (1 + 1e-9))) return;
  c->at[c->count++] = (struct fit_candidate){
      .params = params, .tokens = tokens, .cost = fmin(cost, n->budget), .rows = n->rows, .from = FIRST_ROW};
}

// The nearest size that can be built; `params` itself where the depth rule gives none.
static double buildable(const struct plan_answer *a, double params) {
  struct fit_shape shape;
  return fit_shape_near(&a->family, params, &shape, NULL) ? params : shape.params;
}

// Tokens per parameter within `span` of the target's; no smaller, shorter or cheaper than the runs fitted, where the
// law is not known to hold, unless the target itself is.
static void make_candidates(const struct plan_answer *a, const struct plan_next *n, struct candidates *c) {
  const struct law_plan *plan = &a->law.plan;
  double ratio = n->target_tokens / n->target_params, last = 0;
  double low = fmin(plan->params[0], n->target_params), high = n->target_params;
  // above the size whose shortest run takes the whole budget there is nothing
  while (high > low && high * ratio / n->span * fit_flops_per_token(&a->family, high) > n->budget) high /= 1.01;
  for (int i = 0; i < SIZES; i++) {
    double params = buildable(a, low * pow(fmax(high / low, 1), i / (SIZES - 1.0)));
    if (params == last) continue;
    last = params;
    double per_token = fit_flops_per_token(&a->family, params);
    double from = params * ratio / n->span, to = fmin(params * ratio * n->span, n->budget / per_token);
    double least = fmin(fmax(plan->tokens[0], plan->compute[0] / per_token), n->target_tokens);
    from = fmax(from, least);
    for (int j = 0; j < LENGTHS && from <= to; j++) add(a, n, c, params, from * pow(to / from, j / (LENGTHS - 1.0)));
    for (int k = 2; k <= n->max_runs; k++) { // whole shares of the budget
      double tokens = n->budget / k / per_token;
      if (tokens > from && tokens < to) add(a, n, c, params, tokens);
    }
  }
}

// An equal-cost grid of `runs` runs: sizes even in ln N over those that the budget's share trains within the span.
static int make_grid(const struct plan_answer *a, const struct plan_next *n, struct candidates *c, int runs,
                     int pick[FIT_DESIGN_MAX_RUNS]) {
  double ratio = n->target_tokens / n->target_params, each = n->budget / runs, edge[2];
  int first = c->count;
  for (int side = 0; side < 2; side++) { // C(N) = per_token(N) * N * ratio rises with N
    double low = 0, high = log(1e18), r = side ? ratio / n->span : ratio * n->span;
    for (int i = 0; i < 100; i++) {
      double middle = 0.5 * (low + high), params = exp(middle);
      if (params * r * fit_flops_per_token(&a->family, params) < each)
        low = middle;
      else
        high = middle;
    }
    edge[side] = low;
  }
  for (int k = 0; k < runs; k++) {
    double params = buildable(a, exp(edge[0] + (edge[1] - edge[0]) * (k + 0.5) / runs));
    add(a, n, c, params, each / fit_flops_per_token(&a->family, params));
    if (c->count == first + k) return 0;
    pick[k] = first + k;
  }
  return runs;
}

static enum vkd_status design_status(enum fit_status status, const struct fit_error *bad, struct vkd_error *err) {
  enum vkd_status to = law_status(status, bad, err);
  return to ? vkd_error_prefix(err, "--next") : VKD_OK;
}

static enum vkd_status check(const struct plan_answer *a, struct vkd_error *err) {
  if (a->paper) return vkd_fail(err, VKD_ERR_INPUT, "--next needs the resamples of a fit; the printed laws have none");
  if (!a->sample.count || !a->law.plan.has_noise || !a->law.plan.has_range)
    return vkd_fail(err, VKD_ERR_INPUT,
                    "--next needs resamples, noise and range of the runs in the file; fit them "
                    "again with this version's `vkdit fit`, without --bootstrap 0");
  if (!(fit_noise_total(&a->law.plan.noise) > 0))
    return vkd_fail(err, VKD_ERR_INPUT, "--next: the runs follow the law without noise; nothing is left to learn");
  return VKD_OK;
}

enum vkd_status plan_next_find(const struct plan_answer *a, struct plan_next *n, struct vkd_error *err) {
  struct candidates c = {.room = (SIZES + 2) * (LENGTHS + FIT_DESIGN_MAX_RUNS) + 1};
  struct fit_error bad;
  enum vkd_status status = check(a, err);
  if (status) return status;
  double *target = malloc((size_t)a->sample.count * sizeof *target);
  c.at = malloc((size_t)c.room * sizeof *c.at);
  if (!target || !c.at) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "--next: no memory");
    goto fail;
  }
  if ((status = target_of(a, n, target, err))) {
    vkd_error_prefix(err, "--next");
    goto fail;
  }
  n->width_factor = width_factor(a->law.level);
  n->split = a->law.plan.noise.split;
  make_candidates(a, n, &c);
  if (!c.count) {
    status = vkd_fail(
        err, VKD_ERR_INPUT,
        "--next: %g FLOPs train no model of %g parameters or more on %g tokens per parameter or more (--span)",
        n->budget, fmin(a->law.plan.params[0], n->target_params), n->target_tokens / n->target_params / n->span);
    goto fail;
  }
  struct fit_design_problem p = {.sample = a->sample,
                                 .target = target,
                                 .targets = 1,
                                 .candidate = c.at,
                                 .candidates = c.count,
                                 .noise = a->law.plan.noise,
                                 .misfit = n->misfit,
                                 .params = n->target_params,
                                 .tokens = n->target_tokens,
                                 .budget = n->budget,
                                 .max_runs = n->max_runs};
  if ((status = design_status(fit_design_find(&p, &n->design, &bad), &bad, err))) goto fail;
  for (int k = 0; k < PLAN_NEXT_BASELINES; k++) {
    int pick[FIT_DESIGN_MAX_RUNS], runs = k ? 1 : n->design.count > 1 ? n->design.count : n->max_runs;
    if (!make_grid(a, n, &c, runs, pick)) continue;
    p.candidates = c.count;
    if ((status = design_status(fit_design_judge(&p, pick, runs, &n->baseline[k], &bad), &bad, err))) goto fail;
    n->has_baseline[k] = true;
    if (n->baseline[k].after < n->design.after) n->design = n->baseline[k];
  }
  for (int i = 0; i < n->design.count && !status; i++) {
    const struct fit_candidate *at = &c.at[n->design.pick[i]];
    n->cost[i] = at->cost;
    status = plan_model_at(a, at->params, at->tokens, &n->run[i], err);
  }
fail:
  free(target);
  free(c.at);
  return status;
}

// ---- told -----------------------------------------------------------------------------------------------------------

static double half(const struct plan_next *n, double sd) { return 100 * expm1(n->width_factor * sd); }

void plan_next_print(const struct plan_answer *a, const struct plan_next *n) {
  const struct fit_design *d = &n->design;
  printf("Next runs for %.5g FLOPs; target: ", n->budget);
  if (n->size)
    printf("N_opt at C = %.5g FLOPs = %.5g", n->target_compute, n->target);
  else
    printf("loss at N = %.5g, T = %.5g = %.6g", n->target_params, n->target_tokens, n->target);
  plan_print_interval(&n->interval);
  printf("\n%4s %12s %6s %6s %6s %12s %12s %12s %12s %12s\n", "run", "N", "dim", "depth", "heads", "T", "FLOPs",
         "batch", "lr", "target +-");
  printf("%4s %12s %6s %6s %6s %12s %12s %12s %12s %10.4g %%\n", "now", "", "", "", "", "", "", "", "",
         half(n, d->before));
  for (int i = 0; i < d->count; i++) {
    const struct plan_model *m = &n->run[i];
    printf("%4d %12.5g ", i + 1, m->params);
    if (m->has_shape)
      printf("%6d %6d %6d", m->shape.width, m->shape.depth, m->shape.heads);
    else
      printf("%6s %6s %6s", "-", "-", "-");
    printf(" %12.5g %12.5g", m->tokens, n->cost[i]);
    for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
      if (m->has_hyper[t])
        printf(" %12.5g", m->hyper[t]);
      else
        printf(" %12s", "-");
    }
    printf(" %10.4g %%\n", half(n, d->step[i]));
  }
  printf("Together %.5g FLOPs; expected %.0f %% interval of the target: +-%.4g %% now, +-%.4g %% after\n", d->cost,
         100 * a->law.level, half(n, d->before), half(n, d->after));
  if (n->has_baseline[0])
    printf("  an equal-cost grid of %d runs: +-%.4g %%\n", n->baseline[0].count, half(n, n->baseline[0].after));
  if (n->has_baseline[1]) printf("  all in one run: +-%.4g %%\n", half(n, n->baseline[1].after));
  if (n->rows > 1 && !n->split)
    printf("  how alike the %d losses of one run err is not known from this table; %.0f %% of the variance is taken as "
           "common\n",
           n->rows, 100 * FIT_RUN_SHARE);
  if (!a->law.hyper[FIT_HYPER_BATCH].has)
    printf("  no batch and learning rate: the law has none (vkdit fit --law all)\n");
}

json_t *plan_next_json(const struct plan_next *n) {
  json_t *to = json_object(), *target = json_object(), *runs = json_array();
  json_object_set_new(target, "what", json_string(n->size ? "size" : "loss"));
  if (n->target_compute > 0) json_object_set_new(target, "compute", json_real(n->target_compute));
  json_object_set_new(target, "params", plan_json_number(n->target_params));
  json_object_set_new(target, "tokens", plan_json_number(n->target_tokens));
  json_object_set_new(target, "value", plan_json_number(n->target));
  plan_json_interval_add(target, "interval", &n->interval);
  json_object_set_new(to, "target", target);
  json_object_set_new(to, "budget", json_real(n->budget));
  json_object_set_new(to, "cost", plan_json_number(n->design.cost));
  json_object_set_new(to, "sd_before", plan_json_number(n->design.before));
  json_object_set_new(to, "sd_after", plan_json_number(n->design.after));
  if (n->has_baseline[0]) json_object_set_new(to, "sd_after_grid", plan_json_number(n->baseline[0].after));
  if (n->has_baseline[1]) json_object_set_new(to, "sd_after_one_run", plan_json_number(n->baseline[1].after));
  for (int i = 0; i < n->design.count; i++) {
    json_t *run = plan_json_model(&n->run[i]);
    json_object_set_new(run, "sd_so_far", plan_json_number(n->design.step[i]));
    json_array_append_new(runs, run);
  }
  json_object_set_new(to, "runs", runs);
  return to;
}

// ---- the sweep ------------------------------------------------------------------------------------------------------

static void write_run(FILE *out, const struct plan_answer *a, const struct plan_next *n, int i) {
  const struct plan_model *m = &n->run[i];
  int seed = 1;
  for (int k = 0; k < i; k++) seed += n->design.pick[k] == n->design.pick[i];
  fprintf(out, "    - {name: run%d, model.dim: %d, model.depth: %d, model.heads: %d, train.tokens: %.6g", i + 1,
          m->shape.width, m->shape.depth, m->shape.heads, m->tokens);
  if (m->has_hyper[FIT_HYPER_BATCH] && a->family.n_ctx > 0)
    fprintf(out, ", train.batch: %.0f", fmax(1, round(m->hyper[FIT_HYPER_BATCH] / a->family.n_ctx)));
  if (m->has_hyper[FIT_HYPER_LR]) fprintf(out, ", train.lr: %.4g", m->hyper[FIT_HYPER_LR]);
  fprintf(out, ", train.seed: %d}\n", seed);
}

static enum vkd_status sweep_text(const struct plan_answer *a, const struct plan_next *n, const char *base, FILE *out,
                                  struct vkd_error *err) {
  fprintf(out, "# Runs chosen by vkdit plan --next %.6g: the %s at N = %.5g, T = %.5g, from +-%.3g %% to +-%.3g %%.\n",
          n->budget, n->size ? "optimal size of the budget" : "loss", n->target_params, n->target_tokens,
          half(n, n->design.before), half(n, n->design.after));
  fprintf(out, "base: %s\ntrain: {schedule: constant}\n", base);
  if (n->rows > 1)
    fprintf(out, "rows: {count: %d, from: %g}\n", n->rows, FIRST_ROW);
  else
    fprintf(out, "rows: {count: 1, from: 1}\n");
  fprintf(out, "grid:\n  run:\n");
  for (int i = 0; i < n->design.count; i++) {
    if (!n->run[i].has_shape)
      return vkd_fail(err, VKD_ERR_INPUT, "--sweep: a run of %g parameters is no model that can be built",
                      n->run[i].params);
    write_run(out, a, n, i);
  }
  return VKD_OK;
}

enum vkd_status plan_next_write_sweep(const struct plan_answer *a, const struct plan_next *n, const char *path,
                                      const char *base, struct vkd_error *err) {
  char *text = NULL;
  size_t size = 0;
  struct sweep sweep;
  FILE *out = open_memstream(&text, &size);
  if (!out) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", path);
  enum vkd_status status = sweep_text(a, n, base, out, err);
  bool whole = !ferror(out);
  if (fclose(out)) whole = false;
  if (!status && !whole) status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", path);
  struct sweep_file file = {.name = path, .text = text, .size = size};
  // what `vkdit sweep` would refuse is not written
  if (!status && !(status = sweep_file_parse(&file, "grid", NULL, 0, &sweep, err))) sweep_free(&sweep);
  if (!status) status = fileio_write_whole(path, text, size, err);
  free(text);
  return status;
}
