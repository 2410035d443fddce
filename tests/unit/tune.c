// Measured forms: keys, which form a table makes a node take, and what a table on disk has to be.
#include "cache.h"
#include "check.h"
#include "form.h"
#include "graph_internal.h"
#include "plan.h"
#include "temp.h"
#include "tune.h"
#include "vkd/ops.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct vkd_device_caps cpu = {.name = "a CPU", .driver = "d", .driver_info = "1.2", .cpu_lanes = true};
static const struct vkd_device_caps gpu = {.name = "a\nGPU", .driver = "d", .driver_info = "1.2", .device_id = 7};

// The one product of a graph that is made here.
static struct vkd_graph *product(bool ta, bool tb, int64_t m, int64_t n, int64_t k) {
  struct vkd_graph *g;
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  vkd_tensor a = vkd_input(g, "a", VKD_F32, ta ? VKD_SHAPE(k, m) : VKD_SHAPE(m, k));
  vkd_tensor b = vkd_input(g, "b", VKD_F32, tb ? VKD_SHAPE(n, k) : VKD_SHAPE(k, n));
  vkd_output(g, vkd_matmul(g, a, b, ta, tb, (vkd_tensor){0}, (vkd_tensor){0}));
  return g;
}
static const struct vkd_node *last(const struct vkd_graph *g) { return &g->nodes[g->node_count - 1]; }

static void test_formed(void) {
  for (int f = 0; f < VKD_FORM_COUNT; f++)
    CHECK(vkd__formed(vkd__forms[f].op), "%s has forms and no row FORMED", vkd__ops[vkd__forms[f].op].name);
}

static void expect_key(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const char *want) {
  struct vkd_graph *g = product(ta, tb, m, n, k);
  char key[VKD_TUNE_KEY] = "";
  CHECK(vkd__tune_key(g, last(g), key) && strcmp(key, want) == 0, "'%s', not '%s'", key, want);
  struct vkd_shape in[VKD_MAX_IN];
  vkd__formed(last(g)->op)->halve(g, last(g), in);
  struct vkd_node half = {.op = VKD_OP_matmul, .nin = 2, .p = last(g)->p};
  double before = vkd__ops[half.op].flops(g, last(g));
  for (int i = 0; i < 2; i++) half.in[i] = vkd_input(g, "x", VKD_F32, in[i]);
  vkd__graph_add(g, &half, NULL);
  struct vkd_error err = {0};
  CHECK(vkd_graph_status(g, &err) == VKD_OK, "%s", err.what);
  double share = vkd__ops[half.op].flops(g, last(g)) / before;
  CHECK(share >= 0.5 && share <= 0.7, "%s: %g of the work", key, share);
  vkd_graph_destroy(&g);
}

static void test_keys(void) {
  expect_key(false, true, 1024, 512, 512, "matmul/nt/fp32/m10/n9/k9");
  expect_key(false, false, 2047, 511, 513, "matmul/nn/fp32/m10/n8/k9");
  expect_key(true, false, 3, 1, 70001, "matmul/tn/fp32/m1/n0/k16");
  struct vkd_graph *g;
  CHECK(vkd_graph_create(&g, NULL) == VKD_OK, "no graph");
  vkd_output(g, vkd_gelu(g, vkd_input(g, "x", VKD_F32, VKD_SHAPE(4))));
  char key[VKD_TUNE_KEY];
  CHECK(!vkd__tune_key(g, last(g), key), "gelu has one way alone");
  vkd_graph_destroy(&g);
}

static void expect_form(const struct vkd_form_choice *choice, const char *want) {
  struct vkd_graph *g = product(false, true, 1024, 512, 512);
  const struct vkd_form *f = vkd__form_choose(choice, g, last(g));
  CHECK(f && strcmp(f->name, want) == 0, "%s, not %s", f ? f->name : "none", want);
  vkd_graph_destroy(&g);
}

