// Conversions between namings: round trips keep every bit of every type; narrowing rounds to nearest even.
#include <unistd.h>

#include "temp.h"
#include "vkdm/convert.h"
#include "weight_files.h"

static char folder[TEMP_SIZE], path[TEMP_SIZE + 32], there[TEMP_SIZE + 32], back[TEMP_SIZE + 32];

static enum vkd_status convert(const char *from, const char *to, enum dit_naming naming, const char *prefix,
                               enum convert_dtype dtype, struct vkd_error *err) {
  struct weights *w = NULL;
  struct derived model;
  *err = (struct vkd_error){0};
  enum vkd_status st = weights_open(&w, from, err);
  if (st == VKD_OK) st = derive_model(w, &(struct derive_options){.any_heads = true}, &model, err);
  const struct convert_params p = {.weights = w, .model = &model, .naming = naming, .prefix = prefix, .dtype = dtype};
  if (st == VKD_OK) st = convert_weights(&p, to, err);
  weights_close(&w);
  return st;
}

static struct st_file *open_file(const char *name) {
  struct st_file *file = NULL;
  struct vkd_error err = {0};
  CHECK(st_open(name, &file, &err) == VKD_OK, "%s", err.what);
  if (!file) exit(1);
  return file;
}

static void check_equal(const char *a, const char *b) {
  struct st_file *x = open_file(a), *y = open_file(b);
  CHECK(st_count(x) == st_count(y), "%zu tensors became %zu", st_count(x), st_count(y));
  for (size_t i = 0; i < st_count(x); i++) {
    const struct st_tensor *t = st_at(x, i), *u = st_find(y, t->name);
    CHECK(u && u->dtype == t->dtype && u->ndim == t->ndim && !memcmp(u->shape, t->shape, sizeof t->shape) &&
              !memcmp(u->data, t->data, (size_t)t->size),
          "%s differs", t->name);
  }
  st_close(&x);
  st_close(&y);
}

// with_table: a position table of random bits, which is not the fixed one and must go along.
static void check_round_trip(const struct dit_config *c, enum dit_naming from, enum dit_naming to, enum st_dtype dtype,
                             bool with_table) {
  struct weight_file f;
  struct vkd_error err;
  const struct st_meta meta[] = {{"note", "kept"}, {"vkdit.heads", "2"}};
  weight_file_make(&f, c, from, "", dtype, true, 5);
  float *table = NULL;
  for (size_t i = 0; i < f.count && !with_table; i++)
    if (f.tensors[i].optional) {
      struct dit_param *rows = NULL;
      int count;
      CHECK(dit_params(c, &rows, &count, &err) == VKD_OK, "%s", err.what);
      table = malloc((size_t)rows[0].numel * sizeof *table);
      dit_param_init(c, &rows[0], 0, 0, table);
      free((void *)f.entries[i].data);
      f.entries[i].data = table;
      f.entries[i].dtype = ST_F32;
      free(rows);
    }
  weight_file_write(&f, path, meta, 2);
  CHECK(convert(path, there, to, NULL, CONVERT_KEEP, &err) == VKD_OK, "%s", err.what);
  CHECK(convert(there, back, from, NULL, CONVERT_KEEP, &err) == VKD_OK, "%s", err.what);
  check_equal(path, back);
  struct st_file *file = open_file(there);
  const char *note = st_metadata(file, "note"), *heads = st_metadata(file, "vkdit.heads"),
             *format = st_metadata(file, "format");
  CHECK(note && !strcmp(note, "kept") && heads && !strcmp(heads, "2") && format && !strcmp(format, "pt"), "metadata");
  if (c->family == DIT_CLASS && to == DIT_NAMING_DIFFUSERS)
    CHECK((st_find(file, "pos_embed.pos_embed") != NULL) == with_table, "the fixed table is not to be stored");
  st_close(&file);
  weight_file_free(&f);
}

