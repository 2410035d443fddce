#include "vkdm/derive.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derive_json.h"
#include "vkdm/naming.h"
#include "vkdm/objective.h"
#include "vkdm/source.h"

enum { MAX_SIZE = 1 << 20, MAX_DEPTH = 1024, MAX_TABLE = 1 << 16, HEAD_DIM = 128, TEXT_LEN = 512 };

// What shapes tell directly; 0: not told.
struct sizes {
  int dim, in, patch[3], text_dim, freq, ffn, head, classes, tokens;
};
#define SIZE(field) ((int)offsetof(struct sizes, field))
enum { ANY = -1 };

// Tensors whose dimensions tell sizes; those that are not optional are in every file.  The names, that of diffusers
// included, are those of the parameter tables.
static const struct telling {
  enum dit_family family;
  const char *name[DIT_NAMINGS];
  bool optional;
  int rank, dims[5];
} telling[] = {
    {DIT_CROSS,
     {"patch_embedding.weight", "patch_embedding.weight"},
     false,
     5,
     {SIZE(dim), SIZE(in), SIZE(patch[0]), SIZE(patch[1]), SIZE(patch[2])}},
    {DIT_CROSS,
     {"text_embedding.0.weight", "condition_embedder.text_embedder.linear_1.weight"},
     false,
     2,
     {SIZE(dim), SIZE(text_dim)}},
    {DIT_CROSS,
     {"time_embedding.0.weight", "condition_embedder.time_embedder.linear_1.weight"},
     false,
     2,
     {SIZE(dim), SIZE(freq)}},
    {DIT_CROSS, {"blocks.0.ffn.0.weight", "blocks.0.ffn.net.0.proj.weight"}, false, 2, {SIZE(ffn), SIZE(dim)}},
    {DIT_CROSS, {"head.head.weight", "proj_out.weight"}, false, 2, {SIZE(head), SIZE(dim)}},
    {DIT_CROSS, {"blocks.0.ffn.2.weight", "blocks.0.ffn.net.2.weight"}, true, 2, {SIZE(dim), SIZE(ffn)}},
    {DIT_CROSS, {"head.head.bias", "proj_out.bias"}, true, 1, {SIZE(head)}},
    {DIT_CROSS, {"class_embedding.weight", "class_embedding.weight"}, true, 2, {SIZE(classes), SIZE(text_dim)}},
    {DIT_CLASS,
     {NULL, "pos_embed.proj.weight", "x_embedder.proj.weight"},
     false,
     4,
     {SIZE(dim), SIZE(in), SIZE(patch[1]), SIZE(patch[2])}},
    {DIT_CLASS,
     {NULL, "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.weight", "t_embedder.mlp.0.weight"},
     false,
     2,
     {SIZE(dim), SIZE(freq)}},
    {DIT_CLASS,
     {NULL, "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight",
      "y_embedder.embedding_table.weight"},
     false,
     2,
     {SIZE(classes), SIZE(dim)}},
    {DIT_CLASS,
     {NULL, "transformer_blocks.0.ff.net.0.proj.weight", "blocks.0.mlp.fc1.weight"},
     false,
     2,
     {SIZE(ffn), SIZE(dim)}},
    {DIT_CLASS, {NULL, "proj_out_2.weight", "final_layer.linear.weight"}, false, 2, {SIZE(head), SIZE(dim)}},
    {DIT_CLASS,
     {NULL, "transformer_blocks.0.ff.net.2.weight", "blocks.0.mlp.fc2.weight"},
     true,
     2,
     {SIZE(dim), SIZE(ffn)}},
    {DIT_CLASS, {NULL, "proj_out_2.bias", "final_layer.linear.bias"}, true, 1, {SIZE(head)}},
    {DIT_CLASS, {NULL, "pos_embed.pos_embed", "pos_embed"}, true, 3, {ANY, SIZE(tokens), SIZE(dim)}},
};
enum { TELLING = sizeof telling / sizeof telling[0] };

static const struct st_tensor *find(const struct weights *w, const char *prefix, const char *name) {
  char full[160];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return weights_find(w, full);
}

