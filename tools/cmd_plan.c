// vkdit plan: what a joint law recommends and predicts, and which runs would sharpen it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family_opts.h"
#include "plan.h"

static const struct cmd_opt opts[] = {
    {.name = "compute",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1,
     .max = 1e60,
     .help =
         "training FLOPs: the compute-optimal model, its tokens, batch, rate and loss; what departing from it costs"},
    {.name = "tolerance",
     .kind = CMD_REAL,
     .metavar = "X",
     .fallback = "1e-3",
     .min = 1e-9,
     .max = 0.5,
     .help = "with --compute: share of the loss within which sizes count as equal"},
    {.name = "params",
     .kind = CMD_REAL,
     .metavar = "N",
     .min = 1,
     .max = 1e18,
     .help = "with --tokens: what this model reaches, and its batch and rate"},
    {.name = "tokens",
     .kind = CMD_REAL,
     .metavar = "T",
     .min = 1,
     .max = 1e24,
     .help = "with --params: trained tokens"},
    {.name = "loss",
     .kind = CMD_REAL,
     .metavar = "L",
     .min = 1e-300,
     .max = 1e300,
     .help = "with --requests, in place of --compute: the loss to reach"},
    {.name = "requests",
     .kind = CMD_REAL,
     .metavar = "R",
     .min = 0,
     .max = 1e30,
     .help = "samples to serve: the size of the least training plus inference at equal loss"},
    {.name = "inference-flops",
     .kind = CMD_REAL,
     .metavar = "F",
     .min = 1,
     .max = 1e60,
     .help = "FLOPs for all requests (one without --requests): the largest model that serves them"},
    {.name = "sampler-steps",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "50",
     .min = 1,
     .max = 100000,
     .help = "model evaluations of a sample, before guidance"},
    {.name = "cfg",
     .kind = CMD_REAL,
     .metavar = "S",
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "guidance scale of a sample: above 1 every evaluation is two passes"},
    {.name = "sample-tokens",
     .kind = CMD_REAL,
     .metavar = "TOKENS",
     .min = 1,
     .max = 1e9,
     .help = "of a sample served (default: --n-ctx)"},
    {.name = "latent",
     .kind = CMD_STRING,
     .metavar = "FxHxW",
     .help = "in place of --sample-tokens: the sample's latent frames, height and width"},
    {.name = "patch", .kind = CMD_STRING, .metavar = "FxHxW", .fallback = "1x2x2", .help = "with --latent: of a token"},
    {.name = "next",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1,
     .max = 1e60,
     .help = "FLOPs for further runs: those that leave the narrowest interval of the target"},
    {.name = "target-compute",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1,
     .max = 1e60,
     .help = "target of --next: the loss of the optimum at C (default: 10 times the largest run)"},
    {.name = "target-params", .kind = CMD_REAL, .metavar = "N", .min = 1, .max = 1e18, .help = "or: of this model"},
    {.name = "target-tokens", .kind = CMD_REAL, .metavar = "T", .min = 1, .max = 1e24, .help = "and these tokens"},
    {.name = "target-size", .help = "target of --next: the optimal size at --target-compute, not its loss"},
    {.name = "max-runs",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "8",
     .min = 1,
     .max = FIT_DESIGN_MAX_RUNS,
     .help = "with --next: the most runs"},
    {.name = "rows-per-run",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "1",
     .min = 1,
     .max = FIT_DESIGN_MAX_ROWS,
     .help = "with --next: losses read off every run on its way (a constant learning rate), from a fifth of it"},
    {.name = "span",
     .kind = CMD_REAL,
     .metavar = "F",
     .fallback = "10",
     .min = 1.5,
     .max = 1e6,
     .help = "with --next: runs have tokens per parameter within this factor of the target's"},
    {.name = "misfit",
     .kind = CMD_REAL,
     .metavar = "X",
     .fallback = "0.5",
     .min = 0,
     .max = 100,
     .help = "with --next: how fast the law is trusted less away from the target, in noise per factor e"},
    {.name = "sweep", .kind = CMD_STRING, .metavar = "FILE", .help = "with --next: write the runs as a sweep"},
    {.name = "base",
     .kind = CMD_STRING,
     .metavar = "CONFIG",
     .help = "with --sweep: the configuration that the runs start from, with their data"},
    FAMILY_OPTS,
    CMD_OPT_JSON,
    {0},
};

