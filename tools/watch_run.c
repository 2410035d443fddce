#include "watch_run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "below.h"
#include "vkdm/dit.h"

enum { CONFIG_LIMIT = 1 << 20, SUMMARY_LIMIT = 1 << 20, PIECE = 1 << 16 };
#define RATE_SECONDS 120.0

static double seconds_of(const struct stat *s) { return (double)s->st_mtim.tv_sec + 1e-9 * (double)s->st_mtim.tv_nsec; }

static struct watch_stamp stamp_of(const struct stat *s) {
  return (struct watch_stamp){s->st_dev, s->st_ino, s->st_size, seconds_of(s)};
}

static bool same_stamp(const struct watch_stamp *a, const struct watch_stamp *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size && a->changed == b->changed;
}

static void forget_metrics(struct watch_run *r) {
  r->offset = 0;
  r->step = 0;
  r->rate_count = 0;
  r->tokens = 0;
  r->loss = r->heldout = r->best = r->lr = r->grad_norm = r->non_finite = NAN;
  r->loss_curve.count = r->loss_curve.each = r->loss_curve.filling = 0;
  r->loss_curve.x_sum = r->loss_curve.y_sum = 0;
  r->heldout_curve = (struct curve){.count = 0};
}

void watch_run_free(struct watch_run *r) {
  json_decref(r->summary);
  r->summary = NULL;
}

void watch_run_reset(struct watch_run *r) {
  watch_run_free(r);
  r->config_stamp = r->metrics_stamp = r->summary_stamp = (struct watch_stamp){.changed = 0};
  r->has_config = false;
  r->state = WATCH_WAITING;
  forget_metrics(r);
}

// ---- configuration and summary -------------------------------------------------------------------------------------
void watch_run_configure(struct watch_run *r, const char *text, size_t size) {
  r->has_config = config_from_string("config", text, size, NULL, 0, &r->config, NULL) == VKD_OK;
}

// The bytes of a small file that changed since `stamp`; NULL: it did not, or is not there (*gone).
static char *read_changed(int folder, const char *name, size_t limit, struct watch_stamp *stamp, size_t *size,
                          bool *gone) {
  struct stat info;
  *gone = fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0;
  struct watch_stamp now = *gone ? (struct watch_stamp){.changed = 0} : stamp_of(&info);
  if (same_stamp(&now, stamp)) return NULL;
  *stamp = now;
  return *gone ? NULL : below_read(folder, name, limit, size);
}

static void read_config(struct watch_run *r, int folder) {
  size_t size;
  bool gone;
  char *text = read_changed(folder, "config.yaml", CONFIG_LIMIT, &r->config_stamp, &size, &gone);
  if (text) watch_run_configure(r, text, size);
  free(text);
}

static void read_summary(struct watch_run *r, int folder) {
  size_t size;
  bool gone;
  char *text = read_changed(folder, "summary.json", SUMMARY_LIMIT, &r->summary_stamp, &size, &gone);
  if (!text && !gone) return;
  json_decref(r->summary);
  r->summary = text ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
  free(text);
}

