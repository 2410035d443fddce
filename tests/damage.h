// Files for tests of broken ones: random damage to a text, and how it is written.
#ifndef VKD_TEST_DAMAGE_H
#define VKD_TEST_DAMAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xorshift.h"

static uint64_t rng_state = 0x9e3779b97f4a7c15u;
static inline uint32_t rng(void) { return (uint32_t)(xorshift(&rng_state) >> 32); }

// Without the fsync of an atomic write, for speed.
static inline void damage_write(const char *path, const void *data, size_t size) {
  FILE *out = fopen(path, "wb");
  if (!out || fwrite(data, 1, size, out) != size || fclose(out)) exit(1);
}

// The byte becomes any other, or one of its bits flips.
static inline void damage_byte(void *byte) {
  unsigned char *p = byte;
  *p = (unsigned char)(rng() & 1 ? rng() : (uint32_t)*p ^ 1u << rng() % 8);
}

// `count` bytes of the text become any others.
static inline void damage_bytes(char *text, size_t size, uint32_t count) {
  for (; count; count--) {
    char byte = (char)rng();
    text[rng() % size] = byte;
  }
}

// The token stands from `at` on in place of what was there.
static inline void damage_overwrite(void *text, size_t size, size_t at, const char *token) {
  for (size_t i = 0; token[i] && at + i < size; i++) ((char *)text)[at + i] = token[i];
}

// Into out, JSON in which the token stands for the value around `at`: from a colon, comma or bracket to the end of what
// follows. Gives the size.
static inline size_t damage_value(const char *text, size_t size, size_t at, const char *token, char *out) {
  size_t n = strlen(token);
  while (at > 0 && !strchr(":,[", text[at])) at--;
  size_t end = at + 1;
  while (end < size && !strchr(",]}", text[end])) end++;
  memcpy(out, text, at + 1);
  memcpy(out + at + 1, token, n);
  memcpy(out + at + 1 + n, text + end, size - end);
  return at + 1 + n + size - end;
}

#endif
