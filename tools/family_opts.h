// The options that tell the FLOPs of a model family, shared by the commands that fit and plan.
#ifndef VKDIT_FAMILY_OPTS_H
#define VKDIT_FAMILY_OPTS_H

#include "cmd.h"
#include "fit/plan.h"

// clang-format off
#define FAMILY_OPTS                                                                                                    \
  {.name = "n-ctx", .kind = CMD_REAL, .metavar = "TOKENS", .min = 1, .max = 1e9,                                       \
   .help = "tokens of a sample: FLOPs per token are 3/4*N*(7 + n_ctx/d), N = 16*L*d^2"},                               \
  {.name = "aspect", .kind = CMD_REAL, .metavar = "RATIO", .fallback = "64", .min = 1e-3, .max = 1e6,                  \
   .help = "with --n-ctx: width over depth, d/L"},                                                                     \
  {.name = "depth", .kind = CMD_REAL, .metavar = "L", .min = 1, .max = 1e5,                                            \
   .help = "with --n-ctx: a fixed number of layers, in place of --aspect"},                                            \
  {.name = "flops-per-param", .kind = CMD_REAL, .metavar = "K", .fallback = "6", .min = 1e-3, .max = 1e6,              \
   .help = "without --n-ctx: FLOPs per token are K*N"}
// clang-format on

static inline struct fit_family family_from(const struct cmd_args *args) {
  return (struct fit_family){.n_ctx = cmd_real(args, "n-ctx"),
                             .aspect = cmd_real(args, "aspect"),
                             .depth = cmd_real(args, "depth"),
                             .flops_per_param = cmd_real(args, "flops-per-param")};
}

#endif
