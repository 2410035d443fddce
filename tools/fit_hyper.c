#include "fit_hyper.h"

#include <math.h>
#include <stdio.h>

#include "law_json.h"

static enum vkd_status no_optimum(const struct fit_hyper *h, struct vkd_error *err) {
  int times[FIT_REFUSAL_COUNT] = {0}, most = FIT_ACCEPTED;
  for (int i = 0; i < h->count; i++) times[h->cell[i].bowl.refusal]++;
  for (int r = 0; r < FIT_REFUSAL_COUNT; r++)
    if (times[r] > times[most]) most = r;
  return vkd_fail(err, VKD_ERR_INPUT,
                  "no optimum in any of %d (params, tokens) cells; %d of them: %s (window %.3g %%, `--window`)",
                  h->count, times[most], fit_refusal_text((enum fit_refusal)most), 100 * h->window);
}

enum vkd_status hyper_run(const struct fit_runs *runs, const struct hyper_job *job, struct hyper_result *out,
                          struct vkd_error *err) {
  struct fit_error bad;
  *out = (struct hyper_result){0};
  enum fit_status status = fit_hyper_fit(runs, &job->options, &out->fit, &bad);
  if (status) return law_status(status, &bad, err);
  if (!out->fit.accepted) {
    enum vkd_status refused = no_optimum(&out->fit, err);
    hyper_free(out);
    return refused;
  }
  if (job->bootstrap) {
    status = fit_hyper_resample(runs, &job->options, &out->fit, job->bootstrap, job->level, job->seed, &out->bootstrap,
                                &bad);
    out->has_bootstrap = !status;
    if (status) snprintf(out->bootstrap_note, sizeof out->bootstrap_note, "%s", bad.what);
  }
  if (job->compare.budgets) {
    struct fit_compare_options compare = job->compare;
    compare.replicates = job->bootstrap;
    compare.level = job->level;
    compare.seed = job->seed;
    status = job->optimal ? fit_compare_pairs(job->optimal, job->fixed, &compare, &out->compare, &bad)
                          : fit_compare_fixed(runs, &out->fit, &compare, &out->compare, &bad);
    out->has_compare = !status;
    if (status) snprintf(out->compare_note, sizeof out->compare_note, "%s", bad.what);
  }
  return VKD_OK;
}

void hyper_free(struct hyper_result *r) {
  fit_hyper_free(&r->fit);
  fit_hyper_bootstrap_free(&r->bootstrap);
  *r = (struct hyper_result){0};
}

#define MOST_CELLS 60 // printed one by one

static void print_refusals(const struct fit_hyper *h) {
  int times[FIT_REFUSAL_COUNT] = {0};
  for (int i = 0; i < h->count; i++) times[h->cell[i].bowl.refusal]++;
  for (int r = FIT_ACCEPTED + 1; r < FIT_REFUSAL_COUNT; r++)
    if (times[r]) printf("  %d refused: %s\n", times[r], fit_refusal_text((enum fit_refusal)r));
}

static void print_cells(const struct fit_hyper *h) {
  printf(
      "Best batch (tokens) and learning rate of %d (params, tokens) cells, runs within %.3g %% of the cell's best:\n",
      h->count, 100 * h->window);
  printf("  %10s %10s  %9s  %11s %6s  %11s %6s  %9s %8s  %8s\n", "params", "tokens", "runs used", "batch", "+-", "lr",
         "+-", "loss", "+-", "regret");
  for (int i = 0; i < h->count && i < MOST_CELLS; i++) {
    const struct fit_hyper_cell *c = &h->cell[i];
    const struct fit_bowl *b = &c->bowl;
    printf("  %10.5g %10.5g  %4zu/%-4zu  ", c->cell.params, c->cell.tokens, b->used, b->rows);
    if (b->refusal)
      printf("refused: %s\n", fit_refusal_text(b->refusal));
    else if (isnan(c->regret))
      printf("%11.6g %4.1f %%  %11.6g %4.1f %%  %9.6g %6.3f %%\n", b->batch, 100 * b->sd_batch, b->lr, 100 * b->sd_lr,
             b->loss, 100 * b->sd_loss);
    else
      printf("%11.6g %4.1f %%  %11.6g %4.1f %%  %9.6g %6.3f %%  %6.3f %%\n", b->batch, 100 * b->sd_batch, b->lr,
             100 * b->sd_lr, b->loss, 100 * b->sd_loss, 100 * c->regret);
  }
  if (h->count > MOST_CELLS) {
    printf("  and %d more, all in law.json\n", h->count - MOST_CELLS);
    print_refusals(h);
  }
  if (h->without) printf("  %zu rows have no batch_tokens or lr and are in no cell\n", h->without);
}

