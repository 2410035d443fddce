#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

struct vkd_arena_block {
  struct vkd_arena_block *next;
  size_t used, size;
  max_align_t data[];
};

void *vkd__arena_alloc(struct vkd_arena *arena, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  struct vkd_arena_block *block = arena->head;
  if (!block || block->size - block->used < bytes) {
    size_t size = bytes > 65536 ? bytes : 65536;
    block = calloc(1, sizeof *block + size);
    if (!block) return NULL;
    block->size = size;
    block->next = arena->head;
    arena->head = block;
  }
  void *p = (char *)block->data + block->used;
  block->used += bytes;
  return p;
}

char *vkd__arena_vprintf(struct vkd_arena *arena, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  char *s = n < 0 ? NULL : vkd__arena_alloc(arena, (size_t)n + 1);
  if (s) vsnprintf(s, (size_t)n + 1, fmt, ap);
  return s;
}

void vkd__arena_free(struct vkd_arena *arena) {
  while (arena->head) {
    struct vkd_arena_block *block = arena->head;
    arena->head = block->next;
    free(block);
  }
}
