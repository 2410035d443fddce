// Forms on trial: one node at a time, checked, timed, and the fastest kept.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"
#include "exec_internal.h"
#include "form.h"
#include "tune.h"
#include "vkd/profile.h"
#include "vkd/random.h"

static const double ref_flops = 2e9; // what the reference does in seconds
static const double tie = 1.03;

// A graph of one node with inputs of its own.
struct alone {
  struct vkd_graph *g;
  vkd_tensor in[VKD_MAX_IN], out[VKD_MAX_OUT]; // in: as the host writes them, fp32
  int nin, nout;
  const struct vkd_node *node;
  int64_t out_count; // elements of all outputs
};

static void alone_free(struct alone *a) { vkd_graph_destroy(&a->g); }

static double flops_of(const struct vkd_graph *g, const struct vkd_node *n) { return vkd__ops[n->op].flops(g, n); }

// A node as `n` of graph `from`, with inputs of these shapes.
static enum vkd_status alone_build(struct alone *a, const struct vkd_graph *from, const struct vkd_node *n,
                                   const struct vkd_shape *shapes, struct vkd_error *err) {
  *a = (struct alone){.nin = n->nin, .nout = n->nout};
  enum vkd_status st = vkd_graph_create(&a->g, err);
  if (st != VKD_OK) return st;
  struct vkd_node copy = {.op = n->op, .nin = n->nin, .p = n->p};
  for (int k = 0; k < n->nin; k++) {
    if (!n->in[k].id) continue;
    enum vkd_dtype dtype = vkd_tensor_dtype(from, n->in[k]);
    if (dtype == VKD_I32) return vkd_fail(err, VKD_ERR_INTERNAL, "no random integers for %s", vkd__ops[n->op].name);
    a->in[k] = vkd_input(a->g, "x", VKD_F32, shapes[k]);
    copy.in[k] = vkd_cast(a->g, a->in[k], dtype);
  }
  a->out[0] = vkd__graph_add(a->g, &copy, &a->out[1]);
  if ((st = vkd_graph_status(a->g, err)) != VKD_OK) return st;
  for (int o = 0; o < a->nout; o++) {
    vkd_output(a->g, a->out[o]);
    a->out_count += vkd__numel(a->g, a->out[o]);
  }
  a->node = &a->g->nodes[a->g->node_count - 1];
  return VKD_OK;
}

// Element i of input k: uniform with variance 1.
static void draw(const struct alone *a, int k, float *dst) {
  int64_t n = vkd__numel(a->g, a->in[k]);
  for (int64_t i = 0; i < n; i += 4) {
    uint32_t words[4];
    vkd_philox((const uint32_t[]){(uint32_t)(i / 4), (uint32_t)k, 0, 0}, (const uint32_t[]){1, 0}, words);
    for (int64_t j = i; j < n && j < i + 4; j++) dst[j] = (float)(sqrt(12) * (vkd_uniform(words[j - i]) - 0.5));
  }
}

// What every form is compared with, output after output.
static enum vkd_status alone_reference(const struct alone *a, double *want, struct vkd_error *err) {
  double **values;
  enum vkd_status st = vkd_graph_ref_alloc(a->g, &values, err);
  float *drawn = NULL;
  for (int k = 0; k < a->nin && st == VKD_OK; k++) {
    if (!a->in[k].id) continue;
    int64_t n = vkd__numel(a->g, a->in[k]);
    float *bigger = realloc(drawn, (size_t)n * sizeof *drawn);
    if (bigger)
      draw(a, k, drawn = bigger);
    else
      st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for operands of %s", vkd__ops[a->node->op].name);
    for (int64_t i = 0; i < n && bigger; i++) values[a->in[k].id][i] = bigger[i];
  }
  if (st == VKD_OK) st = vkd_graph_ref_run(a->g, values, err);
  for (int o = 0; o < a->nout && st == VKD_OK; o++) {
    int64_t n = vkd__numel(a->g, a->out[o]);
    memcpy(want, values[a->out[o].id], (size_t)n * sizeof *want);
    want += n;
  }
  free(drawn);
  free(values);
  return st;
}

