// vkdit profile: what a step of a configuration costs, op by op, and where its memory goes.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "config_arg.h"
#include "fit/roofline.h"
#include "model_file.h"
#include "profile_ranks.h"
#include "profile_trace.h"
#include "ranks.h"
#include "vkdm/fileio.h"
#include "vkdm/profile.h"
#include "vkdm/shapes.h"
#include "vkdm/train.h"

static const struct cmd_opt opts[] = {
    {.name = "train", .help = "a training step (the default)"},
    {.name = "sample", .help = "a forward pass over train.micro_batch latents; guidance needs two per sample and step"},
    {.name = "runs",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "runs whose median is reported"},
    {.name = "nodes", .help = "every node of the graph on a line of its own, in place of ops"},
    {.name = "trace",
     .kind = CMD_STRING,
     .metavar = "FILE.json",
     .help = "also write every timed run as a trace, for Perfetto or chrome://tracing"},
    {.name = "roofline",
     .kind = CMD_STRING,
     .metavar = "FILE.svg",
     .help = "also draw what each op reaches beside the device's peaks; with --nodes each node"},
    {.name = "ranks",
     .kind = CMD_INT,
     .metavar = "K",
     .min = 2,
     .max = 1000000,
     .help = "also foretell a step whose batch K ranks share, from the times measured here (docs/scale-out.md); under "
             "mpirun it is measured too"},
    {.name = "network",
     .kind = CMD_REAL,
     .metavar = "GBIT",
     .fallback = "100",
     .min = 1e-3,
     .max = 1e6,
     .help = "for --ranks: Gbit/s into and out of each of them"},
    {.name = "latency",
     .kind = CMD_REAL,
     .metavar = "US",
     .fallback = "5",
     .min = 0,
     .max = 1e6,
     .help = "for --ranks: microseconds that a message takes"},
    {.name = "plan-only", .help = "count and plan without a device; nothing runs"},
    MODEL_FILE_OPTS,
    CMD_OPT_DEVICE,
    CMD_OPT_JSON,
    {0},
};

// For --plan-only: common limits, and more memory than any model needs.
static const struct vkd_device_caps plan_caps = {.name = "no device",
                                                 .subgroup_size = 32,
                                                 .max_workgroup_invocations = 1024,
                                                 .max_workgroup_size = {1024, 1024, 64},
                                                 .max_workgroup_count = {65535, 65535, 65535},
                                                 .max_shared_bytes = 48 << 10,
                                                 .max_push_bytes = 128,
                                                 .storage_16bit = true,
                                                 .max_allocation = (uint64_t)1 << 32,
                                                 .memory_bytes = (uint64_t)1 << 50,
                                                 .memory_budget = (uint64_t)1 << 50,
                                                 .subgroup_arithmetic = true,
                                                 .buffer_device_address = true,
                                                 .timeline_semaphore = true};

enum { FURTHEST = 3 }; // ops named as those furthest above their floors

// One line of the table of ops.
struct line {
  const char *op, *label; // label: NULL where nodes are summed
  uint32_t count;
  double flops, bytes, ns;
  double floor; // ns: the sum of its nodes' profile_floor_ns()
};

// "1.23 G"; an exact 0 is "0"
static const char *si(double x, char text[16]) {
  static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
  size_t u = 0;
  double size = x < 0 ? -x : x;
  while (size >= 999.5 && u + 1 < sizeof units / sizeof units[0]) {
    size /= 1000;
    u++;
  }
  snprintf(text, 16, u || size != (int)size ? "%s%.3g %s" : "%s%.0f %s", x < 0 ? "-" : "", size, units[u]);
  return text;
}

