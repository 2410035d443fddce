#include "fit/runs.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 256         // columns of a table
#define MAX_BYTES (1ull << 26) // size of a table
#define MAX_ROWS (1u << 18)    // kept; in memory a short one takes 20 times its size
#define MAX_NUMBER 64          // characters of a number

enum column { PARAMS, TOKENS, LOSS, FLOPS, BATCH_TOKENS, LR, SEED, STEPS, DIVERGED, EXCLUDED, RUN, COLUMNS };
static const char *const column_name[COLUMNS] = {"params", "tokens", "loss",     "flops",    "batch_tokens", "lr",
                                                 "seed",   "steps",  "diverged", "excluded", "run"};

struct field {
  const char *text; // into the table, without the outer quotes
  size_t size;
};

struct reader {
  const char *name, *at, *end;
  long line;     // of `at`, from 1
  long row_line; // where the fields below start
  struct field field[MAX_FIELDS];
  int fields;
  int where[COLUMNS]; // field of each column, -1: not there
  int width;          // fields of the header
  struct fit_error *err;
};

static bool blank(char c) { return c == ' ' || c == '\t'; }

// One quoted or bare field; leaves `at` on the comma, the line break or the end.
static enum fit_status read_field(struct reader *r) {
  if (r->fields == MAX_FIELDS)
    return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: more than %d fields; is this a comma-separated runs table?",
                    r->name, r->row_line, MAX_FIELDS);
  struct field *f = &r->field[r->fields++];
  while (r->at < r->end && blank(*r->at)) r->at++;
  if (r->at < r->end && *r->at == '"') {
    f->text = ++r->at;
    while (r->at < r->end && (*r->at != '"' || (r->at + 1 < r->end && r->at[1] == '"'))) {
      if (*r->at == '"') r->at++;
      if (*r->at == '\n') r->line++;
      r->at++;
    }
    if (r->at == r->end)
      return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: field %d: a quote opens and never closes", r->name, r->row_line,
                      r->fields);
    f->size = (size_t)(r->at++ - f->text);
    while (r->at < r->end && blank(*r->at)) r->at++;
    if (r->at < r->end && *r->at != ',' && *r->at != '\n' && *r->at != '\r')
      return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: field %d: text after the closing quote", r->name, r->row_line,
                      r->fields);
    return FIT_OK;
  }
  f->text = r->at;
  while (r->at < r->end && *r->at != ',' && *r->at != '\n' && *r->at != '\r') r->at++;
  f->size = (size_t)(r->at - f->text);
  while (f->size && blank(f->text[f->size - 1])) f->size--;
  return FIT_OK;
}

// Reads the next line that is not empty; fields = 0 at the end of the table.
static enum fit_status read_row(struct reader *r) {
  do {
    r->fields = 0;
    if (r->at == r->end) return FIT_OK;
    r->row_line = r->line;
    for (;;) {
      enum fit_status status = read_field(r);
      if (status) return status;
      if (r->at == r->end || *r->at != ',') break;
      r->at++;
    }
    if (r->at < r->end && *r->at == '\r') r->at++;
    if (r->at < r->end && *r->at == '\n') {
      r->at++;
      r->line++;
    } else if (r->at < r->end) {
      return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: a carriage return inside the line", r->name, r->row_line);
    }
  } while (r->fields == 1 && r->field[0].size == 0);
  return FIT_OK;
}

static enum fit_status read_header(struct reader *r) {
  if (r->end - r->at >= 3 && !memcmp(r->at, "\xef\xbb\xbf", 3)) r->at += 3;
  enum fit_status status = read_row(r);
  if (status) return status;
  if (!r->fields)
    return fit_fail(r->err, FIT_ERR_INPUT, "%s: empty; a runs table starts with a header: params,tokens,loss", r->name);
  r->width = r->fields;
  for (int c = 0; c < COLUMNS; c++) {
    r->where[c] = -1;
    for (int i = 0; i < r->fields; i++) {
      if (r->field[i].size != strlen(column_name[c]) || memcmp(r->field[i].text, column_name[c], r->field[i].size))
        continue;
      if (r->where[c] >= 0)
        return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: column %s stands twice in the header", r->name, r->row_line,
                        column_name[c]);
      r->where[c] = i;
    }
  }
  for (int c = PARAMS; c <= LOSS; c++)
    if (r->where[c] < 0)
      return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: no column %s; needed are params, tokens, loss", r->name,
                      r->row_line, column_name[c]);
  return FIT_OK;
}

