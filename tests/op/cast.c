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

int main(void) {
  struct vkd_device *dev = device_or_skip(true);
  run(dev, VKD_F16);
  run(dev, VKD_BF16);
  run_products(dev, VKD_F16);
  run_products(dev, VKD_BF16);
  return device_done(&dev);
}
