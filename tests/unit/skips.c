// When a run of steps without finite numbers ends it: what a lower loss scale may mend does not count.
#include <math.h>

#include "../../model/skips.h"
#include "check.h"

static bool note(struct skips *s, double loss, double norm, double scale) {
  static int64_t step;
  return skips_note(s, &(struct step_result){.step = ++step, .loss = loss, .grad_norm = norm, .loss_scale = scale});
}

int main(void) {
  struct skips s = {.most = 2};
  CHECK(!note(&s, 1, 1, 0) && !note(&s, NAN, NAN, 0) && s.in_row == 1 && s.first == 2, "the first one");
  CHECK(!note(&s, 1, 1, 0) && s.in_row == 0 && s.total == 1, "a good step ends the row");
  CHECK(!note(&s, 1, INFINITY, 0) && note(&s, INFINITY, 1, 0) && s.first == 4 && s.total == 3, "two in a row");
  s = (struct skips){.most = 2};
  for (int i = 0; i < 30; i++) CHECK(!note(&s, 1, INFINITY, 65536), "a scaled gradient alone ends the run");
  CHECK(s.total == 30 && s.in_row == 0, "%lld of %lld", (long long)s.in_row, (long long)s.total);
  CHECK(!note(&s, NAN, NAN, 65536) && !note(&s, 1, INFINITY, 2) && note(&s, 1, INFINITY, 1),
        "a loss; no scale is left");
  return check_done();
}
