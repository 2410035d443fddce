// Status and error of the laws.  This folder depends on libc alone, so it has its own; nothing here prints or exits.
#ifndef FIT_ERROR_H
#define FIT_ERROR_H

enum fit_status {
  FIT_OK,
  FIT_ERR_INPUT,  // the caller's data or options are wrong: names the file, the place and the mend
  FIT_ERR_FAILED, // the work failed: no memory, no space, no convergence
};

struct fit_error {
  char what[512]; // one line
};

// Fills *err (NULL allowed; the last call wins) and returns `status`.
enum fit_status fit_fail(struct fit_error *err, enum fit_status status, const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
#ifdef __clang_analyzer__ // which does not see the definition
#define fit_fail(err, status, ...) ((fit_fail)(err, status, __VA_ARGS__), status)
#endif

#endif
