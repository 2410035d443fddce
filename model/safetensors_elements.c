// Elements of .safetensors tensors, from and to the types of a file.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "vkd/half.h"
#include "vkdm/safetensors.h"

// E4M3: 1 sign, 4 exponent (bias 7) and 3 fraction bits, no infinities, all ones is NaN: 2^8 of the F16 with these
// bits. Source: Micikevicius et al. 2022, arXiv:2209.05433
static float e4m3_value(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return NAN;
  return 256 * vkd_half_value(VKD_F16, (uint16_t)((bits & 0x80) << 8 | (bits & 0x7f) << 7));
}

static enum vkd_status check_part(const struct st_tensor *t, uint64_t first, uint64_t count, struct vkd_error *err) {
  if (first <= t->numel && count <= t->numel - first) return VKD_OK;
  return vkd_fail(err, VKD_ERR_INTERNAL,
                  "%s: tensor '%s': %" PRIu64 " elements at %" PRIu64 " of %" PRIu64 " asked for", st_path(t->file),
                  t->name, count, first, t->numel);
}

enum vkd_status st_read_f32_part(const struct st_tensor *t, uint64_t first, uint64_t count, float *dst,
                                 struct vkd_error *err) {
  if (check_part(t, first, count, err)) return VKD_ERR_INTERNAL;
  const unsigned char *src = (const unsigned char *)t->data + first * st_dtype_size(t->dtype);
  if (t->dtype == ST_F32) {
    if (count) memcpy(dst, src, (size_t)count * sizeof *dst);
  } else if (t->dtype == ST_F16 || t->dtype == ST_BF16) {
    for (uint64_t i = 0; i < count; i++) {
      uint16_t half;
      memcpy(&half, src + 2 * i, sizeof half);
      dst[i] = vkd_half_value(t->dtype == ST_F16 ? VKD_F16 : VKD_BF16, half);
    }
  } else if (t->dtype == ST_F64) {
    for (uint64_t i = 0; i < count; i++) {
      double value;
      memcpy(&value, src + 8 * i, sizeof value);
      dst[i] = (float)value;
      if (isinf(dst[i]) && !isinf(value))
        return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s': element %" PRIu64 " is %g, beyond F32", st_path(t->file),
                        t->name, first + i, value);
    }
  } else if (t->dtype == ST_F8_E4M3) {
    for (uint64_t i = 0; i < count; i++) dst[i] = e4m3_value(src[i]);
  } else if (t->dtype == ST_F8_E5M2) { // the upper half of an F16
    for (uint64_t i = 0; i < count; i++) dst[i] = vkd_half_value(VKD_F16, (uint16_t)(src[i] << 8));
  } else {
    return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' is %s; F64, F32, F16, BF16 or F8 is needed", st_path(t->file),
                    t->name, st_dtype_name(t->dtype));
  }
  return VKD_OK;
}

enum vkd_status st_read_i32_part(const struct st_tensor *t, uint64_t first, uint64_t count, int32_t *dst,
                                 struct vkd_error *err) {
  if (check_part(t, first, count, err)) return VKD_ERR_INTERNAL;
  const unsigned char *src = (const unsigned char *)t->data + first * st_dtype_size(t->dtype);
  if (t->dtype == ST_I32) {
    if (count) memcpy(dst, src, (size_t)count * sizeof *dst);
  } else if (t->dtype == ST_U8) {
    for (uint64_t i = 0; i < count; i++) dst[i] = src[i];
  } else if (t->dtype == ST_I64) {
    for (uint64_t i = 0; i < count; i++) {
      int64_t value;
      memcpy(&value, src + 8 * i, sizeof value);
      if (value < INT32_MIN || value > INT32_MAX)
        return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s': element %" PRIu64 " is %" PRId64 ", beyond 32 bits",
                        st_path(t->file), t->name, first + i, value);
      dst[i] = (int32_t)value;
    }
  } else {
    return vkd_fail(err, VKD_ERR_INPUT, "%s: tensor '%s' is %s; I32, I64 or U8 is needed", st_path(t->file), t->name,
                    st_dtype_name(t->dtype));
  }
  return VKD_OK;
}

enum vkd_status st_read_f32(const struct st_tensor *tensor, float *dst, struct vkd_error *err) {
  return st_read_f32_part(tensor, 0, tensor->numel, dst, err);
}

enum vkd_status st_read_i32(const struct st_tensor *tensor, int32_t *dst, struct vkd_error *err) {
  return st_read_i32_part(tensor, 0, tensor->numel, dst, err);
}

bool st_narrow(enum st_dtype dtype, const float *src, uint64_t count, void *dst, uint64_t *overflow) {
  uint16_t *halves = dst;
  if (dtype == ST_F32) memcpy(dst, src, (size_t)count * sizeof *src);
  for (uint64_t i = 0; i < count && dtype != ST_F32; i++) {
    uint16_t infinity = dtype == ST_F16 ? 0x7c00 : 0x7f80;
    halves[i] = vkd_half_bits(dtype == ST_F16 ? VKD_F16 : VKD_BF16, src[i]);
    if ((halves[i] & 0x7fff) == infinity && isfinite(src[i])) {
      *overflow = i;
      return false;
    }
  }
  return true;
}
