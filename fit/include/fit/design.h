// Which runs to make next: those that, at a given cost, leave the least uncertainty about what the law is asked to
// predict.  What is known stands as a bootstrap's sample of laws: a quantity's spread over the sample is its
// uncertainty, and how a candidate's loss varies with it over the sample tells what measuring that loss would teach.
// In the linear, Gaussian limit this is c-optimal design with the robust fit's information matrix; the sample keeps
// the curved ridge along which the parameters of a joint law trade off, which a matrix at the solution does not.
#ifndef FIT_DESIGN_H
#define FIT_DESIGN_H

#include <stdbool.h>

#include "fit/derived.h"

// Standard deviations of ln loss about the law: of one row within its run, and of a run as a whole.
struct fit_noise {
  double row, run;
  bool split; // false: the table has no runs of several rows, so that FIT_RUN_SHARE is assumed
};

// Share of the variance that the rows of one run have in common where the table cannot tell.
#define FIT_RUN_SHARE 0.9

// From the residuals of a fit, cut at 3 robust standard deviations, and split by one-way analysis of variance over the
// runs.  The whole spread, not the smaller variance of the robust estimate: runs that teach much are those far from
// the others, where a robust fit does not see that one is an outlier.  Errors: FIT_ERR_FAILED without memory.
enum fit_status fit_noise_estimate(const struct fit_runs *runs, const struct fit_solution *s, struct fit_noise *out,
                                   struct fit_error *err);
double fit_noise_total(const struct fit_noise *noise); // of one row alone

// No table follows its law exactly, and a run far from the target tells of the law there, not at the target: the misfit
// of a run is taken to grow by `share` of the noise with every factor e between it and the target, in N and T.  Half of
// its variance is a slope in ln N and ln T that all runs share, so that repeating far runs soon teaches nothing; half
// is the run's own.  Without it a design rests on repeats of the cheapest corners of its grid.
#define FIT_DEFAULT_MISFIT 0.5

// Tokens per parameter of a run within this factor of the target's: far outside, laws of this form are known to break.
#define FIT_DEFAULT_SPAN 10.0

#define FIT_DESIGN_MAX_RUNS 64
#define FIT_DESIGN_MAX_ROWS 16
#define FIT_DESIGN_MAX_CANDIDATES 20000

// A run that can be made.  At a constant learning rate it gives several rows on its way, even in ln T.
struct fit_candidate {
  double params, tokens; // at its end
  double cost;           // > 0, FLOPs
  int rows;              // 1 .. FIT_DESIGN_MAX_ROWS
  double from;           // tokens of its first row over those of its last, where rows > 1
};

struct fit_design_problem {
  struct fit_sample sample;
  const double *target; // [targets][sample.count]: what is to be predicted, by every law of the sample
  int targets;          // their variances are added up
  const struct fit_candidate *candidate;
  int candidates;
  struct fit_noise noise;
  double misfit, params, tokens; // share of the noise, 0: none, and the target's place, from which it is measured
  double budget;                 // FLOPs
  int max_runs;                  // 1 .. FIT_DESIGN_MAX_RUNS
  bool once;                     // every candidate at most once; else as often as it pays (other seeds)
};

struct fit_design {
  int count, pick[FIT_DESIGN_MAX_RUNS]; // indices of candidates, the most telling first
  double cost;
  double before;                    // standard deviation of the target (root mean square over the targets)
  double after;                     // with all the runs made
  double step[FIT_DESIGN_MAX_RUNS]; // after the first 1, 2, ... of them
};

// Greedy choices by gain over several powers of the cost, each improved by additions and exchanges until none helps;
// the best of them.  No proof of the optimum, and no worse than any of its starts.  Errors: FIT_ERR_INPUT on bad
// numbers, fewer than 20 laws, or when no candidate fits the budget; FIT_ERR_FAILED without memory.
enum fit_status fit_design_find(const struct fit_design_problem *p, struct fit_design *out, struct fit_error *err);

// The same numbers for a choice made elsewhere: pick [count]; the budget is not looked at.
enum fit_status fit_design_judge(const struct fit_design_problem *p, const int *pick, int count, struct fit_design *out,
                                 struct fit_error *err);

#endif
