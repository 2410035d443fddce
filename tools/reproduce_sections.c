// Parts of the report that tell how far the law could be trusted, and what its models cost to use.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fit/cost.h"
#include "reproduce.h"
#include "vkdm/fileio.h"

// ---- foretold ------------------------------------------------------------------------------------------------------
// The ladder's cell of a size nearest to a budget; -1: none.
static int cell_at(const struct stage *grid, int64_t params, double tokens) {
  for (int i = 0; i < grid->sweep.count; i++)
    if (grid->sweep.cells[i].params == params &&
        fabs(sweep_cell_tokens(&grid->sweep.cells[i]) / tokens - 1) <= FIT_CELL_TOLERANCE)
      return i;
  return -1;
}

// What each size gains by the last step of the ladder's budgets, as run and as the law has it: a sum of a term of N and
// one of T can say no more than that all gain alike, and misses larger models where they do not.
static void print_gains(FILE *out, const struct reproduce *r) {
  const struct stage *grid = &r->stage[STAGE_GRID];
  double last = 0, before = 0;
  for (int i = 0; i < grid->sweep.count; i++) last = fmax(last, sweep_cell_tokens(&grid->sweep.cells[i]));
  for (int i = 0; i < grid->sweep.count; i++) {
    double tokens = sweep_cell_tokens(&grid->sweep.cells[i]);
    if (tokens < last / (1 + FIT_CELL_TOLERANCE)) before = fmax(before, tokens);
  }
  if (!(before > 0)) return;
  fprintf(out,
          "<p>From %.4g to %.4g tokens the loss falls by</p>\n<div class=\"wide\"><table><thead><tr><th>N</th>"
          "<th>as run</th><th>by the law</th></tr></thead><tbody>\n",
          before, last);
  for (int i = 0; i < grid->sweep.count; i++) {
    int64_t n = grid->sweep.cells[i].params;
    int from = cell_at(grid, n, before), to = cell_at(grid, n, last);
    if (from < 0 || to != i) continue;
    const double *law = r->fit->solution.params;
    fprintf(out, "<tr><td>%" PRId64 "</td><td>%.2f %%</td><td>%.2f %%</td></tr>\n", n,
            100 * (1 - reproduce_loss(grid, to) / reproduce_loss(grid, from)),
            100 * (1 - fit_joint_loss(law, (double)n, last) / fit_joint_loss(law, (double)n, before)));
  }
  fprintf(out,
          "</tbody></table></div>\n<p class=\"note\">The law adds a term of N and one of T. Where large models gain "
          "more by tokens than it says, it foretells too high a loss for larger ones, and too low a one where they "
          "gain less.</p>\n");
}

void reproduce_print_foretold(FILE *out, const struct reproduce *r) {
  const struct stage *s = &r->stage[STAGE_HOLDOUT];
  fprintf(out, "<div class=\"wide\"><table><thead><tr><th>run</th><th>N</th><th>T</th><th>batch, tokens</th><th>lr</th>"
               "<th>foretold</th><th>interval</th><th>measured</th><th>error</th></tr></thead><tbody>\n");
  for (int i = 0; i < s->sweep.count; i++) {
    const struct sweep_cell *c = &s->sweep.cells[i];
    const struct train_result *t = &s->outcome[i].result;
    fprintf(out,
            "<tr><td>%s</td><td>%" PRId64 "</td><td>%.4g</td><td>%" PRId64
            "</td><td>%.4g</td><td>%.5f</td><td>%.5f to %.5f</td>",
            c->name, c->params, sweep_cell_tokens(c), c->tokens_per_step, c->config.train.lr, r->foretold[i].loss,
            r->foretold[i].low, r->foretold[i].high);
    if (s->outcome[i].done && !t->diverged)
      fprintf(out, "<td>%.5f</td><td>%+.2f %%</td></tr>\n", t->heldout, 100 * (t->heldout / r->foretold[i].loss - 1));
    else
      fprintf(out, "<td>diverged</td><td></td></tr>\n");
  }
  fprintf(out, "</tbody></table></div>\n<p class=\"note\">The law that foretold these runs has seen none of them, "
               "nor any run around a foretold batch and learning rate. The interval is that of the law, without the "
               "noise of one run. The paper: 1.07 B "
               "parameters at 4 B and 10 B tokens, from sizes up to 0.26 B, within about 0.5 %%.</p>\n");
  if (isfinite(r->noise))
    fprintf(out,
            "<p class=\"note\">Noise floor: %.2f %% standard deviation of the loss between seeds, from %d runs.</p>\n",
            100 * r->noise, r->noise_runs);
  if (r->fit->has_joint) print_gains(out, r);
}

// ---- around --------------------------------------------------------------------------------------------------------
enum { AROUND = REPRODUCE_AROUND, CENTRE = 4 };

// Whether two runs are of one pair and differ by their seed.
static bool is_seed_of(const struct sweep_cell *a, const struct sweep_cell *b) {
  return a->params == b->params && a->steps == b->steps && a->tokens_per_step == b->tokens_per_step &&
         a->config.train.seed != b->config.train.seed;
}

