// Measured choices between the ways to run an op (runtime/forms.def), kept per device and driver beside the pipeline
// cache and read when the device is opened.
//
// The file is text.  Its first line names format, device and driver; then a line "key form nanoseconds" for every
// bucket, such as "matmul/nt/fp32/m10/n9/k9 tile 1234567": op, layout, dtype of the operands, sizes m, n, k from 2^10,
// 2^9 and 2^9 to below twice that.  A file that is damaged, or of another device, driver or format, counts as none.
#ifndef VKD_TUNE_H
#define VKD_TUNE_H

#include "vkd/device.h"
#include "vkd/graph.h"

enum { VKD_TUNE_KEY = 64, VKD_TUNE_FORM = 32, VKD_TUNE_FORMS = 16 };

struct vkd_tune_entry {
  char key[VKD_TUNE_KEY], form[VKD_TUNE_FORM];
  uint64_t ns;
  bool fresh; // measured by this process
};

struct vkd_tune {
  char path[512]; // of the file, whether there is one or not; empty: no cache folder
  struct vkd_tune_entry *entries;
  uint32_t count, cap;
};

// What is on disk for a device.  cache_dir: as in vkd_device_params.
enum vkd_status vkd_tune_load(struct vkd_tune **out, const struct vkd_device_caps *caps, const char *cache_dir,
                              struct vkd_error *err);
void vkd_tune_destroy(struct vkd_tune **tune);

// The table that programs made from now on are made by; NULL on a fake device.
const struct vkd_tune *vkd_device_tune(const struct vkd_device *dev);

// Empties it, and removes its file.  Errors: VKD_ERR_IO.
enum vkd_status vkd_tune_clear(struct vkd_device *dev, struct vkd_error *err);

// A form on trial.  Text is owned by the result, which lives as long as the call.
struct vkd_tune_trial {
  const char *form;
  double error; // norm of the difference / norm of the reference: the worst of all that was compared; < 0: not run
  double ns;    // median; 0: not timed, as it failed
  bool usual, chosen; // usual: by ranks alone
  char failed[256];   // why it cannot be chosen; empty: it can
};
struct vkd_tune_result {
  const char *key, *label; // label: of the node that stands for the bucket
  uint32_t nodes;          // of the graph, in the bucket
  double flops;            // of that node
  double tolerance;        // of vkd_tune_trial.error
  struct vkd_tune_trial trials[VKD_TUNE_FORMS];
  int count;
};
typedef void (*vkd_tune_fn)(void *user, const struct vkd_tune_result *result);

struct vkd_tune_params {
  struct vkd_device *device;
  const struct vkd_graph *graph; // of any device, a fake one too: shapes alone are read
  int runs;                      // of which the median counts
  vkd_tune_fn result;            // called for every bucket; NULL: none
  void *user;
};

// Fills the device's table, and its file, for every bucket among the nodes of `graph` that run and that the device can
// run in more than one form; those that this process has measured are left out.  The node with the most work stands
// for its bucket: a graph of it alone, with random operands, is made and run in every form.
//
// Every form's result is first compared with the op's float64 reference.  Above 2e9 FLOPs, which the reference would
// take seconds for, that is done at smaller sizes (the longest halved until it fits), and at the node's own sizes each
// form is compared with the last one in forms.def, which runs everywhere.  A form that misses is neither timed nor
// chosen.  The fastest is chosen; among those within 3 % of it, the one that the device ranks highest.
// Errors: VKD_ERR_UNSUPPORTED without timestamps; VKD_ERR_USAGE where there is no cache folder; VKD_ERR_IO.
enum vkd_status vkd_tune_graph(const struct vkd_tune_params *params, struct vkd_error *err);

#endif
