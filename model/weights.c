#include "vkdm/weights.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "vkdm/fileio.h"

enum { INDEX_LIMIT = 16 << 20, MAX_SHARDS = 4096 };

struct shard {
  const char *name; // in the index
  struct st_file *file;
};

struct weights {
  char *path, *folder;
  json_t *index;              // NULL: one file
  const struct st_file *file; // of a single file
  struct st_file *own;        // the same, where it is ours
  struct shard *shards;       // [shard_count], by name
  size_t shard_count;
  const struct st_tensor **tensors; // [count], by name
  size_t count;
};

static enum vkd_status no_memory(const char *path, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
}

// ---- an index ------------------------------------------------------------------------------------------------------
static int by_shard(const void *a, const void *b) {
  return strcmp(((const struct shard *)a)->name, ((const struct shard *)b)->name);
}

static int by_tensor(const void *a, const void *b) {
  return strcmp((*(const struct st_tensor *const *)a)->name, (*(const struct st_tensor *const *)b)->name);
}

static bool plain_name(const char *name) {
  return *name && *name != '.' && !strchr(name, '/') && !strchr(name, '\\') && strlen(name) < 256;
}

static struct shard *find_shard(const struct weights *w, const char *name) {
  struct shard key = {.name = name};
  return bsearch(&key, w->shards, w->shard_count, sizeof key, by_shard);
}

// The shards that the map names, each once.
static enum vkd_status list_shards(struct weights *w, const json_t *map, struct vkd_error *err) {
  const char *tensor;
  json_t *value;
  size_t n = 0, kept = 0;
  if (!json_is_object(map) || !json_object_size(map))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: weight_map is missing or empty: no index of shards", w->path);
  w->shards = calloc(json_object_size(map), sizeof *w->shards);
  if (!w->shards) return no_memory(w->path, err);
  json_object_foreach((json_t *)map, tensor, value) {
    const char *name = json_string_value(value);
    if (!name) return vkd_fail(err, VKD_ERR_INPUT, "%s: weight_map of '%.200s' is no file name", w->path, tensor);
    if (!plain_name(name))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: weight_map of '%.200s' names '%.200s': shards must lie beside the index",
                      w->path, tensor, name);
    w->shards[n++].name = name;
  }
  qsort(w->shards, n, sizeof *w->shards, by_shard);
  for (size_t i = 0; i < n; i++)
    if (!kept || strcmp(w->shards[kept - 1].name, w->shards[i].name) != 0) w->shards[kept++] = w->shards[i];
  w->shard_count = kept;
  return kept <= MAX_SHARDS
             ? VKD_OK
             : vkd_fail(err, VKD_ERR_INPUT, "%s: %zu shards, at most %d are read", w->path, kept, MAX_SHARDS);
}

static enum vkd_status open_shards(struct weights *w, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (size_t i = 0; i < w->shard_count && st == VKD_OK; i++) {
    char *path = fileio_join(w->folder, w->shards[i].name);
    st = path ? st_open(path, &w->shards[i].file, err) : no_memory(w->path, err);
    free(path);
    if (st != VKD_OK) vkd_error_prefix(err, "%s", w->path);
  }
  return st;
}

static enum vkd_status take_tensors(struct weights *w, const json_t *map, struct vkd_error *err) {
  const char *name;
  json_t *value;
  w->tensors = calloc(json_object_size(map), sizeof *w->tensors);
  if (!w->tensors) return no_memory(w->path, err);
  json_object_foreach((json_t *)map, name, value) {
    const struct shard *shard = find_shard(w, json_string_value(value));
    const struct st_tensor *t = st_find(shard->file, name);
    if (!t)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s' is not in its shard %s", w->path, name, shard->name);
    w->tensors[w->count++] = t;
  }
  for (size_t i = 0; i < w->shard_count; i++)
    for (size_t k = 0; k < st_count(w->shards[i].file); k++) {
      const char *tensor = st_at(w->shards[i].file, k)->name, *at = json_string_value(json_object_get(map, tensor));
      if (!at || strcmp(at, w->shards[i].name) != 0)
        return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s' of shard %s is not in weight_map%s%.200s", w->path,
                        tensor, w->shards[i].name, at ? " but as one of " : "", at ? at : "");
    }
  qsort(w->tensors, w->count, sizeof *w->tensors, by_tensor);
  return VKD_OK;
}

static enum vkd_status open_index(struct weights *w, struct vkd_error *err) {
  char *text = NULL;
  size_t size;
  json_error_t why;
  enum vkd_status st = fileio_read_whole(w->path, INDEX_LIMIT, &text, &size, err);
  if (st != VKD_OK) return st;
  w->index = json_in(text, size, JSON_IN_VALUES, &why);
  free(text);
  if (!w->index) return vkd_fail(err, VKD_ERR_INPUT, "%s:%d: not JSON: %s", w->path, why.line, why.text);
  const json_t *map = json_object_get(w->index, "weight_map");
  st = list_shards(w, map, err);
  if (st == VKD_OK) st = open_shards(w, err);
  if (st == VKD_OK) st = take_tensors(w, map, err);
  return st;
}

// ---- one file ------------------------------------------------------------------------------------------------------
static enum vkd_status take_file(struct weights *w, const struct st_file *file, struct vkd_error *err) {
  w->file = file;
  w->tensors = calloc(st_count(file) + 1, sizeof *w->tensors);
  if (!w->tensors) return no_memory(w->path, err);
  for (size_t i = 0; i < st_count(file); i++) w->tensors[w->count++] = st_at(file, i);
  return VKD_OK;
}

