// vkdit reproduce: what its files share.
#ifndef VKDIT_REPRODUCE_H
#define VKDIT_REPRODUCE_H

#include "fit_job.h"
#include "run_model.h"
#include "sweep_job.h"

// In the order in which they run.
enum {
  STAGE_TUNE,    // batch and learning rate
  STAGE_GRID,    // the ladder of sizes and budgets
  STAGE_SEEDS,   // cells of the ladder again, with other seeds
  STAGE_NEXT,    // runs that the law so far asks for
  STAGE_FIXED,   // sizes and budgets of the ladder again, all at the one pair that was best in `tune`
  STAGE_AROUND,  // batches and rates around the one foretold, at a size and budget that no law has seen
  STAGE_HOLDOUT, // foretold, then run
  STAGES
};

enum { REPRODUCE_AROUND = 9 }; // runs of STAGE_AROUND for a pair: three batches by three rates, the pair in the middle

struct stage {
  struct sweep sweep; // count 0: not in the file, or nothing left to run
  struct sweep_outcome *outcome;
};

// How a size's sampling was timed, at one number of steps.
struct sample_cost {
  int cell, steps;
  double seconds, joules; // of one sample; joules NaN: the machine does not tell
};

struct reproduce {
  const char *name, *folder; // of the pipeline ("smoke"); DIR
  const char *const *overrides;
  size_t override_count;
  struct sweep_file file;
  struct stage stage[STAGES];
  int choice;                // cell of tune whose batch and rate were best; -1: none
  bool has_law;              // of batch and learning rate, which all later stages follow; else they take that cell's
  struct hyper_result hyper; // of tune, where it has one
  int best, smallest;        // cells of grid: of the lowest held-out loss; of the fewest parameters
  struct fit_family family;  // of the ladder
  struct {
    double loss, low, high;
  } * foretold; // [cells of the hold-out], before they ran
  double noise; // relative standard deviation of the loss between seeds; NaN: no stage tells
  int noise_runs;
  struct sample_cost *cost;
  int cost_count;
  char device[300];
  struct sweep_devices devices;
  struct sweep_bar bar;
  struct {
    char *drawn, *small, *real; // GIFs as data URIs
    int64_t step;
  } samples;
  const struct fit_job_result *fit; // for the report's parts
  char *html[10];
  struct fit_section sections[10];
  int section_count;
};

const char *reproduce_stage_name(int stage); // of its grid in the file

// The cell of `tune` whose batch and learning rate have the lowest held-out loss (geometric mean over the sizes and
// budgets tuned at); -1: none.
int reproduce_choose(const struct sweep *tune, const struct sweep_outcome *tuned);

// ---- reproduce_stage.c
// Reads and plans the grids of the file.
enum vkd_status reproduce_load(struct reproduce *r, struct vkd_error *err);
// Finds batch and learning rate from the runs of STAGE_TUNE: a law where they determine one, else the best pair.
enum vkd_status reproduce_learn(struct reproduce *r, struct vkd_error *err);
// Gives the cells of a stage the batch and learning rate that were found, and plans them anew.
enum vkd_status reproduce_settle(struct reproduce *r, int stage, struct vkd_error *err);
// The nearest batch of whole passes, where train.micro_batch says how large those are; a pass is no larger than a
// batch.
void reproduce_set_batch(struct config *c, double batch);
enum vkd_status reproduce_run_stage(struct reproduce *r, int stage, struct vkd_error *err);
// The law of the runs so far into DIR: runs.csv, law.json, report.html; `last`: with the parts of reproduce_sections().
enum vkd_status reproduce_fit(struct reproduce *r, bool last, struct fit_job_result *fit, struct vkd_error *err);

// ---- reproduce_next.c
// Fills STAGE_NEXT with the runs that would teach the most about the hold-out, or the largest cell of the ladder.
enum vkd_status reproduce_choose_next(struct reproduce *r, const struct fit_job_result *fit, struct vkd_error *err);
// Fills STAGE_AROUND with the runs for each of its cells: half and twice the batch and rate foretold there.
enum vkd_status reproduce_spread(struct reproduce *r, struct vkd_error *err);

// ---- reproduce_measure.c
// What is foretold for the hold-out, into DIR/prediction.json, before it runs.
enum vkd_status reproduce_foretell(struct reproduce *r, const struct fit_job_result *fit, struct vkd_error *err);
void reproduce_noise(struct reproduce *r);
double reproduce_loss(const struct stage *s, int i); // held out, of a run; NaN: it failed or diverged
// Seconds and joules of a sample by every size of the ladder, into DIR/cost.csv.
enum vkd_status reproduce_cost(struct reproduce *r, struct vkd_device *device, struct vkd_error *err);

// ---- reproduce_samples.c
// The model of a run of the ladder.  The caller closes it.
enum vkd_status reproduce_open(const struct reproduce *r, int cell, struct vkd_device *device, struct run_model *out,
                               struct vkd_error *err);
// Draws samples of the best and of the smallest run into DIR, and held-out clips for comparison.
enum vkd_status reproduce_sample(struct reproduce *r, struct vkd_device *device, struct vkd_error *err);

// ---- reproduce_report.c, reproduce_sections.c, reproduce_beside.c
// The report's own parts: the paper's figures beside these, samples, what was foretold, noise, cost, runs, batch and
// rate, settings.
enum vkd_status reproduce_sections(struct reproduce *r, struct vkd_error *err);
void reproduce_print_beside(FILE *out, const struct reproduce *r);
void reproduce_print_foretold(FILE *out, const struct reproduce *r);
void reproduce_print_around(FILE *out, const struct reproduce *r);
void reproduce_print_cost(FILE *out, const struct reproduce *r);
enum vkd_status reproduce_draw_cost(const struct reproduce *r, struct vkd_error *err); // DIR/cost.svg
// A pair foretold and those around it, whose seeds stand side by side in the file (the grid's last axis).
struct reproduce_pair {
  int seeds;                     // it has seeds * REPRODUCE_AROUND runs
  double loss[REPRODUCE_AROUND]; // means over the seeds; NaN: one diverged
  double excess; // of its loss over the lowest of the others that did not diverge, relative; NaN: it diverged
  double error;  // standard error of that over the seeds; NaN of one seed
};
// The pair whose runs begin at `first` of the stage; false: there is none.
bool reproduce_around(const struct reproduce *r, int first, struct reproduce_pair *out);

#endif
