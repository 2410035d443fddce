// Shared memory as it is read from the kernels' SPIR-V, beside what the host's code counts.
#include "spirv_shared.h"

#include "check.h"
#include "vkd_kernels.h"

static uint64_t shared_of(enum vkd_kernel_id kernel, const uint32_t *spec, uint32_t count) {
  uint64_t bytes = 0;
  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[kernel];
  CHECK(vkd__spirv_shared(blob->code, blob->bytes, spec, count, &bytes), "%s", blob->name);
  return bytes;
}

static void check_bytes(uint64_t got, uint64_t want) {
  CHECK(got == want, "%llu bytes, not %llu", (unsigned long long)got, (unsigned long long)want);
}

int main(void) {
  const uint32_t tile[] = {128, 0, 1, 64, 64, 16, 8, 4, 0, 0, 4}, lanes[] = {96, 8}, wide[] = {256, 64};
  check_bytes(shared_of(VKD_K_matmul, tile, 11), 4 * 2 * 16 * (64 + 4 + 64 + 4));
  check_bytes(shared_of(VKD_K_sum_rows, lanes, 2), 4 * 96); // an array as long as the workgroup
  check_bytes(shared_of(VKD_K_sum_rows_4, wide, 2), 16 * 256);
  check_bytes(shared_of(VKD_K_add, lanes, 1), 0);

  const struct vkd_kernel_blob *blob = &vkd_kernel_blobs[VKD_K_matmul];
  uint64_t bytes;
  CHECK(!vkd__spirv_shared(blob->code, 16, tile, 11, &bytes), "a header cut short");
  const uint32_t cut[] = {0x07230203, 0x10000, 0, 4, 0, 4u << 16 | 43, 1, 2}; // a constant without its value
  CHECK(!vkd__spirv_shared(cut, sizeof cut, tile, 11, &bytes), "an instruction cut short");
  const uint32_t other[] = {1, 2, 3, 4, 5, 6};
  CHECK(!vkd__spirv_shared(other, sizeof other, tile, 11, &bytes), "no SPIR-V");
  return check_done();
}
