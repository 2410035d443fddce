// A program: a graph that was planned, recorded once, and is replayed every step.
#ifndef VKD_EXEC_H
#define VKD_EXEC_H

#include "vkd/device.h"
#include "vkd/graph.h"

// Bytes of a buffer that the graph binds, which the host takes while the rest of a run goes on, and gives back.
struct vkd_bucket {
  struct vkd_buffer *buffer;
  uint64_t offset, bytes; // multiples of 4
  // What of it is taken, and what is given back, from `offset` on; bytes 0: all of it.
  struct vkd_range {
    uint64_t offset, bytes;
  } take, give;
};

struct vkd_program_params {
  struct vkd_device *device;
  struct vkd_graph *graph; // outlives the program
  int slots;               // runs in flight, each with its own inputs and outputs; 0: 1
  bool no_reuse;           // give every tensor its own storage (vkd_program_nonfinite(); tests: planned = unplanned)
  // Another program of the device, which outlives this one: its temporaries' memory is used where it is large enough.
  // Programs run one after another, so neither may need what the other leaves there.
  struct vkd_program *beside;
  const struct vkd_bucket *buckets; // [bucket_count], apart from each other
  uint32_t bucket_count;
  const char *form; // for tests: nodes that a form of this name can run take it; NULL: the usual choice
};

// Bytes that a program takes on the device, by kind.
struct vkd_plan_info {
  uint64_t temporaries;     // after reuse
  uint64_t temporaries_raw; // what they would take without reuse
  uint64_t inputs, outputs, constants, staging;
  uint64_t bound; // of buffers that the graph's bound tensors live in
  uint32_t nodes, dispatches, barriers;
  uint32_t pieces; // submissions of a run: 1 but where it has buckets or would keep a GPU longer than $VKD_DISPATCH_MS
  char forms[240]; // how many nodes take which: "matmul simd x138, attention lanes x8"
};

struct vkd_program;

// Plans only: works on a fake device.  Errors: those of the graph.
enum vkd_status vkd_plan_query(const struct vkd_program_params *params, struct vkd_plan_info *info,
                               struct vkd_error *err);

// Errors: VKD_ERR_DEVICE_MEMORY, with numbers, before anything is allocated.
enum vkd_status vkd_program_create(struct vkd_program **out, const struct vkd_program_params *params,
                                   struct vkd_error *err);
void vkd_program_destroy(struct vkd_program **program);
const struct vkd_plan_info *vkd_program_plan(const struct vkd_program *program);

// Where the host writes an input of a slot's next run, and reads an output of its last one (after the wait).
void *vkd_program_input(struct vkd_program *program, int slot, vkd_tensor input);
const void *vkd_program_output(struct vkd_program *program, int slot, vkd_tensor output);

// Programs of one device run in the order of their submits.  A slot is submitted again after the wait for its last run.
enum vkd_status vkd_program_submit(struct vkd_program *program, int slot, struct vkd_error *err);
enum vkd_status vkd_program_wait(struct vkd_program *program, int slot, struct vkd_error *err);
// submit + wait on slot 0
enum vkd_status vkd_program_run(struct vkd_program *program, struct vkd_error *err);

// The order in which a run is done with its buckets: order [bucket_count], their numbers.
enum vkd_status vkd_program_bucket_order(const struct vkd_program *program, uint32_t *order, struct vkd_error *err);
// A run that hands its buckets out, each as soon as nothing of the run touches it any more.  Of one slot at a time,
// until each bucket was given back or will not be.
enum vkd_status vkd_program_submit_buckets(struct vkd_program *program, int slot, struct vkd_error *err);
// Where the host has bucket i: float or whatever the buffer holds.  The same place in every run.
void *vkd_program_bucket(struct vkd_program *program, uint32_t i);
// Waits for it, `seconds` at most.
enum vkd_status vkd_program_bucket_wait(struct vkd_program *program, uint32_t i, double seconds, bool *there,
                                        struct vkd_error *err);
// Programs submitted from now on see what the host has made of it.
enum vkd_status vkd_program_bucket_return(struct vkd_program *program, uint32_t i, struct vkd_error *err);

// The first tensor in the order of the nodes that holds numbers that are not finite, after a run of a program made with
// no_reuse.  What a kernel hands on without storing it is not seen: what it ends in is.
struct vkd_nonfinite {
  vkd_tensor tensor;            // 0: all is finite
  bool leaf;                    // an input or a bound tensor, else what a node computes
  const char *op, *name;        // name: of a leaf, else the node's label; both live as long as the graph
  uint64_t count, numel, first; // numbers that are not finite, of how many, index of the first
};
enum vkd_status vkd_program_nonfinite(struct vkd_program *program, struct vkd_nonfinite *out, struct vkd_error *err);

#endif
