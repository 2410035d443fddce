// vkdit bench: what its parts share.
#ifndef VKDIT_BENCH_H
#define VKDIT_BENCH_H

#include <jansson.h>

#include "cmd.h"
#include "vkd/device.h"

struct bench_run {
  const struct cmd_args *args;
  struct vkd_device_params wanted;
  struct vkd_device *dev;
  const struct vkd_device_caps *caps;
  int runs;
  json_t *root, *rows; // of --json or --save; NULL: neither was given
  bool text, begun;    // text is printed; its first line was
  int named, timed;    // rows that --only names, all of them without it; of these, rows that are not left out
};

// Before a row of text: prints the device's name before the first, where it is true.
bool bench_begin(struct bench_run *run);

// Whether a row is to be timed: --only is a part of its name, and software devices leave out what takes more than
// `small` FLOPs, unless --all is given.  Counts.
bool bench_wanted(struct bench_run *run, const char *name, double flops, double small);

// Parts, each of which prints its rows or appends them.
enum vkd_status bench_matmul(struct bench_run *run, struct vkd_error *err);
enum vkd_status bench_attention(struct bench_run *run, struct vkd_error *err);
enum vkd_status bench_memory(struct bench_run *run, struct vkd_error *err);
enum vkd_status bench_train_rows(struct bench_run *run, struct vkd_error *err);
enum vkd_status bench_scaling(struct bench_run *run, struct vkd_error *err);

#endif
