// Files of low-rank adapters in every spelling that public tools write, and what is refused, all of it in one error.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../model/lora_internal.h"
#include "check.h"
#include "models.h"
#include "temp.h"
#include "vkdm/fileio.h"

static const struct dit_config image = {.family = DIT_CLASS,
                                        .dim = 12,
                                        .depth = 2,
                                        .heads = 2,
                                        .ffn = 20,
                                        .freq_dim = 8,
                                        .class_rows = 3,
                                        .in_channels = 2,
                                        .out_channels = 2,
                                        .patch = {1, 2, 2},
                                        .latent = {1, 4, 4},
                                        .eps = 1e-6f};

static char folder[TEMP_SIZE], path[TEMP_SIZE + 32], side[TEMP_SIZE + 32];
static float values[4096];

// One tensor of a file: f32 numbers from `values`.
static struct st_entry entry(const char *name, uint64_t rows, uint64_t columns) {
  return (struct st_entry){.name = name, .dtype = ST_F32, .ndim = 2, .shape = {rows, columns}, .data = values};
}

static enum vkd_status open_entries(const struct st_entry *entries, size_t n, const struct st_meta *meta, size_t metas,
                                    const struct dit_config *config, struct lora **lora, struct vkd_error *err) {
  *err = (struct vkd_error){0};
  *lora = NULL;
  enum vkd_status st = st_write(path, entries, n, meta, metas, err);
  return st == VKD_OK ? lora_open(lora, path, config, err) : st;
}

// ---- spellings -----------------------------------------------------------------------------------------------------
static void check_spelling(const struct dit_config *config, const char *down, const char *up, uint64_t in, uint64_t out,
                           const char *layer) {
  struct st_entry entries[] = {entry(down, 3, in), entry(up, out, 3)};
  struct lora *lora;
  struct vkd_error err;
  enum vkd_status st = open_entries(entries, 2, NULL, 0, config, &lora, &err);
  bool good = st == VKD_OK && lora->count == 1 && lora->layers[0].rank == 3 && lora->layers[0].alpha == 3 &&
              strcmp(lora->layers[0].at.module[DIT_NAMING_DIFFUSERS], layer) == 0 &&
              strcmp(lora->layers[0].a->name, down) == 0 && strcmp(lora->layers[0].b->name, up) == 0;
  CHECK(good, "%s: %s", down, err.what);
  lora_close(&lora);
}

