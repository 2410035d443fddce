// The document that the page of `vkdit watch` draws.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "watch_internal.h"

// Of all curves, and of one; fewer, which are means of more, where curves would hide one another.
enum { POINTS = 6000, MOST_POINTS = 400, MANY_POINTS = 60, LEAST_POINTS = 16 };

static void set(json_t *o, const char *key, double value) {
  if (isfinite(value)) json_object_set_new(o, key, json_real(value));
}

static void set_positive(json_t *o, const char *key, double value) {
  if (value > 0) set(o, key, value);
}

static json_int_t milliseconds(double seconds) { return (json_int_t)llround(1e3 * seconds); }

static json_t *images_json(const struct watch_gallery *g) {
  json_t *all = json_array();
  for (int i = 0; i < g->count; i++) { // a name that is no UTF-8 gives none
    json_t *image = json_pack("{s:s,s:I}", "path", g->image[i].name, "changed", milliseconds(g->image[i].changed));
    if (image) json_array_append_new(all, image);
  }
  return all;
}

static double told(const struct watch_run *r, const char *key) {
  const json_t *value = json_object_get(r->summary, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

// Tokens of a sample, of this run or one on the same data and patches that has taken a step.
static double sample_tokens(const struct watch *w, const struct watch_run *r) {
  if (r->has_config && watch_run_tokens_per_step(r) > 0) return watch_run_tokens_per_step(r) / r->config.train.batch;
  for (int i = 0; i < w->count && r->has_config; i++) {
    const struct watch_run *other = &w->entries[i]->run;
    if (other->has_config && watch_run_tokens_per_step(other) > 0 &&
        !memcmp(&other->config.data, &r->config.data, sizeof r->config.data) &&
        !memcmp(other->config.model.patch, r->config.model.patch, sizeof r->config.model.patch))
      return watch_run_tokens_per_step(other) / other->config.train.batch;
  }
  return 0;
}

static double planned_tokens(const struct watch *w, const struct watch_run *r) {
  double tokens = watch_run_tokens_planned(r);
  if (tokens > 0 || !r->has_config) return tokens;
  return (double)r->config.train.steps * r->config.train.batch * sample_tokens(w, r);
}

static void add_config(json_t *o, const struct watch *w, const struct watch_run *r) {
  if (!r->has_config) return;
  set_positive(o, "params", watch_run_params(r));
  set(o, "dim", r->config.model.dim);
  set(o, "depth", r->config.model.depth);
  set(o, "batch", r->config.train.batch);
  set_positive(o, "batch_tokens", r->config.train.batch * sample_tokens(w, r));
  set(o, "lr", r->config.train.lr);
  set(o, "seed", (double)r->config.train.seed);
}

static json_t *run_json(const struct watch *w, const struct watch_entry *e, int points) {
  static const char *const states[] = {[WATCH_WAITING] = "waiting",
                                       [WATCH_RUNNING] = "running",
                                       [WATCH_STOPPED] = "stopped",
                                       [WATCH_DONE] = "done",
                                       [WATCH_DIVERGED] = "diverged"};
  const struct watch_run *r = &e->run;
  json_t *o = json_pack("{s:s,s:s,s:I}", "name", r->name, "state", states[r->state], "step", (json_int_t)r->step);
  if (!o) return NULL; // a name that is no UTF-8
  double planned = planned_tokens(w, r), rate = watch_run_rate(r), left = planned - r->tokens,
         flops = watch_run_token_flops(r, sample_tokens(w, r));
  add_config(o, w, r);
  set(o, "tokens", r->tokens);
  set_positive(o, "tokens_planned", planned);
  set(o, "loss", r->loss);
  set(o, "heldout", r->heldout);
  set(o, "best", r->best);
  set(o, "lr_now", r->lr);
  set(o, "grad_norm", r->grad_norm);
  set_positive(o, "non_finite", r->non_finite);
  set_positive(o, "tokens_per_second", rate);
  set_positive(o, "flops_per_second", rate * flops);
  set_positive(o, "flops", flops * planned);
  set_positive(o, "flops_done", flops * r->tokens);
  if (r->state == WATCH_RUNNING && rate > 0 && left > 0) set(o, "seconds_left", left / rate);
  if (r->metrics_stamp.changed > 0)
    json_object_set_new(o, "changed", json_integer(milliseconds(r->metrics_stamp.changed)));
  set_positive(o, "device_bytes", told(r, "device_bytes"));
  set_positive(o, "seconds", told(r, "seconds"));
  const char *texts[] = {"device", "why"};
  for (int i = 0; i < 2; i++)
    if (json_is_string(json_object_get(r->summary, texts[i])))
      json_object_set(o, texts[i], json_object_get(r->summary, texts[i]));
  int few = w->count > 1 && points > MANY_POINTS ? MANY_POINTS : points;
  json_object_set_new(o, "losses", curve_json(&r->loss_curve, few));
  json_object_set_new(o, "heldouts", curve_json(&r->heldout_curve, points));
  json_object_set_new(o, "images", images_json(&e->images));
  return o;
}

json_t *watch_document(const struct watch *w, double time) {
  json_t *runs = json_array();
  int points = w->count ? POINTS / w->count : 0;
  points = points > MOST_POINTS ? MOST_POINTS : points < LEAST_POINTS ? LEAST_POINTS : points;
  for (int i = 0; i < w->count; i++) {
    json_t *run = run_json(w, w->entries[i], points);
    if (run) json_array_append_new(runs, run);
  }
  json_t *title = json_string(w->title);
  return json_pack("{s:o,s:I,s:i,s:o,s:o}", "folder", title ? title : json_string("runs"), "time", milliseconds(time),
                   "cells", w->cells, "images", images_json(&w->images), "runs", runs);
}
