// The table of configuration fields: the one place that knows their names, types, ranges and defaults.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "vkd/nearest.h"
#include "vkdm/dit.h"

#define BIG 9e15 // whole numbers up to here are exact in a double
#define AT(member) offsetof(struct config, member)
#define INT(key, member, fallback, min, max, help)                                                                     \
  { key, CONFIG_T_INT, 1, AT(member), fallback, min, max, NULL, help }
#define INT_OR_AUTO(key, member, fallback, min, max, help)                                                             \
  { key, CONFIG_T_INT, 1, AT(member), fallback, min, max, automatic, help }
#define LONG(key, member, fallback, min, max, help)                                                                    \
  { key, CONFIG_T_LONG, 1, AT(member), fallback, min, max, NULL, help }
#define REAL(key, member, fallback, min, max, help)                                                                    \
  { key, CONFIG_T_REAL, 1, AT(member), fallback, min, max, NULL, help }
#define BOOL(key, member, fallback, help)                                                                              \
  { key, CONFIG_T_BOOL, 1, AT(member), fallback, 0, 0, NULL, help }
#define TEXT(key, member, fallback, help)                                                                              \
  { key, CONFIG_T_TEXT, 1, AT(member), fallback, 0, 0, NULL, help }
#define ENUM(key, member, fallback, names, help)                                                                       \
  { key, CONFIG_T_ENUM, 1, AT(member), fallback, 0, 0, names, help }

// Each in the order of its enum.
static const char *const families[] = {"cross_dit", "dit", NULL};
static const char *const codecs[] = {"pixel", "haar", NULL};
static const char *const scenes[] = {"plain", "rich", NULL};
static const char *const objectives[] = {
#define OBJECTIVE(ID, name, ...) #name,
#include "vkdm/objective.def"
#undef OBJECTIVE
    NULL};
static const char *const sigmas[] = {"uniform", "logit_normal", NULL};
static const char *const schedules[] = {"constant", "cosine", NULL};
static const char *const automatic[] = {"auto", NULL};
static const char *const precisions[] = {"fp32", "fp16", "bf16", NULL};

_Static_assert(sizeof(enum config_family) == sizeof(int), "enum fields are stored as int");