static void print_law(const char *name, const struct fit_hyper_law *law) {
  if (law->refusal)
    printf("  %-6s no law: %s\n", name, fit_hyper_refusal_text(law->refusal));
  else
    printf("  %-6s = %.6g * T^%.6f * N^%.6f\n", name, law->param[FIT_HYPER_K], law->param[FIT_HYPER_TOKENS],
           law->param[FIT_HYPER_PARAMS]);
}

static void print_laws(const struct hyper_result *r) {
  static const char *const name[FIT_HYPER_COUNT] = {"ln k", "tokens_exp", "params_exp"};
  const struct fit_hyper *h = &r->fit;
  const struct fit_hyper_bootstrap *b = &r->bootstrap;
  printf("Hyperparameter laws of %d accepted cells (SI: tokens, parameters)\n", h->accepted);
  if (h->one_batch)
    printf("  batch  %.6g tokens in all runs; which one is best, they do not say\n", h->cell[0].bowl.batch);
  for (int t = h->one_batch ? FIT_HYPER_LR : FIT_HYPER_BATCH; t < FIT_HYPER_TARGETS; t++) {
    const struct fit_hyper_law *law = &h->law[t];
    print_law(fit_hyper_target_name[t], law);
    for (int j = 0; !law->refusal && j < FIT_HYPER_COUNT; j++) {
      printf("    %-10s %10.6f +- %.6f", name[j], j ? law->param[j] : log(law->param[j]), law->sd[j]);
      if (r->has_bootstrap)
        printf("  [%.6f, %.6f]", j ? b->param[t][j].low : log(b->param[t][j].low),
               j ? b->param[t][j].high : log(b->param[t][j].high));
      printf("\n");
    }
    if (!law->refusal) printf("    cells scatter by %.3g %% about it\n", 100 * law->scatter);
  }
  if (r->has_bootstrap)
    printf("  %.0f %% intervals from %d resamples of %d groups of %s (%d more gave no law)\n", 100 * b->level,
           b->replicates - b->failed, b->groups,
           b->rows_only ? "cells: too few of them, so runs within cells; the scatter between cells is left out"
                        : "cells",
           b->failed);
  if (r->bootstrap_note[0]) printf("  no intervals: %s\n", r->bootstrap_note);
  if (!isnan(h->mean_regret))
    printf("  regret (the run nearest to the law, over the cell's best): mean %.3f %%, worst %.3f %%\n",
           100 * h->mean_regret, 100 * h->worst_regret);
  if (!isnan(h->mean_regret_out))
    printf("  the same, each size by the law of the others:              mean %.3f %%, worst %.3f %%\n",
           100 * h->mean_regret_out, 100 * h->worst_regret_out);
  printf("For comparison, least squares on the %d runs within %.2f %% of their cell's best:\n", h->near[0].points,
         100 * FIT_NEAR_BEST);
  for (int t = h->one_batch ? FIT_HYPER_LR : FIT_HYPER_BATCH; t < FIT_HYPER_TARGETS; t++)
    print_law(fit_hyper_target_name[t], &h->near[t]);
}

static void print_windows(const struct fit_hyper *h) {
  printf("What the window does:\n");
  printf("  %8s %6s  %10s %10s  %10s %10s  %s\n", "window", "cells", "batch T^", "N^", "lr T^", "N^",
         "regret mean, worst");
  for (int w = 0; w < FIT_HYPER_WINDOWS; w++) {
    const struct fit_hyper_window *at = &h->at[w];
    const struct fit_hyper_law *b = &at->law[FIT_HYPER_BATCH], *l = &at->law[FIT_HYPER_LR];
    printf("  %6.3g %% %6d  ", 100 * at->window, at->accepted);
    if (b->refusal || l->refusal)
      printf("no law: %s\n", fit_hyper_refusal_text(b->refusal ? b->refusal : l->refusal));
    else
      printf("%10.6f %10.6f  %10.6f %10.6f  %.3f %%, %.3f %%\n", b->param[FIT_HYPER_TOKENS], b->param[FIT_HYPER_PARAMS],
             l->param[FIT_HYPER_TOKENS], l->param[FIT_HYPER_PARAMS], 100 * at->mean_regret, 100 * at->worst_regret);
  }
}