// ---- which model ---------------------------------------------------------------------------------------------------
// Tensors of models that are near, and are not these.
static const struct {
  const char *part, *what;
} others[] = {{"lora_", "a low-rank adapter: give it with --lora beside the model that it was trained on"},
              {"vace_", "VACE (video editing)"},
              {"img_emb.", "image to video"},
              {"image_embedder.", "image to video"},
              {"k_img.", "image to video"},
              {"add_k_proj.", "image to video"},
              {"control_adapter.", "camera or pose control"},
              {"ref_conv.", "video from a reference picture"},
              {"audio_", "speech to video"},
              {"motion_encoder.", "character animation"},
              {"face_adapter.", "character animation"},
              {"scaled_fp8", "F8 with scales, which are not read: take the F16 or BF16 weights"},
              {"scale_weight", "F8 with scales, which are not read: take the F16 or BF16 weights"}};

static enum vkd_status check_task(const struct weights *w, struct vkd_error *err) {
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    for (size_t k = 0; k < weights_count(w); k++)
      if (strstr(weights_at(w, k)->name, others[i].part))
        return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s' is of another task: %s", weights_path(w),
                        weights_at(w, k)->name, others[i].what);
  return VKD_OK;
}

// The family, naming and prefix with the most telling tensors; two at least, since one name may be anybody's.
static enum vkd_status recognise(const struct weights *w, struct derived *d, struct vkd_error *err) {
  int best = 1;
  for (int p = 0; p < NAMING_PREFIXES; p++)
    for (int f = 0; f < DIT_FAMILIES; f++)
      for (int n = 0; n < DIT_NAMINGS; n++) {
        int hits = 0;
        for (int i = 0; i < TELLING; i++)
          if ((int)telling[i].family == f && telling[i].name[n])
            hits += find(w, naming_prefixes[p], telling[i].name[n]) != NULL;
        if (hits <= best) continue;
        best = hits;
        d->config.family = (enum dit_family)f;
        d->naming = (enum dit_naming)n;
        d->prefix = naming_prefixes[p];
      }
  if (best > 1) return VKD_OK;
  return vkd_fail(
      err, VKD_ERR_INPUT,
      "%s: no model that is known here: %zu tensors, '%.100s' first, have no names of Wan, DiT or diffusers",
      weights_path(w), weights_count(w), weights_count(w) ? weights_at(w, 0)->name : "");
}

// ---- sizes ---------------------------------------------------------------------------------------------------------
static enum vkd_status take_dims(const struct weights *w, const struct telling *row, const struct st_tensor *t,
                                 struct sizes *s, struct vkd_error *err) {
  if (t->ndim != row->rank)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' has %d dimensions, not %d", weights_path(w), t->name, t->ndim,
                    row->rank);
  for (int i = 0; i < row->rank; i++) {
    if (t->shape[i] < 1 || t->shape[i] > MAX_SIZE)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s': dimension %d is %" PRIu64 " (it must be 1 to %d)",
                      weights_path(w), t->name, i, t->shape[i], MAX_SIZE);
    if (row->dims[i] == ANY) continue;
    int *field = (int *)((char *)s + row->dims[i]);
    if (!*field) *field = (int)t->shape[i]; // another that differs is of another shape to source_open()
  }
  return VKD_OK;
}

static bool all_known(const struct telling *row, const struct sizes *s) {
  for (int i = 0; i < row->rank; i++)
    if (row->dims[i] != ANY && !*(const int *)((const char *)s + row->dims[i])) return false;
  return true;
}

// Blocks are numbered from 0; as many as the largest number says.
static enum vkd_status count_blocks(const struct weights *w, const struct derived *d, int *depth,
                                    struct vkd_error *err) {
  const char *word =
      d->config.family == DIT_CLASS && d->naming == DIT_NAMING_DIFFUSERS ? "transformer_blocks." : "blocks.";
  size_t skip = strlen(d->prefix), length = strlen(word);
  *depth = 0;
  for (size_t i = 0; i < weights_count(w); i++) {
    const char *name = weights_at(w, i)->name;
    if (strncmp(name, d->prefix, skip) != 0 || strncmp(name + skip, word, length) != 0) continue;
    const char *digit = name + skip + length;
    int n = 0;
    while (*digit >= '0' && *digit <= '9' && n <= MAX_DEPTH) n = 10 * n + (*digit++ - '0');
    if (n >= MAX_DEPTH)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%.200s': at most %d blocks are read", weights_path(w), name,
                      MAX_DEPTH);
    if (*digit == '.' && n >= *depth) *depth = n + 1;
  }
  return VKD_OK;
}

