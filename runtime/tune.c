#include "tune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device_internal.h"
#include "form.h"
#include "vkd/log.h"

enum { HEADER = 1024 };
_Static_assert(sizeof((struct vkd_tune *)0)->path == VKD_CACHE_PATH, "a path of the cache folder fits");

// The first line, with its end: format, device, driver, version.
static void header_of(const struct vkd_device_caps *caps, char text[HEADER]) {
  int n = snprintf(text, HEADER, "vkdit tune 1\t%s\t%s\t%s\t%" PRIx32 "\n", caps->name, caps->driver, caps->driver_info,
                   caps->driver_version);
  for (int i = 0; i < n - 1; i++)
    if (text[i] == '\n') text[i] = ' ';
}

bool vkd__tune_key(const struct vkd_graph *g, const struct vkd_node *node, char key[VKD_TUNE_KEY]) {
  const struct vkd_formed *formed = vkd__formed(node->op);
  if (!formed) return false;
  int n = snprintf(key, VKD_TUNE_KEY, "%s/", vkd__ops[node->op].name);
  formed->bucket(g, node, key + n, (size_t)(VKD_TUNE_KEY - n));
  return true;
}

struct vkd_tune_entry *vkd__tune_find(const struct vkd_tune *tune, const char *key) {
  for (uint32_t i = 0; i < tune->count; i++)
    if (strcmp(tune->entries[i].key, key) == 0) return &tune->entries[i];
  return NULL;
}

const char *vkd__tune_form(const struct vkd_tune *tune, const struct vkd_graph *g, const struct vkd_node *node) {
  char key[VKD_TUNE_KEY];
  const struct vkd_tune_entry *e = vkd__tune_key(g, node, key) ? vkd__tune_find(tune, key) : NULL;
  return e ? e->form : NULL;
}

// Room for one more
static bool grow(struct vkd_tune *tune) {
  if (tune->count < tune->cap) return true;
  uint32_t cap = tune->cap ? tune->cap * 2 : 32;
  struct vkd_tune_entry *bigger = realloc(tune->entries, cap * sizeof *bigger);
  if (!bigger) return false;
  tune->entries = bigger;
  tune->cap = cap;
  return true;
}

enum vkd_status vkd__tune_set(struct vkd_tune *tune, const char *key, const char *form, uint64_t ns,
                              struct vkd_error *err) {
  struct vkd_tune_entry *e = vkd__tune_find(tune, key);
  if (!form) {
    if (e) *e = tune->entries[--tune->count];
    return VKD_OK;
  }
  if (!e) {
    if (tune->count == VKD_TUNE_ENTRIES)
      return vkd_fail(err, VKD_ERR_USAGE, "%s holds %u entries; vkdit tune --clear empties it", tune->path,
                      tune->count);
    if (!grow(tune)) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a table of %u forms", tune->count + 1);
    e = &tune->entries[tune->count++];
  }
  *e = (struct vkd_tune_entry){.ns = ns, .fresh = true};
  snprintf(e->key, sizeof e->key, "%s", key);
  snprintf(e->form, sizeof e->form, "%s", form);
  return VKD_OK;
}

// A word of at most size - 1 of [a-z0-9/_] up to `end`, which is passed; false: it is not.
static bool word(const char **at, const char *limit, char end, char *out, size_t size) {
  size_t n = 0;
  for (; *at < limit && **at != end; (*at)++) {
    char c = **at;
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '/') || n + 1 >= size) return false;
    out[n++] = c;
  }
  out[n] = 0;
  return n > 0 && (*at)++ < limit;
}

static const char *parse_lines(struct vkd_tune *tune, const char *at, const char *limit) {
  while (at < limit) {
    struct vkd_tune_entry e = {.ns = 0};
    char digits[20];
    if (!word(&at, limit, ' ', e.key, sizeof e.key) || !word(&at, limit, ' ', e.form, sizeof e.form) ||
        !word(&at, limit, '\n', digits, sizeof digits))
      return "a line that is not 'key form nanoseconds'";
    char *end;
    e.ns = strtoull(digits, &end, 10);
    if (*end || !e.ns) return "a time that is no number above 0";
    if (vkd__tune_find(tune, e.key)) return "a key twice";
    if (tune->count == VKD_TUNE_ENTRIES) return "too many lines";
    if (!grow(tune)) return "no memory for it";
    tune->entries[tune->count++] = e;
  }
  return NULL;
}

const char *vkd__tune_parse(struct vkd_tune *tune, const struct vkd_device_caps *caps, const char *text, size_t size) {
  char header[HEADER];
  header_of(caps, header);
  size_t n = strlen(header);
  if (size < n || memcmp(text, header, n) != 0) return "its first line is of another format, device or driver";
  const char *wrong = parse_lines(tune, text + n, text + size);
  if (wrong) tune->count = 0;
  return wrong;
}

enum vkd_status vkd_tune_load(struct vkd_tune **out, const struct vkd_device_caps *caps, const char *cache_dir,
                              struct vkd_error *err) {
  struct vkd_tune *tune = *out = calloc(1, sizeof *tune);
  if (!tune) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a table of forms");
  vkd__cache_path(caps, cache_dir, "tune", "txt", tune->path);
  size_t size;
  const void *text;
  void *file = vkd__cache_read(tune->path, VKD_TUNE_BYTES, &text, &size);
  const char *wrong = file ? vkd__tune_parse(tune, caps, text, size) : NULL;
  if (wrong)
    vkd_log(VKD_LOG_WARN, "%s is not used: %s; vkdit tune makes a new one", tune->path, wrong);
  else if (tune->count)
    vkd_log(VKD_LOG_DEBUG, "tune table %s: %u entries", tune->path, tune->count);
  free(file);
  return VKD_OK;
}

void vkd_tune_destroy(struct vkd_tune **tune) {
  if (*tune) free((*tune)->entries);
  free(*tune);
  *tune = NULL;
}

const struct vkd_tune *vkd_device_tune(const struct vkd_device *dev) { return dev->tune; }

enum vkd_status vkd__tune_save(const struct vkd_tune *tune, const struct vkd_device_caps *caps, struct vkd_error *err) {
  size_t room = HEADER + (size_t)tune->count * (sizeof *tune->entries + 24), n;
  char *text = malloc(room);
  if (!text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to write %u forms", tune->count);
  header_of(caps, text);
  n = strlen(text);
  for (uint32_t i = 0; i < tune->count; i++)
    n += (size_t)snprintf(text + n, room - n, "%s %s %" PRIu64 "\n", tune->entries[i].key, tune->entries[i].form,
                          tune->entries[i].ns);
  bool ok = vkd__cache_write(tune->path, text, n);
  free(text);
  return ok ? VKD_OK : vkd_fail(err, VKD_ERR_IO, "%s: cannot be written", tune->path);
}

enum vkd_status vkd_tune_clear(struct vkd_device *dev, struct vkd_error *err) {
  if (!dev->tune) return VKD_OK;
  dev->tune->count = 0;
  if (!*dev->tune->path || unlink(dev->tune->path) == 0 || errno == ENOENT || errno == ENOTDIR) return VKD_OK;
  return vkd_fail(err, VKD_ERR_IO, "%s: cannot be removed: %s", dev->tune->path, strerror(errno));
}
