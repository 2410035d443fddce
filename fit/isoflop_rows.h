// The rows of every budget, found in a table.
#ifndef FIT_ISOFLOP_ROWS_H
#define FIT_ISOFLOP_ROWS_H

#include "isoflop_internal.h"

struct fit_iso_rows {
  struct fit_iso_row *row; // budget b's: budget[b].first .. + count
  size_t count;
};

// Sets out's source, budgets, and of each compute, first and count.  The caller frees rows->row.
enum fit_status fit__isoflop_rows(const struct fit_runs *runs, const struct fit_isoflop_options *o,
                                  struct fit_iso_rows *rows, struct fit_isoflop *out, struct fit_error *err);

#endif