static enum vkd_status usage_of(const struct cmd_args *args, struct vkd_error *err) {
  static const char *const pairs[][2] = {{"params", "tokens"}, {"target-params", "target-tokens"}, {"sweep", "base"}};
  static const char *const with[][2] = {{"target-compute", "next"},
                                        {"target-params", "next"},
                                        {"target-size", "next"},
                                        {"sweep", "next"},
                                        {"loss", "requests"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (cmd_has(args, pairs[i][0]) != cmd_has(args, pairs[i][1]))
      return vkd_fail(err, VKD_ERR_USAGE, "plan: --%s and --%s go together", pairs[i][0], pairs[i][1]);
  for (size_t i = 0; i < sizeof with / sizeof *with; i++)
    if (cmd_has(args, with[i][0]) && !cmd_has(args, with[i][1]))
      return vkd_fail(err, VKD_ERR_USAGE, "plan: --%s goes with --%s", with[i][0], with[i][1]);
  if (cmd_has(args, "target-compute") && cmd_has(args, "target-params"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: one target: --target-compute, or --target-params and --target-tokens");
  if (cmd_has(args, "target-size") && cmd_has(args, "target-params"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --target-size is of --target-compute, not of a model");
  if (cmd_has(args, "requests") && !cmd_has(args, "compute") && !cmd_has(args, "loss") &&
      !cmd_has(args, "inference-flops"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --requests needs --compute C or --loss L, or --inference-flops F");
  if (cmd_has(args, "loss") && cmd_has(args, "compute"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --loss L or --compute C, not both");
  if (!cmd_has(args, "compute") && !cmd_has(args, "params") && !cmd_has(args, "inference-flops") &&
      !cmd_has(args, "requests") && !cmd_has(args, "next"))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "plan: ask with --compute C, --params N --tokens T, --requests R, --inference-flops F or --next C");
  return VKD_OK;
}

// "FxHxW", each 1 .. 65536.
static bool parse_three(const char *text, int out[3]) {
  for (int i = 0; i < 3; i++) {
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || number < 1 || number > 65536 || *end != (i < 2 ? 'x' : 0)) return false;
    out[i] = (int)number;
    text = end + 1;
  }
  return true;
}

static enum vkd_status request_from(const struct cmd_args *args, struct fit_request *out, struct vkd_error *err) {
  int latent[3], patch[3];
  *out = (struct fit_request){.sample_tokens = cmd_real(args, "n-ctx"),
                              .steps = (double)cmd_int(args, "sampler-steps"),
                              .evaluations = cmd_real(args, "cfg") > 1 ? 2 : 1};
  if (cmd_has(args, "sample-tokens") && cmd_has(args, "latent"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --sample-tokens or --latent, not both");
  if (cmd_has(args, "sample-tokens")) out->sample_tokens = cmd_real(args, "sample-tokens");
  if (cmd_has(args, "latent")) {
    if (!parse_three(cmd_string(args, "latent"), latent) || !parse_three(cmd_string(args, "patch"), patch))
      return vkd_fail(err, VKD_ERR_USAGE, "plan: --latent %s --patch %s: FxHxW is needed, as in 16x32x32",
                      cmd_string(args, "latent"), cmd_string(args, "patch"));
    out->sample_tokens = 1;
    for (int i = 0; i < 3; i++) {
      if (latent[i] % patch[i])
        return vkd_fail(err, VKD_ERR_USAGE, "plan: --latent %s is no whole number of patches %s",
                        cmd_string(args, "latent"), cmd_string(args, "patch"));
      out->sample_tokens *= latent[i] / patch[i];
    }
  }
  if (!(out->sample_tokens > 0))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "plan: what a request costs needs --n-ctx, --sample-tokens or --latent, the tokens of a sample");
  return VKD_OK;
}

enum vkd_status plan_model_at(const struct plan_answer *a, double params, double tokens, struct plan_model *out,
                              struct vkd_error *err) {
  const struct fit_interval none = {NAN, NAN, NAN};
  struct fit_error bad;
  *out = (struct plan_model){.params = params,
                             .tokens = tokens,
                             .compute = tokens * fit_flops_per_token(&a->family, params),
                             .loss = fit_joint_loss(a->law.params, params, tokens),
                             .loss_interval = none};
  if (a->sample.count && fit_loss_interval(&a->sample, params, tokens, &out->loss_interval, &bad))
    return vkd_fail(err, VKD_ERR_INPUT, "%s", bad.what);
  for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
    const struct law_file_hyper *law = &a->law.hyper[t];
    double value[LAW_MAX_HYPER_SAMPLE];
    int count = a->law.plan.hyper_count[t];
    out->hyper_interval[t] = none;
    if (!(out->has_hyper[t] = law->has)) continue;
    out->hyper[t] =
        law->param[FIT_HYPER_K] * pow(tokens, law->param[FIT_HYPER_TOKENS]) * pow(params, law->param[FIT_HYPER_PARAMS]);
    for (int i = 0; i < count; i++) {
      const double *p = a->law.plan.hyper[t][i];
      value[i] = p[FIT_HYPER_K] * pow(tokens, p[FIT_HYPER_TOKENS]) * pow(params, p[FIT_HYPER_PARAMS]);
    }
    if (count >= 2) out->hyper_interval[t] = fit_interval_of(value, count, law->has_interval ? law->level : 0.9);
  }
  out->has_shape = !fit_shape_near(&a->family, params, &out->shape, NULL);
  return VKD_OK;
}

static enum vkd_status answer_best(const struct cmd_args *args, struct plan_answer *a, struct vkd_error *err) {
  struct fit_error bad;
  const double *si = a->law.params;
  enum fit_status status;
  a->tolerance = cmd_real(args, "tolerance");
  a->best_interval.params = a->best_interval.tokens = a->best_interval.loss = (struct fit_interval){NAN, NAN, NAN};
  if ((status = fit_optimum_at(si, &a->family, cmd_real(args, "compute"), &a->best, &bad)) ||
      (status = fit_flat_range(si, &a->family, &a->best, a->tolerance, &a->flat, &bad)))
    return law_status(status, &bad, err);
  if (a->sample.count &&
      (status = fit_optimum_interval(&a->sample, &a->family, a->best.compute, &a->best_interval, &bad)))
    return law_status(status, &bad, err);
  fit_tradeoff_table(si, &a->family, &a->best, a->table);
  struct fit_shape shape;
  double params = fit_shape_near(&a->family, a->best.params, &shape, NULL) ? a->best.params : shape.params;
  return plan_model_at(a, params, a->best.compute / fit_flops_per_token(&a->family, params), &a->model, err);
}

static enum vkd_status answer_serving(const struct cmd_args *args, struct plan_answer *a, struct vkd_error *err) {
  struct fit_error bad;
  const double *si = a->law.params;
  enum fit_status status = FIT_OK;
  enum vkd_status usage = request_from(args, &a->request, err);
  if (usage) return usage;
  if (a->has_request) {
    a->request_flops = cmd_real(args, "inference-flops") / (cmd_has(args, "requests") ? cmd_real(args, "requests") : 1);
    if ((status = fit_params_for_request(&a->family, &a->request, a->request_flops, &a->serve_params, &bad)) ||
        (status = fit_optimum_of_params(si, &a->family, a->serve_params, &a->serve_home, &bad)))
      return law_status(status, &bad, err);
    a->has_capped = a->has_best;
    if (a->has_capped) fit_tradeoff_at(si, &a->family, &a->best, fmin(a->serve_params, a->best.params), &a->capped);
  }
  if (a->has_service) {
    double compute = a->has_best ? a->best.compute : 0, loss = a->has_best ? a->best.loss : cmd_real(args, "loss");
    a->service = (struct fit_service){a->request, cmd_real(args, "requests")};
    if ((status = fit_serving_plan(si, &a->family, &a->service, loss, &a->serving, &bad)))
      return law_status(status, &bad, err);
    fit_serving_table(si, &a->family, &a->service, &a->serving, a->serving_row);
    // a loss that many resamples never reach has no interval, and that is told
    a->has_serving_interval = a->sample.count && !fit_serving_interval(&a->sample, &a->family, &a->service, compute,
                                                                       loss, &a->serving_interval, &bad);
  }
  return VKD_OK;
}

static enum vkd_status answer_from(const struct cmd_args *args, struct plan_answer *a, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  a->path = args->pos[0];
  a->paper = !strcmp(a->path, "paper");
  a->family = family_from(args);
  a->sample = (struct fit_sample){&a->law.sample[0][0], a->law.sample_count, a->law.level};
  a->has_best = cmd_has(args, "compute");
  a->has_asked = cmd_has(args, "params");
  a->has_request = cmd_has(args, "inference-flops");
  a->has_service = cmd_has(args, "requests") && (a->has_best || cmd_has(args, "loss"));
  if (a->has_best) status = answer_best(args, a, err);
  if (!status && a->has_asked)
    status = plan_model_at(a, cmd_real(args, "params"), cmd_real(args, "tokens"), &a->asked, err);
  if (!status && (a->has_request || a->has_service)) status = answer_serving(args, a, err);
  return status;
}

static enum vkd_status next_from(const struct cmd_args *args, const struct plan_answer *a, struct plan_next *n,
                                 struct vkd_error *err) {
  *n = (struct plan_next){.budget = cmd_real(args, "next"),
                          .misfit = cmd_real(args, "misfit"),
                          .span = cmd_real(args, "span"),
                          .max_runs = (int)cmd_int(args, "max-runs"),
                          .rows = (int)cmd_int(args, "rows-per-run"),
                          .size = cmd_has(args, "target-size"),
                          .target_compute = cmd_real(args, "target-compute"),
                          .target_params = cmd_real(args, "target-params"),
                          .target_tokens = cmd_real(args, "target-tokens")};
  enum vkd_status status = plan_next_find(a, n, err);
  if (!status && cmd_has(args, "sweep"))
    status = plan_next_write_sweep(a, n, cmd_string(args, "sweep"), cmd_string(args, "base"), err);
  return status;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct plan_answer *a = calloc(1, sizeof *a);
  struct plan_next *n = calloc(1, sizeof *n);
  enum vkd_status status = a && n ? usage_of(args, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "plan: no memory");
  if (status) goto fail;
  if ((status = law_json_read(args->pos[0], &a->law, err))) goto fail;
  if ((status = answer_from(args, a, err)) || (cmd_has(args, "next") && (status = next_from(args, a, n, err)))) {
    if (status != VKD_ERR_USAGE) vkd_error_prefix(err, "%s", args->pos[0]);
    goto fail;
  }
  if (cmd_has(args, "json")) {
    json_t *root = plan_json(a);
    if (cmd_has(args, "next")) json_object_set_new(root, "next", plan_next_json(n));
    if (!root || json_dumpf(root, stdout, JSON_INDENT(2)))
      status = vkd_fail(err, VKD_ERR_IO, "plan: cannot print JSON");
    putchar('\n');
    json_decref(root);
  } else {
    plan_print(a);
    if (cmd_has(args, "next")) plan_next_print(a, n);
    if (cmd_has(args, "sweep")) printf("Wrote %s\n", cmd_string(args, "sweep"));
  }
fail:
  free(a);
  free(n);
  return status;
}

const struct cmd cmd_plan = {
    .name = "plan",
    .summary = "Answers from a fitted law: the best model for a budget, the cheapest to train and serve, the next runs",
    .usage = "LAW.json|paper",
    .details =
        "LAW.json is what `vkdit fit` wrote; `paper` is the laws printed in arXiv:2411.17470.  Intervals follow\n"
        "from the resamples in LAW.json.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