static bool empty(const struct reader *r, enum column c) { return r->where[c] < 0 || !r->field[r->where[c]].size; }

static enum fit_status not_a(const struct reader *r, enum column c, const char *what) {
  const struct field *f = &r->field[r->where[c]];
  char shown[41];
  size_t size = f->size < sizeof shown - 1 ? f->size : sizeof shown - 1;
  for (size_t i = 0; i < size; i++) shown[i] = (char)(f->text[i] >= ' ' && f->text[i] < 127 ? f->text[i] : '?');
  shown[size] = 0;
  return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: column %s: \"%s\" is not %s", r->name, r->row_line, column_name[c],
                  shown, what);
}

// NaN for an empty or absent field.
static enum fit_status read_number(const struct reader *r, enum column c, double *out) {
  *out = NAN;
  if (empty(r, c)) return FIT_OK;
  const struct field *f = &r->field[r->where[c]];
  char text[MAX_NUMBER], *end;
  if (f->size >= sizeof text) return not_a(r, c, "a number");
  memcpy(text, f->text, f->size);
  text[f->size] = 0;
  // strtod also takes hexadecimal and nan(...), which no runs table means
  if (strspn(text, "+-.0123456789eE") != f->size && strspn(text, "+-infatyINFATY") != f->size)
    return not_a(r, c, "a number");
  *out = strtod(text, &end);
  return end == text || *end ? not_a(r, c, "a number") : FIT_OK;
}

static enum fit_status read_flag(const struct reader *r, enum column c, bool *out) {
  static const char *const yes[] = {"1", "true", "True", "TRUE", "yes"}, *const no[] = {"0", "false", "False", "FALSE",
                                                                                        "no"};
  *out = false;
  if (empty(r, c)) return FIT_OK;
  const struct field *f = &r->field[r->where[c]];
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
    if (f->size == strlen(yes[i]) && !memcmp(f->text, yes[i], f->size)) {
      *out = true;
      return FIT_OK;
    }
    if (f->size == strlen(no[i]) && !memcmp(f->text, no[i], f->size)) return FIT_OK;
  }
  return not_a(r, c, "0 or 1");
}

// Fills *run from the fields; *drop is FIT_DROP_COUNT for a row to keep.
static enum fit_status read_run(const struct reader *r, struct fit_run *run, enum fit_drop *drop) {
  bool diverged = false, excluded = false;
  double *const number[] = {[PARAMS] = &run->params,
                            [TOKENS] = &run->tokens,
                            [LOSS] = &run->loss,
                            [FLOPS] = &run->flops,
                            [BATCH_TOKENS] = &run->batch_tokens,
                            [LR] = &run->lr,
                            [SEED] = &run->seed,
                            [STEPS] = &run->steps};
  enum fit_status status;
  *drop = FIT_DROP_COUNT;
  if (r->fields != r->width)
    return fit_fail(r->err, FIT_ERR_INPUT, "%s:%ld: %d fields, but the header has %d", r->name, r->row_line, r->fields,
                    r->width);
  for (int c = PARAMS; c <= STEPS; c++)
    if ((status = read_number(r, c, number[c]))) return status;
  if ((status = read_flag(r, DIVERGED, &diverged)) || (status = read_flag(r, EXCLUDED, &excluded))) return status;
  if (!(run->params > 0 && run->params < INFINITY)) return not_a(r, PARAMS, "a number of parameters above 0");
  if (!(run->tokens >= 0 && run->tokens < INFINITY)) return not_a(r, TOKENS, "a number of tokens, 0 or more");
  if (!(run->flops > 0 && run->flops < INFINITY)) run->flops = NAN;
  if (excluded)
    *drop = FIT_DROP_EXCLUDED;
  else if (diverged)
    *drop = FIT_DROP_DIVERGED;
  else if (!isfinite(run->loss))
    *drop = FIT_DROP_NO_LOSS;
  else if (!(run->loss > 0))
    return not_a(r, LOSS, "a loss above 0 (the laws take its logarithm)");
  else if (!(run->tokens > 0))
    *drop = FIT_DROP_UNTRAINED;
  return FIT_OK;
}

struct label {
  struct field run;
  size_t row;
};

