// Planning with the joint law: compute-optimal sizes, what departing from them costs, and inference budgets.  SI units.
#ifndef FIT_PLAN_H
#define FIT_PLAN_H

#include "fit/error.h"
#include "fit/laws.h"

// The FLOPs of a model family.  Zero means default.
// n_ctx > 0: the paper's FLOPs per trained token, C_token = 3/4 * N * (7 + n_ctx/d), of a cross-attention DiT with N =
// 16*L*d^2, whose width d follows from N by the depth rule: L = d/aspect, or L = depth where that is given. n_ctx = 0:
// C_token = flops_per_param * N.
struct fit_family {
  double n_ctx;           // tokens of one sample
  double aspect;          // d/L; 0: 64
  double depth;           // L; 0: by aspect
  double flops_per_param; // 0: 6
};

#define FIT_DEFAULT_ASPECT 64.0
#define FIT_DEFAULT_FLOPS_PER_PARAM 6.0

double fit_family_width(const struct fit_family *f, double params); // d
double fit_family_depth(const struct fit_family *f, double params); // L
// Training, forward and backward; a forward pass alone is a third of it.
double fit_flops_per_token(const struct fit_family *f, double params);

// E >= 0; A, alpha, B, beta > 0; all finite.  The functions below demand it.
enum fit_status fit_joint_check(const double si[FIT_JOINT_PARAMS], struct fit_error *err);
enum fit_status fit_family_check(const struct fit_family *f, struct fit_error *err);

struct fit_optimum {
  double compute, params, tokens, loss;
};

// The lowest loss that `compute` FLOPs of training buy.  The loss at equal compute is convex in ln N, so the optimum is
// one. Errors: FIT_ERR_INPUT on a bad law, family or compute, or an optimum outside 1 .. 1e18 parameters.
enum fit_status fit_optimum_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double compute,
                               struct fit_optimum *out, struct fit_error *err);

// The same in closed form at k = flops_per_param FLOPs per parameter and token (n_ctx is not looked at):
// N_opt = (alpha*A/(beta*B))^(1/(alpha+beta)) * (C/k)^(beta/(alpha+beta)).
enum fit_status fit_optimum_analytic(const double si[FIT_JOINT_PARAMS], double flops_per_param, double compute,
                                     struct fit_optimum *out, struct fit_error *err);

// The compute at which `params` is the optimal size.
enum fit_status fit_optimum_of_params(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double params,
                                      struct fit_optimum *out, struct fit_error *err);

// N_opt = k * C^a by least squares on logarithms over low .. high FLOPs; `worst` is the largest |ln| deviation of it.
struct fit_power {
  double k, a, worst;
};
enum fit_status fit_optimum_power(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double low,
                                  double high, struct fit_power *out, struct fit_error *err);

// One model at the compute of an optimum.
struct fit_tradeoff {
  double params, tokens, loss;
  double extra_loss;            // over the optimum's
  double inference;             // FLOPs per sampled token over the optimum's
  double compute_at_equal_loss; // training FLOPs to reach the optimum's loss, over the optimum's; infinite: never
                                // reaches it
};

#define FIT_TRADEOFF_ROWS 13 // N_opt/8 .. N_opt*8 in steps of sqrt(2)

void fit_tradeoff_at(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, const struct fit_optimum *optimum,
                     double params, struct fit_tradeoff *out);
void fit_tradeoff_table(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                        const struct fit_optimum *optimum, struct fit_tradeoff row[FIT_TRADEOFF_ROWS]);

// The sizes around an optimum whose loss at its compute is at most (1 + tolerance) times the optimum's.  Errors:
// FIT_ERR_INPUT unless 0 < tolerance < 1.  Where the edge lies beyond 1 .. 1e18 parameters, that end is there.
struct fit_flat {
  double low, high; // parameters
};
enum fit_status fit_flat_range(const double si[FIT_JOINT_PARAMS], const struct fit_family *f,
                               const struct fit_optimum *optimum, double tolerance, struct fit_flat *out,
                               struct fit_error *err);

// A model that can be built, N = 16*L*d^2: whole layers, heads of 64 numbers (less in models narrower than that would
// let be told apart), and a width of whole heads, nearest to `params` first and to the depth rule second.
struct fit_shape {
  int width, depth, heads;
  double params; // of the rounded model
};
// Errors: FIT_ERR_INPUT on a bad family, or a size outside the smallest (1024) and widest (2^16) models.
enum fit_status fit_shape_near(const struct fit_family *f, double params, struct fit_shape *out, struct fit_error *err);

// The least training that reaches `loss`.  Errors: FIT_ERR_INPUT when no finite model does.
enum fit_status fit_optimum_for_loss(const double si[FIT_JOINT_PARAMS], const struct fit_family *f, double loss,
                                     struct fit_optimum *out, struct fit_error *err);

// Tokens at which a model reaches `loss`; infinite when E + A*N^-alpha is no lower.
double fit_tokens_for_loss(const double si[FIT_JOINT_PARAMS], double params, double loss);

// FLOPs to draw one sample of `sample_tokens`: steps * evaluations (2 with classifier-free guidance) forward passes.
// Where the family counts attention (n_ctx > 0), it runs over the sample's own tokens.
struct fit_request {
  double sample_tokens, steps, evaluations;
};
double fit_request_flops(const struct fit_family *f, const struct fit_request *r, double params);

// The largest model that serves one request within `flops`.  Errors: FIT_ERR_INPUT when no model does.
enum fit_status fit_params_for_request(const struct fit_family *f, const struct fit_request *r, double flops,
                                       double *params, struct fit_error *err);

#endif
