// Fitting as one piece of work: a runs table in; then law.json, report.html and the plots of what was fitted
// out.
#ifndef VKDIT_FIT_JOB_H
#define VKDIT_FIT_JOB_H

#include "fit_hyper.h"
#include "fit_sizes.h"
#include "fit/report.h"
#include "vkd/status.h"

// What is fitted.
enum {
  FIT_JOB_JOINT = 1,
  FIT_JOB_HYPER = 2,
  FIT_JOB_SIZES = 4, // IsoFLOP parabolas and the envelope of the curves; the joint law brings them along untold
};

struct fit_job {
  unsigned parts;             // 0: FIT_JOB_JOINT; of several, those that the table does not allow are told and left out
  const char *table;          // a CSV, or a folder with a runs.csv
  const char *hyper_table;    // another for the hyperparameter laws; NULL: the same
  const char *out;            // folder, made where it is missing
  struct fit_options options; // zero: joint law, Huber 1e-3
  // The joint law is fitted to the lowest loss of every (params, tokens) when best_per_cell is set, or when cells hold
  // runs at several batches or learning rates and all_rows is not set.
  bool best_per_cell, all_rows;
  double diverged; // factor of fit_runs_drop_diverged before that; 0: 1.5; below 0: no row is dropped
  struct fit_isoflop_options isoflop;    // its family, replicates, level and seed are those of the job
  struct fit_hyper_options hyper;        // zero: default window
  double fixed_batch, fixed_lr;          // of the comparison with fixed hyperparameters; 0: chosen
  const struct fit_runs *by_law, *fixed; // runs made for that comparison, as fit_compare_pairs() has them; NULL: none
  int bootstrap;                         // replicates; 0: none; -1: 400, or 100 above 100000 rows
  double level;                          // of the intervals, 0: 0.9
  unsigned long long seed;
  bool holdout;
  double holdout_flops; // fit up to here; 0: all but the tenth of the rows with the most FLOPs
  struct fit_family family;
  double compute; // of the trade-off table, 0: the table's largest
  const char *title, *command;
};

struct fit_job_result {
  struct fit_runs runs;     // that the joint law and the sizes stand on
  struct fit_runs all_runs; // that the hyperparameter laws stand on, where they are asked for
  struct fit_solution solution;
  struct fit_bootstrap bootstrap;
  struct fit_holdout holdout;
  struct fit_report report; // points at the above: do not move this struct
  char note[512];           // why there are no intervals
  bool has_joint, has_hyper, has_sizes;
  struct fit_diagnosis diagnosis; // with a joint law
  struct hyper_result hyper;
  struct sizes_result sizes;
  struct fit_sample sample;              // of the joint law; count 0: none
  struct fit_size_sources size_sources;  // of the table of all ways
  char joint_note[512], hyper_note[512]; // why there is none; empty: not asked for
  int mixed; // cells with several batches or learning rates, of which the joint law saw the best run alone; 0: none
  char source[256];
};

// Too few runs to resample is no error: report.bootstrap_note says it.
enum vkd_status fit_job_run(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err);
// Writes law.json, the report and the plots; out->report may have been added to.
enum vkd_status fit_job_write(const struct fit_job *job, const struct fit_job_result *out, struct vkd_error *err);
json_t *fit_job_json(const struct fit_job_result *r); // law.json; NULL without memory
void fit_job_free(struct fit_job_result *r);

#endif
