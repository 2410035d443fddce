// Parameters to and from safetensors, in the public namings.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/params.h"

enum { PIECE = 1 << 20 }; // elements converted at once

static const char comfy_prefix[] = "model.diffusion_model.";

static const struct st_tensor *find(const struct st_file *file, const char *prefix, const char *name) {
  char full[160];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return st_find(file, full);
}

// The naming and prefix under which the file holds the most of the parameters.
static int recognise(const struct params *p, const struct st_file *file, enum dit_naming *naming, const char **prefix) {
  int best = -1;
  for (int n = 0; n < DIT_NAMINGS; n++)
    for (int with = 0; with < 2; with++) {
      const char *pre = with ? comfy_prefix : "";
      int hits = 0;
      for (int i = 0; i < p->count; i++) hits += find(file, pre, p->rows[i].name[n]) != NULL;
      if (hits > best) {
        best = hits;
        *naming = (enum dit_naming)n;
        *prefix = pre;
      }
    }
  return best;
}

static bool same_shape(const struct st_tensor *t, const struct vkd_shape *shape) {
  if (t->ndim != shape->rank) return false;
  for (int i = 0; i < t->ndim; i++)
    if (t->shape[i] != (uint64_t)shape->dim[i]) return false;
  return true;
}

static void append(char *list, size_t size, int *count, const char *name, const char *why) {
  size_t at = strlen(list);
  if (at + 1 < size) snprintf(list + at, size - at, "%s%s%s", *count ? ", " : "", name, why);
  (*count)++;
}

// Every tensor that is missing, of another shape, or unknown, in one message.
static enum vkd_status check_names(const struct params *p, enum params_kind kind, const struct st_file *file,
                                   enum dit_naming naming, const char *prefix, struct vkd_error *err) {
  char list[700] = "";
  int bad = 0;
  for (int i = 0; i < p->count; i++) {
    const struct st_tensor *t = find(file, prefix, p->rows[i].name[naming]);
    if (!params_has(p, kind, i)) continue;
    if (!t)
      append(list, sizeof list, &bad, p->rows[i].name[naming], " is missing");
    else if (!same_shape(t, &p->rows[i].shape))
      append(list, sizeof list, &bad, p->rows[i].name[naming], " has another shape");
  }
  for (size_t k = 0; k < st_count(file); k++) {
    const char *name = st_at(file, k)->name;
    size_t skip = strlen(prefix);
    bool known = strncmp(name, prefix, skip) == 0;
    for (int i = 0; i < p->count && known; i++) {
      if (strcmp(name + skip, p->rows[i].name[naming]) == 0) break;
      if (i == p->count - 1) known = false;
    }
    if (!known) append(list, sizeof list, &bad, name, " is unknown");
  }
  if (!bad) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT, "%s: %d tensors do not fit the model: %s", st_path(file), bad, list);
}

enum vkd_status params_load(struct params *p, enum params_kind kind, const struct st_file *file,
                            enum dit_naming *naming, struct vkd_error *err) {
  enum dit_naming found = DIT_NAMING_WAN;
  const char *prefix = "";
  recognise(p, file, &found, &prefix);
  enum vkd_status st = check_names(p, kind, file, found, prefix, err);
  if (st != VKD_OK) return st;
  float *piece = malloc(PIECE * sizeof *piece);
  if (!piece) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to load weights");
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    if (!params_has(p, kind, i)) continue;
    const struct st_tensor *t = find(file, prefix, p->rows[i].name[found]);
    for (uint64_t at = 0; at < t->numel && st == VKD_OK; at += PIECE) {
      uint64_t n = t->numel - at < PIECE ? t->numel - at : PIECE;
      st = st_read_f32_part(t, at, n, piece, err);
      if (st == VKD_OK) st = params_write_part(p, kind, i, at, n, piece, err);
    }
  }
  free(piece);
  if (naming) *naming = found;
  return st;
}

struct fill {
  const struct params *params;
  enum params_kind kind;
  int index;
};

static enum vkd_status fill_from_device(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  const struct fill *f = user;
  return params_read_part(f->params, f->kind, f->index, offset / 4, size / 4, dst, err);
}

enum vkd_status params_save(const struct params *p, enum params_kind kind, enum dit_naming naming, const char *path,
                            const struct st_meta *meta, size_t meta_count, struct vkd_error *err) {
  struct st_entry *entries = calloc((size_t)p->count, sizeof *entries);
  struct fill *fills = calloc((size_t)p->count, sizeof *fills);
  enum vkd_status st = VKD_OK;
  if (!entries || !fills) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to save %d tensors", p->count);
  size_t n = 0;
  for (int i = 0; i < p->count && st == VKD_OK; i++) {
    if (!params_has(p, kind, i)) continue;
    struct st_entry *entry = &entries[n];
    fills[n] = (struct fill){p, kind, i};
    *entry = (struct st_entry){.name = p->rows[i].name[naming],
                               .dtype = ST_F32,
                               .ndim = p->rows[i].shape.rank,
                               .fill = fill_from_device,
                               .user = &fills[n++]};
    for (int d = 0; d < entry->ndim; d++) entry->shape[d] = (uint64_t)p->rows[i].shape.dim[d];
  }
  if (st == VKD_OK) st = st_write(path, entries, n, meta, meta_count, err);
  free(entries);
  free(fills);
  return st;
}
