// JSON from files that nobody trusts.  Internal to model/.
#ifndef VKDM_JSON_IN_H
#define VKDM_JSON_IN_H

#include <jansson.h>

// An empty object of two letters takes some 250 bytes of memory: more values than this are not parsed.
enum { JSON_IN_VALUES = 1 << 17 };

// Like json_loadb() without duplicate keys, and with at most `most` values; why: NULL allowed.
json_t *json_in(const char *text, size_t size, size_t most, json_error_t *why);

#endif
