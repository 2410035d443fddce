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

void vkd_make_plain(char *text) {
  for (char *p = text; *p; p++)
    if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
}

enum vkd_status(vkd_fail)(struct vkd_error *err, enum vkd_status status, const char *fmt, ...) {
  if (!err || err->status != VKD_OK) return status;
  err->status = status;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->what, sizeof err->what, fmt, ap);
  va_end(ap);
  vkd_make_plain(err->what);
  return status;
}

enum vkd_status vkd_error_prefix(struct vkd_error *err, const char *fmt, ...) {
  char prefix[256], text[sizeof prefix + sizeof err->what + 2];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(prefix, sizeof prefix, fmt, ap);
  va_end(ap);
  snprintf(text, sizeof text, "%s: %s", prefix, err->what);
  memcpy(err->what, text, sizeof err->what - 1);
  err->what[sizeof err->what - 1] = 0;
  vkd_make_plain(err->what);
  return err->status;
}

const char *vkd_status_name(enum vkd_status status) { return status_table[status].name; }
const char *vkd_status_message(enum vkd_status status) { return status_table[status].message; }
int vkd_status_exit_code(enum vkd_status status) { return status_table[status].exit_code; }
