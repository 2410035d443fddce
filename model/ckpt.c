#include "vkdm/ckpt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_in.h"
#include "vkd/hash.h"
#include "vkd/log.h"
#include "vkdm/derive.h"
#include "vkdm/fileio.h"
#include "vkdm/lora.h"

enum { FORMAT = 1, STATE_LIMIT = 16 << 20, PATH_SIZE = 4096 };

static const struct {
  enum params_kind kind;
  const char *name;
} files[] = {{PARAMS_WEIGHT, "weights.safetensors"},
             {PARAMS_EMA, "ema.safetensors"},
             {PARAMS_M, "m.safetensors"},
             {PARAMS_V, "v.safetensors"}};
_Static_assert(sizeof files / sizeof files[0] == CKPT_FILES, "a file of each kind");

enum params_kind ckpt_kind(int file) { return files[file].kind; }

void ckpt_state_free(struct ckpt_state *s) {
  for (uint32_t i = 0; s->class_names && i < s->class_count; i++) free(s->class_names[i]);
  free(s->class_names);
  free(s->config);
  free(s->base);
  *s = (struct ckpt_state){0};
}

static enum vkd_status make_path(char *out, const char *folder, const char *name, struct vkd_error *err) {
  int n = snprintf(out, PATH_SIZE, "%s/%s", folder, name);
  return n > 0 && n < PATH_SIZE ? VKD_OK : vkd_fail(err, VKD_ERR_INPUT, "%.200s...: the path is too long", folder);
}

static enum vkd_status hash_file(const char *path, char hex[17], struct vkd_error *err) {
  errno = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO would hang us
  struct stat info;
  void *map = MAP_FAILED;
  if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
    map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  int why = errno;
  if (fd >= 0) close(fd);
  errno = why;
  if (map == MAP_FAILED)
    return why ? fileio_fail("read it", path, err) : vkd_fail(err, VKD_ERR_INPUT, "%s: it is empty or no file", path);
  snprintf(hex, 17, "%016" PRIx64, hash_xxh64(map, (size_t)info.st_size, 0));
  munmap(map, (size_t)info.st_size);
  return VKD_OK;
}

// ---- state as JSON -------------------------------------------------------------------------------------------------
// The integers of struct dit_config, by name.
#define MODEL_FIELDS(X)                                                                                                \
  X(dim)                                                                                                               \
  X(depth)                                                                                                             \
  X(heads)                                                                                                             \
  X(ffn)                                                                                                               \
  X(freq_dim)                                                                                                          \
  X(text_dim)                                                                                                          \
  X(text_len)                                                                                                          \
  X(class_rows)                                                                                                        \
  X(in_channels) X(out_channels) X(patch[0]) X(patch[1]) X(patch[2]) X(latent[0]) X(latent[1]) X(latent[2])

static json_t *model_to_json(const struct dit_config *c) {
  json_t *o = json_object();
  json_object_set_new(o, "family", json_string(dit_family_name(c->family)));
#define X(field) json_object_set_new(o, #field, json_integer(c->field));
  MODEL_FIELDS(X)
#undef X
  json_object_set_new(o, "eps", json_real(c->eps));
  if (c->lora.rank > 0)
    json_object_set_new(o, "lora",
                        json_pack("{s:i,s:f,s:i}", "rank", c->lora.rank, "alpha", (double)c->lora.alpha, "targets",
                                  (int)c->lora.targets));
  return o;
}

static enum vkd_status lora_from_json(const json_t *o, struct dit_config *c, struct vkd_error *err) {
  const json_t *rank = json_object_get(o, "rank"), *alpha = json_object_get(o, "alpha"),
               *targets = json_object_get(o, "targets");
  if (!o) return VKD_OK;
  if (!json_is_integer(rank) || !json_is_number(alpha) || !json_is_integer(targets) || json_integer_value(rank) < 1 ||
      json_integer_value(rank) > 1 << 20 || json_integer_value(targets) < 1 ||
      json_integer_value(targets) > DIT_LORA_ALL)
    return vkd_fail(err, VKD_ERR_INPUT, "model.lora: rank, alpha or targets is missing or out of range");
  c->lora.rank = (int)json_integer_value(rank);
  c->lora.alpha = (float)json_number_value(alpha);
  c->lora.targets = (unsigned)json_integer_value(targets);
  return VKD_OK;
}