static int by_cost(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  if (x->ns != y->ns) return x->ns > y->ns ? -1 : 1;
  if (x->flops != y->flops) return x->flops > y->flops ? -1 : 1;
  return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

// By op, the dearest first; or by node, in the order they run.  *count lines, freed by the caller.
static struct line *make_lines(const struct profile *p, bool nodes, uint32_t *count) {
  struct line *lines = calloc(p->count + 1, sizeof *lines);
  *count = 0;
  for (uint32_t i = 0; lines && i < p->count; i++) {
    const struct profile_row *row = &p->rows[i];
    uint32_t k = nodes ? *count : 0;
    while (k < *count && strcmp(lines[k].op, row->op) != 0) k++;
    if (k == *count) lines[(*count)++] = (struct line){.op = row->op, .label = nodes ? row->label : NULL};
    lines[k].count += (uint32_t)row->repeats;
    lines[k].flops += row->flops * row->repeats;
    lines[k].bytes += row->bytes * row->repeats;
    lines[k].ns += row->ns * row->repeats;
    lines[k].floor += profile_floor_ns(p, row->flops, row->bytes) * row->repeats;
  }
  if (lines && !nodes) qsort(lines, *count, sizeof *lines, by_cost);
  return lines;
}

static void print_line(const struct line *l, const struct line *total) {
  char flops[16], bytes[16];
  printf("%-18s %6u %9s %9s", l->op, l->count, si(l->flops, flops), si(l->bytes, bytes));
  if (total->ns > 0) printf(" %10.3f %6.1f", l->ns / 1e6, 100 * l->ns / total->ns);
  if (total->ns > 0 && l->ns > 0)
    printf(" %9.2f %9.2f %6.1f %10.3f %7.2f", l->flops / l->ns, l->bytes / l->ns, 100 * l->floor / l->ns,
           l->floor / 1e6, l->ns / l->floor);
  else if (total->ns > 0)
    printf(" %9s %9s %6s %10s %7s", "-", "-", "-", "-", "-");
  printf("%s%s\n", l->label ? "  " : "", l->label ? l->label : "");
}

static enum vkd_status print_ops(const struct profile *p, bool nodes, struct line *total, struct vkd_error *err) {
  uint32_t count;
  struct line *lines = make_lines(p, nodes, &count);
  if (!lines) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: no memory for a table");
  for (uint32_t i = 0; i < count; i++) {
    total->count += lines[i].count;
    total->flops += lines[i].flops;
    total->bytes += lines[i].bytes;
    total->ns += lines[i].ns;
    total->floor += lines[i].floor;
  }
  printf("\n%-18s %6s %9s %9s", "op", "nodes", "FLOPs", "bytes");
  if (total->ns > 0)
    printf(" %10s %6s %9s %9s %6s %10s %7s", "ms", "%", "GFLOP/s", "GB/s", "peak %", "floor ms", "x floor");
  printf("\n");
  for (uint32_t i = 0; i < count; i++) print_line(&lines[i], total);
  print_line(total, total);
  free(lines);
  return VKD_OK;
}

static int by_excess(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  double more = (y->ns - y->floor) - (x->ns - x->floor);
  return (more > 0) - (more < 0);
}

// What the floors rest on, and the ops whose time exceeds theirs the most.
static enum vkd_status print_floors(const struct profile *p, struct vkd_error *err) {
  uint32_t count;
  struct line *lines = make_lines(p, false, &count);
  if (!lines) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: no memory for a table");
  qsort(lines, count, sizeof *lines, by_excess);
  printf("peaks: %.2f GFLOP/s of a square product in %s, %.2f GB/s of a sum of large arrays; floor: FLOPs or bytes at "
         "these, whichever\ntakes longer; peak %%: floor / time\nfurthest above their floors:",
         p->peak_flops * 1e-9, vkd_dtype_name(p->model.compute), p->peak_bytes * 1e-9);
  for (uint32_t i = 0; i < count && i < FURTHEST; i++)
    printf("%s %s by %.3f ms (%.2f x)", i ? "," : "", lines[i].op, (lines[i].ns - lines[i].floor) / 1e6,
           lines[i].ns / lines[i].floor);
  printf("\n");
  free(lines);
  return VKD_OK;
}

static uint64_t memory_total(const struct profile_memory *m) {
  uint64_t total = 0;
#define X(kind) total += m->kind;
  PROFILE_MEMORY_MAP(X)
#undef X
  return total;
}

static void print_memory(const struct profile_memory *m) {
  printf("\nmemory                MiB\n");
#define X(kind)                                                                                                        \
  if (m->kind) {                                                                                                       \
    printf("%-14s %10.3f", #kind, (double)m->kind / 1048576);                                                          \
    if (&m->kind == &m->activations) printf("  (%.3f without reuse)", (double)m->activations_raw / 1048576);           \
    putchar('\n');                                                                                                     \
  }
  PROFILE_MEMORY_MAP(X)
#undef X
  printf("%-14s %10.3f\n", "total", (double)memory_total(m) / 1048576);
}

static void print_shares(const struct profile *p, const struct line *total) {
  char a[16], b[16], c[16];
  printf("\n%-28s %9s %9s %10s%s\n", "FLOPs of", "counted", "formula", "difference", total->ns > 0 ? "  time %" : "");
  for (int i = 0; i < PROFILE_SHARES; i++) {
    const struct profile_share *s = &p->shares[i];
    if (s->counted == 0 && s->formula == 0) continue;
    printf("%-28s %9s %9s %10s", s->title, si(s->counted, a), si(s->formula, b), si(s->counted - s->formula, c));
    if (total->ns > 0) printf(" %7.1f", 100 * s->ns / total->ns);
    printf("  %s\n", s->why);
  }
  printf("%-28s %9s %9s %10s\n", "total", si(total->flops, a), si(p->formula, b), si(total->flops - p->formula, c));
  printf("counted / formula = %.4f\n", total->flops / p->formula);
}

static void print_ranks(const char *how, int ranks, struct profile_ranks r) {
  printf("%d ranks, %s: forward %.3f ms, backward %.3f, update %.3f; sums of gradients %.3f ms, %.0f %% of it "
         "beside the backward pass; a step %.3f ms, parallel efficiency %.2f\n",
         ranks, how, 1e3 * r.forward, 1e3 * r.backward, 1e3 * r.update, 1e3 * r.sums, 100 * r.hidden, 1e3 * r.step,
         r.efficiency);
}

static json_t *ranks_json(int ranks, struct profile_ranks r) {
  return json_pack("{s:i,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "ranks", ranks, "forward_seconds", r.forward,
                   "backward_seconds", r.backward, "update_seconds", r.update, "comm_seconds", r.sums, "comm_hidden",
                   r.hidden, "step_seconds", r.step, "efficiency", r.efficiency);
}

static enum vkd_status print_text(const struct profile *p, bool sample, bool nodes, const struct profile_network *n,
                                  const char *device, struct vkd_error *err) {
  const struct dit_config *m = &p->model;
  struct line total = {.op = "total"};
  char a[16], b[16];
  printf("%s of %d: %lld parameters, d %d, %d layers, %d heads, ffn %d, %lld tokens of %d x %d x %d x %d, context %d, "
         "on %s\n",
         sample ? "forward pass" : "training step", p->batch, (long long)p->params, m->dim, m->depth, m->heads, m->ffn,
         (long long)dit_tokens(m), m->in_channels, m->latent[0], m->latent[1], m->latent[2], m->text_len, device);
  enum vkd_status st = print_ops(p, nodes, &total, err);
  if (st != VKD_OK) return st;
  if (*p->forms) printf("forms: %s\n", p->forms);
  print_memory(&p->memory);
  print_shares(p, &total);
  double tokens = (double)dit_tokens(m) * p->batch;
  printf("per token: %sFLOPs counted, %sFLOPs by the formula (C_token%s)\n", si(total.flops / tokens, a),
         si(p->formula / tokens, b), sample ? " / 3" : "");
  if (total.ns > 0)
    printf("%.3f ms, %.2f GFLOP/s, %.0f tokens/s\n", total.ns / 1e6, total.flops / total.ns, tokens / (total.ns / 1e9));
  if (p->exchange.step > 0) print_ranks("measured", p->ranks, profile_ranks_measured(p));
  if (n->ranks) print_ranks("foretold", n->ranks, profile_ranks_foretell(p, n));
  return total.ns > 0 ? print_floors(p, err) : VKD_OK;
}

static enum vkd_status draw_roofline(const struct profile *p, bool sample, bool nodes, const char *device,
                                     const char *path, struct vkd_error *err) {
  uint32_t count;
  char title[320];
  struct line *lines = make_lines(p, nodes, &count);
  struct fit_roofline_row *rows = calloc((size_t)count + 1, sizeof *rows);
  struct fit_error bad;
  enum vkd_status st = lines && rows ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: no memory for a plot");
  for (uint32_t i = 0; i < count && st == VKD_OK; i++)
    rows[i] = (struct fit_roofline_row){nodes && *lines[i].label ? lines[i].label : lines[i].op, lines[i].flops,
                                        lines[i].bytes, lines[i].ns * 1e-9};
  snprintf(title, sizeof title, "Ops of a %s beside the peaks of %.200s", sample ? "forward pass" : "training step",
           device);
  const struct fit_roofline r = {
      .title = title, .peak_flops = p->peak_flops, .peak_bytes = p->peak_bytes, .rows = rows, .count = count};
  if (st == VKD_OK && fit_roofline_write(path, &r, &bad)) st = vkd_fail(err, VKD_ERR_IO, "%s", bad.what);
  free(rows);
  free(lines);
  return st;
}

static json_t *lines_json(const struct line *lines, uint32_t count) {
  json_t *all = json_array();
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(all, json_pack("{s:s,s:s*,s:I,s:f,s:f,s:f,s:f}", "op", lines[i].op, "label", lines[i].label,
                                         "nodes", (json_int_t)lines[i].count, "flops", lines[i].flops, "bytes",
                                         lines[i].bytes, "ns", lines[i].ns, "floor_ns", lines[i].floor));
  return all;
}

static enum vkd_status print_json(const struct profile *p, bool sample, bool nodes, const struct profile_network *n,
                                  const char *device, struct vkd_error *err) {
  uint32_t count;
  struct line *lines = make_lines(p, nodes, &count);
  if (!lines) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: no memory for a table");
  double flops = 0, ns = 0;
  for (uint32_t i = 0; i < count; i++) {
    flops += lines[i].flops;
    ns += lines[i].ns;
  }
  json_t *memory = json_object(), *shares = json_array();
#define X(kind) json_object_set_new(memory, #kind, json_integer((json_int_t)p->memory.kind));
  PROFILE_MEMORY_MAP(X)
#undef X
  json_object_set_new(memory, "activations_raw", json_integer((json_int_t)p->memory.activations_raw));
  json_object_set_new(memory, "total", json_integer((json_int_t)memory_total(&p->memory)));
  for (int i = 0; i < PROFILE_SHARES; i++)
    json_array_append_new(shares,
                          json_pack("{s:s,s:f,s:f,s:f}", "part", p->shares[i].title, "counted", p->shares[i].counted,
                                    "formula", p->shares[i].formula, "ns", p->shares[i].ns));
  json_t *root =
      json_pack("{s:s,s:s,s:s,s:I,s:i,s:I,s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:o}", "of", sample ? "sample" : "train",
                "device", device, "forms", p->forms, "params", (json_int_t)p->params, "batch", p->batch, "tokens",
                (json_int_t)(dit_tokens(&p->model) * p->batch), "flops", flops, "formula", p->formula, "ns", ns,
                "peak_flops", p->peak_flops, "peak_bytes", p->peak_bytes, "memory", memory, "parts", shares,
                nodes ? "nodes" : "ops", lines_json(lines, count));
  if (root && n->ranks) json_object_set_new(root, "foretold", ranks_json(n->ranks, profile_ranks_foretell(p, n)));
  if (root && p->exchange.step > 0)
    json_object_set_new(root, "measured", ranks_json(p->ranks, profile_ranks_measured(p)));
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  if (text) puts(text);
  free(text);
  json_decref(root);
  free(lines);
  return text ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: no memory for a report");
}

// What is to be profiled: a configuration and its shapes, or the model of a weight file.
struct subject {
  struct config config;
  struct dataset *data;
  struct dataset_info info;
  struct dit_config model;
  bool file;
};

static bool is_weights(const char *path) {
  const char *dot = strrchr(path, '.');
  return fileio_is_dir(path) || (dot && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".json") == 0));
}

