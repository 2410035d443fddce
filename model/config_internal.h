// What config.c (the table) and config_file.c (YAML in and out) share.
#ifndef VKDIT_CONFIG_INTERNAL_H
#define VKDIT_CONFIG_INTERNAL_H

#include "vkdm/config.h"

enum config_type { CONFIG_T_INT, CONFIG_T_LONG, CONFIG_T_REAL, CONFIG_T_BOOL, CONFIG_T_TEXT, CONFIG_T_ENUM };

struct config_field {
  const char *key; // "section.name"
  enum config_type type;
  int count; // of values: 1, or the length of a list
  size_t offset;
  const char *fallback;
  double min, max;          // inclusive; of numbers
  const char *const *names; // of an enum, ended by NULL; of an int that may be CONFIG_AUTO, the word for it
  const char *help;
};

extern const struct config_field config_fields[];
extern const size_t config_field_count;

enum { CONFIG_FIELDS_MAX = 128, CONFIG_LIST_MAX = 4, CONFIG_VALUE_MAX = 2 * CONFIG_TEXT_MAX };

const struct config_field *config__find(const char *key);

// The error of an unknown key.  where: "FILE:LINE" or "command line".
enum vkd_status config__fail_unknown(const char *where, const char *key, enum vkd_status status, struct vkd_error *err);

// Parses `count` values into the field.  where, status: of the error.
enum vkd_status config__assign(struct config *config, const struct config_field *field, const char *const *values,
                               size_t count, const char *where, enum vkd_status status, struct vkd_error *err);

// One "key=value" with where = "command line"; *field (NULL allowed): which one it was.
enum vkd_status config__override(struct config *config, const char *text, const struct config_field **field,
                                 struct vkd_error *err);

// The i-th value of a field as text that parses back to the same bits.
void config__print(const struct config *config, const struct config_field *field, int i, char *text, size_t size);

// The next code point of valid UTF-8, *s moved past it; -1 on bytes that are not.
int32_t config__next_utf8(const char **s);

#endif