static void miss(struct vkd_tune_trial *t, const char *fmt, ...) VKD_PRINTF(2, 3);
static void miss(struct vkd_tune_trial *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(t->failed, sizeof t->failed, fmt, ap);
  va_end(ap);
}

// Runs the graph in a form, once: what a device refuses is the form's failure, not the caller's.  *program NULL then.
static enum vkd_status run_once(struct vkd_device *dev, const struct alone *a, const struct vkd_form *form,
                                struct vkd_program **program, struct vkd_tune_trial *t, struct vkd_error *err) {
  struct vkd_error why = {0};
  enum vkd_status st =
      vkd_program_create(program, &(struct vkd_program_params){.device = dev, .graph = a->g, .form = form->name}, &why);
  if (st == VKD_ERR_HOST_MEMORY) return vkd_fail(err, st, "%s", why.what);
  if (st != VKD_OK) {
    miss(t, "%.240s", why.what);
    return VKD_OK;
  }
  for (int k = 0; k < a->nin; k++)
    if (a->in[k].id) draw(a, k, vkd_program_input(*program, 0, a->in[k]));
  return vkd_program_run(*program, err);
}

// ‖got - want‖ / ‖want‖, the worst of the outputs
static double distance(const struct alone *a, struct vkd_program *program, const double *want) {
  double worst = 0;
  for (int o = 0; o < a->nout; o++) {
    const float *got = vkd_program_output(program, 0, a->out[o]);
    int64_t n = vkd__numel(a->g, a->out[o]);
    double d2 = 0, w2 = 0;
    for (int64_t i = 0; i < n; i++) {
      d2 += (got[i] - want[i]) * (got[i] - want[i]);
      w2 += want[i] * want[i];
    }
    double e = sqrt(d2 / w2);
    if (!(e <= worst)) worst = e;
    want += n;
  }
  return worst;
}

static void keep(const struct alone *a, struct vkd_program *program, double *want) {
  for (int o = 0; o < a->nout; o++) {
    const float *got = vkd_program_output(program, 0, a->out[o]);
    int64_t n = vkd__numel(a->g, a->out[o]);
    for (int64_t i = 0; i < n; i++) *want++ = got[i];
  }
}

static enum vkd_status time_node(const struct alone *a, struct vkd_program *program, int runs, double *ns,
                                 struct vkd_error *err) {
  struct vkd_op_profile *rows = NULL;
  uint32_t count = 0;
  enum vkd_status st = vkd_program_profile(program, runs, &rows, &count, err);
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(rows[i].op, vkd__ops[a->node->op].name) == 0) *ns = rows[i].ns;
  free(rows);
  return st;
}

// A bucket on trial.
struct trial {
  const struct vkd_tune_params *params;
  struct alone full, small;  // small: what the reference runs, where that is not the whole
  double *small_want, *want; // want: the reference, or what the last form gave
  bool halved, known;        // known: want is
  const struct vkd_form *forms[VKD_TUNE_FORMS];
};

static void trial_free(struct trial *t) {
  alone_free(&t->full);
  alone_free(&t->small);
  free(t->small_want);
  free(t->want);
}

static double *doubles(int64_t n, struct vkd_error *err) {
  double *d = malloc((size_t)n * sizeof *d);
  if (!d) vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %lld results", (long long)n);
  return d;
}

// Halves the node until the reference can run it.
static enum vkd_status make_small(struct trial *t, struct vkd_error *err) {
  const struct vkd_formed *formed = vkd__formed(t->full.node->op);
  const struct alone *from = &t->full;
  struct alone next;
  while (flops_of(from->g, from->node) > ref_flops) {
    struct vkd_shape shapes[VKD_MAX_IN];
    formed->halve(from->g, from->node, shapes);
    enum vkd_status st = alone_build(&next, from->g, from->node, shapes, err);
    alone_free(&t->small);
    t->small = next;
    if (st != VKD_OK) return st;
    from = &t->small;
  }
  if (!(t->small_want = doubles(t->small.out_count, err))) return VKD_ERR_HOST_MEMORY;
  return alone_reference(&t->small, t->small_want, err);
}

