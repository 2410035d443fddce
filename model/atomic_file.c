#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void release(struct atomic_file *f) {
  free(f->path);
  free(f->temp);
  memset(f, 0, sizeof *f);
}

enum vkd_status atomic_file_create(struct atomic_file *f, const char *path, struct vkd_error *err) {
  memset(f, 0, sizeof *f);
  const size_t room = strlen(path) + 8;
  f->path = strdup(path);
  f->temp = malloc(room);
  if (!f->path || !f->temp) {
    release(f);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to write it", path);
  }
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    release(f);
    return vkd_fail(err, VKD_ERR_INPUT, "%s: is a folder; name a file", path);
  }
  snprintf(f->temp, room, "%s.XXXXXX", path);
  f->fd = mkstemp(f->temp);
  if (f->fd < 0) {
    int code = errno;
    release(f);
    return vkd_fail(err, VKD_ERR_INPUT, "%s: cannot be written: %s", path, strerror(code));
  }
  fcntl(f->fd, F_SETFD, FD_CLOEXEC);
  return VKD_OK;
}

enum vkd_status atomic_file_write_at(struct atomic_file *f, uint64_t offset, const void *data, size_t size,
                                     struct vkd_error *err) {
  const char *p = data;
  while (size) {
    ssize_t n = pwrite(f->fd, p, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      return vkd_fail(err, VKD_ERR_IO, "%s: writing failed after %llu bytes: %s", f->path, (unsigned long long)offset,
                      n < 0 ? strerror(errno) : "no progress");
    p += n, offset += (uint64_t)n, size -= (size_t)n;
  }
  return VKD_OK;
}

enum vkd_status atomic_file_append(struct atomic_file *f, const void *data, size_t size, struct vkd_error *err) {
  enum vkd_status status = atomic_file_write_at(f, f->size, data, size, err);
  if (status == VKD_OK) f->size += size;
  return status;
}

// Without this a rename may be lost in a power cut.  Some file systems refuse it, so its failure is no error.
static void sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash) *slash = 0;
  int fd = open(slash ? (slash == path ? "/" : path) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

enum vkd_status atomic_file_commit(struct atomic_file *f, struct vkd_error *err) {
  mode_t mask = umask(0); // mkstemp made it 0600; give it what open() would have
  umask(mask);
  int failed = fchmod(f->fd, 0666 & ~mask) || fsync(f->fd);
  failed = close(f->fd) || failed;
  f->fd = -1;
  if (failed || rename(f->temp, f->path)) {
    int code = errno;
    vkd_fail(err, VKD_ERR_IO, "%s: cannot be put in place: %s", f->path, strerror(code));
    atomic_file_abort(f);
    return VKD_ERR_IO;
  }
  sync_folder(f->path);
  release(f);
  return VKD_OK;
}

void atomic_file_abort(struct atomic_file *f) {
  if (!f->path) return;
  if (f->fd >= 0) close(f->fd);
  unlink(f->temp);
  release(f);
}

enum vkd_status atomic_file_write_all(const char *path, const void *data, size_t size, struct vkd_error *err) {
  struct atomic_file f;
  enum vkd_status status = atomic_file_create(&f, path, err);
  if (status != VKD_OK) return status;
  status = atomic_file_append(&f, data, size, err);
  if (status == VKD_OK) return atomic_file_commit(&f, err);
  atomic_file_abort(&f);
  return status;
}