const struct config_field config_fields[] = {
    ENUM("model.family", model.family, "cross_dit", families, "architecture"),
    INT("model.dim", model.dim, "96", 2, 65536, "width d of the residual stream"),
    INT("model.depth", model.depth, "4", 1, 4096, "number of blocks"),
    INT("model.heads", model.heads, "4", 1, 4096, "attention heads; dim / heads must be even"),
    REAL("model.ffn_ratio", model.ffn_ratio, "4", 1e-3, 64, "width of the feed-forward layer / dim"),
    {"model.patch", CONFIG_T_INT, 3, AT(model.patch), "1,2,2", 1, 64, NULL,
     "latent frames, rows and columns that make one token"},
    INT("model.text_dim", model.text_dim, "-1", -1, 65536, "width of the text embeddings; -1: as the data, 0: none"),
    INT("model.text_len", model.text_len, "-1", -1, 65536, "rows of text, zero padded; -1: as the data, 0: none"),
    INT("model.classes", model.classes, "-1", -1, 1000000, "class labels; -1: as the data, 0: none"),
    INT("model.freq_dim", model.freq_dim, "256", 2, 65536, "width of the timestep's sinusoid; even"),

    TEXT("data.path", data.path, "", "a .vkd file; wins over synthetic"),
    BOOL("data.synthetic", data.synthetic, "false", "train on the built-in moving shapes"),
    ENUM("data.scene", data.scene, "plain", scenes,
         "synthetic: plain: one shape; rich: patterned shapes that hide each other, under a moving camera"),
    INT("data.count", data.count, "256", 1, 100000000, "synthetic: number of clips"),
    INT("data.classes", data.classes, "12", 1, 12, "synthetic: number of classes"),
    INT("data.frames", data.frames, "8", 1, 16384, "synthetic: frames per clip"),
    {"data.size", CONFIG_T_INT, 2, AT(data.size), "32,32", 1, 16384, NULL, "synthetic: height and width in pixels"},
    ENUM("data.codec", data.codec, "pixel", codecs, "synthetic: how frames become latents"),
    INT("data.levels_t", data.levels_t, "-1", -1, 3, "synthetic, haar: halvings in time; -1: 1 where it divides"),
    INT("data.levels_s", data.levels_s, "-1", -1, 3, "synthetic, haar: halvings in space; -1: 1 where it divides"),
    {"data.latent", CONFIG_T_INT, 4, AT(data.latent), "0,0,0,0", 0, 16384, NULL,
     "without data: channels, frames, rows and columns of a latent, for profile and bench; 0: none"},
    LONG("data.seed", data.seed, "0", 0, BIG, "synthetic: seed of the clips and of their split"),
    REAL("data.holdout", data.holdout, "0.1", 0, 0.99, "synthetic: share of the clips kept for evaluation"),

    ENUM("train.objective", train.objective, "flow", objectives,
         "what is learned: rectified flow, or of a 1000-step diffusion the noise, v, or the noise and its variance"),
    ENUM("train.sigma", train.sigma, "uniform", sigmas, "flow: how noise levels are drawn; others draw steps evenly"),
    REAL("train.sigma_mean", train.sigma_mean, "0", -20, 20, "flow, logit_normal: mean of logit(sigma)"),
    REAL("train.sigma_std", train.sigma_std, "1", 1e-6, 20, "flow, logit_normal: standard deviation of logit(sigma)"),
    REAL("train.shift", train.shift, "1", 1e-3, 1000, "flow: moves noise levels up (above 1) or down; 1: not at all"),
    LONG("train.steps", train.steps, "0", 0, BIG, "optimiser steps; give this or tokens"),
    LONG("train.tokens", train.tokens, "0", 0, BIG, "tokens to train on; give this or steps"),
    INT("train.batch", train.batch, "8", 1, 1000000, "samples per step"),
    INT_OR_AUTO("train.micro_batch", train.micro_batch, "0", 0, 1000000,
                "samples per pass, divides batch; 0: batch, auto: the most that fit the device's memory"),
    REAL("train.lr", train.lr, "0.001", 0, 100, "peak learning rate"),
    ENUM("train.schedule", train.schedule, "cosine", schedules, "learning rate after the warm-up"),
    LONG("train.warmup", train.warmup, "0", 0, BIG, "steps of linear warm-up"),
    REAL("train.min_lr_ratio", train.min_lr_ratio, "0.1", 0, 1, "cosine: last learning rate / lr"),
    {"train.betas", CONFIG_T_REAL, 2, AT(train.betas), "0.9,0.95", 0, 0.9999999, NULL, "AdamW: decay of both moments"},
    REAL("train.eps", train.eps, "1e-8", 1e-30, 1, "AdamW: added to the root of the second moment"),
    REAL("train.weight_decay", train.weight_decay, "0", 0, 100, "AdamW: decoupled weight decay"),
    REAL("train.clip", train.clip, "1", 0, 1e30, "limit of the global gradient norm; 0: none"),
    LONG("train.check_weights", train.check_weights, "100", 0, BIG,
         "several ranks: steps between checks that all have the same weights; 0: only at the start"),
    INT("train.max_skipped", train.max_skipped, "10", 1, 1000000,
        "steps in a row without a finite loss and gradient, which change nothing, after which a run ends"),
    REAL("train.ema", train.ema, "0.999", 0, 0.9999999, "decay of the averaged weights, which sampling uses; 0: none"),
    ENUM("train.precision", train.precision, "fp32", precisions,
         "operands of products and attention in the blocks; all else is fp32"),
    BOOL("train.shard_optimizer", train.shard_optimizer, "false",
         "several ranks: each keeps and updates a part of the optimiser's state, to save memory"),
    BOOL("train.recompute", train.recompute, "false", "recompute blocks in the backward pass, to save memory"),
    LONG("train.seed", train.seed, "0", 0, BIG, "of the initial weights, noise and order of the clips"),
    REAL("train.cond_drop", train.cond_drop, "0.1", 0, 1, "share of samples without label and text, for guidance"),
    TEXT("train.base", train.base, "", "run, checkpoint or weight file that training starts from"),
    INT("train.lora_rank", train.lora_rank, "0", 0, 4096, "above 0: the base is frozen, adapters of this rank learn"),
    REAL("train.lora_alpha", train.lora_alpha, "0", 0, 1e6, "adapters count alpha / rank times; 0: alpha = rank"),
    TEXT("train.lora_targets", train.lora_targets, "q,k,v,o", "layers with adapters: q, k, v, o, ffn, or all"),

    LONG("eval.every", eval.every, "100", 0, BIG, "steps between held-out losses; 0: only at the end"),
    INT("eval.holdout", eval.holdout, "64", 0, 100000000, "held-out clips used, at most; 0: all"),
    INT("eval.batch", eval.batch, "0", 0, 1000000, "samples per evaluation pass; 0: as training"),
    BOOL("eval.ema", eval.ema, "false", "of the averaged weights, not of the last ones; less noisy at a constant rate"),
    LONG("eval.seed", eval.seed, "1", 0, BIG, "of the fixed noise and noise levels"),

    LONG("checkpoint.every", checkpoint.every, "500", 0, BIG, "steps between checkpoints; 0: only at the end"),
    INT("checkpoint.keep", checkpoint.keep, "2", 0, 1000000, "newest checkpoints kept; 0: all"),

    LONG("log.histograms", log.histograms, "0", 0, BIG,
         "steps between histograms of weights and gradients for TensorBoard; 0: none"),
    LONG("log.samples", log.samples, "0", 0, BIG,
         "steps between pictures of samples, in RUN/samples and for TensorBoard; also at the end; 0: none"),
    INT("log.sample_count", log.sample_count, "4", 1, 64, "samples of a picture"),
    INT("log.sample_steps", log.sample_steps, "0", 0, 1000, "sampler steps of a picture; 0: as the sampler has it"),
};
const size_t config_field_count = sizeof config_fields / sizeof config_fields[0];
_Static_assert(sizeof config_fields / sizeof config_fields[0] <= CONFIG_FIELDS_MAX, "arrays by field hold every field");

