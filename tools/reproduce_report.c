// The parts of the report that a whole pipeline adds to those of its law.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reproduce.h"

static bool same_point(const struct config *a, const struct config *b) {
  return a->train.batch == b->train.batch && a->train.lr == b->train.lr;
}

// Mean of ln(held-out loss) over the cells of this batch and rate; NaN where one of them is no measurement.
static double tuned_loss(const struct sweep *tune, const struct sweep_outcome *tuned, const struct config *at) {
  double sum = 0;
  int count = 0;
  for (int i = 0; i < tune->count; i++) {
    if (!same_point(&tune->cells[i].config, at)) continue;
    if (!tuned[i].done || tuned[i].result.diverged) return NAN;
    sum += log(tuned[i].result.heldout);
    count++;
  }
  return count ? sum / count : NAN;
}

int reproduce_choose(const struct sweep *tune, const struct sweep_outcome *tuned) {
  int best = -1;
  double lowest = INFINITY;
  for (int i = 0; i < tune->count; i++) {
    double loss = tuned_loss(tune, tuned, &tune->cells[i].config);
    if (!(loss < lowest)) continue;
    lowest = loss;
    best = i;
  }
  return best;
}

// ---- settings ------------------------------------------------------------------------------------------------------
static void row(FILE *out, const char *name, const char *value) {
  char *text = fit_html_escape(value);
  fprintf(out, "<tr><td>%s</td><td>%s</td></tr>\n", name, text ? text : "");
  free(text);
}

static double spent(const struct sweep *sweep, const struct sweep_outcome *o, double *flops) {
  double seconds = 0;
  for (int i = 0; i < sweep->count; i++) {
    seconds += o[i].result.seconds;
    *flops += o[i].result.flops_per_step * (double)o[i].result.steps;
  }
  return seconds;
}

static void settings(FILE *out, const struct reproduce *r) {
  static const char *const keys[] = {"model.family",    "model.patch",    "train.objective",    "train.sigma",
                                     "train.schedule",  "train.warmup",   "train.weight_decay", "train.clip",
                                     "train.cond_drop", "train.precision"};
  const struct stage *grid = &r->stage[STAGE_GRID];
  const struct sweep_cell *c = &grid->sweep.cells[0];
  const struct dit_config *m = &c->model;
  char text[CONFIG_TEXT_MAX + 64], device[300];
  double flops = 0, seconds = 0;
  int runs = 0;
  for (int k = 0; k < STAGES; k++) {
    if (!r->stage[k].outcome) continue;
    seconds += spent(&r->stage[k].sweep, r->stage[k].outcome, &flops);
    runs += r->stage[k].sweep.count;
  }
  fprintf(out, "<div class=\"wide\"><table><tbody>\n");
  if (*c->config.data.path)
    snprintf(text, sizeof text, "%s", c->config.data.path);
  else
    snprintf(text, sizeof text, "%d synthetic clips of moving shapes, %d classes, %d frames of %d x %d pixels",
             c->config.data.count, c->config.data.classes, c->config.data.frames, c->config.data.size[0],
             c->config.data.size[1]);
  row(out, "data", text);
  snprintf(text, sizeof text, "%d channels x %d x %d x %d; %" PRId64 " tokens per clip", m->in_channels, m->latent[0],
           m->latent[1], m->latent[2], dit_tokens(m));
  row(out, "latent", text);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!config_get(&c->config, keys[i], text, sizeof text, NULL)) row(out, keys[i], text);
  if (r->has_law)
    snprintf(text, sizeof text, "by the laws of batch and learning rate below, for each size and budget");
  else
    snprintf(text, sizeof text, "%g samples = %" PRId64 " tokens; %g", (double)c->config.train.batch,
             c->tokens_per_step, c->config.train.lr);
  row(out, "batch; learning rate", text);
  snprintf(device, sizeof device, "%s", *r->device ? r->device : "several");
  row(out, "device", device);
  snprintf(text, sizeof text, "%d runs, %.4g FLOPs, %.0f s", runs, flops, seconds);
  row(out, "spent on training", text);
  fprintf(out, "</tbody></table></div>\n");
}

// ---- batch and learning rate ---------------------------------------------------------------------------------------
static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int distinct(double *values, int count) {
  int n = 0;
  qsort(values, (size_t)count, sizeof *values, by_number);
  for (int i = 0; i < count; i++)
    if (!n || values[i] != values[n - 1]) values[n++] = values[i];
  return n;
}

