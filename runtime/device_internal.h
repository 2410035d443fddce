// The device's data.  Internal to runtime/.
#ifndef VKD_DEVICE_INTERNAL_H
#define VKD_DEVICE_INTERNAL_H

#include <stdatomic.h>
#include <vulkan/vulkan.h>

#include "cache.h"
#include "lower.h"
#include "vkd/compile.h"
#include "vkd/device.h"
#include "vulkan_newer.h"

struct vkd_pipeline; // kernel.c
struct vkd_reload;   // reload.c
struct vkd_tape;     // record.h

struct vkd__queue {
  VkQueue handle;
  uint32_t family;
  VkCommandPool pool;
  VkSemaphore timeline;        // counts submits
  uint64_t submitted, awaited; // awaited: what is known to be done
  VkCommandBuffer *spare;      // given back, to be begun again
  uint32_t spare_count, spare_room;
};

// A submission of a program, by its ticket.
struct vkd_program;
struct vkd__note {
  uint64_t ticket;
  const struct vkd_program *program; // NULL: none
  uint32_t piece;
};
enum { VKD__NOTES = 1024 };

struct vkd_device {
  struct vkd_device_caps caps;
  VkInstance instance;
  VkDebugUtilsMessengerEXT messenger;
  VkPhysicalDevice physical;
  VkDevice handle;
  struct vkd__queue compute, uploads; // uploads.handle NULL: they go with the computing
  uint64_t uploads_awaited;           // of uploads.submitted, what computing waits for already
  uint64_t fake_buffers;              // made-up addresses so far
  bool compile_only, statistics;      // the driver keeps statistics of pipelines
  uint64_t import_unit;               // bytes: pages of the host are imported in multiples of it; 0: not at all
  uint64_t allocated, peak;
  double budget_s;              // of a submission, seconds; 0: none
  atomic_uint validation_count; // threads that create pipelines may be told at once
  char validation_first[512];
  struct vkd__note notes[VKD__NOTES]; // the last ones
  struct vkd__host_buffer *marks;     // $VKD_SYNC=full: number of the cut last started, from 1; else NULL
  struct vkd__host_buffer *staging;   // created at the first write or read
  struct vkd_tune *tune;              // what was measured on it; NULL on a fake device
  // kernel.c
  char cache_path[VKD_CACHE_PATH];
  VkPipelineCache cache;
  VkPipelineLayout layout;
  struct vkd_pipeline *pipelines;
  uint32_t pipeline_count, pipeline_cap;
  struct vkd_reload *reload; // NULL: kernels stay as the build made them
  uint32_t generation;       // counts changes of pipelines that were made
};

// "vkCreateBuffer for 12.0 MiB of temporaries": fails with the VkResult's name.
enum vkd_status vkd__vk_fail(struct vkd_error *err, VkResult result, const char *fmt, ...) VKD_PRINTF(3, 4);

// ---- caps.c ----
bool vkd__has_extension(VkPhysicalDevice physical, const char *name);
void vkd__caps_read(VkInstance instance, VkPhysicalDevice physical, uint32_t index, struct vkd_device_caps *caps);
// Fills what follows from the queue families and nanoseconds per tick.
void vkd__caps_queues(struct vkd_device_caps *caps, double period_ns);
// Fills caps->unusable, the others being known.
// Whether kernels can be compiled for it, though it may lack memory to run them.
bool vkd__caps_compiles(const struct vkd_device_caps *caps);
void vkd__caps_judge(struct vkd_device_caps *caps);
// The first type among `allowed` (a bit each) that has all flags of `want` and none that needs a feature of its own;
// UINT32_MAX: none.
uint32_t vkd__memory_type(const struct vkd_device_caps *caps, uint32_t allowed, uint32_t want);
// Of two timestamps, whose counter may have started anew between them.
static inline uint64_t vkd__ticks_between(const struct vkd_device_caps *caps, uint64_t before, uint64_t after) {
  return (after - before) & caps->timestamp_mask;
}
// Whether the device's own memory is the host's too, not just a window of it: a card without a large PCI window has
// 256 MiB that the host reaches, which are left to the driver.
bool vkd__can_map(const struct vkd_device_caps *caps);

// coopmat.c: fills caps->bf16 and the coopmat* members, the others being known.
void vkd__coopmat_read(VkInstance instance, VkPhysicalDevice physical, struct vkd_device_caps *caps);
// What a logical device enables for them: chains `f` before *next, and gives 0 to 3 names of extensions.
struct vkd__coopmat_features {
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups;
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bf16;
};
uint32_t vkd__coopmat_enable(const struct vkd_device_caps *caps, struct vkd__coopmat_features *f, void **next,
                             const char **names);

// executable.c: whether the driver tells of pipelines; fills out->stats and out->subgroup.
bool vkd__executable_has(VkPhysicalDevice physical);
enum vkd_status vkd__executable_read(struct vkd_device *dev, VkPipeline pipeline, struct vkd_compiled *out,
                                     struct vkd_error *err);

