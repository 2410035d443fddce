// Trials of forms on the device: of products that the reference runs whole and in part, with every operand, in every
// dtype; and that programs take what was chosen.
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "exec_internal.h"
#include "form.h"
#include "temp.h"
#include "tune.h"
#include "vkd/ops.h"

struct seen {
  int buckets, trials;
  char chosen[VKD_TUNE_FORM];
};

static void on_result(void *user, const struct vkd_tune_result *r) {
  struct seen *seen = user;
  int chosen = 0, usual = 0;
  seen->buckets++;
  seen->trials += r->count;
  for (int i = 0; i < r->count; i++) {
    const struct vkd_tune_trial *t = &r->trials[i];
    CHECK(!*t->failed && t->error > 0 && t->error <= r->tolerance && t->ns > 0, "%s %s: off by %g, %g ns, %s", r->key,
          t->form, t->error, t->ns, t->failed);
    if (t->chosen) snprintf(seen->chosen, sizeof seen->chosen, "%s", t->form);
    chosen += t->chosen;
    usual += t->usual;
  }
  CHECK(r->count > 1 && chosen == 1 && usual == 1, "%s: %d forms, %d chosen, %d usual", r->key, r->count, chosen,
        usual);
}

// A product with all operands, and one like it but smaller that shares its bucket.
static void tune(struct vkd_device *dev, enum vkd_dtype dtype, bool ta, bool tb, int64_t m, int64_t n, int64_t k) {
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  struct seen seen = {.buckets = 0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  for (int i = 0; i < 2; i++, m--) {
    vkd_tensor a = vkd_input(g, "a", VKD_F32, ta ? VKD_SHAPE(k, m) : VKD_SHAPE(1, m, k));
    vkd_tensor b = vkd_input(g, "b", VKD_F32, tb ? VKD_SHAPE(n, k) : VKD_SHAPE(k, n));
    vkd_tensor add = vkd_input(g, "add", VKD_F32, ta ? VKD_SHAPE(m, n) : VKD_SHAPE(1, m, n));
    a = vkd_cast(g, a, dtype);
    vkd_output(g, vkd_matmul(g, a, vkd_cast(g, b, dtype), ta, tb, vkd_input(g, "bias", VKD_F32, VKD_SHAPE(n)), add));
  }
  const struct vkd_tune_params params = {.device = dev, .graph = g, .runs = 1, .result = on_result, .user = &seen};
  CHECK(vkd_tune_graph(&params, &err) == VKD_OK, "%s", err.what);
  CHECK(seen.buckets <= 1, "%d buckets", seen.buckets); // none where the device has one form alone
  CHECK(vkd_tune_graph(&params, &err) == VKD_OK && seen.buckets <= 1, "measured twice; %s", err.what);
  CHECK(vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err) == VKD_OK, "%s",
        err.what);
  for (uint32_t i = 0; program && seen.buckets && i < g->node_count; i++)
    if (g->nodes[i].op == VKD_OP_matmul)
      CHECK(strcmp(program->plan->forms[i]->name, seen.chosen) == 0, "%s, not %s", program->plan->forms[i]->name,
            seen.chosen);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
}

static void remove_folder(const char *path) {
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));)
    if (e->d_name[0] != '.') CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0, "%s stays", e->d_name);
  if (d) closedir(d);
  CHECK(rmdir(path) == 0, "%s stays", path);
}

int main(void) {
  char folder[TEMP_SIZE];
  temp_folder(folder);
  CHECK(setenv("VKD_CACHE_DIR", folder, 1) == 0, "no environment");
  struct vkd_device *dev = device_or_skip(true);
  if (vkd_device_get_caps(dev)->timestamp_ns > 0) {
    tune(dev, VKD_F32, false, true, 70, 40, 33);
    tune(dev, VKD_F32, true, false, 9, 130, 64);
    tune(dev, VKD_F16, false, false, 70, 40, 64);
    tune(dev, VKD_BF16, false, true, 70, 40, 64);
    tune(dev, VKD_F32, false, false, 1030, 1000, 1024); // more than the reference is asked for
  }
  int status = device_done(&dev);
  remove_folder(folder);
  return status || check_failed;
}
