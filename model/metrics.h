// What a run records as it goes: metrics.jsonl, one object per line, and a TensorBoard event file.  Internal to model/.
#ifndef VKDM_METRICS_H
#define VKDM_METRICS_H

#include <jansson.h>

#include "tfevents.h"

struct metrics;

// Opens RUN/metrics.jsonl.  Lines of steps up to `keep` stay (a resumed run; 0: none) and are shown to `kept`; later
// ones go.
enum vkd_status metrics_open(struct metrics **out, const char *run, int64_t keep,
                             void (*kept)(void *user, const json_t *line), void *user, struct vkd_error *err);
enum vkd_status metrics_close(struct metrics **metrics, struct vkd_error *err); // NULL inside is fine

struct metric {
  const char *name;
  double value;
};
// {"step": step, name: value, ...}; in the event file each as a scalar.
enum vkd_status metrics_write(struct metrics *metrics, int64_t step, const struct metric *values, int count,
                              struct vkd_error *err);
// Makes the lines so far durable: a checkpoint must not outlive the lines before it.
enum vkd_status metrics_sync(struct metrics *metrics, struct vkd_error *err);

// The event file, for what is no number.  NULL: metrics_open() failed.
struct tfevents *metrics_events(struct metrics *metrics);

#endif