static const char *const sections[] = {"model", "data", "train", "eval", "checkpoint", "log"};

const struct config_field *config__find(const char *key) {
  for (size_t i = 0; i < config_field_count; i++)
    if (!strcmp(config_fields[i].key, key)) return &config_fields[i];
  return NULL;
}

static const char *leaf_of(const char *key) {
  const char *dot = strchr(key, '.');
  return dot ? dot + 1 : key;
}

// First among the keys of its own section, then among all last parts ("lr" and "model.lr" mean train.lr), then among
// whole keys.
static const char *nearest_key(const char *key) {
  const char *leaf = leaf_of(key);
  size_t section = (size_t)(leaf - key);
  for (int pass = 0; pass < 3; pass++) {
    struct vkd_nearest nearest = {.name = pass == 2 ? key : leaf};
    const char *best = NULL;
    for (size_t i = 0; i < config_field_count; i++) {
      const char *known = config_fields[i].key, *before = nearest.best;
      if (pass == 0 && (!section || strncmp(known, key, section) != 0)) continue;
      vkd_nearest_offer(&nearest, pass == 2 ? known : leaf_of(known));
      if (nearest.best != before) best = known;
    }
    if (best) return best;
  }
  return section ? NULL : vkd_nearest_name(key, sections, sizeof sections / sizeof *sections);
}

enum vkd_status config__fail_unknown(const char *where, const char *key, enum vkd_status status,
                                     struct vkd_error *err) {
  const char *nearest = nearest_key(key);
  if (nearest) return vkd_fail(err, status, "%s: unknown key '%.100s'; did you mean '%s'?", where, key, nearest);
  size_t section = (size_t)(leaf_of(key) - key);
  char list[512] = "";
  size_t n = 0;
  for (size_t i = 0; section && i < config_field_count && n < sizeof list; i++)
    if (!strncmp(config_fields[i].key, key, section))
      n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", leaf_of(config_fields[i].key));
  if (n) return vkd_fail(err, status, "%s: unknown key '%.100s'; keys there are %s", where, key, list);
  return vkd_fail(err, status, "%s: unknown key '%.100s'; sections are model, data, train, eval, checkpoint, log",
                  where, key);
}

static void *member_of(struct config *config, const struct config_field *field) {
  return (char *)config + field->offset;
}

