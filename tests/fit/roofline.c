// The roofline plot: roofs and marks lie where the numbers say, read back from the file by its own axes.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fit/roofline.h"
#include "temp.h"

static char path[TEMP_SIZE + 32];

static char *load(void) {
  FILE *f = fopen(path, "rb");
  char *text = calloc(1, 1 << 20);
  if (f && text) text[fread(text, 1, (1 << 20) - 1, f)] = 0;
  if (f) fclose(f);
  return text;
}

// A logarithmic axis as its first and last tick tell it: pixel = at + scale * log(value).
struct axis {
  double at, scale;
};
static double pixel(const struct axis *a, double value) { return a->at + a->scale * log(value); }

// Ticks of the horizontal axis have their texts under them, those of the vertical one before them.
static struct axis read_axis(const char *svg, bool vertical) {
  double first_value = 0, first_at = 0, last_value = 0, last_at = 0;
  for (const char *t = svg; (t = strstr(t, "<text x=\"")); t++) {
    double x, y, value;
    char anchor[16] = "";
    if (sscanf(t, "<text x=\"%lf\" y=\"%lf\" dy=\"%*[.0-9em]\" text-anchor=\"%15[a-z]\">%lf<", &x, &y, anchor,
               &value) != 4)
      continue;
    if (strcmp(anchor, vertical ? "end" : "middle") != 0 || !(value > 0)) continue;
    if (!first_value) first_value = value, first_at = vertical ? y : x;
    last_value = value, last_at = vertical ? y : x;
  }
  CHECK(last_value > first_value && first_value > 0, "ticks from %g to %g", first_value, last_value);
  struct axis a = {.scale = (last_at - first_at) / log(last_value / first_value)};
  a.at = first_at - a.scale * log(first_value);
  return a;
}

static int marks(const char *svg) {
  int n = 0;
  const char *frame = strstr(svg, "<g clip-path");
  for (const char *c = frame; c && (c = strstr(c, "<circle")); c++) n++;
  return n;
}

// A circle of a row's colour within half a pixel.
static bool has_mark(const char *svg, double x, double y, char colour) {
  const char *frame = strstr(svg, "<g clip-path");
  for (const char *c = frame; c && (c = strstr(c, "<circle class=\"p f")); c++) {
    double cx, cy;
    char of;
    if (sscanf(c, "<circle class=\"p f%c%*[^c]cx=\"%lf\" cy=\"%lf\"", &of, &cx, &cy) == 3 && of == colour &&
        fabs(cx - x) < 0.6 && fabs(cy - y) < 0.6)
      return true;
  }
  return false;
}

static bool has_line(const char *svg, const char *class, double x, double y, double to_x, double to_y) {
  char head[64];
  snprintf(head, sizeof head, "<path class=\"%s\" d=\"M", class);
  const char *frame = strstr(svg, "<g clip-path"), *l = frame ? strstr(frame, head) : NULL;
  double v[4];
  return l && sscanf(l + strlen(head), "%lf %lfL%lf %lf", &v[0], &v[1], &v[2], &v[3]) == 4 && fabs(v[0] - x) < 0.6 &&
         fabs(v[1] - y) < 0.6 && fabs(v[2] - to_x) < 0.6 && fabs(v[3] - to_y) < 0.6;
}

enum { ROWS = 30 };

