// A verification: opens the case's files, checks that they are what case.json says, and has every part compared.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"
#include "vkdm/fileio.h"

static const char *const file_names[VERIFY_FILES] = {"weights.safetensors", "io.safetensors",     "grads.safetensors",
                                                     "adamw1.safetensors",  "adamw3.safetensors", "sample.safetensors",
                                                     "trace.safetensors"};

const char *verify_group_title(enum verify_group group) {
  static const char *const titles[VERIFY_GROUPS] = {
#define X(name, title) title,
      VERIFY_GROUP_MAP(X)
#undef X
  };
  return titles[group];
}

const char *verify_measure_name(enum verify_measure measure) {
  static const char *const names[] = {"relative", "absolute", "checks"};
  return names[measure];
}

void verify_report_free(struct verify_report *report) {
  free(report->rows);
  *report = (struct verify_report){0};
}

// ---- files ---------------------------------------------------------------------------------------------------------
static enum vkd_status open_files(struct verify *v, const char *folder, struct vkd_error *err) {
  for (int i = 0; i < VERIFY_FILES; i++) {
    char *path = fileio_join(folder, file_names[i]);
    if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
    bool optional = i == VERIFY_FILE_TRACE || (i == VERIFY_FILE_SAMPLE && v->c.solver_count == 0);
    bool wanted = !optional || fileio_is_file(path);
    enum vkd_status st = wanted ? st_open(path, &v->files[i], err) : VKD_OK;
    free(path);
    if (st != VKD_OK) return st;
  }
  return VKD_OK;
}

enum vkd_status verify_require(const struct verify *v, enum verify_file file, const char *name,
                               const struct vkd_shape *shape, const struct st_tensor **out, struct vkd_error *err) {
  uint64_t dims[VKD_MAX_DIMS + 1];
  for (int i = 0; i < shape->rank; i++) dims[i] = (uint64_t)shape->dim[i];
  return st_require(v->files[file], name, shape->rank, dims, out, err);
}

enum vkd_status verify_read(const struct verify *v, enum verify_file file, const char *name,
                            const struct vkd_shape *shape, float *dst, struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, file, name, shape, &t, err);
  return st == VKD_OK ? st_read_f32(t, dst, err) : st;
}

enum vkd_status verify_read_int(const struct verify *v, enum verify_file file, const char *name,
                                const struct vkd_shape *shape, int32_t *dst, struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, file, name, shape, &t, err);
  return st == VKD_OK ? st_read_i32(t, dst, err) : st;
}

enum vkd_status verify_read_numbers(const struct verify *v, enum verify_file file, const char *name,
                                    const struct vkd_shape *shape, float *dst, struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, file, name, shape, &t, err);
  if (st != VKD_OK || (t->dtype != ST_I32 && t->dtype != ST_I64)) return st == VKD_OK ? st_read_f32(t, dst, err) : st;
  for (uint64_t i = 0; i < t->numel && st == VKD_OK; i++) {
    int32_t whole = 0;
    st = st_read_i32_part(t, i, 1, &whole, err);
    dst[i] = (float)whole;
  }
  return st;
}

enum vkd_status verify_compare(struct verify *v, enum verify_group group, const char *label, const float *x,
                               enum verify_file file, const char *name, const struct vkd_shape *shape,
                               struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, file, name, shape, &t, err);
  if (st != VKD_OK) return st;
  float *ref = malloc(t->numel * sizeof *ref);
  if (!ref) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %s", name);
  st = st_read_f32(t, ref, err);
  if (st == VKD_OK)
    st = verify_add_row(v, group, VERIFY_RELATIVE, label, verify_relative(x, ref, t->numel), VERIFY_TOLERANCE, err);
  free(ref);
  return st;
}

enum vkd_status verify_conditions(const struct verify *v, struct vkd_program *program, const struct dit_inputs *in,
                                  int count, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_shape shape = m->class_rows ? VKD_SHAPE(v->c.batch) : VKD_SHAPE(v->c.batch, m->text_len, m->text_dim);
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, VERIFY_FILE_IO, m->class_rows ? "labels" : "context", &shape, &t, err);
  if (st != VKD_OK) return st;
  uint64_t numel = t->numel / (uint64_t)v->c.batch * (uint64_t)count;
  if (!m->class_rows) return st_read_f32_part(t, 0, numel, vkd_program_input(program, 0, in->text), err);
  int32_t *labels = vkd_program_input(program, 0, in->labels);
  st = st_read_i32_part(t, 0, numel, labels, err);
  for (int i = 0; i < count && st == VKD_OK; i++)
    if (labels[i] < 0 || labels[i] >= m->class_rows)
      st = vkd_fail(err, VKD_ERR_INPUT, "%s: label %d is not of 0 to %d", st_path(v->files[VERIFY_FILE_IO]), labels[i],
                    m->class_rows - 1);
  return st;
}

struct vkd_shape verify_latent(const struct verify *v, int64_t batch, int channels) {
  const struct dit_config *m = &v->c.model;
  if (m->family == DIT_CLASS) return VKD_SHAPE(batch, channels, m->latent[1], m->latent[2]);
  return VKD_SHAPE(batch, channels, m->latent[0], m->latent[1], m->latent[2]);
}