static void print_saving(const char *what, double share, const struct fit_interval *interval, bool has_interval) {
  printf("    %s: ", what);
  if (isnan(share)) {
    printf("none; the optimal law never has that loss\n");
    return;
  }
  printf("%.5g %%", 100 * share);
  if (has_interval && isnan(interval->low))
    printf("  (no interval: most resamples give no answer)");
  else if (has_interval)
    printf("  [%.5g, %.5g]%s", 100 * interval->low, 100 * interval->high,
           interval->low <= 0 && interval->high >= 0 ? "  holds 0: these runs do not tell" : "");
  printf("\n");
}

static void print_compare(const struct fit_compare *c) {
  const struct {
    const char *name;
    const struct fit_solution *s;
  } law[] = {{"optimal", &c->optimal}, {"fixed", &c->fixed}};
  printf("Fixed against optimal hyperparameters, on the same %d cells (batch %.6g, lr %.6g%s)\n", c->cells, c->batch,
         c->lr, c->chosen ? ": the pair that most cells have" : "");
  if (c->far) printf("  %d accepted cells have no run near that pair and are left out\n", c->far);
  printf("  the fixed runs lie above %s by %.3f %% on average, %.3f %% at worst\n",
         c->by_law ? "those at the laws' pairs" : "their cell's optimum", 100 * c->mean_excess, 100 * c->worst_excess);
  for (int i = 0; i < 2; i++) {
    const double *p = law[i].s->params;
    printf("  %-8s L(N,T) = %.6g + %.6g*N^-%.6g + %.6g*T^-%.6g\n", law[i].name, p[FIT_E], p[FIT_A], p[FIT_ALPHA],
           p[FIT_B], p[FIT_BETA]);
    struct fit_finding e;
    if (fit_finding_of_e(law[i].s, &e)) printf("           %s\n", e.text);
    for (int j = 0; j < law[i].s->law->params; j++)
      if (law[i].s->at_bound[j]) printf("           %s is not identified\n", law[i].s->law->param[j]);
  }
  if (!c->identified) {
    printf("  Not identified");
    if (c->has_intervals)
      printf(" (%.3g %% of the resamples determine no E or exponent of one of the laws)",
             100.0 * c->unidentified / c->replicates);
    printf(": take the sizes below as guesses\n");
  }
  for (int b = 0; b < c->budgets; b++) {
    const struct fit_compare_budget *x = &c->budget[b];
    if (isnan(x->optimal.params)) {
      printf("  C = %.5g: one of the laws has no optimum\n", x->compute);
      continue;
    }
    printf("  C = %.5g FLOPs: N = %.5g optimal", x->compute, x->optimal.params);
    if (c->has_intervals && !isnan(x->optimal_params.low))
      printf(" [%.4g, %.4g]", x->optimal_params.low, x->optimal_params.high);
    printf(", %.5g fixed", x->fixed.params);
    if (c->has_intervals && !isnan(x->fixed_params.low))
      printf(" [%.4g, %.4g]", x->fixed_params.low, x->fixed_params.high);
    printf("\n");
    print_saving("inference saved at this budget", x->saved, &x->saved_interval, c->has_intervals);
    print_saving("inference saved at the fixed law's loss", x->saved_at_equal_loss, &x->equal_interval,
                 c->has_intervals);
  }
  if (c->has_intervals)
    printf("  %.0f %% intervals from %d resamples of %d groups of cells\n", 100 * c->level, c->replicates, c->groups);
}

