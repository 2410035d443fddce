// How much memory stb_image may take at once: the sizes that a file claims are not proven until its data are decoded.
// Per thread.  Internal to model/.
#ifndef VKDM_STB_IMAGE_MEMORY_H
#define VKDM_STB_IMAGE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// From now on; a request beyond it fails as one without memory does.
void stb_image_limit(size_t bytes);
bool stb_image_limit_hit(void); // since then

void *stb_image_realloc(void *p, size_t size); // p may be NULL; what is new is zero
void stb_image_release(void *p);

#endif
