#include "vkdm/source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
  const struct weights *weights;
  struct dit_config config;
  enum dit_naming naming;
  const char *prefix;
  struct dit_param *params; // [param_count]
  int param_count;
  struct naming_tensor *tensors; // [tensor_count], in the order of params
  int tensor_count;
  const struct st_tensor **found; // [tensor_count]; NULL: the file has none
  int *first;                     // [param_count + 1]: the tensors of params[i] are first[i] .. first[i + 1] - 1
};

static const struct st_tensor *find(const struct weights *w, const char *prefix, const char *name) {
  char full[160];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return weights_find(w, full);
}

// The naming and prefix under which the file holds the most tensors of the model; the first of them on a tie.
static enum vkd_status recognise(struct source *s, struct vkd_error *err) {
  int best = -1;
  for (int n = 0; n < DIT_NAMINGS; n++) {
    struct naming_tensor *list = NULL;
    int count = 0;
    if (!naming_has(s->config.family, (enum dit_naming)n)) continue;
    enum vkd_status st = naming_tensors(&s->config, (enum dit_naming)n, &list, &count, err);
    if (st != VKD_OK) return st;
    bool better = false;
    for (int k = 0; k < NAMING_PREFIXES; k++) {
      int hits = 0;
      for (int i = 0; i < count; i++) hits += find(s->weights, naming_prefixes[k], list[i].name) != NULL;
      if (hits <= best) continue;
      best = hits;
      better = true;
      s->prefix = naming_prefixes[k];
    }
    if (better) {
      free(s->tensors);
      s->tensors = list;
      s->tensor_count = count;
      s->naming = (enum dit_naming)n;
    } else {
      free(list);
    }
  }
  return VKD_OK;
}

// ---- what does not fit ---------------------------------------------------------------------------------------------
enum misfit { FITS, MISSING, SHAPE, DTYPE, UNKNOWN, MISFITS };

static bool same_shape(const struct st_tensor *t, const struct vkd_shape *shape) {
  if (t->ndim != shape->rank) return false;
  for (int i = 0; i < t->ndim; i++)
    if (t->shape[i] != (uint64_t)shape->dim[i]) return false;
  return true;
}

static bool is_float(enum st_dtype dtype) {
  return dtype == ST_F64 || dtype == ST_F32 || dtype == ST_F16 || dtype == ST_BF16 || dtype == ST_F8_E4M3 ||
         dtype == ST_F8_E5M2;
}

static enum misfit judge(const struct source *s, int i) {
  const struct naming_tensor *want = &s->tensors[i];
  const struct st_tensor *t = s->found[i];
  if (!t) return want->optional ? FITS : MISSING;
  if (!same_shape(t, &want->shape)) return SHAPE;
  return is_float(t->dtype) ? FITS : DTYPE;
}

// One line of at most `size` bytes, cut where it is full.
struct text {
  char *at;
  size_t size, used;
};
static void put(struct text *t, const char *fmt, ...) VKD_PRINTF(2, 3);
static void put(struct text *t, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(t->at + t->used, t->size - t->used, fmt, args);
  va_end(args);
  if (n > 0) t->used = t->used + (size_t)n < t->size ? t->used + (size_t)n : t->size - 1;
}

static void put_shapes(struct text *t, const struct st_tensor *got, const struct vkd_shape *want) {
  for (int i = 0; i < got->ndim; i++) put(t, "%s%" PRIu64, i ? "," : " [", got->shape[i]);
  put(t, "%s", got->ndim ? "]" : " []");
  for (int i = 0; i < want->rank; i++) put(t, "%s%" PRId64, i ? "," : ", not [", want->dim[i]);
  put(t, "]");
}

// Names of one kind, as many as there is room for; unknown: those that no tensor of the naming has, [count].
static void put_kind(struct text *out, const struct source *s, enum misfit kind, const enum misfit *judged,
                     const struct st_tensor *const *unknown, int count) {
  static const char *const titles[MISFITS] = {
      [MISSING] = "missing", [SHAPE] = "of another shape", [DTYPE] = "of no float type", [UNKNOWN] = "unknown"};
  enum { REST = 24 }; // of " and N more)"
  char item[320];
  int shown = 0;
  put(out, "%d %s (", count, titles[kind]);
  for (int i = 0; shown < count; i++) {
    struct text one = {item, sizeof item, 0};
    if (kind == UNKNOWN)
      put(&one, "%.200s", unknown[i]->name);
    else if (judged[i] != kind)
      continue;
    else
      put(&one, "%s", s->tensors[i].name);
    if (kind == SHAPE) put_shapes(&one, s->found[i], &s->tensors[i].shape);
    if (kind == DTYPE) put(&one, " %s", st_dtype_name(s->found[i]->dtype));
    if (shown && out->used + one.used + REST > out->size) break;
    put(out, "%s%s", shown ? ", " : "", item);
    shown++;
  }
  if (shown < count) put(out, " and %d more", count - shown);
  put(out, ")");
}