void hyper_print(const struct hyper_result *r) {
  print_cells(&r->fit);
  print_laws(r);
  if (!r->fit.law[FIT_HYPER_BATCH].refusal) print_windows(&r->fit);
  if (r->has_compare) print_compare(&r->compare);
  if (r->compare_note[0]) printf("Fixed against optimal hyperparameters: not compared; %s\n", r->compare_note);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *pair(const struct fit_interval *i) {
  json_t *to = json_array();
  json_array_append_new(to, number(i->low));
  json_array_append_new(to, number(i->high));
  return to;
}

static json_t *law_object(const struct hyper_result *r, int t) {
  const struct fit_hyper_law *law = &r->fit.law[t];
  json_t *root = json_object(), *params = json_object();
  json_object_set_new(root, "law", json_string(fit_hyper_target_name[t]));
  if (r->fit.one_batch && t == FIT_HYPER_BATCH) json_object_set_new(root, "given", json_true());
  for (int j = 0; j < FIT_HYPER_COUNT; j++) json_object_set_new(params, fit_hyper_param_name[j], number(law->param[j]));
  json_object_set_new(root, "params", params);
  if (r->has_bootstrap) {
    json_t *interval = json_object();
    json_object_set_new(interval, "level", json_real(r->bootstrap.level));
    for (int j = 0; j < FIT_HYPER_COUNT; j++)
      json_object_set_new(interval, fit_hyper_param_name[j], pair(&r->bootstrap.param[t][j]));
    json_object_set_new(root, "interval", interval);
    json_object_set_new(root, "sample", law_plan_hyper_sample(&r->bootstrap, t));
  }
  json_object_set_new(root, "scatter", number(law->scatter));
  json_object_set_new(root, "cells", json_integer(law->points));
  return root;
}

static json_t *cell_object(const struct fit_hyper_cell *c) {
  const struct fit_bowl *b = &c->bowl;
  json_t *to = json_object();
  json_object_set_new(to, "params", number(c->cell.params));
  json_object_set_new(to, "tokens", number(c->cell.tokens));
  json_object_set_new(to, "runs", json_integer((json_int_t)b->rows));
  json_object_set_new(to, "runs_used", json_integer((json_int_t)b->used));
  json_object_set_new(to, "lowest_loss", number(b->lowest));
  if (b->refusal) {
    json_object_set_new(to, "refused", json_string(fit_refusal_text(b->refusal)));
    return to;
  }
  json_object_set_new(to, "batch_tokens", number(b->batch));
  json_object_set_new(to, "lr", number(b->lr));
  json_object_set_new(to, "loss", number(b->loss));
  json_object_set_new(to, "sd_ln_batch", number(b->sd_batch));
  json_object_set_new(to, "sd_ln_lr", number(b->sd_lr));
  json_object_set_new(to, "correlation", number(b->correlation));
  json_object_set_new(to, "sd_ln_loss", number(b->sd_loss));
  json_object_set_new(to, "regret", number(c->regret));
  return to;
}

static json_t *compare_object(const struct fit_compare *c) {
  json_t *to = json_object(), *budgets = json_array();
  json_object_set_new(to, "batch_tokens", number(c->batch));
  json_object_set_new(to, "lr", number(c->lr));
  json_object_set_new(to, "cells", json_integer(c->cells));
  json_object_set_new(to, "mean_excess", number(c->mean_excess));
  json_object_set_new(to, "worst_excess", number(c->worst_excess));
  json_object_set_new(to, "identified", json_boolean(c->identified));
  json_object_set_new(to, "optimal", law_json_params(c->optimal.params));
  json_object_set_new(to, "fixed", law_json_params(c->fixed.params));
  for (int b = 0; b < c->budgets; b++) {
    const struct fit_compare_budget *x = &c->budget[b];
    json_t *one = json_object();
    json_object_set_new(one, "compute", number(x->compute));
    json_object_set_new(one, "optimal_params", number(x->optimal.params));
    json_object_set_new(one, "fixed_params", number(x->fixed.params));
    json_object_set_new(one, "inference_saved", number(x->saved));
    json_object_set_new(one, "inference_saved_at_equal_loss", number(x->saved_at_equal_loss));
    if (c->has_intervals) {
      json_object_set_new(one, "optimal_params_interval", pair(&x->optimal_params));
      json_object_set_new(one, "fixed_params_interval", pair(&x->fixed_params));
      json_object_set_new(one, "inference_saved_interval", pair(&x->saved_interval));
      json_object_set_new(one, "inference_saved_at_equal_loss_interval", pair(&x->equal_interval));
    }
    json_array_append_new(budgets, one);
  }
  json_object_set_new(to, "budgets", budgets);
  return to;
}

void hyper_add_json(const struct hyper_result *r, json_t *root) {
  const struct fit_hyper *h = &r->fit;
  json_t *laws = json_array(), *hyper = json_object(), *cells = json_array();
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    if (!h->law[t].refusal) json_array_append_new(laws, law_object(r, t));
  for (int i = 0; i < h->count; i++) json_array_append_new(cells, cell_object(&h->cell[i]));
  json_object_set_new(hyper, "window", number(h->window));
  if (h->law[FIT_HYPER_BATCH].refusal)
    json_object_set_new(hyper, "refused", json_string(fit_hyper_refusal_text(h->law[FIT_HYPER_BATCH].refusal)));
  json_object_set_new(hyper, "mean_regret", number(h->mean_regret));
  json_object_set_new(hyper, "worst_regret", number(h->worst_regret));
  json_object_set_new(hyper, "mean_regret_left_out", number(h->mean_regret_out));
  json_object_set_new(hyper, "worst_regret_left_out", number(h->worst_regret_out));
  json_object_set_new(hyper, "cells", cells);
  if (r->has_compare) json_object_set_new(hyper, "fixed_against_optimal", compare_object(&r->compare));
  json_object_set_new(root, "laws", laws);
  json_object_set_new(root, "hyper", hyper);
}
