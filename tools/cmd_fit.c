// vkdit fit: the laws of a runs table.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family_opts.h"
#include "fit_job.h"
#include "law_json.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("DIR", "folder for law.json, report.html and the plots", .required = true),
    {.name = "law",
     .kind = CMD_STRING,
     .metavar = "joint|hyper|isoflop|all",
     .fallback = "joint",
     .help = "joint in N and T; hyper: best batch and learning rate; isoflop: parabolas at equal compute"},
    {.name = "loss",
     .kind = CMD_STRING,
     .metavar = "huber|mse|mad",
     .fallback = "huber",
     .help = "what the fit minimises; mad: Huber at 1.345 robust standard deviations"},
    {.name = "delta",
     .kind = CMD_REAL,
     .metavar = "D",
     .fallback = "1e-3",
     .min = 1e-12,
     .max = 1e3,
     .help = "of --loss huber, in log units"},
    {.name = "best-per-cell",
     .help = "joint law: keep only the lowest loss of every (params, tokens); done unasked where runs of one differ in "
             "batch or learning rate"},
    {.name = "all-rows", .help = "joint law: keep every row, whatever its batch and learning rate"},
    {.name = "diverged",
     .kind = CMD_REAL,
     .metavar = "F",
     .fallback = "1.5",
     .min = 0,
     .max = 1e9,
     .help = "joint law, isoflop: leave out rows whose loss is over F times the lowest that no more params and tokens "
             "reached; 0: none"},
    {.name = "isoflop-width",
     .kind = CMD_REAL,
     .metavar = "W",
     .fallback = "0.2",
     .min = 1e-6,
     .max = 2,
     .help = "isoflop: rows whose FLOPs lie within this, in logarithm, make one budget (runs of one row)"},
    {.name = "isoflop-budgets",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "12",
     .min = 1,
     .max = FIT_MAX_BUDGETS,
     .help = "isoflop: the most budgets to look for"},
    {.name = "window",
     .kind = CMD_REAL,
     .metavar = "W",
     .fallback = "0.01",
     .min = FIT_MIN_WINDOW,
     .max = FIT_MAX_WINDOW,
     .help = "hyper: runs up to this relative loss above their cell's best make its bowl"},
    {.name = "fix-tokens-exp",
     .kind = CMD_REAL,
     .metavar = "X",
     .min = -10,
     .max = 10,
     .help = "hyper: hold both exponents of T at X"},
    {.name = "fix-params-exp",
     .kind = CMD_REAL,
     .metavar = "X",
     .min = -10,
     .max = 10,
     .help = "hyper: hold both exponents of N at X"},
    {.name = "fixed-batch",
     .kind = CMD_REAL,
     .metavar = "B",
     .min = 1e-300,
     .max = 1e300,
     .help = "hyper: batch in tokens that the optimum is compared with, with --fixed-lr (default: the pair that most "
             "cells have)"},
    {.name = "fixed-lr",
     .kind = CMD_REAL,
     .metavar = "LR",
     .min = 1e-300,
     .max = 1e300,
     .help = "hyper: learning rate that the optimum is compared with"},
    {.name = "fix-alpha", .kind = CMD_REAL, .metavar = "X", .min = 1e-3, .max = 10, .help = "hold alpha at X"},
    {.name = "fix-beta", .kind = CMD_REAL, .metavar = "X", .min = 1e-3, .max = 10, .help = "hold beta at X"},
    {.name = "fix-e", .kind = CMD_REAL, .metavar = "X", .min = 0, .max = 1e9, .help = "hold E at X"},
    {.name = "bootstrap",
     .kind = CMD_INT,
     .metavar = "R",
     .min = 0,
     .max = 1e6,
     .help = "resamples of the runs for the intervals, 0: none (default: 400, or 100 above 100000 rows)"},
    {.name = "level",
     .kind = CMD_REAL,
     .metavar = "P",
     .fallback = "0.9",
     .min = 0.01,
     .max = 0.999,
     .help = "coverage of the intervals"},
    {.name = "seed",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "1",
     .min = 0,
     .max = 1e15,
     .help = "of the resamples"},
    {.name = "holdout-largest", .help = "also fit without the tenth of the rows with the most FLOPs, and predict them"},
    {.name = "holdout-above",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1e-300,
     .max = 1e300,
     .help = "also fit without the rows above C FLOPs, and predict them"},
    {.name = "compute",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1,
     .max = 1e60,
     .help = "FLOPs of the trade-off table (default: the largest of the table)"},
    FAMILY_OPTS,
    {.name = "title", .kind = CMD_STRING, .metavar = "TEXT", .fallback = "Scaling law", .help = "of the report"},
    {.name = "json", .kind = CMD_FLAG, .help = "print law.json instead of the summary"},
    {0},
};

