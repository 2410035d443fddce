// The loop: data -> step -> metrics, held-out loss, checkpoints.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe.h"
#include "train_internal.h"
#include "vkd/log.h"
#include "vkdm/ckpt.h"
#include "vkdm/clock.h"
#include "vkdm/data_build.h"
#include "vkdm/fileio.h"
#include "vkdm/lora.h"
#include "vkdm/objective.h"

void train_result_free(struct train_result *r) {
  free(r->points);
  *r = (struct train_result){0};
}

enum vkd_dtype train_compute(const struct config *c) {
  static const enum vkd_dtype dtypes[] = {[CONFIG_FP32] = VKD_F32, [CONFIG_FP16] = VKD_F16, [CONFIG_BF16] = VKD_BF16};
  return dtypes[c->train.precision];
}

enum vkd_status train_model_config(const struct config *c, const struct dataset_info *data, struct dit_config *out,
                                   struct vkd_error *err) {
  struct latent_shape shape = latent_shape(&data->codec);
  *out = (struct dit_config){.family = (enum dit_family)c->model.family,
                             .dim = c->model.dim,
                             .depth = c->model.depth,
                             .heads = c->model.heads,
                             .ffn = config_ffn(c),
                             .freq_dim = c->model.freq_dim,
                             .in_channels = (int)shape.c,
                             .out_channels = (int)shape.c * (objective_learns_variance(c->train.objective) ? 2 : 1),
                             .patch = {c->model.patch[0], c->model.patch[1], c->model.patch[2]},
                             .latent = {(int)shape.t, (int)shape.h, (int)shape.w},
                             .eps = 1e-6f,
                             .compute = train_compute(c),
                             .recompute = c->train.recompute};
  if (c->train.lora_rank > 0) {
    out->lora.rank = c->train.lora_rank;
    out->lora.alpha = (float)(c->train.lora_alpha > 0 ? c->train.lora_alpha : c->train.lora_rank);
    enum vkd_status st = dit_lora_targets(c->train.lora_targets, &out->lora.targets, err);
    if (st != VKD_OK) return st;
  }
  bool text = out->family == DIT_CROSS && data->text_len > 0 && c->model.text_len != 0 && c->model.text_dim != 0;
  if (text) {
    out->text_dim = (int)data->text_dim;
    out->text_len = c->model.text_len > 0 ? c->model.text_len : (int)data->text_len;
    if ((c->model.text_dim > 0 && c->model.text_dim != out->text_dim) || out->text_len < (int)data->text_len)
      return vkd_fail(err, VKD_ERR_INPUT,
                      "model.text_dim %d, text_len %d: the data's text is %u x %u; leave both at -1, or pad it with a "
                      "larger text_len",
                      c->model.text_dim, c->model.text_len, data->text_len, data->text_dim);
  } else {
    // A row of a learned table; without classes only the null row is left, and the model is unconditional.
    int classes = c->model.classes == CONFIG_AUTO ? (int)data->classes : c->model.classes;
    if (classes > 0 && (uint32_t)classes < data->classes)
      return vkd_fail(err, VKD_ERR_INPUT, "model.classes %d: the data have %u", classes, data->classes);
    out->class_rows = classes + 1;
    if (out->family == DIT_CLASS) return dit_config_check(out, err);
    out->text_dim = c->model.text_dim > 0 ? c->model.text_dim : c->model.dim;
    out->text_len = 1;
  }
  return dit_config_check(out, err);
}

int64_t train_steps(const struct config *c, const struct dit_config *model) {
  if (c->train.steps > 0) return c->train.steps;
  int64_t per_step = dit_tokens(model) * c->train.batch;
  return (c->train.tokens + per_step - 1) / per_step;
}

