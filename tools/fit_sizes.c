#include "fit_sizes.h"

#include <math.h>
#include <stdio.h>

enum vkd_status sizes_run(const struct fit_runs *runs, const struct fit_isoflop_options *options,
                          struct sizes_result *out, struct vkd_error *err) {
  struct fit_error bad;
  *out = (struct sizes_result){0};
  enum fit_status status = fit_isoflop(runs, options, &out->isoflop, &bad);
  out->has_isoflop = !status;
  if (status) snprintf(out->isoflop_note, sizeof out->isoflop_note, "%s", bad.what);
  if (status != FIT_ERR_FAILED) {
    status = fit_envelope(runs, options, &out->envelope, &bad);
    out->has_envelope = !status;
    if (status) snprintf(out->envelope_note, sizeof out->envelope_note, "%s", bad.what);
  }
  if (status != FIT_ERR_FAILED) return VKD_OK;
  sizes_free(out);
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s", bad.what);
}

void sizes_free(struct sizes_result *r) {
  fit_isoflop_free(&r->isoflop);
  fit_envelope_free(&r->envelope);
  *r = (struct sizes_result){0};
}

static void print_law(const char *what, const struct fit_size_law *law, double level) {
  printf("  %s: N_opt = %.5g * C^%.5f", what, law->k, law->a);
  if (!isnan(law->a_interval.low))
    printf("   %.0f %% intervals: k [%.5g, %.5g], a [%.5f, %.5f]", 100 * level, law->k_interval.low,
           law->k_interval.high, law->a_interval.low, law->a_interval.high);
  printf("\n");
}

