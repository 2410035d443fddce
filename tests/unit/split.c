// The split: stable under order, within bounds, no shared frames.
#include <stdlib.h>
#include <string.h>

#include "../../model/split.h"
#include "check.h"
#include "vkd/hash.h"
#include "vkdm/dataset.h"

static struct vkd_clip clips[2000], other[2000];

static uint32_t count_of(const struct vkd_clip *c, uint32_t n, enum data_split split) {
  uint32_t k = 0;
  for (uint32_t i = 0; i < n; i++) k += c[i].split == (uint32_t)split;
  return k;
}

static void make(uint32_t n, uint32_t per_source, uint32_t hop) {
  memset(clips, 0, sizeof clips);
  for (uint32_t i = 0; i < n; i++) {
    clips[i].content = hash_mix(i + 77);
    clips[i].source = i / per_source;
    clips[i].start = i % per_source * hop;
  }
}

static void independent_clips(void) {
  for (uint32_t n = 2; n <= 40; n++) // few clips: never an empty side
    for (int h = 1; h <= 9; h += 4) {
      make(n, 1, 1);
      split_assign(clips, n, 1, h / 10.0, 3);
      CHECK(count_of(clips, n, DATA_TRAIN) && count_of(clips, n, DATA_HELDOUT), "n %u, holdout 0.%d", n, h);
    }
  const uint32_t n = 2000;
  make(n, n, 29); // one source, clips that touch but do not overlap
  split_assign(clips, n, 29, 0.1, 0);
  CHECK_NEAR(count_of(clips, n, DATA_HELDOUT), 200, 55); // 4 standard deviations
  CHECK(count_of(clips, n, DATA_GAP) == 0, "gaps without overlap");
  for (uint32_t i = 0; i < n; i++) other[i] = clips[n - 1 - i], other[i].source = i, other[i].split = 9;
  split_assign(other, n, 29, 0.1, 0);
  uint32_t same = 0, agree = 0;
  for (uint32_t i = 0; i < n; i++) same += other[i].split == clips[n - 1 - i].split;
  CHECK(same == n, "%u of %u clips kept their side in another order", same, n);
  split_assign(other, n, 29, 0.1, 1);
  for (uint32_t i = 0; i < n; i++) agree += other[i].split == clips[n - 1 - i].split;
  CHECK(agree < n - 100, "the seed changed only %u sides", n - agree);
  split_assign(clips, n, 29, 0, 0);
  CHECK(count_of(clips, n, DATA_TRAIN) == n, "holdout 0 held clips out");
}

static void overlapping_clips(void) {
  const uint32_t span = 29;
  for (uint32_t hop = 1; hop < span; hop += 9)
    for (uint64_t seed = 0; seed < 5; seed++) {
      const uint32_t n = 1200;
      make(n, 400, hop);
      split_assign(clips, n, span, 0.1, seed);
      const uint32_t held = count_of(clips, n, DATA_HELDOUT);
      CHECK(held >= 60 && held <= 180 + 58, "hop %u: %u held out", hop, held);
      CHECK(count_of(clips, n, DATA_TRAIN) > n / 2, "hop %u: %u to train", hop, count_of(clips, n, DATA_TRAIN));
      uint32_t shared = 0;
      for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
          shared += clips[i].split == DATA_TRAIN && clips[j].split == DATA_HELDOUT &&
                    clips[i].source == clips[j].source && abs((int)clips[i].start - (int)clips[j].start) < (int)span;
      CHECK(shared == 0, "hop %u: %u pairs share frames", hop, shared);
    }
  for (uint32_t n = 2; n < 80; n++) { // one short video
    make(n, n, 1);
    split_assign(clips, n, span, 0.1, 0);
    CHECK(count_of(clips, n, DATA_TRAIN) && count_of(clips, n, DATA_HELDOUT), "%u overlapping clips", n);
  }
}

static void equal_clips(void) {
  make(100, 1, 1);
  for (uint32_t i = 0; i < 100; i++) clips[i].content = i % 10;
  split_assign(clips, 100, 1, 0.1, 0);
  uint32_t torn = 0;
  for (uint32_t i = 10; i < 100; i++) torn += clips[i].split != clips[i % 10].split;
  CHECK(torn == 0, "%u equal clips are on both sides", torn);
  for (uint32_t i = 0; i < 100; i++) clips[i].content = 5;
  split_assign(clips, 100, 1, 0.1, 0);
  CHECK(count_of(clips, 100, DATA_TRAIN) && count_of(clips, 100, DATA_HELDOUT), "all alike: an empty side");
}

int main(void) {
  independent_clips();
  overlapping_clips();
  equal_clips();
  return check_done();
}