static enum vkd_status model_from_json(const json_t *o, struct dit_config *c, struct vkd_error *err) {
  const json_t *v = json_object_get(o, "family");
  const char *family = json_string_value(v);
  *c = (struct dit_config){.family = DIT_CROSS}; // where none is named
  for (int i = 0; family && i < DIT_FAMILIES; i++)
    if (strcmp(family, dit_family_name((enum dit_family)i)) == 0) c->family = (enum dit_family)i;
  if (v && (!family || strcmp(family, dit_family_name(c->family)) != 0))
    return vkd_fail(err, VKD_ERR_INPUT, "model.family is unknown");
#define X(field)                                                                                                       \
  v = json_object_get(o, #field);                                                                                      \
  if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 1 << 20)                             \
    return vkd_fail(err, VKD_ERR_INPUT, "model.%s is missing or out of range", #field);                                \
  c->field = (int)json_integer_value(v);
  MODEL_FIELDS(X)
#undef X
  v = json_object_get(o, "eps");
  if (!json_is_number(v) || !(json_number_value(v) > 0))
    return vkd_fail(err, VKD_ERR_INPUT, "model.eps is missing or not above 0");
  c->eps = (float)json_number_value(v);
  enum vkd_status st = lora_from_json(json_object_get(o, "lora"), c, err);
  return st == VKD_OK ? dit_config_check(c, err) : st;
}

static enum vkd_status write_state(const char *folder, const struct ckpt_state *s, struct vkd_error *err) {
  char path[PATH_SIZE], hex[17];
  json_t *root = json_object(), *hashes = json_object(), *names = json_array();
  enum vkd_status st = VKD_OK;
  char *text = NULL;
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++) {
    st = make_path(path, folder, files[i].name, err);
    if (st == VKD_OK) st = hash_file(path, hex, err);
    if (st == VKD_OK) json_object_set_new(hashes, files[i].name, json_string(hex));
  }
  for (uint32_t i = 0; i < s->class_count; i++) json_array_append_new(names, json_string(s->class_names[i]));
  snprintf(hex, sizeof hex, "%016" PRIx64, s->data_fingerprint);
  json_object_set_new(root, "format", json_integer(FORMAT));
  json_object_set_new(root, "step", json_integer(s->step));
  json_object_set_new(root, "model", model_to_json(&s->model));
  json_object_set_new(root, "codec", latent_codec_to_json(&s->codec));
  json_object_set_new(root, "data", json_string(hex));
  json_object_set_new(root, "classes", names);
  json_object_set_new(root, "config", json_string(s->config));
  if (s->base) {
    snprintf(hex, sizeof hex, "%016" PRIx64, s->base_hash);
    json_object_set_new(root, "base", json_pack("{s:s,s:s}", "path", s->base, "hash", hex));
  }
  json_object_set_new(root, "loss_scale", loss_scale_to_json(&s->loss_scale));
  json_object_set_new(root, "files", hashes);
  if (st == VKD_OK && !(text = json_dumps(root, JSON_INDENT(1))))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a checkpoint's state");
  if (st == VKD_OK) st = make_path(path, folder, "state.json", err);
  if (st == VKD_OK) st = fileio_write_whole(path, text, strlen(text), err);
  free(text);
  json_decref(root);
  return st;
}

static enum vkd_status read_names(const json_t *names, struct ckpt_state *s, struct vkd_error *err) {
  if (!json_is_array(names)) return vkd_fail(err, VKD_ERR_INPUT, "classes is not a list");
  s->class_names = calloc(json_array_size(names) + 1, sizeof *s->class_names);
  for (size_t i = 0; s->class_names && i < json_array_size(names); i++) {
    const char *name = json_string_value(json_array_get(names, i));
    if (!name) return vkd_fail(err, VKD_ERR_INPUT, "classes[%zu] is not a name", i);
    if (!(s->class_names[i] = strdup(name))) break;
    s->class_count++;
  }
  return s->class_names && s->class_count == json_array_size(names)
             ? VKD_OK
             : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
}