static void test_spellings(void) {
  static const struct {
    const char *before, *down, *up;
  } ways[] = {{"transformer.", ".lora_A.weight", ".lora_B.weight"},
              {"base_model.model.", ".lora_A.weight", ".lora_B.weight"},
              {"base_model.model.transformer.", ".lora_A.weight", ".lora_B.weight"},
              {"diffusion_model.", ".lora_A.weight", ".lora_B.weight"},
              {"diffusion_model.", ".lora_down.weight", ".lora_up.weight"},
              {"model.diffusion_model.", ".lora_down.weight", ".lora_up.weight"},
              {"pipe.dit.", ".lora_A.default.weight", ".lora_B.default.weight"},
              {"", ".lora_A.default.weight", ".lora_B.default.weight"},
              {"", ".lora_down.default.weight", ".lora_up.default.weight"},
              {"transformer.", ".lora.down.weight", ".lora.up.weight"}};
  static const struct {
    const char *names[2]; // any naming
    uint64_t in, out;
    const char *layer;
  } layers[] = {{{"blocks.0.attn1.to_q", "blocks.0.self_attn.q"}, 12, 12, "blocks.0.attn1.to_q"},
                {{"blocks.1.attn2.to_out.0", "blocks.1.cross_attn.o"}, 12, 12, "blocks.1.attn2.to_out.0"},
                {{"blocks.1.ffn.net.2", "blocks.1.ffn.2"}, 20, 12, "blocks.1.ffn.net.2"},
                {{"blocks.0.ffn.net.0.proj", "blocks.0.ffn.0"}, 12, 20, "blocks.0.ffn.net.0.proj"},
                {{"condition_embedder.time_proj", "time_projection.1"}, 12, 72, "condition_embedder.time_proj"},
                {{"proj_out", "head.head"}, 12, 8, "proj_out"}};
  char down[128], up[128];
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
    for (size_t l = 0; l < sizeof layers / sizeof layers[0]; l++)
      for (int n = 0; n < 2; n++) {
        snprintf(down, sizeof down, "%s%s%s", ways[w].before, layers[l].names[n], ways[w].down);
        snprintf(up, sizeof up, "%s%s%s", ways[w].before, layers[l].names[n], ways[w].up);
        check_spelling(&tiny_cross, down, up, layers[l].in, layers[l].out, layers[l].layer);
      }
  check_spelling(&tiny_cross, "lora_unet_blocks_0_self_attn_q.lora_down.weight",
                 "lora_unet_blocks_0_self_attn_q.lora_up.weight", 12, 12, "blocks.0.attn1.to_q");
  check_spelling(&tiny_cross, "lora_unet_blocks_1_ffn_2.lora_down.weight", "lora_unet_blocks_1_ffn_2.lora_up.weight",
                 20, 12, "blocks.1.ffn.net.2");
  check_spelling(&tiny_cross, "lora_transformer_blocks_1_attn1_to_out_0.lora_down.weight",
                 "lora_transformer_blocks_1_attn1_to_out_0.lora_up.weight", 12, 12, "blocks.1.attn1.to_out.0");
  check_spelling(&image, "transformer.transformer_blocks.1.attn1.to_v.lora_A.weight",
                 "transformer.transformer_blocks.1.attn1.to_v.lora_B.weight", 12, 12,
                 "transformer_blocks.1.attn1.to_v");
  check_spelling(&image, "base_model.model.blocks.1.attn.proj.lora_A.weight",
                 "base_model.model.blocks.1.attn.proj.lora_B.weight", 12, 12, "transformer_blocks.1.attn1.to_out.0");
  check_spelling(&image, "blocks.0.adaLN_modulation.1.lora_A.weight", "blocks.0.adaLN_modulation.1.lora_B.weight", 12,
                 72, "transformer_blocks.0.norm1.linear");
}

// One pair for the matrix of queries, keys and values: three layers that share A and take a third of B each.
static void test_whole_matrix(void) {
  struct st_entry entries[] = {entry("base_model.model.blocks.1.attn.qkv.lora_A.weight", 2, 12),
                               entry("base_model.model.blocks.1.attn.qkv.lora_B.weight", 36, 2),
                               entry("transformer.transformer_blocks.1.attn1.to_k.lora_A.weight", 2, 12),
                               entry("transformer.transformer_blocks.1.attn1.to_k.lora_B.weight", 12, 2)};
  struct lora *lora;
  struct vkd_error err;
  enum vkd_status st = open_entries(entries, 2, NULL, 0, &image, &lora, &err);
  CHECK(st == VKD_OK && lora->count == 3, "%s", err.what);
  for (int i = 0; st == VKD_OK && i < lora->count; i++) {
    const struct lora_layer *l = &lora->layers[i];
    CHECK(l->at.part == i && l->b_first == 12 * i && l->at.target == (unsigned)DIT_LORA_Q << i, "part %d", i);
  }
  lora_close(&lora);
  st = open_entries(entries, 4, NULL, 0, &image, &lora, &err);
  CHECK(st == VKD_ERR_INPUT && strstr(err.what, "to_k.lora_A.weight says again"), "%s", err.what);
  lora_close(&lora);
}

