#include "vkdm/fileio.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vkd/log.h"

static atomic_uint temp_counter;

// What the user can mend (a wrong path, a right that is missing) is bad input; a full or broken disk is not.
enum vkd_status fileio_fail(const char *doing, const char *path, struct vkd_error *err) {
  int code = errno;
  bool input = code == ENOENT || code == ENOTDIR || code == EISDIR || code == EACCES || code == ENAMETOOLONG ||
               code == ELOOP || code == EROFS || code == EPERM || code == EEXIST;
  return vkd_fail(err, input ? VKD_ERR_INPUT : VKD_ERR_IO, "%s: cannot %s: %s", path, doing, strerror(code));
}

// The folder that holds `path`, malloc'd.
static char *parent_of(const char *path) {
  const char *slash = strrchr(path, '/'); // NOLINT(clang-analyzer-core.NonNullParamChecker): begun before
  if (!slash) return strdup(".");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

enum vkd_status fileio_begin(struct fileio *f, const char *path, struct vkd_error *err) {
  *f = (struct fileio){0};
  struct stat st;
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: is a %s; name a file to write", path,
                    S_ISDIR(st.st_mode) ? "folder" : "device or pipe");
  size_t room = strlen(path) + 48;
  f->path = strdup(path);
  f->temp = malloc(room);
  if (!f->path || !f->temp) {
    fileio_abort(f);
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  }
  // Not mkstemp(): it would give the final file the mode 0600 whatever the umask.
  int fd = -1;
  for (int attempt = 0; fd < 0 && attempt < 100; attempt++) {
    snprintf(f->temp, room, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&temp_counter, 1));
    fd = open(f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) break;
  }
  if (fd >= 0) f->stream = fdopen(fd, "w+b");
  if (f->stream) return VKD_OK;
  enum vkd_status status = fileio_fail("create it", path, err);
  if (fd >= 0) {
    close(fd);
    unlink(f->temp);
  }
  free(f->temp);
  f->temp = NULL;
  fileio_abort(f);
  return status;
}

enum vkd_status fileio_write(struct fileio *f, const void *data, size_t size, struct vkd_error *err) {
  if (size && fwrite(data, 1, size, f->stream) != size) return fileio_fail("write it", f->path, err);
  f->size += size;
  return VKD_OK;
}

enum vkd_status fileio_write_at(struct fileio *f, uint64_t offset, const void *data, size_t size,
                                struct vkd_error *err) {
  if (offset > f->size || size > f->size - offset)
    return vkd_fail(err, VKD_ERR_INTERNAL, "%s: %zu bytes at %llu lie beyond the %llu written", f->path, size,
                    (unsigned long long)offset, (unsigned long long)f->size);
  if (fseeko(f->stream, (off_t)offset, SEEK_SET) || (size && fwrite(data, 1, size, f->stream) != size) ||
      fseeko(f->stream, 0, SEEK_END))
    return fileio_fail("write it", f->path, err);
  return VKD_OK;
}

enum vkd_status fileio_commit(struct fileio *f, struct vkd_error *err) {
  char *folder = parent_of(f->path);
  enum vkd_status status = VKD_OK;
  if (!folder)
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", f->path);
  else if (fflush(f->stream) || ferror(f->stream) || fsync(fileno(f->stream)))
    status = fileio_fail("write it", f->path, err);
  if (!status) {
    int closed = fclose(f->stream);
    f->stream = NULL;
    if (closed || rename(f->temp, f->path)) status = fileio_fail("write it", f->path, err);
  }
  if (!status) {
    free(f->temp);
    f->temp = NULL;
    status = fileio_sync_dir(folder, err);
  }
  free(folder);
  fileio_abort(f);
  return status;
}

void fileio_abort(struct fileio *f) {
  if (f->stream) fclose(f->stream);
  if (f->temp) unlink(f->temp);
  free(f->temp);
  free(f->path);
  *f = (struct fileio){0};
}

enum vkd_status fileio_write_whole(const char *path, const void *data, size_t size, struct vkd_error *err) {
  struct fileio f = {0};
  enum vkd_status status = fileio_begin(&f, path, err);
  if (!status) status = fileio_write(&f, data, size, err);
  if (!status) status = fileio_commit(&f, err);
  fileio_abort(&f);
  return status;
}