static bool at_edge(const double *values, int count, double value) {
  return count > 1 && (value == values[0] || value == values[count - 1]);
}

static void tuning(FILE *out, const struct reproduce *r, double *batches, double *rates) {
  const struct stage *stage = &r->stage[STAGE_TUNE];
  const struct sweep *tune = &stage->sweep;
  const struct config *best = &tune->cells[r->choice].config;
  double per_sample = (double)tune->cells[0].tokens_per_step / tune->cells[0].config.train.batch;
  for (int i = 0; i < tune->count; i++) {
    batches[i] = tune->cells[i].config.train.batch;
    rates[i] = tune->cells[i].config.train.lr;
  }
  int b = distinct(batches, tune->count), l = distinct(rates, tune->count);
  fprintf(out, "<div class=\"wide\"><table><thead><tr><th>batch, tokens</th>");
  for (int j = 0; j < l; j++) fprintf(out, "<th>lr %g</th>", rates[j]);
  fprintf(out, "</tr></thead><tbody>\n");
  for (int i = 0; i < b; i++) {
    fprintf(out, "<tr><td>%g</td>", batches[i] * per_sample);
    for (int j = 0; j < l; j++) {
      struct config at = tune->cells[0].config;
      at.train.batch = (int)batches[i];
      at.train.lr = rates[j];
      double loss = tuned_loss(tune, stage->outcome, &at);
      const char *mark = same_point(&at, best) ? "<b>" : "";
      if (isfinite(loss))
        fprintf(out, "<td>%s%.4f%s</td>", mark, exp(loss), *mark ? "</b>" : "");
      else
        fprintf(out, "<td>&ndash;</td>");
    }
    fprintf(out, "</tr>\n");
  }
  fprintf(out, "</tbody></table></div>\n<p class=\"note\">Held-out loss after %.4g tokens, one seed, at N = ",
          sweep_cell_tokens(&tune->cells[0]));
  for (int i = 0, shown = 0; i < tune->count; i++)
    if (same_point(&tune->cells[i].config, best))
      fprintf(out, "%s%" PRId64, shown++ ? ", " : "", tune->cells[i].params);
  fprintf(out,
          " parameters. The lowest of these, batch %g tokens and learning rate %g, is used for the ladder of sizes. "
          "The paper fits "
          "how both change with N and T; here one pair serves all sizes and budgets, so the largest models and the "
          "longest runs may be "
          "trained at less than their best.</p>\n",
          best->train.batch * per_sample, best->train.lr);
  bool edge_b = at_edge(batches, b, best->train.batch), edge_l = at_edge(rates, l, best->train.lr);
  if (edge_b || edge_l)
    fprintf(out,
            "<p class=\"warn\">The lowest loss lies at the edge of what was tried for the %s: a better value may lie "
            "outside.</p>\n",
            edge_b && edge_l ? "batch and the learning rate"
            : edge_b         ? "batch"
                             : "learning rate");
}

// ---- runs ----------------------------------------------------------------------------------------------------------
static void runs(FILE *out, const struct reproduce *r) {
  fprintf(out, "<div class=\"wide\"><table><thead><tr><th>run</th><th>N</th><th>all</th><th>tokens</th>"
               "<th>FLOPs</th><th>FLOPs/token</th><th>by formula</th><th>held-out loss</th><th>below v = "
               "0</th></tr></thead><tbody>\n");
  const struct stage *grid = &r->stage[STAGE_GRID];
  double zero = NAN;
  for (int i = 0; i < grid->sweep.count; i++) {
    const struct sweep_cell *c = &grid->sweep.cells[i];
    const struct train_result *t = &grid->outcome[i].result;
    if (!grid->outcome[i].done) {
      fprintf(out, "<tr><td>%s</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>failed</td></tr>\n", c->name, c->params,
              c->params_all);
      continue;
    }
    if (isfinite(t->heldout_zero)) zero = t->heldout_zero;
    fprintf(out,
            "<tr%s><td>%s</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%.4g</td><td>%.4g</td><td>%.4g</td>"
            "<td>%.4g</td>",
            i == r->best ? " class=\"best\"" : "", c->name, c->params, c->params_all,
            (double)t->steps * (double)t->tokens_per_step, (double)t->steps * t->flops_per_step,
            t->flops_per_step / (double)t->tokens_per_step, dit_token_flops(&c->model));
    if (t->diverged)
      fprintf(out, "<td>diverged</td><td></td></tr>\n");
    else
      fprintf(out, "<td>%.5f</td><td>%.1f %%</td></tr>\n", t->heldout, 100 * (1 - t->heldout / t->heldout_zero));
  }
  fprintf(out,
          "</tbody></table></div>\n<p class=\"note\">N counts the matrices of the blocks, 16 L d<sup>2</sup>, as the "
          "paper does; what "
          "embeds and unembeds is in &ldquo;all&rdquo;. FLOPs are counted from the operations that run, "
          "forward, backward and "
          "optimiser; &ldquo;by formula&rdquo; is the paper's &frac34; N (7 + n/d) with n = %" PRId64
          " tokens per clip, which leaves out "
          "embedding, modulation and norms: they weigh the more, the smaller the model. Held-out loss: mean squared "
          "error of the "
          "velocity at fixed noise and noise levels; predicting v = 0 gives %.5f.</p>\n",
          dit_tokens(&grid->sweep.cells[0].model), zero);
}

