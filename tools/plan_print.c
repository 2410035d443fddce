// vkdit plan, as text and as JSON.
#include <math.h>
#include <stdio.h>

#include "plan.h"

// The size laws that arXiv:2411.17470 prints: from its printed L(N,T), and fitted on the runs themselves.
static const struct {
  const char *what;
  double k, a;
} printed[] = {{"derived", 1.5787, 0.4146}, {"fitted on the runs", 0.8705, 0.4294}};

void plan_print_interval(const struct fit_interval *i) {
  if (i->low <= i->high) printf(" [%.5g, %.5g]", i->low, i->high);
}

static void print_hyper(const struct plan_answer *a, const struct plan_model *m) {
  const char *between = "  ";
  if (m->has_hyper[FIT_HYPER_BATCH]) {
    printf("%sbatch %.5g tokens", between, m->hyper[FIT_HYPER_BATCH]);
    plan_print_interval(&m->hyper_interval[FIT_HYPER_BATCH]);
    if (a->family.n_ctx > 0) printf(", %.4g samples", m->hyper[FIT_HYPER_BATCH] / a->family.n_ctx);
    printf(", %.0f steps", ceil(m->tokens / m->hyper[FIT_HYPER_BATCH]));
    between = "; ";
  }
  if (m->has_hyper[FIT_HYPER_LR]) {
    printf("%slearning rate %.5g", between, m->hyper[FIT_HYPER_LR]);
    plan_print_interval(&m->hyper_interval[FIT_HYPER_LR]);
  }
  if (m->has_hyper[FIT_HYPER_BATCH] || m->has_hyper[FIT_HYPER_LR]) printf("\n");
}

static void print_shape(const struct plan_model *m) {
  if (m->has_shape)
    printf("model.dim %d, model.depth %d, model.heads %d", m->shape.width, m->shape.depth, m->shape.heads);
}

