// A small model in a graph: its program on the device, and the values of the float64 interpreter for the same numbers.
// In order: trial_open(); a loss, as of trial_mse(); trial_gradients(); trial_program(); weights and inputs;
// trial_values().
#ifndef VKD_TEST_TRIAL_H
#define VKD_TEST_TRIAL_H

#include <stdlib.h>

#include "check.h"
#include "vkd/exec.h"
#include "vkdm/params.h"

struct trial {
  struct dit_config model; // set it first
  const char *form;        // NULL, or the form that nodes take where they can (struct vkd_program_params)
  struct params *params;
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct dit_inputs in;
  vkd_tensor target, out, loss, *weights, *grads;
  double **values;
};

static inline enum vkd_status trial_open(struct trial *t, struct vkd_device *dev, unsigned kinds,
                                         struct vkd_error *err) {
  enum vkd_status st = params_create(&t->params, dev, &t->model, kinds, err);
  if (st == VKD_OK) st = vkd_graph_create(&t->graph, err);
  if (st != VKD_OK) return st;
  t->weights = calloc(2 * (size_t)t->params->count, sizeof *t->weights);
  if (!t->weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for tensors");
  t->grads = t->weights + t->params->count;
  params_tensors(t->params, t->graph, PARAMS_WEIGHT, t->weights);
  return VKD_OK;
}

// The model's output against a target that is an input.
static inline void trial_mse(struct trial *t, int batch) {
  dit_make_inputs(t->graph, &t->model, batch, true, &t->in);
  t->out = dit_forward(t->graph, &t->model, t->weights, &t->in);
  t->target = vkd_input(t->graph, "target", VKD_F32, vkd_tensor_shape(t->graph, t->out));
  t->loss = vkd_mse(t->graph, t->out, t->target);
  vkd_output(t->graph, t->out);
  vkd_output(t->graph, t->loss);
}

// Of all that is trained, which the frozen ones precede; the loss is multiplied by scale, where it is a tensor.
static inline void trial_gradients(struct trial *t, vkd_tensor scale) {
  int first = 0, n = t->params->count;
  while (first < n && t->params->rows[first].frozen) first++;
  if (scale.id)
    vkd_grad_scaled(t->graph, t->loss, scale, t->weights + first, n - first, t->grads + first);
  else
    vkd_grad(t->graph, t->loss, t->weights + first, n - first, t->grads + first);
  for (int i = first; i < n; i++) vkd_output(t->graph, t->grads[i]);
}

static inline enum vkd_status trial_program(struct trial *t, struct vkd_device *dev, struct vkd_error *err) {
  return vkd_program_create(&t->program,
                            &(struct vkd_program_params){.device = dev, .graph = t->graph, .form = t->form}, err);
}

// Initial weights with noise on top, so that none is zero or one; from row plain_from on as they are.
static inline enum vkd_status trial_weights(struct trial *t, int plain_from, float (*noise)(int row, int64_t i),
                                            struct vkd_error *err) {
  enum vkd_status st = VKD_OK;
  for (int i = 0; i < t->params->count && st == VKD_OK; i++) {
    const struct dit_param *p = &t->params->rows[i];
    float *w = malloc((size_t)p->numel * sizeof *w);
    if (!w) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for weights");
    dit_param_init(&t->model, p, i, 5, w);
    for (int64_t k = 0; i < plain_from && k < p->numel; k++) w[k] += 0.1f * noise(i, k);
    st = params_write(t->params, PARAMS_WEIGHT, i, w, err);
    free(w);
  }
  return st;
}

static inline int64_t trial_numel(const struct trial *t, vkd_tensor x) {
  struct vkd_shape shape = vkd_tensor_shape(t->graph, x);
  return vkd_shape_numel(&shape);
}

static inline void trial_put(struct trial *t, vkd_tensor x, float (*value)(const struct trial *t, int64_t i)) {
  float *dst = vkd_program_input(t->program, 0, x);
  for (int64_t i = 0; i < trial_numel(t, x); i++) dst[i] = value(t, i);
}

// The numbers that the device has, for the interpreter: weights as they are stored, and these inputs (0: not there).
static inline enum vkd_status trial_values(struct trial *t, const vkd_tensor *inputs, size_t n, struct vkd_error *err) {
  enum vkd_status st = vkd_graph_ref_alloc(t->graph, &t->values, err);
  for (int i = 0; i < t->params->count && st == VKD_OK; i++) {
    int64_t numel = t->params->rows[i].numel;
    float *w = malloc((size_t)numel * sizeof *w);
    st = w ? params_read(t->params, PARAMS_WEIGHT, i, w, err)
           : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for weights");
    for (int64_t k = 0; k < numel && st == VKD_OK; k++) t->values[t->weights[i].id][k] = (double)w[k];
    free(w);
  }
  for (size_t i = 0; i < n && st == VKD_OK; i++) {
    if (!inputs[i].id) continue;
    const void *from = vkd_program_input(t->program, 0, inputs[i]);
    bool whole = vkd_tensor_dtype(t->graph, inputs[i]) == VKD_I32;
    for (int64_t k = 0; k < trial_numel(t, inputs[i]); k++)
      t->values[inputs[i].id][k] = whole ? (double)((const int32_t *)from)[k] : (double)((const float *)from)[k];
  }
  return st;
}

static inline void trial_close(struct trial *t) {
  free(t->values);
  vkd_program_destroy(&t->program);
  vkd_graph_destroy(&t->graph);
  params_destroy(&t->params);
  free(t->weights);
}

#endif
