// vkdit sample: video from a trained model.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "lora_arg.h"
#include "model_file.h"
#include "precision_arg.h"
#include "progress.h"
#include "text_arg.h"
#include "vkd/log.h"
#include "vkd/nearest.h"
#include "vkdm/fileio.h"
#include "vkdm/media.h"
#include "vkdm/sample.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("FILE", "FILE.gif, .png (frames side by side), .mp4, or .safetensors (latents)", .required = true),
    {.name = "steps",
     .kind = CMD_INT,
     .metavar = "N",
     .min = 1,
     .max = 10000,
     .help = "sampler steps; default: 50, of ddpm 250"},
    {.name = "sampler",
     .kind = CMD_STRING,
     .metavar = "euler|dpm++|unipc|ddim|ddpm",
     .help = "euler, dpm++ or unipc of a flow; ddim or ddpm of a model trained by ddpm; default: the first"},
    {.name = "shift",
     .kind = CMD_REAL,
     .metavar = "S",
     .min = 1e-3,
     .max = 1e3,
     .help = "noise levels of a flow, s sigma / (1 + (s - 1) sigma); default: 1, of a weight file 5"},
    {.name = "cfg",
     .kind = CMD_REAL,
     .metavar = "S",
     .fallback = "1",
     .min = 0,
     .max = 100,
     .help = "guidance; 1: none"},
    {.name = "cfg-channels",
     .kind = CMD_INT,
     .metavar = "N",
     .min = 1,
     .max = 1024,
     .help = "guide the first N channels; default: 3 of family dit with 4, else all"},
    {.name = "seed",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "0",
     .min = 0,
     .max = 9e15,
     .help = "of the starting noise"},
    {.name = "label",
     .kind = CMD_STRING,
     .metavar = "N|NAME",
     .help = "class of every sample; without it each sample takes the next class"},
    TEXT_ARG_OPTS,
    {.name = "count",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "4",
     .min = 1,
     .max = 1024,
     .help = "samples, tiled in one picture"},
    {.name = "fps",
     .kind = CMD_REAL,
     .metavar = "F",
     .fallback = "8",
     .min = 0.1,
     .max = 100,
     .help = "frames per second"},
    {.name = "raw", .help = "the raw weights, not their running average (EMA)"},
    PRECISION_ARG_OPT("of the blocks' products and attention; 16 bits halve their weights (default: fp32)"),
    LORA_ARG_OPTS,
    MODEL_FILE_OPTS,
    STREAMED_OPTS,
    CMD_OPT_DEVICE,
    {0},
};

enum format { GIF, PNG, MP4, SAFETENSORS };

static enum vkd_status find_format(const char *path, enum format *out, struct vkd_error *err) {
  static const char *const endings[] = {".gif", ".png", ".mp4", ".safetensors"};
  const char *dot = strrchr(path, '.');
  for (int i = 0; dot && i < 4; i++)
    if (strcmp(dot, endings[i]) == 0) {
      *out = (enum format)i;
      return VKD_OK;
    }
  return vkd_fail(err, VKD_ERR_USAGE, "sample: %s: the ending tells the format: .gif, .png, .mp4 or .safetensors",
                  path);
}

// Found out before the work, not after it.
static enum vkd_status check_folder(const char *path, struct vkd_error *err) {
  const char *slash = strrchr(path, '/');
  char *folder = slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup(slash ? "/" : ".");
  enum vkd_status st = VKD_OK;
  if (!folder) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (!fileio_is_dir(folder)) st = vkd_fail(err, VKD_ERR_INPUT, "%s: no such folder: %s", path, folder);
  if (st == VKD_OK && access(folder, W_OK | X_OK) != 0)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: cannot write in its folder: %s", path, strerror(errno));
  free(folder);
  return st;
}

static enum vkd_status check_output(const struct cmd_args *args, const char *path, struct vkd_error *err) {
  const char *const inputs[] = {args->pos[0], cmd_string(args, "text"), cmd_string(args, "null-text"),
                                cmd_string(args, "noise")};
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
    if (inputs[i] && fileio_is_same(path, inputs[i]))
      return vkd_fail(err, VKD_ERR_USAGE, "sample: %s: is what is read; name another file to write", path);
  return check_folder(path, err);
}

// Samples that are not finite are no samples.
static enum vkd_status check_finite(const float *latents, size_t numel, struct vkd_error *err) {
  size_t bad = 0;
  for (size_t i = 0; i < numel; i++) bad += !isfinite(latents[i]);
  if (!bad) return VKD_OK;
  return vkd_fail(
      err, VKD_ERR_DIVERGED,
      "sample: %zu of %zu numbers of the latents are not finite: the weights or adapters hold such numbers, "
      "or fp16 overflows (take --precision bf16 or fp32); nothing is written",
      bad, numel);
}

