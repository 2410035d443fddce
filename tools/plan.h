// What `vkdit plan` answers: computed, printed and as JSON.
#ifndef VKDIT_PLAN_H
#define VKDIT_PLAN_H

#include <jansson.h>

#include "cmd.h"
#include "fit/design.h"
#include "fit/serving.h"
#include "law_json.h"

// One model with what the laws say of it.  Intervals: NaN where the law has none.
struct plan_model {
  double params, tokens, compute, loss;
  struct fit_interval loss_interval;
  bool has_hyper[FIT_HYPER_TARGETS];
  double hyper[FIT_HYPER_TARGETS]; // batch in tokens, learning rate
  struct fit_interval hyper_interval[FIT_HYPER_TARGETS];
  bool has_shape;
  struct fit_shape shape;
};

struct plan_answer {
  const char *path;
  struct law_file law;
  struct fit_family family;
  struct fit_sample sample; // count 0: the law has no resamples, so nothing has an interval
  bool paper;               // the preset

  bool has_best; // --compute
  struct fit_optimum best;
  struct fit_optimum_interval best_interval;
  struct plan_model model; // the model to build: whole layers and heads
  struct fit_flat flat;
  double tolerance;
  struct fit_tradeoff table[FIT_TRADEOFF_ROWS];

  bool has_asked; // --params --tokens
  struct plan_model asked;

  bool has_request; // --inference-flops: the largest model that can be served
  struct fit_request request;
  double request_flops, serve_params;
  struct fit_optimum serve_home; // the compute at which it is optimal
  bool has_capped;               // with --compute
  struct fit_tradeoff capped;

  bool has_service; // --requests
  struct fit_service service;
  struct fit_serving_plan serving;
  struct fit_serving serving_row[FIT_SERVING_ROWS];
  bool has_serving_interval;
  struct fit_serving_interval serving_interval;
};

// Fills a plan_model.  Errors: VKD_ERR_INPUT.
enum vkd_status plan_model_at(const struct plan_answer *a, double params, double tokens, struct plan_model *out,
                              struct vkd_error *err);

void plan_print(const struct plan_answer *a);
json_t *plan_json(const struct plan_answer *a);

json_t *plan_json_number(double x);                                                      // null where it is not finite
void plan_json_interval_add(json_t *to, const char *name, const struct fit_interval *i); // nothing where it is none
void plan_print_interval(const struct fit_interval *i);                                  // " [low, high]", or nothing
json_t *plan_json_model(const struct plan_model *m);

// ---- next runs

#define PLAN_NEXT_BASELINES 2 // an equal-cost grid, and one run for all

struct plan_next {
  double budget, misfit, span;
  int max_runs, rows;
  bool size;             // the target is ln N_opt at target_compute, else the loss of a model
  double target_compute; // 0: a model was given
  double target_params, target_tokens;
  double target;                // N_opt, or the loss
  struct fit_interval interval; // of it, from the law's resamples
  double width_factor;          // standard deviations of half an interval at the law's level
  struct fit_design design, baseline[PLAN_NEXT_BASELINES];
  bool has_baseline[PLAN_NEXT_BASELINES];
  struct plan_model run[FIT_DESIGN_MAX_RUNS];
  double cost[FIT_DESIGN_MAX_RUNS];
  bool split; // the table tells the noise of a run from that of its rows
};

enum vkd_status plan_next_find(const struct plan_answer *a, struct plan_next *n, struct vkd_error *err);
void plan_next_print(const struct plan_answer *a, const struct plan_next *n);
json_t *plan_next_json(const struct plan_next *n);
// Writes the runs as a sweep on the configuration `base`.  n_ctx of the family gives the tokens of a sample, and with
// it batches in samples.
enum vkd_status plan_next_write_sweep(const struct plan_answer *a, const struct plan_next *n, const char *path,
                                      const char *base, struct vkd_error *err);

#endif
