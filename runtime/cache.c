#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void vkd__cache_path(const struct vkd_device_caps *caps, const char *dir, const char *kind, const char *ending,
                     char path[VKD_CACHE_PATH]) {
  char folder[400] = "";
  const char *env = getenv("VKD_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  *path = 0;
  if (dir)
    snprintf(folder, sizeof folder, "%s", dir);
  else if (env)
    snprintf(folder, sizeof folder, "%s", env);
  else if (xdg && *xdg)
    snprintf(folder, sizeof folder, "%s/vkdit", xdg);
  else if (home && *home)
    snprintf(folder, sizeof folder, "%s/.cache/vkdit", home);
  if (!*folder || strlen(folder) >= sizeof folder - 1) return;
  char id[33];
  for (int i = 0; i < 16; i++) snprintf(id + 2 * i, 3, "%02x", caps->uuid[i]);
  snprintf(path, VKD_CACHE_PATH, "%s/%s-%04x-%04x-%x-%s.%s", folder, kind, caps->vendor_id, caps->device_id,
           caps->driver_version, id, ending);
}

void *vkd__cache_read(const char *path, size_t limit, size_t *size) {
  *size = 0;
  FILE *f = *path ? fopen(path, "rb") : NULL;
  if (!f) return NULL;
  void *data = NULL;
  long end;
  if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) > 0 && (size_t)end <= limit && fseek(f, 0, SEEK_SET) == 0 &&
      (data = malloc((size_t)end)) != NULL)
    *size = fread(data, 1, (size_t)end, f);
  fclose(f);
  return data;
}

// mkdir -p of what lies before the last '/'
static bool make_parents(char *path) {
  for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
    *p = 0;
    bool ok = mkdir(path, 0777) == 0 || errno == EEXIST;
    *p = '/';
    if (!ok) return false;
  }
  return true;
}

bool vkd__cache_write(const char *path, const void *data, size_t size) {
  static atomic_uint written; // threads may write at once, each with a device of its own
  char temp[VKD_CACHE_PATH + 48];
  snprintf(temp, sizeof temp, "%s.%ld.%u", path, (long)getpid(), atomic_fetch_add(&written, 1));
  FILE *f = *path && make_parents(temp) ? fopen(temp, "wb") : NULL;
  if (!f) return false;
  bool ok = fwrite(data, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
  if (fclose(f) != 0) ok = false;
  if (ok && rename(temp, path) == 0) return true;
  unlink(temp);
  return false;
}