static void describe_accepted(const struct config_field *f, char *text, size_t size) {
  int n = 0;
  if (f->count > 1) n = snprintf(text, size, "%d values, each ", f->count);
  text += n;
  size -= (size_t)n;
  switch (f->type) {
  case CONFIG_T_INT:
  case CONFIG_T_LONG:
    n = snprintf(text, size, f->max >= BIG ? "a whole number from %.15g" : "a whole number from %.15g to %.15g", f->min,
                 f->max);
    if (f->names) snprintf(text + n, size - (size_t)n, " or %s", f->names[0]);
    break;
  case CONFIG_T_REAL:
    snprintf(text, size, "a number from %.15g to %.15g", f->min, f->max);
    break;
  case CONFIG_T_BOOL:
    snprintf(text, size, "true or false");
    break;
  case CONFIG_T_TEXT:
    snprintf(text, size, "text of less than %d bytes of UTF-8", CONFIG_TEXT_MAX);
    break;
  case CONFIG_T_ENUM:
    for (int i = 0; f->names[i]; i++) {
      n = snprintf(text, size, "%s%s", i ? " or " : "", f->names[i]);
      text += n;
      size -= (size_t)n;
    }
  }
}

static bool parse_number(const struct config_field *f, const char *text, double *value) {
  // strtod also takes hexadecimal, "nan" and leading spaces, which a configuration has no use for.
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
  char *end;
  errno = 0;
  *value = strtod(text, &end);
  if (end == text || *end || !isfinite(*value)) return false;
  if (f->type != CONFIG_T_REAL && *value != floor(*value)) return false;
  return *value >= f->min && *value <= f->max;
}

int32_t config__next_utf8(const char **s) {
  const unsigned char *p = (const unsigned char *)*s;
  int more = p[0] < 0x80                   ? 0
             : p[0] >= 0xc2 && p[0] < 0xe0 ? 1
             : p[0] >= 0xe0 && p[0] < 0xf0 ? 2
             : p[0] >= 0xf0 && p[0] < 0xf5 ? 3
                                           : -1;
  if (more < 0) return -1;
  static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
  int32_t c = more ? p[0] & (0x3f >> more) : p[0];
  for (int i = 1; i <= more; i++) {
    if ((p[i] & 0xc0) != 0x80) return -1;
    c = c << 6 | (p[i] & 0x3f);
  }
  *s += more + 1;
  return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

static bool parse_text(const char *text, char *out) {
  if (strlen(text) >= CONFIG_TEXT_MAX) return false;
  for (const char *s = text; *s;)
    if (config__next_utf8(&s) < 0) return false;
  memset(out, 0, CONFIG_TEXT_MAX); // so that equal configurations are equal in memory
  memcpy(out, text, strlen(text));
  return true;
}

static bool parse_value(const struct config_field *f, const char *text, void *out) {
  double number = 0;
  switch (f->type) {
  case CONFIG_T_INT:
    if (f->names && !strcmp(text, f->names[0])) {
      *(int *)out = CONFIG_AUTO;
      return true;
    }
    if (!parse_number(f, text, &number)) return false;
    *(int *)out = (int)number;
    return true;
  case CONFIG_T_LONG:
    if (!parse_number(f, text, &number)) return false;
    *(int64_t *)out = (int64_t)number;
    return true;
  case CONFIG_T_REAL:
    if (!parse_number(f, text, &number)) return false;
    *(double *)out = number + 0.0; // -0 becomes 0
    return true;
  case CONFIG_T_BOOL:
    *(bool *)out = !strcmp(text, "true");
    return *(bool *)out || !strcmp(text, "false");
  case CONFIG_T_TEXT:
    return parse_text(text, out);
  case CONFIG_T_ENUM:
    for (int i = 0; f->names[i]; i++)
      if (!strcmp(f->names[i], text)) {
        memcpy(out, &i, sizeof i);
        return true;
      }
  }
  return false;
}

static size_t value_size(const struct config_field *f) {
  return f->type == CONFIG_T_REAL ? sizeof(double) : f->type == CONFIG_T_LONG ? sizeof(int64_t) : sizeof(int);
}

enum vkd_status config__assign(struct config *config, const struct config_field *field, const char *const *values,
                               size_t count, const char *where, enum vkd_status status, struct vkd_error *err) {
  char *out = member_of(config, field), accepted[160];
  describe_accepted(field, accepted, sizeof accepted);
  if (count != (size_t)field->count)
    return vkd_fail(err, status, "%s: %s has %zu values; %s is accepted", where, field->key, count, accepted);
  for (size_t i = 0; i < count; i++) {
    if (parse_value(field, values[i], out + i * value_size(field))) continue;
    const char *nearest = field->names ? NULL : "";
    if (field->names) {
      struct vkd_nearest offer = {.name = values[i]};
      for (int k = 0; field->names[k]; k++) vkd_nearest_offer(&offer, field->names[k]);
      nearest = offer.best ? offer.best : "";
    }
    return vkd_fail(err, status, "%s: %s is '%.100s'; %s is accepted%s%s%s", where, field->key, values[i], accepted,
                    *nearest ? " (did you mean " : "", nearest, *nearest ? "?)" : "");
  }
  return VKD_OK;
}

// Text of an override or a default: a list may stand in brackets, with spaces after its commas.
static enum vkd_status assign_text(struct config *config, const struct config_field *field, const char *text,
                                   const char *where, struct vkd_error *err) {
  const char *values[CONFIG_LIST_MAX + 1] = {text};
  size_t count = 1;
  char copy[256];
  if (field->count > 1) {
    size_t n = strlen(text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
      text++;
      n -= 2;
    }
    if (n >= sizeof copy) n = sizeof copy - 1;
    memcpy(copy, text, n);
    copy[n] = 0;
    values[0] = copy;
    for (char *comma = copy; count <= CONFIG_LIST_MAX && (comma = strchr(comma, ',')) != NULL;) {
      *comma++ = 0;
      while (*comma == ' ') comma++;
      values[count++] = comma;
    }
  }
  return config__assign(config, field, values, count, where, VKD_ERR_USAGE, err);
}

void config_default(struct config *config) {
  memset(config, 0, sizeof *config);
  for (size_t i = 0; i < config_field_count; i++)
    assign_text(config, &config_fields[i], config_fields[i].fallback, "default", NULL);
}

enum vkd_status config__override(struct config *config, const char *text, const struct config_field **field,
                                 struct vkd_error *err) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text)
    return vkd_fail(err, VKD_ERR_USAGE, "command line: '%.200s' is not of the form section.key=value", text);
  char key[128];
  size_t length = (size_t)(equals - text);
  if (length >= sizeof key) length = sizeof key - 1;
  memcpy(key, text, length);
  key[length] = 0;
  const struct config_field *found = config__find(key);
  if (field) *field = found;
  if (!found) return config__fail_unknown("command line", key, VKD_ERR_USAGE, err);
  return assign_text(config, found, equals + 1, "command line", err);
}

