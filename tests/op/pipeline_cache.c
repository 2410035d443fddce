// The pipeline cache in use: a file that is damaged, truncated, foreign or oversized is not given to the driver, which
// runs all the same, and leaves a sound file.
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "damage.h"
#include "device.h"
#include "device_internal.h"
#include "temp.h"
#include "vkd/exec.h"
#include "vkd/log.h"
#include "vkd/ops.h"

static char folder[TEMP_SIZE], path[VKD_CACHE_PATH], warning[1024];

static void keep_warning(void *user, enum vkd_log_level level, const char *message) {
  (void)user;
  if (level == VKD_LOG_WARN) snprintf(warning, sizeof warning, "%s", message);
}

// Makes a pipeline, so that there is something to keep.
static void use(struct vkd_device *dev) {
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_output(g, vkd_gelu(g, vkd_input(g, "x", VKD_F32, VKD_SHAPE(64))));
  CHECK(vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err) == VKD_OK, "%s",
        err.what);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
}

// The device once more on the file as it is; why: what the warning says, NULL: none.
static void reopen(const char *why) {
  struct vkd_error err = {0};
  struct vkd_device *dev = NULL;
  const void *content;
  size_t size;
  *warning = 0;
  CHECK(vkd_device_create(&dev, &(struct vkd_device_params){.cache_dir = folder}, &err) == VKD_OK, "%s", err.what);
  CHECK(why ? strstr(warning, why) != NULL : !*warning, "not '%s': %s", why ? why : "", warning);
  if (!dev) return;
  use(dev);
  struct vkd_device_caps caps = *vkd_device_get_caps(dev);
  memcpy(path, dev->cache_path, sizeof path);
  vkd_device_destroy(&dev);
  *warning = 0;
  void *file = vkd__cache_read(path, 1 << 26, &content, &size);
  CHECK(file && !vkd__cache_check_pipelines(content, size, &caps), "the file left is not sound: %s", warning);
  free(file);
}

static void remove_folder(void) {
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));)
    if (e->d_name[0] != '.') CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0, "%s stays", e->d_name);
  if (d) closedir(d);
  CHECK(rmdir(folder) == 0, "%s stays", folder);
}

int main(void) {
  temp_folder(folder);
  CHECK(setenv("VKD_CACHE_DIR", folder, 1) == 0, "no environment");
  struct vkd_device *first = device_or_skip(false);
  vkd_device_destroy(&first);
  vkd_log_set(keep_warning, NULL);
  reopen(NULL);
  reopen(NULL);
  char data[4096], bad[4096];
  FILE *f = fopen(path, "rb");
  size_t size = f ? fread(data, 1, sizeof data, f) : 0; // or its beginning
  if (f) fclose(f);
  CHECK(size >= 48 + 32, "%zu bytes", size);
  static const size_t cuts[] = {0, 1, 47, 48, 60, 79};
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    damage_write(path, data, cuts[i]);
    reopen("is not used: ");
  }
  for (int i = 0; i < 6; i++) {
    memcpy(bad, data, size);
    damage_byte(&bad[rng() % size]);
    if (memcmp(bad, data, size) == 0) continue;
    damage_write(path, bad, size);
    reopen("is not used: ");
  }
  damage_write(path, data + 48, size - 48); // as the driver gave it, without the first line
  reopen("it is no file of this version");
  memcpy(bad, data + 48, 32);
  bad[16] = (char)(bad[16] + 1); // a whole file of another driver
  CHECK(vkd__cache_write(path, bad, 32), "not written");
  reopen("it is of another device or driver");
  CHECK(truncate(path, (off_t)1 << 36) == 0, "no large file");
  reopen("it is larger than any");
  remove_folder();
  return check_done();
}
