// Learning works as a whole: with noise, noise levels and clips held fixed, a small model drives the loss near zero.
#include "../../model/step.h"
#include "device.h"
#include "normal.h"

enum { BATCH = 2, STEPS = 250 };

static const struct dit_config model = {.dim = 32,
                                        .depth = 1,
                                        .heads = 2,
                                        .ffn = 64,
                                        .freq_dim = 16,
                                        .text_dim = 8,
                                        .text_len = 1,
                                        .class_rows = 3,
                                        .in_channels = 2,
                                        .out_channels = 2,
                                        .patch = {1, 2, 2},
                                        .latent = {2, 4, 4},
                                        .eps = 1e-6f};
enum { NUMEL = 2 * 2 * 4 * 4 };

static void write_inputs(struct vkd_program *program, const struct objective_inputs *in, vkd_tensor hyper) {
  float latents[BATCH * NUMEL];
  const int32_t labels[BATCH] = {0, 1};
  struct config c;
  config_default(&c);
  normal_fill(latents, BATCH * NUMEL, 5, 99, 0);
  struct step_draw draw = {.config = &c, .model = &model, .seed = 7, .step = 1, .drop = false};
  struct data_batch batch = {.step = 1, .size = BATCH, .latents = latents, .labels = labels};
  step_write_inputs(program, 0, in, &draw, &batch, 0);
  struct optim_settings o = {
      .lr = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .ema = 0.9, .clip = 1, .grad_scale = 1};
  optim_hyper(&o, 1, vkd_program_input(program, 0, hyper));
}

static enum vkd_status train(struct vkd_device *dev, float *first, float *last, struct vkd_error *err) {
  struct params *params = NULL;
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct objective_inputs in;
  vkd_tensor weights[64], loss = {0}, hyper = {0};
  enum vkd_status st = params_create(&params, dev, &model, PARAMS_FOR_TRAINING, err);
  if (st == VKD_OK) st = params_init(params, 1, err);
  if (st == VKD_OK) st = vkd_graph_create(&g, err);
  if (st == VKD_OK) {
    objective_make_inputs(g, CONFIG_FLOW, &model, BATCH, &in);
    params_tensors(params, g, PARAMS_WEIGHT, weights);
    vkd_output(g, loss = objective_loss(g, CONFIG_FLOW, &model, weights, &in, NULL));
    st = step_gradients(g, params, weights, loss, err);
    hyper = vkd_input(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT));
    optim_update(g, params, PARAMS_GRAD, hyper, loss);
  }
  if (st == VKD_OK) st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, err);
  if (st == VKD_OK) write_inputs(program, &in, hyper);
  for (int i = 0; i < STEPS && st == VKD_OK; i++) {
    st = vkd_program_run(program, err);
    const float *value = vkd_program_output(program, 0, loss);
    *(i ? last : first) = *value;
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  params_destroy(&params);
  return st;
}

int main(void) {
  struct vkd_error err = {0};
  struct vkd_device *dev = device_or_skip(false);
  float first = NAN, last = NAN;
  enum vkd_status st = train(dev, &first, &last, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  printf("loss %.4f at first, %.6f after %d steps\n", first, last, STEPS);
  // 128 numbers to learn and thousands of weights; a broken gradient or update stops far above a hundredth.
  CHECK(last < 0.01 * first, "the loss went from %.4f to %.4f only", first, last);
  return device_done(&dev);
}
