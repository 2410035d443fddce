// vkdit plan: what a joint law recommends and predicts.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family_opts.h"
#include "law_json.h"

static const struct cmd_opt opts[] = {
    {.name = "compute",
     .kind = CMD_REAL,
     .metavar = "C",
     .min = 1,
     .max = 1e60,
     .help = "training FLOPs: the compute-optimal size, its tokens and loss, and what departing from it costs"},
    {.name = "params",
     .kind = CMD_REAL,
     .metavar = "N",
     .min = 1,
     .max = 1e18,
     .help = "with --tokens: predict the loss of this model"},
    {.name = "tokens",
     .kind = CMD_REAL,
     .metavar = "T",
     .min = 1,
     .max = 1e24,
     .help = "with --params: trained tokens"},
    {.name = "inference-flops",
     .kind = CMD_REAL,
     .metavar = "F",
     .min = 1,
     .max = 1e60,
     .help = "FLOPs for all requests: the largest model that serves them (needs --n-ctx); with --compute its loss"},
    {.name = "requests",
     .kind = CMD_REAL,
     .metavar = "R",
     .fallback = "1",
     .min = 1,
     .max = 1e30,
     .help = "samples that F has to serve"},
    {.name = "steps",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "50",
     .min = 1,
     .max = 100000,
     .help = "sampler steps of a request"},
    {.name = "evaluations",
     .kind = CMD_INT,
     .metavar = "K",
     .fallback = "2",
     .min = 1,
     .max = 16,
     .help = "forward passes of a step: 2 with guidance"},
    FAMILY_OPTS,
    CMD_OPT_JSON,
    {0},
};

struct answer {
  struct law_file law;
  struct fit_family family;
  bool has_best, has_model, has_request;
  struct fit_optimum best;                      // at --compute
  struct fit_tradeoff table[FIT_TRADEOFF_ROWS]; // around it
  double params, tokens, loss;                  // --params and --tokens
  double serve_params, request_flops;           // largest model for one request, and the request's budget
  struct fit_optimum serve_home;                // the compute at which that size is optimal
  struct fit_tradeoff serve;                    // with --compute: the best size that can be served
};

