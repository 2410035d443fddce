// A profile as a trace in Chrome's format, which Perfetto and chrome://tracing open.
#ifndef VKDIT_PROFILE_TRACE_H
#define VKDIT_PROFILE_TRACE_H

#include "vkdm/profile.h"

// Every timed run: one track with what the host did, one with the device's ops.  Their clocks are put together where
// the host begins to submit a run; differences on one track are as measured.  Written whole or not at all.
enum vkd_status profile_trace_write(const struct profile *profile, const char *device, const char *path,
                                    struct vkd_error *err);

#endif
