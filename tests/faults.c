// To preload, or part of a program: of the calls that touch files below a folder, the k-th fails, tears what it writes,
// or is the process's last.  VKD_FAULT_ROOT: the folder, as the program names it.  VKD_FAULT_LOG: a file that gets a
// line per call. VKD_FAULT_AT: k, from 1.  VKD_FAULT_KIND:
//   eio    the call fails with EIO, later ones do not
//   full   it and all later ones that take room fail with ENOSPC
//   tear   as full, but of a write half of the bytes get through
//   gone   it and all later ones fail with ESTALE, as where a network drive is gone: what lies there then is what a
//          process leaves that ends instead of the call
//   cut    as gone, but of a write half of the bytes get through
//   exit   the process ends instead of the call
//   torn   it ends after the call, of a write after half of the bytes
#define _GNU_SOURCE
#include "faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENDED = 99, STREAMS = 64 };
enum kind { NONE, EIO_ONCE, FULL, TEAR, GONE, CUT, EXIT, TORN };
enum takes { TAKES_ROOM, TAKES_NONE };

static const char *root;
static long at;
static enum kind kind;
static int log_fd = -1;
static atomic_long calls;

static struct {
  FILE *stream;
  int fd;
} streams[STREAMS];
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...)                                                                                        \
  static result (*real)(__VA_ARGS__);                                                                                  \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

static int raw_open(const char *path, int flags, mode_t mode) {
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

void faults_begin(const char *folder, const char *wanted, long call, const char *log) {
  static const char *const names[] = {"none", "eio", "full", "tear", "gone", "cut", "exit", "torn"};
  kind = NONE;
  for (int i = 0; wanted && i <= TORN; i++)
    if (strcmp(wanted, names[i]) == 0) kind = (enum kind)i;
  at = call;
  atomic_store(&calls, 0);
  if (log) log_fd = raw_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  root = folder;
}

long faults_end(void) {
  root = NULL;
  kind = NONE;
  if (log_fd >= 0) syscall(SYS_close, log_fd);
  log_fd = -1;
  return atomic_load(&calls);
}

__attribute__((constructor)) static void begin(void) {
  const char *number = getenv("VKD_FAULT_AT");
  faults_begin(getenv("VKD_FAULT_ROOT"), getenv("VKD_FAULT_KIND"), number ? atol(number) : 0, getenv("VKD_FAULT_LOG"));
}

static bool is_below(const char *path) {
  size_t n = root ? strlen(root) : 0;
  return n && strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]);
}

// The file's path where it lies below the folder, else NULL.
static const char *path_of(int fd, char path[4096]) {
  char link[40];
  if (!root || fd < 0) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, 4095);
  if (n < 0) return NULL;
  path[n] = 0;
  return is_below(path) ? path : NULL;
}

// What becomes of a call: 0 it is made; an errno it fails with.  *last: nothing comes after it.
static int judge(const char *name, const char *path, enum takes takes, bool *last) {
  char line[4200];
  long k = atomic_fetch_add(&calls, 1) + 1;
  int n = snprintf(line, sizeof line, "%ld %s %s\n", k, name, path);
  if (log_fd >= 0) syscall(SYS_write, log_fd, line, (size_t)n);
  *last = false;
  if ((kind == FULL || kind == TEAR) && k >= at && takes == TAKES_ROOM) return ENOSPC;
  if ((kind == GONE || kind == CUT) && k >= at) return ESTALE;
  if (k != at) return 0;
  if (kind == EXIT) _exit(ENDED);
  *last = kind == TORN;
  return kind == EIO_ONCE ? EIO : 0;
}

#define FINISH(result)                                                                                                 \
  do {                                                                                                                 \
    if (last) _exit(ENDED);                                                                                            \
    return result;                                                                                                     \
  } while (0)
#define FAULT(name, path, takes, failed)                                                                               \
  bool last = false;                                                                                                   \
  if (is_below(path)) {                                                                                                \
    int code = judge(name, path, takes, &last);                                                                        \
    if (code) {                                                                                                        \
      errno = code;                                                                                                    \
      return failed;                                                                                                   \
    }                                                                                                                  \
  }

// offset -1: at the file's own.
static ssize_t checked_write(int fd, const void *data, size_t size, off_t offset) {
  char path[4096];
  bool last = false;
  int code = path_of(fd, path) ? judge("write", path, TAKES_ROOM, &last) : 0;
  bool torn = last || (code && (kind == TEAR || kind == CUT) && atomic_load(&calls) == at);
  size_t part = torn ? size / 2 : size;
  ssize_t n = -1;
  if (!code || torn)
    n = offset < 0 ? syscall(SYS_write, fd, data, part) : syscall(SYS_pwrite64, fd, data, part, offset);
  if (last) _exit(ENDED);
  if (!code) return n;
  errno = code;
  return torn && n > 0 ? n : -1;
}

