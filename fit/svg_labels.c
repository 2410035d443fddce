#include "svg_labels.h"

#include <math.h>
#include <string.h>

// Of the plots' font: more than a character of it is wide on average, and a line high.
#define CHARACTER 7.6
#define LINE 14.0
#define SPACE 3.0

static bool meets(const struct svg_box *a, const struct svg_box *b) {
  return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

static bool is_free(const struct svg_labels *l, const struct svg_box *b) {
  const struct svg_plot *p = l->plot;
  if (b->left < p->left + SPACE || b->right > p->right - SPACE || b->top < p->top + SPACE ||
      b->bottom > p->bottom - SPACE)
    return false;
  for (int i = 0; i < l->count; i++)
    if (meets(b, &l->box[i])) return false;
  return true;
}

static void keep(struct svg_labels *l, struct svg_box box) {
  if (l->count < SVG_MAX_BOXES) l->box[l->count++] = box;
}

void svg_labels_mark(struct svg_labels *l, double x, double y, double radius) {
  double px, py;
  svg_place(l->plot, x, y, &px, &py);
  keep(l, (struct svg_box){px - radius, px + radius, py - radius, py + radius});
}

bool svg_labels_add(struct svg_labels *l, double x, double y, double radius, const char *text) {
  static const double away[] = {0, 14, 28, 44, 62, 84};
  static const double direction[][2] = {{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {.8, -.8}, {.8, .8}, {-.8, -.8}, {-.8, .8}};
  double px, py, wide = CHARACTER * (double)strlen(text);
  if (l->count == SVG_MAX_BOXES) return false;
  svg_place(l->plot, x, y, &px, &py);
  for (size_t a = 0; a < sizeof away / sizeof *away; a++)
    for (size_t d = 0; d < sizeof direction / sizeof *direction; d++) {
      double off = radius + SPACE + away[a], dx = direction[d][0], dy = direction[d][1];
      double left = px + off * dx - (dx < 0 ? wide : dx == 0 ? wide / 2 : 0), middle = py + (off + LINE / 2) * dy;
      struct svg_box box = {left, left + wide, middle - LINE / 2, middle + LINE / 2};
      if (!is_free(l, &box)) continue;
      if (away[a] > 0) svg_leader(l->plot, px + radius * dx, py + radius * dy, px + off * dx, middle - LINE / 2 * dy);
      svg_text(l->plot, left, middle, text);
      keep(l, box);
      return true;
    }
  return false;
}
