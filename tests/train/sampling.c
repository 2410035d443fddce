// Every sampler on small random models: the latents of every step on the device against the model's float64 reference
// and the same steps in double; guidance, learned and fixed variances, drawn and given noise.
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "normal.h"
#include "sampler.h"
#include "vkdm/objective.h"
#include "vkdm/sample.h"

enum { COUNT = 2, SEED = 5 };

// fp32 against float64, through a few evaluations of a model; a wrong coefficient is at 1e-3 or more.
static const double tolerance = 2e-5;

static const struct dit_config text_model = {.dim = 24,
                                             .depth = 1,
                                             .heads = 2,
                                             .ffn = 40,
                                             .freq_dim = 16,
                                             .text_dim = 9,
                                             .text_len = 3,
                                             .in_channels = 3,
                                             .out_channels = 3,
                                             .patch = {1, 2, 1},
                                             .latent = {3, 4, 5},
                                             .eps = 1e-6f};
static const struct dit_config variance_model = {.family = DIT_CLASS,
                                                 .dim = 24,
                                                 .depth = 1,
                                                 .heads = 2,
                                                 .ffn = 40,
                                                 .freq_dim = 16,
                                                 .class_rows = 5,
                                                 .in_channels = 4,
                                                 .out_channels = 8,
                                                 .patch = {1, 2, 2},
                                                 .latent = {1, 6, 8},
                                                 .eps = 1e-6f};

static const struct trial {
  const struct dit_config *model;
  const char *sampler;
  enum prediction prediction;
  int steps;
  double cfg;
  int guided;       // channels
  bool given_noise; // of the steps
  int cfg_channels; // asked for
} trials[] = {
    {&text_model, "euler", PREDICT_VELOCITY, 3, 1, 3, false, 0},
    {&text_model, "dpm++", PREDICT_VELOCITY, 4, 2.5, 3, false, 0},
    {&text_model, "unipc", PREDICT_VELOCITY, 4, 2.5, 3, false, 0},
    {&text_model, "ddim", PREDICT_V, 4, 2, 3, false, 0},
    {&text_model, "ddpm", PREDICT_V, 3, 1, 3, false, 0},
    {&text_model, "ddpm", PREDICT_EPS, 3, 2, 3, true, 0},
    {&variance_model, "ddim", PREDICT_EPS, 4, 4, 3, false, 0},
    {&variance_model, "ddpm", PREDICT_EPS, 4, 4, 3, true, 0},
    {&variance_model, "ddpm", PREDICT_EPS, 4, 4, 3, false, 0},
    {&variance_model, "unipc", PREDICT_VELOCITY, 3, 3, 3, false, 0},
    {&text_model, "euler", PREDICT_VELOCITY, 2, 3, 2, false, 2},
    {&variance_model, "ddpm", PREDICT_EPS, 2, 4, 6, true, 6},
};

static const int32_t labels[COUNT] = {2, -1};
static float text[COUNT * 3 * 9], null_text[3 * 9];

static uint32_t draws;
static float draw(void) { return (float)normal_at(77, 9, draws++, 0); }

// A model in float64, for the guided batch: null conditions first.
struct reference {
  struct vkd_graph *graph;
  struct dit_inputs in;
  vkd_tensor out;
  double **values;
  int64_t numel, out_numel; // of all samples
};

static enum vkd_status fill_weights(struct params *params, const vkd_tensor *weights, double **values,
                                    struct vkd_error *err) {
  for (int i = 0; i < params->count; i++) {
    int64_t n = params->rows[i].numel;
    float *w = malloc((size_t)n * sizeof *w);
    if (!w) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for weights");
    for (int64_t k = 0; k < n; k++) values[weights[i].id][k] = (double)(w[k] = 0.3F * draw());
    enum vkd_status st = params_write(params, PARAMS_WEIGHT, i, w, err);
    free(w);
    if (st != VKD_OK) return st;
  }
  return VKD_OK;
}

