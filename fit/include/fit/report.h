// What a fit has to show: SVG plots and one self-contained HTML report (inline plots and style, no script, no network).
#ifndef FIT_REPORT_H
#define FIT_REPORT_H

#include "fit/compare.h"
#include "fit/diagnosis.h"
#include "fit/hyper.h"
#include "fit/isoflop.h"
#include "fit/plan.h"
#include "fit/solve.h"

// A further part of the report.  `html` is put in as it is: the caller escapes what is not its own (fit_html_escape).
struct fit_section {
  const char *title, *html;
};

// Every part is NULL where there is none, and then left out; a note says why there is none (NULL: not asked for).
struct fit_report {
  const char *title;                   // NULL: "Scaling law"
  const char *source;                  // name of the runs table
  const char *command;                 // that made it; NULL: not shown
  const struct fit_runs *runs;         // never NULL: what the joint law, the budgets and the envelope stand on
  const struct fit_solution *solution; // joint law
  const char *solution_note;
  const struct fit_bootstrap *bootstrap;
  const char *bootstrap_note;
  const struct fit_holdout *holdout;
  const struct fit_diagnosis *diagnosis;
  const struct fit_isoflop *isoflop;
  const char *isoflop_note;
  const struct fit_envelope *envelope;
  const char *envelope_note;
  const struct fit_hyper *hyper;     // laws of batch and learning rate
  const struct fit_runs *hyper_runs; // that they were fitted to; NULL: runs
  const char *hyper_note;
  const struct fit_hyper_bootstrap *hyper_bootstrap;
  const char *hyper_bootstrap_note;
  const struct fit_compare *compare; // fixed against optimal hyperparameters
  const char *compare_note;
  const struct fit_family *family;  // FLOPs of the models; NULL: 6 per parameter and token
  double compute;                   // of the trade-off, FLOPs; 0: the largest of the table
  const struct fit_section *before; // shown above the law's own parts (what a whole pipeline made)
  int before_count;
  const struct fit_section *after; // shown below them
  int after_count;
};

// name of the file, caption
#define FIT_PLOT_MAP(X)                                                                                                \
  X(LOSS, "loss", "Loss against trained tokens, per model size, with the law")                                         \
  X(RESIDUALS, "residuals", "Measured against fitted loss")                                                            \
  X(PROFILE, "profile", "What the table says about E")                                                                 \
  X(ISOFLOP, "isoflop", "Loss against model size at equal compute")                                                    \
  X(OPTIMUM, "optimum", "Compute-optimal model size")                                                                  \
  X(TRADEOFF, "tradeoff", "Training and inference together, at equal loss")                                            \
  X(BOWLS, "bowls", "Batch and learning rate, per model size and tokens")                                              \
  X(HYPER_TOKENS, "hyper-tokens", "Best batch and learning rate against trained tokens")                               \
  X(HYPER_PARAMS, "hyper-params", "Best batch and learning rate against model size")

enum fit_plot {
#define X(code, name, caption) FIT_PLOT_##code,
  FIT_PLOT_MAP(X)
#undef X
      FIT_PLOT_COUNT
};

const char *fit_plot_name(enum fit_plot plot);

// Whether the report has what the plot shows.
bool fit_plot_has(enum fit_plot plot, const struct fit_report *r);

// Range of compute, FLOPs, that the plots and the summary of N_opt(C) cover: whole decades from the table's rows to ten
// times past the largest of them and of r->compute.
void fit_report_range(const struct fit_report *r, double *low, double *high);

// One plot as a file.  Written whole or not at all.  Errors: FIT_ERR_INPUT where there is nothing to draw
// (fit_plot_has), or the law has no optimum; FIT_ERR_FAILED without memory or on a failed write.
enum fit_status fit_plot_write(const char *path, enum fit_plot plot, const struct fit_report *r, struct fit_error *err);

// The report.  Written whole or not at all.
enum fit_status fit_report_write(const char *path, const struct fit_report *r, struct fit_error *err);

// The style of the report's page, and of the plots in it, for other pages.
extern const char fit_page_style[], fit_plot_style[];

// Escapes text for HTML; NULL without memory.  The caller frees it.
char *fit_html_escape(const char *text);

#endif