enum vkd_status fileio_read_whole(const char *path, size_t limit, char **data, size_t *size, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  char *buffer = NULL;
  size_t used = 0, room = 0;
  *data = NULL;
  FILE *stream = fopen(path, "rb");
  if (!stream) return fileio_fail("open it", path, err);
  // Grown as it is read, since a pipe has no size.
  for (;;) {
    if (used == room) {
      room = room ? room * 2 : 4096;
      char *larger = realloc(buffer, room + 1);
      if (!larger) {
        status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
        goto fail;
      }
      buffer = larger;
    }
    size_t got = fread(buffer + used, 1, room - used, stream);
    used += got;
    if (used > limit) {
      status = vkd_fail(err, VKD_ERR_INPUT, "%s: larger than %zu bytes, the most accepted here", path, limit);
      goto fail;
    }
    if (got) continue;
    if (!ferror(stream)) break;
    status = fileio_fail("read it", path, err);
    goto fail;
  }
  buffer[used] = 0;
  *data = buffer;
  buffer = NULL;
  if (size) *size = used;
fail:
  free(buffer);
  fclose(stream);
  return status;
}

// A folder that may be entered but not read cannot be synced: that is no failure.
static enum vkd_status sync_parent(const char *path, struct vkd_error *err) {
  char *folder = parent_of(path);
  struct vkd_error why = {0};
  enum vkd_status status =
      folder ? fileio_sync_dir(folder, &why) : vkd_fail(&why, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  free(folder);
  return status == VKD_OK || status == VKD_ERR_INPUT ? VKD_OK : vkd_fail(err, status, "%s", why.what);
}

enum vkd_status fileio_make_dirs(const char *path, struct vkd_error *err) {
  char *copy = strdup(path);
  if (!copy) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  enum vkd_status status = VKD_OK;
  for (char *p = copy + (*copy == '/');; p++) {
    char c = *p;
    if (c && c != '/') continue;
    *p = 0;
    if (*copy && mkdir(copy, 0777) == 0) {
      status = sync_parent(copy, err);
    } else if (*copy) {
      int why = errno;
      bool there = fileio_is_dir(copy);
      errno = why;
      if (!there) status = fileio_fail("create the folder", copy, err);
    }
    *p = c;
    if (!c || status) break;
  }
  free(copy);
  return status;
}

enum vkd_status fileio_sync_dir(const char *path, struct vkd_error *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fileio_fail("open the folder", path, err);
  // Some file systems cannot sync a folder and answer EINVAL; there is nothing more to do then.
  int failed = fsync(fd) && errno != EINVAL && errno != ENOTSUP;
  enum vkd_status status = failed ? fileio_fail("sync the folder", path, err) : VKD_OK;
  close(fd);
  return status;
}

// NAME.tmp-PID-N
static bool is_temp(const char *name) {
  const char *p = strstr(name, ".tmp-");
  if (!p || !isdigit((unsigned char)p[5])) return false;
  p += 5 + strspn(p + 5, "0123456789");
  return *p == '-' && isdigit((unsigned char)p[1]) && p[1 + strspn(p + 1, "0123456789")] == 0;
}

void fileio_remove_temps(const char *folder) {
  DIR *dir = opendir(folder);
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));) {
    char *path = is_temp(e->d_name) ? fileio_join(folder, e->d_name) : NULL;
    if (path) unlink(path);
    free(path);
  }
  closedir(dir);
}

// Who holds the lock, as text for a message.
static void name_owner(int fd, char *text, size_t size) {
  char pid[24] = "";
  ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
  if (n > 0 && isdigit((unsigned char)*pid))
    snprintf(text, size, "process %ld", strtol(pid, NULL, 10));
  else
    snprintf(text, size, "another process");
}

enum vkd_status fileio_lock(const char *folder, int *lock, struct vkd_error *err) {
  char owner[48], pid[24], *path = fileio_join(folder, ".lock");
  *lock = -1;
  if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", folder);
  enum vkd_status status = VKD_OK;
  int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (fd < 0) {
    status = fileio_fail("open it", path, err);
  } else if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    // for the messages of others alone: a full disk may take the lock
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
      vkd_log(VKD_LOG_DEBUG, "%s: cannot be written: %s", path, strerror(errno));
    *lock = fd;
  } else if (errno == EWOULDBLOCK) {
    name_owner(fd, owner, sizeof owner);
    status =
        vkd_fail(err, VKD_ERR_USAGE, "%s: %s is at work there; wait for it, or choose another folder", folder, owner);
  } else {
    vkd_log(VKD_LOG_WARN, "%s: cannot be locked (%s): see to it that no other process works in %s", path,
            strerror(errno), folder);
  }
  if (fd >= 0 && *lock < 0) close(fd);
  free(path);
  return status;
}

void fileio_unlock(int *lock) {
  if (*lock >= 0) close(*lock);
  *lock = -1;
}

bool fileio_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fileio_is_file(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool fileio_is_missing(const char *path) {
  struct stat st;
  return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

bool fileio_is_same(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

char *fileio_join(const char *folder, const char *name) {
  size_t n = strlen(folder), room = n + strlen(name) + 2;
  char *path = malloc(room);
  if (path) snprintf(path, room, "%s%s%s", folder, n && folder[n - 1] != '/' ? "/" : "", name);
  return path;
}