// A mapped, coherent buffer for transfers.
struct vkd__host_buffer {
  VkBuffer handle;
  VkDeviceMemory memory;
  void *map;
  uint64_t bytes;
  void *pages; // of this process, imported; NULL: the driver's
};
enum vkd_status vkd__host_buffer_create(struct vkd__host_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                        struct vkd_error *err);
// The same of pages of this process (VK_EXT_external_memory_host) where the device takes them: network cards and other
// processes reach these without a copy, which they often cannot where the driver maps its own.
enum vkd_status vkd__host_buffer_import(struct vkd__host_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                        struct vkd_error *err);
void vkd__host_buffer_destroy(struct vkd_device *dev, struct vkd__host_buffer **buffer);

struct vkd_buffer {
  struct vkd_device *dev;
  uint64_t bytes;
  VkBuffer handle;
  VkDeviceMemory memory;
  uint64_t address; // a made-up one on a fake device
  void *map;        // NULL: not mapped
  bool readable;    // can be mapped, and is read fast there
};
// Of memory that the host reaches; once.
enum vkd_status vkd__buffer_map(struct vkd_buffer *buffer, struct vkd_error *err);

// As vkd_buffer_create(), and mapped where there is a large enough heap that is the device's own and the host's too.
enum vkd_status vkd__buffer_create_mapped(struct vkd_buffer **out, struct vkd_device *dev, uint64_t bytes,
                                          struct vkd_error *err);

// ---- lost.c ----
void vkd__note_submit(struct vkd_device *dev, const struct vkd_program *program, uint32_t piece, uint64_t ticket);
void vkd__forget_program(struct vkd_device *dev, const struct vkd_program *program);
// Fails: "`doing` DEVICE", or where the device is lost, with the kernel that it was at.
enum vkd_status vkd__queue_fail(struct vkd_device *dev, VkResult result, const char *doing, struct vkd_error *err);

// ---- queue.c ----
struct vkd__queue_choice {
  uint32_t compute, uploads, index; // families; index: of the uploads' queue in its family
  bool apart;                       // uploads have their own
};
// False where nothing computes.  $VKD_UPLOAD_QUEUE=0: uploads go with the computing; 1: apart, if need be with a
// timeline of their own on the one queue there is.
bool vkd__queues_find(const struct vkd_device_caps *caps, struct vkd__queue_choice *choice);
enum vkd_status vkd__queues_open(struct vkd_device *dev, const struct vkd__queue_choice *choice, struct vkd_error *err);
void vkd__queues_close(struct vkd_device *dev);
struct vkd__queue *vkd__upload_queue(struct vkd_device *dev); // the computing one where there is no other

// Submits command buffers to the computing queue, after all uploads so far; *ticket is what vkd__wait() waits for.
enum vkd_status vkd__submit(struct vkd_device *dev, const VkCommandBuffer *commands, uint32_t count, uint64_t *ticket,
                            struct vkd_error *err);
// Submits one to vkd__upload_queue(): after the computing of ticket `after` (0: none) where that is another queue, else
// after everything.
enum vkd_status vkd__submit_upload(struct vkd_device *dev, VkCommandBuffer command, uint64_t after, uint64_t *ticket,
                                   struct vkd_error *err);
enum vkd_status vkd__wait(struct vkd_device *dev, struct vkd__queue *queue, uint64_t ticket, struct vkd_error *err);
// The same for `seconds` at most.
enum vkd_status vkd__wait_for(struct vkd_device *dev, struct vkd__queue *queue, uint64_t ticket, double seconds,
                              bool *done, struct vkd_error *err);
// *out: one to record, to be given back whatever follows; NULL where it fails.
enum vkd_status vkd__command_begin(struct vkd_device *dev, struct vkd__queue *queue, VkCommandBuffer *out,
                                   VkCommandBufferUsageFlags usage, struct vkd_error *err);
// Gives it back once its work is done; *command becomes NULL, which it may be already.
void vkd__command_free(struct vkd_device *dev, struct vkd__queue *queue, VkCommandBuffer *command);
// `before`, of all commands before it, is done and visible to `after` of all that follow; the stages are those that do
// such accesses: SHADER (of compute), TRANSFER and HOST.
void vkd__barrier(VkCommandBuffer command, VkAccessFlags before, VkAccessFlags after);
enum {
  VKD__SHADERS = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
  VKD__COPIES = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT
};

// kernel.c
enum vkd_status vkd__kernels_open(struct vkd_device *dev, const char *cache_dir, struct vkd_error *err);
void vkd__kernels_close(struct vkd_device *dev);
enum vkd_status vkd__pipeline(struct vkd_device *dev, const struct vkd_dispatch *d, VkPipeline *out,
                              struct vkd_error *err);
// Makes those of a tape that are not made yet, several at once.  Errors: the first one in the tape's order; those made
// before it are kept.
enum vkd_status vkd__pipelines_make(struct vkd_device *dev, const struct vkd_tape *tape, struct vkd_error *err);
// Makes pipelines of the marked rows anew; nothing that uses them may be pending.  One that fails stays as it was.
void vkd__pipelines_rebuild(struct vkd_device *dev, const bool changed[VKD_K_COUNT]);

#endif
