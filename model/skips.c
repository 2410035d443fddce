#include "skips.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/ckpt.h"

bool skips_is_one(const struct step_result *r) { return !isfinite(r->grad_norm) || !isfinite(r->loss); }

bool skips_note(struct skips *s, const struct step_result *r) {
  if (!skips_is_one(r)) {
    s->in_row = 0;
    return false;
  }
  s->total++;
  bool scaled = r->loss_scale > 0 && !loss_scale_is_lost(r->loss_scale);
  if (scaled && isfinite(r->loss)) return false;
  if (!s->in_row++) s->first = r->step;
  return s->in_row >= s->most;
}

static enum vkd_status trace(struct step *step, const struct step_result *last, const struct config *config,
                             struct dataset *data, struct step_trace *out, struct vkd_error *err) {
  struct data_loader *loader = NULL;
  struct data_batch batch;
  struct data_loader_params params = {.dataset = data,
                                      .split = DATA_TRAIN,
                                      .batch = (uint32_t)config->train.batch,
                                      .seed = (uint64_t)config->train.seed,
                                      .start_step = (uint64_t)last->step - 1};
  enum vkd_status st = data_loader_create(&params, &loader, err);
  if (st == VKD_OK) st = data_loader_next(loader, &batch, err);
  if (st == VKD_OK) st = step_trace(step, last, &batch, out, err);
  data_loader_destroy(&loader);
  return st;
}

static void describe(const struct step_trace *t, char *text, size_t size) {
  const struct vkd_nonfinite *f = &t->found;
  if (!f->tensor.id)
    snprintf(text, size, "in a second pass, every tensor of a micro-batch is finite");
  else
    snprintf(text, size, "first in %s%s%.120s, pass %d (%" PRIu64 " of %" PRIu64 " numbers, from %" PRIu64 ")",
             f->leaf ? "" : f->op, f->leaf ? "" : " of ", f->name, t->pass + 1, f->count, f->numel, f->first);
}

void skips_explain(const struct skips *s, struct step *step, const struct step_result *last,
                   const struct config *config, struct dataset *data, const char *run, char *why, size_t size) {
  char what[120], where[320], *newest = NULL;
  struct vkd_error failed = {0};
  struct step_trace found;
  if (s->in_row)
    snprintf(what, sizeof what,
             "no finite loss and gradient in steps %" PRId64 " to %" PRId64 ", which changed nothing", s->first,
             last->step);
  else
    snprintf(what, sizeof what, "the held-out loss is not finite at step %" PRId64, last->step);
  if (trace(step, last, config, data, &found, &failed) == VKD_OK)
    describe(&found, where, sizeof where);
  else
    snprintf(where, sizeof where, "which tensor was first is not known: %.240s", failed.what);
  bool unread = run && ckpt_newest(run, &newest, NULL) != VKD_OK;
  const char *number = newest ? strrchr(newest, '-') : NULL;
  bool same = number && s->in_row && strtoll(number + 1, NULL, 10) >= s->first - 1; // nothing has changed since
  snprintf(why, size, "%s; %s; %s%.200s%s", what, where,
           newest   ? "last checkpoint: "
           : unread ? "the checkpoints cannot be read"
                    : "no checkpoint was written",
           newest ? newest : "",
           same ? ", which has these very weights: without it, --resume takes an earlier one" : "");
  free(newest);
}
