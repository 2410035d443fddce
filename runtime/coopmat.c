// Cooperative matrices: what a device lists, what is enabled for them, which shape the kernels take.
#include <stdlib.h>
#include <string.h>

#include "device_internal.h"

static enum vkd_coopmat_type type_of(VkComponentTypeKHR type) {
  static const struct {
    VkComponentTypeKHR vk;
    enum vkd_coopmat_type type;
  } map[] = {
      {VK_COMPONENT_TYPE_FLOAT16_KHR, VKD_COOPMAT_F16}, {VK_COMPONENT_TYPE_BFLOAT16_KHR, VKD_COOPMAT_BF16},
      {VK_COMPONENT_TYPE_FLOAT32_KHR, VKD_COOPMAT_F32}, {VK_COMPONENT_TYPE_FLOAT64_KHR, VKD_COOPMAT_F64},
      {VK_COMPONENT_TYPE_SINT8_KHR, VKD_COOPMAT_S8},    {VK_COMPONENT_TYPE_UINT8_KHR, VKD_COOPMAT_U8},
      {VK_COMPONENT_TYPE_SINT32_KHR, VKD_COOPMAT_S32},  {VK_COMPONENT_TYPE_UINT32_KHR, VKD_COOPMAT_U32},
  };
  for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
    if (map[i].vk == type) return map[i].type;
  return VKD_COOPMAT_OTHER;
}

const char *vkd_coopmat_type_name(enum vkd_coopmat_type type) {
  static const char *const names[] = {"f16", "bf16", "f32", "f64", "s8", "u8", "s32", "u32", "other"};
  return names[type];
}

// Shapes at subgroup scope; bfloat16 ones only where shaders may use them.
static void read_shapes(VkInstance instance, VkPhysicalDevice physical, bool bf16, struct vkd_device_caps *caps) {
  PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR query =
      (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
          instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
  uint32_t n = 0;
  if (!query || query(physical, &n, NULL) != VK_SUCCESS) return;
  VkCooperativeMatrixPropertiesKHR *list = calloc((size_t)n + 1, sizeof *list);
  for (uint32_t i = 0; list && i < n; i++) list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  if (!list || query(physical, &n, list) != VK_SUCCESS) n = 0;
  for (uint32_t i = 0; i < n && caps->coopmat_count < VKD_COOPMAT_MAX; i++) {
    const VkCooperativeMatrixPropertiesKHR *p = &list[i];
    struct vkd_coopmat shape = {.m = p->MSize,
                                .n = p->NSize,
                                .k = p->KSize,
                                .a = type_of(p->AType),
                                .b = type_of(p->BType),
                                .c = type_of(p->CType),
                                .result = type_of(p->ResultType)};
    if (p->scope != VK_SCOPE_SUBGROUP_KHR || p->saturatingAccumulation) continue;
    if (!bf16 && (shape.a == VKD_COOPMAT_BF16 || shape.b == VKD_COOPMAT_BF16 || shape.c == VKD_COOPMAT_BF16 ||
                  shape.result == VKD_COOPMAT_BF16))
      continue;
    caps->coopmats[caps->coopmat_count++] = shape;
  }
  free(list);
}

void vkd__coopmat_read(VkInstance instance, VkPhysicalDevice physical, struct vkd_device_caps *caps) {
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bf16 = {.sType =
                                                        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceFeatures2 f = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12};
  bool lists = vkd__has_extension(physical, "VK_KHR_cooperative_matrix");
  if (vkd__has_extension(physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
    subgroups.pNext = f.pNext;
    f.pNext = &subgroups;
  }
  if (vkd__has_extension(physical, "VK_KHR_shader_bfloat16")) {
    bf16.pNext = f.pNext;
    f.pNext = &bf16;
  }
  if (lists) {
    coopmat.pNext = f.pNext;
    f.pNext = &coopmat;
  }
  vkGetPhysicalDeviceFeatures2(physical, &f);
  caps->bf16 = bf16.shaderBFloat16Type;
  // their SPIR-V uses that memory model, and their pipelines must ask for whole subgroups
  caps->coopmat = coopmat.cooperativeMatrix && f12.vulkanMemoryModel && subgroups.computeFullSubgroups;
  // lavapipe (Mesa 26.1) lists shapes for subgroups of 16 too, and crashes when it compiles any use of them
  if (caps->kind == VKD_DEVICE_SOFTWARE && caps->subgroup_size != 8) caps->coopmat = false;
  if (caps->coopmat) read_shapes(instance, physical, bf16.shaderBFloat16CooperativeMatrix, caps);
}

uint32_t vkd__coopmat_enable(const struct vkd_device_caps *caps, struct vkd__coopmat_features *f, void **next,
                             const char **names) {
  uint32_t count = 0;
  bool bf16_shapes = false;
  for (uint32_t i = 0; i < caps->coopmat_count; i++) bf16_shapes |= caps->coopmats[i].a == VKD_COOPMAT_BF16;
  if (caps->coopmat) {
    f->coopmat = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = *next,
        .cooperativeMatrix = VK_TRUE};
    f->subgroups = (VkPhysicalDeviceSubgroupSizeControlFeatures){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .pNext = &f->coopmat,
        .computeFullSubgroups = VK_TRUE};
    *next = &f->subgroups;
    names[count++] = "VK_KHR_cooperative_matrix";
    names[count++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
  }
  if (caps->bf16) {
    f->bf16 = (VkPhysicalDeviceShaderBfloat16FeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
        .pNext = *next,
        .shaderBFloat16Type = VK_TRUE,
        .shaderBFloat16CooperativeMatrix = bf16_shapes};
    *next = &f->bf16;
    names[count++] = "VK_KHR_shader_bfloat16";
  }
  return count;
}

const struct vkd_coopmat *vkd__coopmat_for(const struct vkd_device_caps *caps, enum vkd_dtype dtype) {
  if (!caps->coopmat || !vkd_dtype_16bit(dtype) || 4 * caps->subgroup_size > vkd__max_lanes(caps)) return NULL;
  enum vkd_coopmat_type type = dtype == VKD_F16 ? VKD_COOPMAT_F16 : VKD_COOPMAT_BF16;
  const struct vkd_coopmat *best = NULL;
  for (uint32_t i = 0; i < caps->coopmat_count; i++) {
    const struct vkd_coopmat *s = &caps->coopmats[i];
    if (s->a != type || s->b != type || s->c != VKD_COOPMAT_F32 || s->result != VKD_COOPMAT_F32) continue;
    // staged 8 elements at a time, and a block of one matrix must fit shared memory
    if (!s->m || !s->n || !s->k || s->m % 8 || s->n % 8 || s->k % 8 || s->m > 64 || s->n > 64 || s->k > 64) continue;
    if (vkd__coopmat_shared(s, 1, 1) > caps->max_shared_bytes) continue;
    if (!best || s->m * s->n * s->k > best->m * best->n * best->k) best = s;
  }
  return best;
}

uint32_t vkd__coopmat_shared(const struct vkd_coopmat *s, uint32_t rows, uint32_t cols) {
  uint32_t k = s->k > 16 ? s->k : 32 / s->k * s->k, m = 2 * rows * s->m, n = 2 * cols * s->n;
  uint32_t a = m * (k + 8) > k * (m + 8) ? m * (k + 8) : k * (m + 8);
  uint32_t b = n * (k + 8) > k * (n + 8) ? n * (k + 8) : k * (n + 8);
  uint32_t operands = 2 * (a + b), sums = 4 * 4 * s->m * s->n;
  return operands > sums ? operands : sums;
}
