// What a fit of the joint law rests on: how well the table determines each parameter, and where it does not.
#ifndef FIT_DIAGNOSIS_H
#define FIT_DIAGNOSIS_H

#include "fit/solve.h"

#define FIT_PROFILE_POINTS 41
#define FIT_PROFILE_ROWS 20000 // a larger table gets no profile: each point is a fit
#define FIT_MAX_FINDINGS 12

struct fit_diagnosis {
  // Largest over smallest eigenvalue of J^T J of the log residuals at the solution, over the parameters that are not
  // held: in the centred working parameters in which it is solved (ln E, ln A', alpha, ln B', beta, with A' and B' the
  // terms at the mean ln N and ln T), and in E, A, alpha, B, beta as they stand, in SI units.
  double condition, condition_si;
  // Of the working parameters' estimates, whose covariance is (J^T J)^-1 up to a factor: [params][params]; NaN where
  // one is held or J^T J is singular.
  double correlation[FIT_MAX_HESSIAN];
  int pair[2]; // the two parameters with the largest |correlation|; -1: none
  double pair_correlation;
  // The objective against E with everything else refitted, E rising; ends where the objective reaches 1.1 of its
  // minimum, or at E = 0, or under the lowest loss. Where E is held, or above FIT_PROFILE_ROWS rows: no points.
  int points;
  double e[FIT_PROFILE_POINTS], objective[FIT_PROFILE_POINTS];
  double e_low, e_high; // where the objective is within 2 % of its minimum (linear between the points)
};

// Errors: FIT_ERR_INPUT on a bad table or a law other than the joint one, FIT_ERR_FAILED without memory.
enum fit_status fit_diagnose(const struct fit_runs *runs, const struct fit_options *options,
                             const struct fit_solution *solution, struct fit_diagnosis *out, struct fit_error *err);

// What a reader must know before trusting the numbers, a sentence each ("E is not identified: ...").  Returns how many.
// d: NULL allowed.
struct fit_finding {
  char text[320];
};
// Of E alone: "E is not identified: ..."; false: it is.
bool fit_finding_of_e(const struct fit_solution *s, struct fit_finding *out);
int fit_findings(const struct fit_solution *s, const struct fit_diagnosis *d, struct fit_finding out[FIT_MAX_FINDINGS]);

#endif
