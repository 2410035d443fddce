// Status codes and the error a caller receives.  Libraries return a status and fill `struct vkd_error`; they never
// print or exit.
#ifndef VKD_STATUS_H
#define VKD_STATUS_H

// code, exit status of a program that ends with it (2: bad usage or bad input, 1: the work failed), message
#define VKD_STATUS_MAP(X)                                                                                              \
  X(OK, 0, "success")                                                                                                  \
  X(ERR_USAGE, 2, "bad usage")                                                                                         \
  X(ERR_INPUT, 2, "bad input")                                                                                         \
  X(ERR_NO_DEVICE, 2, "no usable device")                                                                              \
  X(ERR_UNSUPPORTED, 2, "not supported")                                                                               \
  X(ERR_SHAPE, 2, "shapes do not fit")                                                                                 \
  X(ERR_DTYPE, 2, "wrong element type")                                                                                \
  X(ERR_DEVICE_MEMORY, 2, "does not fit device memory")                                                                \
  X(ERR_HOST_MEMORY, 1, "out of host memory")                                                                          \
  X(ERR_IO, 1, "input/output failed")                                                                                  \
  X(ERR_VULKAN, 1, "Vulkan call failed")                                                                               \
  X(ERR_DEVICE_LOST, 1, "the device stopped working")                                                                  \
  X(ERR_DIVERGED, 1, "numbers are not finite")                                                                         \
  X(ERR_MISMATCH, 1, "results differ")                                                                                 \
  X(ERR_INTERNAL, 1, "internal error")

enum vkd_status {
#define X(code, exit_code, message) VKD_##code,
  VKD_STATUS_MAP(X)
#undef X
};

struct vkd_error {
  enum vkd_status status;
  int vk_result;   // VkResult where a Vulkan call failed, else 0
  char what[1024]; // one line: the object or file, the place, the numbers, the mend
};

#if defined(__GNUC__)
#define VKD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VKD_PRINTF(fmt, args)
#endif

// Fills *err (NULL allowed; the first error stays) and returns `status`.
enum vkd_status vkd_fail(struct vkd_error *err, enum vkd_status status, const char *fmt, ...) VKD_PRINTF(3, 4);
#ifdef __clang_analyzer__ // which does not see the definition
#define vkd_fail(err, status, ...) ((vkd_fail)(err, status, __VA_ARGS__), status)
#endif

// Puts "prefix: " before the message already in *err, and returns its status.
enum vkd_status vkd_error_prefix(struct vkd_error *err, const char *fmt, ...) VKD_PRINTF(2, 3);

// Control characters become '?': what stands in a file must neither break a message's line nor speak to a terminal. The
// functions above do so by themselves.
void vkd_make_plain(char *text);

const char *vkd_status_name(enum vkd_status status);
const char *vkd_status_message(enum vkd_status status);
int vkd_status_exit_code(enum vkd_status status);

#endif
