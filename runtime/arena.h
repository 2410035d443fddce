// Memory that is freed all at once.
#ifndef VKD_ARENA_H
#define VKD_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct vkd_arena_block;
struct vkd_arena {
  struct vkd_arena_block *head;
};

void *vkd__arena_alloc(struct vkd_arena *arena, size_t bytes); // zeroed, 16-byte aligned; NULL when out of memory
char *vkd__arena_vprintf(struct vkd_arena *arena, const char *fmt, va_list ap);
void vkd__arena_free(struct vkd_arena *arena);

#endif
