#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fit/report.h"

void fit__text_add(struct fit_text *t, const char *fmt, ...) {
  for (int pass = 0; pass < 2 && !t->failed; pass++) {
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(t->data ? t->data + t->size : NULL, t->room - t->size, fmt, args);
    va_end(args);
    if (size >= 0 && (size_t)size < t->room - t->size) {
      t->size += (size_t)size;
      return;
    }
    size_t room = 2 * (t->room + (size_t)(size > 0 ? size : 0) + 1024);
    char *data = size < 0 ? NULL : realloc(t->data, room);
    if (!data) {
      t->failed = true;
      return;
    }
    t->data = data;
    t->room = room;
  }
}

void fit__text_escape(struct fit_text *t, const char *text) {
  for (; *text; text++) {
    const char *to = *text == '&'   ? "&amp;"
                     : *text == '<' ? "&lt;"
                     : *text == '>' ? "&gt;"
                     : *text == '"' ? "&quot;"
                                    : NULL;
    if (to)
      fit__text_add(t, "%s", to);
    else
      fit__text_add(t, "%c", *text);
  }
}

char *fit_html_escape(const char *text) {
  struct fit_text t = {0};
  fit__text_add(&t, "%s", "");
  fit__text_escape(&t, text);
  if (t.failed) fit__text_free(&t);
  return t.data;
}

void fit__text_free(struct fit_text *t) {
  free(t->data);
  *t = (struct fit_text){0};
}

enum fit_status fit__file_write(const char *path, const struct fit_text *t, struct fit_error *err) {
  static const char suffix[] = ".tmp";
  if (t->failed) return fit_fail(err, FIT_ERR_FAILED, "%s: no memory", path);
  size_t size = strlen(path) + sizeof suffix;
  char *beside = malloc(size);
  if (!beside) return fit_fail(err, FIT_ERR_FAILED, "%s: no memory", path);
  snprintf(beside, size, "%s%s", path, suffix);
  enum fit_status status = FIT_OK;
  FILE *file = fopen(beside, "wb");
  if (!file) {
    status = fit_fail(err, FIT_ERR_FAILED, "%s: cannot write: %s", beside, strerror(errno));
    goto fail;
  }
  bool good = fwrite(t->data, 1, t->size, file) == t->size && !fflush(file) && !fsync(fileno(file));
  int reason = errno;
  if (fclose(file) && good) {
    good = false;
    reason = errno;
  }
  if (good && rename(beside, path)) {
    good = false;
    reason = errno;
  }
  if (!good) {
    remove(beside);
    status = fit_fail(err, FIT_ERR_FAILED, "%s: cannot write: %s", path, strerror(reason));
  }
fail:
  free(beside);
  return status;
}
