// A model's parameters in a file of any naming: the same values from each, and one error that names all misfits.
#include <unistd.h>

#include "temp.h"
#include "vkdm/source.h"
#include "weight_files.h"

static char folder[TEMP_SIZE], path[TEMP_SIZE + 32];

static enum vkd_status open_file(const struct weight_file *f, const struct dit_config *c, struct weights **w,
                                 struct source **s, struct vkd_error *err) {
  weight_file_write(f, path, NULL, 0);
  *err = (struct vkd_error){0};
  *s = NULL;
  CHECK(weights_open(w, path, err) == VKD_OK, "%s", err->what);
  return source_open(s, *w, c, err);
}

// Every element of every parameter, read whole and in odd pieces, is that of the tensor that holds it.
static void check_values(const struct dit_config *c, enum dit_naming naming, const char *prefix, enum st_dtype dtype) {
  struct weight_file f;
  struct weights *w = NULL;
  struct source *s = NULL;
  struct vkd_error err;
  weight_file_make(&f, c, naming, prefix, dtype, true, 7);
  enum vkd_status st = open_file(&f, c, &w, &s, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st != VKD_OK) goto done;
  CHECK(source_naming(s) == naming && !strcmp(source_prefix(s), prefix), "recognised as %s, '%s'",
        dit_naming_name(source_naming(s)), source_prefix(s));
  int params;
  const struct dit_param *rows = source_params(s, &params);
  for (size_t i = 0; i < f.count; i++) {
    const struct naming_tensor *t = &f.tensors[i];
    size_t n = (size_t)vkd_shape_numel(&t->shape),
           row = (size_t)rows[t->param].numel / (size_t)rows[t->param].shape.dim[0];
    uint64_t first = (uint64_t)t->first * row;
    float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
    enum st_dtype is;
    st = st_read_f32(weights_find(w, f.entries[i].name), want, &err);
    CHECK(st == VKD_OK, "%s", err.what);
    CHECK(!source_read(s, t->param, first, n, got, &err) && !memcmp(got, want, n * sizeof *got), "%s: %s", t->name,
          err.what);
    for (size_t at = 0; at < n; at += 7) {
      size_t k = n - at < 7 ? n - at : 7;
      CHECK(!source_read(s, t->param, first + at, k, got, &err) && !memcmp(got, want + at, k * sizeof *got), "%s",
            t->name);
    }
    CHECK(source_stored(s, t->param) && !source_dtype(s, t->param, first, n, &is, &err) && is == dtype, "type of %s",
          t->name);
    CHECK(!source_read_bits(s, t->param, first, n, got, &err) &&
              !memcmp(got, f.entries[i].data, n * st_dtype_size(dtype)),
          "bits of %s", t->name);
    free(want);
    free(got);
  }
  CHECK(source_read(s, 0, (uint64_t)rows[0].numel, 1, NULL, NULL) == VKD_ERR_INTERNAL, "read past the end");
done:
  source_close(&s);
  weights_close(&w);
  weight_file_free(&f);
}

// A parameter of three parts is read across them; a table that no file has is computed.
static void test_parts(void) {
  const struct dit_config *c = &small_class;
  struct weight_file f;
  struct weights *w = NULL;
  struct source *s = NULL;
  struct vkd_error err;
  weight_file_make(&f, c, DIT_NAMING_DIFFUSERS, "", ST_F32, false, 3);
  CHECK(open_file(&f, c, &w, &s, &err) == VKD_OK, "%s", err.what);
  int params, qkv = -1, d = c->dim;
  const struct dit_param *rows = source_params(s, &params);
  for (int i = 0; i < params; i++)
    if (!strcmp(rows[i].name[DIT_NAMING_META], "blocks.1.attn.qkv.weight")) qkv = i;
  float *all = malloc((size_t)(3 * d * d) * sizeof *all);
  CHECK(qkv > 0 && !source_read(s, qkv, 0, (uint64_t)(3 * d * d), all, &err), "%s", err.what);
  for (int k = 0; k < 3; k++) {
    char name[64];
    snprintf(name, sizeof name, "transformer_blocks.1.attn1.to_%c.weight", "qkv"[k]);
    CHECK(!memcmp(all + k * d * d, weight_file_find(&f, name)->data, (size_t)(d * d) * sizeof *all), "%s", name);
  }
  CHECK(rows[0].frozen && !source_stored(s, 0), "the position table is stored");
  float *table = malloc((size_t)rows[0].numel * sizeof *table), part[5];
  dit_param_init(c, &rows[0], 0, 0, table);
  CHECK(!source_read(s, 0, 11, 5, part, &err) && !memcmp(part, table + 11, sizeof part), "the table computed");
  CHECK(source_read_bits(s, 0, 0, 1, part, NULL) == VKD_ERR_INTERNAL, "bits of what is not there");
  free(table);
  free(all);
  source_close(&s);
  weights_close(&w);
  weight_file_free(&f);
}

