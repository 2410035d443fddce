// Fitting as one piece of work: a runs table in, law.json, report.html and the plots out.
#ifndef VKDIT_FIT_JOB_H
#define VKDIT_FIT_JOB_H

#include "fit/report.h"
#include "vkd/status.h"

struct fit_job {
  const char *table;          // a CSV, or a folder with a runs.csv
  const char *out;            // folder, made where it is missing
  struct fit_options options; // zero: joint law, Huber 1e-3
  bool best_per_cell;         // keep the lowest loss of every (params, tokens) first
  int bootstrap;              // replicates; 0: none; -1: 400, or 100 above 100000 rows
  double level;               // of the intervals, 0: 0.9
  unsigned long long seed;
  bool holdout;
  double holdout_flops; // fit up to here; 0: all but the tenth of the rows with the most FLOPs
  struct fit_family family;
  double compute; // of the trade-off table, 0: the table's largest
  const char *title, *command;
  const struct fit_section *before, *after; // further parts of the report
  int before_count, after_count;
};

struct fit_job_result {
  struct fit_runs runs;
  struct fit_solution solution;
  struct fit_bootstrap bootstrap;
  struct fit_holdout holdout;
  struct fit_report report; // points at the above: do not move this struct
  char note[512];           // why there are no intervals
  char source[256];
};

// Too few runs to resample is no error: report.bootstrap_note says it.
enum vkd_status fit_job_run(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err);
void fit_job_free(struct fit_job_result *r);

#endif