static void print_table(const struct plan_answer *a) {
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

static double printed_size(int i, double compute) { return printed[i].k * pow(compute, printed[i].a); }

static void print_conflict(const struct plan_answer *a) {
  printf("The paper's printed laws disagree: N_opt above follows from its L(N,T) and these FLOPs per token, but it "
         "prints\n");
  for (int i = 0; i < 2; i++) {
    struct fit_tradeoff at;
    fit_tradeoff_at(a->law.params, &a->family, &a->best, printed_size(i, a->best.compute), &at);
    printf("  N_opt = %.4f * C^%.4f (%s): N = %.5g, whose loss by L(N,T) is %.6g (%+.2e)\n", printed[i].k, printed[i].a,
           printed[i].what, at.params, at.loss, at.extra_loss);
  }
}

static void print_best(const struct plan_answer *a) {
  const struct plan_model *m = &a->model;
  printf("Compute-optimal at C = %.5g FLOPs: N = %.5g", a->best.compute, a->best.params);
  plan_print_interval(&a->best_interval.params);
  printf(" parameters, T = %.5g", a->best.tokens);
  plan_print_interval(&a->best_interval.tokens);
  printf(" tokens, loss %.6g", a->best.loss);
  plan_print_interval(&a->best_interval.loss);
  printf("\n");
  if (m->has_shape) {
    printf("Model to train: ");
    print_shape(m);
    printf(": N = %.5g, T = %.5g tokens, loss %.6g", m->params, m->tokens, m->loss);
    plan_print_interval(&m->loss_interval);
    printf("; %.5g FLOPs per token\n", fit_flops_per_token(&a->family, m->params));
    printf("  depth by %s, N = 16*L*d^2 (%.1f wide, %.2f deep before rounding)\n",
           a->family.depth > 0 ? "--depth" : "--aspect, width over depth", fit_family_width(&a->family, a->best.params),
           fit_family_depth(&a->family, a->best.params));
  }
  print_hyper(a, m);
  printf("Within %.4g %% of the best loss at this C: N = %.5g to %.5g, %.3g to %.3g of N_opt\n", 100 * a->tolerance,
         a->flat.low, a->flat.high, a->flat.low / a->best.params, a->flat.high / a->best.params);
  if (a->paper) print_conflict(a);
  print_table(a);
}

static void print_asked(const struct plan_answer *a) {
  const struct plan_model *m = &a->asked;
  printf("Loss at N = %.5g parameters and T = %.5g tokens: %.6g", m->params, m->tokens, m->loss);
  plan_print_interval(&m->loss_interval);
  printf(" (C = %.5g FLOPs)\n", m->compute);
  print_hyper(a, m);
}

static void print_request(const struct plan_answer *a) {
  printf("Inference: %.5g FLOPs a request serve at most N = %.5g parameters\n", a->request_flops, a->serve_params);
  if (a->has_capped) {
    printf("  best at C = %.5g: N = %.5g, T = %.5g, loss %.6g (%+.2e, %.2f %% of the optimum's inference cost)\n",
           a->best.compute, a->capped.params, a->capped.tokens, a->capped.loss, a->capped.extra_loss,
           100 * a->capped.inference);
    if (a->serve_params >= a->best.params) printf("  the compute-optimal size can be served as it is\n");
  } else {
    printf(
        "  that size is compute-optimal at C = %.5g FLOPs, T = %.5g tokens, loss %.6g; more tokens lower it further, "
        "to %.6g at most\n",
        a->serve_home.compute, a->serve_home.tokens, a->serve_home.loss,
        fit_joint_loss(a->law.params, a->serve_params, INFINITY));
  }
}

static void print_serving(const struct plan_answer *a) {
  const struct fit_serving_plan *p = &a->serving;
  const struct fit_serving_interval *i = &a->serving_interval;
  printf("\nTraining plus %.5g requests of %.0f tokens, %.0f steps, %.0f passes a step, at loss %.6g:\n",
         a->service.requests, a->request.sample_tokens, a->request.steps, a->request.evaluations, p->loss);
  printf("%12s %12s %12s %12s %12s %10s\n", "N", "T", "training", "inference", "total", "of optimal");
  for (int k = 0; k < FIT_SERVING_ROWS; k++) {
    const struct fit_serving *row = &a->serving_row[k];
    printf("%12.5g %12.5g %12.5g %12.5g %12.5g %10.5f%s%s%s\n", row->params, row->tokens, row->training, row->inference,
           row->total, row->total / p->optimal.total, row->params == p->cheapest.params ? "  cheapest" : "",
           row->params == p->optimal.params ? "  compute-optimal" : "",
           a->has_request && row->params > a->serve_params ? "  over --inference-flops" : "");
  }
  printf("Cheapest: N = %.5g", p->cheapest.params);
  if (a->has_serving_interval) plan_print_interval(&i->params);
  printf(", T = %.5g", p->cheapest.tokens);
  if (a->has_serving_interval) plan_print_interval(&i->tokens);
  printf(", %.5g", p->cheapest.total);
  if (a->has_serving_interval) plan_print_interval(&i->total);
  printf(" FLOPs in all: %.5g %%", 100 * p->saved);
  if (a->has_serving_interval) printf(" [%.5g, %.5g]", 100 * i->saved.low, 100 * i->saved.high);
  printf(" less than the compute-optimal N = %.5g\n", p->optimal.params);
  if (a->sample.count && !a->has_serving_interval)
    printf("  no interval: most resamples of the law never reach this loss\n");
}

void plan_print(const struct plan_answer *a) {
  if (!a->law.e_identified)
    printf("Note: this law's E is not identified; take predictions beyond its runs as guesses.\n");
  if (a->sample.count)
    printf("[low, high]: %.0f %% intervals from %d resamples of the law\n", 100 * a->law.level, a->sample.count);
  else
    printf("No intervals: %s\n", a->paper ? "the paper's laws are printed without their runs"
                                          : "the law has no resamples (vkdit fit makes them unless --bootstrap 0)");
  if (a->has_best) print_best(a);
  if (a->has_asked) print_asked(a);
  if (a->has_request) print_request(a);
  if (a->has_service) print_serving(a);
}

// ---- JSON
// ------------------------------------------------------------------------------------------------------------

json_t *plan_json_number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void set(json_t *to, const char *name, double x) { json_object_set_new(to, name, plan_json_number(x)); }

void plan_json_interval_add(json_t *to, const char *name, const struct fit_interval *i) {
  if (i->low <= i->high) json_object_set_new(to, name, json_pack("[f,f]", i->low, i->high));
}

json_t *plan_json_model(const struct plan_model *m) {
  static const char *const name[FIT_HYPER_TARGETS][2] = {{"batch_tokens", "batch_tokens_interval"},
                                                         {"lr", "lr_interval"}};
  json_t *to = json_object();
  set(to, "params", m->params);
  set(to, "tokens", m->tokens);
  set(to, "compute", m->compute);
  set(to, "loss", m->loss);
  plan_json_interval_add(to, "loss_interval", &m->loss_interval);
  for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
    if (!m->has_hyper[t]) continue;
    set(to, name[t][0], m->hyper[t]);
    plan_json_interval_add(to, name[t][1], &m->hyper_interval[t]);
  }
  if (m->has_hyper[FIT_HYPER_BATCH]) set(to, "steps", ceil(m->tokens / m->hyper[FIT_HYPER_BATCH]));
  if (m->has_shape) {
    json_object_set_new(to, "dim", json_integer(m->shape.width));
    json_object_set_new(to, "depth", json_integer(m->shape.depth));
    json_object_set_new(to, "heads", json_integer(m->shape.heads));
  }
  return to;
}