static void test_choice(void) {
  struct vkd_tune table = {.count = 0};
  struct vkd_error err = {0};
  static const char key[] = "matmul/nt/fp32/m10/n9/k9";
  const struct vkd_form_choice on_cpu = {.caps = &cpu, .tune = &table}, on_gpu = {.caps = &gpu, .tune = &table};
  unsetenv("VKD_FORM");
  expect_form(&on_cpu, "simd");
  CHECK(vkd__tune_set(&table, key, "tile", 5, &err) == VKD_OK, "%s", err.what);
  expect_form(&on_cpu, "tile");
  expect_form(&(struct vkd_form_choice){.caps = &cpu}, "simd");
  expect_form(&(struct vkd_form_choice){.caps = &cpu, .tune = &table, .forced = "simd"}, "simd");
  setenv("VKD_FORM", "matmul=simd", 1);
  expect_form(&on_cpu, "simd");
  unsetenv("VKD_FORM");
  CHECK(vkd__tune_set(&table, key, "simd", 5, &err) == VKD_OK && table.count == 1, "%u entries", table.count);
  expect_form(&on_gpu, "tile"); // it cannot run the lanes of a CPU
  CHECK(vkd__tune_set(&table, key, "coopmat", 5, &err) == VKD_OK, "%s", err.what);
  expect_form(&on_gpu, "tile"); // nor fp32 by cooperative matrices
  CHECK(vkd__tune_set(&table, key, "warp", 5, &err) == VKD_OK, "%s", err.what);
  expect_form(&on_cpu, "simd"); // there is no such form
  CHECK(vkd__tune_set(&table, key, NULL, 0, &err) == VKD_OK && table.count == 0, "%u entries", table.count);
  CHECK(vkd__tune_set(&table, "matmul/nt/fp32/m9/n9/k9", "tile", 5, &err) == VKD_OK, "%s", err.what);
  expect_form(&on_cpu, "simd"); // another bucket
  // the plan asks for the scratch of what it takes
  struct vkd_graph *g = product(false, true, 512, 512, 512);
  struct vkd_plan *tiles, *lanes;
  CHECK(vkd__plan_create(&tiles, g, &on_cpu, 1 << 30, true, &err) == VKD_OK &&
            vkd__plan_create(&lanes, g, &(struct vkd_form_choice){.caps = &cpu}, 1 << 30, true, &err) == VKD_OK,
        "%s", err.what);
  CHECK(strcmp(tiles->forms[g->node_count - 1]->name, "tile") == 0 && tiles->temporaries_raw < lanes->temporaries_raw,
        "%s, %llu and %llu bytes", tiles->forms[g->node_count - 1]->name, (unsigned long long)tiles->temporaries_raw,
        (unsigned long long)lanes->temporaries_raw);
  vkd__plan_destroy(&tiles);
  vkd__plan_destroy(&lanes);
  vkd_graph_destroy(&g);
  free(table.entries);
}

// ---- files ---------------------------------------------------------------------------------------------------------
static void write_file(const char *path, const char *text, size_t size) {
  CHECK(vkd__cache_write(path, text, size), "%s: not written", path);
}

static uint32_t entries_of(const struct vkd_device_caps *caps, const char *dir) {
  struct vkd_tune *table;
  struct vkd_error err = {0};
  CHECK(vkd_tune_load(&table, caps, dir, &err) == VKD_OK, "%s", err.what);
  uint32_t count = table->count;
  vkd_tune_destroy(&table);
  return count;
}

