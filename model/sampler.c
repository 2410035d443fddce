// The samplers' table.
#include "sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/nearest.h"

enum { MOST_STEPS = 10000, FLOW = 1 << PREDICT_VELOCITY, DISCRETE = 1 << PREDICT_EPS | 1 << PREDICT_V };

static const struct sampler rows[] = {
    {.name = "euler", .serves = FLOW, .default_steps = 50, .shifts = true, .plan = sampler_plan_euler},
    {.name = "dpm++", .serves = FLOW, .default_steps = 50, .shifts = true, .history = 1, .plan = sampler_plan_dpm},
    {.name = "unipc",
     .serves = FLOW,
     .default_steps = 50,
     .shifts = true,
     .history = 2,
     .corrects = true,
     .plan = sampler_plan_unipc},
    {.name = "ddim", .serves = DISCRETE, .default_steps = 50, .plan = sampler_plan_ddim},
    {.name = "ddpm", .serves = DISCRETE, .default_steps = 250, .noisy = true, .plan = sampler_plan_ddpm},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static const char *const predictions[PREDICTIONS] = {"the velocity of a flow", "noise", "v"};

enum prediction prediction_of(enum config_objective objective) {
  switch (objective) {
  case CONFIG_FLOW:
    break;
  case CONFIG_DDPM:
  case CONFIG_HYBRID:
    return PREDICT_EPS;
  case CONFIG_V:
    return PREDICT_V;
  }
  return PREDICT_VELOCITY;
}

const struct sampler *sampler_at(size_t i) { return i < ROWS ? &rows[i] : NULL; }
const char *sampler_name(const struct sampler *s) { return s->name; }
bool sampler_serves(const struct sampler *s, enum prediction prediction) { return s->serves >> prediction & 1; }
int sampler_default_steps(const struct sampler *s) { return s->default_steps; }
bool sampler_shifts(const struct sampler *s) { return s->shifts; }

static enum vkd_status unknown(const char *name, struct vkd_error *err) {
  struct vkd_nearest near = {.name = name};
  char list[128] = "";
  for (size_t i = 0; i < ROWS; i++) {
    vkd_nearest_offer(&near, rows[i].name);
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", rows[i].name);
  }
  return vkd_fail(err, VKD_ERR_USAGE, "no sampler \"%.40s\"%s%s%s: there are %s", name, near.best ? " (nearest: " : "",
                  near.best ? near.best : "", near.best ? ")" : "", list);
}

enum vkd_status sampler_find(const char *name, enum prediction prediction, const struct sampler **out,
                             struct vkd_error *err) {
  const struct sampler *named = NULL;
  char list[128] = "";
  *out = NULL;
  for (size_t i = 0; i < ROWS; i++) {
    if (name && strcmp(rows[i].name, name) == 0) named = &rows[i];
    if (!sampler_serves(&rows[i], prediction)) continue;
    if (!name && !*out) *out = &rows[i];
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", rows[i].name);
  }
  if (!name) return VKD_OK;
  if (!named) return unknown(name, err);
  if (!sampler_serves(named, prediction))
    return vkd_fail(err, VKD_ERR_USAGE, "sampler %s is not for a model that predicts %s; these are: %s", name,
                    predictions[prediction], list);
  *out = named;
  return VKD_OK;
}

enum vkd_status sampler_steps(const struct sampler *s, const struct sampler_plan *plan, struct sampler_step **out,
                              struct vkd_error *err) {
  *out = NULL;
  if (plan->steps < 1 || plan->steps > MOST_STEPS)
    return vkd_fail(err, VKD_ERR_INPUT, "%d sampler steps: must be 1 to %d", plan->steps, MOST_STEPS);
  if (!(plan->shift > 0)) return vkd_fail(err, VKD_ERR_INPUT, "a shift of %g: must be above 0", plan->shift);
  *out = calloc((size_t)plan->steps, sizeof **out);
  if (!*out) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d sampler steps", plan->steps);
  enum vkd_status st = s->plan(plan, *out, err);
  if (st == VKD_OK) return VKD_OK;
  free(*out);
  *out = NULL;
  return vkd_error_prefix(err, "sampler %s", s->name);
}

enum vkd_status sampler_grid(const struct sampler *s, int steps, double shift, double *levels, double *timesteps,
                             struct vkd_error *err) {
  struct sampler_plan plan = {.steps = steps, .shift = shift};
  while (!sampler_serves(s, plan.prediction)) plan.prediction++;
  struct sampler_step *step;
  enum vkd_status st = sampler_steps(s, &plan, &step, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < steps; i++) {
    levels[i] = step[i].level; // NOLINT(clang-analyzer-core.NullDereference): set where st is VKD_OK
    timesteps[i] = step[i].timestep;
  }
  levels[steps] = 0;
  free(step);
  return VKD_OK;
}