// Samples of the model become video through the codec.
static enum vkd_status check_latent(const struct ckpt_state *s, struct vkd_error *err) {
  struct latent_shape l = latent_shape(&s->codec);
  const struct dit_config *m = &s->model;
  if ((int)l.c == m->in_channels && (int)l.t == m->latent[0] && (int)l.h == m->latent[1] && (int)l.w == m->latent[2])
    return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT, "codec: latents of %u x %u x %u x %u, the model's are %d x %d x %d x %d", l.c,
                  l.t, l.h, l.w, m->in_channels, m->latent[0], m->latent[1], m->latent[2]);
}

// A run with adapters names what they lie on.
static enum vkd_status read_base(const json_t *base, struct ckpt_state *s, struct vkd_error *err) {
  const char *path = json_string_value(json_object_get(base, "path")),
             *hash = json_string_value(json_object_get(base, "hash"));
  if (!s->model.lora.rank && !base) return VKD_OK;
  if (!s->model.lora.rank || !path || !hash)
    return vkd_fail(err, VKD_ERR_INPUT, "base: a path and a hash are wanted beside model.lora, and only there");
  s->base_hash = strtoull(hash, NULL, 16);
  return (s->base = strdup(path)) ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
}

static enum vkd_status parse_state(const json_t *root, const char *folder, struct ckpt_state *s,
                                   struct vkd_error *err) {
  const json_t *step = json_object_get(root, "step"), *hashes = json_object_get(root, "files");
  const char *config = json_string_value(json_object_get(root, "config")),
             *data = json_string_value(json_object_get(root, "data"));
  if (json_integer_value(json_object_get(root, "format")) != FORMAT)
    return vkd_fail(err, VKD_ERR_INPUT, "format is not %d: made by another version", FORMAT);
  if (!json_is_integer(step) || json_integer_value(step) < 0 || !config || !data)
    return vkd_fail(err, VKD_ERR_INPUT, "step, config or data is missing");
  s->step = json_integer_value(step);
  s->data_fingerprint = strtoull(data, NULL, 16);
  if (!(s->config = strdup(config))) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a checkpoint's state");
  enum vkd_status st = model_from_json(json_object_get(root, "model"), &s->model, err);
  if (st == VKD_OK) st = latent_codec_from_json(json_object_get(root, "codec"), &s->codec, err);
  if (st == VKD_OK) st = check_latent(s, err);
  if (st == VKD_OK) st = read_names(json_object_get(root, "classes"), s, err);
  if (st == VKD_OK) st = read_base(json_object_get(root, "base"), s, err);
  const json_t *scale = json_object_get(root, "loss_scale");
  if (st == VKD_OK && scale) st = loss_scale_from_json(scale, &s->loss_scale, err);
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++) {
    char path[PATH_SIZE], hex[17];
    const char *want = json_string_value(json_object_get(hashes, files[i].name));
    st = make_path(path, folder, files[i].name, err);
    if (st == VKD_OK) st = hash_file(path, hex, err);
    if (st == VKD_OK && (!want || strcmp(want, hex) != 0))
      st = vkd_fail(err, VKD_ERR_INPUT, "%s is damaged: its hash is %s, not %s", files[i].name, hex,
                    want ? want : "(missing)");
  }
  return st;
}

enum vkd_status ckpt_open(const char *folder, struct ckpt_state *s, struct vkd_error *err) {
  char path[PATH_SIZE], *text = NULL;
  size_t size = 0;
  json_error_t where;
  *s = (struct ckpt_state){0};
  enum vkd_status st = make_path(path, folder, "state.json", err);
  if (st == VKD_OK) st = fileio_read_whole(path, STATE_LIMIT, &text, &size, err);
  if (st != VKD_OK) return st;
  json_t *root = json_in(text, size, JSON_IN_VALUES, &where);
  free(text);
  if (!root) return vkd_fail(err, VKD_ERR_INPUT, "%s:%d: not JSON: %s", path, where.line, where.text);
  if ((st = parse_state(root, folder, s, err)) != VKD_OK) vkd_error_prefix(err, "%s", path);
  json_decref(root);
  if (st != VKD_OK) ckpt_state_free(s);
  return st;
}