static enum vkd_status find_sampler(const struct cmd_args *args, const struct run_model *m, const struct sampler **out,
                                    struct vkd_error *err) {
  enum prediction prediction = prediction_of(m->config.train.objective);
  enum vkd_status st = sampler_find(cmd_string(args, "sampler"), prediction, out, err);
  if (st != VKD_OK) return vkd_error_prefix(err, "sample");
  if (cmd_has(args, "shift") && !sampler_shifts(*out))
    return vkd_fail(err, VKD_ERR_USAGE, "sample: --shift is not for sampler %s", sampler_name(*out));
  if (cmd_int(args, "cfg-channels") > m->state.model.in_channels)
    return vkd_fail(err, VKD_ERR_USAGE, "sample: --cfg-channels %d: the model has %d channels",
                    (int)cmd_int(args, "cfg-channels"), m->state.model.in_channels);
  return VKD_OK;
}

static enum vkd_status find_labels(const struct cmd_args *args, const struct run_model *m, int count, int32_t *labels,
                                   struct vkd_error *err) {
  const char *want = cmd_string(args, "label");
  int classes = m->state.model.class_rows - 1;
  for (int i = 0; i < count; i++) labels[i] = classes > 0 ? i % classes : -1;
  if (!want) return VKD_OK;
  int64_t n;
  int32_t label = -1;
  if (cmd_parse_int(want, &n) && n >= 0 && n < classes) label = (int32_t)n;
  for (uint32_t i = 0; i < m->state.class_count && (int)i < classes; i++)
    if (strcmp(m->state.class_names[i], want) == 0) label = (int32_t)i;
  if (label < 0) {
    const char *near = vkd_nearest_name(want, (const char *const *)m->state.class_names, m->state.class_count);
    if (classes < 1)
      return vkd_fail(err, VKD_ERR_USAGE, "sample: --label %s: the model was trained without classes", want);
    return vkd_fail(err, VKD_ERR_USAGE, "sample: --label %s: the model has classes 0 to %d%s%s%s", want, classes - 1,
                    near ? " (nearest name: " : "", near ? near : "", near ? ")" : "");
  }
  for (int i = 0; i < count; i++) labels[i] = label;
  return VKD_OK;
}

static enum vkd_status write_latents(const char *path, const float *latents, const struct dit_config *c, int count,
                                     struct vkd_error *err) {
  struct st_entry entry = {.name = "latents",
                           .dtype = ST_F32,
                           .ndim = 5,
                           .shape = {(uint64_t)count, (uint64_t)c->in_channels, (uint64_t)c->latent[0],
                                     (uint64_t)c->latent[1], (uint64_t)c->latent[2]},
                           .data = latents};
  return st_write(path, &entry, 1, NULL, 0, err);
}

static enum vkd_status write_video(const char *path, enum format format, const float *latents,
                                   const struct latent_codec *codec, int count, double fps, struct vkd_error *err) {
  uint32_t t = codec->frames, h = codec->height, w = codec->width, columns = 1;
  while (columns * columns < (uint32_t)count) columns++;
  if (format == PNG) columns = 1; // one sample per row, its frames side by side
  uint32_t rows = ((uint32_t)count + columns - 1) / columns;
  uint8_t *tiled = NULL;
  enum vkd_status st = media_from_latents(codec, latents, (uint32_t)count, columns, &tiled, err);
  if (st == VKD_OK) {
    if (format == PNG)
      st = media_write_png_strip(path, tiled, t, rows * h, columns * w, t, err);
    else if (format == GIF)
      st = media_write_gif(path, tiled, t, rows * h, columns * w, fps, err);
    else
      st = media_write_mp4(path, tiled, t, rows * h, columns * w, fps, err);
  }
  free(tiled);
  return st;
}

// A run's samples are judged at the flow's own levels, a public model's at those of its code.
static double shift_of(const struct cmd_args *args, const struct run_model *m) {
  if (cmd_has(args, "shift")) return cmd_real(args, "shift");
  return m->state.step < 0 ? m->config.train.shift : 1;
}

static void on_progress(void *user, int step, int steps) {
  struct progress *bar = user;
  if (!*bar->label) progress_begin(bar, "sample", "steps", 0, (uint64_t)steps);
  progress_update(bar, (uint64_t)step, NULL);
}

// What is asked for, as it fits the model.
struct job {
  const struct cmd_args *args;
  const char *path;
  enum format format;
  int count;
  int32_t *labels; // [count]
  const struct sampler *sampler;
  struct text_arg text;
};

