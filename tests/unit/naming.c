// Parameter counts of the published models, and the tensors of every naming: unique names, every row in one place.
#include <inttypes.h>

#include "weight_files.h"

// Published counts, the frozen position table left out.
static void test_published(void) {
  static const struct {
    const char *name;
    struct dit_config config;
    int tensors; // of the family's own naming
    int64_t params;
  } models[] = {
#define WAN(d, L, h, F)                                                                                                \
  {.family = DIT_CROSS,                                                                                                \
   .dim = d,                                                                                                           \
   .depth = L,                                                                                                         \
   .heads = h,                                                                                                         \
   .ffn = F,                                                                                                           \
   .freq_dim = 256,                                                                                                    \
   .text_dim = 4096,                                                                                                   \
   .text_len = 512,                                                                                                    \
   .in_channels = 16,                                                                                                  \
   .out_channels = 16,                                                                                                 \
   .patch = {1, 2, 2},                                                                                                 \
   .latent = {21, 60, 104},                                                                                            \
   .eps = 1e-6f}
#define DIT(d, L, h)                                                                                                   \
  {                                                                                                                    \
    .family = DIT_CLASS, .dim = d, .depth = L, .heads = h, .ffn = 4 * d, .freq_dim = 256, .class_rows = 1001,          \
    .in_channels = 4, .out_channels = 8, .patch = {1, 2, 2}, .latent = {1, 32, 32}, .eps = 1e-6f                       \
  }
      {"wan-1.3b", WAN(1536, 30, 12, 8960), 825, 1418996800},
      {"wan-14b", WAN(5120, 40, 40, 13824), 1095, 14288491584},
      {"dit-s-2", DIT(384, 12, 6), 132, 32865056},
      {"dit-b-2", DIT(768, 12, 12), 132, 130315808},
      {"dit-l-2", DIT(1024, 24, 16), 252, 457840672},
      {"dit-xl-2", DIT(1152, 28, 16), 292, 674834720}};
  for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
    struct dit_param *rows = NULL;
    struct naming_tensor *tensors = NULL;
    struct vkd_error err = {0};
    int count = 0, named = 0;
    int64_t total = 0;
    CHECK(dit_config_check(&models[m].config, &err) == VKD_OK, "%s: %s", models[m].name, err.what);
    CHECK(dit_params(&models[m].config, &rows, &count, &err) == VKD_OK, "%s", err.what);
    for (int i = 0; i < count; i++) total += rows[i].frozen ? 0 : rows[i].numel;
    CHECK(total == models[m].params && count == models[m].tensors, "%s: %" PRId64 " parameters in %d tensors",
          models[m].name, total, count);
    CHECK(naming_tensors(&models[m].config, dit_native_naming(&models[m].config), &tensors, &named, &err) == VKD_OK &&
              named == count,
          "%s: %d names for %d tensors: %s", models[m].name, named, count, err.what);
    free(tensors);
    free(rows);
  }
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// No name twice, and the tensors that are no copies hold every row of every parameter once, in order.
static void check_cover(const struct dit_config *c, enum dit_naming naming, int want) {
  struct dit_param *rows = NULL;
  struct naming_tensor *list = NULL;
  struct vkd_error err = {0};
  int params = 0, count = 0;
  CHECK(dit_params(c, &rows, &params, &err) == VKD_OK, "%s", err.what);
  CHECK(naming_tensors(c, naming, &list, &count, &err) == VKD_OK, "%s", err.what);
  CHECK(count == want, "%s in %s: %d tensors, not %d", dit_family_name(c->family), dit_naming_name(naming), count,
        want);
  int64_t next = 0;
  int at = 0;
  const char **names = calloc((size_t)count, sizeof *names);
  for (int i = 0; i < count; i++) {
    const struct naming_tensor *t = &list[i];
    names[i] = t->name;
    CHECK(t->param == at || (t->param == at + 1 && next == rows[at].shape.dim[0]), "%s is out of order", t->name);
    if (t->param != at) next = 0;
    at = t->param;
    CHECK(t->shape.dim[0] == t->rows && t->shape.rank == rows[at].shape.rank, "shape of %s", t->name);
    CHECK(t->copy ? t->first == 0 && next == t->rows : t->first == next, "rows of %s", t->name);
    CHECK(t->optional == rows[at].frozen, "%s", t->name);
    if (!t->copy) next += t->rows;
  }
  CHECK(at == params - 1 && next == rows[at].shape.dim[0], "parameters are left out");
  qsort(names, (size_t)count, sizeof *names, by_text);
  for (int i = 0; i < count; i++) CHECK(*names[i] && (!i || strcmp(names[i - 1], names[i])), "name '%s'", names[i]);
  free(names);
  free(list);
  free(rows);
}

