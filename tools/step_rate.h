// How long training takes here, from what `vkdit bench train --save FILE` measured.
#ifndef VKDIT_STEP_RATE_H
#define VKDIT_STEP_RATE_H

#include "vkd/status.h"
#include "vkdm/sweep.h"

enum { STEP_RATE_ROWS = 64 };

struct step_rate {
  int count; // 0: nothing is known
  struct {
    double params, tokens, flops; // of the blocks; of a sample; per second, by the paper's C_token
  } row[STEP_RATE_ROWS];
  char device[256];
};

// path NULL: nothing is known.  Errors: VKD_ERR_IO; VKD_ERR_INPUT where it is no such file.
enum vkd_status step_rate_read(const char *path, struct step_rate *out, struct vkd_error *err);

// Seconds of the whole run on one device, at the rate of the row nearest in parameters and tokens; NaN: not known.
double step_rate_seconds(const struct step_rate *rate, const struct sweep_cell *cell);

// "12 s", "3.4 min", "2.1 h", "5.6 days"
void step_rate_text(double seconds, char text[32]);

#endif