static enum vkd_status check_channels(const struct weights *w, const struct sizes *s, struct dit_config *c,
                                      struct vkd_error *err) {
  int64_t volume = (int64_t)c->patch[0] * c->patch[1] * c->patch[2];
  if (s->head % volume)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: the output layer's %d rows are no multiple of the patch's %" PRId64,
                    weights_path(w), s->head, volume);
  c->out_channels = (int)(s->head / volume);
  if (c->out_channels == c->in_channels || c->out_channels == 2 * c->in_channels) return VKD_OK;
  return vkd_fail(
      err, VKD_ERR_INPUT, "%s: takes %d channels and gives %d%s", weights_path(w), c->in_channels, c->out_channels,
      c->in_channels > c->out_channels ? ", as models of image to video do" : ", neither as many nor twice as many");
}

// Where telling tensors are missing: has every tensor that is missing, unknown or of another shape named in one
// message. A size that nothing else tells is only in what is missing, so that any value of it does.
static enum vkd_status refuse_all(const struct weights *w, const struct derived *d, const struct sizes *s,
                                  struct vkd_error *err) {
  struct dit_config c = d->config;
  struct source *source = NULL;
  c.heads = 1;
  c.eps = 1;
  c.freq_dim = s->freq ? s->freq : 2;
  c.text_dim = s->text_dim ? s->text_dim : c.family == DIT_CROSS;
  c.class_rows = s->classes ? s->classes : c.family == DIT_CLASS;
  c.text_len = c.family == DIT_CROSS;
  for (int i = 0; i < 3; i++) c.patch[i] = c.latent[i] = s->patch[i] ? s->patch[i] : 1;
  int volume = c.patch[0] * c.patch[1] * c.patch[2];
  c.out_channels = s->head % volume || !s->head ? 1 : s->head / volume;
  c.in_channels = s->in ? s->in : c.out_channels;
  if (!s->head) c.out_channels = c.in_channels;
  enum vkd_status st = source_open(&source, w, &c, err);
  source_close(&source);
  return st == VKD_OK ? vkd_fail(err, VKD_ERR_INTERNAL, "%s: a missing tensor is not missed", weights_path(w)) : st;
}

// All telling tensors that are missing, in one message.
static enum vkd_status check_telling(const struct weights *w, const struct derived *d, const struct sizes *s,
                                     struct vkd_error *err) {
  char list[600] = "";
  size_t used = 0;
  int count = 0;
  for (int i = 0; i < TELLING; i++) {
    const char *name = telling[i].family == d->config.family ? telling[i].name[d->naming] : NULL;
    if (!name || telling[i].optional || find(w, d->prefix, name)) continue;
    int n = snprintf(list + used, sizeof list - used, "%s%s%s", count++ ? ", " : "", d->prefix, name);
    used += used + (size_t)n < sizeof list ? (size_t)n : 0;
  }
  if (!count) return VKD_OK;
  if (s->dim && s->ffn && d->config.depth) return refuse_all(w, d, s, err);
  return vkd_fail(err, VKD_ERR_INPUT, "%.200s: %d tensors that tell its sizes are missing (%s, names of %s): %s",
                  weights_path(w), count, dit_family_name(d->config.family), dit_naming_name(d->naming), list);
}

static enum vkd_status read_shapes(const struct weights *w, struct derived *d, struct sizes *s, struct vkd_error *err) {
  struct dit_config *c = &d->config;
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < TELLING && st == VKD_OK; i++) {
    const char *name = telling[i].family == c->family ? telling[i].name[d->naming] : NULL;
    const struct st_tensor *t = name ? find(w, d->prefix, name) : NULL;
    if (t && !(telling[i].optional && all_known(&telling[i], s))) st = take_dims(w, &telling[i], t, s, err);
  }
  c->dim = s->dim;
  c->ffn = s->ffn;
  c->freq_dim = s->freq;
  c->text_dim = s->text_dim;
  c->in_channels = s->in;
  c->class_rows = s->classes;
  c->text_len = c->family == DIT_CROSS && s->classes ? 1 : 0; // the class table's row is the context
  for (int i = 0; i < 3; i++) c->patch[i] = s->patch[i] ? s->patch[i] : 1;
  if (st == VKD_OK) st = count_blocks(w, d, &c->depth, err);
  if (st == VKD_OK) st = check_telling(w, d, s, err);
  return st == VKD_OK ? check_channels(w, s, c, err) : st;
}

