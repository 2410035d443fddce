#include "fit/error.h"

#include <stdarg.h>
#include <stdio.h>

enum fit_status(fit_fail)(struct fit_error *err, enum fit_status status, const char *fmt, ...) {
  if (err) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->what, sizeof err->what, fmt, args);
    va_end(args);
    for (char *p = err->what; *p; p++) // a message is one line, and speaks to no terminal
      if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
  }
  return status;
}
