// The self-test's runs on devices.
#include "vkd/selftest.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "exec_internal.h"
#include "selftest_plan.h"
#include "vkd/log.h"
#include "vkd/parallel.h"

enum { JOBS = 8, JOBS_MAX = 32 }; // threads by default, and at most: a bit each in struct session

static void write_inputs(const struct vkd_built *b, struct vkd_program *program) {
  for (int i = 0; i < b->c.leaf_count; i++) {
    const struct vkd_case_leaf *leaf = &b->c.leaves[i];
    if (leaf->buffer || !program->plan->tensors[leaf->tensor.id].bytes) continue;
    void *dst = vkd_program_input(program, 0, leaf->tensor);
    int64_t n = vkd__numel(b->c.g, leaf->tensor);
    for (int64_t k = 0; k < n; k++)
      if (leaf->integer)
        ((int32_t *)dst)[k] = (int32_t)b->values[leaf->tensor.id][k];
      else
        ((float *)dst)[k] = (float)b->values[leaf->tensor.id][k];
  }
}

static double form_errors(const struct vkd_graph *g, const struct vkd_device *dev, const char *form) {
  struct vkd_form_choice choice = {.caps = &dev->caps, .forced = form};
  double error = 0;
  for (uint32_t i = 0; i < g->node_count; i++)
    error += vkd__form_error(vkd__form_choose(&choice, g, &g->nodes[i]), g, &g->nodes[i]);
  return error;
}

// Twice from the same inputs and state; the reference once.
static enum vkd_status run_and_compare(struct vkd_built *b, struct vkd_program *program, struct vkd_selftest_result *r,
                                       struct vkd_error *err) {
  unsigned char *bytes[2] = {NULL, NULL};
  uint64_t size = 0;
  enum vkd_status st = VKD_OK;
  write_inputs(b, program);
  for (int i = 0; i < 2 && st == VKD_OK; i++) {
    st = vkd__case_reset(b, err);
    if (st == VKD_OK) st = vkd_program_run(program, err);
    if (st == VKD_OK) st = vkd__case_read(b, &bytes[i], &size, err);
  }
  if (st == VKD_OK) st = vkd_graph_ref_run(b->c.g, b->values, err);
  if (st == VKD_OK) {
    if (memcmp(bytes[0], bytes[1], size) != 0) vkd__case_miss(r, "a second run gives other bits");
    vkd__case_compare(b, bytes[0], r);
  }
  free(bytes[0]);
  free(bytes[1]);
  return st;
}

static struct vkd_selftest_result begin(const struct vkd_test_run *run) {
  const struct vkd_case_row *row = &vkd__cases[run->index];
  return (struct vkd_selftest_result){
      .op = row->op, .name = row->name, .form = vkd__test_way(run->way).name, .pass = true, .skipped = run->skipped};
}

static enum vkd_status run_case(const struct vkd_test_run *run, struct vkd_device *dev, bool rows[VKD_K_COUNT],
                                struct vkd_selftest_result *r, struct vkd_error *err) {
  struct vkd_test_way way = vkd__test_way(run->way);
  struct vkd_device_caps caps = dev->caps;
  struct vkd_program *program = NULL;
  struct vkd_built b;
  if (run->skipped) return VKD_OK;
  vkd__test_caps(&dev->caps, &way);
  enum vkd_status st = vkd__case_build(&b, run->index, dev, err);
  if (st == VKD_OK) st = vkd__case_place(&b, err);
  if (st == VKD_OK) st = vkd_graph_ref_alloc(b.c.g, &b.values, err);
  if (st == VKD_OK) {
    vkd__case_draw(&b, 1 + (uint64_t)run->index);
    r->tolerance = b.c.tolerance + form_errors(b.c.g, dev, way.form);
    r->backward = b.grad_count ? 0 : -1;
    struct vkd_program_params params = {.device = dev, .graph = b.c.g, .form = way.form};
    st = vkd_program_create(&program, &params, err);
  }
  if (st == VKD_OK) st = run_and_compare(&b, program, r, err);
  for (uint32_t i = 0; st == VKD_OK && i < program->regions[0].tape.count; i++)
    rows[program->regions[0].tape.entries[i].kernel] = true;
  vkd_program_destroy(&program);
  vkd__case_free(&b);
  dev->caps = caps;
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "case %s/%s %s", r->op, r->name, way.name ? way.name : "");
}

