// vkdit reproduce: what its files share.
#ifndef VKDIT_REPRODUCE_H
#define VKDIT_REPRODUCE_H

#include "fit_job.h"
#include "sweep_job.h"

struct reproduce {
  const char *name, *folder; // of the pipeline ("smoke"); DIR
  struct sweep_file file;
  struct sweep tune, grid;
  struct sweep_outcome *tuned, *runs; // [tune.count], [grid.count]
  int choice;                         // cell of tune whose batch and rate were best
  int best;                           // cell of grid of the lowest held-out loss
  char device[300];
  struct sweep_devices devices;
  struct sweep_bar bar;
  struct {
    char *drawn, *real; // GIFs as data URIs
    int64_t step;
  } samples;
  char *html[4];
  struct fit_section sections[4];
  int section_count;
};

// The cell of `tune` whose batch and learning rate have the lowest held-out loss (geometric mean over the sizes tuned
// at); -1: none.
int reproduce_choose(const struct sweep *tune, const struct sweep_outcome *tuned);

// Draws samples of the best run into DIR/samples.gif, and held-out clips into DIR/clips.gif for comparison.
enum vkd_status reproduce_sample(struct reproduce *r, struct vkd_device *device, struct vkd_error *err);

// The report's own parts: settings, batch and rate, runs, samples.
enum vkd_status reproduce_sections(struct reproduce *r, struct vkd_error *err);

#endif