static const struct naming_tensor *named(const struct naming_tensor *list, int count, const char *name) {
  for (int i = 0; i < count; i++)
    if (strcmp(list[i].name, name) == 0) return &list[i];
  CHECK(false, "no tensor %s", name);
  exit(1);
}

// Wan's norm3 is diffusers' norm2; Meta's qkv is three tensors there, and its timestep MLP one per block.
static void test_rows(void) {
  struct naming_tensor *wan = NULL, *other = NULL, *meta = NULL, *parts = NULL;
  int n[4];
  const struct dit_config *x = &small_cross, *c = &small_class;
  CHECK(!naming_tensors(x, DIT_NAMING_WAN, &wan, &n[0], NULL) &&
            !naming_tensors(x, DIT_NAMING_DIFFUSERS, &other, &n[1], NULL) &&
            !naming_tensors(c, DIT_NAMING_META, &meta, &n[2], NULL) &&
            !naming_tensors(c, DIT_NAMING_DIFFUSERS, &parts, &n[3], NULL),
        "lists");
  static const char *const pairs[][2] = {{"blocks.1.norm3.weight", "blocks.1.norm2.weight"},
                                         {"blocks.0.modulation", "blocks.0.scale_shift_table"},
                                         {"head.modulation", "scale_shift_table"},
                                         {"blocks.1.cross_attn.o.bias", "blocks.1.attn2.to_out.0.bias"}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    CHECK(named(wan, n[0], pairs[i][0])->param == named(other, n[1], pairs[i][1])->param, "%s", pairs[i][0]);
  const struct naming_tensor *qkv = named(meta, n[2], "blocks.2.attn.qkv.weight");
  for (int i = 0; i < 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "transformer_blocks.2.attn1.to_%c.weight", "qkv"[i]);
    const struct naming_tensor *t = named(parts, n[3], name);
    CHECK(t->param == qkv->param && t->rows == c->dim && t->first == i * c->dim && !t->copy, "%s", name);
  }
  const struct naming_tensor *time = named(meta, n[2], "t_embedder.mlp.2.bias");
  for (int i = 0; i < c->depth; i++) {
    char name[96];
    snprintf(name, sizeof name, "transformer_blocks.%d.norm1.emb.timestep_embedder.linear_2.bias", i);
    const struct naming_tensor *t = named(parts, n[3], name);
    CHECK(t->param == time->param && t->rows == c->dim && t->copy == (i > 0), "%s", name);
  }
  free(wan);
  free(other);
  free(meta);
  free(parts);
}

int main(void) {
  const struct dit_config *x = &small_cross, *c = &small_class;
  struct dit_config labelled = *x;
  labelled.class_rows = 4;
  labelled.text_len = 1;
  test_published();
  check_cover(x, DIT_NAMING_WAN, 15 + 27 * x->depth);
  check_cover(x, DIT_NAMING_DIFFUSERS, 15 + 27 * x->depth);
  check_cover(&labelled, DIT_NAMING_WAN, 16 + 27 * x->depth);
  check_cover(&labelled, DIT_NAMING_DIFFUSERS, 16 + 27 * x->depth);
  check_cover(c, DIT_NAMING_META, 12 + 10 * c->depth);
  // beside the table: patch 2, output 4, five of the timestep and the classes per block, and qkv three times two
  check_cover(c, DIT_NAMING_DIFFUSERS, 7 + (5 + 14) * c->depth);
  test_rows();
  struct naming_tensor *none = NULL;
  struct vkd_error err = {0};
  int count = 0;
  CHECK(naming_tensors(c, DIT_NAMING_WAN, &none, &count, &err) == VKD_ERR_USAGE && strstr(err.what, "meta"), "%s",
        err.what);
  CHECK(!naming_has(DIT_CROSS, DIT_NAMING_META) && naming_has(DIT_CLASS, DIT_NAMING_DIFFUSERS), "namings");
  return check_done();
}