const char *ckpt_file(enum params_kind kind) {
  for (int i = 0; i < CKPT_FILES; i++)
    if (files[i].kind == kind) return files[i].name;
  return NULL;
}

enum vkd_status ckpt_load(const char *folder, struct params *params, enum params_kind from, enum params_kind into,
                          struct vkd_error *err) {
  char path[PATH_SIZE];
  struct st_file *file = NULL;
  enum vkd_status st = make_path(path, folder, ckpt_file(from), err);
  if (st == VKD_OK && params->config.lora.rank > 0) return lora_restore(path, params, into, err);
  if (st == VKD_OK) st = st_open(path, &file, err);
  if (st == VKD_OK) st = params_load(params, into, file, NULL, err);
  st_close(&file);
  return st;
}

// ---- folders -------------------------------------------------------------------------------------------------------
static void remove_folder(const char *folder) {
  char path[PATH_SIZE];
  DIR *dir = opendir(folder);
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
        make_path(path, folder, e->d_name, NULL) == VKD_OK)
      unlink(path);
  closedir(dir);
  rmdir(folder);
}

// What killed runs were writing or removing.
static void remove_partial(const char *parent) {
  char path[PATH_SIZE];
  DIR *dir = opendir(parent);
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));) {
    const char *end = strrchr(e->d_name, '.');
    if (strncmp(e->d_name, ".step-", 6) == 0 && strcmp(end, ".partial") == 0 &&
        make_path(path, parent, e->d_name, NULL) == VKD_OK)
      remove_folder(path);
  }
  closedir(dir);
}

// A checkpoint that is removed goes as a whole, too: what a kill leaves is no checkpoint.
static enum vkd_status remove_checkpoint(const char *parent, const char *name, struct vkd_error *err) {
  char path[PATH_SIZE], gone[PATH_SIZE], hidden[300];
  snprintf(hidden, sizeof hidden, ".%s.partial", name);
  enum vkd_status st = make_path(path, parent, name, err);
  if (st == VKD_OK) st = make_path(gone, parent, hidden, err);
  if (st != VKD_OK) return st;
  remove_folder(gone);
  if (rename(path, gone) != 0 && errno != ENOENT)
    return vkd_fail(err, VKD_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
  remove_folder(gone);
  return VKD_OK;
}

// So that a weight file tells its model without the state beside it, too.
static enum vkd_status make_metadata(const struct ckpt_state *s, const char *folder, struct derive_meta *meta,
                                     struct vkd_error *err) {
  struct config config;
  enum vkd_status st = config_from_string(folder, s->config, strlen(s->config), NULL, 0, &config, err);
  if (st != VKD_OK) return st;
  const struct derived model = {.config = s->model,
                                .heads_known = true,
                                .text_known = s->model.family == DIT_CROSS,
                                .latent_known = true,
                                .objective_known = true,
                                .objective = config.train.objective};
  derive_metadata(&model, meta);
  return VKD_OK;
}

static enum vkd_status write_files(const char *folder, const struct ckpt_state *s, const struct params *params,
                                   struct ckpt_fetch fetch, struct vkd_error *err) {
  char path[PATH_SIZE];
  struct derive_meta meta;
  enum vkd_status st = make_metadata(s, folder, &meta, err);
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++) {
    st = make_path(path, folder, files[i].name, err);
    if (st == VKD_OK) st = fetch.whole(fetch.user, files[i].kind, err);
    if (st == VKD_OK && params->config.lora.rank > 0)
      st = lora_save(params, files[i].kind, path, err);
    else if (st == VKD_OK)
      st = params_save(params, files[i].kind, dit_native_naming(&params->config), path, meta.rows, meta.count, err);
  }
  return st == VKD_OK ? write_state(folder, s, err) : st;
}