ssize_t write(int fd, const void *data, size_t size) { return checked_write(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return checked_write(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return checked_write(fd, data, size, offset); }

// As FAULT, of an open file.
#define FAULT_FD(name, fd, failed)                                                                                     \
  char path[4096];                                                                                                     \
  bool last = false;                                                                                                   \
  int code = path_of(fd, path) ? judge(name, path, TAKES_NONE, &last) : 0;                                             \
  if (code) {                                                                                                          \
    errno = code;                                                                                                      \
    return failed;                                                                                                     \
  }

ssize_t read(int fd, void *data, size_t size) {
  FAULT_FD("read", fd, -1)
  FINISH(syscall(SYS_read, fd, data, size));
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
  FAULT_FD("read", fd, -1)
  FINISH(syscall(SYS_pread64, fd, data, size, offset));
}
ssize_t pread64(int fd, void *data, size_t size, off_t offset) { return pread(fd, data, size, offset); }

int fsync(int fd) {
  FAULT_FD("fsync", fd, -1)
  FINISH((int)syscall(SYS_fsync, fd));
}

int ftruncate(int fd, off_t size) {
  FAULT_FD("ftruncate", fd, -1)
  FINISH((int)syscall(SYS_ftruncate, fd, size));
}

int flock(int fd, int operation) {
  FAULT_FD("flock", fd, -1)
  FINISH((int)syscall(SYS_flock, fd, operation));
}

// One that fails has closed the file all the same, as Linux does.
int close(int fd) {
  char path[4096];
  bool last = false;
  int code = path_of(fd, path) ? judge("close", path, TAKES_NONE, &last) : 0;
  int result = (int)syscall(SYS_close, fd);
  if (last) _exit(ENDED);
  if (code) errno = code;
  return code ? -1 : result;
}

void *mmap(void *where, size_t size, int access, int flags, int fd, off_t offset) {
  FAULT_FD("mmap", fd, MAP_FAILED)
  FINISH((void *)syscall(SYS_mmap, where, size, access, flags, fd, offset)); // NOLINT: an address
}
void *mmap64(void *where, size_t size, int access, int flags, int fd, off_t offset) {
  return mmap(where, size, access, flags, fd, offset);
}

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  FAULT("open", path, flags & O_CREAT ? TAKES_ROOM : TAKES_NONE, -1)
  FINISH(raw_open(path, flags, mode));
}

int mkdir(const char *path, mode_t mode) {
  FAULT("mkdir", path, TAKES_ROOM, -1)
  FINISH((int)syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int rename(const char *from, const char *to) {
  FAULT("rename", to, TAKES_NONE, -1)
  FINISH((int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int stat(const char *path, struct stat *info) {
  REAL(int, "stat", const char *, struct stat *);
  FAULT("stat", path, TAKES_NONE, -1)
  FINISH(real(path, info));
}

DIR *opendir(const char *path) {
  REAL(DIR *, "opendir", const char *);
  FAULT("opendir", path, TAKES_NONE, NULL)
  FINISH(real(path));
}

int scandir(const char *path, struct dirent ***list, int (*wanted)(const struct dirent *),
            int (*order)(const struct dirent **, const struct dirent **)) {
  REAL(int, "scandir", const char *, struct dirent ***, int (*)(const struct dirent *),
       int (*)(const struct dirent **, const struct dirent **));
  FAULT("scandir", path, TAKES_NONE, -1)
  FINISH(real(path, list, wanted, order));
}

int unlink(const char *path) {
  FAULT("unlink", path, TAKES_NONE, -1)
  FINISH((int)syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int rmdir(const char *path) {
  FAULT("rmdir", path, TAKES_NONE, -1)
  FINISH((int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}

// ---- streams: the C library's own calls would pass by this library's ------------------------------------------------
static ssize_t stream_read(void *user, char *data, size_t size) { return read((int)(intptr_t)user, data, size); }
static ssize_t stream_write(void *user, const char *data, size_t size) {
  ssize_t n = checked_write((int)(intptr_t)user, data, size, -1);
  return n < 0 ? 0 : n;
}
static int stream_seek(void *user, off64_t *offset, int whence) {
  off_t to = lseek((int)(intptr_t)user, *offset, whence);
  if (to < 0) return -1;
  *offset = to;
  return 0;
}
static int stream_close(void *user) {
  int fd = (int)(intptr_t)user;
  pthread_mutex_lock(&streams_lock);
  for (int i = 0; i < STREAMS; i++)
    if (streams[i].stream && streams[i].fd == fd) streams[i].stream = NULL;
  pthread_mutex_unlock(&streams_lock);
  return close(fd);
}

static FILE *make_stream(int fd, const char *mode) {
  cookie_io_functions_t functions = {stream_read, stream_write, stream_seek, stream_close};
  FILE *stream = fopencookie((void *)(intptr_t)fd, mode, functions);
  pthread_mutex_lock(&streams_lock);
  for (int i = 0; stream && i < STREAMS; i++)
    if (!streams[i].stream) {
      streams[i].stream = stream;
      streams[i].fd = fd;
      break;
    }
  pthread_mutex_unlock(&streams_lock);
  return stream;
}

FILE *fdopen(int fd, const char *mode) {
  REAL(FILE *, "fdopen", int, const char *);
  char path[4096];
  return path_of(fd, path) ? make_stream(fd, mode) : real(fd, mode);
}

FILE *fopen(const char *path, const char *mode) {
  REAL(FILE *, "fopen", const char *, const char *);
  if (!is_below(path)) return real(path, mode);
  int flags = *mode == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | (*mode == 'a' ? O_APPEND : O_TRUNC);
  int fd = open(path, flags | O_CLOEXEC, 0666);
  return fd < 0 ? NULL : make_stream(fd, mode);
}
FILE *fopen64(const char *path, const char *mode) { return fopen(path, mode); }

int fileno(FILE *stream) {
  REAL(int, "fileno", FILE *);
  int fd = -1;
  pthread_mutex_lock(&streams_lock);
  for (int i = 0; i < STREAMS && fd < 0; i++)
    if (streams[i].stream == stream) fd = streams[i].fd;
  pthread_mutex_unlock(&streams_lock);
  return fd < 0 ? real(stream) : fd;
}
