// The written parts of a report: paragraphs and tables, put into a section that is open.
#ifndef FIT_REPORT_PARTS_H
#define FIT_REPORT_PARTS_H

#include "fit/report.h"
#include "text.h"

typedef void fit__part(struct fit_text *t, const struct fit_report *r);

fit__part fit__part_law, fit__part_rows;                          // report_joint.c
fit__part fit__part_budgets, fit__part_sizes, fit__part_tradeoff; // report_sizes.c
fit__part fit__part_hyper, fit__part_cells, fit__part_compare;    // report_hyper.c

// Whole-number powers of ten are written as 10 to the n.
void fit__flops(struct fit_text *t, double flops);

// "a to b"; nothing where it is none.
void fit__range(struct fit_text *t, const struct fit_interval *i, double scale, const char *unit);
// A cell of a table: a size and its interval below it; a dash for NaN.
void fit__size_cell(struct fit_text *t, double params, const struct fit_interval *i);

#endif
