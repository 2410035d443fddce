// The rows of manifest.def: what a row needs, and its SPIR-V.
#ifndef VKD_KERNELS_H
#define VKD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// What a row asks of compiler and device; the build reads these lines too.  A need with cmake/probe/<need>.comp is tried on the
// compiler at configure time, and rows are left out when it is refused.
enum vkd_kernel_need {
  NEEDS_F16 = 1 << 0,       // shaderFloat16 and 16-bit storage
  NEEDS_SUBGROUP = 1 << 1,  // subgroup arithmetic, shuffle and ballot in compute
  NEEDS_COOPMAT = 1 << 2,   // VK_KHR_cooperative_matrix
  NEEDS_COOPMAT2 = 1 << 3,  // VK_NV_cooperative_matrix2
  NEEDS_BF16 = 1 << 4,      // VK_KHR_shader_bfloat16
  NEEDS_INT_DOT = 1 << 5,   // VK_KHR_shader_integer_dot_product
  NEEDS_CPU_LANES = 1 << 6, // a subgroup is 8 lanes of a CPU's vector registers
  NEEDS_STORAGE16 = 1 << 7, // storageBuffer16BitAccess: 16-bit loads and stores, arithmetic in 32 bits
  NEEDS_SOFTWARE = 1 << 8,  // a driver that runs subgroups of 4, 8 or 16 on a CPU
};

enum vkd_kernel_id {
#define KERNEL(name, file, defines, needs) VKD_K_##name,
#include "../manifest.def"
#undef KERNEL
  VKD_K_COUNT
};

struct vkd_kernel_blob {
  const char *name;
  const uint32_t *code;    // SPIR-V; NULL: left out of this build
  size_t bytes;
  uint32_t needs;          // enum vkd_kernel_need, or-ed
  const char *skip_reason; // why code is NULL
};

// Indexed by enum vkd_kernel_id.
extern const struct vkd_kernel_blob vkd_kernel_blobs[VKD_K_COUNT];

#endif