// Reads back what was written, from the disk where the system lets go of its copies.
static enum vkd_status prove(const char *folder, struct vkd_error *err) {
  char path[PATH_SIZE];
  struct ckpt_state s;
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++) {
    struct st_file *file = NULL;
    if ((st = make_path(path, folder, files[i].name, err)) != VKD_OK) break;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      close(fd);
    }
    st = st_open(path, &file, err);
    st_close(&file);
  }
  if (st == VKD_OK && (st = ckpt_open(folder, &s, err)) == VKD_OK) ckpt_state_free(&s);
  if (st == VKD_OK) return st;
  if (err) {
    vkd_error_prefix(err, "a checkpoint just written cannot be read back");
    err->status = VKD_ERR_IO;
  }
  return VKD_ERR_IO;
}

// NAME of an earlier save becomes NAME.old, which counts as a checkpoint until NAME is there again.
static enum vkd_status put_in_place(const char *parent, const char *temp, const char *name, struct vkd_error *err) {
  char final[PATH_SIZE], old[PATH_SIZE], old_name[64];
  snprintf(old_name, sizeof old_name, "%.40s.old", name);
  enum vkd_status st = make_path(final, parent, name, err);
  if (st == VKD_OK) st = make_path(old, parent, old_name, err);
  if (st == VKD_OK && fileio_is_dir(final)) {
    st = remove_checkpoint(parent, old_name, err);
    if (st == VKD_OK && rename(final, old) != 0)
      st = vkd_fail(err, VKD_ERR_IO, "%s: cannot be moved aside: %s", final, strerror(errno));
  }
  if (st == VKD_OK && rename(temp, final) != 0)
    st = vkd_fail(err, VKD_ERR_IO, "%s: cannot be renamed from its temporary name: %s", final, strerror(errno));
  if (st == VKD_OK) st = fileio_sync_dir(parent, err);
  return st == VKD_OK ? remove_checkpoint(parent, old_name, err) : st;
}

enum vkd_status ckpt_save(const char *run, const struct ckpt_state *s, const struct params *params,
                          struct ckpt_fetch fetch, struct vkd_error *err) {
  char parent[PATH_SIZE], name[64], hidden[80], temp[PATH_SIZE];
  enum vkd_status st = make_path(parent, run, "checkpoints", err);
  if (st == VKD_OK) st = fileio_make_dirs(parent, err);
  snprintf(name, sizeof name, "step-%09" PRId64, s->step);
  snprintf(hidden, sizeof hidden, ".%s.partial", name);
  if (st == VKD_OK) st = make_path(temp, parent, hidden, err);
  if (st != VKD_OK) return st;
  remove_partial(parent);
  if ((st = fileio_make_dirs(temp, err)) == VKD_OK) st = write_files(temp, s, params, fetch, err);
  if (st == VKD_OK) st = prove(temp, err);
  if (st == VKD_OK) st = fileio_sync_dir(temp, err);
  if (st == VKD_OK) st = put_in_place(parent, temp, name, err);
  if (st != VKD_OK) remove_folder(temp);
  return st;
}

// Of "step-N" and "step-N.old".
static int64_t step_of(const char *name) {
  if (strncmp(name, "step-", 5) != 0 || !isdigit((unsigned char)name[5])) return -1;
  char *end;
  errno = 0;
  int64_t step = strtoll(name + 5, &end, 10);
  return errno == 0 && (strcmp(end, "") == 0 || strcmp(end, ".old") == 0) ? step : -1;
}

static int by_step(const struct dirent **a, const struct dirent **b) {
  int64_t x = step_of((*a)->d_name), y = step_of((*b)->d_name);
  if (x != y) return x < y ? -1 : 1;
  return strlen((*b)->d_name) > strlen((*a)->d_name) ? 1 : -1; // step-N is newer than step-N.old
}
static int is_step(const struct dirent *e) { return step_of(e->d_name) >= 0; }

static void free_list(struct dirent **list, int n) {
  for (int i = 0; i < n; i++) free(list[i]);
  free(list);
}

