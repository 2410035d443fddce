#include "model_file.h"

#include <stdlib.h>
#include <string.h>

#include "vkd/log.h"
#include "vkdm/fileio.h"

enum { PIXELS = 8, FRAMES = 4 }; // per latent row, column and frame: Wan's VAE; SD's has the same rows and columns

static bool parse_latent(const char *text, int latent[3]) {
  for (int i = 0; i < 3; i++) {
    char *end;
    long n = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
    if (n < 1 || n > 65536 || *end != (i < 2 ? 'x' : '\0')) return false;
    latent[i] = (int)n;
    text = end + 1;
  }
  return true;
}

enum vkd_status model_file_options(const struct cmd_args *args, struct derive_options *o, struct vkd_error *err) {
  const char *name = args->cmd->name, *latent = cmd_string(args, "latent");
  int frames = (int)cmd_int(args, "frames"), *l = o->latent;
  *o = (struct derive_options){.heads = (int)cmd_int(args, "heads"), .text_len = (int)cmd_int(args, "text-len")};
  if (latent && (cmd_has(args, "size") || cmd_has(args, "frames")))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: give --latent, or --size and --frames, not both", name);
  if (latent && !parse_latent(latent, l))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --latent %.60s: wanted FRAMESxROWSxCOLUMNS, as in 21x60x104", name,
                    latent);
  if (!cmd_has(args, "size") && cmd_has(args, "frames"))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --frames goes with --size", name);
  if (!cmd_size(args, "size", &l[1], &l[2])) return VKD_OK;
  if (l[1] % PIXELS || l[2] % PIXELS)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --size %dx%d: both must be multiples of %d (a latent's row and column)",
                    name, l[1], l[2], PIXELS);
  if ((frames - 1) % FRAMES)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --frames %d: one more than a multiple of %d is wanted, as %d or %d", name,
                    frames, FRAMES, (frames - 1) / FRAMES * FRAMES + 1, (frames - 1) / FRAMES * FRAMES + FRAMES + 1);
  l[0] = (frames - 1) / FRAMES + 1;
  l[1] /= PIXELS;
  l[2] /= PIXELS;
  return VKD_OK;
}

// *folder: the checkpoint that `path` is or whose run it is, malloc'd; NULL: neither.
static enum vkd_status find_checkpoint(const char *path, char **folder, struct ckpt_state *state,
                                       struct vkd_error *err) {
  *folder = NULL;
  if (!fileio_is_dir(path)) return VKD_OK;
  char *config = fileio_join(path, "config.yaml");
  enum vkd_status st = config ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK) st = ckpt_find(path, folder, state, err);
  if (st == VKD_OK && !*folder && fileio_is_file(config))
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds no checkpoint yet; make one with vkdit train", path);
  free(config);
  return st;
}

static enum vkd_status open_checkpoint(struct model_file *f, const char *folder, const struct ckpt_state *state,
                                       bool raw, struct vkd_error *err) {
  struct config *config = malloc(sizeof *config);
  if (!config) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a configuration");
  char *path = NULL;
  enum vkd_status st = config_from_string(folder, state->config, strlen(state->config), NULL, 0, config, err);
  f->model = (struct derived){.config = state->model,
                              .naming = dit_native_naming(&state->model),
                              .heads_known = true,
                              .text_known = state->model.family == DIT_CROSS,
                              .latent_known = true,
                              .objective_known = true,
                              .objective = st == VKD_OK ? config->train.objective : CONFIG_FLOW,
                              .heads_from = "the checkpoint",
                              .prefix = ""};
  if (st == VKD_OK && state->base)
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: holds adapters alone, on the weights of %s; take those, and --lora", folder,
                  state->base);
  bool ema = st == VKD_OK && !raw && config->train.ema > 0;
  if (st == VKD_OK && !(path = fileio_join(folder, ema ? "ema.safetensors" : "weights.safetensors")))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st == VKD_OK) st = weights_open(&f->weights, path, err);
  free(path);
  free(config);
  return st;
}

static enum vkd_status refuse_options(const char *path, const struct derive_options *o, bool checkpoint, bool raw,
                                      struct vkd_error *err) {
  if (checkpoint && (o->heads || o->text_len || o->latent[0]))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "%s: a run tells its model itself; leave out --heads, --text-len, --size and --latent", path);
  if (!checkpoint && raw)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: --raw is of runs, which keep raw and averaged weights; leave it out",
                    path);
  return VKD_OK;
}