// ---- scale ---------------------------------------------------------------------------------------------------------
static double alpha_with(const struct st_meta *meta, size_t metas, const char *json, double tensor) {
  struct st_entry entries[] = {
      entry("diffusion_model.blocks.0.self_attn.q.lora_A.weight", 4, 12),
      entry("diffusion_model.blocks.0.self_attn.q.lora_B.weight", 12, 4),
      {.name = "diffusion_model.blocks.0.self_attn.q.alpha", .dtype = ST_F64, .data = &tensor}};
  struct lora *lora;
  struct vkd_error err;
  unlink(side);
  if (json) CHECK(fileio_write_whole(side, json, strlen(json), &err) == VKD_OK, "%s", err.what);
  enum vkd_status st = open_entries(entries, isnan(tensor) ? 2 : 3, meta, metas, &tiny_cross, &lora, &err);
  double alpha = st == VKD_OK ? lora->layers[0].alpha : NAN;
  if (st != VKD_OK && st != VKD_ERR_INPUT) CHECK(false, "%s", err.what);
  lora_close(&lora);
  unlink(side);
  return alpha;
}

static void test_alpha(void) {
  const struct st_meta ours = {"lora_adapter_metadata", "{\"transformer.r\": 4, \"transformer.lora_alpha\": 6}"};
  const struct st_meta plain = {"lora_alpha", "10"}, kohya = {"ss_network_alpha", "2.5"},
                       none = {"ss_network_alpha", "None"};
  const char *peft = "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 32}";
  CHECK_NEAR(alpha_with(NULL, 0, NULL, NAN), 4, 0);
  CHECK_NEAR(alpha_with(NULL, 0, NULL, 7), 7, 0);
  CHECK_NEAR(alpha_with(&ours, 1, peft, 7), 7, 0);
  CHECK_NEAR(alpha_with(&ours, 1, peft, NAN), 6, 0);
  CHECK_NEAR(alpha_with(&plain, 1, NULL, NAN), 10, 0);
  CHECK_NEAR(alpha_with(&kohya, 1, NULL, NAN), 2.5, 0);
  CHECK_NEAR(alpha_with(&none, 1, NULL, NAN), 4, 0);
  CHECK_NEAR(alpha_with(NULL, 0, peft, NAN), 32, 0);
  CHECK_NEAR(alpha_with(NULL, 0, "{\"lora_alpha\": 8, \"alpha_pattern\": {\"attn2.to_q\": 1, \"attn1.to_q\": 5}}", NAN),
             5, 0);
  CHECK_NEAR(alpha_with(NULL, 0, "{\"lora_alpha\": 8, \"alpha_pattern\": {\"tn1.to_q\": 5}}", NAN), 8, 0);
  // alpha / sqrt(rank) is told as an alpha over rank: 8 sqrt(4)
  CHECK_NEAR(alpha_with(NULL, 0, "{\"lora_alpha\": 8, \"use_rslora\": true}", NAN), 16, 0);
  static const char *const refused[] = {"{\"lora_alpha\": \"8\"}",   "{\"use_dora\": true}",
                                        "{\"peft_type\": \"LOHA\"}", "[8]",
                                        "{\"lora_alpha\": ",         "{\"alpha_pattern\": {\"to_q\": null}}",
                                        "{\"fan_in_fan_out\": true}"};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    CHECK(isnan(alpha_with(NULL, 0, refused[i], NAN)), "%s is accepted", refused[i]);
  const struct st_meta broken = {"lora_adapter_metadata", "{"}, endless = {"lora_alpha", "inf"};
  CHECK(isnan(alpha_with(&broken, 1, NULL, NAN)), "metadata that is not JSON is accepted");
  CHECK(isnan(alpha_with(&endless, 1, NULL, NAN)), "an infinite alpha is accepted");
  CHECK(isnan(alpha_with(NULL, 0, NULL, INFINITY)), "an infinite alpha tensor is accepted");
}

// ---- what does not fit ---------------------------------------------------------------------------------------------
static void check_refused(const struct st_entry *entries, size_t n, const char *first, const char *second) {
  struct lora *lora;
  struct vkd_error err;
  enum vkd_status st = open_entries(entries, n, NULL, 0, &tiny_cross, &lora, &err);
  CHECK(st == VKD_ERR_INPUT && strstr(err.what, path) && strstr(err.what, first) && strstr(err.what, second),
        "\"%s\" has not \"%s\" and \"%s\"", err.what, first, second);
  CHECK(!lora && !strchr(err.what, '\n'), "not one line: %s", err.what);
  lora_close(&lora);
}

