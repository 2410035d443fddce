#include "below.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 256 };

bool below_is_shown(const char *name) { return *name && *name != '.' && !strchr(name, '/'); }

int below_open(int folder, const char *path, struct stat *info) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  int at = folder;
  for (;;) {
    char name[NAME_SIZE];
    size_t n = strcspn(path, "/");
    bool last = !path[n];
    int next = -1;
    if (n < sizeof name) {
      memcpy(name, path, n);
      name[n] = 0;
      if (below_is_shown(name)) next = openat(at, name, last ? flags : flags | O_DIRECTORY);
    }
    if (at != folder) close(at);
    if (next < 0) return -1;
    if (last) {
      if (fstat(next, info) == 0 && (S_ISREG(info->st_mode) || S_ISDIR(info->st_mode))) return next;
      close(next);
      return -1;
    }
    at = next;
    path += n + 1;
  }
}

char *below_read(int folder, const char *path, size_t limit, size_t *size) {
  struct stat info;
  char *data = NULL;
  size_t room = 0, got = 0;
  ssize_t n = 0;
  int fd = below_open(folder, path, &info);
  if (fd < 0) return NULL;
  if (S_ISREG(info.st_mode) && info.st_size >= 0 && (uint64_t)info.st_size <= limit) {
    room = (size_t)info.st_size;
    data = malloc(room + 1);
  }
  while (data && got < room && (n = read(fd, data + got, room - got)) > 0) got += (size_t)n;
  close(fd);
  if (data && n < 0) {
    free(data);
    data = NULL;
  }
  if (data) data[got] = 0;
  *size = got;
  return data;
}
