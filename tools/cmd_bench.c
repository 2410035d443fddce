// vkdit bench: speed of kernels (tools/bench_kernels.c, tools/bench_memory.c), of training steps (tools/bench_train.c,
// tools/bench_scaling.c) and of sampler steps (tools/bench_sample.c) on this device.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_sample.h"
#include "law_json.h"

static const struct cmd_opt opts[] = {
    {.name = "runs",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "9",
     .min = 1,
     .max = 10000,
     .help = "runs whose median is reported; where it is not given train and scaling make fewer of long steps"},
    {.name = "only", .kind = CMD_STRING, .metavar = "TEXT", .help = "rows whose name contains TEXT, as 1024x512"},
    {.name = "all", .help = "also rows that take long on software devices; other devices run them anyway"},
    {.name = "max-tokens",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "4096",
     .min = 64,
     .max = 1 << 20,
     .help = "scaling: the most tokens per sample"},
    {.name = "max-batch",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "16",
     .min = 1,
     .max = 4096,
     .help = "scaling: the most samples per step"},
    {.name = "save",
     .kind = CMD_STRING,
     .metavar = "FILE",
     .help = "not of sample: write the JSON there, and print text none the less"},
    {.name = "svg", .kind = CMD_STRING, .metavar = "FILE", .help = "scaling: plots of time and memory"},
    BENCH_SAMPLE_OPTS,
    CMD_OPT_JSON,
    CMD_OPT_DEVICE,
    {0},
};

