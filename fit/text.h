// A growing text with a sticky failure, and files written whole.
#ifndef FIT_TEXT_H
#define FIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "fit/error.h"

struct fit_text {
  char *data; // ends with 0 unless NULL
  size_t size, room;
  bool failed; // no memory
};

void fit__text_add(struct fit_text *t, const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void fit__text_escape(struct fit_text *t, const char *text); // for HTML and SVG
void fit__text_free(struct fit_text *t);

// Writes beside `path`, syncs and renames.
enum fit_status fit__file_write(const char *path, const struct fit_text *t, struct fit_error *err);

#endif
