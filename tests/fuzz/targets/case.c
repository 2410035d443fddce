// What a case says is within the bounds that the rest relies on.
#include "../../../model/verify_case.h"
#include "targets.h"

bool target_case(const uint8_t *data, size_t size) {
  struct vkd_error err = {0};
  struct verify_case c;
  double sums[3];
  const char *path = target_write("case.json", data, size);
  enum vkd_status st = verify_case_read(&c, path, &err);
  if (st != VKD_OK) {
    target_refused(st, &err, path, true);
    return false;
  }
  HOLDS(dit_config_check(&c.model, NULL) == VKD_OK && c.batch >= 1 && c.solver_count <= VERIFY_SOLVERS,
        "a case out of bounds");
  for (int i = 0; i < c.solver_count; i++)
    HOLDS(c.solvers[i].steps >= 1 && c.solvers[i].steps <= VERIFY_SOLVER_STEPS, "a sampler out of bounds");
  HOLDS(c.tol_loss <= 1e-3 && c.tol_adamw <= 1e-3 && c.tol_checks <= 1e-2, "tolerances that pass everything");
  st = verify_case_checks(&c, "ema3", "head.modulation", sums, &err);
  HOLDS(st == VKD_OK || st == VKD_ERR_INPUT, "%s", err.what);
  verify_case_free(&c);
  return true;
}
