// A configuration, and as a second part "section.key=value" from the command line.  What is accepted passes its own
// checks again, and comes back the same when it is written and read.
#include <string.h>

#include "targets.h"
#include "vkdm/config.h"

bool target_config(const uint8_t *data, size_t size) {
  struct target_part parts[TARGET_PARTS];
  struct config config, again;
  struct vkd_error err = {0};
  target_split(data, size, parts);
  char *override = parts[1].data ? strndup((const char *)parts[1].data, parts[1].size) : NULL;
  const char *overrides[] = {override};
  enum vkd_status st = config_from_string("c.yaml", (const char *)parts[0].data, parts[0].size, overrides,
                                          override != NULL, &config, &err);
  free(override);
  if (st != VKD_OK) {
    target_refused(st, &err, parts[1].data ? "" : "c.yaml", true);
    return false;
  }
  HOLDS(!config_check(&config, &err), "%s", err.what);
  char *written = config_to_string(&config);
  HOLDS(written, "no memory");
  HOLDS(!config_from_string("again", written, strlen(written), NULL, 0, &again, &err), "%s", err.what);
  HOLDS(memcmp(&config, &again, sizeof config) == 0, "the round trip differs: %s", written);
  free(written);
  return true;
}