static void check_refused(const struct weight_file *f, const struct dit_config *c, const char *const *words,
                          int count) {
  struct weights *w = NULL;
  struct source *s = NULL;
  struct vkd_error err;
  CHECK(open_file(f, c, &w, &s, &err) == VKD_ERR_INPUT && !s, "accepted");
  for (int i = 0; i < count; i++) CHECK(strstr(err.what, words[i]), "'%s' is not in: %s", words[i], err.what);
  CHECK(strstr(err.what, path) && !strchr(err.what, '\n'), "%s", err.what);
  weights_close(&w);
}
#define REFUSED(f, c, ...)                                                                                             \
  check_refused(f, c, (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void test_misfits(void) {
  const struct dit_config *x = &small_cross, *c = &small_class;
  struct weight_file f;
  // All four kinds in one message.
  weight_file_make(&f, x, DIT_NAMING_WAN, NAMING_COMFYUI, ST_BF16, true, 1);
  weight_file_find(&f, NAMING_COMFYUI "blocks.1.ffn.2.bias")->name = NAMING_COMFYUI "blocks.1.ffn.2.extra";
  weight_file_find(&f, NAMING_COMFYUI "head.head.bias")->name = "head.head.bias";
  struct st_entry *e = weight_file_find(&f, NAMING_COMFYUI "blocks.0.norm3.weight");
  e->ndim = 2;
  e->shape[0] = 2;
  e->shape[1] = 12;
  weight_file_find(&f, NAMING_COMFYUI "blocks.0.norm3.bias")->dtype = ST_I16;
  REFUSED(&f, x, "6 tensors do not fit the model (cross_dit, names of wan)",
          "2 missing (head.head.bias, blocks.1.ffn.2.bias)",
          "1 of another shape (blocks.0.norm3.weight [2,12], not [24])", "1 of no float type (blocks.0.norm3.bias I16)",
          "2 unknown (head.head.bias, model.diffusion_model.blocks.1.ffn.2.extra)");
  weight_file_free(&f);

  // More than fit in a message: as many as there is room for, and how many more, in every kind.
  weight_file_make(&f, x, DIT_NAMING_DIFFUSERS, "", ST_F16, true, 2);
  for (size_t i = 15; i < f.count; i++) {
    snprintf(f.names[i], sizeof f.names[i], "something.else.that.has.a.long.name.%zu", i);
  }
  REFUSED(&f, x, "108 tensors do not fit", "54 missing (blocks.0.scale_shift_table, ", "54 unknown (something.else.",
          " more)");
  struct weights *w = NULL;
  struct source *s = NULL;
  struct vkd_error err;
  CHECK(open_file(&f, x, &w, &s, &err) == VKD_ERR_INPUT, "accepted");
  int more = 0;
  for (const char *at = err.what; (at = strstr(at, " more)")); at++) more++;
  CHECK(more == 2 && strlen(err.what) + 1 < sizeof err.what, "%d lists are cut: %s", more, err.what);
  weights_close(&w);
  weight_file_free(&f);

  // Copies that differ, in one bit.
  weight_file_make(&f, c, DIT_NAMING_DIFFUSERS, "", ST_F8_E4M3, false, 3);
  const char *copy = "transformer_blocks.2.norm1.emb.class_embedder.embedding_table.weight";
  e = weight_file_find(&f, copy);
  ((unsigned char *)e->data)[17] ^= 4;
  REFUSED(&f, c, copy, "is not equal to its copy",
          "'transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight'");
  ((unsigned char *)e->data)[17] ^= 4;
  e->dtype = ST_F8_E5M2;
  REFUSED(&f, c, copy, "is not equal");
  weight_file_free(&f);

  // A file of the other family has nothing that fits.
  weight_file_make(&f, c, DIT_NAMING_META, "", ST_F32, true, 4);
  REFUSED(&f, x, "69 missing", "42 unknown");
  weight_file_free(&f);
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/w.safetensors", folder);
  static const enum st_dtype dtypes[] = {ST_F32, ST_F16, ST_BF16, ST_F8_E4M3, ST_F8_E5M2};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    check_values(&small_cross, DIT_NAMING_WAN, i % 2 ? NAMING_COMFYUI : "", dtypes[i]);
    check_values(&small_cross, DIT_NAMING_DIFFUSERS, "", dtypes[i]);
    check_values(&small_class, DIT_NAMING_META, "", dtypes[i]);
    check_values(&small_class, DIT_NAMING_DIFFUSERS, "", dtypes[i]);
  }
  test_parts();
  test_misfits();
  unlink(path);
  CHECK(rmdir(folder) == 0, "files are left in %s", folder);
  return check_done();
}
