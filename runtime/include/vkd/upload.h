// A device buffer that the host fills again and again while programs that use other buffers run: streamed weights.
#ifndef VKD_UPLOAD_H
#define VKD_UPLOAD_H

#include "vkd/device.h"

struct vkd_upload;

// Errors: VKD_ERR_DEVICE_MEMORY.  bytes <= caps.max_allocation.
enum vkd_status vkd_upload_create(struct vkd_upload **out, struct vkd_device *dev, uint64_t bytes,
                                  struct vkd_error *err);
void vkd_upload_destroy(struct vkd_upload **upload); // NULL inside is fine

struct vkd_buffer *vkd_upload_buffer(const struct vkd_upload *upload); // for vkd_bound()

// Whether the host writes the buffer itself, in memory that both reach (all of a software or integrated device's, and
// of a graphics card with a large PCI window): then nothing is copied.  Where not, there is a staging buffer of the
// same size on the host, and the copy stands in the device's queue between the programs.  $VKD_UPLOAD=staging asks for
// that everywhere.
bool vkd_upload_mapped(const struct vkd_upload *upload);

// Waits until what was flushed last is needed no more; then map [bytes] may be written.
enum vkd_status vkd_upload_wait(struct vkd_upload *upload, void **map, struct vkd_error *err);
// Programs submitted from now on see what was written.
enum vkd_status vkd_upload_flush(struct vkd_upload *upload, struct vkd_error *err);
// A program that reads the buffer was just submitted.
void vkd_upload_used(struct vkd_upload *upload);

#endif
