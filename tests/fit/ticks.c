// Ticks of random axes: inside, in order, apart, at least two where there is room, and written so that neighbours
// differ; counts and powers of ten in words.
#include "../../fit/svg_ticks.h"

#include <math.h>
#include <string.h>

#include "check.h"
#include "synthetic.h"

static void check_axis(const struct svg_axis *a, double length, double gap) {
  double value[SVG_MAX_TICKS], step;
  char text[48], before[48] = "";
  int count = svg_ticks(a, length, gap, value, &step);
  CHECK(count >= (a->log && a->high / a->low > 8 && a->high / a->low < 20 ? 1 : 2) && count <= SVG_MAX_TICKS,
        "%d ticks over %.17g to %.17g", count, a->low, a->high);
  for (int i = 0; i < count; i++) {
    double at = svg_along(a, value[i]);
    CHECK(at >= -1e-6 && at <= 1 + 1e-6, "tick %.17g outside %.17g to %.17g", value[i], a->low, a->high);
    if (i)
      CHECK((at - svg_along(a, value[i - 1])) * length >= gap - 1e-6, "ticks %g and %g meet over %.17g to %.17g",
            value[i - 1], value[i], a->low, a->high);
    svg_tick_text(a, value[i], step, text);
    CHECK(*text && strlen(text) < 20 && !strstr(text, "nan") && !strstr(text, "inf"), "'%s'", text);
    CHECK(strcmp(text, before) != 0, "two ticks named '%s' over %.17g to %.17g", text, a->low, a->high);
    strcpy(before, text);
  }
}

static void check_text(double value, const char *count, const char *power) {
  char text[48];
  svg_count(value, text);
  CHECK(!strcmp(text, count), "%g as a count: '%s', not '%s'", value, text, count);
  svg_power(value, text);
  CHECK(!strcmp(text, power), "%g as a power: '%s', not '%s'", value, text, power);
}

int main(void) {
  struct prng prng = {20260101};
  for (int i = 0; i < 4000; i++) {
    struct svg_axis log_axis = {.log = true, .unit = (enum svg_unit)(i % 3)}, plain = {0};
    double low = pow(10, 40 * prng_uniform(&prng) - 20), middle = 20 * prng_uniform(&prng) - 10;
    // wide enough that three digits tell neighbours apart
    svg_axis_fit(&log_axis, low, low * pow(10, 0.2 + (i % 7) * prng_uniform(&prng)));
    if (i % 3 == SVG_PLAIN)
      check_axis(&log_axis, 600, 40);
    else if (log_axis.high / log_axis.low > 20)
      check_axis(&log_axis, 600, 92);
    svg_axis_fit(&plain, middle, middle + pow(10, 6 * prng_uniform(&prng) - 3));
    check_axis(&plain, 300, 34);
  }
  check_text(1, "1", "10⁰");
  check_text(17.04e6, "17 M", "1.7·10⁷");
  check_text(1.07e9, "1.07 B", "1.1·10⁹");
  check_text(999.7e9, "1 T", "10¹²");
  check_text(2e20, "2·10²⁰", "2·10²⁰");
  check_text(9.96e-5, "10⁻⁴", "10⁻⁴");
  check_text(5e-4, "5·10⁻⁴", "5·10⁻⁴");
  check_text(0.25, "0.25", "2.5·10⁻¹");
  return check_done();
}
