// vkdit train: one run from a configuration.
#include <math.h>
#include <stdio.h>

#include "cmd.h"
#include "config_arg.h"
#include "progress.h"
#include "ranks.h"
#include "stop.h"
#include "vkdm/train.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("RUN", "folder of the run", .required = true),
    {.name = "resume", .help = "go on from the newest checkpoint in RUN"},
    {.name = "overwrite", .help = "replace a run that RUN holds"},
    CMD_OPT_DEVICE,
    {0},
};

static void on_progress(void *user, const struct train_progress *t) {
  struct progress *bar = user;
  char note[96];
  if (!*bar->label) progress_begin(bar, "train", "steps", (uint64_t)t->step - 1, (uint64_t)t->steps);
  if (isfinite(t->heldout))
    snprintf(note, sizeof note, "loss %.4f  held out %.4f", t->loss, t->heldout);
  else
    snprintf(note, sizeof note, "loss %.4f", t->loss);
  progress_update(bar, (uint64_t)t->step, note);
}

static void print_stop(const char *run, const struct train_result *r) {
  if (r->saved)
    printf("stopped at step %lld, and saved: %s/checkpoints/step-%09lld; the same command with --resume goes on\n",
           (long long)r->steps, run, (long long)r->saved);
  else
    printf("%s: stopped before the first step; the same command with --resume starts it\n", run);
}

static void print_result(const struct train_result *r) {
  printf("%lld parameters, %lld steps of %lld tokens, %.4g FLOPs\n", (long long)r->params, (long long)r->steps,
         (long long)r->tokens_per_step, (double)r->steps * r->flops_per_step);
  printf("loss %.6g, held out %.6g (predicting zeros: %.6g)\n", r->loss, r->heldout, r->heldout_zero);
  printf("%.1f s, %.4g tokens/s, %.4g FLOP/s, peak device memory %.1f MiB\n", r->seconds, r->tokens_per_second,
         r->tokens_per_second / (double)r->tokens_per_step * r->flops_per_step, (double)r->device_bytes / 1048576);
  if (isfinite(r->host_share))
    printf("first step after %.1f s, host %.2g %% of the others\n", r->start_seconds, 100 * r->host_share);
  if (isfinite(r->comm_hidden))
    printf("%d ranks: sums of gradients took %.2f s, %.0f %% of it beside the backward pass; %.2g %% of the time went "
           "by waiting for them\n",
           r->ranks, r->comm_seconds, 100 * fmax(r->comm_hidden, 0), 100 * r->comm_share);
  if (r->non_finite)
    printf("%lld steps changed nothing: their loss or gradient was not finite\n", (long long)r->non_finite);
}

static enum vkd_status open_device(struct cmd_args *args, struct config *config, const struct comm *comm,
                                   struct vkd_device **dev, struct vkd_error *err) {
  if (cmd_has(args, "resume") && cmd_has(args, "overwrite"))
    return vkd_fail(err, VKD_ERR_USAGE, "train: give --resume or --overwrite, not both");
  enum vkd_status st = config_arg_load(args, config, err);
  if (st == VKD_OK) st = config_require_data(config, err);
  struct vkd_device_params params = {.select = cmd_string(args, "device"), .turn = (uint32_t)comm_local_rank(comm)};
  return st == VKD_OK ? vkd_device_create(dev, &params, err) : st;
}

// Of several ranks; the first one alone speaks.
static enum vkd_status train(struct cmd_args *args, struct comm *comm, struct vkd_error *err) {
  struct config config;
  struct train_result result = {0};
  struct vkd_device *dev = NULL;
  struct progress bar = {.total = 0};
  enum vkd_status st = open_device(args, &config, comm, &dev, err);
  if ((st = comm_meet(comm, st, NULL, 0, err)) != VKD_OK) {
    vkd_device_destroy(&dev);
    return st;
  }
  bool speaks = comm_rank(comm) == 0;
  struct train_params params = {.device = dev,
                                .config = &config,
                                .comm = comm,
                                .run = cmd_string(args, "output"),
                                .resume = cmd_has(args, "resume"),
                                .overwrite = cmd_has(args, "overwrite"),
                                .progress = speaks ? on_progress : NULL,
                                .stop = stop_requested,
                                .user = &bar};
  stop_on_signals();
  st = train_run(&params, &result, err);
  if (*bar.label) progress_end(&bar, NULL);
  if (st == VKD_OK) {
    if (speaks && result.stopped)
      print_stop(params.run, &result);
    else if (speaks)
      print_result(&result);
    if (result.diverged)
      st = vkd_fail(err, VKD_ERR_DIVERGED, "%s: %s; lower train.lr or train.clip", params.run, result.why);
  }
  train_result_free(&result);
  vkd_device_destroy(&dev);
  return st;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) { return ranks_run(args, train, err); }

const struct cmd cmd_train = {
    .name = "train",
    .summary = "Trains a model",
    .usage = CONFIG_ARG_USAGE,
    .min_pos = 1,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
