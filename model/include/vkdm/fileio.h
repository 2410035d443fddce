// Files that are never half-written, and small files read whole.
#ifndef VKDM_FILEIO_H
#define VKDM_FILEIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vkd/status.h"

// A file being written under a temporary name in its own folder; the final name appears, complete, at fileio_commit().
//   struct fileio f = {0};
//   if (fileio_begin(&f, path, err) || fileio_write(&f, data, size, err) || fileio_commit(&f, err)) goto fail;
//   fail: fileio_abort(&f);   (nothing to do after a commit, or on a zeroed struct)
struct fileio {
  char *path, *temp;
  FILE *stream;  // for fprintf and the like; its errors are found by fileio_commit()
  uint64_t size; // bytes appended through fileio_write()
};

// Errors: VKD_ERR_INPUT where the folder does not exist or `path` is a folder or a device; VKD_ERR_IO otherwise.
enum vkd_status fileio_begin(struct fileio *f, const char *path, struct vkd_error *err);
enum vkd_status fileio_write(struct fileio *f, const void *data, size_t size, struct vkd_error *err);
// Overwrites bytes written before (a header whose numbers are known at the end); the end of the file stays where it is.
enum vkd_status fileio_write_at(struct fileio *f, uint64_t offset, const void *data, size_t size,
                                struct vkd_error *err);
enum vkd_status fileio_commit(struct fileio *f, struct vkd_error *err); // flush, fsync, rename, fsync of the folder
void fileio_abort(struct fileio *f);                                    // removes the temporary file

// The whole of a small file at once, through the calls above.
enum vkd_status fileio_write_whole(const char *path, const void *data, size_t size, struct vkd_error *err);

// *data: malloc'd, a NUL is put after the last byte; *size may be NULL.
// Errors: VKD_ERR_INPUT for a missing file, a folder, or more than `limit` bytes.
enum vkd_status fileio_read_whole(const char *path, size_t limit, char **data, size_t *size, struct vkd_error *err);

// Creates a folder and its parents, durably; one that exists already is success.
enum vkd_status fileio_make_dirs(const char *path, struct vkd_error *err);

// Makes renames and new names in a folder durable.
enum vkd_status fileio_sync_dir(const char *path, struct vkd_error *err);

// Removes the temporary files that killed processes left in a folder; for its owner, since those of living ones go too.
void fileio_remove_temps(const char *folder);

// Makes the process the folder's only owner until fileio_unlock() or its end, whatever that is. FOLDER/.lock stays and
// holds the owner's pid.  *lock: -1 where the file system knows no locks (a warning tells).
// Errors: VKD_ERR_USAGE naming the process that owns it.
enum vkd_status fileio_lock(const char *folder, int *lock, struct vkd_error *err);
void fileio_unlock(int *lock);

bool fileio_is_dir(const char *path);
bool fileio_is_file(const char *path);
bool fileio_is_missing(const char *path);          // surely: false where the disk does not tell
bool fileio_is_same(const char *a, const char *b); // both exist and are one file, under whatever names

// "PATH: cannot DOING it: " and errno's text.  VKD_ERR_INPUT for what the user can mend (a wrong path, a right that is
// missing), VKD_ERR_IO for disks that are full or broken.
enum vkd_status fileio_fail(const char *doing, const char *path, struct vkd_error *err);

// "folder/name", malloc'd; NULL: out of memory.
char *fileio_join(const char *folder, const char *name);

#endif
