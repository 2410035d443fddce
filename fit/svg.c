#include "svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "svg_ticks.h"

// Of a plot of its own.  Margins and gaps hold text of twice the size too, as a page shows it on a narrow screen.
#define WIDTH 760.0
#define HEIGHT 440.0
#define LEFT 104.0
#define TOP 36.0
#define BOTTOM 74.0
#define RIGHT 32.0
#define LEGEND 210.0 // beside the frame of a file
#define GAP_X 92.0
#define GAP_Y 34.0
// Of a panel.
#define PANEL_LEFT 58.0
#define PANEL_TOP 44.0
#define NOTE_LINE 15.0
#define PANEL_BOTTOM 44.0
#define PANEL_RIGHT 14.0
#define PANEL_GAP_X 44.0
#define PANEL_GAP_Y 22.0
#define GRID_SPACE 14.0

// Dark and light: colours by their roles first, then the ramp (even steps of lightness in OKLCH, hue from violet over
// blue and green to amber), then the ones that differ in kind.
#define COLOUR(name, colour) ".fp .s" name "{stroke:" colour "}.fp .f" name "{fill:" colour "}"
const char fit_plot_style[] =
    ".fp{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica "
    "Neue',Arial,sans-serif}.fp.panel{font-size:12px}"
    ".fp .bg{fill:#fff}.fp text{fill:#1f2933}.fp .dim{fill:#5f6b7a}.fp .head{font-weight:600}"
    ".fp .frame{fill:none;stroke:#8a94a3}.fp .grid{stroke:#e6e9ee}.fp .tick{stroke:#8a94a3}"
    ".fp .l,.fp .t,.fp .h{fill:none;stroke-width:2;stroke-linejoin:round}.fp .t{stroke-width:1.3}.fp "
    ".h{stroke-width:1.6}"
    ".fp .d{stroke-dasharray:7 4}.fp .o{stroke-dasharray:1.5 4;stroke-linecap:round}"
    ".fp .p{stroke:#fff;stroke-width:.6}.fp .f{opacity:.45}.fp .b{opacity:.2;stroke:none}" COLOUR("i", "#1f2933")
        COLOUR("0", "#4d077c") COLOUR("1", "#2d36a1") COLOUR("2", "#005e8b") COLOUR("3", "#057782")
            COLOUR("4", "#048f75") COLOUR("5", "#48a437") COLOUR("6", "#a8a404") COLOUR("7", "#e09600")
                COLOUR("a", "#0072b2") COLOUR("b", "#d55e00") COLOUR("c", "#009e73")
                    COLOUR("d", "#b8548c") "@media (prefers-color-scheme:dark){.fp .bg{fill:#161b22}.fp "
                                           "text{fill:#e6edf3}.fp .dim{fill:#9aa6b2}"
                                           ".fp .frame,.fp .tick{stroke:#6b7684}.fp .grid{stroke:#2a313a}.fp "
                                           ".p{stroke:#161b22}.fp .b{opacity:.28}" COLOUR("i", "#e6edf3")
                                               COLOUR("0", "#9860d0") COLOUR("1", "#6b82f3") COLOUR("2", "#07a4ee")
                                                   COLOUR("3", "#07bdce") COLOUR("4", "#0dd2ad") COLOUR("5", "#80dd70")
                                                       COLOUR("6", "#dcd736") COLOUR("7", "#fed7a1")
                                                           COLOUR("a", "#56b4e9") COLOUR("b", "#f0803c")
                                                               COLOUR("c", "#2cc99b") COLOUR("d", "#e59cc6") "}";

static void class_of(int colour, char kind, char text[4]) {
  text[0] = kind;
  text[1] = (char)(colour < 0 ? 'i' : colour < SVG_RAMP ? '0' + colour : 'a' + colour - SVG_RAMP);
  text[2] = 0;
}

// Far outside is as good as outside, and keeps the numbers short.
static double pixel(double low, double high, double share) { return low + (high - low) * fmin(fmax(share, -3), 4); }
static double at_x(const struct svg_plot *p, double v) { return pixel(p->left, p->right, svg_along(&p->x, v)); }
static double at_y(const struct svg_plot *p, double v) { return pixel(p->bottom, p->top, svg_along(&p->y, v)); }