enum vkd_status config_set(struct config *config, const char *key, const char *value, struct vkd_error *err) {
  const struct config_field *field = config__find(key);
  if (!field) return config__fail_unknown("configuration", key, VKD_ERR_USAGE, err);
  enum vkd_status status = assign_text(config, field, value, "configuration", err);
  if (status) return status;
  if (!strcmp(key, "train.steps") && config->train.steps) config->train.tokens = 0;
  if (!strcmp(key, "train.tokens") && config->train.tokens) config->train.steps = 0;
  return VKD_OK;
}

void config__print(const struct config *config, const struct config_field *field, int i, char *text, size_t size) {
  const char *in = (const char *)config + field->offset + (size_t)i * value_size(field);
  switch (field->type) {
  case CONFIG_T_INT:
    if (field->names && *(const int *)(const void *)in == CONFIG_AUTO)
      snprintf(text, size, "%s", field->names[0]);
    else
      snprintf(text, size, "%d", *(const int *)(const void *)in);
    break;
  case CONFIG_T_LONG:
    snprintf(text, size, "%" PRId64, *(const int64_t *)(const void *)in);
    break;
  case CONFIG_T_REAL: {
    double value = *(const double *)(const void *)in;
    for (int digits = 6; digits <= 17; digits++) {
      snprintf(text, size, "%.*g", digits, value);
      if (strtod(text, NULL) == value) break;
    }
    break;
  }
  case CONFIG_T_BOOL:
    snprintf(text, size, "%s", *(const bool *)in ? "true" : "false");
    break;
  case CONFIG_T_TEXT:
    snprintf(text, size, "%s", in);
    break;
  case CONFIG_T_ENUM: {
    int row;
    memcpy(&row, in, sizeof row);
    snprintf(text, size, "%s", field->names[row]);
  }
  }
}

enum vkd_status config_get(const struct config *config, const char *key, char *text, size_t size,
                           struct vkd_error *err) {
  const struct config_field *field = config__find(key);
  if (!field) return config__fail_unknown("configuration", key, VKD_ERR_USAGE, err);
  size_t n = 0;
  for (int i = 0; i < field->count; i++) {
    char value[CONFIG_VALUE_MAX];
    config__print(config, field, i, value, sizeof value);
    n += (size_t)snprintf(text + n, n < size ? size - n : 0, "%s%s", i ? "," : "", value);
    if (n >= size) return vkd_fail(err, VKD_ERR_USAGE, "%s: its value needs more than %zu bytes", key, size);
  }
  return VKD_OK;
}

