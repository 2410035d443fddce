// The plots of a report, written into a text: alone as a file, or inline in the page.
#ifndef FIT_PLOTS_H
#define FIT_PLOTS_H

#include "fit/report.h"
#include "svg.h"
#include "text.h"

enum fit_status fit__plot(struct fit_text *t, enum fit_plot plot, const struct fit_report *r, bool alone,
                          struct fit_error *err);

// The compute of the trade-off.
double fit__report_compute(const struct fit_report *r);

const struct fit_family *fit__report_family(const struct fit_report *r);

// FLOPs of a row: the table's, else by the family.
double fit__row_flops(const struct fit_report *r, const struct fit_run *run);

// The runs that the hyperparameter laws were fitted to.
const struct fit_runs *fit__hyper_runs(const struct fit_report *r);

// ---- one function per plot: p has its out, id, title and alone, and is drawn up to svg_end ----
typedef enum fit_status fit__draw(struct svg_plot *p, const struct fit_report *r, struct fit_error *err);
fit__draw fit__plot_loss, fit__plot_residuals, fit__plot_profile;          // plots_joint.c
fit__draw fit__plot_isoflop, fit__plot_optimum, fit__plot_tradeoff;        // plots_sizes.c
fit__draw fit__plot_bowls, fit__plot_hyper_tokens, fit__plot_hyper_params; // plots_hyper.c

#define FIT_PLOT_POINTS 97
#define FIT_MAX_BOWLS 60 // cells drawn

// Rows drawn are every stride-th, so that a plot shows no more than a few thousand.
size_t fit__stride(const struct fit_runs *runs);
enum fit_status fit__no_plot_memory(struct fit_error *err);

// Values, as of model sizes, shown in at most SVG_RAMP groups.
struct fit_groups {
  int count;
  double low[SVG_RAMP], high[SVG_RAMP]; // smallest and largest value of the group
};
bool fit__group_values(double *value, size_t count, struct fit_groups *g); // sorts; equal to 1e-6 is equal
bool fit__group_sizes(const struct fit_runs *runs, struct fit_groups *g);  // false: no memory
int fit__group_of(const struct fit_groups *g, double value);
double fit__group_middle(const struct fit_groups *g, int k);
void fit__group_legend(struct svg_legend *l, const struct fit_groups *g, int marks);
// Few colours spread over the whole ramp.
int fit__ramp(int k, int count);

#endif
