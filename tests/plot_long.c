// plot_long FILE.csv FILE.svg: memory and time of a long run, as tests/train/long.sh measures them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../fit/svg.h"
#include "../fit/text.h"

enum { COLUMNS = 6, ROWS_MAX = 100000 };

struct panel {
  int column;
  double low; // of its axis, which ends above the largest value
  const char *heading, *unit;
};

static void draw(struct svg_grid *g, const struct panel *panel, double (*row)[COLUMNS], int rows) {
  double *x = malloc(2 * (size_t)rows * sizeof *x), *y = x + rows, high = panel->low;
  if (!x) exit(1);
  for (int i = 0; i < rows; i++) {
    x[i] = row[i][0] / 60;
    y[i] = row[i][panel->column];
    high = fmax(high, y[i]);
  }
  struct svg_plot p = {.grid = g, .title = panel->heading, .heading = panel->heading};
  p.x = (struct svg_axis){.low = 0, .high = x[rows - 1], .label = "minutes"};
  p.y = (struct svg_axis){.low = panel->low, .high = 1.1 * high, .label = panel->unit};
  snprintf(p.id, sizeof p.id, "clip-long-%d", panel->column);
  svg_begin(&p);
  svg_line(&p, rows, x, y, SVG_BLUE, SVG_LINE);
  svg_end(&p);
  free(x);
}

int main(int argc, char **argv) {
  static double row[ROWS_MAX][COLUMNS];
  static const struct panel panels[] = {{2, 0, "host memory", "resident, MiB"},
                                        {3, 0, "device memory", "allocated, MiB"},
                                        {5, 0, "a step", "processor time, ms"}};
  struct fit_text text = {0};
  struct fit_error err;
  char line[256];
  int rows = 0;
  FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL;
  if (!in || !fgets(line, sizeof line, in)) return 2;
  while (rows < ROWS_MAX && fgets(line, sizeof line, in)) {
    char *at = line;
    for (int c = 0; c < COLUMNS; c++, at += *at == ',') row[rows][c] = strtod(at, &at);
    rows++;
  }
  fclose(in);
  if (!rows) return 2;
  struct svg_grid g = {
      .out = &text, .title = "a long run", .alone = true, .width = 300, .height = 220, .columns = 3, .count = 3};
  svg_grid_begin(&g);
  for (int i = 0; i < g.count; i++) draw(&g, &panels[i], row, rows);
  svg_grid_end(&g);
  enum fit_status status = fit__file_write(argv[2], &text, &err);
  fit__text_free(&text);
  if (status) fprintf(stderr, "%s\n", err.what);
  return status;
}