static enum vkd_status make_reference(struct reference *r, struct params *params, struct vkd_error *err) {
  const struct dit_config *c = &params->config;
  vkd_tensor *weights = calloc((size_t)params->count, sizeof *weights);
  enum vkd_status st = weights ? vkd_graph_create(&r->graph, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory");
  if (st == VKD_OK) {
    params_tensors(params, r->graph, PARAMS_WEIGHT, weights);
    dit_make_inputs(r->graph, c, 2 * COUNT, true, &r->in);
    r->out = dit_forward(r->graph, c, weights, &r->in);
    vkd_output(r->graph, r->out);
    st = vkd_graph_ref_alloc(r->graph, &r->values, err);
  }
  if (st == VKD_OK) st = fill_weights(params, weights, r->values, err);
  free(weights);
  r->numel = COUNT * (int64_t)c->in_channels * c->latent[0] * c->latent[1] * c->latent[2];
  r->out_numel = r->numel / c->in_channels * c->out_channels;
  for (int i = 0; i < 2 * COUNT && st == VKD_OK; i++) {
    if (c->class_rows) {
      int32_t label = i < COUNT ? -1 : labels[i - COUNT];
      r->values[r->in.labels.id][i] = label < 0 ? c->class_rows - 1 : label;
      continue;
    }
    size_t row = (size_t)(c->text_len * c->text_dim);
    const float *from = i < COUNT ? null_text : text + (size_t)(i - COUNT) * row;
    for (size_t k = 0; k < row; k++) r->values[r->in.text.id][(size_t)i * row + k] = (double)from[k];
  }
  return st;
}

// out [out_numel]: the guided model at x [numel].
static enum vkd_status evaluate(struct reference *r, const struct trial *t, const double *x, double timestep,
                                double *out, struct vkd_error *err) {
  const struct dit_config *c = t->model;
  float s[64];
  dit_timestep_embedding(c->freq_dim, timestep, s);
  for (int i = 0; i < 2 * COUNT; i++)
    for (int k = 0; k < c->freq_dim; k++) r->values[r->in.s.id][i * c->freq_dim + k] = (double)s[k];
  for (int64_t i = 0; i < 2 * r->numel; i++) r->values[r->in.x.id][i] = x[i % r->numel];
  enum vkd_status st = vkd_graph_ref_run(r->graph, r->values, err);
  const double *both = r->values[r->out.id];
  int64_t inner = r->numel / COUNT / c->in_channels;
  for (int64_t i = 0; i < r->out_numel; i++) {
    bool guided = i / inner % c->out_channels < t->guided;
    out[i] = both[r->out_numel + i] + (guided ? (t->cfg - 1) * (both[r->out_numel + i] - both[i]) : 0);
  }
  return st;
}

static double noise_at(int step, int64_t i, int64_t per_sample) {
  double z[4];
  uint32_t k = (uint32_t)(i % per_sample);
  vkd_normal4(SEED, (uint32_t)step, STREAM_SAMPLE, (uint32_t)(i / per_sample), k / 4, z);
  return z[k % 4];
}

// steps [steps, numel]: x after every step.
static enum vkd_status run_reference(struct reference *r, const struct trial *t, const struct sampler_step *plan,
                                     bool corrects, double *steps, struct vkd_error *err) {
  const struct dit_config *c = t->model;
  int64_t n = r->numel, per_sample = n / COUNT, inner = per_sample / c->in_channels;
  double *kept = calloc((size_t)(4 * n + r->out_numel), sizeof *kept);
  if (!kept) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a reference");
  double *x = kept, *before = x + n, *m1 = before + n, *m2 = m1 + n, *out = m2 + n;
  enum vkd_status st = VKD_OK;
  for (int64_t i = 0; i < n; i++) x[i] = noise_at(0, i, per_sample);
  for (int k = 0; k < t->steps && st == VKD_OK; k++) {
    const struct sampler_step *s = &plan[k];
    st = evaluate(r, t, x, s->timestep, out, err);
    for (int64_t i = 0; i < n; i++) {
      int64_t at = i / per_sample * (inner * c->out_channels) + i % per_sample;
      double m = s->m[0] * x[i] + s->m[1] * out[at], z = noise_at(k + 1, i, per_sample), y = x[i];
      if (c->out_channels > c->in_channels) {
        double f = (out[at + per_sample] + 1) / 2;
        z *= exp((f * s->log_variance[1] + (1 - f) * s->log_variance[0]) / 2);
      }
      if (corrects)
        y = s->corrected[0] * y + s->corrected[1] * before[i] + s->corrected[2] * m + s->corrected[3] * m1[i] +
            s->corrected[4] * m2[i];
      before[i] = y;
      x[i] = s->next[0] * y + s->next[1] * m + s->next[2] * m1[i] + (s->next[3] == 0 ? 0 : s->next[3] * z);
      m2[i] = m1[i];
      m1[i] = m;
    }
    memcpy(steps + k * n, x, (size_t)n * sizeof *x);
  }
  free(kept);
  return st;
}

struct watch {
  const double *want;
  int64_t numel;
  int steps;
  double worst;
};
static void compare(void *user, int step, const float *x) {
  struct watch *w = user;
  double e = check_relative(x, w->want + step * w->numel, w->numel);
  if (!(e <= w->worst)) w->worst = e;
  w->steps++;
}

static void run_trial(struct vkd_device *dev, const struct trial *t) {
  struct vkd_error err = {0};
  struct params *params = NULL;
  struct reference r = {.graph = NULL};
  struct sampler_step *plan = NULL;
  const struct sampler *sampler = NULL;
  double *want = NULL;
  float *latents = NULL, *noise = NULL;
  enum vkd_status st = params_create(&params, dev, t->model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = make_reference(&r, params, &err);
  if (st == VKD_OK) st = sampler_find(t->sampler, t->prediction, &sampler, &err);
  const struct sampler_plan wanted = {.prediction = t->prediction,
                                      .learned_variance = t->model->out_channels > t->model->in_channels,
                                      .steps = t->steps,
                                      .shift = 2};
  if (st == VKD_OK) st = sampler_steps(sampler, &wanted, &plan, &err);
  size_t all = (size_t)(t->steps * r.numel);
  want = calloc(all, sizeof *want);
  latents = calloc(all, sizeof *latents);
  noise = calloc(all, sizeof *noise);
  if (!want || !latents || !noise) st = vkd_fail(&err, VKD_ERR_HOST_MEMORY, "no memory for latents");
  if (st == VKD_OK) st = run_reference(&r, t, plan, sampler->corrects, want, &err);
  for (int64_t i = 0; noise && i < (int64_t)all; i++)
    noise[i] = (float)noise_at((int)(i / r.numel) + 1, i % r.numel, r.numel / COUNT);
  struct watch w = {.want = want, .numel = r.numel};
  const struct sample_params p = {.params = params,
                                  .kind = PARAMS_WEIGHT,
                                  .prediction = t->prediction,
                                  .sampler = sampler,
                                  .count = COUNT,
                                  .steps = t->steps,
                                  .shift = 2,
                                  .cfg = t->cfg,
                                  .cfg_channels = t->cfg_channels,
                                  .seed = SEED,
                                  .labels = labels,
                                  .text = text,
                                  .null_text = null_text,
                                  .step_noise = t->given_noise ? noise : NULL,
                                  .after_step = compare,
                                  .user = &w};
  if (st == VKD_OK) st = sample_run(&p, latents, &err);
  CHECK(st == VKD_OK, "%s: %s", t->sampler, err.what);
  CHECK(w.steps == t->steps && w.worst <= tolerance, "%s, prediction %d, guidance %g: off by %g", t->sampler,
        (int)t->prediction, t->cfg, w.worst);
  printf("%s, %s: worst %.2e\n", t->sampler, dit_family_name(t->model->family), w.worst);
  free(want);
  free(latents);
  free(noise);
  free(plan);
  free(r.values);
  vkd_graph_destroy(&r.graph);
  params_destroy(&params);
}

static void test_refusals(struct vkd_device *dev) {
  struct vkd_error err = {0};
  struct params *params = NULL;
  struct dit_config odd = text_model;
  float latents[1];
  odd.out_channels = 4;
  CHECK(params_create(&params, dev, &odd, PARAMS_FOR_INFERENCE, &err) == VKD_OK, "%s", err.what);
  struct sample_params p = {.params = params, .kind = PARAMS_WEIGHT, .count = 1, .cfg = 1};
  CHECK(sample_run(&p, latents, &err) == VKD_ERR_INPUT && strstr(err.what, "4 output channels"), "%s", err.what);
  params_destroy(&params);
  err = (struct vkd_error){0};
  CHECK(params_create(&params, dev, &text_model, PARAMS_FOR_INFERENCE, &err) == VKD_OK, "%s", err.what);
  p = (struct sample_params){.params = params, .sampler = sampler_at(0), .prediction = PREDICT_V, .count = 1, .cfg = 1};
  CHECK(sample_run(&p, latents, &err) == VKD_ERR_USAGE && strstr(err.what, "ddim"), "%s", err.what);
  params_destroy(&params);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(false);
  for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) text[i] = draw();
  for (size_t i = 0; i < sizeof null_text / sizeof null_text[0]; i++) null_text[i] = draw();
  for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) run_trial(dev, &trials[i]);
  test_refusals(dev);
  return device_done(&dev);
}
