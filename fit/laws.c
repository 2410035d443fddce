#include "fit/laws.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID 14         // values of each exponent tried as a start
#define GRID_FIRST 0.05 // exponents seen in practice lie well inside
#define GRID_LAST 2.0
#define FLOOR 1e-3 // share of the loss that a term found to be zero starts with: at zero its gradient would vanish

// ---- joint: working parameters ln E, ln A', alpha, ln B', beta, where A' and B' are the terms at the centre

static void joint_to_si(const double *x, const struct fit_centre *c, double *si) {
  si[FIT_E] = exp(x[FIT_E]);
  si[FIT_A] = exp(x[FIT_A] + x[FIT_ALPHA] * c->n);
  si[FIT_ALPHA] = x[FIT_ALPHA];
  si[FIT_B] = exp(x[FIT_B] + x[FIT_BETA] * c->t);
  si[FIT_BETA] = x[FIT_BETA];
}

static void joint_from_si(const double *si, const struct fit_centre *c, double *x) {
  x[FIT_E] = log(si[FIT_E]);
  x[FIT_A] = log(si[FIT_A]) - si[FIT_ALPHA] * c->n;
  x[FIT_ALPHA] = si[FIT_ALPHA];
  x[FIT_B] = log(si[FIT_B]) - si[FIT_BETA] * c->t;
  x[FIT_BETA] = si[FIT_BETA];
}

// ln(e^z0 + e^z1 + e^z2) - y with z linear in x, so the Hessian is M^T (diag(p) - p p^T) M with p the shares of the
// terms.
static double joint_residual(const double *x, const struct fit_obs *o, double *jac, double *hess) {
  double z[3] = {x[FIT_E], x[FIT_A] - x[FIT_ALPHA] * o->n, x[FIT_B] - x[FIT_BETA] * o->t};
  double top = fmax(z[0], fmax(z[1], z[2]));
  double p[3], sum = 0;
  for (int k = 0; k < 3; k++) sum += p[k] = exp(z[k] - top);
  for (int k = 0; k < 3; k++) p[k] /= sum;
  static const int term[FIT_JOINT_PARAMS] = {0, 1, 1, 2, 2};
  double slope[FIT_JOINT_PARAMS] = {1, 1, -o->n, 1, -o->t};
  if (jac)
    for (int i = 0; i < FIT_JOINT_PARAMS; i++) jac[i] = p[term[i]] * slope[i];
  if (hess)
    for (int i = 0; i < FIT_JOINT_PARAMS; i++)
      for (int j = 0; j < FIT_JOINT_PARAMS; j++)
        hess[i * FIT_JOINT_PARAMS + j] = slope[i] * slope[j] * p[term[i]] * ((term[i] == term[j]) - p[term[j]]);
  return top + log(sum) - o->y;
}

// Least squares of three non-negative unknowns: the best of the 7 sets of columns whose solution has no negative entry.
// m: normal matrix (symmetric), v: right side.  Returns the decrease of the squared error below that of zero.
static double nnls3(const double m[3][3], const double v[3], double out[3]) {
  double best = 0;
  memset(out, 0, 3 * sizeof *out);
  for (int set = 1; set < 8; set++) {
    int at[3], n = 0;
    double a[3][4];
    for (int i = 0; i < 3; i++)
      if (set >> i & 1) at[n++] = i;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) a[i][j] = m[at[i]][at[j]];
      a[i][n] = v[at[i]];
    }
    int good = 1;
    for (int k = 0; k < n && good; k++) { // positive definite where the columns differ: no pivoting
      if (!(a[k][k] > 1e-13 * m[at[k]][at[k]])) good = 0;
      for (int i = k + 1; i < n && good; i++)
        for (int j = n; j >= k; j--) a[i][j] -= a[i][k] / a[k][k] * a[k][j];
    }
    double y[3] = {0}, gain = 0;
    for (int i = n - 1; i >= 0 && good; i--) {
      y[i] = a[i][n];
      for (int j = i + 1; j < n; j++) y[i] -= a[i][j] * y[j];
      y[i] /= a[i][i];
      if (!(y[i] >= 0)) good = 0;
      gain += y[i] * v[at[i]];
    }
    if (!good || !(gain > best)) continue;
    best = gain;
    memset(out, 0, 3 * sizeof *out);
    for (int i = 0; i < n; i++) out[at[i]] = y[i];
  }
  return best;
}

struct start {
  double gain, x[FIT_JOINT_PARAMS];
};

static int by_gain(const void *pa, const void *pb) {
  double a = ((const struct start *)pa)->gain, b = ((const struct start *)pb)->gain;
  return a > b ? -1 : a < b;
}