static enum vkd_status answer_from(const struct cmd_args *args, struct answer *a, struct vkd_error *err) {
  struct fit_error bad;
  enum fit_status status = FIT_OK;
  const double *si = a->law.params;
  a->family = family_from(args);
  a->has_best = cmd_has(args, "compute");
  a->has_model = cmd_has(args, "params");
  a->has_request = cmd_has(args, "inference-flops");
  if (a->has_model != cmd_has(args, "tokens"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --params and --tokens go together");
  if (!a->has_best && !a->has_model && !a->has_request)
    return vkd_fail(err, VKD_ERR_USAGE, "plan: ask with --compute C, --params N --tokens T, or --inference-flops F");
  if (a->has_request && !cmd_has(args, "n-ctx"))
    return vkd_fail(err, VKD_ERR_USAGE, "plan: --inference-flops needs --n-ctx, the tokens of a sample");
  if (a->has_best) {
    if ((status = fit_optimum_at(si, &a->family, cmd_real(args, "compute"), &a->best, &bad))) goto fail;
    fit_tradeoff_table(si, &a->family, &a->best, a->table);
  }
  if (a->has_model) {
    a->params = cmd_real(args, "params");
    a->tokens = cmd_real(args, "tokens");
    a->loss = fit_joint_loss(si, a->params, a->tokens);
  }
  if (a->has_request) {
    struct fit_request request = {.sample_tokens = a->family.n_ctx,
                                  .steps = (double)cmd_int(args, "steps"),
                                  .evaluations = (double)cmd_int(args, "evaluations")};
    a->request_flops = cmd_real(args, "inference-flops") / cmd_real(args, "requests");
    if ((status = fit_params_for_request(&a->family, &request, a->request_flops, &a->serve_params, &bad)) ||
        (status = fit_optimum_of_params(si, &a->family, a->serve_params, &a->serve_home, &bad)))
      goto fail;
    if (a->has_best) fit_tradeoff_at(si, &a->family, &a->best, fmin(a->serve_params, a->best.params), &a->serve);
  }
  return VKD_OK;
fail:
  law_status(status, &bad, err);
  return vkd_error_prefix(err, "%s", args->pos[0]);
}

static json_t *tradeoff_object(const struct fit_tradeoff *row) {
  json_t *to = json_pack("{s:f,s:f,s:f,s:f,s:f}", "params", row->params, "tokens", row->tokens, "loss", row->loss,
                         "extra_loss", row->extra_loss, "inference", row->inference);
  bool reaches = isfinite(row->compute_at_equal_loss);
  json_object_set_new(to, "compute_at_equal_loss", reaches ? json_real(row->compute_at_equal_loss) : json_null());
  return to;
}

static json_t *optimum_object(const struct fit_optimum *o) {
  return json_pack("{s:f,s:f,s:f,s:f}", "compute", o->compute, "params", o->params, "tokens", o->tokens, "loss",
                   o->loss);
}

static enum vkd_status print_json(const struct answer *a, struct vkd_error *err) {
  json_t *root = json_object();
  json_object_set_new(root, "e_identified", json_boolean(a->law.e_identified));
  if (a->has_best) {
    json_t *table = json_array();
    for (int i = 0; i < FIT_TRADEOFF_ROWS; i++) json_array_append_new(table, tradeoff_object(&a->table[i]));
    json_object_set_new(root, "optimum", optimum_object(&a->best));
    json_object_set_new(root, "tradeoff", table);
  }
  if (a->has_model)
    json_object_set_new(root, "model",
                        json_pack("{s:f,s:f,s:f,s:f}", "params", a->params, "tokens", a->tokens, "loss", a->loss,
                                  "compute", a->tokens * fit_flops_per_token(&a->family, a->params)));
  if (a->has_request) {
    json_t *serve = json_pack("{s:f,s:f,s:o}", "request_flops", a->request_flops, "largest_params", a->serve_params,
                              "optimal_at", optimum_object(&a->serve_home));
    if (a->has_best) json_object_set_new(serve, "best", tradeoff_object(&a->serve));
    json_object_set_new(root, "inference", serve);
  }
  enum vkd_status status = VKD_OK;
  if (!root || json_dumpf(root, stdout, JSON_INDENT(2))) status = vkd_fail(err, VKD_ERR_IO, "plan: cannot print JSON");
  putchar('\n');
  json_decref(root);
  return status;
}

static void print_best(const struct answer *a) {
  printf("Compute-optimal at C = %.5g FLOPs: N = %.5g parameters, T = %.5g tokens, loss %.6g\n", a->best.compute,
         a->best.params, a->best.tokens, a->best.loss);
  if (a->family.n_ctx > 0)
    printf("  width %.0f, depth %.1f by N = 16*L*d^2; %.5g FLOPs per token\n",
           fit_family_width(&a->family, a->best.params), fit_family_depth(&a->family, a->best.params),
           fit_flops_per_token(&a->family, a->best.params));
  printf("\n%12s %8s %12s %10s %11s %10s %14s\n", "N", "of N_opt", "T", "loss", "extra loss", "inference",
         "for same loss");
  for (int i = 0; i < FIT_TRADEOFF_ROWS; i++) {
    const struct fit_tradeoff *row = &a->table[i];
    printf("%12.5g %8.3f %12.5g %10.6g %+11.2e %9.3fx", row->params, row->params / a->best.params, row->tokens,
           row->loss, row->extra_loss, row->inference);
    if (isfinite(row->compute_at_equal_loss))
      printf(" %13.3fx\n", row->compute_at_equal_loss);
    else
      printf(" %14s\n", "never");
  }
  printf("Inference: FLOPs of a sampled token, relative to N_opt. For same loss: training FLOPs to reach it, relative "
         "to C.\n");
}

static void print_request(const struct answer *a) {
  printf("Inference: %.5g FLOPs a request serve at most N = %.5g parameters\n", a->request_flops, a->serve_params);
  if (a->has_best) {
    printf("  best at C = %.5g: N = %.5g, T = %.5g, loss %.6g (%+.2e, %.2f %% of the optimum's inference cost)\n",
           a->best.compute, a->serve.params, a->serve.tokens, a->serve.loss, a->serve.extra_loss,
           100 * a->serve.inference);
    if (a->serve_params >= a->best.params) printf("  the compute-optimal size can be served as it is\n");
  } else {
    printf(
        "  that size is compute-optimal at C = %.5g FLOPs, T = %.5g tokens, loss %.6g; more tokens lower it further, "
        "to %.6g at most\n",
        a->serve_home.compute, a->serve_home.tokens, a->serve_home.loss,
        fit_joint_loss(a->law.params, a->serve_params, INFINITY));
  }
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct answer a = {0};
  enum vkd_status status = law_json_read(args->pos[0], &a.law, err);
  if (!status) status = answer_from(args, &a, err);
  if (status) return status;
  if (cmd_has(args, "json")) return print_json(&a, err);
  if (!a.law.e_identified)
    printf("Note: this law's E is not identified; take predictions beyond its runs as guesses.\n");
  if (a.has_best) print_best(&a);
  if (a.has_model)
    printf("Loss at N = %.5g parameters and T = %.5g tokens: %.6g (C = %.5g FLOPs)\n", a.params, a.tokens, a.loss,
           a.tokens * fit_flops_per_token(&a.family, a.params));
  if (a.has_request) print_request(&a);
  return VKD_OK;
}

const struct cmd cmd_plan = {
    .name = "plan",
    .summary = "Answers from a fitted law: best size for a budget, loss of a model, what a smaller one costs",
    .usage = "LAW.json|paper",
    .details = "LAW.json is what `vkdit fit` wrote; `paper` is the law printed in arXiv:2411.17470.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