static enum vkd_status job_from(const struct cmd_args *args, struct fit_job *job, struct vkd_error *err) {
  static const struct {
    const char *name;
    int param;
  } fixes[] = {{"fix-alpha", FIT_ALPHA}, {"fix-beta", FIT_BETA}, {"fix-e", FIT_E}};
  static const struct {
    const char *name;
    unsigned parts;
  } laws[] = {{"joint", FIT_JOB_JOINT},
              {"hyper", FIT_JOB_HYPER},
              {"isoflop", FIT_JOB_SIZES},
              {"all", FIT_JOB_JOINT | FIT_JOB_HYPER | FIT_JOB_SIZES}};
  static const char *const losses[] = {"huber", "mse", "mad"};
  const char *loss = cmd_string(args, "loss"), *law = cmd_string(args, "law");
  size_t k = 0;
  *job = (struct fit_job){.table = args->pos[0], .out = cmd_string(args, "output")};
  for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
    if (!strcmp(laws[i].name, law)) job->parts = laws[i].parts;
  if (!job->parts)
    return vkd_fail(err, VKD_ERR_USAGE, "fit: --law %s is unknown; one of joint, hyper, isoflop, all", law);
  while (k < 3 && strcmp(losses[k], loss) != 0) k++;
  if (k == 3) return vkd_fail(err, VKD_ERR_USAGE, "fit: --loss %s is unknown; one of huber, mse, mad", loss);
  job->options.loss = (enum fit_loss)k;
  job->options.delta = cmd_real(args, "delta");
  for (size_t i = 0; i < sizeof fixes / sizeof *fixes; i++) {
    if (!cmd_has(args, fixes[i].name)) continue;
    job->options.held[fixes[i].param] = true;
    job->options.value[fixes[i].param] = cmd_real(args, fixes[i].name);
  }
  job->best_per_cell = cmd_has(args, "best-per-cell");
  job->all_rows = cmd_has(args, "all-rows");
  job->diverged = cmd_real(args, "diverged");
  if (job->diverged <= 0) job->diverged = -1;
  if (job->diverged > 0 && job->diverged <= 1)
    return vkd_fail(err, VKD_ERR_USAGE, "fit: --diverged %g: more than 1, or 0", job->diverged);
  job->isoflop.width = cmd_real(args, "isoflop-width");
  job->isoflop.budgets = (int)cmd_int(args, "isoflop-budgets");
  if (job->best_per_cell && job->all_rows)
    return vkd_fail(err, VKD_ERR_USAGE, "fit: --best-per-cell and --all-rows exclude each other");
  if (cmd_has(args, "fixed-batch") != cmd_has(args, "fixed-lr"))
    return vkd_fail(err, VKD_ERR_USAGE, "fit: --fixed-batch and --fixed-lr go together");
  job->fixed_batch = cmd_real(args, "fixed-batch");
  job->fixed_lr = cmd_real(args, "fixed-lr");
  job->hyper.window = cmd_real(args, "window");
  for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
    job->hyper.hold_tokens[t] = cmd_has(args, "fix-tokens-exp");
    job->hyper.hold_params[t] = cmd_has(args, "fix-params-exp");
    job->hyper.tokens_exp[t] = cmd_real(args, "fix-tokens-exp");
    job->hyper.params_exp[t] = cmd_real(args, "fix-params-exp");
  }
  job->bootstrap = cmd_has(args, "bootstrap") ? (int)cmd_int(args, "bootstrap") : -1;
  if (job->bootstrap == 1) return vkd_fail(err, VKD_ERR_USAGE, "fit: --bootstrap 1 gives no interval; 2 or more, or 0");
  job->level = cmd_real(args, "level");
  job->seed = (unsigned long long)cmd_int(args, "seed");
  job->holdout = cmd_has(args, "holdout-largest") || cmd_has(args, "holdout-above");
  job->holdout_flops = cmd_real(args, "holdout-above");
  job->family = family_from(args);
  job->compute = cmd_real(args, "compute");
  job->title = cmd_string(args, "title");
  return VKD_OK;
}