// Sizes that case.json states are those of the files, so that no memory is taken on its word alone.
static enum vkd_status check_sizes(const struct verify *v, struct vkd_error *err) {
  struct dit_param *rows;
  int count;
  enum vkd_status st = dit_params(&v->c.model, &rows, &count, err);
  if (st != VKD_OK) return st;
  int64_t numel = 0;
  uint64_t wanted = 0, stored = 0;
  for (int i = 0; i < count; i++) {
    numel += rows[i].frozen ? 0 : rows[i].numel;
    wanted += (uint64_t)rows[i].numel;
  }
  for (size_t i = 0; i < st_count(v->files[VERIFY_FILE_WEIGHTS]); i++)
    stored += st_at(v->files[VERIFY_FILE_WEIGHTS], i)->numel;
  // the fixed position table need not be stored, and a tensor may be stored more than once
  uint64_t fixed = wanted - (uint64_t)numel;
  bool fits = stored == wanted || (fixed && stored >= (uint64_t)numel);
  free(rows);
  if (numel != v->c.params || !fits)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: %lld parameters are stated, but \"model\" has %lld and %s holds %llu",
                    v->c.path, (long long)v->c.params, (long long)numel, st_path(v->files[VERIFY_FILE_WEIGHTS]),
                    (unsigned long long)stored);
  const struct st_tensor *t;
  const struct dit_config *m = &v->c.model;
  struct vkd_shape latent = verify_latent(v, v->c.batch, m->in_channels);
  struct vkd_shape text = VKD_SHAPE(v->c.batch, m->text_len, m->text_dim), labels = VKD_SHAPE(v->c.batch);
  st = verify_require(v, VERIFY_FILE_IO, "x_t", &latent, &t, err);
  if (st != VKD_OK) return st;
  return m->class_rows ? verify_require(v, VERIFY_FILE_IO, "labels", &labels, &t, err)
                       : verify_require(v, VERIFY_FILE_IO, "context", &text, &t, err);
}

// What stands before every name of the weights (ComfyUI's prefix) does so in the case's other files too.
static enum vkd_status add_prefix(struct verify *v, struct vkd_error *err) {
  char name[sizeof v->tensors->name + sizeof NAMING_COMFYUI];
  for (int k = 0; k < NAMING_PREFIXES; k++) {
    const char *prefix = naming_prefixes[k];
    snprintf(name, sizeof name, "%s%s", prefix, v->tensors[0].name);
    if (!*prefix || !st_find(v->files[VERIFY_FILE_WEIGHTS], name)) continue;
    for (int i = 0; i < v->tensor_count; i++) {
      snprintf(name, sizeof name, "%s%s", prefix, v->tensors[i].name);
      if (strlen(name) >= sizeof v->tensors[i].name)
        return vkd_fail(err, VKD_ERR_INPUT, "%s: the name %s is too long", st_path(v->files[VERIFY_FILE_WEIGHTS]),
                        name);
      memcpy(v->tensors[i].name, name, strlen(name) + 1);
    }
    break;
  }
  return VKD_OK;
}

static enum vkd_status load_weights(struct verify *v, struct vkd_device *dev, struct vkd_error *err) {
  enum dit_naming naming;
  enum vkd_status st = params_create(&v->params, dev, &v->c.model, PARAMS_FOR_TRAINING, err);
  if (st == VKD_OK) st = params_load(v->params, PARAMS_WEIGHT, v->files[VERIFY_FILE_WEIGHTS], &naming, err);
  if (st == VKD_OK) st = params_load(v->params, PARAMS_EMA, v->files[VERIFY_FILE_WEIGHTS], NULL, err);
  if (st == VKD_OK) st = naming_tensors(&v->c.model, v->c.naming, &v->tensors, &v->tensor_count, err);
  if (st == VKD_OK && naming != v->c.naming)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: its tensors are not named as %s says",
                  st_path(v->files[VERIFY_FILE_WEIGHTS]), v->c.path);
  return st == VKD_OK ? add_prefix(v, err) : st;
}

// ---- all of it -----------------------------------------------------------------------------------------------------
// Worst first within a group; NaN is the worst.
static int by_group_and_excess(const void *a, const void *b) {
  const struct verify_row *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  double p = isnan(x->error) ? INFINITY : x->error / x->tolerance,
         q = isnan(y->error) ? INFINITY : y->error / y->tolerance;
  if (p != q) return p > q ? -1 : 1;
  return strcmp(x->name, y->name);
}

enum vkd_status verify_case(struct vkd_device *dev, const char *folder, struct verify_report *report,
                            struct vkd_error *err) {
  *report = (struct verify_report){0};
  struct verify v = {.report = report};
  char *path = fileio_join(folder, "case.json");
  enum vkd_status st = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK && !fileio_is_dir(folder)) st = vkd_fail(err, VKD_ERR_INPUT, "%s: no such folder", folder);
  if (st == VKD_OK) st = verify_case_read(&v.c, path, err);
  if (st == VKD_OK) st = open_files(&v, folder, err);
  if (st == VKD_OK) st = check_sizes(&v, err);
  if (st == VKD_OK) st = load_weights(&v, dev, err);
  if (st == VKD_OK) st = verify_sample(&v, err); // with the initial weights, which training changes
  if (st == VKD_OK) st = verify_trace(&v, err);
  if (st == VKD_OK) st = verify_train(&v, err);
  snprintf(report->family, sizeof report->family, "%s", v.c.family ? v.c.family : "");
  snprintf(report->naming, sizeof report->naming, "%s", dit_naming_name(v.c.naming));
  report->params = v.c.params;
  if (st == VKD_OK)
    qsort(report->rows, (size_t)report->count, sizeof *report->rows, by_group_and_excess);
  else
    verify_report_free(report);
  free(v.tensors);
  params_destroy(&v.params);
  for (int i = 0; i < VERIFY_FILES; i++) st_close(&v.files[i]);
  verify_case_free(&v.c);
  free(path);
  return st;
}