bool reproduce_around(const struct reproduce *r, int first, struct reproduce_pair *out) {
  const struct stage *s = &r->stage[STAGE_AROUND];
  if (!s->outcome || first + AROUND > s->sweep.count) return false;
  *out = (struct reproduce_pair){.seeds = 1};
  while (first + (out->seeds + 1) * AROUND <= s->sweep.count &&
         is_seed_of(&s->sweep.cells[first], &s->sweep.cells[first + out->seeds * AROUND]))
    out->seeds++;
  int lowest = -1; // but the pair's own
  for (int i = 0; i < AROUND; i++) {
    for (int k = 0; k < out->seeds; k++) out->loss[i] += reproduce_loss(s, first + k * AROUND + i) / out->seeds;
    if (i != CENTRE && isfinite(out->loss[i]) && (lowest < 0 || out->loss[i] < out->loss[lowest])) lowest = i;
  }
  out->excess = lowest < 0 ? NAN : out->loss[CENTRE] / out->loss[lowest] - 1;
  out->error = NAN;
  if (lowest < 0 || out->seeds < 2) return true;
  double squares = 0;
  for (int k = 0; k < out->seeds; k++) {
    const int at = first + k * AROUND;
    double d = reproduce_loss(s, at + CENTRE) / reproduce_loss(s, at + lowest) - 1 - out->excess;
    squares += d * d;
  }
  out->error = sqrt(squares / (out->seeds * (out->seeds - 1.0)));
  return true;
}

void reproduce_print_around(FILE *out, const struct reproduce *r) {
  struct reproduce_pair pair;
  for (int k = 0; reproduce_around(r, k, &pair); k += pair.seeds * AROUND) {
    const struct sweep_cell *c = &r->stage[STAGE_AROUND].sweep.cells[k];
    fprintf(out, "<div class=\"wide\"><table><thead><tr><th>batch, tokens</th>");
    for (int l = 0; l < 3; l++) fprintf(out, "<th>lr %.4g</th>", c[l].config.train.lr);
    fprintf(out, "</tr></thead><tbody>\n");
    for (int i = 0; i < AROUND; i++) {
      if (i % 3 == 0) fprintf(out, "<tr><td>%" PRId64 "</td>", c[i].tokens_per_step);
      if (isfinite(pair.loss[i]))
        fprintf(out, i == CENTRE ? "<td><b>%.5f</b></td>" : "<td>%.5f</td>", pair.loss[i]);
      else
        fprintf(out, "<td>diverged</td>");
      if (i % 3 == 2) fprintf(out, "</tr>\n");
    }
    fprintf(out,
            "</tbody></table></div>\n<p class=\"note\">N = %" PRId64
            ", T = %.4g; no law has seen these runs. In bold, the "
            "pair that was foretold: %+.2f %% against the lowest of the others",
            c->params, sweep_cell_tokens(c), 100 * pair.excess);
    if (pair.seeds > 1)
      fprintf(out, ", means of %d seeds; standard error of that difference %.2f %%", pair.seeds, 100 * pair.error);
    fprintf(out, ".</p>\n");
  }
}

// ---- cost ----------------------------------------------------------------------------------------------------------
static char *cost_plot(const struct reproduce *r, bool alone) {
  struct fit_cost_row *rows = calloc((size_t)r->cost_count + 1, sizeof *rows);
  char *svg = NULL;
  for (int i = 0; rows && i < r->cost_count; i++) {
    const struct sample_cost *c = &r->cost[i];
    rows[i] = (struct fit_cost_row){.params = (double)r->stage[STAGE_GRID].sweep.cells[c->cell].params,
                                    .loss = reproduce_loss(&r->stage[STAGE_GRID], c->cell),
                                    .steps = c->steps,
                                    .seconds = c->seconds};
  }
  if (rows) fit_cost_plot(rows, (size_t)r->cost_count, alone, &svg, NULL);
  free(rows);
  return svg;
}

enum vkd_status reproduce_draw_cost(const struct reproduce *r, struct vkd_error *err) {
  char *path = fileio_join(r->folder, "cost.svg"), *svg = cost_plot(r, true);
  enum vkd_status status = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "out of memory");
  if (!status && svg) status = fileio_write_whole(path, svg, strlen(svg), err);
  free(svg);
  free(path);
  return status;
}

void reproduce_print_cost(FILE *out, const struct reproduce *r) {
  const struct stage *grid = &r->stage[STAGE_GRID];
  bool energy = true;
  char *svg = cost_plot(r, false);
  if (svg) fputs(svg, out);
  free(svg);
  fprintf(out, "<div class=\"wide\"><table><thead><tr><th>run</th><th>N</th><th>held-out loss</th><th>steps</th>"
               "<th>s per sample</th><th>J per sample</th></tr></thead><tbody>\n");
  for (int i = 0; i < r->cost_count; i++) {
    const struct sample_cost *c = &r->cost[i];
    energy &= isfinite(c->joules);
    fprintf(out, "<tr><td>%s</td><td>%" PRId64 "</td><td>%.5f</td><td>%d</td><td>%.4g</td>",
            grid->sweep.cells[c->cell].name, grid->sweep.cells[c->cell].params, grid->outcome[c->cell].result.heldout,
            c->steps, c->seconds);
    fprintf(out, isfinite(c->joules) ? "<td>%.4g</td></tr>\n" : "<td></td></tr>\n", c->joules);
  }
  fprintf(out,
          "</tbody></table></div>\n<p class=\"note\">Measured on %s with %d samples at once and guidance %g, two "
          "passes per step; without what planning and compiling take.%s</p>\n",
          *r->device ? r->device : "this device", grid->sweep.samples.count, grid->sweep.samples.cfg,
          energy ? " Energy: the processor's own counters." : " This machine does not tell what energy it takes.");
}