// The command line as typed, words with a blank or a quote in quotes.
static void command_text(const struct cmd_args *args, char *text, size_t room) {
  size_t at = (size_t)snprintf(text, room, "vkdit fit");
  for (int i = 0; i < args->count && at < room; i++)
    at += (size_t)snprintf(text + at, room - at, " '%s'", args->pos[i]);
  for (int i = 0; opts[i].name && at < room; i++)
    if (args->values[i])
      at += opts[i].kind == CMD_FLAG
                ? (size_t)snprintf(text + at, room - at, " --%s", opts[i].name)
                : (size_t)snprintf(text + at, room - at, " --%s '%s'", opts[i].name, args->values[i]);
}

static void print_law(const double *p, const char *units) {
  printf("  L(N,T) = %.6g + %.6g*N^-%.6g + %.6g*T^-%.6g   %s\n", p[FIT_E], p[FIT_A], p[FIT_ALPHA], p[FIT_B],
         p[FIT_BETA], units);
}

static void print_optimum(const struct fit_report *r) {
  struct fit_error bad;
  struct fit_power power;
  double low, high;
  fit_report_range(r, &low, &high);
  if (fit_optimum_power(r->solution->params, r->family, low, high, &power, &bad)) {
    printf("N_opt(C): none; %s\n", bad.what);
    return;
  }
  printf("N_opt(C) = %.5g * C^%.5f parameters, C in FLOPs (%.0e to %.0e", power.k, power.a, low, high);
  if (power.worst > 1e-3) printf("; within %.1f %% of the exact optimum", 100 * expm1(power.worst));
  printf(")\n");
}

static void print_rows(const struct fit_job_result *result) {
  const struct fit_report *r = &result->report;
  printf("%s: %zu of %zu rows fitted\n", r->source, r->runs->count, r->runs->rows);
  for (int d = 0; d < FIT_DROP_COUNT; d++)
    if (r->runs->dropped[d]) printf("  %zu left out: %s\n", r->runs->dropped[d], fit_drop_text((enum fit_drop)d));
  if (r->runs->flops_not_positive)
    printf("  %zu rows have flops that are no number above 0; taken as not given\n", r->runs->flops_not_positive);
  if (result->mixed)
    printf("  %d (params, tokens) cells hold runs at several batches or learning rates: the joint law sees the best of "
           "each (`--all-rows` to keep all)\n",
           result->mixed);
}

static void print_diagnosis(const struct fit_report *r) {
  const struct fit_diagnosis *d = r->diagnosis;
  const struct fit_solution *s = r->solution;
  struct fit_finding found[FIT_MAX_FINDINGS];
  int count = fit_findings(s, d, found);
  if (isfinite(s->delta))
    printf("  %.1f %% of the residuals within delta = %.4g; ", 100 * s->quadratic_share, s->delta);
  else
    printf("  ");
  printf("condition number, centred: %.3g", d->condition);
  if (d->pair[0] >= 0)
    printf("; largest correlation: %s with %s, %.4f", s->law->param[d->pair[0]], s->law->param[d->pair[1]],
           d->pair_correlation);
  printf("\n");
  if (d->points) printf("  E from %.5g to %.5g costs no more than 2 %% of the objective\n", d->e_low, d->e_high);
  for (int i = 0; i < count; i++) printf("  %s\n", found[i].text);
}

