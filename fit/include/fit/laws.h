// The laws, one row of a table each, in the form in which they are solved: a log residual of a few working parameters
// in centred ln N and ln T.  The solver, the bootstrap and the profile know only the row.
#ifndef FIT_LAWS_H
#define FIT_LAWS_H

#include <stddef.h>

#include "fit/error.h"

#define FIT_MAX_PARAMS 8
#define FIT_MAX_HESSIAN (FIT_MAX_PARAMS * FIT_MAX_PARAMS)

// One observation: ln N and ln T minus the centre, and the logarithm of what the law predicts.
struct fit_obs {
  double n, t, y;
};

struct fit_centre {
  double n, t; // means of ln N and ln T
};

// A row of the table.
struct fit_law {
  const char *name, *formula;
  int params;
  const char *param[FIT_MAX_PARAMS];
  // Whether the parameter can be held fixed alone, and whether its working form is its logarithm.
  enum fit_hold { FIT_HOLD_NO, FIT_HOLD_PLAIN, FIT_HOLD_LOG } hold[FIT_MAX_PARAMS];
  // Bounds of the working parameters: where the data leave a parameter free to run away, it stops here and is told.
  double lowest[FIT_MAX_PARAMS], highest[FIT_MAX_PARAMS];
  // SI parameters <-> working parameters x.
  void (*to_si)(const double *x, const struct fit_centre *c, double *si);
  void (*from_si)(const double *si, const struct fit_centre *c, double *x);
  // ln(prediction) - y.  jac: d/dx [params], hess: d2/dx2 [params][params], each may be NULL.
  double (*residual)(const double *x, const struct fit_obs *o, double *jac, double *hess);
  // Writes up to `room` starting points [room][params], best first, and returns how many.  weight: [count] or NULL for
  // ones. held: [params], not NaN where the working parameter is held at that value.
  int (*starts)(const struct fit_obs *o, const double *weight, size_t count, const double *held, int room, double *x);
};

// "joint": L(N,T) = E + A*N^-alpha + B*T^-beta.
enum { FIT_E, FIT_A, FIT_ALPHA, FIT_B, FIT_BETA, FIT_JOINT_PARAMS };

// Ends with a row whose name is NULL.
extern const struct fit_law fit_laws[];
const struct fit_law *fit_law_find(const char *name); // NULL: no such law

// The loss of the joint law, SI units.  N, T > 0.
double fit_joint_loss(const double si[FIT_JOINT_PARAMS], double params, double tokens);

// The same law with N and T in billions, as the paper prints it: A*1e9^-alpha, B*1e9^-beta.
void fit_joint_billions(const double si[FIT_JOINT_PARAMS], double billions[FIT_JOINT_PARAMS]);

#endif
