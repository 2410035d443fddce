// The plot of loss against the time of a sample: a line and a mark for what was measured, and nothing else.
#include "fit/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int count_of(const char *text, const char *word) {
  int n = 0;
  for (const char *at = text; at && (at = strstr(at, word)); at++) n++;
  return n;
}

// Places of the marks, in the order of the drawing.
static int marks(const char *svg, double x[16], double y[16]) {
  int n = 0;
  const char *frame = strstr(svg, "<g clip-path");
  for (const char *c = frame; c && n < 16 && (c = strstr(c, "<circle")); c++)
    n += sscanf(c, "<circle class=\"p f%*[^\"]\" cx=\"%lf\" cy=\"%lf\"", &x[n], &y[n]) == 2;
  return n;
}

int main(void) {
  const struct fit_cost_row rows[] = {{2e4, 0.40, 20, 0.08}, {1e4, 0.42, 10, 0.02}, {2e4, 0.40, 10, 0.04},
                                      {1e4, 0.42, 20, 0.04}, {4e4, 0.39, 20, NAN},  {4e4, 0.39, 10, 0}};
  struct fit_error err;
  char *svg = NULL;
  double x[16], y[16];
  CHECK(fit_cost_plot(rows, 6, true, &svg, &err) == FIT_OK && svg, "%s", err.what);
  if (svg) {
    CHECK(strncmp(svg, "<?xml", 5) == 0 || strncmp(svg, "<svg", 4) == 0, "%.20s", svg);
    CHECK(marks(svg, x, y) == 4, "%d marks", marks(svg, x, y));
    // by steps, then size: 10 steps at 0.02 and 0.04 s, 20 steps at twice that
    CHECK_NEAR(x[1] - x[0], x[3] - x[2], 0.2);
    CHECK_NEAR(x[2], x[1], 0.2);
    CHECK_NEAR(y[0], y[2], 0.2);
    CHECK(x[1] > x[0] + 10 && y[1] > y[0] + 10, "%g %g, %g %g", x[0], y[0], x[1], y[1]);
    CHECK(count_of(svg, "seconds per sample") >= 1 && count_of(svg, "held-out loss") >= 1, "labels");
  }
  free(svg);
  CHECK(fit_cost_plot(rows + 4, 2, true, &svg, &err) == FIT_ERR_INPUT && !svg, "rows without a time");
  return check_done();
}
