#include "vkd/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *message;
  int exit_code;
} status_table[] = {
#define X(code, exit_code, message) {"VKD_" #code, message, exit_code},
    VKD_STATUS_MAP(X)
#undef X
};

enum vkd_status vkd_fail(struct vkd_error *err, enum vkd_status status, const char *fmt, ...) {
  if (!err || err->status != VKD_OK) return status;
  err->status = status;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->what, sizeof err->what, fmt, ap);
  va_end(ap);
  return status;
}

enum vkd_status vkd_error_prefix(struct vkd_error *err, const char *fmt, ...) {
  char old[sizeof err->what];
  memcpy(old, err->what, sizeof old);
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(err->what, sizeof err->what, fmt, ap);
  va_end(ap);
  if (n >= 0 && (size_t)n < sizeof err->what) snprintf(err->what + n, sizeof err->what - (size_t)n, ": %s", old);
  return err->status;
}

const char *vkd_status_name(enum vkd_status status) { return status_table[status].name; }
const char *vkd_status_message(enum vkd_status status) { return status_table[status].message; }
int vkd_status_exit_code(enum vkd_status status) { return status_table[status].exit_code; }
