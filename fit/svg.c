#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 860.0
#define HEIGHT 460.0
#define LEFT 78.0
#define TOP 16.0
#define BOTTOM 56.0
#define RIGHT 18.0
#define LEGEND 172.0
#define MAX_TICKS 64

// One hue path from dark violet over teal to amber: ordered by lightness, so it survives colour blindness and print.
const char svg_style[] =
    ".fp{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    ".fp .bg{fill:#fff}.fp text{fill:#1f2933}.fp .dim{fill:#5f6b7a}"
    ".fp .frame{fill:none;stroke:#8a94a3}.fp .grid{stroke:#e6e9ee}.fp .tick{stroke:#8a94a3}"
    ".fp .l{fill:none;stroke-width:2;stroke-linejoin:round}.fp .d{stroke-dasharray:6 4}"
    ".fp .p{stroke:#fff;stroke-width:.6}.fp .f{opacity:.45}.fp .b{opacity:.18;stroke:none}"
    ".fp .si{stroke:#1f2933}.fp .fi{fill:#1f2933}"
    ".fp .s0{stroke:#46107a}.fp .f0{fill:#46107a}.fp .s1{stroke:#3b48a8}.fp .f1{fill:#3b48a8}"
    ".fp .s2{stroke:#2a72b5}.fp .f2{fill:#2a72b5}.fp .s3{stroke:#1c93a8}.fp .f3{fill:#1c93a8}"
    ".fp .s4{stroke:#2aa876}.fp .f4{fill:#2aa876}.fp .s5{stroke:#8aae2c}.fp .f5{fill:#8aae2c}"
    ".fp .s6{stroke:#e0a112}.fp .f6{fill:#e0a112}.fp .s7{stroke:#dd5f1e}.fp .f7{fill:#dd5f1e}"
    "@media (prefers-color-scheme:dark){.fp .bg{fill:#161b22}.fp text{fill:#e6edf3}.fp .dim{fill:#9aa6b2}"
    ".fp .frame,.fp .tick{stroke:#6b7684}.fp .grid{stroke:#2a313a}.fp .p{stroke:#161b22}"
    ".fp .si{stroke:#e6edf3}.fp .fi{fill:#e6edf3}"
    ".fp .s0{stroke:#a877e8}.fp .f0{fill:#a877e8}.fp .s1{stroke:#8390f0}.fp .f1{fill:#8390f0}"
    ".fp .s2{stroke:#62a8ea}.fp .f2{fill:#62a8ea}}";

static double right_of(const struct svg_plot *p) { return WIDTH - RIGHT - (p->legend_title ? LEGEND : 0); }

static double along(const struct svg_axis *a, double value) {
  return a->log ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
}

// Far outside is as good as outside, and keeps the numbers short.
static double pixel(double low, double high, double share) { return low + (high - low) * fmin(fmax(share, -3), 4); }
static double at_x(const struct svg_plot *p, double v) { return pixel(LEFT, right_of(p), along(&p->x, v)); }
static double at_y(const struct svg_plot *p, double v) { return pixel(HEIGHT - BOTTOM, TOP, along(&p->y, v)); }

void svg_axis_fit(struct svg_axis *a, double low, double high) {
  if (a->log) {
    double margin = fmax(0.04 * log(high / low), 0.01);
    a->low = low * exp(-margin);
    a->high = high * exp(margin);
  } else {
    double margin = fmax(0.05 * (high - low), 1e-9 + 1e-6 * fabs(high));
    a->low = low - margin;
    a->high = high + margin;
  }
}

void svg_count(double value, char text[24]) {
  static const char *const unit[] = {"", " K", " M", " B", " T"};
  int u = 0;
  while (u < 4 && value >= 999.5) {
    value /= 1000;
    u++;
  }
  if (value >= 1e5)
    snprintf(text, 24, "%.3g%s", value, unit[u]);
  else
    snprintf(text, 24, "%.*f%s", value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, unit[u]);
  char *dot = strchr(text, '.');
  if (!dot) return;
  char *end = dot + strspn(dot, ".0123456789"), *keep = end;
  while (keep > dot && (keep[-1] == '0' || keep[-1] == '.')) {
    keep--;
    if (*keep == '.') break;
  }
  memmove(keep, end, strlen(end) + 1);
}

static void tick_text(const struct svg_axis *a, double value, double step, char text[48]) {
  static const char *const super[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  if (a->unit == SVG_COUNT) {
    svg_count(value, text);
  } else if (a->unit == SVG_POWER) {
    int exponent = (int)floor(log10(value) + 1e-9), mantissa = (int)lround(value / pow(10, exponent)),
        tens = exponent / 10;
    if (exponent < 0 || exponent > 99)
      snprintf(text, 48, "%.3g", value);
    else
      snprintf(text, 48, "%.0d%s10%s%s", mantissa == 1 ? 0 : mantissa, mantissa == 1 ? "" : "·",
               tens ? super[tens] : "", super[exponent % 10]);
  } else if (step > 0) {
    int digits = (int)fmax(0, -floor(log10(step) + 1e-9));
    double shifted = step * pow(10, digits); // 2.5 needs one digit more than its power of ten
    snprintf(text, 48, "%.*f", digits + (fabs(shifted - round(shifted)) > 1e-6), value);
  } else {
    snprintf(text, 48, "%g", value);
  }
}

// Ticks inside the range: 1-2-5 steps where it is linear or spans less than a factor of 6, else 1-2-5 or whole decades.
static int ticks(const struct svg_axis *a, double *value, double *step) {
  int count = 0;
  *step = 0;
  double span = a->log ? a->high / a->low : 0;
  if (a->log && span >= 6) {
    int low = (int)floor(log10(a->low)), high = (int)ceil(log10(a->high)), skip = 1 + (high - low) / 9;
    static const double part[] = {1, 2, 5};
    for (int d = low; d <= high; d += skip)
      for (int k = 0; k < (span < 300 ? 3 : 1); k++) {
        double v = part[k] * pow(10, d);
        if (v >= a->low && v <= a->high && count < MAX_TICKS) value[count++] = v;
      }
    return count;
  }
  double rough = (a->high - a->low) / 6, power = pow(10, floor(log10(rough))), share = rough / power;
  *step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 2.5 ? 2.5 : share <= 5 ? 5 : 10);
  for (double k = ceil(a->low / *step); k * *step <= a->high && count < MAX_TICKS; k++) value[count++] = k * *step;
  return count;
}

static void draw_axis(struct svg_plot *p, bool vertical) {
  const struct svg_axis *a = vertical ? &p->y : &p->x;
  double value[MAX_TICKS], step, right = right_of(p), bottom = HEIGHT - BOTTOM;
  int count = ticks(a, value, &step);
  for (int i = 0; i < count; i++) {
    char text[48];
    tick_text(a, value[i], step, text);
    double at = vertical ? at_y(p, value[i]) : at_x(p, value[i]);
    if (vertical)
      fit__text_add(p->out,
                    "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><path class=\"tick\" d=\"M%.1f %.1fh-5\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                    LEFT, at, right, LEFT, at, LEFT - 9, at + 4.5, text);
    else
      fit__text_add(p->out,
                    "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><path class=\"tick\" d=\"M%.1f %.1fv5\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                    at, TOP, bottom, at, bottom, at, bottom + 20, text);
  }
  if (vertical)
    fit__text_add(p->out, "<text class=\"dim\" transform=\"translate(17 %.1f) rotate(-90)\" text-anchor=\"middle\">",
                  (TOP + bottom) / 2);
  else
    fit__text_add(p->out, "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (LEFT + right) / 2,
                  HEIGHT - 12);
  fit__text_escape(p->out, a->label);
  fit__text_add(p->out, "</text>\n");
}

void svg_begin(struct svg_plot *p, bool alone) {
  double right = right_of(p), bottom = HEIGHT - BOTTOM;
  p->legend_rows = 0;
  fit__text_add(p->out, "<svg class=\"fp\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\"", WIDTH,
                HEIGHT);
  if (alone) fit__text_add(p->out, " width=\"%.0f\" height=\"%.0f\"", WIDTH, HEIGHT);
  fit__text_add(p->out, " role=\"img\"><title>");
  fit__text_escape(p->out, p->title);
  fit__text_add(p->out, "</title>\n");
  if (alone)
    fit__text_add(p->out, "<style>%s</style>\n<rect class=\"bg\" width=\"%.0f\" height=\"%.0f\"/>\n", svg_style, WIDTH,
                  HEIGHT);
  fit__text_add(p->out, "<clipPath id=\"%s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>\n",
                p->id, LEFT, TOP, right - LEFT, bottom - TOP);
  draw_axis(p, false);
  draw_axis(p, true);
  fit__text_add(p->out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", LEFT, TOP,
                right - LEFT, bottom - TOP);
  if (p->legend_title) {
    fit__text_add(p->out, "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\">", right + 16, TOP + 12);
    fit__text_escape(p->out, p->legend_title);
    fit__text_add(p->out, "</text>\n");
  }
  fit__text_add(p->out, "<g clip-path=\"url(#%s)\">\n", p->id);
}

static void class_of(int colour, char kind, char text[4]) {
  text[0] = kind;
  text[1] = colour < 0 ? 'i' : (char)('0' + colour % SVG_COLOURS);
  text[2] = 0;
}

void svg_line(struct svg_plot *p, int count, const double *x, const double *y, int colour, bool dashed) {
  char stroke[4];
  class_of(colour, 's', stroke);
  fit__text_add(p->out, "<path class=\"l %s%s\" d=\"", stroke, dashed ? " d" : "");
  for (int i = 0; i < count; i++) fit__text_add(p->out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(p, x[i]), at_y(p, y[i]));
  fit__text_add(p->out, "\"/>\n");
}

void svg_band(struct svg_plot *p, int count, const double *x, const double *low, const double *high, int colour) {
  char fill[4];
  class_of(colour, 'f', fill);
  fit__text_add(p->out, "<path class=\"b %s\" d=\"", fill);
  for (int i = 0; i < count; i++) fit__text_add(p->out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(p, x[i]), at_y(p, high[i]));
  for (int i = count - 1; i >= 0; i--) fit__text_add(p->out, "L%.1f %.1f", at_x(p, x[i]), at_y(p, low[i]));
  fit__text_add(p->out, "Z\"/>\n");
}

void svg_point(struct svg_plot *p, double x, double y, int colour, double radius, bool faint) {
  char fill[4];
  class_of(colour, 'f', fill);
  fit__text_add(p->out, "<circle class=\"p %s%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", fill, faint ? " f" : "",
                at_x(p, x), at_y(p, y), radius);
}

// Legend rows lie outside the clipped group, so they are written after it: svg_end closes it on the first of them.
static void close_frame(struct svg_plot *p) {
  if (!p->legend_rows++) fit__text_add(p->out, "</g>\n");
}

void svg_legend(struct svg_plot *p, int colour, int marks, const char *text) {
  char stroke[4], fill[4];
  close_frame(p);
  double x = right_of(p) + 16, y = TOP + 14 + 20 * p->legend_rows;
  class_of(colour, 's', stroke);
  class_of(colour, 'f', fill);
  if (marks & SVG_BAND)
    fit__text_add(p->out, "<rect class=\"b %s\" x=\"%.1f\" y=\"%.1f\" width=\"24\" height=\"12\"/>", fill, x, y - 10.5);
  if (marks & (SVG_LINE | SVG_DASHED))
    fit__text_add(p->out, "<path class=\"l %s%s\" d=\"M%.1f %.1fh24\"/>", stroke, marks & SVG_DASHED ? " d" : "", x,
                  y - 4.5);
  if (marks & SVG_POINT)
    fit__text_add(p->out, "<circle class=\"p %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>", fill, x + 12, y - 4.5);
  fit__text_add(p->out, "<text x=\"%.1f\" y=\"%.1f\">", x + 32, y);
  fit__text_escape(p->out, text);
  fit__text_add(p->out, "</text>\n");
}

void svg_end(struct svg_plot *p) {
  close_frame(p);
  fit__text_add(p->out, "</svg>\n");
}