static void test_prefix(void) {
  struct weight_file f;
  struct vkd_error err;
  weight_file_make(&f, &small_cross, DIT_NAMING_WAN, "", ST_BF16, true, 6);
  weight_file_write(&f, path, NULL, 0);
  CHECK(convert(path, there, DIT_NAMING_WAN, NAMING_COMFYUI, CONVERT_KEEP, &err) == VKD_OK, "%s", err.what);
  struct st_file *file = open_file(there);
  for (size_t i = 0; i < st_count(file); i++)
    CHECK(!strncmp(st_at(file, i)->name, NAMING_COMFYUI, strlen(NAMING_COMFYUI)), "%s", st_at(file, i)->name);
  CHECK(!st_metadata(file, "vkdit.heads"), "heads that nothing told are written down");
  st_close(&file);
  CHECK(convert(there, back, DIT_NAMING_WAN, NULL, CONVERT_KEEP, &err) == VKD_OK, "%s", err.what);
  check_equal(path, back);
  CHECK(convert(path, there, DIT_NAMING_META, NULL, CONVERT_KEEP, &err) == VKD_ERR_USAGE, "%s", err.what);
  weight_file_free(&f);
}

// Of a 16-bit type: no neighbour is nearer, and of two as near the even one is taken.
static void check_nearest(float x, enum st_dtype dtype, uint16_t got) {
  struct st_entry e[] = {{.name = "a", .dtype = dtype, .ndim = 1, .shape = {3}}};
  uint16_t near[3] = {(uint16_t)(got - 1), got, (uint16_t)(got + 1)};
  float values[3];
  struct vkd_error err = {0};
  e[0].data = near;
  CHECK(st_write(back, e, 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
  struct st_file *file = open_file(back);
  CHECK(st_read_f32(st_find(file, "a"), values, &err) == VKD_OK, "%s", err.what);
  st_close(&file);
  double miss = fabs((double)x - (double)values[1]);
  for (int k = 0; k < 3; k += 2) {
    if (!(got & 0x7fff) || isinf(values[k])) continue; // below zero lies the other sign
    double other = fabs((double)x - (double)values[k]);
    CHECK(miss < other || (miss == other && !(got & 1)), "%a became %a, not %a", (double)x, (double)values[1],
          (double)values[k]);
  }
}

static void test_narrowing(void) {
  struct weight_file f;
  struct vkd_error err;
  weight_file_make(&f, &small_cross, DIT_NAMING_WAN, "", ST_F32, true, 9);
  float *x = (float *)weight_file_find(&f, "patch_embedding.weight")->data;
  // ties, subnormals, zeros, the largest, infinities, NaN
  static const float edges[] = {1.00048828125f, 1.00146484375f, 1.00390625f, 1.01171875f, 0x1p-24f, 0x1.8p-24f,
                                0x1p-25f,       0x1.8p-25f,     0.f,         -0.f,        65504.f,  65519.f,
                                0x1p-133f,      0x1.cp-134f,    INFINITY,    -INFINITY,   NAN};
  enum { EDGES = sizeof edges / sizeof edges[0] };
  memcpy(x, edges, sizeof edges);
  weight_file_write(&f, path, NULL, 0);
  static const struct {
    enum convert_dtype to;
    enum st_dtype dtype;
  } kinds[] = {{CONVERT_F16, ST_F16}, {CONVERT_BF16, ST_BF16}};
  for (int k = 0; k < 2; k++) {
    CHECK(convert(path, there, DIT_NAMING_DIFFUSERS, NULL, kinds[k].to, &err) == VKD_OK, "%s", err.what);
    struct st_file *file = open_file(there);
    const struct st_tensor *t = st_find(file, "patch_embedding.weight");
    uint16_t bits[64];
    CHECK(t && t->dtype == kinds[k].dtype && t->numel >= 64, "type");
    memcpy(bits, t->data, sizeof bits);
    uint16_t infinity = k ? 0x7f80 : 0x7c00;
    for (int i = 0; i < 64; i++)
      if (isnan(x[i]))
        CHECK((bits[i] & 0x7fff) > infinity, "NaN became %#x", bits[i]);
      else if (isinf(x[i]))
        CHECK(bits[i] == (infinity | (x[i] < 0 ? 0x8000 : 0)), "%g became %#x", (double)x[i], bits[i]);
      else
        check_nearest(x[i], kinds[k].dtype, bits[i]);
    CHECK(bits[8] == 0 && bits[9] == 0x8000, "signs of zero");
    st_close(&file);
  }
  // 65520 rounds to 2^16, which F16 has not.
  ((float *)weight_file_find(&f, "head.head.weight")->data)[5] = 65520;
  weight_file_write(&f, path, NULL, 0);
  unlink(there);
  CHECK(convert(path, there, DIT_NAMING_DIFFUSERS, NULL, CONVERT_F16, &err) == VKD_ERR_INPUT &&
            strstr(err.what, "'proj_out.weight' holds 65520") && strstr(err.what, "bf16"),
        "%s", err.what);
  CHECK(access(there, F_OK) != 0, "a failed conversion left its file");
  CHECK(convert(path, there, DIT_NAMING_DIFFUSERS, NULL, CONVERT_BF16, &err) == VKD_OK, "%s", err.what);
  weight_file_free(&f);

  // Widening is exact, and back it is the same.
  weight_file_make(&f, &small_class, DIT_NAMING_META, "", ST_BF16, true, 10);
  weight_file_write(&f, path, NULL, 0);
  CHECK(convert(path, there, DIT_NAMING_META, NULL, CONVERT_F32, &err) == VKD_OK, "%s", err.what);
  CHECK(convert(there, back, DIT_NAMING_META, NULL, CONVERT_BF16, &err) == VKD_OK, "%s", err.what);
  check_equal(path, back);
  weight_file_free(&f);
}

// Parts of one tensor that have different types cannot become one without a type being named.
static void test_mixed(void) {
  struct weight_file f;
  struct vkd_error err;
  const struct dit_config *c = &small_class;
  weight_file_make(&f, c, DIT_NAMING_DIFFUSERS, "", ST_F16, false, 11);
  weight_file_find(&f, "transformer_blocks.1.attn1.to_k.weight")->dtype = ST_BF16;
  const struct st_meta meta[] = {{"vkdit.latent", "1,8,8"}};
  weight_file_write(&f, path, meta, 1);
  CHECK(convert(path, there, DIT_NAMING_META, NULL, CONVERT_KEEP, &err) == VKD_ERR_INPUT &&
            strstr(err.what, "to_k.weight' is BF16") && strstr(err.what, "--dtype"),
        "%s", err.what);
  CHECK(convert(path, there, DIT_NAMING_DIFFUSERS, NULL, CONVERT_KEEP, &err) == VKD_OK, "%s", err.what);
  check_equal(path, there);
  CHECK(convert(path, there, DIT_NAMING_META, NULL, CONVERT_F32, &err) == VKD_OK, "%s", err.what);
  weight_file_free(&f);
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/in.safetensors", folder);
  snprintf(there, sizeof there, "%s/there.safetensors", folder);
  snprintf(back, sizeof back, "%s/back.safetensors", folder);
  static const enum st_dtype dtypes[] = {ST_F32, ST_F16, ST_BF16, ST_F8_E4M3, ST_F8_E5M2, ST_F64};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    check_round_trip(&small_cross, DIT_NAMING_WAN, DIT_NAMING_DIFFUSERS, dtypes[i], false);
    check_round_trip(&small_cross, DIT_NAMING_DIFFUSERS, DIT_NAMING_WAN, dtypes[i], false);
    check_round_trip(&small_class, DIT_NAMING_META, DIT_NAMING_DIFFUSERS, dtypes[i], false);
    check_round_trip(&small_class, DIT_NAMING_META, DIT_NAMING_DIFFUSERS, dtypes[i], true);
  }
  test_prefix();
  test_narrowing();
  test_mixed();
  unlink(path);
  unlink(there);
  unlink(back);
  CHECK(rmdir(folder) == 0, "files are left in %s", folder);
  return check_done();
}
