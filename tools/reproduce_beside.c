// What the paper (arXiv:2411.17470) printed, beside what these runs say.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "law_json.h"
#include "reproduce.h"

// The paper's losses at 1.07 B (its Figure 4) are lowest at the pair of its grid that is nearest to the one foretold.
#define PAPER_AROUND 0.0
#define PAPER_SAVED 0.401         // of inference at 1e22 FLOPs
#define PAPER_FIXED (4.04 / 2.43) // size recommended there by fixed hyperparameters, over the other
#define PAPER_COMPUTE 1e22
// What counts as held.
#define FORETOLD_WITHIN 0.01
#define AROUND_WITHIN 0.003

static void begin(FILE *out, const char *what) { fprintf(out, "<tr><td class=\"why\">%s</td>", what); }
static void end(FILE *out, const char *verdict) {
  fprintf(out, "<td class=\"why\" style=\"min-width:0\">%s</td></tr>\n", verdict);
}

// interval NULL, or of NaN: there is none
static void exponent(FILE *out, const char *what, double paper, double here, const struct fit_interval *interval) {
  bool has = interval && isfinite(interval->low + interval->high);
  begin(out, what);
  fprintf(out, "<td>%.4f</td><td>%.3f", paper, here);
  if (has) fprintf(out, " <small>%.3f to %.3f</small>", interval->low, interval->high);
  fprintf(out, "</td>");
  if (!has)
    end(out, paper * here > 0 ? "same sign; no interval" : "other sign; no interval");
  else if (interval->low <= paper && paper <= interval->high)
    end(out, interval->low <= 0 && interval->high >= 0 ? "in the interval, as 0 is" : "in the interval");
  else
    end(out, paper * here > 0 ? "same sign, outside the interval" : "other sign");
}

static void hyper(FILE *out, const struct reproduce *r, const struct law_file *paper) {
  static const char *const what[FIT_HYPER_TARGETS][FIT_HYPER_COUNT] = {
      [FIT_HYPER_BATCH] = {[FIT_HYPER_TOKENS] = "best batch: exponent of T", [FIT_HYPER_PARAMS] = "of N"},
      [FIT_HYPER_LR] = {[FIT_HYPER_TOKENS] = "best learning rate: exponent of T", [FIT_HYPER_PARAMS] = "of N"}};
  const struct hyper_result *h = &r->fit->hyper;
  if (!r->fit->has_hyper) {
    begin(out, "laws of batch and learning rate");
    fprintf(out, "<td>of N and T</td><td>none found</td>");
    end(out, "not identified");
    return;
  }
  if (h->fit.one_batch) {
    begin(out, "best batch: exponents of T, N");
    fprintf(out, "<td>%.4f, %.4f</td><td>one batch tried</td>", paper->hyper[FIT_HYPER_BATCH].param[FIT_HYPER_TOKENS],
            paper->hyper[FIT_HYPER_BATCH].param[FIT_HYPER_PARAMS]);
    end(out, "not asked");
  }
  for (int t = h->fit.one_batch ? FIT_HYPER_LR : FIT_HYPER_BATCH; t < FIT_HYPER_TARGETS; t++)
    for (int p = FIT_HYPER_TOKENS; p < FIT_HYPER_COUNT; p++)
      if (!h->fit.law[t].refusal)
        exponent(out, what[t][p], paper->hyper[t].param[p], h->fit.law[t].param[p],
                 h->has_bootstrap ? &h->bootstrap.param[t][p] : NULL);
}

// Of the optimum's size in compute, where a token costs the same for all parameters: beta / (alpha + beta).
static double size_exponent(const double *law) { return law[FIT_BETA] / (law[FIT_ALPHA] + law[FIT_BETA]); }

static struct fit_interval size_interval(const struct fit_sample *s) {
  struct fit_interval interval = {NAN, NAN, NAN};
  double *value = s->count > 1 ? malloc((size_t)s->count * sizeof *value) : NULL;
  for (int i = 0; value && i < s->count; i++) value[i] = size_exponent(s->law + (size_t)i * FIT_JOINT_PARAMS);
  if (value) interval = fit_interval_of(value, s->count, s->level);
  free(value);
  return interval;
}

// Loss at half the best size for the compute, over the best, less 1; NaN: there is no best.
static double half_size_costs(const double *law, const struct fit_family *f, double compute) {
  struct fit_optimum best;
  if (fit_optimum_at(law, f, compute, &best, NULL)) return NAN;
  double params = best.params / 2;
  return fit_joint_loss(law, params, compute / fit_flops_per_token(f, params)) / best.loss - 1;
}

