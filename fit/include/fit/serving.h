// Training and inference together: the model that reaches a loss at the least total of FLOPs.
#ifndef FIT_SERVING_H
#define FIT_SERVING_H

#include "fit/derived.h"
#include "fit/plan.h"

struct fit_service {
  struct fit_request request;
  double requests; // over the model's life, >= 0
};

// One model that reaches the loss.
struct fit_serving {
  double params, tokens;
  double training, inference, total; // FLOPs; infinite where the size never reaches the loss
};

void fit_serving_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_service *s,
                    double loss, double params, struct fit_serving *out);

struct fit_serving_plan {
  double loss;
  struct fit_serving optimal;  // the least training, its inference not looked at
  struct fit_serving cheapest; // the least total: no larger than that, since both rise beyond it
  double saved;                // 1 - total of the cheapest over that of the optimal
  double smallest;             // parameters below which no training reaches the loss
};

// The total at equal loss is convex in ln N.  Errors: FIT_ERR_INPUT on bad numbers or a loss that is never reached.
enum fit_status fit_serving_plan(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                                 const struct fit_service *s, double loss, struct fit_serving_plan *out,
                                 struct fit_error *err);

#define FIT_SERVING_ROWS 17 // even in ln N, from just above the smallest size to twice the optimal one

// Sizes for a table or a plot; one of the rows is the cheapest, one the optimal.
void fit_serving_table(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_service *s,
                       const struct fit_serving_plan *plan, struct fit_serving row[FIT_SERVING_ROWS]);

// What follows from every law of a sample, each for its own loss at `compute`, or all for `loss` where compute is 0.
struct fit_serving_interval {
  struct fit_interval params, tokens, total, saved; // of the cheapest
  int laws;
};
// Errors: FIT_ERR_INPUT when fewer than nine tenths of the laws give a plan, FIT_ERR_FAILED without memory.
enum fit_status fit_serving_interval(const struct fit_sample *sample, const struct fit_family *f,
                                     const struct fit_service *s, double compute, double loss,
                                     struct fit_serving_interval *out, struct fit_error *err);

#endif
