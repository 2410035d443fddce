#include "law_json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"

#define MAX_BYTES (1u << 20)

enum vkd_status law_status(enum fit_status status, const struct fit_error *from, struct vkd_error *err) {
  if (status == FIT_OK) return VKD_OK;
  return vkd_fail(err, status == FIT_ERR_INPUT ? VKD_ERR_INPUT : VKD_ERR_IO, "%s", from->what);
}

static void paper_law(struct law_file *law) { // printed with N and T in billions
  law->params[FIT_E] = 0.4856;
  law->params[FIT_ALPHA] = 0.3188;
  law->params[FIT_BETA] = 0.2917;
  law->params[FIT_A] = 0.0082 * pow(1e9, law->params[FIT_ALPHA]);
  law->params[FIT_B] = 0.0373 * pow(1e9, law->params[FIT_BETA]);
  static const double hyper[FIT_HYPER_TARGETS][FIT_HYPER_COUNT] = {{2.1797e4, 0.8080, 0.1906},
                                                                   {2.0e-4, -0.0453, -0.1619}};
  for (int t = 0; t < FIT_HYPER_TARGETS; t++) {
    double *to = law->hyper[t].param;
    memcpy(to, hyper[t], sizeof hyper[t]);
    to[FIT_HYPER_K] *= pow(1e9, -to[FIT_HYPER_TOKENS] - to[FIT_HYPER_PARAMS]);
    law->hyper[t].has = true;
  }
}

static int param_of(const char *name) {
  const struct fit_law *law = fit_law_find("joint");
  for (int j = 0; j < law->params; j++)
    if (!strcmp(law->param[j], name)) return j;
  return -1;
}

static enum vkd_status read_params(const char *path, const json_t *from, struct law_file *law, struct vkd_error *err) {
  const struct fit_law *joint = fit_law_find("joint");
  const char *key;
  json_t *value;
  if (!json_is_object(from)) return vkd_fail(err, VKD_ERR_INPUT, "%s: params: an object is needed", path);
  json_object_foreach((json_t *)from, key, value) {
    int j = param_of(key);
    if (j < 0) return vkd_fail(err, VKD_ERR_INPUT, "%s: params: %.40s is no parameter of the joint law", path, key);
    if (!json_is_number(value)) return vkd_fail(err, VKD_ERR_INPUT, "%s: params.%s: a number is needed", path, key);
    law->params[j] = json_number_value(value);
  }
  for (int j = 0; j < joint->params; j++)
    if (!json_object_get(from, joint->param[j]))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: params.%s is missing", path, joint->param[j]);
  struct fit_error bad;
  if (fit_joint_check(law->params, &bad)) return vkd_fail(err, VKD_ERR_INPUT, "%s: %s", path, bad.what);
  return VKD_OK;
}

// Two numbers, low and high.
static bool read_pair(const json_t *from, double *low, double *high) {
  const json_t *a = json_array_get(from, 0), *b = json_array_get(from, 1);
  *low = json_number_value(a);
  *high = json_number_value(b);
  return json_array_size(from) == 2 && json_is_number(a) && json_is_number(b) && *low <= *high;
}

static enum vkd_status read_interval(const char *path, const json_t *from, struct law_file *law,
                                     struct vkd_error *err) {
  const char *key;
  json_t *value;
  if (!from) return VKD_OK;
  if (!json_is_object(from)) return vkd_fail(err, VKD_ERR_INPUT, "%s: interval: an object is needed", path);
  law->level = json_number_value(json_object_get(from, "level"));
  if (!(law->level > 0 && law->level < 1))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: interval.level: a number between 0 and 1 is needed", path);
  json_object_foreach((json_t *)from, key, value) {
    int j = param_of(key);
    if (j < 0) continue; // level, and exponents derived from the parameters
    if (!read_pair(value, &law->low[j], &law->high[j]))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: interval.%s: two numbers, low and high, are needed", path, key);
    law->has_interval[j] = true;
  }
  return VKD_OK;
}

static enum vkd_status read_hyper_law(const char *path, const json_t *from, struct law_file *law,
                                      struct vkd_error *err) {
  const char *name = json_string_value(json_object_get(from, "law"));
  const json_t *params = json_object_get(from, "params"), *interval = json_object_get(from, "interval");
  int t = 0;
  while (name && t < FIT_HYPER_TARGETS && strcmp(name, fit_hyper_target_name[t]) != 0) t++;
  if (!name || t == FIT_HYPER_TARGETS)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: laws: every entry needs \"law\": batch or lr", path);
  struct law_file_hyper *to = &law->hyper[t];
  if (to->has) return vkd_fail(err, VKD_ERR_INPUT, "%s: laws: law %s stands twice", path, name);
  to->has = true;
  to->has_interval = interval;
  to->level = json_number_value(json_object_get(interval, "level"));
  if (interval && !(to->level > 0 && to->level < 1))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: law %s: interval.level: a number between 0 and 1 is needed", path, name);
  for (int j = 0; j < FIT_HYPER_COUNT; j++) {
    const json_t *value = json_object_get(params, fit_hyper_param_name[j]);
    to->param[j] = json_number_value(value);
    if (!json_is_number(value) || (j == FIT_HYPER_K && !(to->param[j] > 0)))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: law %s: params.%s: a number%s is needed", path, name,
                      fit_hyper_param_name[j], j == FIT_HYPER_K ? " above 0" : "");
    if (interval && !read_pair(json_object_get(interval, fit_hyper_param_name[j]), &to->low[j], &to->high[j]))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: law %s: interval.%s: two numbers, low and high, are needed", path, name,
                      fit_hyper_param_name[j]);
  }
  return VKD_OK;
}