static void joint(FILE *out, const struct reproduce *r, const struct law_file *paper) {
  const struct fit_job_result *fit = r->fit;
  const double *here = fit->solution.params;
  const struct fit_bootstrap *b = fit->report.bootstrap;
  const struct fit_interval sizes = size_interval(&fit->sample);
  double compute = 0;
  for (size_t i = 0; i < fit->runs.count; i++) compute = fmax(compute, fit_run_flops(&fit->runs.row[i]));
  exponent(out, "loss: exponent of N", paper->params[FIT_ALPHA], here[FIT_ALPHA], b ? &b->param[FIT_ALPHA] : NULL);
  exponent(out, "loss: exponent of T", paper->params[FIT_BETA], here[FIT_BETA], b ? &b->param[FIT_BETA] : NULL);
  exponent(out, "compute-optimal size: exponent of C, as L(N,T) implies", size_exponent(paper->params),
           size_exponent(here), &sizes);
  begin(out, "loss at half the best size, for the same compute");
  fprintf(out, "<td>+%.2f %% (1e22 FLOPs)</td>",
          100 * half_size_costs(paper->params, &(struct fit_family){0}, PAPER_COMPUTE));
  double half = half_size_costs(here, &r->family, compute);
  if (isfinite(half))
    fprintf(out, "<td>+%.2f %% (%.3g FLOPs)</td>", 100 * half, compute);
  else
    fprintf(out, "<td>no optimum</td>");
  end(out, isfinite(half) ? (half < FORETOLD_WITHIN ? "flat around the optimum" : "less flat") : "not identified");
}

static void foretold(FILE *out, const struct reproduce *r) {
  const struct stage *s = &r->stage[STAGE_HOLDOUT];
  struct reproduce_pair pair;
  double worst = 0;
  for (int i = 0; s->outcome && i < s->sweep.count; i++) // fmax would pass over NaN
    if (!(fabs(reproduce_loss(s, i) / r->foretold[i].loss - 1) <= worst))
      worst = fabs(reproduce_loss(s, i) / r->foretold[i].loss - 1);
  if (s->outcome) {
    begin(out, "error of the law on larger models and budgets");
    fprintf(out, "<td>about 0.5 %%</td><td>%.2f %% at worst</td>", 100 * worst);
    end(out, worst <= FORETOLD_WITHIN ? "held: at most 1 %" : "not held: above 1 %");
  }
  for (int k = 0; reproduce_around(r, k, &pair); k += pair.seeds * REPRODUCE_AROUND) {
    begin(out, "loss at the batch and rate foretold, over the best of those around");
    fprintf(out, "<td>+%.1f %%</td><td>%+.2f %%</td>", 100 * PAPER_AROUND, 100 * pair.excess);
    end(out, pair.excess <= AROUND_WITHIN ? "held: at most 0.3 %" : "not held: above 0.3 %");
  }
}

static void fixed(FILE *out, const struct reproduce *r) {
  const struct fit_compare *c = &r->fit->hyper.compare;
  if (!r->stage[STAGE_FIXED].outcome || !r->fit->has_hyper || !r->fit->hyper.has_compare) return;
  const struct fit_compare_budget *b = &c->budget[0];
  bool sure =
      c->has_intervals && isfinite(b->saved_interval.low) && (b->saved_interval.low > 0 || b->saved_interval.high < 0);
  begin(out, "size recommended by runs at one fixed batch and rate, over that by the laws' own");
  fprintf(out, "<td>%.2f (1e22 FLOPs)</td><td>%.2f (%.3g FLOPs)</td>", PAPER_FIXED, b->fixed.params / b->optimal.params,
          b->compute);
  end(out, !c->identified ? "not identified" : sure ? "told apart" : "the interval of what is saved holds 0");
  begin(out, "inference that saves");
  fprintf(out, "<td>%.1f %%</td><td>%.1f %%", 100 * PAPER_SAVED, 100 * b->saved);
  if (c->has_intervals && isfinite(b->saved_interval.low))
    fprintf(out, " <small>%.1f to %.1f %%</small>", 100 * b->saved_interval.low, 100 * b->saved_interval.high);
  fprintf(out, "</td>");
  end(out, sure && c->identified ? (b->saved > 0 ? "same sign" : "other sign") : "not identified");
}

void reproduce_print_beside(FILE *out, const struct reproduce *r) {
  struct law_file *paper = malloc(sizeof *paper);
  if (!paper) return;
  law_json_read("paper", paper, NULL);
  fprintf(out, "<div class=\"wide\"><table><thead><tr><th></th><th>the paper</th><th>here</th><th></th></tr></thead>"
               "<tbody>\n");
  hyper(out, r, paper);
  joint(out, r, paper);
  fixed(out, r);
  foretold(out, r);
  fprintf(out,
          "</tbody></table></div>\n<p class=\"note\">The paper's models have 0.017 to 1.07 billion parameters and see "
          "billions of tokens of real video; these are some thousand times smaller, on other data. What can be "
          "compared is the shape: signs, whether laws foretell, what choices cost. Its E (%.4f) is in another unit. "
          "Its printed N_opt laws have exponents 0.4146 and 0.4294, which do not follow from its printed L(N,T).</p>\n",
          paper->params[FIT_E]);
  free(paper);
}