// For every pair of exponents of a grid, E, A and B by non-negative least squares on relative errors.
static int joint_starts(const struct fit_obs *o, const double *weight, size_t count, const double *held, int room,
                        double *x) {
  double *power = malloc((2 * GRID + 1) * count * sizeof *power); // per row, over its loss: N^-alpha, T^-beta, 1
  struct start *start = malloc(GRID * GRID * sizeof *start);
  int starts = 0;
  if (!power || !start) goto done;
  double value[2][GRID];
  for (int which = 0; which < 2; which++)
    for (int g = 0; g < GRID; g++) {
      double fixed = held[which ? FIT_BETA : FIT_ALPHA];
      value[which][g] = isnan(fixed) ? GRID_FIRST * pow(GRID_LAST / GRID_FIRST, g / (GRID - 1.0)) : fixed;
      double *to = power + (size_t)(which * GRID + g) * count;
      for (size_t i = 0; i < count; i++) to[i] = exp(-value[which][g] * (which ? o[i].t : o[i].n) - o[i].y);
    }
  double *one = power + (size_t)(2 * GRID) * count;
  for (size_t i = 0; i < count; i++) one[i] = exp(-o[i].y);
  int free_n = isnan(held[FIT_ALPHA]) ? GRID : 1, free_t = isnan(held[FIT_BETA]) ? GRID : 1;
  for (int ga = 0; ga < free_n; ga++)
    for (int gb = 0; gb < free_t; gb++) {
      const double *pa = power + (size_t)ga * count, *pb = power + (size_t)(GRID + gb) * count;
      double m[3][3] = {{0}}, v[3] = {0}, term[3];
      for (size_t i = 0; i < count; i++) {
        double c[3] = {one[i], pa[i], pb[i]}, w = weight ? weight[i] : 1;
        for (int r = 0; r < 3; r++) {
          v[r] += w * c[r];
          for (int s = r; s < 3; s++) m[r][s] += w * c[r] * c[s];
        }
      }
      for (int r = 0; r < 3; r++)
        for (int s = 0; s < r; s++) m[r][s] = m[s][r];
      struct start *to = &start[starts++];
      to->gain = nnls3(m, v, term);
      double sum = term[0] + term[1] + term[2];
      for (int k = 0; k < 3; k++) term[k] = log(fmax(term[k], FLOOR * sum));
      double got[FIT_JOINT_PARAMS] = {term[0], term[1], value[0][ga], term[2], value[1][gb]};
      for (int k = 0; k < FIT_JOINT_PARAMS; k++) to->x[k] = isnan(held[k]) ? got[k] : held[k];
    }
  qsort(start, (size_t)starts, sizeof *start, by_gain);
  if (starts > room) starts = room;
  for (int i = 0; i < starts; i++) memcpy(x + i * FIT_JOINT_PARAMS, start[i].x, sizeof start[i].x);
done:
  free(power);
  free(start);
  return starts;
}

const struct fit_law fit_laws[] = {
    {.name = "joint",
     .formula = "L(N,T) = E + A*N^-alpha + B*T^-beta",
     .params = FIT_JOINT_PARAMS,
     .param = {"E", "A", "alpha", "B", "beta"},
     .hold = {FIT_HOLD_LOG, FIT_HOLD_NO, FIT_HOLD_PLAIN, FIT_HOLD_NO, FIT_HOLD_PLAIN},
     // ln E, ln A', ln B' over 1e-130 .. 1e130 of the loss's unit: in effect free
     .lowest = {-300, -300, 0.01, -300, 0.01},
     .highest = {300, 300, 5, 300, 5},
     .to_si = joint_to_si,
     .from_si = joint_from_si,
     .residual = joint_residual,
     .starts = joint_starts},
    {0},
};

const struct fit_law *fit_law_find(const char *name) {
  for (const struct fit_law *law = fit_laws; law->name; law++)
    if (!strcmp(law->name, name)) return law;
  return NULL;
}

double fit_joint_loss(const double si[FIT_JOINT_PARAMS], double params, double tokens) {
  return si[FIT_E] + si[FIT_A] * pow(params, -si[FIT_ALPHA]) + si[FIT_B] * pow(tokens, -si[FIT_BETA]);
}

void fit_joint_billions(const double si[FIT_JOINT_PARAMS], double billions[FIT_JOINT_PARAMS]) {
  memcpy(billions, si, FIT_JOINT_PARAMS * sizeof *si);
  billions[FIT_A] = si[FIT_A] * pow(1e9, -si[FIT_ALPHA]);
  billions[FIT_B] = si[FIT_B] * pow(1e9, -si[FIT_BETA]);
}
