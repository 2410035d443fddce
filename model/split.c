#include "split.h"

#include <stdbool.h>

#include "vkd/hash.h"
#include "vkdm/dataset.h"

// Clips of one source go to one side together where they overlap (start less than `span` apart) and start within `run`
// source frames.  All zero: no two do.
struct grouping {
  uint32_t span;
  uint64_t run;
};

// The end of the group that begins at `first`.
static uint32_t group_end(const struct vkd_clip *clips, uint32_t count, uint32_t first, struct grouping by) {
  uint32_t end = first + 1;
  while (end < count && clips[end].source == clips[first].source && clips[end].start - clips[end - 1].start < by.span &&
         clips[end].start - clips[first].start < by.run)
    end++;
  return end;
}

static uint64_t key_of(const struct vkd_clip *clip, uint64_t seed) { return hash_mix(clip->content ^ hash_mix(seed)); }

static void set_groups(struct vkd_clip *clips, uint32_t first, uint32_t end, enum data_split split) {
  for (uint32_t i = first; i < end; i++) clips[i].split = (uint32_t)split;
}

static uint32_t count_split(const struct vkd_clip *clips, uint32_t count, enum data_split split) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < count; i++) n += clips[i].split == (uint32_t)split;
  return n;
}

// Moves the groups of least (or greatest) key in `from` to `to`, or one of them where they are all that `from` has.
// Equal clips have equal keys, and so stay on one side.
static void move_extreme(struct vkd_clip *clips, uint32_t count, struct grouping by, uint64_t seed, bool least,
                         enum data_split from, enum data_split to) {
  uint64_t best = 0;
  uint32_t last = count, alike = 0;
  for (uint32_t i = 0; i < count; i = group_end(clips, count, i, by)) {
    if (clips[i].split != (uint32_t)from) continue;
    const uint64_t key = key_of(&clips[i], seed);
    const uint32_t size = group_end(clips, count, i, by) - i;
    if (last == count || (least ? key < best : key > best)) {
      best = key;
      alike = 0;
    }
    if (key != best) continue;
    last = i;
    alike += size;
  }
  const bool all = alike == count_split(clips, count, from);
  for (uint32_t i = 0, end; i < count; i = end) {
    end = group_end(clips, count, i, by);
    if (clips[i].split == (uint32_t)from && key_of(&clips[i], seed) == best && (!all || i == last))
      set_groups(clips, i, end, to);
  }
}

// Few groups can miss the share by far; groups next to the threshold change sides until it lies between half and one
// and a half.
static void bound_share(struct vkd_clip *clips, uint32_t count, struct grouping by, double holdout, uint64_t seed) {
  const double low = 0.5 * holdout * count, wide = 1.5 * holdout * count, high = wide < count - 1 ? wide : count - 1;
  uint32_t held = count_split(clips, count, DATA_HELDOUT), before = count;
  while ((held < 1 || held < low) && held != before) {
    before = held;
    move_extreme(clips, count, by, seed, true, DATA_TRAIN, DATA_HELDOUT);
    held = count_split(clips, count, DATA_HELDOUT);
  }
  for (before = 0; held > high && held != before;) {
    before = held;
    move_extreme(clips, count, by, seed, false, DATA_HELDOUT, DATA_TRAIN);
    held = count_split(clips, count, DATA_HELDOUT);
    if (held >= 1 && held >= low) continue;
    move_extreme(clips, count, by, seed, true, DATA_TRAIN, DATA_HELDOUT); // too far: back again
    break;
  }
}

static void mark_gaps(struct vkd_clip *clips, uint32_t count, uint32_t span) {
  for (uint32_t i = 0; i < count; i++) {
    if (clips[i].split != DATA_HELDOUT) continue;
    for (uint32_t j = i; j-- > 0 && clips[j].source == clips[i].source && clips[i].start - clips[j].start < span;)
      if (clips[j].split == DATA_TRAIN) clips[j].split = DATA_GAP;
    for (uint32_t j = i + 1; j < count && clips[j].source == clips[i].source && clips[j].start - clips[i].start < span;
         j++)
      if (clips[j].split == DATA_TRAIN) clips[j].split = DATA_GAP;
  }
}

// Clips that share frames with held-out ones are left out.  Returns how many clips are
// held out; 0 also where no clip is left to train on.
static uint32_t assign(struct vkd_clip *clips, uint32_t count, struct grouping by, double holdout, uint64_t seed) {
  for (uint32_t i = 0, end; i < count; i = end) {
    end = group_end(clips, count, i, by);
    set_groups(clips, i, end, hash_unit(key_of(&clips[i], seed)) < holdout ? DATA_HELDOUT : DATA_TRAIN);
  }
  bound_share(clips, count, by, holdout, seed);
  mark_gaps(clips, count, by.span);
  return count_split(clips, count, DATA_TRAIN) ? count_split(clips, count, DATA_HELDOUT) : 0;
}

void split_assign(struct vkd_clip *clips, uint32_t count, uint32_t span, double holdout, uint64_t seed) {
  set_groups(clips, 0, count, DATA_TRAIN);
  if (count < 2 || !(holdout > 0)) return;
  // Long runs waste fewer clips between the sides, short ones meet the share better.
  uint32_t held = assign(clips, count, (struct grouping){span, 2 * (uint64_t)span}, holdout, seed);
  if (!held || held > 1.5 * holdout * count) held = assign(clips, count, (struct grouping){span, span}, holdout, seed);
  // Too short a video to part: single clips are held out, frames shared or not.
  if (!held) held = assign(clips, count, (struct grouping){0, 0}, holdout, seed);
  if (held) return;
  // Only clips that are alike are left.
  clips[count - 1].split = count_split(clips, count, DATA_TRAIN) ? DATA_HELDOUT : DATA_TRAIN;
}
