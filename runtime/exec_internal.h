// A program's data, for exec.c and profile.c.
#ifndef VKD_EXEC_INTERNAL_H
#define VKD_EXEC_INTERNAL_H

#include <time.h>

#include "device_internal.h"
#include "record.h"
#include "vkd/exec.h"

// Where inputs lie, and the run that reads them there.  One for all slots; where uploads have a queue of their own, one
// for each, so that the next run's inputs arrive while this one computes.
struct vkd_region {
  struct vkd_buffer *inputs;
  struct vkd_tape tape;
  VkCommandBuffer *pieces; // [vkd_pieces.count]
};

// Workgroups [base, base + count) of a dispatch, along the axis that it is cut along.
struct vkd_cut {
  uint32_t entry, base, count; // entry: of the tape
  bool begins;                 // a piece, which is a command buffer and a submission of its own
  double seconds;              // as estimated or measured
};
struct vkd_pieces {
  struct vkd_cut *cuts;
  uint32_t cut_count, count; // count: pieces
  double *seconds;           // [entries of the tape]
  double *timed;             // [count]: the shortest that a piece took
  int runs_left;             // to be timed, each piece alone
};

struct vkd_slot {
  struct vkd__host_buffer *in, *out;
  VkCommandBuffer upload, download;
  uint64_t ticket; // of the last submit
};

struct vkd_program {
  struct vkd_device *dev;
  struct vkd_graph *graph;
  struct vkd_plan *plan;
  struct vkd_plan_info info;
  struct vkd_buffer **chunks, *constants;
  uint32_t chunk_count;
  bool chunks_lent;    // they belong to another program
  uint64_t *addresses; // of chunks
  struct vkd_slot *slots;
  int slot_count;
  struct vkd_region *regions; // of slot s: s % region_count
  int region_count;
  struct vkd_pieces pieces;
  struct vkd__bucket *buckets;
  VkCommandBuffer *takes; // [take_count], after each piece: the buckets that end with it; or none
  uint32_t bucket_count, take_count;
  uint32_t generation; // dev->generation when the regions' commands were recorded
};

// ---- pieces.c ----
enum vkd_status vkd__pieces_estimate(struct vkd_program *p, const struct vkd_tape *tape, struct vkd_error *err);
// Whether the runs to be timed are over, and have not been taken to account.
bool vkd__pieces_timed(const struct vkd_program *p);
// Cuts by what they took.
enum vkd_status vkd__pieces_settle(struct vkd_program *p, const struct vkd_tape *tape, struct vkd_error *err);
void vkd__pieces_free(struct vkd_pieces *pieces);
// The tape as a command buffer per piece; with a query pool of `marks`, a timestamp before each node and one at the
// end. *out is freed in either case.
enum vkd_status vkd__encode(struct vkd_program *p, const struct vkd_tape *tape, VkCommandBufferUsageFlags usage,
                            VkQueryPool timestamps, uint32_t marks, VkCommandBuffer **out, struct vkd_error *err);
void vkd__encoded_free(struct vkd_program *p, VkCommandBuffer **commands);
// Inputs, pieces, buckets if wanted and, where it is given, `after`; waits for each piece while runs are timed.
enum vkd_status vkd__submit_run(struct vkd_program *p, int slot, const VkCommandBuffer *pieces, bool buckets,
                                VkCommandBuffer after, uint64_t *ticket, struct vkd_error *err);

// ---- buckets.c ----
enum vkd_status vkd__buckets_create(struct vkd_program *p, const struct vkd_bucket *ranges, uint32_t count,
                                    struct vkd_error *err);
void vkd__buckets_free(struct vkd_program *p);
// Whether a bucket is touched last by an entry of the tape, and that this is in a piece.
bool vkd__buckets_end(const struct vkd_program *p, uint32_t entry);
void vkd__buckets_cut(struct vkd_program *p, uint32_t entry, uint32_t piece);
// Anew, once the pieces are cut.
enum vkd_status vkd__buckets_record(struct vkd_program *p, struct vkd_error *err);
void vkd__buckets_taken(struct vkd_program *p, uint32_t piece, uint64_t ticket);

// Runs what is still to be timed, so that the program is cut as its further runs are.
enum vkd_status vkd__program_settle(struct vkd_program *p, struct vkd_error *err);

// The tape of a program that is not made, with made-up addresses; *tape is empty before, and freed by the caller either
// way.
enum vkd_status vkd__plan_tape(const struct vkd_program_params *params, struct vkd_tape *tape, struct vkd_error *err);

// A slot's inputs on their way: through the uploads' queue, or as a command buffer to submit before the run, which is
// added to commands[*count].
enum vkd_status vkd__send_inputs(struct vkd_program *p, int slot, VkCommandBuffer *commands, uint32_t *count,
                                 struct vkd_error *err);

// Of a clock that only moves forward.
static inline double vkd__seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