static enum vkd_status open_file(const struct cmd_args *args, struct subject *s, struct vkd_error *err) {
  struct model_file file = {.weights = NULL};
  struct derive_options options;
  enum vkd_status st = model_file_options(args, &options, err);
  if (st == VKD_OK) st = model_file_open(&file, args->pos[0], &options, false, err);
  if (st == VKD_OK) model_file_log(&file);
  if (st == VKD_OK) st = model_file_require_latent(&file, err);
  if (st == VKD_OK) {
    s->model = file.model.config;
    model_file_config(&file.model, &s->config);
    s->config.train.batch = 1;
    s->config.train.steps = 1;
  }
  for (int i = 1; i < args->count && st == VKD_OK; i++) {
    char key[64];
    const char *equals = strchr(args->pos[i], '=');
    snprintf(key, sizeof key, "%.*s", equals ? (int)(equals - args->pos[i]) : 0, args->pos[i]);
    if (!equals || strncmp(key, "train.", 6) != 0)
      st = vkd_fail(err, VKD_ERR_USAGE, "profile: '%s': with a weight file only train.KEY=VALUE can be set",
                    args->pos[i]);
    else
      st = config_set(&s->config, key, equals + 1, err);
  }
  if (st == VKD_OK) st = config_check(&s->config, err);
  s->model.compute = train_compute(&s->config);
  s->model.recompute = s->config.train.recompute;
  s->file = true;
  model_file_close(&file);
  return st;
}

