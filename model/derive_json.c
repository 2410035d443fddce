#include "derive_json.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "json_in.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

enum { JSON_LIMIT = 1 << 20, MAX_SIZE = 1 << 20 };

// Of one config.json; sticky: after the first error nothing is looked at.
struct reader {
  const char *path, *weights;
  const json_t *root;
  struct derived *d;
  enum vkd_status status;
  struct vkd_error *err;
};

// The public code's name of the model; without one the keys decide.
static const struct {
  const char *name;
  enum dit_family family;
} classes[] = {{"WanModel", DIT_CROSS},
               {"WanTransformer3DModel", DIT_CROSS},
               {"DiTTransformer2DModel", DIT_CLASS},
               {"Transformer2DModel", DIT_CLASS}};

static bool is_ours(struct reader *r) {
  const char *name = json_string_value(json_object_get(r->root, "_class_name"));
  for (size_t i = 0; name && i < sizeof classes / sizeof classes[0]; i++)
    if (strcmp(classes[i].name, name) == 0 && classes[i].family == r->d->config.family) return true;
  if (name) vkd_log(VKD_LOG_INFO, "%s is of a %.60s and is not used", r->path, name);
  return !name && json_is_object(r->root);
}

// A whole number at `key`; 0 where it is absent or null.
static int int_of(struct reader *r, const json_t *v, const char *key) {
  json_int_t n = json_integer_value(v);
  if (r->status != VKD_OK || !v || json_is_null(v)) return 0;
  if (json_is_integer(v) && n >= 1 && n <= MAX_SIZE) return (int)n;
  r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\": a whole number from 1 to %d wanted", r->path, key, MAX_SIZE);
  return 0;
}
static int int_at(struct reader *r, const char *key) { return int_of(r, json_object_get(r->root, key), key); }

// What is known already must be the same.
static void compare(struct reader *r, const char *key, int said, int known, const char *from) {
  if (r->status != VKD_OK || !said || !known || said == known) return;
  r->status =
      vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\" is %d, but %s of %s say %d; one of the two files is of another model",
               r->path, key, said, from, r->weights, known);
}

static void take(struct reader *r, const char *key, int *field) {
  int said = int_at(r, key);
  compare(r, key, said, *field, "the shapes");
  if (!*field) *field = said;
}

static void take_heads(struct reader *r, const char *key) {
  int said = int_at(r, key);
  compare(r, key, said, r->d->config.heads, r->d->heads_from);
  if (!said || r->d->config.heads || r->status != VKD_OK) return;
  r->d->config.heads = said;
  r->d->heads_known = true;
  r->d->heads_from = "config.json";
}

// Not of a model whose context is a row of a class table.
static void take_text_len(struct reader *r) {
  int said = int_at(r, "text_len"), *known = &r->d->config.text_len;
  if (!said || r->d->config.class_rows) return;
  compare(r, "text_len", said, *known, "the options");
  *known = said;
  r->d->text_known = true;
}

static void compare_patch(struct reader *r) {
  const json_t *v = json_object_get(r->root, "patch_size");
  const int *patch = r->d->config.patch;
  if (!json_is_array(v)) {
    int said = int_of(r, v, "patch_size");
    compare(r, "patch_size", said, patch[1], "the shapes");
    compare(r, "patch_size", said, patch[2], "the shapes");
    return;
  }
  if (json_array_size(v) != 3) {
    if (r->status == VKD_OK)
      r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"patch_size\": one or three numbers wanted", r->path);
    return;
  }
  for (size_t i = 0; i < 3; i++)
    compare(r, "patch_size", int_of(r, json_array_get(v, i), "patch_size"), patch[i], "the shapes");
}

// A text or a truth value that names a form of the model which is not this one.
static void refuse_form(struct reader *r, const char *key, const json_t *wanted, const char *text) {
  const json_t *v = json_object_get(r->root, key);
  if (r->status != VKD_OK || !v || json_is_null(v)) return;
  bool same = text && json_is_string(v) ? strcmp(json_string_value(v), text) == 0 : wanted && json_equal(v, wanted);
  if (!same)
    r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"%s\" is %.40s: only %s is supported", r->path, key,
                         json_is_string(v)  ? json_string_value(v)
                         : json_is_false(v) ? "false"
                                            : "something else",
                         text ? text : "true");
}