static json_t *tradeoff_object(const struct fit_tradeoff *row) {
  json_t *to = json_object();
  set(to, "params", row->params);
  set(to, "tokens", row->tokens);
  set(to, "loss", row->loss);
  set(to, "extra_loss", row->extra_loss);
  set(to, "inference", row->inference);
  set(to, "compute_at_equal_loss", row->compute_at_equal_loss);
  return to;
}

static json_t *optimum_object(const struct fit_optimum *o) {
  return json_pack("{s:f,s:f,s:f,s:f}", "compute", o->compute, "params", o->params, "tokens", o->tokens, "loss",
                   o->loss);
}

static void add_best(const struct plan_answer *a, json_t *root) {
  json_t *table = json_array(), *optimum = optimum_object(&a->best), *conflict = json_array();
  for (int i = 0; i < FIT_TRADEOFF_ROWS; i++) json_array_append_new(table, tradeoff_object(&a->table[i]));
  plan_json_interval_add(optimum, "params_interval", &a->best_interval.params);
  plan_json_interval_add(optimum, "tokens_interval", &a->best_interval.tokens);
  plan_json_interval_add(optimum, "loss_interval", &a->best_interval.loss);
  json_object_set_new(root, "optimum", optimum);
  json_object_set_new(root, "build", plan_json_model(&a->model));
  json_object_set_new(root, "flat",
                      json_pack("{s:f,s:[f,f]}", "tolerance", a->tolerance, "params", a->flat.low, a->flat.high));
  json_object_set_new(root, "tradeoff", table);
  for (int i = 0; a->paper && i < 2; i++) {
    struct fit_tradeoff at;
    fit_tradeoff_at(a->law.params, &a->family, &a->best, printed_size(i, a->best.compute), &at);
    json_t *one = tradeoff_object(&at);
    json_object_set_new(one, "k", json_real(printed[i].k));
    json_object_set_new(one, "a", json_real(printed[i].a));
    json_object_set_new(one, "what", json_string(printed[i].what));
    json_array_append_new(conflict, one);
  }
  if (a->paper) json_object_set(root, "printed_size_laws", conflict);
  json_decref(conflict);
}

static json_t *serving_row(const struct fit_serving *row) {
  json_t *to = json_object();
  set(to, "params", row->params);
  set(to, "tokens", row->tokens);
  set(to, "training", row->training);
  set(to, "inference", row->inference);
  set(to, "total", row->total);
  return to;
}

static json_t *serving_object(const struct plan_answer *a) {
  json_t *to = json_object(), *table = json_array(), *cheapest = serving_row(&a->serving.cheapest);
  for (int k = 0; k < FIT_SERVING_ROWS; k++) json_array_append_new(table, serving_row(&a->serving_row[k]));
  set(to, "requests", a->service.requests);
  set(to, "loss", a->serving.loss);
  set(to, "saved", a->serving.saved);
  if (a->has_serving_interval) {
    plan_json_interval_add(to, "saved_interval", &a->serving_interval.saved);
    plan_json_interval_add(cheapest, "params_interval", &a->serving_interval.params);
    plan_json_interval_add(cheapest, "tokens_interval", &a->serving_interval.tokens);
    plan_json_interval_add(cheapest, "total_interval", &a->serving_interval.total);
  }
  json_object_set_new(to, "cheapest", cheapest);
  json_object_set_new(to, "compute_optimal", serving_row(&a->serving.optimal));
  json_object_set_new(to, "table", table);
  return to;
}

json_t *plan_json(const struct plan_answer *a) {
  json_t *root = json_object();
  json_object_set_new(root, "e_identified", json_boolean(a->law.e_identified));
  if (a->sample.count)
    json_object_set_new(root, "intervals", json_pack("{s:f,s:i}", "level", a->law.level, "resamples", a->sample.count));
  if (a->has_best) add_best(a, root);
  if (a->has_asked) json_object_set_new(root, "model", plan_json_model(&a->asked));
  if (a->has_request) {
    json_t *serve = json_pack("{s:f,s:f,s:o}", "request_flops", a->request_flops, "largest_params", a->serve_params,
                              "optimal_at", optimum_object(&a->serve_home));
    if (a->has_capped) json_object_set_new(serve, "best", tradeoff_object(&a->capped));
    json_object_set_new(root, "inference", serve);
  }
  if (a->has_service) json_object_set_new(root, "serving", serving_object(a));
  return root;
}
