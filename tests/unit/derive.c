// Configurations from shapes, config.json and metadata: every family, naming and prefix; what contradicts is refused.
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temp.h"
#include "vkdm/derive.h"
#include "vkdm/fileio.h"
#include "weight_files.h"

static char folder[TEMP_SIZE], path[TEMP_SIZE + 32], json[TEMP_SIZE + 32];

static enum vkd_status derive(const struct derive_options *o, struct derived *d, struct vkd_error *err) {
  struct weights *w = NULL;
  *err = (struct vkd_error){0};
  enum vkd_status st = weights_open(&w, path, err);
  CHECK(st == VKD_OK, "%s", err->what);
  if (st == VKD_OK) st = derive_model(w, o, d, err);
  weights_close(&w);
  return st;
}

static void write_json(const char *text) {
  struct vkd_error err = {0};
  CHECK(fileio_write_whole(json, text, strlen(text), &err) == VKD_OK, "%s", err.what);
}

static void check_config(const struct dit_config *got, const struct dit_config *want, const char *what) {
#define SAME(field)                                                                                                    \
  CHECK(got->field == want->field, "%s: " #field " is %g, not %g", what, (double)got->field, (double)want->field)
  SAME(family);
  SAME(dim);
  SAME(depth);
  SAME(heads);
  SAME(ffn);
  SAME(freq_dim);
  SAME(text_dim);
  SAME(text_len);
  SAME(class_rows);
  SAME(in_channels);
  SAME(out_channels);
  for (int i = 0; i < 3; i++) {
    SAME(patch[i]);
    SAME(latent[i]);
  }
  SAME(eps);
}

static void refused(const struct derive_options *o, const char *word) {
  struct derived d;
  struct vkd_error err;
  enum vkd_status st = derive(o, &d, &err);
  CHECK(st == VKD_ERR_INPUT && strstr(err.what, word), "want '%s' in '%s' (%s)", word, err.what, vkd_status_name(st));
  CHECK(!strchr(err.what, '\n') && strstr(err.what, folder), "%s", err.what);
}

static const struct derive_options none = {0};

static void test_shapes(void) {
  struct dit_config labelled = small_cross, plain = small_class;
  labelled.class_rows = 4;
  labelled.text_len = 1;
  plain.out_channels = plain.in_channels; // no learned variance
  plain.patch[1] = plain.patch[2] = 4;
  const struct {
    const struct dit_config *config;
    enum dit_naming naming;
    const char *prefix;
  } cases[] = {{&small_cross, DIT_NAMING_WAN, ""},
               {&small_cross, DIT_NAMING_WAN, NAMING_COMFYUI},
               {&small_cross, DIT_NAMING_DIFFUSERS, ""},
               {&labelled, DIT_NAMING_WAN, ""},
               {&labelled, DIT_NAMING_DIFFUSERS, ""},
               {&small_class, DIT_NAMING_META, ""},
               {&small_class, DIT_NAMING_META, NAMING_COMFYUI},
               {&small_class, DIT_NAMING_DIFFUSERS, ""},
               {&plain, DIT_NAMING_META, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct dit_config *c = cases[i].config;
    struct derive_options o = {.heads = c->heads, .text_len = c->text_len};
    struct weight_file f;
    struct derived d;
    struct vkd_error err;
    bool table = c->family == DIT_CLASS && cases[i].naming == DIT_NAMING_META; // tells the latent's size
    if (!table) memcpy(o.latent, c->latent, sizeof o.latent);
    weight_file_make(&f, c, cases[i].naming, cases[i].prefix, ST_BF16, table, 1);
    weight_file_write(&f, path, NULL, 0);
    weight_file_free(&f);
    CHECK(derive(&o, &d, &err) == VKD_OK, "case %zu: %s", i, err.what);
    check_config(&d.config, c, dit_naming_name(cases[i].naming));
    CHECK(d.naming == cases[i].naming && !strcmp(d.prefix, cases[i].prefix), "case %zu: naming", i);
    CHECK(d.heads_known && d.latent_known && d.text_known == (c->family == DIT_CROSS && !c->class_rows),
          "case %zu: what is known", i);
    CHECK(!d.objective_known && d.objective == (c->family == DIT_CROSS              ? CONFIG_FLOW
                                                : c->out_channels == c->in_channels ? CONFIG_DDPM
                                                                                    : CONFIG_HYBRID),
          "case %zu: objective", i);
  }
}

// A file whose tensors are holes: the published models' shapes in their own sizes.
static bool write_holes(const struct dit_config *c, enum dit_naming naming) {
  struct naming_tensor *list = NULL;
  int count = 0;
  CHECK(naming_tensors(c, naming, &list, &count, NULL) == VKD_OK, "names");
  size_t room = (size_t)count * 320 + 16, used = 8;
  char *header = malloc(room);
  uint64_t at = 0;
  header[used++] = '{';
  for (int i = 0; i < count; i++) {
    const struct vkd_shape *s = &list[i].shape;
    used += (size_t)snprintf(header + used, room - used, "%s\"%s\":{\"dtype\":\"F8_E4M3\",\"shape\":[", i ? "," : "",
                             list[i].name);
    for (int k = 0; k < s->rank; k++)
      used += (size_t)snprintf(header + used, room - used, "%s%" PRId64, k ? "," : "", s->dim[k]);
    uint64_t end = at + (uint64_t)vkd_shape_numel(s);
    used += (size_t)snprintf(header + used, room - used, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
    at = end;
  }
  header[used++] = '}';
  uint64_t length = used - 8;
  memcpy(header, &length, 8);
  struct vkd_error err = {0};
  CHECK(fileio_write_whole(path, header, used, &err) == VKD_OK, "%s", err.what);
  free(header);
  free(list);
  return truncate(path, (off_t)(used + at)) == 0;
}

static void test_published(void) {
  static const struct dit_config wan = {.family = DIT_CROSS,
                                        .dim = 1536,
                                        .depth = 30,
                                        .heads = 12,
                                        .ffn = 8960,
                                        .freq_dim = 256,
                                        .text_dim = 4096,
                                        .text_len = 512,
                                        .in_channels = 16,
                                        .out_channels = 16,
                                        .patch = {1, 2, 2},
                                        .latent = {1, 2, 2}, // a token: nothing tells it
                                        .eps = 1e-6f},
                                 dit = {.family = DIT_CLASS,
                                        .dim = 1152,
                                        .depth = 28,
                                        .heads = 16,
                                        .ffn = 4608,
                                        .freq_dim = 256,
                                        .class_rows = 1001,
                                        .in_channels = 4,
                                        .out_channels = 8,
                                        .patch = {1, 2, 2},
                                        .latent = {1, 64, 64},
                                        .eps = 1e-6f};
  struct derived d;
  struct vkd_error err;
  if (!write_holes(&wan, DIT_NAMING_WAN)) {
    printf("no room for files with holes: the published shapes are not looked at\n");
    return;
  }
  CHECK(derive(&none, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &wan, "Wan2.1-T2V-1.3B");
  CHECK(!d.heads_known && !d.text_known && !d.latent_known, "rules are not knowledge");
  CHECK(write_holes(&dit, DIT_NAMING_META) && derive(&none, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &dit, "DiT-XL/2 at 512");
  CHECK(d.latent_known && !d.heads_known, "what is known");
}

// The two public spellings of config.json.
static void test_json(void) {
  struct weight_file f;
  struct derived d;
  struct vkd_error err;
  weight_file_make(&f, &small_cross, DIT_NAMING_WAN, "", ST_F32, true, 2);
  weight_file_write(&f, path, NULL, 0);
  refused(&none, "give it with --heads");
  CHECK(derive(&(struct derive_options){.any_heads = true}, &d, &err) == VKD_OK && d.config.heads == 1 &&
            !d.heads_known,
        "%s", err.what);
#define WAN_JSON(rest)                                                                                                 \
  "{\"_class_name\":\"WanModel\",\"dim\":24,\"eps\":1e-05,\"ffn_dim\":40,\"freq_dim\":16,\"in_dim\":2,\"model_type\":" \
  "\"t2v\",\"num_heads\":3,\"num_layers\":2,\"out_dim\":2,\"text_len\":77" rest "}"
  write_json(WAN_JSON(""));
  struct dit_config want = small_cross;
  want.heads = 3;
  want.text_len = 77;
  want.eps = 1e-5f;
  memcpy(want.latent, want.patch, sizeof want.latent);
  CHECK(derive(&none, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &want, "WanModel");
  CHECK(d.heads_known && d.text_known && !d.latent_known && !strcmp(d.heads_from, "config.json"), "what is known");
  CHECK(derive(&(struct derive_options){.heads = 3, .text_len = 77}, &d, &err) == VKD_OK, "%s", err.what);
  refused(&(struct derive_options){.heads = 2}, "\"num_heads\" is 3, but --heads");
  refused(&(struct derive_options){.text_len = 5}, "\"text_len\" is 77, but the options");
  static const struct {
    const char *text, *word;
  } bad[] = {
      {"{\"dim\":32,\"num_heads\":2}", "\"dim\" is 32, but the shapes of"},
      {"{\"num_layers\":3,\"num_heads\":2}", "\"num_layers\" is 3, but the shapes of"},
      {"{\"num_heads\":2,\"num_attention_heads\":3}", "\"num_attention_heads\" is 3, but config.json"},
      {"{\"num_heads\":2,\"attention_head_dim\":24}", "\"attention_head_dim\" is 24, which with 2 heads"},
      {"{\"num_heads\":2,\"patch_size\":[1,4,2]}", "\"patch_size\" is 4, but the shapes"},
      {"{\"num_heads\":2,\"patch_size\":[1,2]}", "one or three numbers"},
      {"{\"num_heads\":2,\"model_type\":\"i2v\"}", "\"model_type\" is i2v: only t2v"},
      {"{\"num_heads\":2,\"qk_norm\":false}", "\"qk_norm\" is false"},
      {"{\"num_heads\":2,\"qk_norm\":\"rms_norm\"}", "\"qk_norm\" is rms_norm"},
      {"{\"num_heads\":2,\"cross_attn_norm\":false}", "only true is supported"},
      {"{\"num_heads\":-2}", "\"num_heads\": a whole number from 1"},
      {"{\"num_heads\":2.5}", "\"num_heads\": a whole number"},
      {"{\"num_heads\":99999999999}", "\"num_heads\": a whole number"},
      {"{\"num_heads\":\"2\"}", "\"num_heads\": a whole number"},
      {"{\"num_heads\":5}", "must be an even number"},
      {"{\"num_heads\":2,\"eps\":0}", "\"eps\": a number"},
      {"{\"num_heads\":2,\"eps\":\"x\"}", "\"eps\": a number"},
      {"{\"num_heads\":2", "not JSON"},
      {"", "not JSON"},
      {"{\"num_heads\":2,\"num_heads\":2}", "duplicate"},
      {"{\"_class_name\":\"AutoencoderKLWan\",\"dim\":96}", "give it with --heads"}, // of another model: not looked at
      {"{\"_class_name\":\"Transformer2DModel\",\"num_attention_heads\":2}", "give it with --heads"},
      {"[]", "give it with --heads"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    write_json(bad[i].text);
    refused(&none, bad[i].word);
  }
  char deep[8001];
  memset(deep, '[', 8000);
  deep[8000] = 0;
  write_json(deep);
  refused(&none, "maximum parsing depth");
  // null stands for nothing, as diffusers writes it
  write_json("{\"_class_name\":\"WanTransformer3DModel\",\"num_attention_heads\":2,\"attention_head_dim\":12,"
             "\"qk_norm\":\"rms_norm_across_heads\",\"cross_attn_norm\":true,\"added_kv_proj_dim\":null,"
             "\"out_channels\":null,\"patch_size\":[1,2,2],\"in_channels\":2,\"text_dim\":9,\"eps\":1e-06}");
  want.heads = 2;
  want.text_len = 512;
  want.eps = 1e-6f;
  CHECK(derive(&none, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &want, "WanTransformer3DModel");
  weight_file_free(&f);

  weight_file_make(&f, &small_class, DIT_NAMING_DIFFUSERS, "", ST_F32, false, 2);
  weight_file_write(&f, path, NULL, 0);
  write_json("{\"_class_name\":\"DiTTransformer2DModel\",\"num_attention_heads\":2,\"attention_head_dim\":8,"
             "\"in_channels\":3,\"out_channels\":6,\"num_layers\":3,\"patch_size\":2,\"sample_size\":8,"
             "\"num_embeds_ada_norm\":4,\"norm_type\":\"ada_norm_zero\",\"norm_eps\":1e-05}");
  CHECK(derive(&none, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &small_class, "DiTTransformer2DModel"); // eps 1e-6, whatever norm_eps says
  CHECK(d.latent_known, "sample_size");
  write_json("{\"num_attention_heads\":2,\"sample_size\":1000000}");
  refused(&none, "a position table of 250000000000 tokens");
  write_json("{\"num_attention_heads\":2,\"num_embeds_ada_norm\":1000}");
  refused(&none, "\"num_embeds_ada_norm\" is 1000, but the shapes");
  write_json("{\"num_attention_heads\":2,\"norm_type\":\"layer_norm\"}");
  refused(&none, "\"norm_type\" is layer_norm");
  weight_file_free(&f);
  unlink(json);
}

static void test_metadata(void) {
  struct weight_file f;
  struct derived d = {.config = small_cross,
                      .heads_known = true,
                      .text_known = true,
                      .latent_known = true,
                      .objective_known = true,
                      .objective = CONFIG_V},
                 got;
  struct derive_meta meta;
  struct vkd_error err;
  d.config.eps = 3e-6f;
  weight_file_make(&f, &small_cross, DIT_NAMING_DIFFUSERS, "", ST_F32, true, 3);
  derive_metadata(&d, &meta);
  CHECK(meta.count == DERIVE_META, "%zu rows", meta.count);
  for (size_t i = 0; i < meta.count; i++) CHECK(derive_is_metadata(meta.rows[i].key), "%s", meta.rows[i].key);
  CHECK(!derive_is_metadata("format"), "format");
  weight_file_write(&f, path, meta.rows, meta.count);
  CHECK(derive(&none, &got, &err) == VKD_OK, "%s", err.what);
  check_config(&got.config, &d.config, "metadata");
  CHECK(got.heads_known && got.text_known && got.latent_known, "what is known");
  CHECK(got.objective_known && got.objective == CONFIG_V, "the objective");
  CHECK(derive(&(struct derive_options){.latent = {1, 4, 2}}, &got, &err) == VKD_OK && got.config.latent[1] == 4, "%s",
        err.what);
  refused(&(struct derive_options){.heads = 3}, "its metadata say 2 heads, --heads says 3");
  d.heads_known = d.text_known = d.latent_known = d.objective_known = false;
  derive_metadata(&d, &meta);
  CHECK(meta.count == 1, "what is not known is written");
  static const struct st_meta bad[] = {
      {"vkdit.heads", "two"},       {"vkdit.heads", "99999999"}, {"vkdit.heads", ""},       {"vkdit.heads", "2,3"},
      {"vkdit.latent", "1,2"},      {"vkdit.latent", "1,2,-3"},  {"vkdit.text_len", "0x5"}, {"vkdit.eps", "nan"},
      {"vkdit.objective", "guess"}, {"vkdit.eps", "1e-6x"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    weight_file_write(&f, path, &bad[i], 1);
    refused(&(struct derive_options){.heads = strcmp(bad[i].key, "vkdit.heads") ? 2 : 0}, bad[i].key);
  }
  weight_file_free(&f);
}

static void test_foreign(void) {
  static const struct {
    const char *name, *word;
  } extra[] = {{"img_emb.proj.0.weight", "image to video"},
               {"blocks.0.cross_attn.k_img.weight", "image to video"},
               {"blocks.1.attn2.add_k_proj.weight", "image to video"},
               {"vace_blocks.0.before_proj.bias", "VACE"},
               {"scaled_fp8", "scales"},
               {"blocks.0.self_attn.q.lora_A.weight", "--lora"}};
  const struct derive_options two = {.heads = 2};
  struct weight_file f;
  struct derived d;
  struct vkd_error err;
  static const float zero[4096];
  weight_file_make(&f, &small_cross, DIT_NAMING_WAN, "", ST_F32, true, 4);
  struct st_entry *e = &f.entries[f.count++];
  for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
    *e = (struct st_entry){.name = extra[i].name, .dtype = ST_F32, .ndim = 1, .shape = {4}, .data = zero};
    weight_file_write(&f, path, NULL, 0);
    refused(&two, extra[i].word);
  }
  // Block numbers: any tensor of a block counts, and no number is believed too far.
  const struct st_entry last = *e;
  *e = (struct st_entry){.name = "blocks.6.x", .dtype = ST_F32, .ndim = 1, .shape = {4}, .data = zero};
  weight_file_write(&f, path, NULL, 0);
  CHECK(derive(&two, &d, &err) == VKD_OK && d.config.depth == 7, "%s", err.what);
  static const char *const far[] = {"blocks.1024.x", "blocks.99999999999999999999999.x"};
  for (int i = 0; i < 2; i++) {
    e->name = far[i];
    weight_file_write(&f, path, NULL, 0);
    refused(&two, "at most 1024 blocks");
  }
  *e = last;
  f.count--;
  // Tensors that tell sizes: missing, whatever else is wrong too; of another rank, too large.
  weight_file_find(&f, "time_embedding.0.weight")->name = "x";
  weight_file_find(&f, "head.head.weight")->name = "y";
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "4 tensors do not fit the model (cross_dit, names of wan): 2 missing (time_embedding.0.weight, "
                "head.head.weight), 2 unknown (x, y)");
  weight_file_find(&f, "blocks.0.ffn.0.weight")->name = "z";
  weight_file_find(&f, "blocks.0.ffn.2.weight")->name = "u";
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "3 tensors that tell its sizes are missing (cross_dit, names of wan): time_embedding.0.weight, "
                "blocks.0.ffn.0.weight, head.head.weight");
  weight_file_find(&f, "z")->name = "blocks.0.ffn.0.weight";
  weight_file_find(&f, "u")->name = "blocks.0.ffn.2.weight";
  weight_file_find(&f, "x")->name = "time_embedding.0.weight";
  weight_file_find(&f, "y")->name = "head.head.weight";
  e = weight_file_find(&f, "head.head.weight");
  e->ndim = 1;
  e->shape[0] = 8 * 24;
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "'head.head.weight' has 1 dimensions, not 2");
  e->ndim = 2;
  e->shape[0] = 12;
  e->shape[1] = 16;
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "takes 2 channels and gives 3, neither");
  e->shape[0] = 4;
  e->shape[1] = 48;
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "takes 2 channels and gives 1, as models of image to video do");
  e->shape[0] = 6;
  e->shape[1] = 32;
  weight_file_write(&f, path, NULL, 0);
  refused(&two, "6 rows are no multiple of the patch's 4");
  weight_file_free(&f);
  const struct st_entry other[] = {{.name = "encoder.weight", .dtype = ST_F32, .ndim = 1, .shape = {4}, .data = zero}};
  CHECK(st_write(path, other, 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
  refused(&two, "no model that is known here");
  CHECK(st_write(path, NULL, 0, NULL, 0, &err) == VKD_OK, "%s", err.what);
  refused(&two, "no model that is known here");
}

// The position table is for one size.
static void test_table(void) {
  struct weight_file f;
  struct derived d;
  struct vkd_error err;
  struct dit_config wide = small_class;
  wide.latent[2] = 12;
  weight_file_make(&f, &wide, DIT_NAMING_META, "", ST_F32, true, 5);
  weight_file_write(&f, path, NULL, 0);
  weight_file_free(&f);
  refused(&(struct derive_options){.heads = 2}, "24 tokens, no square");
  refused(&(struct derive_options){.heads = 2, .latent = {1, 8, 8}}, "for 24 tokens, not 16");
  CHECK(derive(&(struct derive_options){.heads = 2, .latent = {1, 8, 12}}, &d, &err) == VKD_OK, "%s", err.what);
  check_config(&d.config, &wide, "a wide table");
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/w.safetensors", folder);
  snprintf(json, sizeof json, "%s/config.json", folder);
  test_shapes();
  test_published();
  test_json();
  test_metadata();
  test_foreign();
  test_table();
  unlink(path);
  CHECK(rmdir(folder) == 0, "files are left in %s", folder);
  return check_done();
}
