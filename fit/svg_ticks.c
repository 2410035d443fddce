#include "svg_ticks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double svg_along(const struct svg_axis *a, double value) {
  return a->log ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
}

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
  if (value != 0 && (value < 0.01 || value >= 999.5e12)) {
    char power[48];
    svg_power(value, power);
    snprintf(text, 24, "%.23s", power);
    return;
  }
  static const char *const unit[] = {"", " K", " M", " B", " T"};
  int u = 0;
  while (u < 4 && value >= 999.5) {
    value /= 1000;
    u++;
  }
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

// In units of a power of ten: 1 is left out, other mantissas keep their digits.
static void power_text(double value, const char *mantissa, int exponent, char text[48]) {
  static const char *const super[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  char digits[8];
  if (exponent < -99 || exponent > 99) {
    snprintf(text, 48, "%.2g", value);
    return;
  }
  bool one = !strcmp(mantissa, "1");
  int at = snprintf(text, 48, "%s%s10%s", one ? "" : mantissa, one ? "" : "·", exponent < 0 ? "⁻" : "");
  snprintf(digits, sizeof digits, "%d", exponent < 0 ? -exponent : exponent);
  for (const char *d = digits; *d; d++) at += snprintf(text + at, 48 - (size_t)at, "%s", super[*d - '0']);
}

void svg_power(double value, char text[48]) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.1e", value);
  char *e = strchr(digits, 'e');
  if (!e) { // no number
    snprintf(text, 48, "%s", digits);
    return;
  }
  int exponent = (int)strtol(e + 1, NULL, 10);
  *e = 0;
  if (e - digits > 2 && !strcmp(e - 2, ".0")) e[-2] = 0;
  power_text(value, digits, exponent, text);
}

void svg_tick_text(const struct svg_axis *a, double value, double step, char text[48]) {
  if (a->unit == SVG_COUNT) {
    svg_count(value, text);
  } else if (a->unit == SVG_POWER) {
    svg_power(value, text);
  } else if (step > 0) {
    double scale = pow(10, svg_tick_scale(a, step));
    value /= scale;
    step /= scale;
    int digits = (int)fmax(0, -floor(log10(step) + 1e-9));
    double shifted = step * pow(10, digits); // 2.5 needs one digit more than its power of ten
    snprintf(text, 48, "%.*f", digits + (fabs(shifted - round(shifted)) > 1e-6), value);
  } else {
    snprintf(text, 48, "%g", value);
  }
}

// Adds a tick that is inside; false when it comes nearer than `gap` to the one before.
static bool add(const struct svg_axis *a, double length, double gap, double v, double *value, int *count) {
  double at = svg_along(a, v);
  if (at < -1e-9 || at > 1 + 1e-9) return true;
  if (*count && (at - svg_along(a, value[*count - 1])) * length < gap) return false;
  if (*count == SVG_MAX_TICKS) return false;
  value[(*count)++] = v;
  return true;
}

static int even(const struct svg_axis *a, double length, double gap, double *value, double *step) {
  static const double part[] = {1, 2, 2.5, 5, 10};
  double range = a->high - a->low, power = pow(10, floor(log10(range * gap / length)));
  for (int round = 0; round < 4; round++, power *= 10)
    for (int k = 0; k < 4; k++) {
      int count = 0;
      bool fits = true;
      *step = power * part[k];
      for (double i = ceil(a->low / *step - 1e-9); fits && i * *step <= a->high + 1e-9 * range; i++)
        fits = add(a, length, gap, fabs(i) < 0.5 ? 0 : i * *step, value, &count);
      if (fits) return count;
    }
  return 0;
}

int svg_tick_scale(const struct svg_axis *a, double step) {
  double most = fmax(fabs(a->low), fabs(a->high));
  int exponent = a->unit == SVG_PLAIN && step > 0 && most > 0 ? (int)floor(log10(most)) : 0;
  return exponent < -3 || exponent > 4 ? exponent : 0;
}

int svg_ticks(const struct svg_axis *a, double length, double gap, double value[SVG_MAX_TICKS], double *step) {
  static const struct {
    int count;
    double part[9];
  } set[] = {{9, {1, 2, 3, 4, 5, 6, 7, 8, 9}}, {5, {1, 2, 3, 5, 7}}, {3, {1, 2, 5}}, {2, {1, 3}}};
  int count = 0;
  if (!a->log) return even(a, length, gap, value, step);
  *step = 0;
  int low = (int)floor(log10(a->low)), high = (int)ceil(log10(a->high));
  if (a->high / a->low < 8 && (count = even(a, length, gap, value, step)) >= 3) return count;
  *step = 0;
  for (size_t s = 0; s < sizeof set / sizeof *set; s++) {
    bool fits = true;
    count = 0;
    for (int d = low; fits && d <= high; d++)
      for (int k = 0; fits && k < set[s].count; k++)
        fits = add(a, length, gap, set[s].part[k] * pow(10, d), value, &count);
    if (fits && count >= 2) return count;
  }
  for (int skip = 1; skip < 400; skip++) {
    bool fits = true;
    count = 0;
    for (int d = low; fits && d <= high; d += skip) fits = add(a, length, gap, pow(10, d), value, &count);
    if (fits && count) return count;
  }
  return even(a, length, gap, value, step);
}
