#include "curve.h"

void curve_add(struct curve *c, double x, double y) {
  if (!c->each) c->each = 1;
  if (c->count == CURVE_POINTS) {
    for (int i = 0; i < CURVE_POINTS / 2; i++) {
      c->x[i] = (c->x[2 * i] + c->x[2 * i + 1]) / 2;
      c->y[i] = (c->y[2 * i] + c->y[2 * i + 1]) / 2;
    }
    c->count /= 2;
    c->each *= 2;
  }
  c->x_sum += x;
  c->y_sum += y;
  if (++c->filling < c->each) return;
  c->x[c->count] = c->x_sum / c->each;
  c->y[c->count++] = c->y_sum / c->each;
  c->x_sum = c->y_sum = c->filling = 0;
}

json_t *curve_json(const struct curve *c, int most) {
  json_t *x = json_array(), *y = json_array();
  int each = (c->count + most - 1) / most;
  for (int i = 0; i < c->count; i += each) {
    int n = c->count - i < each ? c->count - i : each;
    double x_sum = 0, y_sum = 0;
    for (int k = i; k < i + n; k++) {
      x_sum += c->x[k];
      y_sum += c->y[k];
    }
    json_array_append_new(x, json_real(x_sum / n));
    json_array_append_new(y, json_real(y_sum / n));
  }
  if (c->filling) {
    json_array_append_new(x, json_real(c->x_sum / c->filling));
    json_array_append_new(y, json_real(c->y_sum / c->filling));
  }
  return json_pack("[o,o]", x, y);
}
