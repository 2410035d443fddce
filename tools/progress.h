// Progress of long work on stderr: a bar with rate and time left on a terminal, a plain line every few seconds
// otherwise.
#ifndef VKDIT_PROGRESS_H
#define VKDIT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
  char label[32], unit[16];
  uint64_t start, done, total;
  double began, drawn; // seconds, monotonic; when the work began and when a line was last written
  bool terminal, on_screen;
};

// --quiet: nothing is drawn from here on.
void progress_set_quiet(bool quiet);

// Work from `start` (more than 0 for a resumed run) to `total` in `unit`s ("steps").  One at a time.
void progress_begin(struct progress *p, const char *label, const char *unit, uint64_t start, uint64_t total);

// `note` (NULL allowed) is short text at the end of the line, such as "loss 0.123".  Cheap enough to call on every
// step.
void progress_update(struct progress *p, uint64_t done, const char *note);

// Leaves the last line on the screen.
void progress_end(struct progress *p, const char *note);

// Writes one line to stderr without tearing the bar.  Thread-safe.
void progress_print_line(const char *prefix, const char *text);

#endif