enum vkd_status model_file_open(struct model_file *f, const char *path, const struct derive_options *options, bool raw,
                                struct vkd_error *err) {
  *f = (struct model_file){.weights = NULL};
  char *checkpoint = NULL;
  struct ckpt_state state = {0};
  enum vkd_status st = find_checkpoint(path, &checkpoint, &state, err);
  if (st == VKD_OK) st = refuse_options(path, options, checkpoint != NULL, raw, err);
  if (st == VKD_OK && checkpoint) {
    st = open_checkpoint(f, checkpoint, &state, raw, err);
  } else if (st == VKD_OK) {
    st = weights_open(&f->weights, path, err);
    if (st == VKD_OK) st = derive_model(f->weights, options, &f->model, err);
  }
  ckpt_state_free(&state);
  free(checkpoint);
  if (st != VKD_OK) model_file_close(f);
  return st;
}

void model_file_log(const struct model_file *f) {
  const struct dit_config *c = &f->model.config;
  vkd_log(VKD_LOG_INFO, "%s: %s, names of %s%s%s, width %d, %d blocks, %d heads by %s", weights_path(f->weights),
          dit_family_name(c->family), dit_naming_name(f->model.naming), *f->model.prefix ? " under " : "",
          f->model.prefix, c->dim, c->depth, c->heads, f->model.heads_from);
}

void model_file_close(struct model_file *f) { weights_close(&f->weights); }

// Wan samples at shift 5; what was trained here is sampled at the flow's own levels.
void model_file_config(const struct derived *d, struct config *config) {
  config_default(config);
  config->model.family = d->config.family == DIT_CLASS ? CONFIG_DIT : CONFIG_CROSS_DIT;
  config->train.ema = 0;
  config->train.objective = d->objective;
  config->train.shift = d->config.family == DIT_CROSS && !d->objective_known ? 5 : 1;
}

enum vkd_status model_file_require_latent(const struct model_file *f, struct vkd_error *err) {
  if (f->model.latent_known) return VKD_OK;
  return vkd_fail(err, VKD_ERR_USAGE,
                  "%s: give the size of the videos: --size HxW --frames F in pixels, or --latent TxHxW",
                  weights_path(f->weights));
}

static enum vkd_status open_file(struct run_model *m, struct model_file *f, struct vkd_device *dev,
                                 const struct streamed_wish *wish, const struct run_model_check *check,
                                 struct vkd_error *err) {
  struct dit_config *c = &f->model.config;
  c->compute = wish->compute;
  m->state.step = -1;
  m->state.model = *c;
  model_file_config(&f->model, &m->config);
  enum vkd_status st = model_file_require_latent(f, err);
  if (st == VKD_OK)
    st = latent_codec_init(&m->state.codec, LATENT_RAW, (uint32_t)c->in_channels, (uint32_t)c->latent[0],
                           (uint32_t)c->latent[1], (uint32_t)c->latent[2], 0, 0, err);
  if (st == VKD_OK) st = check->run(check->user, m, err);
  return st == VKD_OK ? streamed_open(&m->streamed, &m->params, dev, c, &f->weights, wish, err) : st;
}

enum vkd_status run_model_open_any(struct run_model *m, const char *path, const struct derive_options *options,
                                   bool raw, struct vkd_device *dev, const struct streamed_wish *wish,
                                   const struct run_model_check *check, struct vkd_error *err) {
  struct model_file f = {.weights = NULL};
  char *checkpoint = NULL;
  *m = (struct run_model){.params = NULL};
  enum vkd_status st = find_checkpoint(path, &checkpoint, &m->state, err);
  if (st != VKD_OK) return st;
  if (checkpoint) {
    st = refuse_options(path, options, true, raw, err);
    if (st == VKD_OK && wish->always)
      st = vkd_fail(err, VKD_ERR_USAGE, "%s: --stream is of weight files, as %s/weights.safetensors", path, checkpoint);
    if (st == VKD_OK) st = run_model_load(m, checkpoint, raw, &wish->compute, dev, err);
    if (st == VKD_OK) st = check->run(check->user, m, err);
  } else {
    st = model_file_open(&f, path, options, raw, err);
    if (st == VKD_OK) model_file_log(&f);
    if (st == VKD_OK) st = open_file(m, &f, dev, wish, check, err);
    model_file_close(&f);
  }
  if (st != VKD_OK) run_model_close(m);
  free(checkpoint);
  return st;
}