static enum vkd_status read_hyper(const char *path, const json_t *laws, struct law_file *law, struct vkd_error *err) {
  size_t i;
  json_t *one;
  if (laws && !json_is_array(laws)) return vkd_fail(err, VKD_ERR_INPUT, "%s: laws: a list is needed", path);
  json_array_foreach((json_t *)laws, i, one) {
    enum vkd_status status = read_hyper_law(path, one, law, err);
    if (status) return status;
  }
  return VKD_OK;
}

static enum vkd_status read_sample(const char *path, const json_t *from, struct law_file *law, struct vkd_error *err) {
  size_t i;
  json_t *one;
  if (from && (!json_is_array(from) || json_array_size(from) > LAW_MAX_SAMPLE))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: sample: a list of at most %d laws is needed", path, LAW_MAX_SAMPLE);
  json_array_foreach((json_t *)from, i, one) {
    for (size_t j = 0; j < FIT_JOINT_PARAMS; j++) {
      const json_t *value = json_array_get(one, j);
      law->sample[i][j] = json_number_value(value);
      if (json_array_size(one) != FIT_JOINT_PARAMS || !json_is_number(value) || !(law->sample[i][j] >= 0))
        return vkd_fail(err, VKD_ERR_INPUT, "%s: sample[%zu]: %d numbers, 0 or more, are needed: E, A, alpha, B, beta",
                        path, i, FIT_JOINT_PARAMS);
    }
  }
  law->sample_count = (int)json_array_size(from);
  return VKD_OK;
}

static enum vkd_status read_rest(const char *path, const json_t *root, struct law_file *law, struct vkd_error *err) {
  const json_t *objective = json_object_get(root, "objective"), *rows = json_object_get(root, "rows"),
               *excluded = json_object_get(root, "excluded"), *identified = json_object_get(root, "e_identified");
  if (objective && !(json_is_number(objective) && json_number_value(objective) >= 0))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: objective: a number, 0 or more, is needed", path);
  if (rows && !(json_is_integer(rows) && json_integer_value(rows) > 0))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: rows: a whole number above 0 is needed", path);
  if (excluded && !json_is_array(excluded)) return vkd_fail(err, VKD_ERR_INPUT, "%s: excluded: a list is needed", path);
  if (identified && !json_is_boolean(identified))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: e_identified: true or false is needed", path);
  law->e_identified = !identified || json_is_true(identified);
  return VKD_OK;
}

enum vkd_status law_json_read(const char *path, struct law_file *law, struct vkd_error *err) {
  char *text = NULL;
  size_t size;
  json_error_t bad;
  *law = (struct law_file){.e_identified = true};
  if (!strcmp(path, "paper")) {
    paper_law(law);
    return VKD_OK;
  }
  enum vkd_status status = fileio_read_whole(path, MAX_BYTES, &text, &size, err);
  if (status) return status;
  json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &bad);
  const char *name = json_string_value(json_object_get(root, "law"));
  if (!root)
    status = vkd_fail(err, VKD_ERR_INPUT, "%s:%d: not JSON: %s", path, bad.line, bad.text);
  else if (!json_is_object(root) || !name)
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: no field \"law\"; is this a law.json of `vkdit fit`?", path);
  else if (strcmp(name, "joint") != 0)
    status = vkd_fail(err, VKD_ERR_UNSUPPORTED,
                      "%s: law \"%.40s\": planning needs a joint law (fit with --law joint or all)", path, name);
  else if (!(status = read_params(path, json_object_get(root, "params"), law, err)) &&
           !(status = read_interval(path, json_object_get(root, "interval"), law, err)) &&
           !(status = read_hyper(path, json_object_get(root, "laws"), law, err)) &&
           !(status = read_sample(path, json_object_get(root, "sample"), law, err)) &&
           !(status = law_plan_read(path, root, &law->plan, err)))
    status = read_rest(path, root, law, err);
  json_decref(root);
  free(text);
  return status;
}

json_t *law_json_params(const double value[FIT_JOINT_PARAMS]) {
  const struct fit_law *law = fit_law_find("joint");
  json_t *to = json_object();
  for (int j = 0; j < law->params; j++) json_object_set_new(to, law->param[j], json_real(value[j]));
  return to;
}