static int by_label(const void *pa, const void *pb) {
  const struct label *a = pa, *b = pb;
  size_t size = a->run.size < b->run.size ? a->run.size : b->run.size;
  int order = size ? memcmp(a->run.text, b->run.text, size) : 0;
  if (order) return order;
  if (a->run.size != b->run.size) return a->run.size < b->run.size ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

// Equal labels become one cluster; an empty label is a run of its own.
static void number_clusters(struct fit_runs *runs, struct label *label) {
  if (runs->count) qsort(label, runs->count, sizeof *label, by_label); // NOLINT(*NonNullParamChecker): has so many
  for (size_t i = 0; i < runs->count; i++) {
    bool same = i && label[i].run.size && label[i].run.size == label[i - 1].run.size &&
                !memcmp(label[i].run.text, label[i - 1].run.text, label[i].run.size);
    runs->row[label[i].row].run = same ? runs->clusters - 1 : runs->clusters++;
  }
}

enum fit_status fit_runs_parse(const char *text, size_t size, const char *name, struct fit_runs *out,
                               struct fit_error *err) {
  struct reader r = {.name = name, .at = text, .end = text + size, .line = 1, .err = err};
  struct label *label = NULL;
  size_t room = 0;
  enum fit_status status = FIT_OK;
  *out = (struct fit_runs){0};
  if ((status = read_header(&r))) goto fail;
  out->has_run = r.where[RUN] >= 0;
  out->has_flops = r.where[FLOPS] >= 0;
  for (;;) {
    if ((status = read_row(&r))) goto fail;
    if (!r.fields) break;
    if (out->count == MAX_ROWS) {
      status = fit_fail(err, FIT_ERR_INPUT, "%s:%ld: more than %u rows; leave some out", name, r.row_line, MAX_ROWS);
      goto fail;
    }
    if (out->count == room) {
      room = room ? room * 2 : 256;
      struct fit_run *row = realloc(out->row, room * sizeof *row);
      if (row) out->row = row;
      struct label *more = row ? realloc(label, room * sizeof *more) : NULL;
      if (more) label = more;
      if (!row || !more) {
        status = fit_fail(err, FIT_ERR_FAILED, "%s: no memory for %zu rows", name, room);
        goto fail;
      }
    }
    struct fit_run *run = &out->row[out->count];
    enum fit_drop drop;
    *run = (struct fit_run){.line = r.row_line};
    if ((status = read_run(&r, run, &drop))) goto fail;
    out->rows++;
    out->flops_not_positive += !empty(&r, FLOPS) && isnan(run->flops);
    if (drop != FIT_DROP_COUNT) {
      out->dropped[drop]++;
      continue;
    }
    label[out->count] =
        (struct label){.run = empty(&r, RUN) ? (struct field){"", 0} : r.field[r.where[RUN]], .row = out->count};
    out->count++;
  }
  if (!out->rows) {
    status = fit_fail(err, FIT_ERR_INPUT, "%s: a header and no rows", name);
    goto fail;
  }
  number_clusters(out, label);
  free(label);
  return FIT_OK;
fail:
  free(label);
  fit_runs_free(out);
  return status;
}

enum fit_status fit_runs_read(const char *path, struct fit_runs *out, struct fit_error *err) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t size = 0, room = 0;
  enum fit_status status = FIT_OK;
  *out = (struct fit_runs){0};
  if (!file) return fit_fail(err, FIT_ERR_INPUT, "%s: cannot open: %s", path, strerror(errno));
  for (;;) {
    if (size == room) {
      room = room ? room * 2 : 1 << 16;
      char *more = room <= MAX_BYTES ? realloc(text, room) : NULL;
      if (!more) {
        status = room > MAX_BYTES ? fit_fail(err, FIT_ERR_INPUT, "%s: larger than 64 MiB; split the table", path)
                                  : fit_fail(err, FIT_ERR_FAILED, "%s: no memory for %zu bytes", path, room);
        goto fail;
      }
      text = more;
    }
    size_t got = fread(text + size, 1, room - size, file);
    size += got;
    if (!got) break;
  }
  if (ferror(file)) {
    status = fit_fail(err, FIT_ERR_INPUT, "%s: cannot read: %s", path, strerror(errno));
    goto fail;
  }
  status = fit_runs_parse(text, size, path, out, err);
fail:
  free(text);
  fclose(file);
  return status;
}

void fit_runs_free(struct fit_runs *runs) {
  if (!runs) return;
  free(runs->row);
  *runs = (struct fit_runs){0};
}

double fit_run_flops(const struct fit_run *run) { return run->flops > 0 ? run->flops : 6 * run->params * run->tokens; }

const char *fit_drop_text(enum fit_drop drop) {
  static const char *const text[] = {
#define X(code, words) words,
      FIT_DROP_MAP(X)
#undef X
  };
  return drop < FIT_DROP_COUNT ? text[drop] : "kept";
}
