// One run as its folder shows it, read again and again while it grows.
#ifndef VKDIT_WATCH_RUN_H
#define VKDIT_WATCH_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "curve.h"
#include "vkdm/config.h"

enum { WATCH_NAME_MAX = 512, WATCH_RATES = 16 };

// waiting: a sweep's cell without a folder
enum watch_state { WATCH_WAITING, WATCH_RUNNING, WATCH_STOPPED, WATCH_DONE, WATCH_DIVERGED };

// A file as it was when it was last read.
struct watch_stamp {
  dev_t device;
  ino_t inode;
  off_t size;
  double changed; // seconds of the epoch; 0: not there
};

struct watch_run {
  char name[WATCH_NAME_MAX]; // of its folder below the watched one, "" for that itself
  bool seen, present;        // in the present scan: there, or named by a sweep; there
  enum watch_state state;

  struct watch_stamp config_stamp;
  bool has_config;
  struct config config;

  struct watch_stamp metrics_stamp;
  off_t offset; // of metrics.jsonl: what has been read, up to the end of a line
  int64_t step;
  double tokens, loss, heldout, best, lr, grad_norm, non_finite; // the last ones; NaN: none.  best: least held out
  struct curve loss_curve, heldout_curve;
  struct {
    double time, tokens; // seconds of the epoch
  } rates[WATCH_RATES];  // the newest observations
  int rate_count;

  struct watch_stamp summary_stamp;
  json_t *summary; // NULL: none
};

void watch_run_reset(struct watch_run *run); // keeps its name; a zeroed struct is an empty run
void watch_run_free(struct watch_run *run);

// Reads what is new in the run's folder, at most `most` bytes of metrics.jsonl; returns how many.
size_t watch_run_read(struct watch_run *run, int folder, size_t most);

// A cell's configuration from its sweep, where the run has not begun.
void watch_run_configure(struct watch_run *run, const char *text, size_t size);

double watch_run_params(const struct watch_run *run);          // matrices of the blocks, the paper's N; 0: not known
double watch_run_tokens_per_step(const struct watch_run *run); // 0: not known yet
double watch_run_tokens_planned(const struct watch_run *run);  // 0: not known yet
// Trained tokens per second, of the last two minutes while it runs, of the whole run after that; 0: not known yet.
double watch_run_rate(const struct watch_run *run);
// FLOPs per token by the paper's formula, where samples have so many tokens; 0: not known.
double watch_run_token_flops(const struct watch_run *run, double sample_tokens);

#endif
