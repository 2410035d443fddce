// The tables of the discrete diffusion: known values, identities of the posterior, and which steps are kept.
#include <math.h>

#include "check.h"
#include "vkdm/ddpm.h"

static void check_identities(const struct ddpm_schedule *s, const struct ddpm_schedule *all) {
  for (int k = 0; k < s->count; k++) {
    double bar = s->alpha_bar[k], prev = s->alpha_bar_prev[k], beta = s->beta[k];
    // Products of up to 1000 doubles, and 1 - alpha_bar of 1e-4: 1e-16 / 1e-4 and some.
    const double tol = 1e-10;
    CHECK_NEAR(bar, all->alpha_bar[s->timestep[k]], tol);
    CHECK(k == 0 ? prev == 1 : prev == s->alpha_bar[k - 1], "step %d: alpha_bar before it", k);
    CHECK_NEAR(prev * (1 - beta), bar, tol);
    // the posterior mean of the noiseless path is that path
    CHECK_NEAR(s->mean_x0[k] + s->mean_xt[k] * sqrt(bar), sqrt(prev), tol);
    // precisions of the two Gaussians add up
    if (k) CHECK_NEAR(s->posterior_variance[k] * ((1 - beta) / beta + 1 / (1 - prev)), 1, tol);
    CHECK_NEAR(exp(s->log_beta[k]), beta, tol);
    CHECK_NEAR(exp(s->log_posterior_variance[k]), s->posterior_variance[k], tol);
  }
  if (s->count > 1) CHECK(s->posterior_variance[0] == s->posterior_variance[1], "the first variance is the second's");
}

static void check_steps(const struct ddpm_schedule *s, const int *want, int n) {
  CHECK(s->count == n, "%d steps, not %d", s->count, n);
  for (int k = 0; k < n && k < s->count; k++)
    CHECK(s->timestep[k] == want[k], "step %d is %d, not %d", k, s->timestep[k], want[k]);
}

int main(void) {
  static struct ddpm_schedule all, s;
  struct vkd_error err = {0};
  CHECK(ddpm_schedule_make(&all, DDPM_EVEN, DDPM_STEPS, &err) == VKD_OK, "%s", err.what);
  CHECK_NEAR(all.beta[0], 1e-4, 1e-12);
  CHECK_NEAR(all.beta[999], 0.02, 1e-12);
  CHECK_NEAR(all.alpha_bar[0], 0.9999, 1e-15);
  CHECK_NEAR(all.alpha_bar[999], 4.0358e-5, 1e-9); // to the digits that papers print
  // beta_1 (1 - alpha_bar_0) / (1 - alpha_bar_1) by hand: beta_1 = 1e-4 + 0.0199 / 999
  double beta1 = 1e-4 + 0.0199 / 999;
  CHECK_NEAR(all.posterior_variance[1], beta1 * 1e-4 / (1 - 0.9999 * (1 - beta1)), 1e-14);
  check_identities(&all, &all);

  CHECK(ddpm_schedule_make(&s, DDPM_EVEN, 5, &err) == VKD_OK, "%s", err.what);
  check_steps(&s, (const int[]){0, 250, 500, 749, 999}, 5); // 499.5 goes to the even side
  check_identities(&s, &all);
  CHECK(ddpm_schedule_make(&s, DDPM_STRIDED, 10, &err) == VKD_OK, "%s", err.what);
  check_steps(&s, (const int[]){0, 100, 200, 300, 400, 500, 600, 700, 800, 900}, 10);
  check_identities(&s, &all);
  CHECK(ddpm_schedule_make(&s, DDPM_STRIDED, 3, &err) == VKD_OK, "%s", err.what);
  check_steps(&s, (const int[]){0, 334, 668}, 3); // the least stride that keeps three
  for (int steps = 1; steps <= DDPM_STEPS; steps += steps < 20 ? 1 : 49) {
    CHECK(ddpm_schedule_make(&s, DDPM_EVEN, steps, &err) == VKD_OK, "%s", err.what);
    CHECK(s.timestep[0] == 0 && (steps == 1 || s.timestep[steps - 1] == 999), "%d steps: the ends", steps);
    for (int k = 1; k < steps; k++) CHECK(s.timestep[k] > s.timestep[k - 1], "%d steps: not rising at %d", steps, k);
    check_identities(&s, &all);
  }

  CHECK(ddpm_schedule_make(&s, DDPM_STRIDED, 600, &err) == VKD_ERR_INPUT, "no stride keeps 600 of 1000");
  CHECK(ddpm_schedule_make(&s, DDPM_EVEN, 0, &err) == VKD_ERR_INPUT, "no steps");
  CHECK(ddpm_schedule_make(&s, DDPM_EVEN, 1001, &err) == VKD_ERR_INPUT, "too many steps");
  return check_done();
}