// ---- what shapes do not tell ---------------------------------------------------------------------------------------
static const char heads_key[] = "vkdit.heads", eps_key[] = "vkdit.eps", text_key[] = "vkdit.text_len",
                  latent_key[] = "vkdit.latent", objective_key[] = "vkdit.objective";

bool derive_is_metadata(const char *key) {
  return !strcmp(key, heads_key) || !strcmp(key, eps_key) || !strcmp(key, text_key) || !strcmp(key, latent_key) ||
         !strcmp(key, objective_key);
}

static void add(struct derive_meta *m, bool known, const char *key, const char *fmt, ...) VKD_PRINTF(4, 5);
static void add(struct derive_meta *m, bool known, const char *key, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  char *text = m->text[m->count];
  vsnprintf(text, sizeof m->text[0], fmt, args);
  va_end(args);
  if (known) m->rows[m->count++] = (struct st_meta){key, text};
}

void derive_metadata(const struct derived *d, struct derive_meta *m) {
  const struct dit_config *c = &d->config;
  m->count = 0;
  add(m, d->heads_known, heads_key, "%d", c->heads);
  add(m, d->text_known, text_key, "%d", c->text_len);
  add(m, d->latent_known, latent_key, "%d,%d,%d", c->latent[0], c->latent[1], c->latent[2]);
  add(m, d->objective_known, objective_key, "%s", objective_name(d->objective));
  add(m, true, eps_key, "%.9g", (double)c->eps);
}

// Whole numbers parted by commas, [count], each from 0 to MAX_SIZE; false where there is no such metadata.
static enum vkd_status metadata_ints(const struct weights *w, const char *key, int count, int *values, bool *found,
                                     struct vkd_error *err) {
  const char *text = weights_metadata(w, key), *at = text;
  *found = text != NULL;
  for (int i = 0; at && i < count; i++) {
    char *end;
    long n = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
    if (n < 0 || n > MAX_SIZE || *end != (i + 1 < count ? ',' : '\0'))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: metadata %s is '%.60s', not %d whole numbers", weights_path(w), key,
                      text, count);
    values[i] = (int)n;
    at = end + 1;
  }
  return VKD_OK;
}

// Of the public code: Wan's is a rectified flow; DiT learns the noise, and where it gives twice the channels, its
// variance too.
static enum vkd_status read_objective(const struct weights *w, struct derived *d, struct vkd_error *err) {
  const char *name = weights_metadata(w, objective_key);
  const struct dit_config *c = &d->config;
  if (!name) {
    bool variance = c->out_channels == 2 * c->in_channels;
    d->objective = variance ? CONFIG_HYBRID : c->family == DIT_CROSS ? CONFIG_FLOW : CONFIG_DDPM;
    return VKD_OK;
  }
  d->objective_known = true;
#define OBJECTIVE(ID, text, ...)                                                                                       \
  if (strcmp(name, #text) == 0) {                                                                                      \
    d->objective = CONFIG_##ID;                                                                                        \
    return VKD_OK;                                                                                                     \
  }
#include "vkdm/objective.def"
#undef OBJECTIVE
  return vkd_fail(err, VKD_ERR_INPUT, "%s: metadata %s is '%.60s', which is no objective", weights_path(w),
                  objective_key, name);
}

static enum vkd_status read_metadata(const struct weights *w, struct derived *d, struct vkd_error *err) {
  struct dit_config *c = &d->config;
  const char *eps = weights_metadata(w, eps_key);
  int n = 0, latent[3];
  bool found;
  enum vkd_status st = metadata_ints(w, heads_key, 1, &n, &found, err);
  if (st != VKD_OK) return st;
  if (found && c->heads && c->heads != n)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: its metadata say %d heads, %s says %d", weights_path(w), n, d->heads_from,
                    c->heads);
  if (found && !c->heads) {
    c->heads = n;
    d->heads_known = true;
    d->heads_from = "its metadata";
  }
  if ((st = metadata_ints(w, text_key, 1, &n, &found, err)) != VKD_OK) return st;
  if (found && !c->text_len) {
    c->text_len = n;
    d->text_known = n > 0;
  }
  if ((st = metadata_ints(w, latent_key, 3, latent, &found, err)) != VKD_OK) return st;
  if (found && !d->latent_known) {
    memcpy(c->latent, latent, sizeof latent);
    d->latent_known = true;
  }
  if (!eps || c->eps > 0) return VKD_OK;
  char *end;
  c->eps = strtof(eps, &end);
  if (!(c->eps > 0 && c->eps < 1) || *end)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: metadata %s is '%.60s', not a number from 0 to 1", weights_path(w),
                    eps_key, eps);
  return VKD_OK;
}