// A benchmark: what it takes beside --json and --device, each followed by a space, and whether key=value.
struct part {
  const char *name;
  enum vkd_status (*run)(struct bench_run *run, struct vkd_error *err);
  const char *options;
  bool alone, overrides; // alone: only where it is asked for
};
static const struct part parts[] = {
    {"matmul", bench_matmul, "runs only all save ", false, false},
    {"attention", bench_attention, "runs only all save ", false, false},
    {"memory", bench_memory, "runs only all save ", false, false},
    {"train", bench_train_rows, "runs only all config save ", true, true},
    {"scaling", bench_scaling, "runs max-tokens max-batch svg save ", true, true},
    // --runs is refused there, with what it has in its place
    {"sample", NULL, "runs config random-weights weights steps count cfg precision stream memory-limit blocks ", true,
     true},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

static bool takes(const struct part *part, const char *option) {
  size_t n = strlen(option);
  for (const char *at = part->options; *at; at = strchr(at, ' ') + 1)
    if (strncmp(at, option, n) == 0 && at[n] == ' ') return true;
  return false;
}

// part NULL: those that are not alone, which take the same
static enum vkd_status check_options(const struct cmd_args *args, const struct part *part, struct vkd_error *err) {
  const struct part *first = part ? part : &parts[0];
  for (const struct cmd_opt *o = opts; o->name; o++) {
    char owners[96] = "";
    if (!cmd_has(args, o->name) || takes(first, o->name)) continue;
    for (int i = 0; i < PARTS; i++)
      if (takes(&parts[i], o->name))
        snprintf(owners + strlen(owners), sizeof owners - strlen(owners), "%s%s", *owners ? ", " : "", parts[i].name);
    if (*owners) return vkd_fail(err, VKD_ERR_USAGE, "bench: --%s is an option of `vkdit bench` %s", o->name, owners);
  }
  if (args->count > 1 && !first->overrides)
    return vkd_fail(err, VKD_ERR_USAGE, "bench: unexpected argument '%s'; usage: vkdit bench %s", args->pos[1],
                    args->cmd->usage);
  return VKD_OK;
}

bool bench_wanted(struct bench_run *run, const char *name, double flops, double small) {
  const char *only = cmd_string(run->args, "only");
  if (only && !strstr(name, only)) return false;
  run->named++;
  if (!cmd_has(run->args, "all") && run->caps->kind == VKD_DEVICE_SOFTWARE && flops > small) return false;
  run->timed++;
  return true;
}

// --only that chose nothing
static enum vkd_status check_chosen(const struct bench_run *r, struct vkd_error *err) {
  const char *only = cmd_string(r->args, "only");
  if (!only || r->timed) return VKD_OK;
  if (!r->named) return vkd_fail(err, VKD_ERR_USAGE, "bench: no row's name contains '%s'", only);
  return vkd_fail(err, VKD_ERR_USAGE, "bench: rows of '%s' take long on %s; --all runs them", only, r->caps->name);
}

bool bench_begin(struct bench_run *r) {
  if (!r->text || r->begun) return false;
  printf("%s, %s\n", r->caps->name, r->caps->driver_info);
  return r->begun = true;
}

static enum vkd_status run_parts(struct bench_run *r, const struct part *part, struct vkd_error *err) {
  enum vkd_status st = vkd_device_create(&r->dev, &r->wanted, err);
  if (st != VKD_OK) return st;
  r->caps = vkd_device_get_caps(r->dev);
  if (r->root)
    json_object_update_new(r->root, json_pack("{s:s,s:s,s:s,s:O}", "vkdit", VKDIT_VERSION, "device", r->caps->name,
                                              "driver", r->caps->driver_info, "rows", r->rows));
  for (int i = 0; i < PARTS && st == VKD_OK; i++)
    if (part ? part == &parts[i] : !parts[i].alone) st = parts[i].run(r, err);
  if (st == VKD_OK) st = check_chosen(r, err);
  if (st == VKD_OK && r->root && !r->text && (json_dumpf(r->root, stdout, JSON_INDENT(2)) || printf("\n") < 0))
    st = vkd_fail(err, VKD_ERR_IO, "bench: cannot print JSON");
  if (st == VKD_OK && r->text && r->root) st = law_json_write(cmd_string(r->args, "save"), json_incref(r->root), err);
  return st;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const struct part *part = NULL;
  for (int i = 0; args->count && i < PARTS; i++)
    if (strcmp(args->pos[0], parts[i].name) == 0) part = &parts[i];
  if (args->count && !part) {
    char names[96] = "";
    for (int i = 0; i < PARTS; i++)
      snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", parts[i].name);
    return vkd_fail(err, VKD_ERR_USAGE, "no benchmark '%s': known are %s", args->pos[0], names);
  }
  enum vkd_status st = check_options(args, part, err);
  if (st != VKD_OK) return st;
  if (part && !part->run) return bench_sample_command(args, err);
  struct bench_run r = {
      .args = args, .wanted = {.select = cmd_string(args, "device")}, .runs = (int)cmd_int(args, "runs")};
  r.text = !cmd_has(args, "json");
  if (!r.text && cmd_has(args, "save"))
    return vkd_fail(err, VKD_ERR_USAGE, "bench: --json prints what --save writes; give one of them");
  if (!r.text || cmd_has(args, "save")) {
    r.root = json_object();
    r.rows = json_array();
  }
  st = run_parts(&r, part, err);
  json_decref(r.rows);
  json_decref(r.root);
  vkd_device_destroy(&r.dev);
  return st;
}

const struct cmd cmd_bench = {
    .name = "bench",
    .summary = "Measures kernels, training steps, or what a sampler's step costs, on this device",
    .usage = "[matmul|attention|memory] | train [key=value ...] | scaling [key=value ...] | sample --config NAME "
             "[key=value ...]",
    .details =
        "Kernels: FLOPs are those that run (the backward of attention computes its scores again), bytes the least "
        "that\n"
        "must pass; memory compares them with a sum of two large arrays.\n"
        "train: whole steps of three sizes of cross_dit, or of --config, on random clips; FLOPs by the paper's "
        "C_token.\n"
        "scaling: time and memory of a step against tokens and batch, with a law fitted to them.\n"
        "sample: seconds per step, TFLOP/s, share of the peak and memory of a public model or a configuration of\n"
        "yours, with made-up weights; --json prints it on one line, to be compared across machines.",
    .min_pos = 0,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
