// What the targets share.
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"
#include "targets.h"
#include "temp.h"

static char folder[TEMP_SIZE];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)info, (void)kind, (void)at;
  return remove(path);
}

static void remove_all(void) { nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

const char *target_folder(void) {
  if (!*folder) {
    // in memory where that is possible: what readers write beside what they read goes through fsync
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    // a path of one name for the same bytes in every run of a fuzzer
    const char *given = getenv("VKDIT_TARGET_FOLDER");
    if (given && strlen(given) < sizeof folder && mkdir(given, 0700) == 0)
      strcpy(folder, given);
    else
      temp_folder(folder);
    atexit(remove_all);
  }
  return folder;
}

const char *target_write(const char *name, const void *data, size_t size) {
  enum { NAMES = 40 };
  static char paths[NAMES][TEMP_SIZE + 64], *path;
  static int used;
  const char *parent = target_folder();
  size_t n = strlen(parent) + 1;
  path = NULL;
  for (int i = 0; i < used && !path; i++)
    if (strcmp(paths[i] + n, name) == 0) path = paths[i];
  if (!path) {
    HOLDS(used < NAMES && strlen(name) < 64, "no room for %s", name);
    snprintf(path = paths[used++], sizeof paths[0], "%s/%s", parent, name);
  }
  if (data)
    damage_write(path, data, size);
  else
    HOLDS(unlink(path) == 0 || errno == ENOENT, "%s", path);
  return path;
}

void target_split(const uint8_t *data, size_t size, struct target_part parts[TARGET_PARTS]) {
  static const char mark[] = "\n%%\n";
  memset(parts, 0, TARGET_PARTS * sizeof *parts);
  for (int i = 0; i < TARGET_PARTS; i++) {
    const uint8_t *end = i + 1 < TARGET_PARTS && size ? memmem(data, size, mark, 4) : NULL;
    parts[i] = (struct target_part){data, end ? (size_t)(end - data) : size};
    if (!end) return;
    size -= parts[i].size + 4;
    data = end + 4;
  }
}

void target_refused(enum vkd_status status, const struct vkd_error *err, const char *word, bool other) {
  HOLDS(status == VKD_ERR_INPUT || (other && (status == VKD_ERR_UNSUPPORTED || status == VKD_ERR_USAGE)), "%s: %s",
        vkd_status_name(status), err->what);
  HOLDS(err->status == status && strstr(err->what, word) && !strchr(err->what, '\n'), "without '%s': %s", word,
        err->what);
}

uint8_t *target_mend_safetensors(const uint8_t *data, size_t size) {
  json_error_t end;
  uint64_t length, said;
  enum { MOST = 1 << 16 }; // what parsing it takes here is not the reader's
  if (size < 10 || size > MOST || data[8] != '{') return NULL;
  json_t *header = json_loadb((const char *)data + 8, size - 8, JSON_DISABLE_EOF_CHECK, &end);
  length = header ? (uint64_t)end.position : 0;
  json_decref(header);
  memcpy(&said, data, 8);
  while (length && length < said && 8 + length < size && data[8 + length] == ' ') length++; // what it is filled up with
  if (!length || length == said) return NULL;
  uint8_t *copy = malloc(size);
  HOLDS(copy, "no memory");
  memcpy(copy, data, size);
  memcpy(copy, &length, 8);
  return copy;
}