// counts: of each kind, not all zero
static enum vkd_status fail_misfits(const struct source *s, const enum misfit *judged,
                                    const struct st_tensor *const *unknown, const int counts[MISFITS],
                                    struct vkd_error *err) {
  char list[720];
  size_t used = 0;
  int kinds = 0, total = 0;
  for (int k = MISSING; k < MISFITS; k++) {
    kinds += counts[k] > 0;
    total += counts[k];
  }
  for (int k = MISSING; k < MISFITS; k++) {
    if (!counts[k]) continue;
    if (used) used += (size_t)snprintf(list + used, sizeof list - used, ", ");
    struct text out = {list + used, (sizeof list - used) / (size_t)kinds--, 0};
    put_kind(&out, s, (enum misfit)k, judged, unknown, counts[k]);
    used += out.used;
  }
  return vkd_fail(err, VKD_ERR_INPUT, "%.200s: %d tensors do not fit the model (%s, names of %s): %s",
                  weights_path(s->weights), total, dit_family_name(s->config.family), dit_naming_name(s->naming), list);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// The tensors of the file that no name of the model stands for.
static enum vkd_status find_unknown(const struct source *s, const struct st_tensor **unknown, int *count,
                                    struct vkd_error *err) {
  const char **names = malloc((size_t)s->tensor_count * sizeof *names);
  if (!names) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", weights_path(s->weights));
  for (int i = 0; i < s->tensor_count; i++) names[i] = s->tensors[i].name;
  qsort(names, (size_t)s->tensor_count, sizeof *names, by_name);
  size_t skip = strlen(s->prefix);
  for (size_t k = 0; k < weights_count(s->weights); k++) {
    const struct st_tensor *t = weights_at(s->weights, k);
    const char *name = t->name + skip;
    if (strncmp(t->name, s->prefix, skip) != 0 ||
        !bsearch(&name, names, (size_t)s->tensor_count, sizeof *names, by_name))
      unknown[(*count)++] = t;
  }
  free(names);
  return VKD_OK;
}

static enum vkd_status check_names(const struct source *s, struct vkd_error *err) {
  enum misfit *judged = calloc((size_t)s->tensor_count, sizeof *judged);
  const struct st_tensor **unknown = calloc(weights_count(s->weights) + 1, sizeof *unknown);
  int counts[MISFITS] = {0}, bad = 0;
  enum vkd_status st =
      judged && unknown ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", weights_path(s->weights));
  for (int i = 0; i < s->tensor_count && st == VKD_OK; i++) counts[judged[i] = judge(s, i)]++;
  if (st == VKD_OK) st = find_unknown(s, unknown, &counts[UNKNOWN], err);
  for (int k = MISSING; k < MISFITS; k++) bad += counts[k];
  if (st == VKD_OK && bad) st = fail_misfits(s, judged, unknown, counts, err);
  free(judged);
  free(unknown);
  return st;
}

// What a file stores more than once must be the same everywhere, or the model that it means is not known.
static enum vkd_status check_copies(const struct source *s, struct vkd_error *err) {
  for (int i = 1; i < s->tensor_count; i++) {
    if (!s->tensors[i].copy) continue;
    const struct st_tensor *t = s->found[i], *first = s->found[s->first[s->tensors[i].param]];
    if (t->dtype != first->dtype || memcmp(t->data, first->data, (size_t)t->size) != 0)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' is not equal to its copy '%s'", weights_path(s->weights),
                      t->name, first->name);
  }
  return VKD_OK;
}

// ---- opening -------------------------------------------------------------------------------------------------------
static enum vkd_status find_all(struct source *s, struct vkd_error *err) {
  s->found = calloc((size_t)s->tensor_count + 1, sizeof *s->found);
  s->first = calloc((size_t)s->param_count + 1, sizeof *s->first);
  if (!s->found || !s->first) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", weights_path(s->weights));
  for (int i = 0; i < s->tensor_count; i++) {
    s->found[i] = find(s->weights, s->prefix, s->tensors[i].name);
    s->first[s->tensors[i].param + 1] = i + 1;
  }
  enum vkd_status st = check_names(s, err);
  return st == VKD_OK ? check_copies(s, err) : st;
}

enum vkd_status source_open(struct source **out, const struct weights *weights, const struct dit_config *config,
                            struct vkd_error *err) {
  struct source *s = *out = calloc(1, sizeof *s);
  if (!s) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", weights_path(weights));
  s->weights = weights;
  s->config = *config;
  enum vkd_status st = dit_config_check(config, err);
  if (st == VKD_OK) st = dit_params(config, &s->params, &s->param_count, err);
  if (st == VKD_OK) st = recognise(s, err);
  if (st == VKD_OK) st = find_all(s, err);
  if (st != VKD_OK) source_close(out);
  return st;
}

