#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_in.h"
#include "vkdm/fileio.h"

enum { LIMIT = 1 << 30, PATH_SIZE = 4096 };

struct metrics {
  char path[PATH_SIZE];
  FILE *file;
  struct tfevents *events;
};

// Rewrites the file with the lines that stay.  A line that a kill cut short goes too.
static enum vkd_status keep_lines(const char *path, int64_t keep, void (*kept)(void *user, const json_t *line),
                                  void *user, struct vkd_error *err) {
  char *text = NULL;
  struct fileio out = {0};
  enum vkd_status st = fileio_begin(&out, path, err);
  if (st != VKD_OK) return st;
  if (keep > 0 && !fileio_is_missing(path)) st = fileio_read_whole(path, LIMIT, &text, NULL, err);
  for (char *line = text, *end; st == VKD_OK && line && *line && (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    json_t *o = json_in(line, (size_t)(end - line), JSON_IN_VALUES, NULL);
    const json_t *step = json_object_get(o, "step");
    if (json_is_integer(step) && json_integer_value(step) <= keep) {
      *end = '\n';
      st = fileio_write(&out, line, (size_t)(end - line) + 1, err);
      if (kept) kept(user, o);
    }
    json_decref(o);
  }
  if (st == VKD_OK) st = fileio_commit(&out, err);
  fileio_abort(&out);
  free(text);
  return st;
}

enum vkd_status metrics_open(struct metrics **out, const char *run, int64_t keep,
                             void (*kept)(void *user, const json_t *line), void *user, struct vkd_error *err) {
  struct metrics *m = *out = calloc(1, sizeof *m);
  enum vkd_status st = VKD_OK;
  if (!m) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for metrics");
  if (snprintf(m->path, sizeof m->path, "%s/metrics.jsonl", run) >= (int)sizeof m->path)
    st = vkd_fail(err, VKD_ERR_INPUT, "%.200s...: the path is too long", run);
  if (st == VKD_OK) st = keep_lines(m->path, keep, kept, user, err);
  if (st == VKD_OK && !(m->file = fopen(m->path, "ab")))
    st = vkd_fail(err, VKD_ERR_IO, "%s: %s", m->path, strerror(errno));
  if (st == VKD_OK) st = tfevents_open(&m->events, run, err);
  if (st != VKD_OK) metrics_close(out, NULL);
  return st;
}

enum vkd_status metrics_close(struct metrics **pm, struct vkd_error *err) {
  struct metrics *m = *pm;
  enum vkd_status st = VKD_OK;
  if (!m) return VKD_OK;
  if (m->file && fclose(m->file) != 0) st = vkd_fail(err, VKD_ERR_IO, "%s: %s", m->path, strerror(errno));
  enum vkd_status events = tfevents_close(&m->events, err);
  free(m);
  *pm = NULL;
  return st == VKD_OK ? events : st;
}

enum vkd_status metrics_sync(struct metrics *m, struct vkd_error *err) {
  if (fsync(fileno(m->file)) == 0 || errno == EINVAL || errno == ENOTSUP) return VKD_OK;
  return vkd_fail(err, VKD_ERR_IO, "%s: %s", m->path, strerror(errno));
}

enum vkd_status metrics_write(struct metrics *m, int64_t step, const struct metric *values, int count,
                              struct vkd_error *err) {
  fprintf(m->file, "{\"step\": %" PRId64, step);
  for (int i = 0; i < count; i++) {
    // JSON has no NaN; 17 digits, since a resumed run reads its measurements back to the bit
    if (isfinite(values[i].value))
      fprintf(m->file, ", \"%s\": %.17g", values[i].name, values[i].value);
    else
      fprintf(m->file, ", \"%s\": null", values[i].name);
  }
  fputs("}\n", m->file);
  if (fflush(m->file) != 0 || ferror(m->file)) return vkd_fail(err, VKD_ERR_IO, "%s: %s", m->path, strerror(errno));
  for (int i = 0; i < count; i++) {
    enum vkd_status st = tfevents_scalar(m->events, step, values[i].name, (float)values[i].value, err);
    if (st != VKD_OK) return st;
  }
  return tfevents_flush(m->events, err);
}

struct tfevents *metrics_events(struct metrics *m) {
  return m->events;
}
