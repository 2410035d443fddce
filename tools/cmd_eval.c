// vkdit eval: held-out loss of a trained model.
#include <stdio.h>

#include "cmd.h"
#include "lora_arg.h"
#include "precision_arg.h"
#include "run_model.h"
#include "vkdm/heldout.h"

static const struct cmd_opt opts[] = {
    {.name = "data",
     .kind = CMD_STRING,
     .metavar = "FILE.vkd",
     .required = true,
     .help = "data whose held-out clips are used"},
    {.name = "raw", .help = "the raw weights, not their running average (EMA)"},
    {.name = "clips",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "0",
     .min = 0,
     .max = 1e8,
     .help = "at most so many clips; 0: all"},
    PRECISION_ARG_OPT("of the blocks' products and attention (default: as the run was trained)"),
    LORA_ARG_OPTS,
    CMD_OPT_JSON,
    CMD_OPT_DEVICE,
    {0},
};

static enum vkd_status check_data(const struct run_model *m, const struct dataset *data, struct vkd_error *err) {
  struct latent_shape s = latent_shape(&dataset_get_info(data)->codec);
  const struct dit_config *c = &m->state.model;
  if ((int)s.c != c->in_channels || (int)s.t != c->latent[0] || (int)s.h != c->latent[1] || (int)s.w != c->latent[2])
    return vkd_fail(err, VKD_ERR_INPUT, "%s: latents of %u x %u x %u x %u, the model takes %d x %d x %d x %d",
                    dataset_path(data), s.c, s.t, s.h, s.w, c->in_channels, c->latent[0], c->latent[1], c->latent[2]);
  const struct dataset_info *info = dataset_get_info(data);
  if (!c->class_rows && ((int)info->text_len > c->text_len || (int)info->text_dim != c->text_dim))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: text of %u x %u, the model takes at most %d x %d", dataset_path(data),
                    info->text_len, info->text_dim, c->text_len, c->text_dim);
  return VKD_OK;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct run_model m = {.params = NULL};
  struct lora_arg lora = {.count = 0};
  struct vkd_device *dev = NULL;
  struct dataset *data = NULL;
  struct heldout *heldout = NULL;
  struct heldout_loss loss;
  enum vkd_dtype compute = VKD_F32;
  enum vkd_status st = precision_arg(args, &compute, err);
  if (st == VKD_OK)
    st = vkd_device_create(&dev, &(struct vkd_device_params){.select = cmd_string(args, "device")}, err);
  if (st == VKD_OK)
    st = run_model_open(&m, args->pos[0], cmd_has(args, "raw"), cmd_has(args, "precision") ? &compute : NULL, dev, err);
  if (st == VKD_OK) st = lora_arg_load(&lora, args, &m.params, err);
  if (st == VKD_OK) st = dataset_open(cmd_string(args, "data"), &data, err);
  if (st == VKD_OK) st = check_data(&m, data, err);
  if (st == VKD_OK) {
    m.config.eval.holdout = (int)cmd_int(args, "clips");
    st = heldout_create(&heldout, &m.config, data, m.params, PARAMS_WEIGHT, NULL, NULL, err);
  }
  if (st == VKD_OK) st = heldout_run(heldout, &loss, err);
  if (st == VKD_OK && cmd_has(args, "json"))
    printf("{\"step\": %lld, \"heldout_loss\": %.9g, \"heldout_zero\": %.9g, \"clips\": %u, \"samples\": %u}\n",
           (long long)m.state.step, loss.loss, loss.zero, loss.clips, loss.samples);
  else if (st == VKD_OK)
    printf("step %lld: held-out loss %.6g over %u clips, %u draws (predicting zeros: %.6g)\n", (long long)m.state.step,
           loss.loss, loss.clips, loss.samples, loss.zero);
  heldout_destroy(&heldout);
  dataset_close(&data);
  run_model_close(&m);
  lora_arg_close(&lora);
  vkd_device_destroy(&dev);
  return st;
}

const struct cmd cmd_eval = {
    .name = "eval",
    .summary = "Measures a model's loss on held-out clips",
    .usage = "RUN|CHECKPOINT",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