void sizes_print(const struct sizes_result *r) {
  const struct fit_isoflop *iso = &r->isoflop;
  if (!r->has_isoflop) printf("IsoFLOP: none; %s\n", r->isoflop_note);
  if (r->has_isoflop) {
    printf("IsoFLOP: %d of %d budgets accepted, from %s\n", iso->accepted, iso->budgets,
           iso->source == FIT_BUDGETS_BY_CURVES ? "the training curves" : "rows at about the same compute");
    printf("  %10s %6s %6s  %11s  %25s  %11s  %9s\n", "FLOPs", "rows", "sizes", "N_opt", "interval", "T_opt", "loss");
    for (int b = 0; b < iso->budgets; b++) {
      const struct fit_budget *q = &iso->budget[b];
      char interval[64] = "";
      if (!isnan(q->params_interval.low))
        snprintf(interval, sizeof interval, "[%.5g, %.5g]", q->params_interval.low, q->params_interval.high);
      if (q->status)
        printf("  %10.4g %6d %6d  refused: %s\n", q->compute, q->points, q->sizes, fit_budget_text(q->status));
      else
        printf("  %10.4g %6d %6d  %11.5g  %25s  %11.5g  %9.6g\n", q->compute, q->points, q->sizes, q->params, interval,
               q->tokens, q->loss);
    }
    if (iso->has_law)
      print_law("law", &iso->law, iso->level);
    else
      printf("  no law: it needs two accepted budgets\n");
  }
  if (r->has_envelope)
    printf("Envelope of %d training curves, %d points\n", r->envelope.runs, r->envelope.points);
  else
    printf("Envelope of the training curves: none; %s\n", r->envelope_note);
  if (r->has_envelope) print_law("law", &r->envelope.law, r->envelope.level);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *pair(const struct fit_interval *i) {
  return isfinite(i->low) && isfinite(i->high) ? json_pack("[f,f]", i->low, i->high) : json_null();
}

static json_t *law_object(const struct fit_size_law *law, double level) {
  json_t *to = json_pack("{s:{s:f,s:f},s:f}", "params", "k", law->k, "a", law->a, "spread", law->spread);
  if (!isnan(law->a_interval.low))
    json_object_set_new(
        to, "interval",
        json_pack("{s:f,s:o,s:o}", "level", level, "k", pair(&law->k_interval), "a", pair(&law->a_interval)));
  return to;
}

static json_t *budget_object(const struct fit_budget *b) {
  json_t *to = json_pack("{s:f,s:i,s:i,s:b}", "flops", b->compute, "rows", b->points, "sizes", b->sizes, "accepted",
                         b->status == FIT_BUDGET_ACCEPTED);
  if (b->status) {
    json_object_set_new(to, "reason", json_string(fit_budget_text(b->status)));
  } else {
    json_object_set_new(to, "params", json_real(b->params));
    json_object_set_new(to, "interval", pair(&b->params_interval));
    json_object_set_new(to, "tokens", json_real(b->tokens));
    json_object_set_new(to, "loss", json_real(b->loss));
  }
  json_object_set_new(to, "curvature", number(b->curvature));
  json_object_set_new(to, "curvature_sd", number(b->curvature_sd));
  return to;
}

void sizes_add_json(const struct sizes_result *r, json_t *root) {
  if (r->has_isoflop) {
    json_t *to = r->isoflop.has_law ? law_object(&r->isoflop.law, r->isoflop.level) : json_object();
    json_t *budgets = json_array();
    for (int b = 0; b < r->isoflop.budgets; b++) json_array_append_new(budgets, budget_object(&r->isoflop.budget[b]));
    json_object_set_new(to, "source", json_string(r->isoflop.source == FIT_BUDGETS_BY_CURVES ? "curves" : "rows"));
    json_object_set_new(to, "budgets", budgets);
    json_object_set_new(root, "isoflop", to);
  }
  if (r->has_envelope) {
    json_t *to = law_object(&r->envelope.law, r->envelope.level);
    json_object_set_new(to, "runs", json_integer(r->envelope.runs));
    json_object_set_new(to, "points", json_integer(r->envelope.points));
    json_object_set_new(root, "envelope", to);
  }
}

// Whole powers of ten over low .. high, and with none in between, both.
static int computes(double low, double high, double at[64]) {
  int count = 0;
  for (double e = ceil(log10(low) - 1e-9); e <= log10(high) + 1e-9 && count < 64; e++) at[count++] = pow(10, e);
  if (!count) {
    at[count++] = low;
    at[count++] = high;
  }
  return count;
}

static void print_way(double params, const struct fit_interval *i) {
  char text[64] = "-";
  int at = isnan(params) ? 1 : snprintf(text, sizeof text, "%.5g", params);
  if (i && !isnan(i->low)) snprintf(text + at, sizeof text - (size_t)at, " [%.4g, %.4g]", i->low, i->high);
  printf("  %-33s", text);
}

void sizes_print_ways(const struct fit_size_sources *s, double low, double high) {
  double at[64];
  int count = computes(low, high, at);
  bool isoflop = s->isoflop && s->isoflop->has_law;
  if (!s->joint && !isoflop && !s->envelope) return;
  printf("Compute-optimal size, N_opt in parameters\n  %8s", "FLOPs");
  if (s->joint) printf("  %-33s  %-10s", "joint law", "closed form");
  if (isoflop) printf("  %-33s", "IsoFLOP");
  if (s->envelope) printf("  %-33s", "envelope");
  printf("%s\n", s->joint ? "  T_opt and loss by the joint law" : "");
  for (int i = 0; i < count; i++) {
    struct fit_size_row row;
    fit_size_row(s, at[i], &row);
    printf("  %8.2g", at[i]);
    if (s->joint) print_way(row.joint, &row.joint_interval);
    if (s->joint) printf("  %-11.5g", row.closed);
    if (isoflop) print_way(row.isoflop, &row.isoflop_interval);
    if (s->envelope) print_way(row.envelope, &row.envelope_interval);
    if (!isnan(row.joint)) printf("  %.5g, %.6g", row.tokens, row.loss);
    if (!isnan(row.loss_interval.low)) printf(" [%.6g, %.6g]", row.loss_interval.low, row.loss_interval.high);
    printf("\n");
  }
}

void sizes_add_ways_json(const struct fit_size_sources *s, double low, double high, json_t *root) {
  double at[64];
  int count = computes(low, high, at);
  json_t *rows = json_array();
  for (int i = 0; i < count; i++) {
    struct fit_size_row r;
    fit_size_row(s, at[i], &r);
    json_array_append_new(rows, json_pack("{s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "flops", r.compute,
                                          "joint", number(r.joint), "joint_interval", pair(&r.joint_interval), "tokens",
                                          number(r.tokens), "tokens_interval", pair(&r.tokens_interval), "loss",
                                          number(r.loss), "loss_interval", pair(&r.loss_interval), "joint_closed_form",
                                          number(r.closed), "isoflop", number(r.isoflop), "isoflop_interval",
                                          pair(&r.isoflop_interval), "envelope", number(r.envelope),
                                          "envelope_interval", pair(&r.envelope_interval)));
  }
  json_object_set_new(root, "sizes", rows);
}
