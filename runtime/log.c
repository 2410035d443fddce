#include "vkd/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
  vkd_log_fn fn;
  void *user;
} sink;

void vkd_log_set(vkd_log_fn fn, void *user) {
  sink.fn = fn;
  sink.user = user;
}

void vkd_log(enum vkd_log_level level, const char *fmt, ...) {
  if (!sink.fn) return;
  char message[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  vkd_make_plain(message);
  sink.fn(sink.user, level, message);
}