static void test_files(void) {
  char dir[TEMP_SIZE], sub[TEMP_SIZE + 16];
  struct vkd_error err = {0};
  struct vkd_tune *table;
  temp_folder(dir);
  snprintf(sub, sizeof sub, "%s/made/when", dir);
  CHECK(vkd_tune_load(&table, &gpu, sub, &err) == VKD_OK && !table->count && *table->path, "%s", err.what);
  CHECK(vkd__tune_set(table, "matmul/nt/fp32/m1/n2/k3", "tile", 12345, &err) == VKD_OK &&
            vkd__tune_set(table, "matmul/nn/fp32/m1/n2/k3", "simd", 1, &err) == VKD_OK &&
            vkd__tune_save(table, &gpu, &err) == VKD_OK,
        "%s", err.what);
  char path[sizeof table->path], text[4096];
  memcpy(path, table->path, sizeof path);
  vkd_tune_destroy(&table);
  CHECK(vkd_tune_load(&table, &gpu, sub, &err) == VKD_OK && table->count == 2 && table->entries[0].ns == 12345 &&
            strcmp(table->entries[0].form, "tile") == 0 && !table->entries[0].fresh,
        "%s: read otherwise than written", path);
  vkd_tune_destroy(&table);
  size_t size;
  const void *written;
  void *file = vkd__cache_read(path, sizeof text - 64, &written, &size);
  memcpy(text, written ? written : "", size);
  text[size] = 0;
  free(file);
  CHECK(strncmp(text, "vkdit tune 1\ta GPU\td\t1.2\t0\nmatmul", 33) == 0, "%s", text);
  static const char *const damage[] = {"matmul/x tile 1",
                                       "matmul/x tile\n",
                                       "matmul/x tile 0\n",
                                       "matmul/x tile -1\n",
                                       "matmul/x tile 1 \n",
                                       "matmul/x  tile 1\n",
                                       "matmul/x tile 1x\n",
                                       "MATMUL/x tile 1\n",
                                       "\n",
                                       "matmul/x tile 11111111111111111111\n",
                                       "matmul/nn/fp32/m1/n2/k3 tile 1\n"};
  for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
    memcpy(text + size, damage[i], strlen(damage[i]) + 1);
    write_file(path, text, size + strlen(damage[i]));
    CHECK(entries_of(&gpu, sub) == 0, "taken: %s", text + size);
  }
  memcpy(text + size, "matmul/x tile 1\n", 17);
  write_file(path, text, size + 16);
  CHECK(entries_of(&gpu, sub) == 3, "refused: %s", text);
  struct vkd_device_caps other = gpu; // the same file name, another device or driver
  snprintf(other.driver_info, sizeof other.driver_info, "1.3");
  CHECK(entries_of(&other, sub) == 0, "another driver's table is taken");
  other = gpu;
  snprintf(other.name, sizeof other.name, "a GPU of mine");
  CHECK(entries_of(&other, sub) == 0, "another device's table is taken");
  text[11] = '2';
  write_file(path, text, size);
  CHECK(entries_of(&gpu, sub) == 0, "another version's table is taken");
  CHECK(unlink(path) == 0 && entries_of(&gpu, sub) == 0, "no file");
  CHECK(vkd_tune_load(&table, &gpu, "", &err) == VKD_OK && !*table->path, "a path where there is no folder");
  CHECK(vkd__tune_save(table, &gpu, &err) == VKD_ERR_IO, "saved nowhere");
  vkd_tune_destroy(&table);
  CHECK(rmdir(sub) == 0, "something else was left in %s", sub);
  snprintf(sub, sizeof sub, "%s/made", dir);
  CHECK(rmdir(sub) == 0 && rmdir(dir) == 0, "something was left in %s", dir);
}

// A device that runs nothing has no table, and cannot be tuned.
static void test_fake(void) {
  struct vkd_device *dev;
  struct vkd_error err = {0};
  struct vkd_graph *g = product(false, false, 8, 8, 8);
  CHECK(vkd_device_create(&dev, &(struct vkd_device_params){.fake = &cpu}, &err) == VKD_OK, "%s", err.what);
  CHECK(!vkd_device_tune(dev) && vkd_tune_clear(dev, &err) == VKD_OK, "%s", err.what);
  CHECK(vkd_tune_graph(&(struct vkd_tune_params){.device = dev, .graph = g, .runs = 1}, &err) == VKD_ERR_UNSUPPORTED,
        "%s", err.what);
  vkd_device_destroy(&dev);
  vkd_graph_destroy(&g);
}

int main(void) {
  test_formed();
  test_keys();
  test_choice();
  test_files();
  test_fake();
  return check_done();
}
