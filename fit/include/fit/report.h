// What a fit has to show: SVG plots and one self-contained HTML report (inline plots and style, no script, no network).
#ifndef FIT_REPORT_H
#define FIT_REPORT_H

#include "fit/diagnosis.h"
#include "fit/isoflop.h"
#include "fit/plan.h"
#include "fit/solve.h"

// A further part of the report.  `html` is put in as it is: the caller escapes what is not its own (fit_html_escape).
struct fit_section {
  const char *title, *html;
};

struct fit_report {
  const char *title;   // NULL: "Scaling law"
  const char *source;  // name of the runs table
  const char *command; // that made it; NULL: not shown
  const struct fit_runs *runs;
  const struct fit_solution *solution;
  const struct fit_bootstrap *bootstrap; // NULL: none
  const char *bootstrap_note;            // why there is none; NULL: not asked for
  const struct fit_holdout *holdout;     // NULL: none
  const struct fit_diagnosis *diagnosis; // NULL: none
  const struct fit_isoflop *isoflop;     // NULL: none
  const struct fit_envelope *envelope;   // NULL: none
  const struct fit_family *family;       // FLOPs of the models; NULL: 6 per parameter and token
  double compute;                        // of the trade-off table, FLOPs; 0: the largest of the table
  const struct fit_section *before;      // shown above the law's own parts (what a whole pipeline made)
  int before_count;
  const struct fit_section *after; // shown below them
  int after_count;
};

// name of the file, caption
#define FIT_PLOT_MAP(X)                                                                                                \
  X(LOSS, "loss", "Loss against trained tokens, per model size, with the law")                                         \
  X(RESIDUALS, "residuals", "Measured against fitted loss")                                                            \
  X(ISOFLOP, "isoflop", "Loss against model size at equal compute, by the law")                                        \
  X(OPTIMUM, "optimum", "Compute-optimal model size")

enum fit_plot {
#define X(code, name, caption) FIT_PLOT_##code,
  FIT_PLOT_MAP(X)
#undef X
      FIT_PLOT_COUNT
};

const char *fit_plot_name(enum fit_plot plot);

// Range of compute, FLOPs, that the plots and the summary of N_opt(C) cover: whole decades from the table's rows to ten
// times past the largest of them and of r->compute.
void fit_report_range(const struct fit_report *r, double *low, double *high);

// One plot as a file.  Written whole or not at all.
enum fit_status fit_plot_write(const char *path, enum fit_plot plot, const struct fit_report *r, struct fit_error *err);

// The report.  Written whole or not at all.  Joint law only.
enum fit_status fit_report_write(const char *path, const struct fit_report *r, struct fit_error *err);

// Escapes text for HTML; NULL without memory.  The caller frees it.
char *fit_html_escape(const char *text);

#endif
