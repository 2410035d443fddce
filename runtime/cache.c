#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vkd/bytes.h"
#include "vkd/hash.h"
#include "vkd/log.h"

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

// The first line of a file: bytes and hash of what follows.
enum { SEAL = 14 + 16 + 1 + 16 + 1 };
static void seal_of(const void *content, size_t size, char seal[SEAL + 1]) {
  snprintf(seal, SEAL + 1, "vkdit cache 1 %016" PRIx64 " %016" PRIx64 "\n", (uint64_t)size,
           hash_xxh64(content, size, 0));
}

const char *vkd__cache_open(const void *file, size_t bytes, const void **content, size_t *size) {
  char seal[SEAL + 1];
  if (bytes < SEAL || memcmp(file, "vkdit cache 1 ", 14) != 0) return "it is no file of this version";
  seal_of((const char *)file + SEAL, bytes - SEAL, seal);
  if (memcmp(file, seal, SEAL) != 0) return "it is damaged: its contents are not what its first line tells";
  *content = (const char *)file + SEAL;
  *size = bytes - SEAL;
  return NULL;
}

const char *vkd__cache_check_pipelines(const void *data, size_t size, const struct vkd_device_caps *caps) {
  const uint8_t *p = data;
  if (size < 32 || get_u32(p) < 32 || get_u32(p) > size) return "it holds no header of a driver";
  if (get_u32(p + 4) != 1) return "its header is of another version";
  if (get_u32(p + 8) != caps->vendor_id || get_u32(p + 12) != caps->device_id ||
      memcmp(p + 16, caps->uuid, sizeof caps->uuid) != 0)
    return "it is of another device or driver";
  return NULL;
}

void *vkd__cache_read(const char *path, size_t limit, const void **content, size_t *size) {
  struct stat st;
  char *data = NULL;
  const char *wrong = NULL;
  size_t room, used = 0;
  *content = NULL;
  *size = 0;
  // not blocking, lest a FIFO of that name hangs us
  int fd = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  if (fd < 0) return NULL;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    wrong = "it is no file";
    goto done;
  }
  if ((uintmax_t)st.st_size > limit + SEAL) {
    wrong = "it is larger than any";
    goto done;
  }
  room = (size_t)st.st_size;
  if (!(data = malloc(room + 1))) {
    wrong = "there is no memory for it";
    goto done;
  }
  for (ssize_t n; used < room && (n = read(fd, data + used, room - used)) > 0;) used += (size_t)n;
  wrong = vkd__cache_open(data, used, content, size);
done:
  close(fd);
  if (!wrong) return data;
  vkd_log(VKD_LOG_WARN, "%s is not used: %s", path, wrong);
  free(data);
  return NULL;
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
  char seal[SEAL + 1];
  bool there = *path && make_parents(temp);
  if (there) unlink(temp); // of a process that was killed; or, in a folder that others write, a link that waits for us
  int fd = there ? open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
  FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
  if (!f) {
    if (fd >= 0) close(fd);
    return false;
  }
  seal_of(data, size, seal);
  bool ok =
      fwrite(seal, 1, SEAL, f) == SEAL && fwrite(data, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
  if (fclose(f) != 0) ok = false;
  if (ok && rename(temp, path) == 0) return true;
  unlink(temp);
  return false;
}