// ---- marks and legends ---------------------------------------------------------------------------------------------
static void draw_mark(struct fit_text *out, double x, double y, int colour, int mark, double r) {
  char stroke[4], fill[4];
  class_of(colour, 's', stroke);
  class_of(colour, 'f', fill);
  if (mark & SVG_POINT)
    fit__text_add(out, "<circle class=\"p %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", fill, x, y, r);
  if (mark & SVG_HOLLOW)
    fit__text_add(out, "<circle class=\"h %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", stroke, x, y, r);
  if (mark & SVG_CROSS)
    fit__text_add(out, "<path class=\"l %s\" d=\"M%.1f %.1fl%.1f %.1fm0 %.1fl%.1f %.1f\"/>", stroke, x - r, y - r,
                  2 * r, 2 * r, -2 * r, -2 * r, 2 * r);
  if (mark & SVG_DIAMOND)
    fit__text_add(out, "<path class=\"p %s\" d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fZ\"/>", fill, x, y - r, r, r,
                  -r, r, -r, -r);
}

static const char *style_of(int mark) { return mark & SVG_DASHED ? " d" : mark & SVG_DOTTED ? " o" : ""; }

// A swatch 26 wide and 12 high.
static void draw_swatch(struct fit_text *out, double x, double y, const struct svg_key *key) {
  char stroke[4], fill[4];
  class_of(key->colour, 's', stroke);
  class_of(key->colour, 'f', fill);
  if (key->marks & SVG_BAND)
    fit__text_add(out, "<rect class=\"b %s\" x=\"%.1f\" y=\"%.1f\" width=\"26\" height=\"12\"/>", fill, x, y);
  if (key->marks & (SVG_LINE | SVG_DASHED | SVG_DOTTED))
    fit__text_add(out, "<path class=\"l %s%s\" d=\"M%.1f %.1fh24\"/>", stroke, style_of(key->marks), x + 1, y + 6);
  draw_mark(out, x + 13, y + 6, key->colour, key->marks, 4);
}

void svg_legend_add(struct svg_legend *l, int colour, int marks, const char *fmt, ...) {
  if (l->count == SVG_LEGEND_ROWS) return;
  struct svg_key *key = &l->row[l->count++];
  va_list args;
  key->colour = colour;
  key->marks = marks;
  va_start(args, fmt);
  vsnprintf(key->text, sizeof key->text, fmt, args);
  va_end(args);
}

static void legend_in_page(struct fit_text *out, const struct svg_legend *l) {
  if (!l->count) return;
  fit__text_add(out, "<p class=\"key\">");
  if (l->title) {
    fit__text_add(out, "<span class=\"of\">");
    fit__text_escape(out, l->title);
    fit__text_add(out, "</span>\n");
  }
  for (int i = 0; i < l->count; i++) {
    fit__text_add(out, "<span><svg class=\"fp sw\" width=\"26\" height=\"12\" aria-hidden=\"true\">");
    draw_swatch(out, 0, 0, &l->row[i]);
    fit__text_add(out, "</svg>");
    fit__text_escape(out, l->row[i].text);
    fit__text_add(out, "</span>\n");
  }
  fit__text_add(out, "</p>\n");
}

static void legend_in_file(struct fit_text *out, const struct svg_legend *l, double x, double y, double column,
                           int rows) {
  if (l->title) {
    fit__text_add(out, "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\">", x, y);
    fit__text_escape(out, l->title);
    fit__text_add(out, "</text>\n");
  }
  for (int i = 0; i < l->count; i++) {
    double left = x + column * (i / rows), at = y + 20 * (1 + i % rows);
    draw_swatch(out, left, at - 10.5, &l->row[i]);
    fit__text_add(out, "<text x=\"%.1f\" y=\"%.1f\">", left + 34, at);
    fit__text_escape(out, l->row[i].text);
    fit__text_add(out, "</text>\n");
  }
}

// ---- the frame -----------------------------------------------------------------------------------------------------
static void open_file(struct fit_text *out, const char *title, double width, double height) {
  fit__text_add(out,
                "<svg class=\"fp\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
                "height=\"%.0f\" role=\"img\"><title>",
                width, height, width, height);
  fit__text_escape(out, title);
  fit__text_add(out, "</title>\n<style>%s</style>\n<rect class=\"bg\" width=\"%.0f\" height=\"%.0f\"/>\n",
                fit_plot_style, width, height);
}

