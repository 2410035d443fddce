// A device that was lost: what it was at.  Submissions of programs are noted; the first that did not end is the one.
// With $VKD_SYNC=full the device itself marks every dispatch before it starts it.
#include <stdio.h>
#include <string.h>

#include "exec_internal.h"

void vkd__note_submit(struct vkd_device *dev, const struct vkd_program *program, uint32_t piece, uint64_t ticket) {
  dev->notes[ticket % VKD__NOTES] = (struct vkd__note){ticket, program, piece};
}

void vkd__forget_program(struct vkd_device *dev, const struct vkd_program *program) {
  for (int i = 0; i < VKD__NOTES; i++)
    if (dev->notes[i].program == program) dev->notes[i] = (struct vkd__note){0};
}

// NULL: no program's.
static const struct vkd__note *unfinished(const struct vkd_device *dev) {
  uint64_t done = dev->compute.awaited, value = 0;
  // a driver may let go of all waits once the device is lost
  if (vkGetSemaphoreCounterValue(dev->handle, dev->compute.timeline, &value) == VK_SUCCESS && value > done &&
      value < dev->compute.submitted)
    done = value;
  const struct vkd__note *first = NULL;
  for (int i = 0; i < VKD__NOTES; i++) {
    const struct vkd__note *n = &dev->notes[i];
    if (n->program && n->ticket > done && (!first || n->ticket < first->ticket)) first = n;
  }
  return first;
}

static void name_kernel(const struct vkd_program *p, const struct vkd_cut *c, char *text, size_t size) {
  const struct vkd_tape_entry *e = &p->regions[0].tape.entries[c->entry];
  const struct vkd_node *n = &p->graph->nodes[e->node];
  snprintf(text, size, "kernel %s (%s%s%.80s)", vkd_kernel_blobs[e->kernel].name, vkd__ops[n->op].name,
           n->label && *n->label ? " of " : "", n->label ? n->label : "");
}

static void describe(const struct vkd_device *dev, const struct vkd__note *note, char *text, size_t size) {
  char first[160], last[160];
  if (!note) {
    snprintf(text, size, "in a copy");
    return;
  }
  const struct vkd_pieces *all = &note->program->pieces;
  uint32_t begin = 0, end = 0;
  for (uint32_t i = 0, piece = 0; i < all->cut_count; i++) {
    piece += i > 0 && all->cuts[i].begins;
    if (piece < note->piece) begin = i + 1;
    if (piece <= note->piece) end = i + 1;
  }
  uint32_t mark = dev->marks ? *(const volatile uint32_t *)dev->marks->map : 0;
  if (begin < mark && mark <= end) begin = mark - 1, end = mark;
  if (begin >= end) {
    snprintf(text, size, "in copies of inputs and outputs");
    return;
  }
  name_kernel(note->program, &all->cuts[begin], first, sizeof first);
  name_kernel(note->program, &all->cuts[end - 1], last, sizeof last);
  if (all->cuts[begin].entry == all->cuts[end - 1].entry)
    snprintf(text, size, "in %s", first);
  else
    snprintf(text, size, "in one of %u dispatches, from %s to %s; with VKD_SYNC=full the message names the one",
             end - begin, first, last);
}

enum vkd_status vkd__queue_fail(struct vkd_device *dev, VkResult result, const char *doing, struct vkd_error *err) {
  char where[480];
  if (result != VK_ERROR_DEVICE_LOST) return vkd__vk_fail(err, result, "%s %s", doing, dev->caps.name);
  describe(dev, unfinished(dev), where, sizeof where);
  return vkd__vk_fail(err, result, "%s stopped working %s%s", dev->caps.name, where,
                      dev->budget_s > 0 ? "; if it is slow, a smaller VKD_DISPATCH_MS keeps watchdogs quiet" : "");
}
