// vkdit selftest --compile-only: what the driver makes of every kernel.
#ifndef VKDIT_COMPILE_REPORT_H
#define VKDIT_COMPILE_REPORT_H

#include <stdbool.h>

#include "vkd/device.h"

// The pipelines of the self-test's cases and of the built-in models' training and sampling, in every precision that the
// device has: a table of the worst of each kernel and a verdict, or JSON with all of them.  dev: opened with
// .compile_only. Errors: VKD_ERR_MISMATCH with how many missed.
enum vkd_status compile_report(struct vkd_device *dev, bool json, struct vkd_error *err);

#endif
