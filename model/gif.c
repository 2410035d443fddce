// Animated GIF89a.  Source: CompuServe, Graphics Interchange Format version 89a, 1990; the Netscape 2.0 loop extension.
#include "gif.h"

#include <stdlib.h>
#include <string.h>

#include "vkdm/fileio.h"
#include "vkdm/media.h"

enum { MAX_CODES = 4096 };

// Bits go into sub-blocks of at most 255 bytes, least significant bit first.
struct bits {
  struct fileio *file;
  struct vkd_error *err;
  enum vkd_status status;
  uint32_t held, held_count;
  uint8_t block[256]; // its length, then the bytes
};

static void flush_block(struct bits *b) {
  if (b->status == VKD_OK && b->block[0]) b->status = fileio_write(b->file, b->block, b->block[0] + 1u, b->err);
  b->block[0] = 0;
}

static void put_code(struct bits *b, uint32_t code, uint32_t width) {
  b->held |= code << b->held_count;
  b->held_count += width;
  while (b->held_count >= 8) {
    b->block[++b->block[0]] = (uint8_t)b->held;
    if (b->block[0] == 255) flush_block(b);
    b->held >>= 8;
    b->held_count -= 8;
  }
}

// LZW with codes that grow; children: [MAX_CODES][256], next code + 1 after (code, byte), 0: none.
static enum vkd_status write_lzw(struct fileio *file, const uint8_t *indices, size_t count, uint32_t depth,
                                 uint16_t (*children)[256], struct vkd_error *err) {
  struct bits b = {.file = file, .err = err, .status = VKD_OK};
  const uint32_t clear = 1u << depth;
  uint32_t next = clear + 2, width = depth + 1, code = indices[0];
  const uint8_t first = (uint8_t)depth, end = 0;
  enum vkd_status status = fileio_write(file, &first, 1, err);
  if (status != VKD_OK) return status;
  memset(children, 0, MAX_CODES * sizeof *children);
  put_code(&b, clear, width);
  for (size_t i = 1; i < count; i++) {
    const uint8_t byte = indices[i];
    if (children[code][byte]) {
      code = children[code][byte] - 1u;
      continue;
    }
    put_code(&b, code, width);
    if (next < MAX_CODES) {
      children[code][byte] = (uint16_t)(next + 1);
      width += next == 1u << width; // the reader makes room for `next` now, one code late
      next++;
    } else {
      put_code(&b, clear, width);
      memset(children, 0, MAX_CODES * sizeof *children);
      next = clear + 2;
      width = depth + 1;
    }
    code = byte;
  }
  put_code(&b, code, width);
  width += next == 1u << width && next < MAX_CODES;
  put_code(&b, clear + 1, width);
  if (b.held_count) put_code(&b, 0, 8 - b.held_count);
  flush_block(&b);
  return b.status == VKD_OK ? fileio_write(file, &end, 1, err) : b.status;
}

static void put_u16(uint8_t *p, uint32_t x) { p[0] = (uint8_t)x, p[1] = (uint8_t)(x >> 8); }

static enum vkd_status write_head(struct fileio *file, const struct palette *palette, uint32_t depth, uint32_t h,
                                  uint32_t w, struct vkd_error *err) {
  uint8_t screen[13] = {'G', 'I', 'F', '8', '9', 'a'};
  static const uint8_t loop[19] = {0x21, 0xff, 11,  'N', 'E', 'T', 'S', 'C', 'A', 'P',
                                   'E',  '2',  '.', '0', 3,   1,   0,   0,   0};
  put_u16(screen + 6, w);
  put_u16(screen + 8, h);
  screen[10] = (uint8_t)(0xf0 | (depth - 1)); // a global colour table of 2^depth entries, 8 bits a channel
  uint8_t table[256 * 3] = {0};
  memcpy(table, palette->rgb, palette->count * 3);
  enum vkd_status status = fileio_write(file, screen, sizeof screen, err);
  if (status == VKD_OK) status = fileio_write(file, table, (size_t)3 << depth, err);
  if (status == VKD_OK) status = fileio_write(file, loop, sizeof loop, err);
  return status;
}

enum vkd_status media_write_gif(const char *path, const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, double fps,
                                struct vkd_error *err) {
  if (t < 1 || h < 1 || w < 1 || h > 65535 || w > 65535 || !(fps > 0 && fps <= 1000))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: cannot write %u frames of %ux%u at %g per second", path, t, h, w, fps);
  enum vkd_status status = VKD_OK;
  const size_t pixels = (size_t)h * w;
  struct fileio file = {0};
  struct palette palette;
  uint8_t *indices = malloc(pixels);
  int16_t *cache = malloc(32768 * sizeof *cache);
  uint16_t(*children)[256] = malloc(MAX_CODES * sizeof *children);
  if (!indices || !cache || !children || !palette_build(frames, t * pixels, &palette)) {
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory to write it", path);
    goto done;
  }
  memset(cache, 0xff, 32768 * sizeof *cache);
  uint32_t depth = 2; // the least that the format's codes allow
  while (1u << depth < palette.count) depth++;
  double delay = 100 / fps;
  delay = delay < 2 ? 2 : delay > 65535 ? 65535 : delay; // viewers slow shorter ones down
  if ((status = fileio_begin(&file, path, err)) != VKD_OK) goto done;
  if ((status = write_head(&file, &palette, depth, h, w, err)) != VKD_OK) goto done;
  for (uint32_t f = 0; f < t; f++) {
    uint8_t head[18] = {0x21, 0xf9, 4, 4, 0, 0, 0, 0, 0x2c}; // keep the frame; then the image's place and size
    put_u16(head + 4, (uint32_t)(delay + 0.5));
    put_u16(head + 13, w);
    put_u16(head + 15, h);
    if ((status = fileio_write(&file, head, sizeof head, err)) != VKD_OK) goto done;
    palette_map(&palette, frames + f * pixels * 3, h, w, cache, indices);
    if ((status = write_lzw(&file, indices, pixels, depth, children, err)) != VKD_OK) goto done;
  }
  if ((status = fileio_write(&file, ";", 1, err)) == VKD_OK) status = fileio_commit(&file, err);
done:
  fileio_abort(&file);
  free(indices);
  free(cache);
  free(children);
  return status;
}
