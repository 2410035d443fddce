// stb_image, compiled once.  Its own warnings are not ours.
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
