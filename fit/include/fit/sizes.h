// The compute-optimal model size three ways, side by side: from the joint law with the family's real FLOPs and in
// closed form, from IsoFLOP parabolas, and from the envelope of the training curves.
#ifndef FIT_SIZES_H
#define FIT_SIZES_H

#include "fit/derived.h"
#include "fit/isoflop.h"

// What there is to answer from; each may be NULL.
struct fit_size_sources {
  const double *joint;             // [FIT_JOINT_PARAMS] SI
  const struct fit_sample *sample; // of the joint law
  const struct fit_family *family; // NULL: 6 FLOPs per parameter and token
  const struct fit_isoflop *isoflop;
  const struct fit_envelope *envelope;
};

// N_opt at one compute; NaN where a way has no answer, intervals NaN where it has none.
struct fit_size_row {
  double compute;
  double joint, tokens, loss; // N_opt, T_opt and the loss there, numerically
  double closed;              // at constant FLOPs per parameter and token
  double isoflop, envelope;
  struct fit_interval joint_interval, tokens_interval, loss_interval, isoflop_interval, envelope_interval;
};

void fit_size_row(const struct fit_size_sources *s, double compute, struct fit_size_row *out);

#endif
