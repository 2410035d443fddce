// Fits the line y = slope x + offset to noisy points by gradient descent on a Vulkan device, and compares it with the
// line of least squares.
//
//   cmake -S . -B build && cmake --build build && build/train_line
//   cc -std=c11 main.c -o train_line $(pkg-config --cflags --libs vkdit)
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "vkd/device.h"
#include "vkd/exec.h"
#include "vkd/graph.h"
#include "vkd/ops.h"

enum { POINTS = 33, STEPS = 200, SLOPE = 0, OFFSET = 64 }; // places in the buffer of weights, in bytes
static const float rate = 0.3f;

struct points {
  float x[POINTS], y[POINTS];
};

static void make_points(struct points *p) {
  for (int i = 0; i < POINTS; i++) {
    p->x[i] = 2.0f * (float)i / (POINTS - 1) - 1;
    p->y[i] = 0.75f * p->x[i] - 0.25f + 0.1f * (float)sin(12.9898 * i);
  }
}

// The mean squared error of the least-squares line, which no line goes below.
static double least_squares(const struct points *p) {
  double x = 0, y = 0, xx = 0, xy = 0, sum = 0;
  for (int i = 0; i < POINTS; i++) {
    x += p->x[i] / (double)POINTS;
    y += p->y[i] / (double)POINTS;
  }
  for (int i = 0; i < POINTS; i++) {
    xx += (p->x[i] - x) * (p->x[i] - x);
    xy += (p->x[i] - x) * (p->y[i] - y);
  }
  for (int i = 0; i < POINTS; i++) {
    double miss = p->y[i] - y - xy / xx * (p->x[i] - x);
    sum += miss * miss;
  }
  printf("least squares: y = %.6f x + %.6f, loss %.9f\n", xy / xx, y - xy / xx * x, sum / POINTS);
  return sum / POINTS;
}

// One step of gradient descent as a graph.  Returns its loss; `weights` holds slope and offset, which it changes.
static vkd_tensor build(struct vkd_graph *g, const struct points *p, struct vkd_buffer *weights) {
  vkd_tensor x = vkd_constant(g, "x", VKD_F32, VKD_SHAPE(POINTS, 1), p->x);
  vkd_tensor y = vkd_constant(g, "y", VKD_F32, VKD_SHAPE(POINTS, 1), p->y);
  vkd_tensor down = vkd_constant(g, "-rate", VKD_F32, VKD_SHAPE(1), &(float){-rate});
  vkd_tensor wrt[2], grads[2];
  wrt[0] = vkd_bound(g, "slope", VKD_F32, VKD_SHAPE(1, 1), weights, SLOPE);
  wrt[1] = vkd_bound(g, "offset", VKD_F32, VKD_SHAPE(1), weights, OFFSET);
  vkd_tensor loss = vkd_mse(g, vkd_linear(g, x, wrt[0], wrt[1]), y);
  vkd_grad(g, loss, wrt, 2, grads);
  for (int i = 0; i < 2; i++) vkd_accumulate(g, wrt[i], vkd_lincomb(g, down, &grads[i], 1));
  vkd_output(g, loss);
  return loss;
}

static enum vkd_status train(struct vkd_program *program, vkd_tensor loss, double *last, struct vkd_error *err) {
  for (int step = 0; step < STEPS; step++) {
    enum vkd_status st = vkd_program_run(program, err);
    if (st != VKD_OK) return st;
    *last = *(const float *)vkd_program_output(program, 0, loss);
    if (step % 50 == 0 || step == STEPS - 1) printf("step %3d  loss %.9f\n", step, *last);
  }
  return VKD_OK;
}

int main(void) {
  struct points points;
  struct vkd_error err = {0};
  struct vkd_device *device = NULL;
  struct vkd_buffer *weights = NULL;
  struct vkd_graph *graph = NULL;
  struct vkd_program *program = NULL;
  float slope = 0, offset = 0;
  double least = 0, last = 0;
  make_points(&points);

  enum vkd_status st = vkd_device_create(&device, &(struct vkd_device_params){0}, &err);
  if (st == VKD_OK) st = vkd_buffer_create(&weights, device, 128, &err); // zeroed
  if (st == VKD_OK) st = vkd_graph_create(&graph, &err);
  if (st != VKD_OK) goto done;
  printf("device: %s\n", vkd_device_get_caps(device)->name);
  vkd_tensor loss = build(graph, &points, weights);
  // What the builders complain of is told here.
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = device, .graph = graph}, &err);
  if (st == VKD_OK) st = train(program, loss, &last, &err);
  if (st == VKD_OK) st = vkd_buffer_read(weights, SLOPE, &slope, sizeof slope, &err);
  if (st == VKD_OK) st = vkd_buffer_read(weights, OFFSET, &offset, sizeof offset, &err);
  if (st != VKD_OK) goto done;
  printf("trained:       y = %.6f x + %.6f, loss %.9f\n", slope, offset, last);
  least = least_squares(&points);
  if (!(fabs(last - least) <= 1e-6 * least)) st = vkd_fail(&err, VKD_ERR_MISMATCH, "the loss stays above the least");
done:
  if (st != VKD_OK) fprintf(stderr, "train_line: %s\n", err.what);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&graph);
  vkd_buffer_destroy(&weights);
  vkd_device_destroy(&device);
  return vkd_status_exit_code(st);
}