// The middle of a label under the axis, moved where it would leave the plot.
static double label_x(const struct svg_plot *p, double at, const char *text) {
  double half = 0;
  for (; *text; text++) half += ((unsigned char)*text & 0xc0) == 0x80 ? 0 : p->grid ? 3.5 : 7; // by characters of UTF-8
  return fmin(at, (p->grid ? p->width : WIDTH) - 2 - half);
}

static void draw_axis(struct svg_plot *p, bool vertical) {
  const struct svg_axis *a = vertical ? &p->y : &p->x;
  double value[SVG_MAX_TICKS], step, length = vertical ? p->bottom - p->top : p->right - p->left;
  double gap = p->grid ? (vertical ? PANEL_GAP_Y : PANEL_GAP_X) : vertical ? GAP_Y : GAP_X;
  int count = svg_ticks(a, length, gap, value, &step);
  for (int i = 0; i < count; i++) {
    char text[48];
    svg_tick_text(a, value[i], step, text);
    double at = vertical ? at_y(p, value[i]) : at_x(p, value[i]);
    if (vertical)
      fit__text_add(p->out,
                    "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><path class=\"tick\" d=\"M%.1f %.1fh-5\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
                    p->left, at, p->right, p->left, at, p->left - 8, at, text);
    else
      fit__text_add(p->out,
                    "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><path class=\"tick\" d=\"M%.1f %.1fv5\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" dy=\".95em\" text-anchor=\"middle\">%s</text>\n",
                    at, p->top, p->bottom, at, p->bottom, label_x(p, at, text), p->bottom + 6, text);
  }
  if (vertical)
    fit__text_add(p->out, "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\">", p->grid ? 4.0 : p->left, p->top - 9);
  else
    fit__text_add(p->out, "<text class=\"dim\" x=\"%.1f\" y=\"%.1f\" dy=\"2.4em\" text-anchor=\"middle\">",
                  (p->left + p->right) / 2, p->bottom + 6);
  fit__text_escape(p->out, a->label);
  if (svg_tick_scale(a, step)) {
    char power[48];
    svg_power(pow(10, svg_tick_scale(a, step)), power);
    fit__text_add(p->out, ", in %s", power);
  }
  fit__text_add(p->out, "</text>\n");
}

// Up to two lines, broken at a blank.
static void draw_note(struct svg_plot *p) {
  const char *at = p->note;
  for (int line = 0; line < 2 && *at; line++) {
    size_t size = strlen(at);
    if (size > SVG_NOTE_WIDTH && line == 0) {
      size = SVG_NOTE_WIDTH;
      while (size > 1 && at[size] != ' ') size--;
    }
    char text[160];
    snprintf(text, sizeof text, "%.*s", (int)size, at);
    fit__text_add(p->out, "<text class=\"dim\" x=\"4\" y=\"%d\">", 31 + 15 * line);
    fit__text_escape(p->out, text);
    fit__text_add(p->out, "</text>\n");
    at += size + (at[size] == ' ');
  }
}

static void begin_panel(struct svg_plot *p) {
  struct svg_grid *g = p->grid;
  int i = g->next++;
  p->out = g->out;
  p->width = g->width;
  p->height = g->height;
  fit__text_add(p->out, "<svg class=\"fp panel\" viewBox=\"0 0 %.0f %.0f\"", p->width, p->height);
  if (g->alone)
    fit__text_add(p->out, " x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"",
                  GRID_SPACE + i % g->columns * (g->width + GRID_SPACE),
                  GRID_SPACE + floor((double)i / g->columns) * (g->height + GRID_SPACE), g->width, g->height);
  fit__text_add(p->out, " role=\"img\"><title>");
  fit__text_escape(p->out, p->title);
  fit__text_add(p->out, "</title>\n");
  if (p->heading) {
    fit__text_add(p->out, "<text class=\"head\" x=\"4\" y=\"14\">");
    fit__text_escape(p->out, p->heading);
    fit__text_add(p->out, "</text>\n");
  }
  if (p->note) draw_note(p);
}

