// What a pipeline measures beside the losses: its foresight, the noise between seeds, what a sample costs.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit/derived.h"
#include "law_json.h"
#include "reproduce.h"
#include "vkdm/clock.h"
#include "vkdm/fileio.h"
#include "vkdm/sample.h"

enum {
  COST_STEPS = 3, // a quarter, a half and all of samples.steps
  COST_RUNS = 3   // of each, whose median counts
};

static enum vkd_status no_memory(struct vkd_error *err) { return vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory"); }
// ---- foresight -----------------------------------------------------------------------------------------------------
enum vkd_status reproduce_foretell(struct reproduce *r, const struct fit_job_result *fit, struct vkd_error *err) {
  const struct sweep *holdout = &r->stage[STAGE_HOLDOUT].sweep;
  char *path = fileio_join(r->folder, "prediction.json");
  json_t *all = json_array();
  enum vkd_status status = VKD_OK;
  r->foretold = calloc((size_t)holdout->count + 1, sizeof *r->foretold);
  if (!r->foretold || !path || !all) status = no_memory(err);
  for (int i = 0; i < holdout->count && !status; i++) {
    const struct sweep_cell *c = &holdout->cells[i];
    double params = (double)c->params, tokens = sweep_cell_tokens(c);
    struct fit_interval interval = {.low = NAN, .high = NAN};
    r->foretold[i].loss = fit_joint_loss(fit->solution.params, params, tokens);
    if (fit->sample.count) fit_loss_interval(&fit->sample, params, tokens, &interval, NULL);
    r->foretold[i].low = interval.low;
    r->foretold[i].high = interval.high;
    json_t *row = json_pack("{s:s,s:f,s:f,s:i,s:f,s:f}", "run", c->name, "params", params, "tokens", tokens, "batch",
                            c->config.train.batch, "lr", c->config.train.lr, "loss", r->foretold[i].loss);
    if (row && isfinite(interval.low + interval.high))
      json_object_set_new(row, "interval", json_pack("[f,f]", interval.low, interval.high));
    if (json_array_append_new(all, row)) status = no_memory(err);
  }
  char *text = status ? NULL : json_dumps(all, JSON_INDENT(1));
  if (!status) status = text ? fileio_write_whole(path, text, strlen(text), err) : no_memory(err);
  free(text);
  json_decref(all);
  free(path);
  return status;
}

// ---- noise ---------------------------------------------------------------------------------------------------------
double reproduce_loss(const struct stage *s, int i) {
  return s->outcome[i].done && !s->outcome[i].result.diverged ? s->outcome[i].result.heldout : NAN;
}

static double log_loss(const struct stage *s, int i) { return log(reproduce_loss(s, i)); }

static bool same_but_seed(const struct sweep_cell *a, const struct sweep_cell *b) {
  return a->params == b->params && a->steps == b->steps && a->config.train.batch == b->config.train.batch &&
         a->config.train.lr == b->config.train.lr;
}

// Pooled over the cells that ran with several seeds.
void reproduce_noise(struct reproduce *r) {
  const struct stage *seeds = &r->stage[STAGE_SEEDS], *grid = &r->stage[STAGE_GRID];
  double squares = 0;
  int freedom = 0;
  r->noise = NAN;
  r->noise_runs = 0;
  for (int g = 0; g < grid->sweep.count; g++) {
    double first = log_loss(grid, g), sum = first, square = first * first;
    int n = 1;
    for (int i = 0; i < seeds->sweep.count; i++) {
      double x = log_loss(seeds, i);
      if (!same_but_seed(&grid->sweep.cells[g], &seeds->sweep.cells[i]) || !isfinite(x)) continue;
      sum += x;
      square += x * x;
      n++;
    }
    if (n < 2 || !isfinite(first)) continue;
    squares += fmax(0, square - sum * sum / n);
    freedom += n - 1;
    r->noise_runs += n;
  }
  if (freedom) r->noise = sqrt(squares / freedom);
}

// ---- cost of a sample ----------------------------------------------------------------------------------------------
// Of all packages that the processor's energy counters tell of; NaN: none can be read.
static double energy_joules(void) {
  double sum = NAN;
  for (int package = 0; package < 8; package++) {
    char path[96], text[32];
    snprintf(path, sizeof path, "/sys/class/powercap/intel-rapl:%d/energy_uj", package);
    FILE *in = fopen(path, "r");
    if (!in) break;
    if (fgets(text, sizeof text, in)) sum = (isnan(sum) ? 0 : sum) + strtod(text, NULL) * 1e-6;
    fclose(in);
  }
  return sum;
}

// NaN where one is.
static double median(const double x[COST_RUNS]) {
  double low = fmin(x[0], x[1]), high = fmax(x[0], x[1]);
  return isnan(x[0] + x[1] + x[2]) ? NAN : fmax(low, fmin(high, x[2]));
}

static enum vkd_status time_sample(const struct run_model *m, int count, int steps, double cfg, struct sample_cost *out,
                                   struct vkd_error *err) {
  float *latents = malloc((size_t)count * latent_count(&m->state.codec) * sizeof *latents);
  int32_t *labels = calloc((size_t)count, sizeof *labels);
  struct sample_params p = {.params = m->params,
                            .kind = PARAMS_WEIGHT,
                            .prediction = prediction_of(m->config.train.objective),
                            .count = count,
                            .steps = 1,
                            .shift = m->config.train.shift,
                            .cfg = cfg,
                            .seed = 1,
                            .labels = labels};
  enum vkd_status status = latents && labels ? VKD_OK : no_memory(err);
  for (int i = 0; labels && m->state.model.class_rows < 2 && i < count; i++) labels[i] = -1;
  double seconds[COST_RUNS] = {0}, joules[COST_RUNS] = {0};
  // what a sampler's plan and pipelines take does not count: a run of one step is taken off one of all
  p.steps = 1;
  if (!status) status = sample_run(&p, latents, err);
  for (int k = 0; k < 2 * COST_RUNS && !status; k++) {
    double clock = clock_seconds(), energy = energy_joules(), sign = k % 2 ? 1 : -1;
    p.steps = k % 2 ? steps + 1 : 1;
    status = sample_run(&p, latents, err);
    seconds[k / 2] += sign * (clock_seconds() - clock);
    joules[k / 2] += sign * (energy_joules() - energy);
  }
  out->steps = steps;
  out->seconds = fmax(0, median(seconds)) / count;
  out->joules = median(joules) > 0 ? median(joules) / count : NAN; // counters wrap around
  free(labels);
  free(latents);
  return status;
}

static enum vkd_status write_cost(const struct reproduce *r, struct vkd_error *err) {
  const struct stage *grid = &r->stage[STAGE_GRID];
  struct fileio f = {0};
  char *path = fileio_join(r->folder, "cost.csv");
  enum vkd_status status = path ? fileio_begin(&f, path, err) : no_memory(err);
  if (!status) {
    fputs("run,params,loss,steps,seconds,joules\n", f.stream);
    for (int i = 0; i < r->cost_count; i++) {
      const struct sample_cost *c = &r->cost[i];
      fprintf(f.stream, "%s,%.0f,%.9g,%d,%.6g,", grid->sweep.cells[c->cell].name,
              (double)grid->sweep.cells[c->cell].params, grid->outcome[c->cell].result.heldout, c->steps, c->seconds);
      fprintf(f.stream, isfinite(c->joules) ? "%.6g\n" : "\n", c->joules);
    }
    status = fileio_commit(&f, err);
  }
  fileio_abort(&f);
  free(path);
  return status;
}

// Of every size of the ladder the run of the lowest loss.
enum vkd_status reproduce_cost(struct reproduce *r, struct vkd_device *device, struct vkd_error *err) {
  const struct stage *grid = &r->stage[STAGE_GRID];
  const struct sweep *sweep = &grid->sweep;
  enum vkd_status status = VKD_OK;
  r->cost = calloc((size_t)sweep->count * COST_STEPS, sizeof *r->cost);
  if (!r->cost) return no_memory(err);
  for (int i = 0; i < sweep->count && !status; i++) {
    bool lowest = isfinite(log_loss(grid, i));
    for (int k = 0; k < sweep->count && lowest; k++)
      lowest = sweep->cells[k].params != sweep->cells[i].params || k == i || !(log_loss(grid, k) < log_loss(grid, i));
    if (!lowest) continue;
    struct run_model m;
    status = reproduce_open(r, i, device, &m, err);
    if (status) break;
    for (int part = COST_STEPS - 1; part >= 0 && !status; part--) {
      int steps = sweep->samples.steps >> part;
      struct sample_cost *c = &r->cost[r->cost_count];
      c->cell = i;
      if (steps < 1) continue;
      status = time_sample(&m, sweep->samples.count, steps, sweep->samples.cfg, c, err);
      r->cost_count++;
    }
    run_model_close(&m);
  }
  return status ? status : write_cost(r, err);
}
