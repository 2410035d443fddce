// A law that is read has parameters that planning can use.
#include <math.h>
#include <string.h>

#include "../../../tools/law_json.h"
#include "targets.h"

bool target_law(const uint8_t *data, size_t size) {
  static struct law_file law;
  struct vkd_error err = {0};
  struct fit_error bad;
  const char *path = target_write("law.json", data, size);
  enum vkd_status st = law_json_read(path, &law, &err);
  if (st != VKD_OK) {
    target_refused(st, &err, path, true);
    return false;
  }
  HOLDS(fit_joint_check(law.params, &bad) == FIT_OK, "%s", bad.what);
  HOLDS(law.sample_count >= 0 && law.sample_count <= LAW_MAX_SAMPLE, "%d laws", law.sample_count);
  for (int t = 0; t < FIT_HYPER_TARGETS; t++)
    HOLDS(law.plan.hyper_count[t] >= 0 && law.plan.hyper_count[t] <= LAW_MAX_HYPER_SAMPLE, "%d laws",
          law.plan.hyper_count[t]);
  for (int i = 0; i < law.sample_count; i++)
    for (int j = 0; j < FIT_JOINT_PARAMS; j++)
      HOLDS(law.sample[i][j] >= 0 && law.sample[i][j] < INFINITY, "sample %d: %g", i, law.sample[i][j]);
  return true;
}