// The published configurations.
static enum vkd_status guess_heads(const struct weights *w, bool any, struct derived *d, struct vkd_error *err) {
  static const int published[][2] = {{384, 6}, {768, 12}, {1024, 16}, {1152, 16}};
  struct dit_config *c = &d->config;
  if (c->heads) return VKD_OK;
  if (c->family == DIT_CROSS && c->dim % HEAD_DIM == 0) {
    c->heads = c->dim / HEAD_DIM;
    d->heads_from = "the published models (128 channels per head)";
  }
  for (int i = 0; c->family == DIT_CLASS && i < 4; i++)
    if (published[i][0] == c->dim) {
      c->heads = published[i][1];
      d->heads_from = "the published model of this width";
    }
  if (!c->heads && any) c->heads = 1;
  if (c->heads) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INPUT,
                  "%s: neither config.json nor metadata tell the number of heads of this model of width %d; give it "
                  "with --heads",
                  weights_path(w), c->dim);
}

// The position table of family dit is for one size, a square where nothing else is said.
static enum vkd_status read_latent(const struct weights *w, const struct derive_options *o, const struct sizes *s,
                                   struct derived *d, struct vkd_error *err) {
  struct dit_config *c = &d->config;
  if (o->latent[0]) {
    memcpy(c->latent, o->latent, sizeof c->latent);
    d->latent_known = true;
  }
  if (!s->tokens) return VKD_OK;
  int side = 1;
  while ((side + 1) * (side + 1) <= s->tokens) side++;
  if (d->latent_known) {
    int64_t tokens = dit_tokens(c);
    if (tokens == s->tokens) return VKD_OK;
    return vkd_fail(err, VKD_ERR_INPUT, "%s: its position table is for %d tokens, not %" PRId64 " (%d x %d x %d)",
                    weights_path(w), s->tokens, tokens, c->latent[0], c->latent[1], c->latent[2]);
  }
  if (side * side != s->tokens)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: its position table is for %d tokens, no square; give the latent's size",
                    weights_path(w), s->tokens);
  c->latent[0] = 1;
  c->latent[1] = side * c->patch[1];
  c->latent[2] = side * c->patch[2];
  d->latent_known = true;
  return VKD_OK;
}

enum vkd_status derive_model(const struct weights *w, const struct derive_options *o, struct derived *d,
                             struct vkd_error *err) {
  struct sizes s = {0};
  *d = (struct derived){.heads_from = "", .prefix = ""};
  struct dit_config *c = &d->config;
  enum vkd_status st = check_task(w, err);
  if (st == VKD_OK) st = recognise(w, d, err);
  if (st == VKD_OK) st = read_shapes(w, d, &s, err);
  if (st != VKD_OK) return st;
  if (o->heads) {
    c->heads = o->heads;
    d->heads_known = true;
    d->heads_from = "--heads";
  }
  if (o->text_len && c->family == DIT_CROSS && !c->text_len) {
    c->text_len = o->text_len;
    d->text_known = true;
  }
  st = read_latent(w, o, &s, d, err);
  if (st == VKD_OK) st = derive_read_json(w, d, err);
  if (st == VKD_OK) st = read_metadata(w, d, err);
  if (st == VKD_OK) st = read_objective(w, d, err);
  if (st == VKD_OK) st = guess_heads(w, o->any_heads, d, err);
  if (st != VKD_OK) return st;
  if (!(c->eps > 0)) c->eps = 1e-6f;
  if (c->family == DIT_CROSS && !c->text_len) c->text_len = TEXT_LEN;
  if (!d->latent_known) memcpy(c->latent, c->patch, sizeof c->latent);
  if (dit_config_check(c, err) != VKD_OK)
    return *d->heads_from ? vkd_error_prefix(err, "%s (heads by %s)", weights_path(w), d->heads_from)
                          : vkd_error_prefix(err, "%s", weights_path(w));
  if (c->family == DIT_CLASS && !s.tokens && dit_tokens(c) > MAX_TABLE)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: a position table of %" PRId64 " tokens (at most %d are computed)",
                    weights_path(w), dit_tokens(c), MAX_TABLE);
  return VKD_OK;
}
