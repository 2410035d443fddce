// Casts on the device, bit by bit as the host's: random bit patterns of every exponent, infinities and NaNs; and those
// that kernels do beside what they compute.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "vkd/exec.h"
#include "vkd/half.h"
#include "vkd/ops.h"

enum { COUNT = 65536 + 3 }; // with a tail

static bool is_nan(enum vkd_dtype dtype, uint16_t x) { return isnan(vkd_half_value(dtype, x)); }

static void run(struct vkd_device *dev, enum vkd_dtype dtype) {
  static uint32_t values[COUNT];
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  enum vkd_status st = vkd_graph_create(&g, &err);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(COUNT)), half = vkd_cast(g, x, dtype);
  vkd_tensor all = vkd_input(g, "all", dtype, VKD_SHAPE(65536)), wide = vkd_cast(g, all, VKD_F32);
  vkd_output(g, half);
  vkd_output(g, wide);
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    uint32_t state = 7;
    for (int i = 0; i < COUNT; i++) {
      state = state * 1664525 + 1013904223;
      values[i] = state ^ state >> 15;
      if (i % 3 == 0)
        values[i] = (values[i] & 0x80ffffffu) | (0x32000000u + (values[i] >> 3 & 0x1f000000u) % 0x17000000u);
      if (i % 7 == 0) values[i] &= ~0xfffu; // ties
      if (i < 512) values[i] = (uint32_t)(i & 255) << 23 | (i & 256 ? 1u << 22 : 0);
    }
    memcpy(vkd_program_input(program, 0, x), values, sizeof values);
    uint16_t *in = vkd_program_input(program, 0, all);
    for (int i = 0; i < 65536; i++) in[i] = (uint16_t)i;
    st = vkd_program_run(program, &err);
    CHECK(st == VKD_OK, "%s", err.what);
    const uint16_t *got = vkd_program_output(program, 0, half);
    const float *widened = vkd_program_output(program, 0, wide);
    int rounded_wrong = 0, widened_wrong = 0;
    for (int i = 0; i < COUNT; i++) {
      float value;
      memcpy(&value, &values[i], sizeof value);
      uint16_t want = vkd_half_bits(dtype, value);
      rounded_wrong += is_nan(dtype, want) ? !is_nan(dtype, got[i]) : got[i] != want;
    }
    for (int i = 0; i < 65536; i++) {
      float want = vkd_half_value(dtype, (uint16_t)i);
      widened_wrong += isnan(want) ? !isnan(widened[i]) : memcmp(&want, &widened[i], sizeof want) != 0;
    }
    CHECK(rounded_wrong == 0, "%s: %d of %d roundings differ", vkd_dtype_name(dtype), rounded_wrong, COUNT);
    CHECK(widened_wrong == 0, "%s: %d of 65536 values differ in fp32", vkd_dtype_name(dtype), widened_wrong);
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
}

// A product, and what it ends with, in fp32 and in 16 bits.
static void run_product(struct vkd_device *dev, enum vkd_dtype dtype, int64_t m, int64_t n, int64_t k, bool gelu) {
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  enum vkd_status st = vkd_graph_create(&g, &err);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(m, k)), w = vkd_input(g, "w", VKD_F32, VKD_SHAPE(n, k));
  vkd_tensor y = vkd_linear(g, vkd_cast(g, x, dtype), vkd_cast(g, w, dtype), (vkd_tensor){0});
  if (gelu) y = vkd_gelu(g, y);
  vkd_tensor half = vkd_cast(g, y, dtype);
  vkd_output(g, y);
  vkd_output(g, half);
  st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err);
  if (st == VKD_OK) {
    float *a = vkd_program_input(program, 0, x), *b = vkd_program_input(program, 0, w);
    uint32_t state = 1;
    for (int64_t i = 0; i < (m + n) * k; i++) { // rows of very different size: subnormals and infinities too
      state = state * 1664525 + 1013904223;
      float value = ((float)(state >> 8) * 0x1p-23F - 1) * ldexpf(1, (int)(i / k % 31) - 20);
      *(i < m * k ? a + i : b + (i - m * k)) = value;
    }
    st = vkd_program_run(program, &err);
  }
  CHECK(st == VKD_OK, "%s", err.what);
  const float *whole = st == VKD_OK ? vkd_program_output(program, 0, y) : NULL;
  const uint16_t *rounded = st == VKD_OK ? vkd_program_output(program, 0, half) : NULL;
  int wrong = 0;
  for (int64_t i = 0; whole && i < m * n; i++) wrong += rounded[i] != vkd_half_bits(dtype, whole[i]);
  CHECK(wrong == 0, "%s of %lld x %lld x %lld: %d roundings differ", vkd_dtype_name(dtype), (long long)m, (long long)n,
        (long long)k, wrong);
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
}

