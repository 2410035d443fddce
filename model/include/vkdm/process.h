// A child process with pipes; its error output is kept for the message when it fails.  No shell is involved.
#ifndef VKDM_PROCESS_H
#define VKDM_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "vkd/status.h"

enum { PROCESS_STDIN = 1, PROCESS_STDOUT = 2 }; // which of its streams we hold; the others are /dev/null

struct process {
  pid_t pid; // 0: none
  int in, out, err;
  size_t tail_size;
  char tail[1024]; // the end of what it wrote to its error output
};

// argv[0] is looked up on PATH.  Errors: VKD_ERR_UNSUPPORTED where there is no such program, VKD_ERR_IO otherwise.
enum vkd_status process_start(struct process *p, char *const argv[], int streams, struct vkd_error *err);

// Fills buffer from its output; *got < size only at the end of the output.
enum vkd_status process_read(struct process *p, void *buffer, size_t size, size_t *got, struct vkd_error *err);
// *written < size only where it stopped reading.
enum vkd_status process_write(struct process *p, const void *buffer, size_t size, size_t *written,
                              struct vkd_error *err);

// Closes its streams and waits.  *exit_status: 0..255, or 256 + the signal that ended it.
enum vkd_status process_finish(struct process *p, int *exit_status, struct vkd_error *err);
void process_kill(struct process *p); // fine on a zeroed or finished *p

// The last line of its error output that is not empty, without control characters; "" where there is none.
const char *process_last_line(struct process *p);

#endif