// ---- paths ---------------------------------------------------------------------------------------------------------
static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static const char index_end[] = ".safetensors.index.json", file_end[] = ".safetensors";

// The one file of the folder with that ending; "diffusion_pytorch_model" + ending before all others.
static enum vkd_status find_in(const char *folder, const char *end, char **path, struct vkd_error *err) {
  char usual[64], *found = NULL;
  int count = 0;
  DIR *dir = opendir(folder);
  if (!dir) return vkd_fail(err, VKD_ERR_INPUT, "%s: the folder cannot be read", folder);
  snprintf(usual, sizeof usual, "diffusion_pytorch_model%s", end);
  for (struct dirent *e; (e = readdir(dir));) {
    if (e->d_name[0] == '.' || !ends_with(e->d_name, end)) continue;
    bool best = strcmp(e->d_name, usual) == 0;
    count++;
    if (!found || best) {
      free(found);
      found = strdup(e->d_name);
    }
    if (best) {
      count = 1;
      break;
    }
  }
  closedir(dir);
  enum vkd_status st = VKD_OK;
  if (count > 1)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds %d files *%s (one is %s); name the one that is meant", folder, count,
                  end, found);
  else if (count && !(found && (*path = fileio_join(folder, found))))
    st = no_memory(folder, err);
  free(found);
  return st;
}

static enum vkd_status find_in_folder(const char *folder, char **path, struct vkd_error *err) {
  enum vkd_status st = find_in(folder, index_end, path, err);
  if (st == VKD_OK && !*path) st = find_in(folder, file_end, path, err);
  if (st != VKD_OK || *path) return st;
  char *inner = fileio_join(folder, "transformer");
  if (!inner) return no_memory(folder, err);
  if (fileio_is_dir(inner)) {
    st = find_in(inner, index_end, path, err);
    if (st == VKD_OK && !*path) st = find_in(inner, file_end, path, err);
  }
  free(inner);
  return st == VKD_OK && !*path ? vkd_fail(err, VKD_ERR_INPUT,
                                           "%s: holds no .safetensors and no .safetensors.index.json (PyTorch's .pt, "
                                           ".pth and .bin are not read)",
                                           folder)
                                : st;
}

static enum vkd_status set_path(struct weights *w, const char *path, struct vkd_error *err) {
  const char *slash = strrchr(path, '/');
  w->path = strdup(path);
  w->folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
  return w->path && w->folder ? VKD_OK : no_memory(path, err);
}

// Files that run code when they are read.
static enum vkd_status refuse_pickle(const char *path, struct vkd_error *err) {
  static const char *const ends[] = {".pt", ".pth", ".bin", ".ckpt"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
    if (ends_with(path, ends[i]))
      return vkd_fail(err, VKD_ERR_INPUT,
                      "%s: PyTorch's own files are not read; write its tensors with safetensors.torch.save_file()",
                      path);
  return VKD_OK;
}

enum vkd_status weights_open(struct weights **out, const char *path, struct vkd_error *err) {
  char *found = NULL;
  enum vkd_status st = VKD_OK;
  struct weights *w = *out = calloc(1, sizeof *w);
  if (!w) return no_memory(path, err);
  if (fileio_is_dir(path))
    st = find_in_folder(path, &found, err);
  else
    st = refuse_pickle(path, err);
  if (st == VKD_OK) st = set_path(w, found ? found : path, err);
  if (st != VKD_OK) goto fail;
  if (ends_with(w->path, ".json")) {
    st = open_index(w, err);
  } else {
    st = st_open(w->path, &w->own, err);
    if (st == VKD_OK) st = take_file(w, w->own, err);
  }
fail:
  free(found);
  if (st != VKD_OK) weights_close(out);
  return st;
}

enum vkd_status weights_wrap(struct weights **out, const struct st_file *file, struct vkd_error *err) {
  struct weights *w = *out = calloc(1, sizeof *w);
  if (!w) return no_memory(st_path(file), err);
  enum vkd_status st = set_path(w, st_path(file), err);
  if (st == VKD_OK) st = take_file(w, file, err);
  if (st != VKD_OK) weights_close(out);
  return st;
}

void weights_close(struct weights **weights) {
  struct weights *w = *weights;
  if (!w) return;
  for (size_t i = 0; i < w->shard_count; i++) st_close(&w->shards[i].file);
  st_close(&w->own);
  json_decref(w->index);
  free(w->shards);
  free(w->tensors);
  free(w->path);
  free(w->folder);
  free(w);
  *weights = NULL;
}

const char *weights_path(const struct weights *w) { return w->path; }
const char *weights_folder(const struct weights *w) { return w->folder; }
size_t weights_count(const struct weights *w) { return w->count; }
const struct st_tensor *weights_at(const struct weights *w, size_t i) { return w->tensors[i]; }

const struct st_tensor *weights_find(const struct weights *w, const char *name) {
  struct st_tensor key = {.name = name};
  const struct st_tensor *wanted = &key;
  const struct st_tensor **found = bsearch(&wanted, w->tensors, w->count, sizeof *w->tensors, by_tensor);
  return found ? *found : NULL;
}

const char *weights_metadata(const struct weights *w, const char *key) {
  return w->file ? st_metadata(w->file, key) : NULL;
}
size_t weights_metadata_count(const struct weights *w) { return w->file ? st_metadata_count(w->file) : 0; }
void weights_metadata_at(const struct weights *w, size_t i, const char **key, const char **value) {
  st_metadata_at(w->file, i, key, value);
}