static void run_products(struct vkd_device *dev, enum vkd_dtype dtype) {
  static const char *const forms[] = {"simd", "bcast", "tile", "coopmat"};
  for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
    char form[32];
    snprintf(form, sizeof form, "matmul=%s", forms[f]);
    setenv("VKD_FORM", form, 1);
    run_product(dev, dtype, 64, 32, 16, false);
    run_product(dev, dtype, 37, 35, 20, true);
    run_product(dev, dtype, 3, 35, 1032, false);
  }
  unsetenv("VKD_FORM");
}

// AdamW's copy of parameters that it moves.
static void run_adamw(struct vkd_device *dev, enum vkd_dtype dtype, int64_t n) {
  enum { MOST = 1024 };
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *program = NULL;
  struct vkd_buffer *b[6] = {NULL};
  static const float hyper[VKD_HYPER_COUNT] = {0.01F, 0.9F, 0.99F, 0.1F, 0.01F, 10, 100, 1e-8F, 0.1F, 0.9F, 0, 1};
  float values[MOST], moved[MOST];
  uint16_t copy[MOST + 8];
  for (int i = 0; i < MOST; i++) values[i] = sinf((float)(i + 1)) * ldexpf(1, i % 31 - 20);
  memset(copy, 0xa5, sizeof copy);
  enum vkd_status st = vkd_graph_create(&g, &err);
  for (int i = 0; i < 6 && st == VKD_OK; i++) {
    st = vkd_buffer_create(&b[i], dev, sizeof values + 16, &err);
    if (st == VKD_OK)
      st = i < 5 ? vkd_buffer_write(b[i], 0, values, sizeof values, &err)
                 : vkd_buffer_write(b[i], 0, copy, sizeof copy, &err);
  }
  vkd_tensor t[6];
  for (int i = 0; i < 6 && st == VKD_OK; i++) t[i] = vkd_bound(g, "t", i < 5 ? VKD_F32 : dtype, VKD_SHAPE(n), b[i], 0);
  if (st == VKD_OK) {
    vkd_zero(g, t[3]);
    vkd_adamw(g, (struct vkd_adamw_tensors){t[0], t[1], t[2], t[3], t[4], t[5]},
              vkd_constant(g, "hyper", VKD_F32, VKD_SHAPE(VKD_HYPER_COUNT), hyper),
              vkd_constant(g, "norm2", VKD_F32, VKD_SHAPE(1), &(float){1}), 1, 1);
    st = vkd_program_create(&program, &(struct vkd_program_params){.device = dev, .graph = g}, &err);
  }
  if (st == VKD_OK) st = vkd_program_run(program, &err);
  if (st == VKD_OK) st = vkd_buffer_read(b[0], 0, moved, sizeof moved, &err);
  if (st == VKD_OK) st = vkd_buffer_read(b[5], 0, copy, sizeof copy, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  int same = 0, wrong = 0;
  for (int i = 0; i < n && st == VKD_OK; i++)
    same += moved[i] == values[i], wrong += copy[i] != vkd_half_bits(dtype, moved[i]);
  CHECK(same == 0 && wrong == 0, "adamw of %lld: %d stay, %d copies differ", (long long)n, same, wrong);
  CHECK(st != VKD_OK || copy[n] == 0xa5a5, "adamw of %lld: writes past its copy", (long long)n);
  vkd_program_destroy(&program);
  for (int i = 0; i < 6; i++) vkd_buffer_destroy(&b[i]);
  vkd_graph_destroy(&g);
}

int main(void) {
  struct vkd_device *dev = device_or_skip(true);
  run(dev, VKD_F16);
  run(dev, VKD_BF16);
  run_products(dev, VKD_F16);
  run_products(dev, VKD_BF16);
  run_adamw(dev, VKD_F16, 1003);
  run_adamw(dev, VKD_BF16, 64);
  return device_done(&dev);
}