static void begin_plot(struct svg_plot *p) {
  p->width = WIDTH + (p->alone && p->legend.count ? LEGEND : 0);
  p->height = HEIGHT;
  if (p->alone) {
    open_file(p->out, p->title, p->width, p->height);
    if (p->legend.count) legend_in_file(p->out, &p->legend, WIDTH + 4, TOP - 9, 0, SVG_LEGEND_ROWS);
    return;
  }
  legend_in_page(p->out, &p->legend);
  fit__text_add(p->out, "<svg class=\"fp plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\"><title>", WIDTH, HEIGHT);
  fit__text_escape(p->out, p->title);
  fit__text_add(p->out, "</title>\n");
}

void svg_begin(struct svg_plot *p) {
  if (p->grid)
    begin_panel(p);
  else
    begin_plot(p);
  p->left = p->grid ? PANEL_LEFT : LEFT;
  p->right = p->grid ? p->width - PANEL_RIGHT : WIDTH - RIGHT;
  p->top = p->grid ? PANEL_TOP + (p->note ? NOTE_LINE * (1 + p->grid->two_lines) : 0) : TOP;
  p->bottom = p->height - (p->grid ? PANEL_BOTTOM : BOTTOM);
  fit__text_add(p->out, "<clipPath id=\"%s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>\n",
                p->id, p->left, p->top, p->right - p->left, p->bottom - p->top);
  draw_axis(p, false);
  draw_axis(p, true);
  fit__text_add(p->out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", p->left,
                p->top, p->right - p->left, p->bottom - p->top);
  fit__text_add(p->out, "<g clip-path=\"url(#%s)\">\n", p->id);
}

void svg_end(struct svg_plot *p) { fit__text_add(p->out, "</g>\n</svg>\n"); }

void svg_grid_begin(struct svg_grid *g) {
  if (!g->alone) {
    legend_in_page(g->out, &g->legend);
    fit__text_add(g->out, "<div class=\"panels%s\">\n", g->columns == 2 ? " two" : "");
    return;
  }
  int rows = (g->count + g->columns - 1) / g->columns;
  double wide = GRID_SPACE + g->columns * (g->width + GRID_SPACE), high = GRID_SPACE + rows * (g->height + GRID_SPACE);
  int across = (int)fmax(1, floor((wide - GRID_SPACE) / 240)), keys = (g->legend.count + across - 1) / across;
  open_file(g->out, g->title, wide, high + (keys ? 30 + 20 * keys : 0));
  if (keys) legend_in_file(g->out, &g->legend, GRID_SPACE, high + 10, (wide - GRID_SPACE) / across, keys);
}

void svg_grid_end(struct svg_grid *g) { fit__text_add(g->out, g->alone ? "</svg>\n" : "</div>\n"); }

// ---- what is drawn -------------------------------------------------------------------------------------------------
static void add_path(struct svg_plot *p, int count, const double *x, const double *y, int colour, const char *class,
                     const char *style) {
  char stroke[4];
  class_of(colour, 's', stroke);
  fit__text_add(p->out, "<path class=\"%s %s%s\" d=\"", class, stroke, style);
  for (int i = 0; i < count; i++) fit__text_add(p->out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(p, x[i]), at_y(p, y[i]));
  fit__text_add(p->out, "\"/>\n");
}

void svg_line(struct svg_plot *p, int count, const double *x, const double *y, int colour, enum svg_mark style) {
  add_path(p, count, x, y, colour, "l", style_of(style));
}

void svg_thin(struct svg_plot *p, int count, const double *x, const double *y, int colour) {
  add_path(p, count, x, y, colour, "t", "");
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

void svg_mark(struct svg_plot *p, double x, double y, int colour, enum svg_mark mark, double radius) {
  draw_mark(p->out, at_x(p, x), at_y(p, y), colour, mark, radius);
  fit__text_add(p->out, "\n");
}

void svg_place(const struct svg_plot *p, double x, double y, double *px, double *py) {
  *px = at_x(p, x);
  *py = at_y(p, y);
}

void svg_text(struct svg_plot *p, double px, double py, const char *text) {
  fit__text_add(p->out, "<text x=\"%.1f\" y=\"%.1f\" dy=\".35em\">", px, py);
  fit__text_escape(p->out, text);
  fit__text_add(p->out, "</text>\n");
}

void svg_leader(struct svg_plot *p, double px, double py, double to_px, double to_py) {
  fit__text_add(p->out, "<path class=\"tick\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", px, py, to_px, to_py);
}