// ---- metrics.jsonl -------------------------------------------------------------------------------------------------
static double number(const json_t *o, const char *key) {
  const json_t *value = json_object_get(o, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static void take_line(struct watch_run *r, const char *line, size_t size) {
  json_t *o = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
  const json_t *step = json_object_get(o, "step");
  if (json_is_integer(step)) {
    double tokens = number(o, "tokens"), loss = number(o, "loss"), heldout = number(o, "heldout_loss");
    r->step = json_integer_value(step);
    r->tokens = isfinite(tokens) ? tokens : (double)r->step;
    if (isfinite(loss)) curve_add(&r->loss_curve, r->tokens, r->loss = loss);
    if (isfinite(heldout)) {
      curve_add(&r->heldout_curve, r->tokens, r->heldout = heldout);
      r->best = fmin(r->best, heldout); // fmin passes over NaN
    }
    if (json_object_get(o, "lr")) r->lr = number(o, "lr");
    if (json_object_get(o, "grad_norm")) r->grad_norm = number(o, "grad_norm");
    if (json_object_get(o, "non_finite")) r->non_finite = number(o, "non_finite");
  }
  json_decref(o);
}

static void note_rate(struct watch_run *r, double time) {
  if (r->rate_count && (r->rates[r->rate_count - 1].tokens >= r->tokens || r->rates[r->rate_count - 1].time >= time))
    return;
  bool old = r->rate_count > 2 && time - r->rates[0].time > RATE_SECONDS;
  if (r->rate_count == WATCH_RATES || old) memmove(r->rates, r->rates + 1, (size_t)--r->rate_count * sizeof *r->rates);
  r->rates[r->rate_count].time = time;
  r->rates[r->rate_count++].tokens = r->tokens;
}

// Whole lines from r->offset on; what is left of a line is read again next time, when there is more.
static size_t read_lines(struct watch_run *r, int fd, size_t most) {
  static char piece[PIECE];
  size_t total = 0;
  while (total < most) {
    ssize_t n = pread(fd, piece, PIECE, r->offset);
    if (n <= 0) break;
    size_t used = 0;
    for (char *end; (end = memchr(piece + used, '\n', (size_t)n - used)); used = (size_t)(end - piece) + 1)
      take_line(r, piece + used, (size_t)(end - piece) - used);
    if (!used && n == PIECE) used = PIECE; // no line of ours: passed over
    if (!used) break;
    r->offset += (off_t)used;
    total += used;
  }
  return total;
}

static size_t read_metrics(struct watch_run *r, int folder, size_t most) {
  struct stat info;
  int fd = below_open(folder, "metrics.jsonl", &info);
  bool file = fd >= 0 && S_ISREG(info.st_mode);
  struct watch_stamp now = file ? stamp_of(&info) : (struct watch_stamp){.changed = 0};
  size_t total = 0;
  if (now.device != r->metrics_stamp.device || now.inode != r->metrics_stamp.inode || now.size < r->offset)
    forget_metrics(r); // another file under the name: a run that was resumed or replaced
  r->metrics_stamp = now;
  if (file) total = read_lines(r, fd, most);
  if (total && total < most) note_rate(r, now.changed);
  if (fd >= 0) close(fd);
  return total;
}

// ---- state ---------------------------------------------------------------------------------------------------------
// Whether the process that owns the folder lives, as .lock tells it.
static bool has_owner(int folder) {
  char text[32] = "";
  int fd = openat(folder, ".lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  long pid = n > 0 ? strtol(text, NULL, 10) : 0;
  return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static enum watch_state state_of(const struct watch_run *r, int folder) {
  const json_t *steps = json_object_get(r->summary, "steps");
  bool told = json_is_integer(steps) && json_integer_value(steps) >= r->step; // no step since
  if (told && json_is_true(json_object_get(r->summary, "diverged"))) return WATCH_DIVERGED;
  if (told && json_integer_value(steps) >= json_integer_value(json_object_get(r->summary, "steps_planned")))
    return WATCH_DONE;
  return !told && has_owner(folder) ? WATCH_RUNNING : WATCH_STOPPED;
}

size_t watch_run_read(struct watch_run *r, int folder, size_t most) {
  read_config(r, folder);
  size_t total = read_metrics(r, folder, most);
  read_summary(r, folder);
  r->state = state_of(r, folder);
  return total;
}

// ---- what follows --------------------------------------------------------------------------------------------------
double watch_run_params(const struct watch_run *r) {
  double d = r->config.model.dim;
  return r->has_config ? r->config.model.depth * (8 * d * d + 2 * d * config_ffn(&r->config)) : 0;
}

double watch_run_tokens_per_step(const struct watch_run *r) { return r->step > 0 ? r->tokens / (double)r->step : 0; }

double watch_run_tokens_planned(const struct watch_run *r) {
  double planned = number(r->summary, "steps_planned"), each = watch_run_tokens_per_step(r);
  if (r->has_config && r->config.train.tokens > 0) return (double)r->config.train.tokens;
  if (r->has_config) planned = (double)r->config.train.steps;
  return isfinite(planned) ? planned * each : 0;
}

double watch_run_rate(const struct watch_run *r) {
  double told = number(r->summary, "tokens_per_second");
  if (r->state == WATCH_DONE || r->state == WATCH_DIVERGED) return isfinite(told) ? told : 0;
  if (r->state != WATCH_RUNNING || r->rate_count < 2) return 0;
  int last = r->rate_count - 1;
  return (r->rates[last].tokens - r->rates[0].tokens) / (r->rates[last].time - r->rates[0].time);
}

double watch_run_token_flops(const struct watch_run *r, double sample_tokens) {
  if (!r->has_config || !(sample_tokens >= 1 && sample_tokens < 1e9)) return 0;
  // The formula asks for nothing else.
  const struct dit_config model = {.family = (enum dit_family)r->config.model.family,
                                   .dim = r->config.model.dim,
                                   .depth = r->config.model.depth,
                                   .heads = r->config.model.heads,
                                   .ffn = config_ffn(&r->config),
                                   .patch = {1, 1, 1},
                                   .latent = {(int)sample_tokens, 1, 1}};
  return dit_token_flops(&model);
}
