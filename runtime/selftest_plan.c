#include "selftest_plan.h"

#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "exec_internal.h"

enum { WAYS = VKD_FORM_COUNT + 2 }; // the usual one, one per form, as a GPU

// Ops whose forms share a name are run by them together: the first row stands for them.
static bool named_before(int form) {
  for (int i = 0; i < form; i++)
    if (strcmp(vkd__forms[i].name, vkd__forms[form].name) == 0) return true;
  return false;
}

struct vkd_test_way vkd__test_way(int w) {
  if (w == 0) return (struct vkd_test_way){.name = NULL};
  if (w == WAYS - 1) return (struct vkd_test_way){.name = "gpu", .as_gpu = true};
  return (struct vkd_test_way){.name = vkd__forms[w - 1].name, .form = vkd__forms[w - 1].name};
}

void vkd__test_caps(struct vkd_device_caps *caps, const struct vkd_test_way *way) {
  if (!way->as_gpu) return;
  caps->cpu_lanes = false;
  caps->kind = VKD_DEVICE_OTHER;
}

bool vkd__case_16bit(const struct vkd_graph *g) {
  for (uint32_t i = 1; i < g->tensor_count; i++)
    if (vkd_dtype_16bit(g->tensors[i].dtype)) return true;
  return false;
}

// Ops that have forms are run as a GPU would by those; others beside them, where their results are rounded for those.
static bool concerns(const struct vkd_test_way *way, const struct vkd_graph *g) {
  bool formed = false, rounds = false;
  for (uint32_t i = 0; i < g->node_count; i++) {
    bool has_forms = vkd__formed(g->nodes[i].op) != NULL;
    formed |= has_forms;
    rounds |= !has_forms && vkd__ops[g->nodes[i].op].flags & VKD_OP_ROUNDS;
  }
  return way->form ? formed : !way->as_gpu || !formed || rounds;
}

static bool pipeline_id(struct vkd_test_plan *plan, const struct vkd_tape_entry *e, uint32_t *id) {
  for (*id = 0; *id < plan->pipeline_count; ++*id) {
    const struct vkd_test_pipeline *p = &plan->pipelines[*id];
    if (p->kernel == e->kernel && p->spec_count == e->spec_count && !memcmp(p->spec, e->spec, e->spec_count * 4U))
      return true;
  }
  if (plan->pipeline_count == plan->pipeline_cap) {
    uint32_t cap = plan->pipeline_cap ? plan->pipeline_cap * 2 : 256;
    struct vkd_test_pipeline *bigger = realloc(plan->pipelines, cap * sizeof *bigger);
    if (!bigger) return false;
    plan->pipelines = bigger;
    plan->pipeline_cap = cap;
  }
  struct vkd_test_pipeline *p = &plan->pipelines[plan->pipeline_count++];
  *p = (struct vkd_test_pipeline){.kernel = e->kernel, .spec_count = e->spec_count};
  memcpy(p->spec, e->spec, e->spec_count * 4U);
  return true;
}

static bool contains(const struct vkd_test_run *run, uint32_t id) {
  for (uint32_t i = 0; i < run->pipeline_count; i++)
    if (run->pipelines[i] == id) return true;
  return false;
}

static enum vkd_status list_pipelines(struct vkd_test_plan *plan, const struct vkd_tape *tape, struct vkd_test_run *run,
                                      struct vkd_error *err) {
  run->pipelines = malloc((tape->count + 1) * sizeof *run->pipelines);
  bool ok = run->pipelines != NULL;
  for (uint32_t i = 0, id; i < tape->count && ok; i++) {
    ok = pipeline_id(plan, &tape->entries[i], &id);
    if (ok && !contains(run, id)) run->pipelines[run->pipeline_count++] = id;
  }
  return ok ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the self-test's plan");
}

// Whether the run takes what the case's usual one does not: a pipeline, or as a GPU a kernel row.
static bool differs(const struct vkd_test_plan *plan, const struct vkd_test_run *run) {
  const struct vkd_test_run *usual = plan->runs;
  bool as_gpu = vkd__test_way(run->way).as_gpu;
  while (usual->index != run->index) usual++;
  for (uint32_t i = 0; i < run->pipeline_count; i++) {
    bool same = contains(usual, run->pipelines[i]);
    for (uint32_t k = 0; as_gpu && k < usual->pipeline_count; k++)
      same |= plan->pipelines[usual->pipelines[k]].kernel == plan->pipelines[run->pipelines[i]].kernel;
    if (!same) return true;
  }
  return false;
}

static enum vkd_status add_run(struct vkd_test_plan *plan, const struct vkd_test_run *run, struct vkd_error *err) {
  if (plan->run_count == plan->run_cap) {
    uint32_t cap = plan->run_cap ? plan->run_cap * 2 : 512;
    struct vkd_test_run *bigger = realloc(plan->runs, cap * sizeof *bigger);
    if (!bigger) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the self-test's plan");
    plan->runs = bigger;
    plan->run_cap = cap;
  }
  plan->runs[plan->run_count++] = *run;
  return VKD_OK;
}

