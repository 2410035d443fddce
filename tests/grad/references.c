// Float64 backward of every op against central differences; every row of the op table has a case.
#include "check.h"
#include "vkd/selftest.h"

static void report(void *user, const struct vkd_selftest_result *r) {
  (void)user;
  CHECK(r->pass, "%s/%s: %s", r->op, r->name, r->what);
}

int main(void) {
  struct vkd_error err = {0};
  uint32_t failed;
  enum vkd_status st = vkd_selftest_gradients(NULL, report, NULL, &failed, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  return check_done();
}
