// stb_image, compiled once, with an allocator that keeps to a limit and gives zeros: of a damaged file it may return what
// it never wrote.  Its own warnings are not ours.
#include "stb_image_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Before each block, its size.
union block {
  size_t size;
  max_align_t align;
};

static _Thread_local struct {
  size_t used, limit;
  bool hit;
} memory = {.limit = SIZE_MAX};

void stb_image_limit(size_t bytes) {
  memory.limit = bytes;
  memory.hit = false;
}

bool stb_image_limit_hit(void) { return memory.hit; }

void *stb_image_realloc(void *p, size_t size) {
  union block *old = p ? (union block *)p - 1 : NULL;
  size_t before = old ? old->size : 0;
  if (memory.used - before > memory.limit || size > memory.limit - (memory.used - before)) {
    memory.hit = true;
    return NULL;
  }
  union block *block = realloc(old, sizeof *block + size);
  if (!block) return NULL;
  if (size > before) memset((char *)(block + 1) + before, 0, size - before);
  block->size = size;
  memory.used = memory.used - before + size;
  return block + 1;
}

void stb_image_release(void *p) {
  if (!p) return;
  union block *block = (union block *)p - 1;
  memory.used -= block->size;
  free(block);
}

#define STBI_MALLOC(size) stb_image_realloc(NULL, size)
#define STBI_REALLOC(p, size) stb_image_realloc(p, size)
#define STBI_FREE(p) stb_image_release(p)
#define STB_IMAGE_IMPLEMENTATION
#define STBI_MAX_DIMENSIONS 32768
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_FAILURE_USERMSG
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif
#include "stb_image.h"