// What the threads share, under `lock`.
struct session {
  struct vkd_device *dev;
  struct vkd_device_caps caps; // the device's own, which worker 0 changes for a case
  struct vkd_test_plan plan;
  uint32_t *makers; // by pipeline: bit w is set where worker w makes it
  bool *taken, *done;
  struct vkd_selftest_result *results;
  bool rows[VKD_K_COUNT];
  uint32_t selected, begun, failed_at; // runs; the one of `error`
  const struct vkd_selftest_params *params;
  void *user;
  struct vkd_error error;
  pthread_mutex_t lock;
};

// The next run for a worker: the first whose pipelines no other one makes.  Where there is none, one with as few of
// those as there are, but none that another worker has all pipelines of: that one will come to it.
static bool take(struct session *s, int worker, uint32_t *run) {
  uint32_t fewest = UINT32_MAX, own = (uint32_t)1 << worker;
  for (uint32_t i = 0; i < s->plan.run_count && fewest; i++) {
    const struct vkd_test_run *r = &s->plan.runs[i];
    uint32_t foreign = 0, all = ~(uint32_t)0;
    if (s->taken[i] || r->left_out) continue;
    for (uint32_t k = 0; k < r->pipeline_count; k++) {
      uint32_t makers = s->makers[r->pipelines[k]];
      foreign += makers && !(makers & own);
      all &= makers;
    }
    if (foreign < fewest && (!foreign || !all)) *run = i, fewest = foreign;
  }
  if (fewest == UINT32_MAX) return false;
  const struct vkd_test_run *r = &s->plan.runs[*run];
  for (uint32_t k = 0; k < r->pipeline_count; k++) s->makers[r->pipelines[k]] |= own;
  return s->taken[*run] = true;
}

static void fail(struct session *s, uint32_t run, const struct vkd_error *err) {
  if (s->error.status != VKD_OK && run >= s->failed_at) return;
  s->error = *err;
  s->failed_at = run;
}

static void work(struct session *s, struct vkd_device *dev, int worker) {
  uint32_t i;
  pthread_mutex_lock(&s->lock);
  while (s->error.status == VKD_OK && take(s, worker, &i)) {
    struct vkd_selftest_result *r = &s->results[i];
    struct vkd_error err = {0};
    bool rows[VKD_K_COUNT] = {false};
    *r = begin(&s->plan.runs[i]);
    if (s->params->progress) s->params->progress(s->user, s->begun, s->selected, r);
    s->begun++;
    pthread_mutex_unlock(&s->lock);
    enum vkd_status st = run_case(&s->plan.runs[i], dev, rows, r, &err);
    pthread_mutex_lock(&s->lock);
    if (st != VKD_OK) fail(s, i, &err);
    s->done[i] = st == VKD_OK;
    for (int k = 0; k < VKD_K_COUNT; k++) s->rows[k] |= rows[k];
  }
  pthread_mutex_unlock(&s->lock);
}

// Another device like the session's, with its cache folder.
static enum vkd_status open_alike(const struct session *s, struct vkd_device **out, struct vkd_error *err) {
  char number[16], folder[VKD_CACHE_PATH];
  snprintf(number, sizeof number, "%u", s->caps.index);
  snprintf(folder, sizeof folder, "%s", s->dev->cache_path);
  char *end = strrchr(folder, '/');
  if (end) *end = 0;
  struct vkd_device_params params = {.select = number, .cache_dir = folder, .memory_limit = s->caps.memory_budget};
  return vkd_device_create(out, &params, err);
}