static void test_places(void) {
  static char names[ROWS][24];
  struct fit_roofline_row rows[ROWS + 3];
  const struct fit_roofline r = {
      .title = "a <b> & c", .peak_flops = 5e10, .peak_bytes = 1e10, .rows = rows, .count = ROWS + 3};
  struct fit_error err = {0};
  for (int i = 0; i < ROWS; i++) {
    snprintf(names[i], sizeof names[i], "op_%d<&", i);
    double intensity = 0.05 * pow(1.3, i), reach = fmin(5e10, 1e10 * intensity) * (0.1 + 0.8 * (i % 7) / 7);
    rows[i] = (struct fit_roofline_row){names[i], 1e9 * (i + 1), 1e9 * (i + 1) / intensity, 1e9 * (i + 1) / reach};
  }
  rows[ROWS] = (struct fit_roofline_row){"copy", 0, 1e9, 1};
  rows[ROWS + 1] = (struct fit_roofline_row){"not run", 1e9, 1e9, 0};
  rows[ROWS + 2] = (struct fit_roofline_row){"bad", NAN, 1e9, NAN};
  CHECK(fit_roofline_write(path, &r, &err) == FIT_OK, "%s", err.what);
  char *svg = load();
  struct axis x = read_axis(svg, false), y = read_axis(svg, true);
  CHECK(marks(svg) == ROWS, "%d marks for %d rows", marks(svg), ROWS);
  int named = 0;
  for (int i = 0; i < ROWS; i++) {
    double intensity = rows[i].flops / rows[i].bytes, reach = rows[i].flops / rows[i].seconds * 1e-9;
    char text[32];
    CHECK(has_mark(svg, pixel(&x, intensity), pixel(&y, reach), intensity < 5 ? 'b' : 'a'), "%s: no mark at %g, %g",
          rows[i].name, intensity, reach);
    snprintf(text, sizeof text, ">op_%d&lt;&amp;</text>", i);
    named += strstr(svg, text) != NULL;
  }
  CHECK(named >= ROWS - 3, "%d of %d marks have names", named, ROWS);
  CHECK(strstr(svg, "a &lt;b&gt; &amp; c") && strstr(svg, "50 GFLOP/s: peak") && strstr(svg, "10 GB/s: peak"), "texts");
  CHECK(strstr(svg, "prefers-color-scheme:dark"), "no dark colours");
  double seconds = 0;
  for (int i = 0; i <= ROWS; i++) seconds += rows[i].seconds;
  char share[32];
  snprintf(share, sizeof share, "%.1f %% without FLOPs", 100 / seconds);
  CHECK(strstr(svg, share), "no '%s'", share);
  double ridge = pixel(&x, 5), top = pixel(&y, 50), left = 0, right = 0;
  const char *clip = strstr(svg, "<clipPath");
  CHECK(clip && sscanf(strstr(clip, "x=\""), "x=\"%lf\" y=\"%*f\" width=\"%lf\"", &left, &right) == 2, "no frame");
  right += left;
  CHECK(has_line(svg, "l si", ridge, top, right, top), "the roof of arithmetic");
  double rise = (pixel(&y, 10) - pixel(&y, 1)) / (pixel(&x, 10) - pixel(&x, 1)); // rate and intensity rise alike
  CHECK(has_line(svg, "l si d", left, top + rise * (left - ridge), ridge, top), "the roof of memory");
  free(svg);
}

static void test_refusals(void) {
  struct fit_error err = {0};
  const struct fit_roofline_row row = {"copy", 0, 1, 1}, good = {"a", 1e9, 1e9, 1};
  struct fit_roofline r = {.title = "t", .peak_flops = 1, .peak_bytes = 1, .rows = &row, .count = 1};
  CHECK(fit_roofline_write(path, &r, &err) == FIT_ERR_INPUT && strstr(err.what, "rows with FLOPs"), "%s", err.what);
  r.rows = &good;
  r.peak_bytes = NAN;
  CHECK(fit_roofline_write(path, &r, &err) == FIT_ERR_INPUT && strstr(err.what, "peaks"), "%s", err.what);
  r.peak_bytes = 1e9;
  CHECK(fit_roofline_write("no/such/folder/x.svg", &r, &err) == FIT_ERR_FAILED, "%s", err.what);
  CHECK(fit_roofline_write(path, &r, &err) == FIT_OK, "one row: %s", err.what);
}

int main(void) {
  char folder[TEMP_SIZE];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/r.svg", folder);
  test_places();
  test_refusals();
  unlink(path);
  rmdir(folder);
  return check_done();
}