static void read_cross(struct reader *r) {
  struct dit_config *c = &r->d->config;
  const struct {
    const char *key;
    int *field;
  } keys[] = {{"dim", &c->dim},
              {"ffn_dim", &c->ffn},
              {"freq_dim", &c->freq_dim},
              {"text_dim", &c->text_dim},
              {"in_dim", &c->in_channels},
              {"num_layers", &c->depth},
              {"in_channels", &c->in_channels},
              {"out_dim", &c->out_channels},
              {"out_channels", &c->out_channels}};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) take(r, keys[i].key, keys[i].field);
  take_text_len(r);
  refuse_form(r, "model_type", NULL, "t2v");
  refuse_form(r, "qk_norm", json_true(), "rms_norm_across_heads");
  refuse_form(r, "cross_attn_norm", json_true(), NULL);
  const json_t *eps = json_object_get(r->root, "eps");
  if (r->status != VKD_OK || !eps || json_is_null(eps)) return;
  c->eps = (float)json_number_value(eps);
  if (!(c->eps > 0 && c->eps < 1))
    r->status = vkd_fail(r->err, VKD_ERR_INPUT, "%s: \"eps\": a number from 0 to 1 wanted", r->path);
}

// norm_eps is left out: the weights were trained with 1e-6, whatever diffusers writes there.
static void read_class(struct reader *r) {
  struct dit_config *c = &r->d->config;
  int classes_said = int_at(r, "num_embeds_ada_norm"), size = int_at(r, "sample_size");
  take(r, "num_layers", &c->depth);
  take(r, "in_channels", &c->in_channels);
  take(r, "out_channels", &c->out_channels);
  compare(r, "num_embeds_ada_norm", classes_said, c->class_rows - 1, "the shapes");
  refuse_form(r, "norm_type", NULL, "ada_norm_zero");
  if (!size || r->d->latent_known || r->status != VKD_OK) return;
  c->latent[0] = 1;
  c->latent[1] = c->latent[2] = size;
  r->d->latent_known = true;
}

static void read_config(struct reader *r) {
  take_heads(r, "num_heads");
  take_heads(r, "num_attention_heads");
  if (r->d->config.family == DIT_CROSS)
    read_cross(r);
  else
    read_class(r);
  compare_patch(r);
  int width = int_at(r, "attention_head_dim"), heads = r->d->config.heads;
  if (width && heads && r->status == VKD_OK && (int64_t)width * heads != r->d->config.dim)
    r->status = vkd_fail(r->err, VKD_ERR_INPUT,
                         "%s: \"attention_head_dim\" is %d, which with %d heads is not the width %d of %s", r->path,
                         width, heads, r->d->config.dim, r->weights);
}

enum vkd_status derive_read_json(const struct weights *w, struct derived *d, struct vkd_error *err) {
  char *path = fileio_join(weights_folder(w), "config.json"), *text = NULL;
  json_t *root = NULL;
  json_error_t why;
  size_t size;
  enum vkd_status st = path ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a path");
  if (st != VKD_OK || !fileio_is_file(path)) goto fail;
  if ((st = fileio_read_whole(path, JSON_LIMIT, &text, &size, err)) != VKD_OK) goto fail;
  if (!(root = json_in(text, size, JSON_IN_VALUES, &why))) {
    st = vkd_fail(err, VKD_ERR_INPUT, "%s:%d: not JSON: %s", path, why.line, why.text);
    goto fail;
  }
  struct reader r = {.path = path, .weights = weights_path(w), .root = root, .d = d, .err = err};
  if (is_ours(&r)) read_config(&r);
  st = r.status;
fail:
  json_decref(root);
  free(text);
  free(path);
  return st;
}
