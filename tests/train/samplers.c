// Every sampler against the latents that public code gives step by step in float64, from the reference cases.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "vkdm/sample.h"

// ‖x - ref‖ / ‖ref‖ after every stored step.  Plain fp32 PyTorch is within 8e-7 of these after the last step.
static const double tolerance = 2e-5;

// Which steps of a sampler are stored, in order: every one, or those of the case.
static const int every[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, some[] = {0, 1, 2, 7};

struct trial {
  const char *sampler, *tensor, *noise; // noise of the steps; NULL: none
  int steps, stored_count;
  const int *stored;
};

static const struct trial flow_trials[] = {{"euler", "euler_x", NULL, 8, 8, every},
                                           {"dpm++", "dpm_x", NULL, 8, 4, some},
                                           {"unipc", "unipc_x", NULL, 8, 4, some},
                                           {0}};
static const struct trial ddpm_trials[] = {
    {"ddim", "ddim_x", NULL, 10, 10, every}, {"ddpm", "ddpm_x", "ddpm_noise", 5, 5, every}, {0}};

static const struct reference {
  const char *name;
  struct dit_config model;
  enum prediction prediction;
  int count;
  double shift, cfg;
  const struct trial *trials;
} references[] = {
    {.name = "wan_hd24",
     .model = {.dim = 72,
               .depth = 2,
               .heads = 3,
               .ffn = 288,
               .freq_dim = 256,
               .text_dim = 32,
               .text_len = 8,
               .in_channels = 16,
               .out_channels = 16,
               .patch = {1, 2, 2},
               .latent = {3, 8, 12},
               .eps = 1e-6f},
     .count = 1,
     .shift = 5,
     .cfg = 5,
     .trials = flow_trials},
    {.name = "wan_hd128",
     .model = {.dim = 128,
               .depth = 1,
               .heads = 1,
               .ffn = 256,
               .freq_dim = 128,
               .text_dim = 40,
               .text_len = 5,
               .in_channels = 8,
               .out_channels = 8,
               .patch = {1, 2, 2},
               .latent = {1, 14, 22},
               .eps = 1e-6f},
     .count = 1,
     .shift = 1,
     .cfg = 1.5,
     .trials = flow_trials},
    {.name = "wan_hd64_diffusers",
     .model = {.dim = 128,
               .depth = 1,
               .heads = 2,
               .ffn = 272,
               .freq_dim = 64,
               .text_dim = 24,
               .text_len = 12,
               .in_channels = 16,
               .out_channels = 16,
               .patch = {1, 2, 2},
               .latent = {5, 6, 10},
               .eps = 1e-6f},
     .count = 1,
     .shift = 3,
     .cfg = 4,
     .trials = flow_trials},
    {.name = "dit_hybrid",
     .model = {.family = DIT_CLASS,
               .dim = 96,
               .depth = 2,
               .heads = 3,
               .ffn = 384,
               .freq_dim = 256,
               .class_rows = 11,
               .in_channels = 4,
               .out_channels = 8,
               .patch = {1, 2, 2},
               .latent = {1, 16, 16},
               .eps = 1e-6f},
     .prediction = PREDICT_EPS,
     .count = 2,
     .shift = 1,
     .cfg = 4,
     .trials = ddpm_trials},
};

// What a run is compared with, as it goes.
struct watch {
  const struct trial *trial;
  const float *want;
  size_t numel;
  int next;
  double worst, last;
};

static void compare(void *user, int step, const float *x) {
  struct watch *w = user;
  if (w->next == w->trial->stored_count || w->trial->stored[w->next] != step) return;
  const float *want = w->want + (size_t)w->next++ * w->numel;
  double d2 = 0, r2 = 0;
  for (size_t i = 0; i < w->numel; i++) {
    double d = (double)x[i] - (double)want[i];
    d2 += d * d;
    r2 += (double)want[i] * (double)want[i];
  }
  w->last = sqrt(d2 / r2);
  CHECK(w->last <= tolerance, "%s: off by %g after step %d", w->trial->sampler, w->last, step);
  if (!(w->last <= w->worst)) w->worst = w->last;
}

// The file's tensor, `numel` floats of it; NULL after a failed check.
static float *read_floats(const struct st_file *f, const char *name, size_t numel) {
  struct vkd_error err = {0};
  const struct st_tensor *t = st_find(f, name);
  float *x = t && t->numel == numel ? malloc(numel * sizeof *x) : NULL;
  CHECK(x && st_read_f32(t, x, &err) == VKD_OK, "%s: no tensor %s of %zu elements %s", st_path(f), name, numel,
        err.what);
  return x;
}

static void run_trial(const struct reference *r, const struct trial *t, const struct st_file *f,
                      struct sample_params p) {
  struct vkd_error err = {0};
  size_t numel =
      (size_t)(p.count * r->model.in_channels * r->model.latent[0] * r->model.latent[1] * r->model.latent[2]);
  float *want = read_floats(f, t->tensor, (size_t)t->stored_count * numel), *latents = malloc(numel * sizeof *latents);
  float *noise = t->noise ? read_floats(f, t->noise, (size_t)t->steps * numel) : NULL;
  struct watch w = {.trial = t, .want = want, .numel = numel};
  p.steps = t->steps;
  p.step_noise = noise;
  p.after_step = compare;
  p.user = &w;
  CHECK(sampler_find(t->sampler, r->prediction, &p.sampler, &err) == VKD_OK, "%s", err.what);
  if (want && latents && (noise || !t->noise)) {
    CHECK(sample_run(&p, latents, &err) == VKD_OK, "%s, %s: %s", r->name, t->sampler, err.what);
    CHECK(w.next == t->stored_count, "%s, %s: %d steps were compared", r->name, t->sampler, w.next);
    printf("%s: %-6s worst %.2e, last step %.2e\n", r->name, t->sampler, w.worst, w.last);
  }
  free(want);
  free(latents);
  free(noise);
}

static void run_case(struct vkd_device *dev, const struct reference *r) {
  struct vkd_error err = {0};
  struct params *params = NULL;
  struct st_file *weights = NULL, *f = NULL;
  char path[96];
  snprintf(path, sizeof path, "../shared/oracle/%s/weights.safetensors", r->name);
  enum vkd_status st = st_open(path, &weights, &err);
  snprintf(path, sizeof path, "../shared/oracle/%s/sample.safetensors", r->name);
  if (st == VKD_OK) st = st_open(path, &f, &err);
  if (st == VKD_OK) st = params_create(&params, dev, &r->model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = params_load(params, PARAMS_WEIGHT, weights, NULL, &err);
  CHECK(st == VKD_OK, "%s: %s", r->name, err.what);
  if (st == VKD_OK) {
    const struct dit_config *m = &r->model;
    size_t numel = (size_t)(r->count * m->in_channels * m->latent[0] * m->latent[1] * m->latent[2]);
    size_t row = (size_t)m->text_len * (size_t)m->text_dim;
    float *noise = read_floats(f, "noise", numel);
    float *text = row ? read_floats(f, "context", row) : NULL,
          *null_text = row ? read_floats(f, "null_context", row) : NULL;
    int32_t labels[2] = {0};
    if (m->class_rows) {
      const struct st_tensor *t = st_find(f, "labels");
      CHECK(t && t->numel == 2 && st_read_i32(t, labels, &err) == VKD_OK, "%s: two labels", r->name);
    }
    struct sample_params p = {.params = params,
                              .kind = PARAMS_WEIGHT,
                              .prediction = r->prediction,
                              .count = r->count,
                              .shift = r->shift,
                              .cfg = r->cfg,
                              .labels = labels,
                              .text = text,
                              .null_text = null_text,
                              .noise = noise};
    for (const struct trial *t = r->trials; t->sampler && noise; t++) run_trial(r, t, f, p);
    free(noise);
    free(text);
    free(null_text);
  }
  params_destroy(&params);
  st_close(&weights);
  st_close(&f);
}

int main(void) {
  struct vkd_error err = {0};
  struct vkd_device *dev;
  struct stat info;
  if (stat("../shared/oracle", &info) != 0) {
    printf("skipped: no reference cases in ../shared/oracle\n");
    return 77;
  }
  enum vkd_status st = vkd_device_create(&dev, NULL, &err);
  if (st == VKD_ERR_NO_DEVICE) {
    printf("skipped: %s\n", err.what);
    return 77;
  }
  CHECK(st == VKD_OK, "%s", err.what);
  for (size_t i = 0; dev && i < sizeof references / sizeof references[0]; i++) run_case(dev, &references[i]);
  if (dev) CHECK(vkd_device_validation(dev, NULL, 0) == 0, "the validation layer complained");
  vkd_device_destroy(&dev);
  return check_done();
}