static void print_holdout(const struct fit_holdout *h) {
  printf("Hold-out: fitted to %zu rows of runs that end by %.4g FLOPs; off by %.4g %% on average, %.4g %% at worst, "
         "%+.4g %% with its sign, on the %zu rows above, of %d runs",
         h->fitted, h->flops, 100 * h->mean, 100 * h->worst, 100 * h->bias, h->held_out, h->runs);
  if (h->set_aside) printf(" (their %zu rows below are neither fitted nor counted)", h->set_aside);
  printf("\n");
}

static void print_joint(const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  const struct fit_bootstrap *b = r->bootstrap;
  double billions[FIT_JOINT_PARAMS];
  printf("Joint law, objective %.11g, rms error %.3g %%, %d of %d starts agree\n", s->objective, 100 * s->rms,
         s->agreeing, s->starts);
  print_law(s->params, "parameters, tokens");
  fit_joint_billions(s->params, billions);
  print_law(billions, "billions of each");
  for (int j = 0; b && j < s->law->params; j++)
    printf("  %-6s %.7g  [%.6g, %.6g]  sd %.5g\n", s->law->param[j], s->params[j], b->param[j].low, b->param[j].high,
           b->param[j].sd);
  if (b)
    printf("  a = beta/(alpha+beta) %.5f  [%.5f, %.5f]  sd %.5g\n",
           s->params[FIT_BETA] / (s->params[FIT_ALPHA] + s->params[FIT_BETA]), b->size_exponent.low,
           b->size_exponent.high, b->size_exponent.sd);
  if (b)
    printf("  %.0f %% percentile intervals from %d resamples of %d %s (%d more did not converge)\n", 100 * b->level,
           b->replicates - b->failed, b->clusters, r->runs->has_run ? "runs" : "rows", b->failed);
  if (r->bootstrap_note) printf("  no intervals: %s\n", r->bootstrap_note);
  print_diagnosis(r);
  if (r->holdout) print_holdout(r->holdout);
  print_optimum(r);
}

static void print_summary(const struct fit_job *job, const struct fit_job_result *result) {
  print_rows(result);
  if (result->has_joint) print_joint(&result->report);
  if (result->joint_note[0]) printf("Joint law: none; %s\n", result->joint_note);
  if (result->has_hyper) hyper_print(&result->hyper);
  if (result->hyper_note[0]) printf("Hyperparameter laws: none; %s\n", result->hyper_note);
  if (result->has_sizes) {
    double low, high;
    if (job->parts & FIT_JOB_SIZES) sizes_print(&result->sizes);
    fit_report_range(&result->report, &low, &high);
    sizes_print_ways(&result->size_sources, low, high);
  }
  printf("Wrote law.json, report.html and the plots to %s\n", job->out);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct fit_job job;
  struct fit_job_result result;
  char command[1024];
  enum vkd_status status = job_from(args, &job, err);
  if (status) return status;
  command_text(args, command, sizeof command);
  job.command = command;
  if ((status = fit_job_run(&job, &result, err))) return status;
  status = fit_job_write(&job, &result, err);
  if (!status && cmd_has(args, "json")) {
    json_t *root = fit_job_json(&result);
    if (!root || json_dumpf(root, stdout, JSON_INDENT(2))) status = vkd_fail(err, VKD_ERR_IO, "fit: cannot print JSON");
    putchar('\n');
    json_decref(root);
  } else if (!status) {
    print_summary(&job, &result);
  }
  fit_job_free(&result);
  return status;
}

const struct cmd cmd_fit = {
    .name = "fit",
    .summary = "Fits the scaling laws of a runs table",
    .usage = "RUNS.csv|DIR",
    .details = "RUNS.csv has the columns params, tokens, loss and, where known, flops, batch_tokens, lr, seed, steps,\n"
               "diverged, excluded and run (rows of one run are resampled together); DIR is a folder with a runs.csv.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
