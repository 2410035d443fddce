// vkdit tune: which way of running an op is fastest on this device, for the shapes of a configuration; kept in a table
// that every later run reads.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_steps.h"
#include "config_arg.h"
#include "vkd/log.h"
#include "vkd/tune.h"
#include "vkdm/profile.h"
#include "vkdm/shapes.h"

static const double small = 5e10; // FLOPs of a step: software devices leave out larger ones of the built-in shapes

static const struct cmd_opt opts[] = {
    {.name = "runs",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "9",
     .min = 1,
     .max = 1000,
     .help = "runs whose median is compared"},
    {.name = "list", .help = "print the table of the device; nothing runs"},
    {.name = "clear", .help = "remove the table of the device; nothing runs"},
    CMD_OPT_DEVICE,
    CMD_OPT_JSON,
    {0},
};

struct tuning {
  struct vkd_device *dev, *plan; // plan: a fake one with the same limits, whose models take no memory
  const char **overrides;
  size_t override_count;
  int runs;
  json_t *buckets; // of --json; NULL: text
  uint32_t tuned, missed;
  struct config *config;
};

static json_t *trial_json(const struct vkd_tune_trial *t) {
  return json_pack("{s:s,s:f,s:o,s:b,s:b,s:s*}", "form", t->form, "ns", t->ns, "error",
                   t->error >= 0 ? json_real(t->error) : json_null(), "usual", t->usual, "chosen", t->chosen, "failed",
                   *t->failed ? t->failed : NULL);
}

static void on_result(void *user, const struct vkd_tune_result *r) {
  struct tuning *t = user;
  const char *chosen = "none";
  bool changed = false;
  json_t *trials = t->buckets ? json_array() : NULL;
  t->tuned++;
  for (int i = 0; i < r->count; i++) {
    const struct vkd_tune_trial *trial = &r->trials[i];
    if (*trial->failed) t->missed++;
    if (trial->chosen) {
      chosen = trial->form;
      changed = !trial->usual;
    }
    if (trials) json_array_append_new(trials, trial_json(trial));
  }
  if (trials)
    json_array_append_new(t->buckets, json_pack("{s:s,s:s,s:I,s:f,s:f,s:s,s:o}", "key", r->key, "label", r->label,
                                                "nodes", (json_int_t)r->nodes, "flops", r->flops, "tolerance",
                                                r->tolerance, "chosen", chosen, "trials", trials));
  if (t->buckets) return;
  if (t->tuned == 1) {
    const struct vkd_device_caps *caps = vkd_device_get_caps(t->dev);
    printf("%s, %s\n%-34s %6s %9s  %-9s candidates, ms\n", caps->name, caps->driver_info, "key", "nodes", "GFLOP",
           "chosen");
  }
  printf("%-34s %6u %9.3g  %-9s", r->key, r->nodes, r->flops * 1e-9, chosen);
  const char *separator = "";
  for (int i = 0; i < r->count; i++) {
    if (*r->trials[i].failed) continue;
    printf("%s %s %.3f", separator, r->trials[i].form, r->trials[i].ns * 1e-6);
    separator = ",";
  }
  printf("%s\n", changed ? "  (not the usual one)" : "");
  for (int i = 0; i < r->count; i++)
    if (*r->trials[i].failed) printf("  %s is left out: %s\n", r->trials[i].form, r->trials[i].failed);
  fflush(stdout);
}

// The products and so on of a training step, or of a forward pass over `batch` latents.
static enum vkd_status tune_pass(struct tuning *t, const struct dataset_info *info, int batch, struct vkd_error *err) {
  struct profile *profile = NULL;
  if (batch) t->config->train.batch = t->config->train.micro_batch = batch;
  struct profile_params params = {.device = t->plan, .config = t->config, .data = info, .sample = batch > 0};
  enum vkd_status st = profile_create(&profile, &params, err);
  if (st == VKD_OK)
    st = vkd_tune_graph(
        &(struct vkd_tune_params){
            .device = t->dev, .graph = profile->graph, .runs = t->runs, .result = on_result, .user = t},
        err);
  profile_destroy(&profile);
  return st;
}

// What t->config trains and samples: a step, its forward pass, and that of one guided sample.
static enum vkd_status tune_config(struct tuning *t, struct vkd_error *err) {
  struct dataset *data = NULL;
  struct dataset_info info;
  int micro = config_micro_batch(t->config);
  enum vkd_status st = shapes_open(t->config, &data, &info, err);
  if (st == VKD_OK) st = tune_pass(t, &info, 0, err);
  if (st == VKD_OK) st = tune_pass(t, &info, micro, err);
  if (st == VKD_OK) st = tune_pass(t, &info, 2, err);
  dataset_close(&data);
  return st;
}

static enum vkd_status tune_built_in(struct tuning *t, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  const struct bench_shape *shape;
  const char *name;
  bool software = vkd_device_get_caps(t->dev)->kind == VKD_DEVICE_SOFTWARE;
  for (int i = 0; (shape = bench_train_shape(i, &name)) && st == VKD_OK; i++) {
    if (software && bench_shape_flops(shape) > small) continue;
    st = bench_shape_config(shape, t->overrides, t->override_count, t->config, err);
    if (st == VKD_OK) st = tune_config(t, err);
  }
  return st;
}