static void test_refused(void) {
  const char *a = "blocks.0.self_attn.q.lora_A.weight", *b = "blocks.0.self_attn.q.lora_B.weight";
  struct st_entry good[] = {entry(a, 3, 12), entry(b, 12, 3), entry("blocks.0.norm3.diff", 1, 12),
                            entry("blocks.2.self_attn.q.lora_A.weight", 3, 12)};
  check_refused(good, 4, "2 tensors do not fit", "blocks.2.self_attn.q.lora_A.weight is unknown");
  check_refused(good, 3, "1 tensors do not fit", "blocks.0.norm3.diff is unknown");
  check_refused(good, 1, "blocks.0.self_attn.q.lora_A.weight", "has no lora_B");
  check_refused(good + 1, 1, "blocks.0.self_attn.q.lora_B.weight", "has no lora_A");
  check_refused(good, 0, "holds no low-rank adapters", "");
  struct st_entry shapes[] = {entry(a, 3, 11), entry(b, 12, 3), entry("blocks.0.ffn.2.lora_A.weight", 2, 20),
                              entry("blocks.0.ffn.2.lora_B.weight", 12, 3)};
  check_refused(shapes, 4, "q.lora_A.weight is not [rank, 12]", "ffn.2.lora_B.weight is not [12, 2]");
  struct st_entry ranks[] = {entry(a, 0, 12), entry(b, 12, 0)};
  check_refused(ranks, 2, "is not [rank, 12]", "");
  struct st_entry whole[] = {good[0], good[1]};
  whole[0].dtype = ST_I32;
  check_refused(whole, 2, "q.lora_A.weight is not [rank, 12]", "");
  struct st_entry conv[] = {good[0], good[1]};
  conv[0] = (struct st_entry){.name = a, .dtype = ST_F32, .ndim = 4, .shape = {3, 12, 1, 1}, .data = values};
  check_refused(conv, 2, "q.lora_A.weight is not [rank, 12]", "");
  struct st_entry alphas[] = {good[0], good[1], entry("blocks.0.self_attn.q.alpha", 1, 2),
                              entry("blocks.0.self_attn.k.alpha", 1, 1)};
  check_refused(alphas, 4, "q.alpha is not one number", "k.alpha has no pair");
  struct st_entry twice[] = {good[0], good[1], entry("transformer.blocks.0.attn1.to_q.lora_A.weight", 3, 12)};
  check_refused(twice, 3, "says again", "");
  // A long list is cut, not spilled.
  static char names[200][64];
  struct st_entry many[200];
  for (int i = 0; i < 200; i++) {
    snprintf(names[i], sizeof names[i], "text_encoder.layer.%d.lora_A.weight", i);
    many[i] = entry(names[i], 1, 4);
  }
  check_refused(many, 200, "200 tensors do not fit", "text_encoder.layer.");
}

static void test_folders(void) {
  struct st_entry entries[] = {entry("blocks.0.self_attn.q.lora_A.weight", 3, 12),
                               entry("blocks.0.self_attn.q.lora_B.weight", 12, 3)};
  static const char *const names[] = {"adapter_model.safetensors", "pytorch_lora_weights.safetensors",
                                      "lora.safetensors"};
  struct lora *lora;
  struct vkd_error err = {0};
  unlink(path);
  CHECK(lora_open(&lora, folder, &tiny_cross, &err) == VKD_ERR_INPUT && strstr(err.what, names[0]), "%s", err.what);
  for (int i = 0; i < 3; i++) {
    char file[TEMP_SIZE + 64];
    snprintf(file, sizeof file, "%s/%s", folder, names[i]);
    CHECK(st_write(file, entries, 2, NULL, 0, &err) == VKD_OK, "%s", err.what);
    CHECK(lora_open(&lora, folder, &tiny_cross, &err) == VKD_OK && strcmp(lora_path(lora), file) == 0, "%s", err.what);
    lora_close(&lora);
    unlink(file);
  }
}

