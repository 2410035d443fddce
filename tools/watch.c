#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "below.h"
#include "vkdm/clock.h"
#include "watch_internal.h"

enum {
  DEPTH = 5,              // of folders looked into
  ENTRIES = 50000,        // names looked at in a scan
  RUNS = 2000,            // shown
  CELLS_LIMIT = 64 << 20, // bytes of cells.yaml
  PICTURE_LIMIT = 32 << 20,
  NEW_BYTES = 32 << 20, // of metrics that a scan reads at most: the rest comes with the next ones
};
#define SCAN_SECONDS 0.5

// "c" of "a/b/c/", of "." too.
static char *own_name(const char *folder) {
  char *path = realpath(folder, NULL), *slash = path ? strrchr(path, '/') : NULL;
  char *name = strdup(slash && slash[1] ? slash + 1 : folder);
  free(path);
  return name;
}

enum vkd_status watch_open(struct watch **out, const char *folder, struct vkd_error *err) {
  struct watch *w = *out = calloc(1, sizeof *w);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    int code = errno;
    watch_close(out);
    return vkd_fail(err, VKD_ERR_INPUT, "%s: %s; give a run's folder, a sweep's, or one above them", folder,
                    strerror(code));
  }
  close(fd);
  if (w) {
    w->folder = strdup(folder);
    w->title = own_name(folder);
  }
  if (w && w->folder && w->title) return VKD_OK;
  watch_close(out);
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", folder);
}

static void free_entry(struct watch_entry *e) {
  watch_run_free(&e->run);
  free(e);
}

void watch_close(struct watch **pw) {
  struct watch *w = *pw;
  if (!w) return;
  for (int i = 0; i < w->count; i++) free_entry(w->entries[i]);
  free(w->entries);
  free(w->json);
  free(w->folder);
  free(w->title);
  free(w);
  *pw = NULL;
}

