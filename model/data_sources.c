#include "data_sources.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "vkdm/fileio.h"
#include "vkdm/image.h"

enum { MAX_DEPTH = 16, MAX_SOURCES = 1 << 24 };

static bool has_extension(const char *path, const char *const *extensions, size_t count) {
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < count; i++)
    if (!strcasecmp(dot + 1, extensions[i])) return true;
  return false;
}

static bool is_video_name(const char *path) {
  static const char *const extensions[] = {"avi", "mp4",  "m4v", "mkv", "webm", "mov", "mpg", "mpeg", "ts",
                                           "mts", "m2ts", "wmv", "flv", "ogv",  "3gp", "y4m", "gif"};
  return has_extension(path, extensions, sizeof extensions / sizeof *extensions);
}

static bool is_latents_name(const char *path) {
  static const char *const extensions[] = {"safetensors"};
  return has_extension(path, extensions, 1);
}

static enum vkd_status add(struct source_list *list, const char *path, enum source_kind kind, const char *folder,
                           size_t folder_size, struct vkd_error *err) {
  if (list->count == list->room) {
    if (list->room >= MAX_SOURCES) return vkd_fail(err, VKD_ERR_INPUT, "%s: more than %d files", path, MAX_SOURCES);
    uint32_t room = list->room ? list->room * 2 : 64;
    struct source *grown = realloc(list->items, room * sizeof *grown);
    if (!grown) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a list of %u files", room);
    list->items = grown;
    list->room = room;
  }
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
  struct source *s = &list->items[list->count++];
  *s = (struct source){.kind = kind,
                       .path = strdup(path),
                       .name = strdup(base),
                       .stem = strndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base)),
                       .folder = strndup(folder, folder_size),
                       .label = -1};
  if (!s->path || !s->name || !s->stem || !s->folder)
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the name %s", path);
  return VKD_OK;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

// below: the part of `path` after the folder that was given, "" at the top.
static enum vkd_status walk(struct source_list *list, const char *path, size_t given, int depth,
                            struct vkd_error *err) {
  if (depth > MAX_DEPTH)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: folders more than %d deep; is there a loop of links?", path, MAX_DEPTH);
  enum vkd_status status = VKD_OK;
  struct dirent **entries = NULL;
  const int n = scandir(path, &entries, not_hidden, by_name);
  if (n < 0) return vkd_fail(err, VKD_ERR_INPUT, "%s: cannot be listed: %s", path, strerror(errno));
  for (int i = 0; i < n; i++) {
    char *child = status == VKD_OK ? fileio_join(path, entries[i]->d_name) : NULL;
    free(entries[i]);
    if (status != VKD_OK) continue;
    if (!child) {
      status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for names in %s", path);
      continue;
    }
    const bool image = image_has_name(child);
    const char *below = child + given + strspn(child + given, "/");
    if (fileio_is_dir(child))
      status = walk(list, child, given, depth + 1, err);
    else if (fileio_is_file(child) && (image || is_video_name(child)))
      status = add(list, child, image ? SOURCE_IMAGE : SOURCE_VIDEO, below,
                   strchr(below, '/') ? strcspn(below, "/") : 0, err);
    free(child);
  }
  free(entries);
  return status;
}

static enum vkd_status add_file(struct source_list *list, const char *path, struct vkd_error *err) {
  const enum source_kind kind = is_latents_name(path)  ? SOURCE_LATENTS
                                : image_has_name(path) ? SOURCE_IMAGE
                                                       : SOURCE_VIDEO;
  const char *slash = strrchr(path, '/'), *folder = slash ? slash : path;
  while (folder > path && folder[-1] != '/') folder--;
  return add(list, path, kind, folder, slash ? (size_t)(slash - folder) : 0, err);
}

enum vkd_status sources_find(const char *const *paths, uint32_t count, struct source_list *list,
                             struct vkd_error *err) {
  memset(list, 0, sizeof *list);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t before = list->count;
    struct stat st;
    enum vkd_status status;
    if (stat(paths[i], &st)) return vkd_fail(err, VKD_ERR_INPUT, "%s: %s", paths[i], strerror(errno));
    status = S_ISDIR(st.st_mode) ? walk(list, paths[i], strlen(paths[i]), 0, err) : add_file(list, paths[i], err);
    if (status != VKD_OK) return status;
    if (list->count == before) return vkd_fail(err, VKD_ERR_INPUT, "%s: no images or videos in this folder", paths[i]);
  }
  return VKD_OK;
}

void sources_free(struct source_list *list) {
  for (uint32_t i = 0; i < list->count; i++) {
    free(list->items[i].path);
    free(list->items[i].name);
    free(list->items[i].stem);
    free(list->items[i].folder);
  }
  for (uint32_t i = 0; i < list->class_count; i++) free(list->classes[i]);
  free(list->items);
  free(list->classes);
  memset(list, 0, sizeof *list);
}