static enum vkd_status tune_all(struct tuning *t, const struct cmd_args *args, int named, struct vkd_error *err) {
  // single nodes run: what trains on a larger device can be tuned here
  struct vkd_device_caps roomy = *vkd_device_get_caps(t->dev);
  roomy.memory_bytes = roomy.memory_budget = (uint64_t)1 << 50;
  enum vkd_status st = vkd_device_create(&t->plan, &(struct vkd_device_params){.fake = &roomy}, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < named && st == VKD_OK; i++) {
    st = config_arg_named(args->pos[i], t->overrides, t->override_count, t->config, err);
    if (st == VKD_OK) st = tune_config(t, err);
  }
  return st == VKD_OK && !named ? tune_built_in(t, err) : st;
}

static enum vkd_status print_json(json_t *root, struct vkd_error *err) {
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  if (text) puts(text);
  free(text);
  json_decref(root);
  return text ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "tune: no memory for a report");
}

static enum vkd_status list(const struct vkd_device *dev, bool json, struct vkd_error *err) {
  const struct vkd_tune *table = vkd_device_tune(dev);
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  json_t *entries = json ? json_array() : NULL;
  if (!json) printf("%s, %s\n%s: %u entries\n", caps->name, caps->driver_info, table->path, table->count);
  for (uint32_t i = 0; i < table->count; i++) {
    const struct vkd_tune_entry *e = &table->entries[i];
    if (json)
      json_array_append_new(entries,
                            json_pack("{s:s,s:s,s:I}", "key", e->key, "form", e->form, "ns", (json_int_t)e->ns));
    else
      printf("%-34s %-9s %.3f ms\n", e->key, e->form, (double)e->ns * 1e-6);
  }
  if (!json) return VKD_OK;
  return print_json(json_pack("{s:s,s:s,s:s,s:o}", "device", caps->name, "driver", caps->driver_info, "path",
                              table->path, "entries", entries),
                    err);
}

static enum vkd_status report(struct tuning *t, struct vkd_error *err) {
  const struct vkd_tune *table = vkd_device_tune(t->dev);
  const struct vkd_device_caps *caps = vkd_device_get_caps(t->dev);
  if (!t->buckets) {
    if (!t->tuned) printf("nothing to choose: %s runs every op in one form\n", caps->name);
    printf("%s: %u entries\n", table->path, table->count);
    return VKD_OK;
  }
  return print_json(json_pack("{s:s,s:s,s:s,s:I,s:O}", "device", caps->name, "driver", caps->driver_info, "path",
                              table->path, "entries", (json_int_t)table->count, "buckets", t->buckets),
                    err);
}

// Configurations come first, then key=value: *named of the former.
static enum vkd_status check_args(const struct cmd_args *args, int *named, struct vkd_error *err) {
  bool listing = cmd_has(args, "list"), clearing = cmd_has(args, "clear");
  if (listing && clearing) return vkd_fail(err, VKD_ERR_USAGE, "tune: give --list or --clear, not both");
  if ((listing || clearing) && (args->count || cmd_has(args, "runs")))
    return vkd_fail(err, VKD_ERR_USAGE, "tune: --%s runs nothing; leave out configurations and --runs",
                    listing ? "list" : "clear");
  if (clearing && cmd_has(args, "json")) return vkd_fail(err, VKD_ERR_USAGE, "tune: --clear prints no JSON");
  while (*named < args->count && !strchr(args->pos[*named], '=')) ++*named;
  for (int i = *named; i < args->count; i++)
    if (!strchr(args->pos[i], '='))
      return vkd_fail(err, VKD_ERR_USAGE, "tune: the configuration must come before '%s'", args->pos[*named]);
  return VKD_OK;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  int named = 0;
  enum vkd_status st = check_args(args, &named, err);
  if (st != VKD_OK) return st;
  struct tuning t = {.runs = (int)cmd_int(args, "runs"),
                     .overrides = args->pos + named,
                     .override_count = (size_t)(args->count - named),
                     .config = calloc(1, sizeof *t.config)};
  if (!t.config) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "tune: out of memory");
  st = vkd_device_create(&t.dev, &(struct vkd_device_params){.select = cmd_string(args, "device")}, err);
  if (st != VKD_OK) goto done;
  if (cmd_has(args, "list")) {
    st = list(t.dev, cmd_has(args, "json"), err);
  } else if (cmd_has(args, "clear")) {
    st = vkd_tune_clear(t.dev, err);
    if (st == VKD_OK) vkd_log(VKD_LOG_INFO, "%s is removed", vkd_device_tune(t.dev)->path);
  } else {
    if (cmd_has(args, "json")) t.buckets = json_array();
    st = tune_all(&t, args, named, err);
    if (st == VKD_OK) st = report(&t, err);
    if (st == VKD_OK && t.missed)
      st = vkd_fail(err, VKD_ERR_MISMATCH, "tune: %u candidates failed and were not chosen, see above", t.missed);
  }
done:
  json_decref(t.buckets);
  vkd_device_destroy(&t.plan);
  vkd_device_destroy(&t.dev);
  free(t.config);
  return st;
}

const struct cmd cmd_tune = {
    .name = "tune",
    .summary = "Finds the fastest way to run each op on this device, for later runs to take",
    .usage = "[CONFIG.yaml|NAME ...] [key=value ...]",
    .details =
        "For the training step of a configuration and the forward passes that sampling makes; without one, for the\n"
        "shapes of `vkdit bench train`.  Every candidate is checked against a float64 reference before it is timed.\n"
        "The table is a file of the cache folder (VKD_CACHE_DIR), one per device and driver; nothing else writes it.",
    .min_pos = 0,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
