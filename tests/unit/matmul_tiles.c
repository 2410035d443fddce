// Which tiles and how many slices a matrix product takes on made-up devices, and that they cover it.
#include "fake_gpu.h"
#include "vkd/ops.h"

// The dispatches of a^T b, a [k,m], b [k,n]: the product, and the sum of its slices if there is one.
static uint32_t product(const struct vkd_device_caps *caps, int64_t m, int64_t n, int64_t k,
                        struct vkd_tape_entry out[2]) {
  struct vkd_error err = {0};
  struct vkd_graph *g = NULL;
  struct vkd_tape tape = {0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor a = vkd_input(g, "a", VKD_F32, VKD_SHAPE(k, m)), b = vkd_input(g, "b", VKD_F32, VKD_SHAPE(k, n));
  vkd_output(g, vkd_matmul(g, a, b, true, false, (vkd_tensor){0}, (vkd_tensor){0}));
  record_on(caps, g, &tape);
  uint32_t count = tape.count;
  CHECK(count == 1 || count == 2, "%u dispatches", count);
  for (uint32_t i = 0; i < count && i < 2; i++) out[i] = tape.entries[i];
  vkd__tape_free(&tape);
  vkd_graph_destroy(&g);
  return count;
}

static void test_choice(void) {
  static const struct {
    int64_t m, n, k;
    uint32_t lanes, shared, rows, slices; // the device's limits; what is expected
  } cases[] = {
      {4096, 4096, 1024, 1024, 49152, 128, 1},                                         // enough large tiles
      {4096, 4096, 1024, 256, 32768, 128, 1},   {4096, 4096, 1024, 128, 32768, 64, 1}, // too few lanes for them
      {4096, 4096, 1024, 1024, 16384, 32, 1}, // too little shared memory for any but the smallest
      {1024, 1024, 64, 1024, 32768, 64, 1},   // 64 large tiles would leave most of a GPU idle, and k is short
      {100, 100, 100, 1024, 32768, 32, 1},      {512, 512, 4096, 1024, 32768, 128, 16}, // a weight gradient: 16 tiles
      {512, 512, 65536, 1024, 32768, 128, 16},  {128, 128, 4096, 1024, 32768, 32, 16},  // slices of 256, no shorter
      {4096, 4096, 65536, 1024, 32768, 128, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct vkd_device_caps caps = fake_gpu(32, cases[i].lanes, cases[i].shared);
    struct vkd_tape_entry e[2];
    uint32_t count = product(&caps, cases[i].m, cases[i].n, cases[i].k, e);
    CHECK(e[0].kernel == VKD_K_matmul && e[0].spec[3] == cases[i].rows && e[0].groups[2] == cases[i].slices,
          "case %zu: row %s, tiles of %u, %u slices", i, vkd_kernel_blobs[e[0].kernel].name, e[0].spec[3],
          e[0].groups[2]);
    CHECK((count == 2) == (cases[i].slices > 1), "case %zu: %u dispatches", i, count);
    if (count == 2) CHECK(e[1].kernel == VKD_K_matmul_sum && e[1].barrier, "case %zu: no sum of slices", i);
  }
}

// Tiles cover the product, lanes make them, each slice has something to do, and scratch is bounded.
static void test_cover(void) {
  static const int64_t sizes[] = {1, 3, 31, 129, 500, 1000, 4100, 70000};
  enum { N = sizeof sizes / sizeof sizes[0] };
  struct vkd_device_caps caps = fake_gpu(32, 1024, 32768);
  for (int i = 0; i < N * N * N; i++) {
    int64_t m = sizes[i % N], n = sizes[i / N % N], k = sizes[i / N / N];
    struct vkd_tape_entry e[2];
    if (m * n > UINT32_MAX || m * k > UINT32_MAX || n * k > UINT32_MAX) continue;
    uint32_t count = product(&caps, m, n, k, e);
    int64_t rows = e[0].spec[3], cols = e[0].spec[4], step = e[0].spec[5], slices = e[0].groups[2];
    CHECK((int64_t)e[0].groups[0] * e[0].groups[1] >= (m + rows - 1) / rows * ((n + cols - 1) / cols),
          "%lld x %lld: %u x %u workgroups", (long long)m, (long long)n, e[0].groups[0], e[0].groups[1]);
    CHECK(e[0].spec[0] == rows / e[0].spec[6] * (cols / e[0].spec[7]), "%u lanes", e[0].spec[0]);
    CHECK(rows * step / 4 % e[0].spec[0] == 0 && cols * step / 4 % e[0].spec[0] == 0, "lanes do not share a tile");
    CHECK(2 * step * e[0].spec[6] >= cols, "no room for a row of sums");
    int64_t share = ((k + step - 1) / step + slices - 1) / slices * step;
    CHECK((slices - 1) * share < k, "k %lld: slice %lld of %lld is empty", (long long)k, (long long)slices,
          (long long)share);
    CHECK(count == 1 || slices * m * n <= 256 * 128 * 128, "%lld x %lld: %lld slices", (long long)m, (long long)n,
          (long long)slices);
  }
}

int main(void) {
  test_choice();
  test_cover();
  return check_done();
}
