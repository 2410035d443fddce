// Casts on the device, bit by bit as the host's: random bit patterns of every exponent, infinities and NaNs.
#include <math.h>
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

int main(void) {
  struct vkd_device *dev = device_or_skip(true);
  run(dev, VKD_F16);
  run(dev, VKD_BF16);
  return device_done(&dev);
}
