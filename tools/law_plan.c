#include "law_plan.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum vkd_status law_plan_add(const struct fit_report *r, json_t *root, struct vkd_error *err) {
  struct fit_error bad;
  struct fit_noise noise;
  double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {0};
  if (fit_noise_estimate(r->runs, r->solution, &noise, &bad)) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s", bad.what);
  for (size_t i = 0; i < r->runs->count; i++) {
    const struct fit_run *run = &r->runs->row[i];
    double value[3] = {run->params, run->tokens, fit_run_flops(run)};
    for (int k = 0; k < 3; k++) {
      low[k] = fmin(low[k], value[k]);
      high[k] = fmax(high[k], value[k]);
    }
  }
  json_object_set_new(root, "noise",
                      json_pack("{s:f,s:f,s:b}", "row", noise.row, "run", noise.run, "split", noise.split));
  json_object_set_new(root, "range",
                      json_pack("{s:[f,f],s:[f,f],s:[f,f]}", "params", low[0], high[0], "tokens", low[1], high[1],
                                "compute", low[2], high[2]));
  return VKD_OK;
}

json_t *law_plan_hyper_sample(const struct fit_hyper_bootstrap *b, int target) {
  json_t *to = json_array();
  int laws = b->replicates - b->failed, wanted = laws < LAW_MAX_HYPER_SAMPLE ? laws : LAW_MAX_HYPER_SAMPLE;
  for (int i = 0; i < wanted; i++) {
    const double *p =
        b->sample + ((size_t)((int64_t)i * laws / wanted) * FIT_HYPER_TARGETS + (size_t)target) * FIT_HYPER_COUNT;
    json_array_append_new(to, json_pack("[f,f,f]", p[0], p[1], p[2]));
  }
  return to;
}

// A number that is `from`'s and at least `least`; NaN otherwise.
static double number(const json_t *from, double least) {
  double x = json_number_value(from);
  return json_is_number(from) && x >= least ? x : NAN;
}

static enum vkd_status read_noise(const char *path, const json_t *from, struct law_plan *out, struct vkd_error *err) {
  if (!from) return VKD_OK;
  out->noise = (struct fit_noise){number(json_object_get(from, "row"), 0), number(json_object_get(from, "run"), 0),
                                  json_is_true(json_object_get(from, "split"))};
  if (!(fit_noise_total(&out->noise) < INFINITY))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: noise: \"row\" and \"run\", numbers of 0 or more, are needed", path);
  out->has_noise = true;
  return VKD_OK;
}

static enum vkd_status read_range(const char *path, const json_t *from, struct law_plan *out, struct vkd_error *err) {
  const struct {
    const char *name;
    double *to;
  } field[] = {{"params", out->params}, {"tokens", out->tokens}, {"compute", out->compute}};
  for (size_t i = 0; from && i < sizeof field / sizeof *field; i++) {
    const json_t *pair = json_object_get(from, field[i].name);
    for (size_t k = 0; k < 2; k++) field[i].to[k] = number(json_array_get(pair, k), 0);
    if (!(field[i].to[0] > 0 && field[i].to[0] <= field[i].to[1] && json_array_size(pair) == 2))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: range.%s: two numbers above 0, lowest and highest, are needed", path,
                      field[i].name);
  }
  out->has_range = from != NULL;
  return VKD_OK;
}

static enum vkd_status read_hyper(const char *path, const char *name, const json_t *from, int target,
                                  struct law_plan *out, struct vkd_error *err) {
  size_t i;
  json_t *one;
  if (from && (!json_is_array(from) || json_array_size(from) > LAW_MAX_HYPER_SAMPLE))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: law %s: sample: a list of at most %d laws is needed", path, name,
                    LAW_MAX_HYPER_SAMPLE);
  json_array_foreach((json_t *)from, i, one) {
    for (size_t j = 0; j < FIT_HYPER_COUNT; j++)
      out->hyper[target][i][j] = number(json_array_get(one, j), j == FIT_HYPER_K ? 0 : -INFINITY);
    const double *p = out->hyper[target][i];
    if (!(p[0] > 0 && p[1] < INFINITY && p[2] < INFINITY))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: law %s: sample[%zu]: k above 0 and two exponents are needed", path, name,
                      i);
  }
  out->hyper_count[target] = (int)json_array_size(from);
  return VKD_OK;
}

enum vkd_status law_plan_read(const char *path, const json_t *root, struct law_plan *out, struct vkd_error *err) {
  size_t i;
  json_t *one;
  enum vkd_status status = read_noise(path, json_object_get(root, "noise"), out, err);
  if (!status) status = read_range(path, json_object_get(root, "range"), out, err);
  json_array_foreach(json_object_get(root, "laws"), i, one) {
    const char *name = json_string_value(json_object_get(one, "law"));
    for (int t = 0; name && t < FIT_HYPER_TARGETS && !status; t++)
      if (!strcmp(name, fit_hyper_target_name[t]))
        status = read_hyper(path, name, json_object_get(one, "sample"), t, out, err);
  }
  return status;
}
