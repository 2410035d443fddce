// Loss scaling: when scales fall and rise, that it makes no difference when outcomes are told, and its state as JSON.
#include "vkdm/loss_scale.h"

#include "check.h"

enum { STEPS = 9000 };

// Overflows of a gradient that fits below a scale of 40000 at first, of 150000 later, and never at some steps.
static bool overflows(int64_t step, double scale) { return scale > (step < 3000 ? 40000 : 150000) || step % 2311 == 0; }

// Scales of a run whose outcomes are told `lag` steps late, and at every `flush`-th step at once.
static struct loss_scale run(int lag, int flush, double *scales) {
  struct loss_scale s = {.scale = LOSS_SCALE_START};
  int64_t told = 0;
  for (int64_t step = 1; step <= STEPS; step++) {
    for (; told < step - lag; told++) loss_scale_end(&s, told + 1, overflows(told + 1, scales[told + 1]));
    scales[step] = loss_scale_begin(&s, step);
    for (; step % flush == 0 && told < step; told++)
      loss_scale_end(&s, told + 1, overflows(told + 1, scales[told + 1]));
  }
  for (; told < STEPS; told++) loss_scale_end(&s, told + 1, overflows(told + 1, scales[told + 1]));
  return s;
}

static void timing(void) {
  static double late[STEPS + 1], early[STEPS + 1], mixed[STEPS + 1];
  struct loss_scale a = run(2, STEPS + 1, late), b = run(1, 1, early), c = run(2, 7, mixed);
  int differ = 0, skipped = 0;
  for (int64_t step = 1; step <= STEPS; step++) {
    differ += late[step] != early[step] || late[step] != mixed[step];
    if (step <= STEPS - 2) skipped += overflows(step, late[step]);
  }
  CHECK(differ == 0, "%d scales hang on when outcomes are told", differ);
  CHECK(a.scale == b.scale && a.scale == c.scale && a.good == b.good && a.good == c.good, "the last states differ");
  CHECK(a.skipped == skipped && b.skipped == skipped, "%lld skipped, not %d", (long long)a.skipped, skipped);
  // two overflows before the first is known halve once
  CHECK(late[1] == 65536 && late[2] == 65536 && late[3] == 32768, "%g %g %g", late[1], late[2], late[3]);
  // step 2002 was the 2000th finite one of its scale; the next scale overflows twice
  CHECK(late[2003] == 32768 && late[2004] == 65536 && late[2005] == 65536 && late[2006] == 32768, "%g %g %g %g",
        late[2003], late[2004], late[2005], late[2006]);
  CHECK(late[2312] == 32768 && late[2313] == 16384, "%g %g", late[2312], late[2313]);
  double top = 0;
  for (int64_t step = 3000; step <= STEPS; step++) top = fmax(top, late[step]);
  CHECK(top >= 32768 && top <= 131072 * 2, "the largest scale is %g", top);
}

static void patience(void) {
  struct loss_scale s = {.scale = LOSS_SCALE_START};
  int64_t step = 0;
  while (s.scale == LOSS_SCALE_START && step < 10000) loss_scale_begin(&s, ++step);
  CHECK(step == LOSS_SCALE_PATIENCE + 2 && s.scale == 2 * LOSS_SCALE_START, "%g at step %lld", s.scale,
        (long long)step);
  for (; step < 100000; step++) loss_scale_begin(&s, step + 1);
  CHECK(s.scale == LOSS_SCALE_MOST, "it ends at %g", s.scale);
  CHECK(loss_scale_is_lost(1) && loss_scale_is_lost(0.5) && !loss_scale_is_lost(2), "lost below 2");
}

static void refused(const char *text, const char *why) {
  struct vkd_error err = {0};
  struct loss_scale s;
  json_t *o = json_loads(text, 0, NULL);
  CHECK(o && loss_scale_from_json(o, &s, &err) == VKD_ERR_INPUT, "%s is taken", why);
  json_decref(o);
}

static void json(void) {
  struct loss_scale s = {.scale = 16384, .good = 77, .skipped = 3, .recent = {{32768, true}, {16384, false}}},
                    back = {0};
  struct vkd_error err = {0};
  json_t *o = loss_scale_to_json(&s);
  CHECK(loss_scale_from_json(o, &back, &err) == VKD_OK, "%s", err.what);
  CHECK(back.scale == s.scale && back.good == s.good && back.skipped == s.skipped, "numbers differ");
  for (int i = 0; i < 2; i++)
    CHECK(back.recent[i].scale == s.recent[i].scale && back.recent[i].overflow == s.recent[i].overflow, "recent %d", i);
  json_decref(o);
#define RECENT "\"recent\": [{\"scale\": 0.0, \"overflow\": false}, {\"scale\": 2.0, \"overflow\": true}]"
  refused("[]", "a list");
  refused("{\"scale\": 2.0, \"good\": 1, \"skipped\": 0}", "no recent steps");
  refused("{\"scale\": 3.0, \"good\": 1, \"skipped\": 0, " RECENT "}", "a scale that is no power of two");
  refused("{\"scale\": 1e300, \"good\": 1, \"skipped\": 0, " RECENT "}", "a large scale");
  refused("{\"scale\": 0.0, \"good\": 1, \"skipped\": 0, " RECENT "}", "no scale");
  refused("{\"scale\": 2.0, \"good\": 2000, \"skipped\": 0, " RECENT "}", "too many good steps");
  refused("{\"scale\": 2.0, \"good\": 1, \"skipped\": -1, " RECENT "}", "a negative count");
#undef RECENT
}

int main(void) {
  timing();
  patience();
  json();
  return check_done();
}