// Adds the case in that way, if it is one to run.  fake: the device with the way's capabilities.
static enum vkd_status consider(struct vkd_test_plan *plan, struct vkd_device *fake, int index, int way_index,
                                struct vkd_error *err) {
  struct vkd_test_run run = {.index = index, .way = way_index};
  struct vkd_test_way way = vkd__test_way(way_index);
  struct vkd_tape tape = {0};
  struct vkd_built b;
  enum vkd_status st = vkd__case_build(&b, index, fake, err);
  bool wanted = st == VKD_OK && concerns(&way, b.c.g);
  if (wanted) st = vkd__case_place(&b, err);
  run.skipped = wanted && vkd__case_16bit(b.c.g) && !fake->caps.storage_16bit;
  if (wanted && !run.skipped && st == VKD_OK) {
    struct vkd_program_params params = {.device = fake, .graph = b.c.g, .form = way.form};
    st = vkd__plan_tape(&params, &tape, err);
    if (st == VKD_OK) st = list_pipelines(plan, &tape, &run, err);
  }
  if (st == VKD_OK && wanted && (!way_index || differs(plan, &run)))
    st = add_run(plan, &run, err);
  else
    free(run.pipelines);
  vkd__tape_free(&tape);
  vkd__case_free(&b);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "case %s/%s", vkd__cases[index].op, vkd__cases[index].name);
}

// ---- selection ----
// A pipeline shows something new where its row has not run in this way, or by the value of a specialisation constant.
// Values up to CHOICES choose between pieces of code: each is wanted once in every row.  Larger ones are sizes, of
// which SIZES are wanted in every shader.
enum { CHOICES = 4, SIZES = 2 };

struct value {
  enum vkd_kernel_id kernel;
  uint32_t constant, value;
};

struct shown {
  bool *made; // by id of a pipeline
  struct value *values;
  size_t count;
  bool rows[WAYS][VKD_K_COUNT];
};

static const char *shader_of(enum vkd_kernel_id id) {
  static const char *const shaders[VKD_K_COUNT] = {
#define KERNEL(name, file, defines, needs) file,
#include "../shaders/manifest.def"
#undef KERNEL
  };
  return shaders[id];
}

static bool new_value(const struct shown *s, const struct value *v) {
  int sizes = 0;
  for (size_t i = 0; i < s->count; i++) {
    const struct value *o = &s->values[i];
    if (o->constant != v->constant || strcmp(shader_of(o->kernel), shader_of(v->kernel)) != 0) continue;
    if (o->value == v->value && (o->kernel == v->kernel || v->value > CHOICES)) return false;
    sizes += o->value > CHOICES;
  }
  return v->value <= CHOICES || sizes < SIZES;
}

// Notes what the run shows, or only asks whether any of it is new.
static bool shows(struct shown *s, const struct vkd_test_plan *plan, const struct vkd_test_run *run, bool note) {
  bool any = false;
  for (uint32_t i = 0; i < run->pipeline_count; i++) {
    const struct vkd_test_pipeline *p = &plan->pipelines[run->pipelines[i]];
    if (s->made[run->pipelines[i]]) continue;
    any |= !s->rows[run->way][p->kernel];
    for (uint32_t k = 0; k < p->spec_count; k++) {
      struct value v = {p->kernel, k, p->spec[k]};
      bool is_new = new_value(s, &v);
      any |= is_new;
      if (note && is_new) s->values[s->count++] = v;
    }
    if (note) s->rows[run->way][p->kernel] = s->made[run->pipelines[i]] = true;
  }
  return any;
}

static bool all_made(const struct shown *s, const struct vkd_test_run *run) {
  for (uint32_t i = 0; i < run->pipeline_count; i++)
    if (!s->made[run->pipelines[i]]) return false;
  return true;
}

static enum vkd_status select_runs(struct vkd_test_plan *plan, struct vkd_error *err) {
  struct shown s = {.made = calloc(plan->pipeline_count + 1, sizeof *s.made),
                    .values = calloc(plan->pipeline_count + 1, VKD_MAX_SPEC * sizeof *s.values)};
  bool ok = s.made && s.values;
  for (uint32_t i = 0; i < plan->run_count && ok; i++) {
    struct vkd_test_run *run = &plan->runs[i];
    run->left_out = !all_made(&s, run) && !shows(&s, plan, run, false);
    if (!run->left_out) shows(&s, plan, run, true);
  }
  for (uint32_t i = 0; i < plan->run_count && ok; i++) plan->runs[i].left_out &= !all_made(&s, &plan->runs[i]);
  free(s.made);
  free(s.values);
  return ok ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the self-test's plan");
}

enum vkd_status vkd__test_plan(struct vkd_test_plan *plan, const struct vkd_device *dev, const char *only, bool all,
                               struct vkd_error *err) {
  *plan = (struct vkd_test_plan){0};
  enum vkd_status st = VKD_OK;
  for (int w = 0; w < WAYS && st == VKD_OK; w++) {
    struct vkd_test_way way = vkd__test_way(w);
    struct vkd_device_caps caps = dev->caps;
    struct vkd_device *fake = NULL;
    if (way.as_gpu ? caps.kind != VKD_DEVICE_SOFTWARE : w && named_before(w - 1)) continue;
    vkd__test_caps(&caps, &way);
    st = vkd_device_create(&fake, &(struct vkd_device_params){.fake = &caps}, err);
    if (st == VKD_OK) fake->tune = dev->tune; // lent
    for (int i = 0; i < vkd__case_count && st == VKD_OK; i++)
      if (!only || strcmp(only, vkd__cases[i].op) == 0) st = consider(plan, fake, i, w, err);
    if (fake) fake->tune = NULL;
    vkd_device_destroy(&fake);
  }
  if (st == VKD_OK && !plan->run_count) st = vkd_fail(err, VKD_ERR_USAGE, "no self-test of an op '%s'", only);
  return st == VKD_OK && !all ? select_runs(plan, err) : st;
}

void vkd__test_plan_free(struct vkd_test_plan *plan) {
  for (uint32_t i = 0; i < plan->run_count; i++) free(plan->runs[i].pipelines);
  free(plan->runs);
  free(plan->pipelines);
  *plan = (struct vkd_test_plan){0};
}