// The checkpoints below `parent`, oldest first; none where it is missing.  A folder that cannot be read is an error,
// lest a run that has some starts anew.
static enum vkd_status list_steps(const char *parent, struct dirent ***list, int *n, struct vkd_error *err) {
  *list = NULL;
  *n = scandir(parent, list, is_step, by_step);
  if (*n >= 0) return VKD_OK;
  *n = 0;
  *list = NULL;
  return errno == ENOENT || errno == ENOTDIR ? VKD_OK : fileio_fail("read the folder", parent, err);
}

enum vkd_status ckpt_newest(const char *run, char **path, struct vkd_error *err) {
  char parent[PATH_SIZE];
  struct dirent **list = NULL;
  *path = NULL;
  enum vkd_status st = make_path(parent, run, "checkpoints", err);
  int n = 0;
  if (st == VKD_OK) st = list_steps(parent, &list, &n, err);
  if (n > 0 && !(*path = fileio_join(parent, list[n - 1]->d_name)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  free_list(list, n);
  return st;
}

// The newest of list[n] that is whole.
static enum vkd_status open_newest(const char *parent, struct dirent **list, int n, char **folder, struct ckpt_state *s,
                                   struct vkd_error *err) {
  for (int i = n - 1; i >= 0; i--) {
    struct vkd_error why = {0};
    char *path = fileio_join(parent, list[i]->d_name);
    enum vkd_status st = path ? ckpt_open(path, s, &why) : vkd_fail(&why, VKD_ERR_HOST_MEMORY, "no memory for a path");
    if (st == VKD_OK) {
      *folder = path;
      return st;
    }
    free(path);
    if (i == 0 || st == VKD_ERR_HOST_MEMORY) return vkd_fail(err, st, "%s", why.what);
    vkd_log(VKD_LOG_WARN, "%.900s; trying the one before, %s", why.what, list[i - 1]->d_name);
  }
  return VKD_OK;
}

enum vkd_status ckpt_find(const char *path, char **folder, struct ckpt_state *s, struct vkd_error *err) {
  char parent[PATH_SIZE], state[PATH_SIZE];
  struct dirent **list = NULL;
  *folder = NULL;
  *s = (struct ckpt_state){0};
  enum vkd_status st = make_path(parent, path, "checkpoints", err);
  if (st == VKD_OK) st = make_path(state, path, "state.json", err);
  if (st != VKD_OK) return st;
  if (!fileio_is_file(state)) {
    int n;
    st = list_steps(parent, &list, &n, err);
    if (st == VKD_OK) st = open_newest(parent, list, n, folder, s, err);
    free_list(list, n);
  } else if ((st = ckpt_open(path, s, err)) == VKD_OK && !(*folder = strdup(path))) {
    ckpt_state_free(s);
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  }
  return st;
}

// Of those up to `step`, all but the newest `keep`.
static enum vkd_status remove_oldest(const char *run, int keep, int64_t step, struct vkd_error *err) {
  char parent[PATH_SIZE];
  struct dirent **list = NULL;
  int n = 0;
  enum vkd_status st = make_path(parent, run, "checkpoints", err);
  if (st != VKD_OK) return st;
  remove_partial(parent);
  st = list_steps(parent, &list, &n, err);
  int known = n;
  while (known > 0 && step_of(list[known - 1]->d_name) > step) known--;
  for (int i = 0; known - i > keep && st == VKD_OK; i++) st = remove_checkpoint(parent, list[i]->d_name, err);
  free_list(list, n);
  return st;
}

enum vkd_status ckpt_prune(const char *run, int keep, int64_t step, struct vkd_error *err) {
  char parent[PATH_SIZE], name[64];
  snprintf(name, sizeof name, "step-%09" PRId64 ".old", step);
  enum vkd_status st = make_path(parent, run, "checkpoints", err);
  if (st == VKD_OK) st = remove_checkpoint(parent, name, err);
  return st != VKD_OK ? st : remove_oldest(run, keep > 0 ? keep : INT_MAX, step, err);
}
enum vkd_status ckpt_remove_all(const char *run, struct vkd_error *err) {
  return remove_oldest(run, 0, INT64_MAX, err);
}