bool config_describe(size_t i, const char **key, const char **fallback, const char **help, char *accepted,
                     size_t size) {
  if (i >= config_field_count) return false;
  *key = config_fields[i].key;
  *fallback = config_fields[i].fallback;
  *help = config_fields[i].help;
  describe_accepted(&config_fields[i], accepted, size);
  return true;
}

int config_ffn(const struct config *config) { return (int)lround(config->model.ffn_ratio * config->model.dim); }
int config_micro_batch(const struct config *config) {
  return config->train.micro_batch > 0 ? config->train.micro_batch : config->train.batch;
}
int config_accumulation(const struct config *config) { return config->train.batch / config_micro_batch(config); }

static enum vkd_status check_model(const struct config *c, struct vkd_error *err) {
  int dim = c->model.dim, heads = c->model.heads;
  if (dim % heads) return vkd_fail(err, VKD_ERR_INPUT, "model.heads: %d heads do not divide model.dim %d", heads, dim);
  if (dim / heads % 2)
    return vkd_fail(err, VKD_ERR_INPUT, "model.heads: model.dim / model.heads is %d; it must be even", dim / heads);
  if (c->model.freq_dim % 2)
    return vkd_fail(err, VKD_ERR_INPUT, "model.freq_dim: %d is odd; it must be even", c->model.freq_dim);
  double ffn = c->model.ffn_ratio * dim;
  // A ratio such as 5.8333333333333333 (8960 / 1536) is rounded in the file; 1e-6 of an element covers that.
  if (!(fabs(ffn - round(ffn)) <= 1e-6 && ffn >= 1))
    return vkd_fail(err, VKD_ERR_INPUT, "model.ffn_ratio: %.15g of model.dim %d is %.15g, not a whole width",
                    c->model.ffn_ratio, dim, ffn);
  if ((c->model.text_dim == 0) != (c->model.text_len == 0))
    return vkd_fail(err, VKD_ERR_INPUT, "model.text_dim, model.text_len: only one of them is 0 (no text)");
  return VKD_OK;
}

static enum vkd_status check_train(const struct config *c, struct vkd_error *err) {
  if (!c->train.steps == !c->train.tokens)
    return vkd_fail(err, VKD_ERR_INPUT, "train.steps, train.tokens: %s; give exactly one",
                    c->train.steps ? "both are given" : "neither is given");
  if (c->train.steps && c->train.warmup > c->train.steps)
    return vkd_fail(err, VKD_ERR_INPUT, "train.warmup: %" PRId64 " is more than train.steps %" PRId64, c->train.warmup,
                    c->train.steps);
  unsigned targets;
  enum vkd_status st = dit_lora_targets(c->train.lora_targets, &targets, err);
  if (st != VKD_OK) return st;
  int micro = config_micro_batch(c);
  if (c->train.batch % micro)
    return vkd_fail(err, VKD_ERR_INPUT, "train.micro_batch: %d does not divide train.batch %d", micro, c->train.batch);
  return VKD_OK;
}

static enum vkd_status check_data(const struct config *c, struct vkd_error *err) {
  const int *l = c->data.latent;
  int given = !!l[0] + !!l[1] + !!l[2] + !!l[3];
  if (given && given < 4)
    return vkd_fail(err, VKD_ERR_INPUT, "data.latent: %d,%d,%d,%d has a 0; give four sizes, or 0,0,0,0 for none", l[0],
                    l[1], l[2], l[3]);
  return VKD_OK;
}

enum vkd_status config_check(const struct config *config, struct vkd_error *err) {
  enum vkd_status status = check_model(config, err);
  if (!status) status = check_data(config, err);
  return status ? status : check_train(config, err);
}

enum vkd_status config_require_data(const struct config *config, struct vkd_error *err) {
  if (config->data.path[0] || config->data.synthetic) return VKD_OK;
  return vkd_fail(err, VKD_ERR_USAGE,
                  "data.path: no data set is named%s; add data.path=FILE.vkd (made by `vkdit data build`), or "
                  "data.synthetic=true for the built-in moving shapes",
                  config->data.latent[0] ? " (data.latent is a shape, for profile and bench)" : "");
}
