// Files written whole or not at all: a temporary name in the same folder, fsync, rename.
#ifndef VKDM_ATOMIC_FILE_H
#define VKDM_ATOMIC_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"

struct atomic_file {
  int fd;
  uint64_t size; // bytes appended so far
  char *path, *temp;
};

// Errors: VKD_ERR_INPUT where the folder is missing or may not be written; VKD_ERR_IO where writing fails (a full
// disk).
enum vkd_status atomic_file_create(struct atomic_file *f, const char *path, struct vkd_error *err);
enum vkd_status atomic_file_append(struct atomic_file *f, const void *data, size_t size, struct vkd_error *err);
enum vkd_status atomic_file_write_at(struct atomic_file *f, uint64_t offset, const void *data, size_t size,
                                     struct vkd_error *err);
// Both end the use of *f; commit aborts where it fails.
enum vkd_status atomic_file_commit(struct atomic_file *f, struct vkd_error *err);
void atomic_file_abort(struct atomic_file *f); // fine on a zeroed or ended *f

enum vkd_status atomic_file_write_all(const char *path, const void *data, size_t size, struct vkd_error *err);

#endif
