// A Vulkan device, its capabilities as public data, and buffers on it.
// One device is used by one thread at a time.
#ifndef VKD_DEVICE_H
#define VKD_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

// A cooperative matrix product at subgroup scope: result [m,n] = a [m,k] b [k,n] + c.
enum vkd_coopmat_type {
  VKD_COOPMAT_F16,
  VKD_COOPMAT_BF16,
  VKD_COOPMAT_F32,
  VKD_COOPMAT_F64,
  VKD_COOPMAT_S8,
  VKD_COOPMAT_U8,
  VKD_COOPMAT_S32,
  VKD_COOPMAT_U32,
  VKD_COOPMAT_OTHER
};
struct vkd_coopmat {
  uint32_t m, n, k;
  enum vkd_coopmat_type a, b, c, result;
};
enum { VKD_COOPMAT_MAX = 64 };
const char *vkd_coopmat_type_name(enum vkd_coopmat_type type); // "f16", "bf16", "f32", ...

enum vkd_device_kind { VKD_DEVICE_DISCRETE, VKD_DEVICE_INTEGRATED, VKD_DEVICE_SOFTWARE, VKD_DEVICE_OTHER };

struct vkd_memory_heap {
  uint64_t bytes, budget; // budget: what of it may be used now, or bytes where the driver does not say
  bool device;            // the device's own
};
enum { VKD_MEMORY_DEVICE = 1, VKD_MEMORY_HOST = 2, VKD_MEMORY_COHERENT = 4, VKD_MEMORY_CACHED = 8 };
struct vkd_memory_type {
  uint32_t heap, flags; // flags as Vulkan has them: VKD_MEMORY_*, and those above, which vkdit uses no type with
};
enum { VKD_QUEUE_GRAPHICS = 1, VKD_QUEUE_COMPUTE = 2, VKD_QUEUE_TRANSFER = 4 };
struct vkd_queue_family {
  uint32_t flags, count, timestamp_bits; // flags as Vulkan has them; 0 bits: no timestamps
};
enum { VKD_MEMORY_HEAPS = 16, VKD_MEMORY_TYPES = 32, VKD_QUEUE_FAMILIES = 16 };

struct vkd_device_caps {
  char name[256], driver[256], driver_info[256];
  uint32_t index; // as `--device N` counts
  uint32_t vendor_id, device_id, driver_version, api_version;
  uint8_t uuid[16];
  enum vkd_device_kind kind;
  bool fake;
  uint32_t subgroup_size;
  uint32_t max_workgroup_invocations, max_workgroup_size[3], max_workgroup_count[3];
  uint32_t max_shared_bytes, max_push_bytes;
  uint64_t max_allocation; // bytes of one buffer
  uint64_t memory_bytes;   // device-local heap
  uint64_t memory_budget;  // what of it may be used now, or memory_bytes where the driver does not say
  bool budget_known;       // VK_EXT_memory_budget
  uint32_t heap_count, memory_type_count, queue_family_count;
  struct vkd_memory_heap heaps[VKD_MEMORY_HEAPS];
  struct vkd_memory_type memory_types[VKD_MEMORY_TYPES];
  struct vkd_queue_family queue_families[VKD_QUEUE_FAMILIES]; // the first ones
  bool has_compute_queue;
  uint32_t compute_family, upload_family;
  double timestamp_ns;     // nanoseconds per tick of the computing queue; 0: no timestamps
  uint64_t timestamp_mask; // bits of a timestamp that count
  bool shader_f16, storage_16bit, coopmat, bf16, subgroup_arithmetic, buffer_device_address, timeline_semaphore;
  bool upload_queue;      // uploads have a queue of their own, beside computing; $VKD_UPLOAD_QUEUE (0, 1) overrides
  bool cpu_lanes;         // a subgroup is 8 lanes of a CPU's vector registers, and loads at one address are cheap there
  uint32_t coopmat_count; // those without saturation, the first VKD_COOPMAT_MAX of them
  struct vkd_coopmat coopmats[VKD_COOPMAT_MAX]; // as the driver lists them
  char unusable[160];                           // empty: usable; else what is lacking
};

struct vkd_device_params {
  const char *select; // number, or part of the name; NULL: $VKD_DEVICE, else discrete, integrated, software
  uint32_t turn;      // where nothing selects one: which of the best kind's, counted around
  const struct vkd_device_caps
      *fake;             // a device that runs nothing but takes these limits: planning works, running does not
  const char *cache_dir; // NULL: $VKD_CACHE_DIR, $XDG_CACHE_HOME/vkdit, ~/.cache/vkdit; "" : no cache
  bool compile_only;     // for vkd/compile.h: has no queues, so that nothing runs; one that cannot run will do
  uint64_t memory_limit; // bytes that the budget is lowered to; 0: $VKD_MEMORY_LIMIT in MiB, else not lowered
};

struct vkd_device;

// Every device of the machine, in the order that `--device N` counts; *list is freed with free().
enum vkd_status vkd_device_list(struct vkd_device_caps **list, uint32_t *count, struct vkd_error *err);

// Errors: VKD_ERR_NO_DEVICE when none fits, with what there is.
enum vkd_status vkd_device_create(struct vkd_device **out, const struct vkd_device_params *params,
                                  struct vkd_error *err);
void vkd_device_destroy(struct vkd_device **dev);
const struct vkd_device_caps *vkd_device_get_caps(const struct vkd_device *dev);
const char *vkd_device_kind_name(enum vkd_device_kind kind);

// Bytes now allocated on the device, and the most there have been.
uint64_t vkd_device_allocated(const struct vkd_device *dev, uint64_t *peak);

// Number of complaints of the validation layer so far (it runs when VKD_VALIDATE=1), the first one in `first` (may be
// NULL).
uint32_t vkd_device_validation(const struct vkd_device *dev, char *first, size_t size);

// Device memory, zeroed, with an unused pad behind it.  bytes <= caps.max_allocation.
struct vkd_buffer;
enum vkd_status vkd_buffer_create(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                  struct vkd_error *err);
void vkd_buffer_destroy(struct vkd_buffer **buffer);
uint64_t vkd_buffer_bytes(const struct vkd_buffer *buffer);

// Through a bounded staging buffer; both wait until done.
enum vkd_status vkd_buffer_write(struct vkd_buffer *buffer, uint64_t offset, const void *src, uint64_t bytes,
                                 struct vkd_error *err);
enum vkd_status vkd_buffer_read(struct vkd_buffer *buffer, uint64_t offset, void *dst, uint64_t bytes,
                                struct vkd_error *err);

#endif
