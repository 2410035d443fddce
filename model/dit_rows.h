// The numbers and the table of a family's parameters, made once for each source file that includes it.  Define first
// DIT_ROWS_FILE, the .def file, and ROW(id, ...), a row of it as an initializer of struct dit_row.
enum outer_row {
#define OUTER(id, ...) id,
#define BLOCK(id, ...)
#include DIT_ROWS_FILE
#undef OUTER
#undef BLOCK
  OUTER_ROWS
};

enum block_row {
#define OUTER(id, ...)
#define BLOCK(id, ...) id,
#include DIT_ROWS_FILE
#undef OUTER
#undef BLOCK
  BLOCK_ROWS
};

#define NO_ROW(id, ...)
static const struct dit_row outer_rows[] = {
#define OUTER ROW
#define BLOCK NO_ROW
#include DIT_ROWS_FILE
#undef OUTER
#undef BLOCK
};
static const struct dit_row block_rows[] = {
#define OUTER NO_ROW
#define BLOCK ROW
#include DIT_ROWS_FILE
#undef OUTER
#undef BLOCK
};