// ---- the parameter table -------------------------------------------------------------------------------------------
static void check_table(const struct dit_config *base, const char *targets) {
  struct dit_config c = *base;
  struct dit_param *rows = NULL;
  struct dit_adapter *adapters = NULL;
  struct vkd_error err = {0};
  int count = 0, n = 0, next = dit_base_rows(base), first, each;
  c.lora.rank = 5;
  c.lora.alpha = 5;
  CHECK(dit_lora_targets(targets, &c.lora.targets, &err) == VKD_OK, "%s", err.what);
  CHECK(dit_params(&c, &rows, &count, &err) == VKD_OK && dit_adapters(&c, &adapters, &n, &err) == VKD_OK, "%s",
        err.what);
  for (int i = 0; i < n; i++) {
    const struct dit_adapter *a = &adapters[i];
    int at = dit_adapter_row(&c, a->row, a->part);
    if (!(a->target & c.lora.targets)) {
      CHECK(at == -1, "%s has row %d, targets %s", a->module[DIT_NAMING_DIFFUSERS], at, targets);
      continue;
    }
    CHECK(at == next && at + 1 < count, "%s: row %d, not %d", a->module[DIT_NAMING_DIFFUSERS], at, next);
    next += 2;
    const struct vkd_shape down = VKD_SHAPE(5, a->in), up = VKD_SHAPE(a->out, 5);
    CHECK(vkd_shape_equal(&rows[at].shape, &down) && vkd_shape_equal(&rows[at + 1].shape, &up) && !rows[at].frozen &&
              !rows[at + 1].frozen && rows[a->row].frozen,
          "%s: shapes", a->module[DIT_NAMING_DIFFUSERS]);
    CHECK(rows[a->row].shape.dim[0] == a->out * a->parts && rows[a->row].shape.dim[1] == a->in, "%s: its weight",
          a->module[DIT_NAMING_DIFFUSERS]);
  }
  CHECK(next == count, "%s: %d rows, %d of them known", targets, count, next);
  for (int b = c.depth - 1; b >= 0; b--) {
    dit_block_adapter_rows(&c, b, &first, &each);
    char block[32];
    snprintf(block, sizeof block, "blocks.%d.", b);
    for (int i = 0; i < each; i++)
      CHECK(strstr(rows[first + i].name[DIT_NAMING_DIFFUSERS], block), "row %d is not of block %d", first + i, b);
    CHECK(first + each == next, "block %d ends at row %d, not %d", b, first + each, next);
    next = first;
  }
  free(rows);
  free(adapters);
}

static void test_tables(void) {
  static const char *const lists[] = {"q",   "k, v",         "q,k,v,o", "o", "ffn", "all", "to_q,to_out.0",
                                      "qkv", "attention,ffn"};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    check_table(&tiny_cross, lists[i]);
    check_table(&image, lists[i]);
  }
  unsigned targets;
  struct vkd_error err = {0};
  CHECK(dit_lora_targets("q,v", &targets, &err) == VKD_OK && targets == (DIT_LORA_Q | DIT_LORA_V), "%u", targets);
  CHECK(dit_lora_targets("all", &targets, &err) == VKD_OK && targets == DIT_LORA_ALL, "%u", targets);
  CHECK(dit_lora_targets("q,fnn", &targets, &err) == VKD_ERR_INPUT && strstr(err.what, "did you mean ffn?"), "%s",
        err.what);
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/file.safetensors", folder);
  snprintf(side, sizeof side, "%s/adapter_config.json", folder);
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) values[i] = (float)i;
  test_spellings();
  test_whole_matrix();
  test_alpha();
  test_refused();
  test_folders();
  test_tables();
  unlink(path);
  rmdir(folder);
  return check_done();
}