void source_close(struct source **source) {
  struct source *s = *source;
  if (!s) return;
  free(s->params);
  free(s->tensors);
  free(s->found);
  free(s->first);
  free(s);
  *source = NULL;
}

enum dit_naming source_naming(const struct source *s) { return s->naming; }
const char *source_prefix(const struct source *s) { return s->prefix; }
const struct dit_param *source_params(const struct source *s, int *count) {
  *count = s->param_count;
  return s->params;
}

// ---- reading -------------------------------------------------------------------------------------------------------
bool source_stored(const struct source *s, int param) { return s->found[s->first[param]] != NULL; }

// The elements of tensor i that lie in [first, end) of its parameter; false where there are none.
static bool overlap(const struct source *s, int i, uint64_t first, uint64_t end, uint64_t *at, uint64_t *from,
                    uint64_t *to) {
  const struct dit_param *p = &s->params[s->tensors[i].param];
  uint64_t row = (uint64_t)(p->numel / p->shape.dim[0]);
  *at = (uint64_t)s->tensors[i].first * row;
  uint64_t last = *at + (uint64_t)s->tensors[i].rows * row;
  *from = *at > first ? *at : first;
  *to = last < end ? last : end;
  return !s->tensors[i].copy && *from < *to;
}

enum vkd_status source_dtype(const struct source *s, int param, uint64_t first, uint64_t count, enum st_dtype *dtype,
                             struct vkd_error *err) {
  const struct st_tensor *one = NULL;
  uint64_t at, from, to;
  *dtype = ST_F32;
  for (int i = s->first[param]; i < s->first[param + 1] && s->found[i]; i++) {
    if (!overlap(s, i, first, first + count, &at, &from, &to)) continue;
    const struct st_tensor *t = s->found[i];
    if (one && one->dtype != t->dtype)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: '%s' is %s and '%s' is %s, which are to be one tensor; name a --dtype",
                      weights_path(s->weights), one->name, st_dtype_name(one->dtype), t->name, st_dtype_name(t->dtype));
    one = t;
    *dtype = t->dtype;
  }
  return VKD_OK;
}

// dst gets elements [first, first + count) of a parameter, from each tensor that holds some of them; bits: as they are.
static enum vkd_status gather(const struct source *s, int param, uint64_t first, uint64_t count, bool bits, void *dst,
                              struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  uint64_t at, from, to;
  for (int i = s->first[param]; i < s->first[param + 1] && st == VKD_OK; i++) {
    const struct st_tensor *t = s->found[i];
    if (!overlap(s, i, first, first + count, &at, &from, &to)) continue;
    if (!bits) {
      st = st_read_f32_part(t, from - at, to - from, (float *)dst + (from - first), err);
    } else {
      size_t size = st_dtype_size(t->dtype);
      memcpy((char *)dst + (from - first) * size, (const char *)t->data + (from - at) * size, (to - from) * size);
    }
  }
  return st;
}

static enum vkd_status check_range(const struct source *s, int param, uint64_t first, uint64_t count,
                                   struct vkd_error *err) {
  uint64_t numel = (uint64_t)s->params[param].numel;
  if (first <= numel && count <= numel - first) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INTERNAL, "%s: %" PRIu64 " elements at %" PRIu64 " of parameter %d asked for",
                  weights_path(s->weights), count, first, param);
}

enum vkd_status source_read(const struct source *s, int param, uint64_t first, uint64_t count, float *dst,
                            struct vkd_error *err) {
  enum vkd_status st = check_range(s, param, first, count, err);
  if (st != VKD_OK || source_stored(s, param))
    return st != VKD_OK ? st : gather(s, param, first, count, false, dst, err);
  const struct dit_param *p = &s->params[param];
  float *all = malloc((size_t)p->numel * sizeof *all);
  if (!all) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", weights_path(s->weights));
  dit_param_init(&s->config, p, param, 0, all);
  memcpy(dst, all + first, count * sizeof *dst);
  free(all);
  return VKD_OK;
}

enum vkd_status source_read_bits(const struct source *s, int param, uint64_t first, uint64_t count, void *dst,
                                 struct vkd_error *err) {
  enum vkd_status st = check_range(s, param, first, count, err);
  if (st == VKD_OK && !source_stored(s, param))
    st = vkd_fail(err, VKD_ERR_INTERNAL, "%s: parameter %d is not in the file", weights_path(s->weights), param);
  return st == VKD_OK ? gather(s, param, first, count, true, dst, err) : st;
}