// All that can be found out without the weights.
static enum vkd_status fit_model(void *user, const struct run_model *m, struct vkd_error *err) {
  struct job *j = user;
  int steps = (int)cmd_int(j->args, "steps");
  if (j->format != SAFETENSORS && m->state.codec.kind == LATENT_RAW)
    return vkd_fail(err, VKD_ERR_USAGE,
                    "sample: the model's latents were made elsewhere and cannot become pictures here; write "
                    ".safetensors");
  enum vkd_status st = find_sampler(j->args, m, &j->sampler, err);
  if (st == VKD_OK) st = find_labels(j->args, m, j->count, j->labels, err);
  if (st == VKD_OK) st = text_arg_read(j->args, &m->state.model, j->count, &j->text, err);
  if (st == VKD_OK && m->state.step < 0 && !m->state.model.class_rows && !j->text.text)
    vkd_log(VKD_LOG_WARN, "%s: takes text, and no --text is given: its embedding is zeros", j->args->pos[0]);
  if (st != VKD_OK || !steps) return st;
  double *grid = malloc((2 * (size_t)steps + 1) * sizeof *grid);
  st = grid ? sampler_grid(j->sampler, steps, 1, grid, grid + steps + 1, err)
            : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d steps", steps);
  free(grid);
  return st;
}

static enum vkd_status draw(const struct job *j, const struct run_model *m, float *latents, struct vkd_error *err) {
  struct progress bar = {.total = 0};
  struct sample_params p = {.params = m->params,
                            .kind = PARAMS_WEIGHT,
                            .prediction = prediction_of(m->config.train.objective),
                            .sampler = j->sampler,
                            .count = j->count,
                            .steps = (int)cmd_int(j->args, "steps"),
                            .shift = shift_of(j->args, m),
                            .cfg = cmd_real(j->args, "cfg"),
                            .cfg_channels = (int)cmd_int(j->args, "cfg-channels"),
                            .seed = (uint64_t)cmd_int(j->args, "seed"),
                            .labels = j->labels,
                            .text = j->text.text,
                            .null_text = j->text.null_text,
                            .noise = j->text.noise,
                            .progress = on_progress,
                            .user = &bar};
  enum vkd_status st = sample_run(&p, latents, err);
  if (*bar.label) progress_end(&bar, NULL);
  return st == VKD_OK ? check_finite(latents, (size_t)j->count * latent_count(&m->state.codec), err) : st;
}

static enum vkd_status write_samples(const struct job *j, const struct run_model *m, const float *latents,
                                     struct vkd_error *err) {
  enum vkd_status st = j->format == SAFETENSORS ? write_latents(j->path, latents, &m->state.model, j->count, err)
                                                : write_video(j->path, j->format, latents, &m->state.codec, j->count,
                                                              cmd_real(j->args, "fps"), err);
  if (st != VKD_OK) return st;
  printf("%s: %d sample%s", j->path, j->count, j->count == 1 ? "" : "s");
  if (m->state.step >= 0) printf(" of step %lld", (long long)m->state.step);
  printf("\n");
  return VKD_OK;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct job job = {.args = args, .path = cmd_string(args, "output"), .count = (int)cmd_int(args, "count")};
  struct run_model m = {.params = NULL};
  struct lora_arg lora = {.count = 0};
  struct vkd_device *dev = NULL;
  struct derive_options options;
  struct streamed_wish wish = {.always = cmd_has(args, "stream"),
                               .batch = (int64_t)job.count * (cmd_real(args, "cfg") == 1 ? 1 : 2)};
  const struct run_model_check check = {.run = fit_model, .user = &job};
  float *latents = NULL;
  job.labels = calloc((size_t)job.count, sizeof *job.labels);
  enum vkd_status st =
      job.labels ? find_format(job.path, &job.format, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for labels");
  if (st == VKD_OK) st = check_output(args, job.path, err);
  if (st == VKD_OK) st = model_file_options(args, &options, err);
  if (st == VKD_OK) st = precision_arg(args, &wish.compute, err);
  if (st == VKD_OK)
    st = vkd_device_create(
        &dev, &(struct vkd_device_params){.select = cmd_string(args, "device"), .memory_limit = streamed_limit(args)},
        err);
  if (st == VKD_OK) st = run_model_open_any(&m, args->pos[0], &options, cmd_has(args, "raw"), dev, &wish, &check, err);
  if (st == VKD_OK) st = lora_arg_load(&lora, args, &m.params, err);
  if (st == VKD_OK && !(latents = malloc((size_t)job.count * latent_count(&m.state.codec) * sizeof *latents)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d samples", job.count);
  if (st == VKD_OK) st = draw(&job, &m, latents, err);
  if (st == VKD_OK) st = write_samples(&job, &m, latents, err);
  free(job.labels);
  free(latents);
  text_arg_free(&job.text);
  run_model_close(&m);
  lora_arg_close(&lora);
  vkd_device_destroy(&dev);
  return st;
}

const struct cmd cmd_sample = {
    .name = "sample",
    .summary = "Makes videos with a trained model",
    .usage = MODEL_FILE_USAGE,
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
