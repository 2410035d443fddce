#include "json_in.h"

#include <stdbool.h>
#include <stdio.h>

// Of valid text the number of values at least; a parser gets no further than where text is not valid.
static size_t count_values(const char *text, size_t size) {
  size_t values = 1;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (quoted && c == '\\')
      i++;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted)
      values += c == ',' || c == '[' || c == '{';
  }
  return values;
}

json_t *json_in(const char *text, size_t size, size_t most, json_error_t *why) {
  size_t values = count_values(text, size);
  if (values <= most) return json_loadb(text, size, JSON_REJECT_DUPLICATES, why);
  if (why) {
    *why = (json_error_t){.line = 1};
    snprintf(why->text, sizeof why->text, "%zu values, at most %zu are read", values, most);
  }
  return NULL;
}