static enum vkd_status trial_create(struct trial *t, const struct vkd_tune_params *params, const struct vkd_node *node,
                                    struct vkd_error *err) {
  struct vkd_shape shapes[VKD_MAX_IN];
  *t = (struct trial){.params = params};
  for (int k = 0; k < node->nin; k++) shapes[k] = vkd__shape(params->graph, node->in[k]);
  enum vkd_status st = alone_build(&t->full, params->graph, node, shapes, err);
  if (st != VKD_OK) return st;
  t->halved = flops_of(t->full.g, t->full.node) > ref_flops;
  if (!(t->want = doubles(t->full.out_count, err))) return VKD_ERR_HOST_MEMORY;
  if (t->halved) return make_small(t, err);
  t->known = true;
  return alone_reference(&t->full, t->want, err);
}

// Compares with what is wanted; NaN misses.
static void check(const struct alone *a, struct vkd_program *program, const double *want, double tolerance,
                  const char *with, struct vkd_tune_trial *t) {
  double e = distance(a, program, want);
  if (!(e <= t->error)) t->error = e;
  if (!(e <= tolerance)) miss(t, "off by %.3g from %s, %.3g is allowed", e, with, tolerance);
}

static enum vkd_status try_form(struct trial *t, int f, const struct vkd_tune_result *r, struct vkd_tune_trial *out,
                                struct vkd_error *err) {
  struct vkd_device *dev = t->params->device;
  struct vkd_program *program = NULL;
  enum vkd_status st = VKD_OK;
  double tolerance = r->tolerance + vkd__form_error(t->forms[f], t->full.g, t->full.node);
  if (t->halved) {
    st = run_once(dev, &t->small, t->forms[f], &program, out, err);
    if (st == VKD_OK && program) check(&t->small, program, t->small_want, tolerance, "the reference", out);
    vkd_program_destroy(&program);
  }
  if (st == VKD_OK && !*out->failed) st = run_once(dev, &t->full, t->forms[f], &program, out, err);
  if (st != VKD_OK || !program) goto done;
  if (!t->known && f == r->count - 1) {
    keep(&t->full, program, t->want);
    t->known = true;
  } else if (t->known) {
    check(&t->full, program, t->want, tolerance, t->halved ? r->trials[r->count - 1].form : "the reference", out);
  } else {
    miss(out, "nothing to compare with: %s failed", r->trials[r->count - 1].form);
  }
  if (!*out->failed) st = time_node(&t->full, program, t->params->runs, &out->ns, err);
done:
  vkd_program_destroy(&program);
  return st;
}

// The fastest, or among those near it the one ranked highest; -1: all failed.
static int pick(const struct trial *t, const struct vkd_tune_result *r) {
  double least = INFINITY;
  int best = -1;
  enum vkd_form_rank best_rank = VKD_FORM_NEVER;
  for (int f = 0; f < r->count; f++)
    if (!*r->trials[f].failed && r->trials[f].ns < least) least = r->trials[f].ns;
  for (int f = 0; f < r->count; f++) {
    if (*r->trials[f].failed || !(r->trials[f].ns <= tie * least)) continue;
    enum vkd_form_rank rank = t->forms[f]->rank(&t->params->device->caps, t->full.g, t->full.node);
    if (rank > best_rank) best = f, best_rank = rank;
  }
  return best;
}