static void figure(FILE *out, const char *uri, const char *alt) {
  fprintf(out,
          "<figure style=\"max-width:400px\"><img alt=\"%s\" src=\"%s\" "
          "style=\"width:400px;image-rendering:pixelated\"><figcaption>",
          alt, uri);
}

static void samples(FILE *out, const struct reproduce *r) {
  const struct sweep *grid = &r->stage[STAGE_GRID].sweep;
  const int cell[2] = {r->smallest, r->best};
  const char *const uri[2] = {r->samples.small, r->samples.drawn};
  fprintf(out, "<div class=\"gallery\">");
  for (int i = 0; i < 2; i++) {
    const struct sweep_cell *c = &grid->cells[cell[i]];
    if (!uri[i]) continue;
    figure(out, uri[i], "samples");
    fprintf(out,
            "drawn by %s (N = %" PRId64
            ", T = %.4g): %d Euler steps, guidance %g, class by class</figcaption></figure>\n",
            c->name, c->params, sweep_cell_tokens(c), grid->samples.steps, grid->samples.cfg);
  }
  if (r->samples.real) {
    figure(out, r->samples.real, "held-out clips");
    fprintf(out, "held-out clips of the same classes</figcaption></figure>\n");
  }
  fprintf(out, "</div>\n<p class=\"note\">EMA weights; the same noise for both models. Models this small, trained this "
               "briefly, show colours and specks before they show shapes; the losses, not the pictures, are the "
               "measurement.</p>\n");
}

static enum vkd_status add(struct reproduce *r, const char *title, void (*print)(FILE *out, const struct reproduce *r),
                           struct vkd_error *err) {
  size_t size = 0;
  FILE *out = open_memstream(&r->html[r->section_count], &size);
  if (!out) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the report");
  print(out, r);
  if (fclose(out)) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the report");
  r->sections[r->section_count] = (struct fit_section){.title = title, .html = r->html[r->section_count]};
  r->section_count++;
  return VKD_OK;
}

static void print_tuning(FILE *out, const struct reproduce *r) {
  int count = r->stage[STAGE_TUNE].sweep.count;
  double *numbers = calloc(2 * (size_t)count, sizeof *numbers);
  if (numbers) tuning(out, r, numbers, numbers + count);
  free(numbers);
}

enum vkd_status reproduce_sections(struct reproduce *r, struct vkd_error *err) {
  const struct {
    bool has;
    const char *title;
    void (*print)(FILE *out, const struct reproduce *r);
  } parts[] = {
      {r->fit->has_joint, "Beside the paper", reproduce_print_beside},
      {r->stage[STAGE_HOLDOUT].outcome, "Foretold, then run", reproduce_print_foretold},
      {r->stage[STAGE_AROUND].outcome, "Around the batch and learning rate foretold", reproduce_print_around},
      {r->samples.drawn, "Samples", samples},
      {r->cost_count, "What a sample costs", reproduce_print_cost},
      {true, "Runs of the ladder", runs},
      {r->stage[STAGE_TUNE].outcome && !r->has_law, "Batch and learning rate", print_tuning},
      {true, "Settings", settings},
  };
  enum vkd_status status = VKD_OK;
  for (size_t i = 0; i < sizeof parts / sizeof *parts && !status; i++)
    if (parts[i].has) status = add(r, parts[i].title, parts[i].print, err);
  return status;
}
