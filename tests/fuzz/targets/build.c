// Latents, and as further parts texts and labels: what is built is a data set that verifies.
#include <string.h>

#include "targets.h"
#include "vkdm/data.h"
#include "vkdm/data_build.h"

static const char *write_part(const char *name, const struct target_part *part) {
  uint8_t *mended = target_mend_safetensors(part->data, part->size);
  const char *path = target_write(name, mended ? mended : part->data, part->size);
  free(mended);
  return path;
}

bool target_build(const uint8_t *data, size_t size) {
  struct target_part parts[TARGET_PARTS];
  struct vkd_error err = {0};
  struct dataset *d = NULL;
  target_split(data, size, parts);
  const char *source = write_part("latents.safetensors", &parts[0]), *output = target_write("b.vkd", NULL, 0);
  const struct data_build_params p = {
      .sources = &source,
      .source_count = 1,
      .output = output,
      .text = parts[1].data && parts[1].size ? write_part("text.safetensors", &parts[1]) : NULL,
      .labels = parts[2].data ? target_write("build.csv", parts[2].data, parts[2].size) : NULL,
      .level = 1};
  enum vkd_status st = data_build(&p, &err);
  if (st != VKD_OK) {
    target_refused(st, &err, "", true);
    return false;
  }
  HOLDS(dataset_open(output, &d, &err) == VKD_OK && dataset_verify(d, &err) == VKD_OK, "%s", err.what);
  dataset_close(&d);
  return true;
}