static json_t *interval_object(const struct fit_bootstrap *b) {
  const struct fit_law *law = fit_law_find("joint");
  json_t *to = json_object();
  json_object_set_new(to, "level", json_real(b->level));
  for (int j = 0; j < law->params; j++)
    json_object_set_new(to, law->param[j], json_pack("[f,f]", b->param[j].low, b->param[j].high));
  json_object_set_new(to, "size_exponent", json_pack("[f,f]", b->size_exponent.low, b->size_exponent.high));
  return to;
}

static json_t *diagnosis_object(const struct fit_solution *s, const struct fit_diagnosis *d) {
  struct fit_finding found[FIT_MAX_FINDINGS];
  int count = fit_findings(s, d, found), n = s->law->params;
  json_t *to = json_object(), *findings = json_array(), *correlation = json_array(), *e = json_array(),
         *objective = json_array();
  for (int i = 0; i < count; i++) json_array_append_new(findings, json_string(found[i].text));
  for (int j = 0; j < n; j++)
    for (int k = 0; k < j; k++)
      if (!isnan(d->correlation[j * n + k]))
        json_array_append_new(correlation,
                              json_pack("[s,s,f]", s->law->param[k], s->law->param[j], d->correlation[j * n + k]));
  for (int i = 0; i < d->points; i++) {
    json_array_append_new(e, json_real(d->e[i]));
    json_array_append_new(objective, json_real(d->objective[i]));
  }
  json_object_set_new(to, "findings", findings);
  json_object_set_new(to, "quadratic_share", json_real(s->quadratic_share));
  json_object_set_new(to, "condition", isfinite(d->condition) ? json_real(d->condition) : json_null());
  json_object_set_new(to, "correlation", correlation);
  json_object_set_new(to, "profile", json_pack("{s:o,s:o}", "E", e, "objective", objective));
  return to;
}

// Some laws of the bootstrap, evenly taken from it: what intervals of other quantities are made from.
static json_t *sample_array(const struct fit_bootstrap *b) {
  json_t *to = json_array();
  int laws = b->replicates - b->failed, wanted = laws < LAW_MAX_SAMPLE ? laws : LAW_MAX_SAMPLE;
  for (int i = 0; i < wanted; i++) {
    const double *si = b->sample + (size_t)((int64_t)i * laws / wanted) * FIT_JOINT_PARAMS;
    json_array_append_new(to, json_pack("[f,f,f,f,f]", si[0], si[1], si[2], si[3], si[4]));
  }
  return to;
}

json_t *law_json_excluded(const struct fit_runs *runs) {
  json_t *to = json_array();
  for (int d = 0; d < FIT_DROP_COUNT; d++)
    if (runs->dropped[d])
      json_array_append_new(
          to, json_pack("{s:s,s:I}", "reason", fit_drop_text((enum fit_drop)d), "rows", (json_int_t)runs->dropped[d]));
  return to;
}

json_t *law_json_make(const struct fit_report *r) {
  const struct fit_solution *s = r->solution;
  double billions[FIT_JOINT_PARAMS];
  json_t *root = json_object();
  json_object_set_new(root, "law", json_string("joint"));
  json_object_set_new(root, "params", law_json_params(s->params));
  fit_joint_billions(s->params, billions);
  json_object_set_new(root, "params_in_billions", law_json_params(billions));
  if (r->bootstrap) json_object_set_new(root, "interval", interval_object(r->bootstrap));
  json_object_set_new(root, "objective", json_real(s->objective));
  json_object_set_new(root, "delta", isfinite(s->delta) ? json_real(s->delta) : json_null()); // null: squared loss
  json_object_set_new(root, "rms", json_real(s->rms));
  json_object_set_new(root, "rows", json_integer((json_int_t)s->rows));
  json_object_set_new(root, "e_identified", json_boolean(s->e_identified));
  json_object_set_new(root, "excluded", law_json_excluded(r->runs));
  if (r->holdout)
    json_object_set_new(root, "holdout",
                        json_pack("{s:f,s:I,s:I,s:i,s:f,s:f,s:f}", "flops_above", r->holdout->flops, "rows",
                                  (json_int_t)r->holdout->held_out, "rows_set_aside", (json_int_t)r->holdout->set_aside,
                                  "runs", r->holdout->runs, "mean_error", r->holdout->mean, "worst_error",
                                  r->holdout->worst, "bias", r->holdout->bias));
  if (r->diagnosis) json_object_set_new(root, "diagnosis", diagnosis_object(s, r->diagnosis));
  if (r->bootstrap) json_object_set_new(root, "sample", sample_array(r->bootstrap));
  if (law_plan_add(r, root, NULL)) {
    json_decref(root);
    return NULL;
  }
  return root;
}

enum vkd_status law_json_write(const char *path, json_t *root, struct vkd_error *err) {
  char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
  json_decref(root);
  if (!text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", path);
  enum vkd_status status = fileio_write_whole(path, text, strlen(text), err);
  free(text);
  return status;
}
