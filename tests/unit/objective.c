// What the host draws for a sample, by every objective.
#include <string.h>

#include "check.h"
#include "vkdm/objective.h"

static const double quantiles[] = {1.2e-10, 0.0004, 0.0013, 0.25, 0.5, 0.9, 0.99999, 1 - 1.2e-10};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static void check_flow(struct config *c) {
  for (int i = 0; i < QUANTILES; i++) {
    struct objective_draw d;
    double sigma;
    c->train.shift = 1;
    objective_draw(c, quantiles[i], &d);
    CHECK_NEAR(d.mix[1], quantiles[i], 1e-7 * quantiles[i]); // uniform levels are their quantiles
    CHECK(d.timestep == 1000 * (double)d.mix[1], "the model is told %g of %g", d.timestep, (double)d.mix[1]);
    CHECK_NEAR(d.mix[0], 1 - (double)d.mix[1], 6e-8);
    CHECK(d.mix[2] == -1 && d.mix[3] == 1, "the target is %g x0 + %g noise", (double)d.mix[2], (double)d.mix[3]);
    c->train.shift = 3;
    objective_draw(c, quantiles[i], &d);
    sigma = 3 * quantiles[i] / (1 + 2 * quantiles[i]);
    CHECK_NEAR(d.mix[1], sigma, 1e-7 * sigma);
  }
  c->train.sigma = CONFIG_LOGIT_NORMAL;
  c->train.sigma_mean = 0.5;
  c->train.shift = 1;
  struct objective_draw d;
  objective_draw(c, 0.5, &d); // the median is that of the mean
  CHECK_NEAR(d.mix[1], 1 / (1 + exp(-0.5)), 1e-7);
  objective_draw(c, 0.97724986805182079, &d); // two standard deviations above
  CHECK_NEAR(d.mix[1], 1 / (1 + exp(-0.5 - 2 * c->train.sigma_std)), 1e-7);
}

static void check_steps(struct config *c) {
  for (int i = 0; i < QUANTILES; i++) {
    struct objective_draw d;
    objective_draw(c, quantiles[i], &d);
    CHECK(d.timestep == floor(1000 * quantiles[i]), "quantile %g is step %g", quantiles[i], d.timestep);
    double c0 = (double)d.mix[0], c1 = (double)d.mix[1], c2 = (double)d.mix[2], c3 = (double)d.mix[3];
    CHECK_NEAR(c0 * c0 + c1 * c1, 1, 3e-7); // keeps the variance
    if (c->train.objective == CONFIG_V)     // a turn: what v and x_t are made of, they can be unmade
      CHECK(c2 == -c1 && c3 == c0, "v is %g x0 + %g noise at %g, %g", c2, c3, c0, c1);
    else
      CHECK(c2 == 0 && c3 == 1, "the target is %g x0 + %g noise", c2, c3);
    if (objective_learns_variance(c->train.objective))
      CHECK((d.hybrid[VKD_HYBRID_BIN] > 0) == (d.timestep == 0), "step %g: a bin of %g", d.timestep,
            (double)d.hybrid[VKD_HYBRID_BIN]);
  }
  // alpha_bar of the first step is 1 - 1e-4
  struct objective_draw d;
  objective_draw(c, quantiles[0], &d);
  CHECK_NEAR(d.mix[0], sqrt(0.9999), 1e-7);
  CHECK_NEAR(d.mix[1], 0.01, 1e-9);
}

int main(void) {
  static const char *const names[] = {"flow", "ddpm", "v", "hybrid"};
  for (int i = 0; i < 4; i++) {
    struct config c;
    struct vkd_error err = {0};
    config_default(&c);
    enum vkd_status st = config_set(&c, "train.objective", names[i], &err);
    CHECK(st == VKD_OK, "%s", err.what);
    CHECK(strcmp(objective_name(c.train.objective), names[i]) == 0, "%s is named %s", names[i],
          objective_name(c.train.objective));
    CHECK(objective_learns_variance(c.train.objective) == (i == 3), "%s: the variance", names[i]);
    if (i)
      check_steps(&c);
    else
      check_flow(&c);
  }
  // streams, samples and steps do not share draws; the same place gives the same draw
  double a = noise_uniform(7, STREAM_LEVEL, 3, 2);
  CHECK(a > 0 && a < 1 && a == noise_uniform(7, STREAM_LEVEL, 3, 2), "a draw of %g", a);
  CHECK(a != noise_uniform(7, STREAM_DROP, 3, 2) && a != noise_uniform(7, STREAM_LEVEL, 4, 2) &&
            a != noise_uniform(7, STREAM_LEVEL, 3, 1) && a != noise_uniform(8, STREAM_LEVEL, 3, 2),
        "two places share a draw");
  return check_done();
}