// ---- runs by name --------------------------------------------------------------------------------------------------
// The run of that name, made where it is new, in its place; NULL: no memory, or too many.
static struct watch_entry *entry_of(struct watch *w, const char *name) {
  int low = 0, high = w->count;
  while (low < high) {
    int middle = (low + high) / 2, order = strcmp(w->entries[middle]->run.name, name);
    if (!order) return w->entries[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  if (w->count == RUNS) return NULL;
  if (w->count == w->room) {
    int room = w->room ? 2 * w->room : 16;
    struct watch_entry **more = realloc(w->entries, (size_t)room * sizeof *more);
    if (!more) return NULL;
    w->entries = more;
    w->room = room;
  }
  struct watch_entry *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  snprintf(e->run.name, sizeof e->run.name, "%s", name);
  watch_run_reset(&e->run);
  memmove(w->entries + low + 1, w->entries + low, (size_t)(w->count++ - low) * sizeof *w->entries);
  return w->entries[low] = e;
}

static void drop_unseen(struct watch *w) {
  int kept = 0;
  for (int i = 0; i < w->count; i++) {
    struct watch_run *r = &w->entries[i]->run;
    if (r->seen && !r->present && r->state != WATCH_WAITING) watch_run_reset(r); // a cell whose folder has gone
    if (w->entries[i]->run.seen)
      w->entries[kept++] = w->entries[i];
    else
      free_entry(w->entries[i]);
  }
  w->count = kept;
}

// ---- the scan ------------------------------------------------------------------------------------------------------
struct scan {
  struct watch *watch;
  int entries;
  size_t bytes; // of metrics left to read
};

// "above/name"; false: too long.
static bool join(char out[WATCH_NAME_MAX], const char *above, const char *name) {
  int n = snprintf(out, WATCH_NAME_MAX, "%s%s%s", above, *above ? "/" : "", name);
  return n > 0 && n < WATCH_NAME_MAX;
}

static const char *picture_type(const char *name) {
  static const char *const types[][2] = {{".gif", "image/gif"}, {".png", "image/png"}};
  const char *dot = strrchr(name, '.');
  for (int i = 0; dot && i < 2; i++)
    if (!strcmp(dot, types[i][0])) return types[i][1];
  return NULL;
}

static void add_image(struct watch_gallery *g, const char *above, const char *name, const struct stat *info) {
  struct watch_image image = {.changed = (double)info->st_mtim.tv_sec + 1e-9 * (double)info->st_mtim.tv_nsec};
  if (!join(image.name, above, name)) return;
  int at = g->count;
  while (at && g->image[at - 1].changed < image.changed) at--;
  if (at == WATCH_IMAGES) return;
  if (g->count < WATCH_IMAGES) g->count++;
  memmove(g->image + at + 1, g->image + at, (size_t)(g->count - 1 - at) * sizeof *g->image);
  g->image[at] = image;
}

// Cells that a sweep names, begun or not: "# cell NAME", its configuration, "---".
static void read_cells(struct watch *w, int folder, const char *above) {
  size_t size;
  char *text = below_read(folder, "cells.yaml", CELLS_LIMIT, &size);
  static const char mark[] = "# cell ", end_mark[] = "\n---\n";
  for (char *at = text; at && !strncmp(at, mark, sizeof mark - 1);) {
    char *line = at + sizeof mark - 1, *config = strchr(line, '\n'), *end = config ? strstr(config, end_mark) : NULL;
    if (!end) break;
    *config++ = 0;
    char runs[WATCH_NAME_MAX], name[WATCH_NAME_MAX];
    if (below_is_shown(line) && join(runs, above, "runs") && join(name, runs, line)) {
      struct watch_entry *e = entry_of(w, name);
      if (e && !e->run.seen && !e->run.has_config) watch_run_configure(&e->run, config, (size_t)(end + 1 - config));
      if (e) e->run.seen = true;
      w->cells++;
    }
    at = end + sizeof end_mark - 1;
  }
  free(text);
}

static void scan_folder(struct scan *s, int folder, const char *path, int depth, struct watch_gallery *images);

static void scan_entry(struct scan *s, int folder, const char *path, const char *name, int depth, bool is_run,
                       struct watch_gallery *images) {
  struct stat info;
  char below[WATCH_NAME_MAX];
  if (!below_is_shown(name) || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW)) return;
  if (S_ISREG(info.st_mode) && picture_type(name)) add_image(images, path, name, &info);
  // a run's folders hold pictures and checkpoints, no runs
  bool enter = is_run ? !strcmp(name, "samples") : strcmp(name, "checkpoints") != 0;
  if (!S_ISDIR(info.st_mode) || !enter || depth == DEPTH || !join(below, path, name)) return;
  int fd = below_open(folder, name, &info);
  if (fd >= 0) scan_folder(s, fd, below, is_run ? DEPTH : depth + 1, images);
}

// folder: closed here.
static void scan_folder(struct scan *s, int folder, const char *path, int depth, struct watch_gallery *images) {
  struct stat info;
  bool is_run = !fstatat(folder, "metrics.jsonl", &info, AT_SYMLINK_NOFOLLOW) && S_ISREG(info.st_mode);
  struct watch_entry *e = is_run ? entry_of(s->watch, path) : NULL;
  if (e) {
    e->run.seen = e->run.present = true;
    e->images.count = 0;
    images = &e->images;
    s->bytes -= watch_run_read(&e->run, folder, s->bytes);
  } else if (!is_run) {
    read_cells(s->watch, folder, path);
  }
  DIR *dir = fdopendir(folder);
  for (struct dirent *d; dir && (d = readdir(dir)) && s->entries < ENTRIES; s->entries++)
    scan_entry(s, dirfd(dir), path, d->d_name, depth, is_run, images);
  if (dir)
    closedir(dir);
  else
    close(folder);
}

static void scan(struct watch *w) {
  struct scan s = {.watch = w, .bytes = NEW_BYTES};
  for (int i = 0; i < w->count; i++) w->entries[i]->run.seen = w->entries[i]->run.present = false;
  w->images.count = w->cells = 0;
  // by name each time: the folder may have gone and come again
  int fd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) scan_folder(&s, fd, "", 0, &w->images);
  drop_unseen(w);
}

char *watch_json(struct watch *w, size_t *size) {
  double now = clock_seconds();
  if (!w->json || now - w->scanned >= SCAN_SECONDS) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    scan(w);
    json_t *document = watch_document(w, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    free(w->json);
    w->json = document ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    w->json_size = w->json ? strlen(w->json) : 0;
    json_decref(document);
    w->scanned = clock_seconds();
  }
  char *copy = w->json ? malloc(w->json_size + 1) : NULL;
  if (copy) memcpy(copy, w->json, w->json_size + 1);
  *size = w->json_size;
  return copy;
}

char *watch_picture(struct watch *w, const char *path, size_t *size, const char **type) {
  char *data = NULL;
  *type = picture_type(path);
  int fd = *type ? open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    data = below_read(fd, path, PICTURE_LIMIT, size);
    close(fd);
  }
  return data;
}
