// Which kernel row a 16-bit product takes, by the shapes of cooperative matrices that a device lists.
#include "fake_gpu.h"
#include "vkd/ops.h"

static struct vkd_device_caps device(uint32_t subgroup) {
  struct vkd_device_caps caps = fake_gpu(subgroup, 1024, 32768);
  caps.coopmat = true;
  return caps;
}
static void add(struct vkd_device_caps *caps, uint32_t m, uint32_t n, uint32_t k, enum vkd_coopmat_type operand,
                enum vkd_coopmat_type sums) {
  caps->coopmats[caps->coopmat_count++] =
      (struct vkd_coopmat){.m = m, .n = n, .k = k, .a = operand, .b = operand, .c = sums, .result = sums};
}

// The last dispatch of a [m,k] b^T, b being [n,k].
static struct vkd_tape_entry product(const struct vkd_device_caps *caps, enum vkd_dtype dtype, int64_t m, int64_t n,
                                     int64_t k) {
  struct vkd_error err = {0};
  struct vkd_tape_entry last = {0};
  struct vkd_graph *g = NULL;
  struct vkd_tape tape = {0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor a = vkd_cast(g, vkd_input(g, "a", VKD_F32, VKD_SHAPE(m, k)), dtype);
  vkd_tensor b = vkd_cast(g, vkd_input(g, "b", VKD_F32, VKD_SHAPE(n, k)), dtype);
  vkd_output(g, vkd_matmul(g, a, b, false, true, (vkd_tensor){0}, (vkd_tensor){0}));
  record_on(caps, g, &tape);
  CHECK(tape.count > 0, "no dispatch");
  if (tape.count) last = tape.entries[tape.count - 1];
  vkd__tape_free(&tape);
  vkd_graph_destroy(&g);
  return last;
}

#define BUILT(row) (vkd_kernel_blobs[VKD_K_##row].code != NULL) // else the compiler lacks the extension

static void expect(const char *what, const struct vkd_device_caps *caps, enum vkd_dtype dtype, enum vkd_kernel_id row) {
  struct vkd_tape_entry e = product(caps, dtype, 512, 256, 64);
  CHECK(e.kernel == row, "%s: row %s, not %s", what, vkd_kernel_blobs[e.kernel].name, vkd_kernel_blobs[row].name);
}

static void test_choice(void) {
  enum vkd_kernel_id f16 = BUILT(matmul_cm_f16) ? VKD_K_matmul_cm_f16 : VKD_K_matmul_f16;
  enum vkd_kernel_id bf16 = BUILT(matmul_cm_bf16) ? VKD_K_matmul_cm_bf16 : VKD_K_matmul_bf16;
  struct vkd_device_caps caps = device(32);
  expect("no shape", &caps, VKD_F16, VKD_K_matmul_f16);
  add(&caps, 16, 16, 16, VKD_COOPMAT_F16, VKD_COOPMAT_F16);
  add(&caps, 16, 16, 32, VKD_COOPMAT_S8, VKD_COOPMAT_S32);
  expect("sums in fp16, integers", &caps, VKD_F16, VKD_K_matmul_f16);
  add(&caps, 12, 16, 16, VKD_COOPMAT_F16, VKD_COOPMAT_F32);
  add(&caps, 16, 16, 4, VKD_COOPMAT_F16, VKD_COOPMAT_F32);
  add(&caps, 128, 16, 16, VKD_COOPMAT_F16, VKD_COOPMAT_F32);
  add(&caps, 64, 64, 64, VKD_COOPMAT_F16, VKD_COOPMAT_F32); // four of its sums fill 64 KiB of shared memory
  expect("sizes that are no multiples of 8, or too large", &caps, VKD_F16, VKD_K_matmul_f16);
  add(&caps, 16, 8, 16, VKD_COOPMAT_F16, VKD_COOPMAT_F32);
  expect("fp16", &caps, VKD_F16, f16);
  expect("bf16 not listed", &caps, VKD_BF16, VKD_K_matmul_bf16);
  add(&caps, 16, 16, 16, VKD_COOPMAT_BF16, VKD_COOPMAT_F32);
  expect("bf16", &caps, VKD_BF16, bf16);
  expect("fp32 operands", &caps, VKD_F32, VKD_K_matmul);
  caps.kind = VKD_DEVICE_SOFTWARE;
  expect("not preferred", &caps, VKD_F16, VKD_K_matmul_f16);
  caps.kind = VKD_DEVICE_DISCRETE;
  caps.coopmat = false;
  expect("not supported", &caps, VKD_F16, VKD_K_matmul_f16);
  caps.coopmat = true;
  caps.max_workgroup_invocations = 64;
  expect("workgroups below four subgroups", &caps, VKD_F16, VKD_K_matmul_f16);
}

// Sizes come from the list, and the tiles cover the product.
static void test_sizes(void) {
  static const uint32_t shapes[][4] = {// m, n, k, subgroup
                                       {16, 16, 16, 32}, {16, 8, 16, 32},  {16, 8, 8, 32},
                                       {8, 8, 8, 8},     {8, 16, 16, 16},  {16, 16, 16, 64},
                                       {32, 32, 16, 16}, {64, 32, 32, 64}, {16, 16, 24, 32}};
  static const int64_t sizes[][3] = {{1, 1, 1}, {7, 300, 40}, {1000, 520, 72}, {4096, 4100, 64}, {70000, 130, 8}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0] && BUILT(matmul_cm_f16); i++)
    for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
      const uint32_t *s = shapes[i];
      const int64_t *d = sizes[j];
      struct vkd_device_caps caps = device(s[3]);
      add(&caps, s[0], s[1], s[2], VKD_COOPMAT_F16, VKD_COOPMAT_F32);
      struct vkd_tape_entry e = product(&caps, VKD_F16, d[0], d[1], d[2]);
      CHECK(e.kernel == VKD_K_matmul_cm_f16 && e.spec[0] == 4 * s[3] && e.spec[3] == s[0] && e.spec[4] == s[1] &&
                e.spec[5] == s[2],
            "shape %zu: row %s", i, vkd_kernel_blobs[e.kernel].name);
      int64_t rows = 2 * (int64_t)e.spec[6] * s[0], cols = 2 * (int64_t)e.spec[7] * s[1];
      CHECK(rows > 0 && cols > 0, "shape %zu: empty tiles", i);
      if (rows <= 0 || cols <= 0) continue;
      int64_t tiles = (d[0] + rows - 1) / rows * ((d[1] + cols - 1) / cols);
      CHECK((int64_t)e.groups[0] * e.groups[1] >= tiles, "shape %zu: %u x %u workgroups for %lld tiles", i, e.groups[0],
            e.groups[1], (long long)tiles);
      CHECK(vkd__coopmat_shared(&caps.coopmats[0], e.spec[6], e.spec[7]) <= caps.max_shared_bytes,
            "shape %zu: %u bytes of shared memory", i, vkd__coopmat_shared(&caps.coopmats[0], e.spec[6], e.spec[7]));
      CHECK(e.spec[8] == (d[2] % 8 == 0) && e.spec[9] == (d[2] % 8 == 0), "k %lld: vec %u, %u", (long long)d[2],
            e.spec[8], e.spec[9]);
    }
}

int main(void) {
  test_choice();
  test_sizes();
  return check_done();
}
