#include "split.h"

#include <stdbool.h>

#include "hash.h"
#include "vkdm/dataset.h"

// The clips [first, end) that go to one side together: one clip, or a run of overlapping ones.  span 0: always one
// clip.
static uint32_t group_end(const struct vkd_clip *clips, uint32_t count, uint32_t first, uint32_t span) {
  uint32_t end = first + 1;
  while (end < count && clips[end].source == clips[first].source && clips[end].start - clips[end - 1].start < span &&
         clips[end].start - clips[first].start < 2 * (uint64_t)span)
    end++;
  return end;
}

static uint64_t key_of(const struct vkd_clip *clip, uint64_t seed) { return hash_mix(clip->content ^ hash_mix(seed)); }

static void set_groups(struct vkd_clip *clips, uint32_t first, uint32_t end, enum data_split split) {
  for (uint32_t i = first; i < end; i++) clips[i].split = (uint32_t)split;
}

static void count_splits(const struct vkd_clip *clips, uint32_t count, uint32_t n[DATA_SPLITS]) {
  for (int s = 0; s < DATA_SPLITS; s++) n[s] = 0;
  for (uint32_t i = 0; i < count; i++) n[clips[i].split]++;
}

// Groups whose key is the least (or greatest) change to `split`; of groups that are all alike only the last does.
static void move_extreme(struct vkd_clip *clips, uint32_t count, uint32_t span, uint64_t seed, bool least,
                         enum data_split split) {
  uint64_t best = 0;
  uint32_t last = 0, n[DATA_SPLITS];
  for (uint32_t i = 0; i < count; i = group_end(clips, count, i, span)) {
    uint64_t key = key_of(&clips[i], seed);
    if (i == 0 || (least ? key < best : key > best)) best = key;
    last = i;
  }
  for (uint32_t i = 0, end; i < count; i = end) {
    end = group_end(clips, count, i, span);
    if (key_of(&clips[i], seed) == best) set_groups(clips, i, end, split);
  }
  count_splits(clips, count, n);
  if (n[split] == count) set_groups(clips, 0, last, split == DATA_TRAIN ? DATA_HELDOUT : DATA_TRAIN);
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

// True where both sides got a clip.
static bool assign(struct vkd_clip *clips, uint32_t count, uint32_t span, double holdout, uint64_t seed) {
  uint32_t n[DATA_SPLITS];
  for (uint32_t i = 0, end; i < count; i = end) {
    end = group_end(clips, count, i, span);
    set_groups(clips, i, end, hash_unit(key_of(&clips[i], seed)) < holdout ? DATA_HELDOUT : DATA_TRAIN);
  }
  count_splits(clips, count, n);
  if (!n[DATA_HELDOUT]) move_extreme(clips, count, span, seed, true, DATA_HELDOUT);
  if (!n[DATA_TRAIN]) move_extreme(clips, count, span, seed, false, DATA_TRAIN);
  mark_gaps(clips, count, span);
  count_splits(clips, count, n);
  return n[DATA_TRAIN] && n[DATA_HELDOUT];
}

void split_assign(struct vkd_clip *clips, uint32_t count, uint32_t span, double holdout, uint64_t seed) {
  set_groups(clips, 0, count, DATA_TRAIN);
  if (count < 2 || !(holdout > 0)) return;
  // Too short a video for a gap: single clips are held out, frames shared or not.
  if (!assign(clips, count, span, holdout, seed)) assign(clips, count, 0, holdout, seed);
}