static enum vkd_status tune_bucket(const struct vkd_tune_params *params, const char *key, const struct vkd_node *node,
                                   uint32_t nodes, struct vkd_error *err) {
  struct vkd_device *dev = params->device;
  const struct vkd_graph *g = params->graph;
  struct vkd_tune_result r = {.key = key, .label = node->label, .nodes = nodes, .flops = flops_of(g, node)};
  struct trial t;
  const struct vkd_form *usual = vkd__form_choose(&(struct vkd_form_choice){.caps = &dev->caps}, g, node);
  enum vkd_status st = trial_create(&t, params, node, err);
  for (int f = 0; f < VKD_FORM_COUNT && st == VKD_OK && r.count < VKD_TUNE_FORMS; f++) {
    const struct vkd_form *form = &vkd__forms[f];
    if (form->op != node->op || form->rank(&dev->caps, g, node) == VKD_FORM_NEVER) continue;
    t.forms[r.count] = form;
    r.trials[r.count++] = (struct vkd_tune_trial){.form = form->name, .error = -1, .usual = form == usual};
  }
  // As the self-test allows, and more where more is summed: rounding grows with the root of it.
  if (st == VKD_OK) r.tolerance = 3e-6 * sqrt(1 + r.flops / (double)t.full.out_count / 4096);
  for (int f = r.count - 1; f >= 0 && st == VKD_OK; f--) st = try_form(&t, f, &r, &r.trials[f], err);
  if (st == VKD_OK) {
    int best = pick(&t, &r);
    if (best >= 0) r.trials[best].chosen = true;
    st = vkd__tune_set(dev->tune, key, best >= 0 ? r.trials[best].form : NULL,
                       best >= 0 ? (uint64_t)ceil(r.trials[best].ns) : 0, err);
  }
  if (st == VKD_OK && params->result) params->result(params->user, &r);
  trial_free(&t);
  return st == VKD_OK ? VKD_OK : vkd_error_prefix(err, "%s", key);
}

static int usable_forms(const struct vkd_device_caps *caps, const struct vkd_graph *g, const struct vkd_node *node) {
  int n = 0;
  for (int f = 0; f < VKD_FORM_COUNT; f++)
    n += vkd__forms[f].op == node->op && vkd__forms[f].rank(caps, g, node) != VKD_FORM_NEVER;
  return n;
}

enum vkd_status vkd_tune_graph(const struct vkd_tune_params *params, struct vkd_error *err) {
  struct vkd_device *dev = params->device;
  const struct vkd_graph *g = params->graph;
  if (!dev->tune || dev->caps.timestamp_ns <= 0)
    return vkd_fail(err, VKD_ERR_UNSUPPORTED, "%s has no timestamps", dev->caps.name);
  if (!*dev->tune->path)
    return vkd_fail(err, VKD_ERR_USAGE, "no folder to keep the table in: set VKD_CACHE_DIR or HOME");
  enum vkd_status st = vkd_graph_status(g, err);
  if (st != VKD_OK) return st;
  uint8_t *todo = calloc(g->node_count + 1, 1);
  if (!todo) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory to tune %u nodes", g->node_count);
  vkd__graph_needed(g, todo);
  for (uint32_t i = 0; i < g->node_count && st == VKD_OK; i++) {
    char key[VKD_TUNE_KEY], other[VKD_TUNE_KEY];
    uint32_t most = i, nodes = 0;
    if (!todo[i] || !vkd__tune_key(g, &g->nodes[i], key)) continue;
    for (uint32_t k = i; k < g->node_count; k++) {
      if (!todo[k] || !vkd__tune_key(g, &g->nodes[k], other) || strcmp(key, other) != 0) continue;
      if (flops_of(g, &g->nodes[k]) > flops_of(g, &g->nodes[most])) most = k;
      todo[k] = 0;
      nodes++;
    }
    const struct vkd_tune_entry *have = vkd__tune_find(dev->tune, key);
    if ((have && have->fresh) || usable_forms(&dev->caps, g, &g->nodes[most]) < 2) continue;
    st = tune_bucket(params, key, &g->nodes[most], nodes, err);
    if (st == VKD_OK) st = vkd__tune_save(dev->tune, &dev->caps, err);
  }
  free(todo);
  return st;
}
