// The plots of a report, written into a text: alone as a file, or inline in the page.
#ifndef FIT_PLOTS_H
#define FIT_PLOTS_H

#include "fit/report.h"
#include "text.h"

enum fit_status fit__plot(struct fit_text *t, enum fit_plot plot, const struct fit_report *r, bool alone,
                          struct fit_error *err);

// The compute of the trade-off table.
double fit__report_compute(const struct fit_report *r);

const struct fit_family *fit__report_family(const struct fit_report *r);

// FLOPs of a row: the table's, else by the family.
double fit__row_flops(const struct fit_report *r, const struct fit_run *run);

#endif
