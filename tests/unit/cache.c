// Files of the cache folder: read as written, or not at all; and which pipelines a driver is given.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "check.h"
#include "damage.h"
#include "temp.h"
#include "vkd/bytes.h"
#include "vkd/log.h"

static char path[TEMP_SIZE + 32], warning[1024];

static void keep_warning(void *user, enum vkd_log_level level, const char *message) {
  (void)user;
  if (level == VKD_LOG_WARN) snprintf(warning, sizeof warning, "%s", message);
}

// Whether the file is taken; *size of what it holds.
static bool taken(size_t limit, size_t *size) {
  const void *content;
  *warning = 0;
  void *file = vkd__cache_read(path, limit, &content, size);
  bool good = file != NULL;
  CHECK(good == !*warning || access(path, F_OK) != 0, "taken %d, and a warning: %s", good, warning);
  free(file);
  return good;
}

static size_t read_file(char *data, size_t room) {
  FILE *f = fopen(path, "rb");
  size_t size = f ? fread(data, 1, room, f) : 0;
  if (f) fclose(f);
  return size;
}

static void test_files(const char *folder) {
  static const char sizes[] = {0, 1, 31, 32, 33, 100};
  char content[100], data[256], bad[256];
  size_t size;
  for (size_t i = 0; i < sizeof content; i++) content[i] = (char)rng();
  snprintf(path, sizeof path, "%s/made/file.bin", folder);
  CHECK(!taken(100, &size) && !*warning, "no file, and yet %s", warning);
  for (size_t k = 0; k < sizeof sizes; k++) {
    size_t n = (size_t)sizes[k];
    CHECK(vkd__cache_write(path, content, n) && taken(100, &size) && size == n, "%zu bytes: %zu", n, size);
    size_t whole = read_file(data, sizeof data);
    CHECK(whole > n, "%zu bytes in a file of %zu", n, whole);
    for (size_t cut = 0; cut < whole; cut++) { // truncated
      damage_write(path, data, cut);
      CHECK(!taken(100, &size), "cut to %zu bytes", cut);
    }
    for (size_t bit = k; bit < 8 * whole; bit += 7) { // damaged
      memcpy(bad, data, whole);
      bad[bit / 8] = (char)(bad[bit / 8] ^ 1 << bit % 8);
      damage_write(path, bad, whole);
      CHECK(!taken(100, &size), "bit %zu", bit);
    }
    memcpy(bad, data, whole);
    bad[whole] = 0;
    damage_write(path, bad, whole + 1); // longer than it says
    CHECK(!taken(110, &size), "a byte more");
  }
  damage_write(path, content, sizeof content); // as earlier versions wrote it
  CHECK(!taken(100, &size) && strstr(warning, "no file of this version"), "%s", warning);
  CHECK(vkd__cache_write(path, content, 100) && !taken(99, &size) && strstr(warning, "larger than any"), "%s", warning);
  CHECK(truncate(path, (off_t)1 << 40) == 0 && !taken(100, &size) && strstr(warning, "larger than any"), "%s", warning);
  CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0 && !taken(100, &size) && strstr(warning, "no file"), "%s",
        warning);
  CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0 && !taken(100, &size), "a folder");
  CHECK(!vkd__cache_write(path, content, 1) && rmdir(path) == 0, "written over a folder");
}

// A link that waits where the temporary file will be is not followed.
static void test_link(const char *folder) {
  char link[TEMP_SIZE + 80], elsewhere[TEMP_SIZE + 32];
  struct stat st;
  size_t size;
  snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
  damage_write(elsewhere, "kept", 4);
  for (int i = 0; i < 2000; i++) { // the number that the next one takes
    snprintf(link, sizeof link, "%s.%ld.%d", path, (long)getpid(), i);
    CHECK(symlink(elsewhere, link) == 0, "%s", link);
  }
  CHECK(vkd__cache_write(path, "content", 7) && taken(100, &size) && size == 7, "not written");
  CHECK(stat(elsewhere, &st) == 0 && st.st_size == 4, "a link was followed");
  for (int i = 0; i < 2000; i++) {
    snprintf(link, sizeof link, "%s.%ld.%d", path, (long)getpid(), i);
    unlink(link);
  }
  CHECK(unlink(path) == 0 && unlink(elsewhere) == 0, "files stay");
}

static void test_pipelines(void) {
  struct vkd_device_caps caps = {.vendor_id = 0x1002, .device_id = 0x73bf, .uuid = "sixteen letters"}, other = caps;
  uint8_t data[64] = {0};
  put_u32(data, 32);
  put_u32(data + 4, 1);
  put_u32(data + 8, caps.vendor_id);
  put_u32(data + 12, caps.device_id);
  memcpy(data + 16, caps.uuid, 16);
  CHECK(!vkd__cache_check_pipelines(data, 64, &caps) && !vkd__cache_check_pipelines(data, 32, &caps), "sound");
  for (size_t n = 0; n < 32; n++) CHECK(vkd__cache_check_pipelines(data, n, &caps), "%zu bytes of a header", n);
  for (size_t i = 4; i < 32; i++) {
    data[i] ^= 1;
    CHECK(vkd__cache_check_pipelines(data, 64, &caps), "byte %zu", i);
    data[i] ^= 1;
  }
  static const uint32_t lengths[] = {0, 31, 65, UINT32_MAX};
  for (int i = 0; i < 4; i++) {
    put_u32(data, lengths[i]);
    CHECK(vkd__cache_check_pipelines(data, 64, &caps), "a header of %u bytes", lengths[i]);
  }
  put_u32(data, 32);
  other.uuid[15] = 'x';
  CHECK(vkd__cache_check_pipelines(data, 64, &other), "another driver's");
  other = caps;
  other.device_id++;
  CHECK(vkd__cache_check_pipelines(data, 64, &other), "another device's");
}

int main(void) {
  char folder[TEMP_SIZE], made[TEMP_SIZE + 8];
  temp_folder(folder);
  snprintf(made, sizeof made, "%s/made", folder);
  vkd_log_set(keep_warning, NULL);
  test_files(folder);
  test_link(folder);
  test_pipelines();
  CHECK(rmdir(made) == 0 && rmdir(folder) == 0, "files stay in %s", folder);
  return check_done();
}
