// The train/held-out split of clips, by content, so that order and neighbours do not matter.
#ifndef VKDM_SPLIT_H
#define VKDM_SPLIT_H

#include "vkd_format.h"

// Sets clip.split of all.  A clip is held out where hash(content, seed) falls below `holdout`; where that misses the
// share by more than half, clips next to the threshold change sides.  At least one is held out, and one is not, where
// there are two or more and holdout > 0.  Where clips of one source overlap (starts less than `span` apart), runs of
// clips that cover about two spans go to one side together, and clips that share frames with a held-out run become
// DATA_GAP.
void split_assign(struct vkd_clip *clips, uint32_t count, uint32_t span, double holdout, uint64_t seed);

#endif