static enum vkd_status open_subject(const struct cmd_args *args, struct subject *s, struct vkd_error *err) {
  if (is_weights(args->pos[0])) return open_file(args, s, err);
  for (const struct cmd_opt *o = (const struct cmd_opt[]){MODEL_FILE_OPTS, {0}}; o->name; o++)
    if (cmd_has(args, o->name))
      return vkd_fail(err, VKD_ERR_USAGE, "profile: --%s is of weight files; a configuration has data.latent", o->name);
  enum vkd_status st = config_arg_load(args, &s->config, err);
  return st == VKD_OK ? shapes_open(&s->config, &s->data, &s->info, err) : st;
}

// Of several ranks: what the first one says.
static enum vkd_status profile(struct cmd_args *args, struct comm *comm, struct vkd_error *err) {
  bool sample = cmd_has(args, "sample"), plan_only = cmd_has(args, "plan-only"), nodes = cmd_has(args, "nodes");
  if (sample && cmd_has(args, "train"))
    return vkd_fail(err, VKD_ERR_USAGE, "profile: give --train or --sample, not both");
  if (plan_only && (cmd_has(args, "device") || cmd_has(args, "runs")))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "profile: --plan-only uses no device and runs nothing; leave out --device and --runs");
  if (plan_only && (cmd_has(args, "trace") || cmd_has(args, "roofline")))
    return vkd_fail(err, VKD_ERR_USAGE, "profile: --plan-only measures nothing; leave out --trace and --roofline");
  struct profile_network network = {.ranks = (int)cmd_int(args, "ranks"),
                                    .bandwidth = cmd_real(args, "network") * 1e9 / 8,
                                    .latency = cmd_real(args, "latency") * 1e-6};
  if (network.ranks && (plan_only || sample))
    return vkd_fail(err, VKD_ERR_USAGE, "profile: --ranks goes by the times of a training step that is measured");
  if (comm && sample)
    return vkd_fail(err, VKD_ERR_USAGE, "profile: ranks share a training step; start one process for --sample");
  if (comm && network.ranks && network.ranks != comm_size(comm))
    return vkd_fail(err, VKD_ERR_USAGE, "profile: --ranks %d among %d ranks; leave it out, or start one process",
                    network.ranks, comm_size(comm));
  if (comm && !plan_only) network.ranks = comm_size(comm);
  struct vkd_device *dev = NULL;
  struct profile *p = NULL;
  struct subject *subject = calloc(1, sizeof *subject);
  enum vkd_status st =
      subject ? open_subject(args, subject, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "profile: out of memory");
  struct vkd_device_params wanted = {.select = cmd_string(args, "device"),
                                     .fake = plan_only ? &plan_caps : NULL,
                                     .turn = (uint32_t)comm_local_rank(comm)};
  if (st == VKD_OK) st = vkd_device_create(&dev, &wanted, err);
  if ((st = comm_meet(comm, st, NULL, 0, err)) != VKD_OK) goto done;
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  int runs = plan_only ? 0 : (int)cmd_int(args, "runs");
  struct profile_params params = {.device = dev,
                                  .config = &subject->config,
                                  .comm = comm,
                                  .data = &subject->info,
                                  .model = subject->file ? &subject->model : NULL,
                                  .sample = sample,
                                  .runs = runs};
  st = comm_meet(comm, profile_create(&p, &params, err), NULL, 0, err);
  if (st != VKD_OK || comm_rank(comm) > 0) goto done;
  if (runs > 0 && (st = profile_peaks(p, dev, err)) != VKD_OK) goto done;
  if (cmd_has(args, "trace")) st = profile_trace_write(p, caps->name, cmd_string(args, "trace"), err);
  if (st == VKD_OK && cmd_has(args, "roofline"))
    st = draw_roofline(p, sample, nodes, caps->name, cmd_string(args, "roofline"), err);
  if (st != VKD_OK) goto done;
  st = cmd_has(args, "json") ? print_json(p, sample, nodes, &network, caps->name, err)
                             : print_text(p, sample, nodes, &network, caps->name, err);
done:
  profile_destroy(&p);
  vkd_device_destroy(&dev);
  if (subject) dataset_close(&subject->data);
  free(subject);
  return comm_meet(comm, st, NULL, 0, err);
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) { return ranks_run(args, profile, err); }

const struct cmd cmd_profile = {
    .name = "profile",
    .summary = "Tells what a step costs op by op, its memory, and its FLOPs beside the paper's formula",
    .usage = "CONFIG.yaml|FILE.safetensors [key=value ...]",
    .details =
        "The formula is C_token = 3/4 N (7 + n/d), N = 16 L d^2, per token (another ffn width: 3 L (12 d^2 + 4 "
        "d ffn + 4 n d); family dit: 3 L (8 d^2 + 4 d ffn + 4 n d)).\n"
        "Measured beside the device's peaks, which a large product and a sum of large arrays show in the same run.\n"
        "Inputs are random; shapes come from data.path, from data.latent, or from the synthetic settings.",
    .min_pos = 1,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