enum vkd_status train_open_data(const struct config *c, const char *synthetic_path, struct dataset **out,
                                struct vkd_error *err) {
  *out = NULL;
  enum vkd_status st = config_require_data(c, err);
  if (st != VKD_OK || *c->data.path) return st == VKD_OK ? dataset_open(c->data.path, out, err) : st;
  static const char *const source = "synthetic";
  struct data_build_params build = {
      .sources = &source,
      .source_count = 1,
      .output = synthetic_path,
      .frames = (uint32_t)c->data.frames,
      .height = (uint32_t)c->data.size[0],
      .width = (uint32_t)c->data.size[1],
      .codec = c->data.codec == CONFIG_HAAR ? LATENT_HAAR : LATENT_PIXEL,
      .levels_t = c->data.levels_t == CONFIG_AUTO ? DATA_AUTO : (uint32_t)c->data.levels_t,
      .levels_s = c->data.levels_s == CONFIG_AUTO ? DATA_AUTO : (uint32_t)c->data.levels_s,
      .holdout = c->data.holdout,
      .seed = (uint64_t)c->data.seed,
      .count = (uint32_t)c->data.count,
      .classes = (uint32_t)c->data.classes,
      .scene = c->data.scene};
  if (!fileio_is_file(synthetic_path)) st = data_build(&build, err);
  return st == VKD_OK ? dataset_open(synthetic_path, out, err) : st;
}

static enum vkd_status add_point(struct train_result *r, int64_t step, double loss, struct vkd_error *err) {
  struct train_point *more = realloc(r->points, ((size_t)r->point_count + 1) * sizeof *more);
  if (!more) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d measurements", r->point_count + 1);
  r->points = more;
  r->points[r->point_count++] =
      (struct train_point){step, (double)step * (double)r->tokens_per_step, (double)step * r->flops_per_step, loss};
  return VKD_OK;
}

static void note_loss(struct run *r, int64_t step, double loss) {
  if (!isfinite(loss) || step <= r->steps - (r->steps + 9) / 10) return;
  r->tail_sum += loss;
  r->tail_count++;
}