static void run_worker(void *user, int worker) {
  struct session *s = user;
  struct vkd_device *dev = NULL;
  struct vkd_error err = {0};
  if (worker == 0) {
    work(s, s->dev, worker);
    return;
  }
  if (open_alike(s, &dev, &err) != VKD_OK) { // the others do its work
    vkd_log(VKD_LOG_WARN, "self-test with one thread less: %s", err.what);
    return;
  }
  work(s, dev, worker);
  char complaint[400] = "";
  if (vkd_device_validation(dev, complaint, sizeof complaint)) {
    vkd_fail(&err, VKD_ERR_VULKAN, "the validation layer complained: %s", complaint);
    pthread_mutex_lock(&s->lock);
    fail(s, UINT32_MAX, &err);
    pthread_mutex_unlock(&s->lock);
  }
  vkd_device_destroy(&dev);
}

static void hand_on(struct vkd_selftest_summary *summary, const struct vkd_selftest_result *r, vkd_selftest_fn fn,
                    void *user) {
  summary->cases++;
  summary->skipped += r->skipped;
  summary->failed += !r->pass;
  fn(user, r);
}

// All results, in the order of the plan, and of a complete test the kernel rows without one.
static void report(const struct session *s, vkd_selftest_fn fn, struct vkd_selftest_summary *summary) {
  for (uint32_t i = 0; i < s->plan.run_count; i++)
    if (s->done[i]) hand_on(summary, &s->results[i], fn, s->user);
  summary->left_out = s->plan.run_count - s->selected;
  for (int k = 0; k < VKD_K_COUNT; k++) {
    summary->rows += s->rows[k];
    if (s->error.status != VKD_OK || s->params->only || s->rows[k] ||
        vkd__kernel_unusable(&s->caps, (enum vkd_kernel_id)k))
      continue;
    struct vkd_selftest_result r = {.op = "kernel", .name = vkd_kernel_blobs[k].name, .backward = -1};
    vkd__case_miss(&r, "no case runs this kernel row");
    hand_on(summary, &r, fn, s->user);
  }
}

enum vkd_status vkd_selftest_run(struct vkd_device *dev, const struct vkd_selftest_params *params, vkd_selftest_fn fn,
                                 void *user, struct vkd_selftest_summary *summary, struct vkd_error *err) {
  struct session s = {.dev = dev, .caps = dev->caps, .params = params, .user = user, .lock = PTHREAD_MUTEX_INITIALIZER};
  *summary = (struct vkd_selftest_summary){0};
  enum vkd_status st = vkd__test_plan(&s.plan, dev, params->only, params->all, err);
  s.makers = calloc(s.plan.pipeline_count + 1, sizeof *s.makers);
  s.taken = calloc(s.plan.run_count + 1, sizeof *s.taken);
  s.done = calloc(s.plan.run_count + 1, sizeof *s.done);
  s.results = calloc(s.plan.run_count + 1, sizeof *s.results);
  if (st == VKD_OK && (!s.makers || !s.taken || !s.done || !s.results))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the self-test");
  if (st == VKD_OK) {
    int jobs = params->jobs > 0 ? params->jobs : vkd_threads(JOBS);
    for (uint32_t i = 0; i < s.plan.run_count; i++) s.selected += !s.plan.runs[i].left_out;
    vkd_parallel(jobs < JOBS_MAX ? jobs : JOBS_MAX, run_worker, &s);
    report(&s, fn, summary);
    st = s.error.status;
    if (st != VKD_OK && err && err->status == VKD_OK) *err = s.error;
  }
  free(s.makers);
  free(s.taken);
  free(s.done);
  free(s.results);
  pthread_mutex_destroy(&s.lock);
  vkd__test_plan_free(&s.plan);
  return st;
}