static double number_or_nan(const json_t *line, const char *key) {
  const json_t *value = json_object_get(line, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static void on_kept_line(void *user, const json_t *line) {
  struct run *r = user;
  int64_t step = json_integer_value(json_object_get(line, "step"));
  if (json_object_get(line, "loss")) {
    struct step_result s = {.step = step,
                            .loss = number_or_nan(line, "loss"),
                            .grad_norm = number_or_nan(line, "grad_norm"),
                            .loss_scale = json_number_value(json_object_get(line, "loss_scale"))};
    note_loss(r, step, s.loss);
    skips_note(&r->skips, &s);
  }
  if (json_is_number(json_object_get(line, "heldout_loss"))) {
    r->last_heldout = r->result->heldout = number_or_nan(line, "heldout_loss");
    r->result->heldout_zero = number_or_nan(line, "heldout_zero");
    add_point(r->result, step, r->last_heldout, NULL);
  }
}

// ---- beginning ------------------------------------------------------------------------------------------------------
// The folder is this process's from here on.
static enum vkd_status claim(struct run *r, struct vkd_error *err) {
  enum vkd_status st = fileio_make_dirs(r->p->run, err);
  if (st == VKD_OK) st = fileio_lock(r->p->run, &r->lock, err);
  if (st == VKD_OK) fileio_remove_temps(r->p->run);
  return st;
}

static enum vkd_status check_folder(const struct train_params *p, const char *config_path, struct vkd_error *err) {
  if (!fileio_is_missing(config_path) && !p->resume && !p->overwrite)
    return vkd_fail(err, VKD_ERR_USAGE, "%s holds a run already: --resume goes on with it, --overwrite starts anew",
                    p->run);
  // Checkpoints of a run that is replaced must not be taken for this one's.
  return p->resume ? VKD_OK : ckpt_remove_all(p->run, err);
}

// A synthetic set that an earlier configuration left in the folder must not be taken for this one's.
static enum vkd_status drop_old_data(const struct train_params *p, const char *config_path, const char *data_path,
                                     struct vkd_error *err) {
  char *newest = NULL;
  enum vkd_status st = p->resume ? ckpt_newest(p->run, &newest, err) : VKD_OK;
  bool anew = p->resume ? !newest : p->overwrite || fileio_is_missing(config_path);
  if (st == VKD_OK && anew) unlink(data_path);
  free(newest);
  return st;
}

// The first rank claims the folder and makes what is missing in it; the others find it there.
static enum vkd_status open_data(struct run *r, const char *config_path, const char *data_path, struct vkd_error *err) {
  const struct train_params *p = r->p;
  const char *given = r->config.data.path;
  enum vkd_status st = VKD_OK;
  bool synthetic = !*given, writes = train_writes(r);
  if (writes && synthetic) st = claim(r, err);
  if (writes && st == VKD_OK && synthetic) st = drop_old_data(p, config_path, data_path, err);
  if (writes && st == VKD_OK) st = train_open_data(&r->config, data_path, &r->data, err);
  st = comm_meet(p->comm, st, NULL, 0, err);
  if (!writes && st == VKD_OK) st = dataset_open(synthetic ? data_path : given, &r->data, err);
  if (st == VKD_OK) st = train_model_config(&r->config, dataset_get_info(r->data), &r->model, err);
  if (st == VKD_OK) st = observe_check(&r->config, dataset_get_info(r->data), err);
  if (writes && st == VKD_OK && !synthetic) st = claim(r, err);
  if (writes && st == VKD_OK) st = check_folder(p, config_path, err);
  return comm_agree(p->comm, st, r->data ? dataset_get_info(r->data)->fingerprint : 0, VKD_ERR_INPUT, "other data",
                    err);
}

static enum vkd_status open_device(struct run *r, struct vkd_error *err) {
  struct comm *comm = r->p->comm;
  enum vkd_status st = step_settle_micro(&r->local, r->p->device, &r->model, comm, err);
  if (r->config.train.micro_batch == CONFIG_AUTO) r->config.train.micro_batch = r->local.train.micro_batch;
  if (st == VKD_OK) st = step_params_create(&r->params, r->p->device, &r->local, &r->model, comm, err);
  if (st == VKD_OK) r->whole = params_whole(r->params);
  if (st == VKD_OK) st = step_create(&r->step, &r->local, r->params, comm, err);
  enum params_kind measured = r->config.eval.ema && r->config.train.ema > 0 ? PARAMS_EMA : PARAMS_WEIGHT;
  if (st == VKD_OK)
    st = heldout_create(&r->heldout, &r->config, r->data, &r->whole, measured, comm, step_program(r->step), err);
  return st;
}

// What the run has been so far, and what it will write.
static enum vkd_status open_records(struct run *r, const char *config_path, struct vkd_error *err) {
  enum vkd_status st = train_start(r, err);
  if (st == VKD_OK) st = config_write(&r->config, config_path, err);
  if (st == VKD_OK && !(r->config_text = config_to_string(&r->config)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  return st == VKD_OK ? metrics_open(&r->metrics, r->p->run, r->done, on_kept_line, r, err) : st;
}

static enum vkd_status open_run(struct run *r, struct vkd_error *err) {
  const struct train_params *p = r->p;
  char *config_path = fileio_join(p->run, "config.yaml"), *data_path = fileio_join(p->run, "data.vkd");
  enum vkd_status st = train_join(r, err);
  if (st == VKD_OK && (!config_path || !data_path)) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK) st = open_data(r, config_path, data_path, err);
  if (st != VKD_OK) goto done;
  r->steps = train_steps(&r->config, &r->model);
  st = open_device(r, err);
  if (st == VKD_OK) {
    struct train_result *out = r->result;
    out->params = r->params->trainable;
    out->tokens_per_step = dit_tokens(&r->model) * r->config.train.batch;
    out->flops_per_step = step_flops(r->step);
    if (train_writes(r)) st = open_records(r, config_path, err);
  }
  st = comm_meet(p->comm, st, NULL, 0, err);
  if (st == VKD_OK) st = train_share(r, err);
  struct data_loader_params loader = {.dataset = r->data,
                                      .split = DATA_TRAIN,
                                      .batch = (uint32_t)r->config.train.batch,
                                      .first = (uint32_t)(comm_rank(p->comm) * r->local.train.batch),
                                      .count = (uint32_t)r->local.train.batch,
                                      .seed = (uint64_t)r->config.train.seed,
                                      .start_step = (uint64_t)r->done};
  if (st == VKD_OK) st = data_loader_create(&loader, &r->loader, err);
done:
  free(config_path);
  free(data_path);
  return st;
}

static void close_run(struct run *r) {
  data_loader_destroy(&r->loader);
  metrics_close(&r->metrics, NULL);
  heldout_destroy(&r->heldout);
  step_destroy(&r->step);
  params_destroy(&r->params);
  dataset_close(&r->data);
  free(r->config_text);
  free(r->base);
  free(r->from);
  fileio_unlock(&r->lock);
}

// ---- the loop ------------------------------------------------------------------------------------------------------
static enum vkd_status record(struct run *r, const struct step_result *results, int count, struct vkd_error *err) {
  for (int i = 0; i < count && !r->result->diverged; i++) {
    const struct step_result *s = &results[i];
    bool last = skips_note(&r->skips, s);
    double lr = optim_lr(&r->config, s->step, r->steps);
    struct metric values[7] = {{"loss", s->loss},
                               {"grad_norm", s->grad_norm},
                               {"lr", lr},
                               {"tokens", (double)s->step * (double)r->result->tokens_per_step}};
    int fields = 4;
    if (s->loss_scale > 0) values[fields++] = (struct metric){"loss_scale", s->loss_scale};
    values[fields++] = (struct metric){"skipped", skips_is_one(s)};
    values[fields++] = (struct metric){"non_finite", (double)r->skips.total};
    enum vkd_status st = train_writes(r) ? metrics_write(r->metrics, s->step, values, fields, err) : VKD_OK;
    if (st != VKD_OK) return st;
    note_loss(r, s->step, s->loss);
    r->result->steps = s->step;
    r->result->non_finite = r->skips.total;
    r->result->diverged = last;
    r->last = *s;
    if (r->skips.in_row && r->skips.first == s->step)
      vkd_log(VKD_LOG_WARN,
              "step %" PRId64 ": loss %g, gradient norm %g: the step changes nothing (train.max_skipped %d)", s->step,
              fabs(s->loss), fabs(s->grad_norm), r->config.train.max_skipped);
    struct train_progress progress = {s->step, r->steps, s->loss, s->grad_norm, lr, r->last_heldout};
    if (r->p->progress) r->p->progress(r->p->user, &progress);
  }
  return VKD_OK;
}

static enum vkd_status flush(struct run *r, struct vkd_error *err) {
  struct step_result results[2];
  int count;
  enum vkd_status st = step_flush(r->step, results, &count, err);
  return st == VKD_OK ? record(r, results, count, err) : st;
}

// Sampling takes the averaged weights where there are any.
static enum params_kind averaged(const struct run *r) { return r->config.train.ema > 0 ? PARAMS_EMA : PARAMS_WEIGHT; }

// What ranks keep in parts, into r->whole: all of them come here.
static enum vkd_status fetch(void *user, enum params_kind kind, struct vkd_error *err) {
  struct run *r = user;
  return params_in_parts(r->params, kind) ? step_gather(r->step, kind, err) : VKD_OK;
}

static enum vkd_status measure(struct run *r, int64_t step, struct vkd_error *err) {
  struct heldout_loss h;
  enum vkd_status st = r->config.eval.ema ? fetch(r, averaged(r), err) : VKD_OK;
  if (st == VKD_OK) st = heldout_run(r->heldout, &h, err);
  if (st != VKD_OK) return st;
  r->last_heldout = r->result->heldout = h.loss;
  r->result->heldout_zero = h.zero;
  r->result->diverged |= !isfinite(h.loss);
  vkd_log(VKD_LOG_DEBUG, "step %" PRId64 ": %" PRIu64 " bytes of device memory", step,
          vkd_device_allocated(r->p->device, NULL));
  const struct metric values[] = {{"heldout_loss", h.loss},
                                  {"heldout_zero", h.zero},
                                  {"tokens", (double)step * (double)r->result->tokens_per_step}};
  if (train_writes(r)) st = metrics_write(r->metrics, step, values, 3, err);
  return st == VKD_OK ? add_point(r->result, step, h.loss, err) : st;
}

// What sampling from the run uses, in diffusers' names.
static enum vkd_status export_adapters(struct run *r, struct vkd_error *err) {
  char *path = fileio_join(r->p->run, "lora.safetensors");
  if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  enum vkd_status st = fetch(r, averaged(r), err);
  if (st == VKD_OK) st = lora_save(&r->whole, averaged(r), path, err);
  free(path);
  return st;
}

// Of a rank that writes nothing, what the first one fetches in save().
static enum vkd_status help_to_save(struct run *r, int64_t step, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < CKPT_FILES && st == VKD_OK; i++) st = fetch(r, ckpt_kind(i), err);
  if (st == VKD_OK && r->model.lora.rank > 0) st = fetch(r, averaged(r), err);
  if (st == VKD_OK) r->saved = step;
  return st;
}

static enum vkd_status save(struct run *r, int64_t step, struct vkd_error *err) {
  if (!train_writes(r)) return help_to_save(r, step, err);
  const struct dataset_info *info = dataset_get_info(r->data);
  struct ckpt_state s = {.step = step,
                         .model = r->model,
                         .codec = info->codec,
                         .data_fingerprint = info->fingerprint,
                         .class_names = (char **)(uintptr_t)info->class_names, // read only
                         .class_count = info->classes,
                         .config = r->config_text,
                         .loss_scale = *step_loss_scale(r->step)};
  if (r->model.lora.rank > 0) {
    s.base = r->base;
    s.base_hash = r->base_hash;
  }
  enum vkd_status st = metrics_sync(r->metrics, err);
  if (st == VKD_OK) st = ckpt_save(r->p->run, &s, &r->whole, (struct ckpt_fetch){fetch, r}, err);
  if (st == VKD_OK) r->saved = step;
  if (st == VKD_OK && r->model.lora.rank > 0) st = export_adapters(r, err);
  return st == VKD_OK ? ckpt_prune(r->p->run, r->config.checkpoint.keep, step, err) : st;
}

static bool due(int64_t step, int64_t every, int64_t last) { return step == last || (every > 0 && step % every == 0); }

// After a step whose result is here, and before anything is fetched: the arena of gradients is the step's.
static enum vkd_status histograms(struct run *r, int64_t step, struct vkd_error *err) {
  double scale = r->last.loss_scale > 0 ? r->last.loss_scale : 1;
  bool summed = config_accumulation(&r->local) == 1; // the arena has the sum over ranks
  if (summed) scale *= comm_size(r->p->comm);
  enum vkd_status st = summed ? step_gather(r->step, PARAMS_GRAD, err) : VKD_OK;
  if (st != VKD_OK || !train_writes(r)) return st;
  struct tfevents *events = metrics_events(r->metrics);
  st = observe_histograms(r->params, scale, step, events, err);
  return st == VKD_OK ? tfevents_flush(events, err) : st;
}

static enum vkd_status samples(struct run *r, int64_t step, struct vkd_error *err) {
  enum vkd_status st = fetch(r, averaged(r), err);
  if (st != VKD_OK || !train_writes(r)) return st;
  struct tfevents *events = metrics_events(r->metrics);
  st = observe_samples(&r->config, r->data, &r->whole, r->p->run, step, events, err);
  return st == VKD_OK ? tfevents_flush(events, err) : st;
}

// A step of a batch that all ranks have their parts of.  drain: waits for its result too
static enum vkd_status advance(struct run *r, int64_t step, const struct data_batch *batch, bool drain,
                               struct vkd_error *err) {
  struct step_result results[2];
  int count = 0;
  enum vkd_status st = step_submit(r->step, step, optim_lr(&r->config, step, r->steps), batch, results, &count, err);
  if (st == VKD_OK) st = record(r, results, count, err);
  // of the last steps in a row none is in flight, so that what they saw is still there
  return st == VKD_OK && (drain || r->skips.in_row > 0) ? flush(r, err) : st;
}

// After `step`, the last one submitted.
static enum vkd_status stop(struct run *r, int64_t step, struct vkd_error *err) {
  enum vkd_status st = flush(r, err);
  if (st != VKD_OK || r->result->diverged) return st;
  r->result->stopped = true;
  return step > r->saved && step > r->done && !r->p->no_checkpoints ? save(r, step, err) : VKD_OK;
}

// The next batch, unless the run was asked to stop: all ranks get theirs, or stop together.
static enum vkd_status next(struct run *r, enum vkd_status st, struct data_batch *batch, bool *stopped,
                            struct vkd_error *err) {
  double asked = st == VKD_OK && r->p->stop && r->p->stop(r->p->user);
  if (st == VKD_OK && !asked) st = data_loader_next(r->loader, batch, err);
  st = comm_meet(r->p->comm, st, &asked, 1, err);
  *stopped = asked > 0;
  return st;
}

static enum vkd_status loop(struct run *r, struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int64_t step = r->done + 1; step <= r->steps && !r->result->diverged; step++) {
    struct data_batch batch;
    bool stopped;
    double begin = clock_seconds(), waited = step_waited(r->step);
    st = next(r, st, &batch, &stopped, err);
    if (st != VKD_OK) return st;
    if (stopped) return stop(r, step - 1, err);
    bool eval = due(step, r->config.eval.every, r->steps), checkpoint = due(step, r->config.checkpoint.every, r->steps);
    const int64_t every = r->config.log.histograms;
    bool counted = every > 0 && step % every == 0;
    bool drawn = r->config.log.samples > 0 && due(step, r->config.log.samples, r->steps);
    // The driver may compile during the first step: it is measured alone.
    bool drain = eval || checkpoint || counted || drawn || step == r->done + 1 || r->skips.most < 3;
    st = advance(r, step, &batch, drain, err);
    if (step == r->done + 1) {
      r->result->start_seconds = clock_seconds() - r->begin;
      r->exchanged = step_exchange(r->step);
    } else {
      r->stepping += clock_seconds() - begin;
      r->waited += step_waited(r->step) - waited;
    }
    st = train_check_weights(r, st, step, err);
    if (st == VKD_OK && counted && !r->result->diverged) st = histograms(r, step, err);
    if (st == VKD_OK && eval && !r->result->diverged) st = measure(r, step, err);
    if (st == VKD_OK && drawn && !r->result->diverged) st = samples(r, step, err);
    // What is skipped may be so because of the weights: then the last checkpoint is the better one.
    checkpoint = checkpoint && !r->p->no_checkpoints && !r->result->diverged;
    if (st == VKD_OK && checkpoint && (!r->skips.in_row || step == r->steps)) st = save(r, step, err);
  }
  return st == VKD_OK ? flush(r, err) : st;
}

static void explain(struct run *r) {
  heldout_destroy(&r->heldout); // its memory lies in the step's
  skips_explain(&r->skips, r->step, &r->last, &r->config, r->data, r->p->no_checkpoints ? NULL : r->p->run,
                r->result->why, sizeof r->result->why);
}

static enum vkd_status write_summary(const struct run *r, struct vkd_error *err) {
  const struct train_result *t = r->result;
  char *path = fileio_join(r->p->run, "summary.json");
  json_t *points = json_array();
  for (int i = 0; i < t->point_count; i++)
    json_array_append_new(points,
                          json_pack("{s:I,s:f,s:f,s:f}", "step", (json_int_t)t->points[i].step, "tokens",
                                    t->points[i].tokens, "flops", t->points[i].flops, "loss", t->points[i].loss));
  json_t *root = json_pack(
      "{s:I,s:I,s:i,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:I,s:I,s:b,s:s,s:o}", "params", (json_int_t)t->params, "steps",
      (json_int_t)t->steps, "ranks", t->ranks, "steps_planned", (json_int_t)r->steps, "tokens_per_step",
      (json_int_t)t->tokens_per_step, "micro_batch", (json_int_t)config_micro_batch(&r->local), "flops_per_step",
      t->flops_per_step, "start_seconds", t->start_seconds, "seconds", t->seconds, "tokens_per_second",
      t->tokens_per_second, "device_bytes", (json_int_t)t->device_bytes, "non_finite", (json_int_t)t->non_finite,
      "diverged", t->diverged, "device", vkd_device_get_caps(r->p->device)->name, "points", points);
  if (root && isfinite(t->host_share)) json_object_set_new(root, "host_share", json_real(t->host_share));
  if (root && t->ranks > 1) {
    json_object_set_new(root, "comm_seconds", json_real(t->comm_seconds));
    if (isfinite(t->comm_hidden)) json_object_set_new(root, "comm_hidden", json_real(t->comm_hidden));
    if (isfinite(t->comm_share)) json_object_set_new(root, "comm_share", json_real(t->comm_share));
  }
  if (root && t->diverged) json_object_set_new(root, "why", json_string(t->why));
  if (root && isfinite(t->loss)) json_object_set_new(root, "loss", json_real(t->loss));
  if (root && isfinite(t->heldout)) json_object_set_new(root, "heldout_loss", json_real(t->heldout));
  if (root && isfinite(t->heldout_zero)) json_object_set_new(root, "heldout_zero", json_real(t->heldout_zero));
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  enum vkd_status st = path && text ? fileio_write_whole(path, text, strlen(text), err)
                                    : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a summary");
  free(text);
  free(path);
  json_decref(root);
  return st;
}

// Checkpoints are whole, or are not there.
static enum vkd_status tell_checkpoint(const char *run, struct vkd_error *err) {
  char *newest = NULL;
  struct vkd_error lost = *err;
  *err = (struct vkd_error){.vk_result = lost.vk_result};
  if (ckpt_newest(run, &newest, NULL) != VKD_OK)
    vkd_fail(err, lost.status, "%.700s; %.200s/checkpoints cannot be read now: once it can, --resume goes on",
             lost.what, run);
  else if (newest)
    vkd_fail(err, lost.status, "%.700s; the last checkpoint is safe: %s (--resume goes on from it)", lost.what, newest);
  else
    vkd_fail(err, lost.status, "%.700s; no checkpoint was written yet (checkpoint.every)", lost.what);
  free(newest);
  return lost.status;
}

enum vkd_status train_run(const struct train_params *params, struct train_result *result, struct vkd_error *err) {
  *result = (struct train_result){.heldout = NAN, .heldout_zero = NAN};
  struct run r = {.p = params,
                  .config = *params->config,
                  .result = result,
                  .last_heldout = NAN,
                  .begin = clock_seconds(),
                  .lock = -1};
  r.skips.most = r.config.train.max_skipped;
  enum vkd_status st = open_run(&r, err);
  double begin = clock_seconds();
  bool begun = st == VKD_OK;
  if (begun) {
    result->steps = r.done;
    result->non_finite = r.skips.total;
    st = loop(&r, err);
  }
  if (st == VKD_OK) {
    result->saved = r.saved;
    result->seconds = clock_seconds() - begin;
    result->tokens_per_second = (double)(result->steps - r.done) * (double)result->tokens_per_step / result->seconds;
    struct exchange_times t = step_exchange(r.step);
    result->ranks = comm_size(params->comm);
    result->comm_seconds = t.sums - r.exchanged.sums;
    result->comm_hidden = result->comm_seconds > 0 ? 1 - (t.late - r.exchanged.late) / result->comm_seconds : NAN;
    result->comm_share = r.stepping > 0 ? (t.late - r.exchanged.late) / r.stepping : NAN;
    result->host_share = r.stepping > 0 ? 1 - r.waited / r.stepping : NAN;
    result->loss = r.tail_count ? r.tail_sum / (double)r.tail_count : NAN;
    vkd_device_allocated(params->device, &result->device_bytes);
    if (train_writes(&r) && result->diverged) explain(&r);
    if (train_writes(&r)) st = write_summary(&r, err);
  }
  if (st == VKD_OK) st = metrics_close(&r.metrics, err);
  st = comm_meet(params->comm, st, NULL, 0, err);
  close_run(&r);
  if (comm_rank(params->comm) > 0) return st;
  return st == VKD_ERR_DEVICE_LOST || (st == VKD_ERR_IO && begun) ? tell_checkpoint(params->run, err) : st;
}
