// GIF, PNG and tiling: files read back by stb_image, an independent decoder.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"
#include "vkdm/fileio.h"
#include "vkdm/image.h"
#include "vkdm/media.h"

// From stb_image.h, whose folder is not on the tests' include path.
extern unsigned char *stbi_load_gif_from_memory(unsigned char const *buffer, int size, int **delays, int *w, int *h,
                                                int *frames, int *channels, int wanted);
extern void stbi_image_free(void *pixels);

static char folder[TEMP_SIZE], path[TEMP_SIZE + 16];
static uint32_t state = 99;
static uint32_t next_random(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

// Mean squared error of a GIF against the frames it was made of; checks sizes and delays.
static double gif_error(const uint8_t *frames, uint32_t t, uint32_t h, uint32_t w, double fps) {
  struct vkd_error err = {0};
  char *file = NULL;
  size_t size = 0;
  int *delays = NULL, gw = 0, gh = 0, gt = 0, n = 0;
  CHECK(media_write_gif(path, frames, t, h, w, fps, &err) == VKD_OK, "%s", err.what);
  CHECK(fileio_read_whole(path, 1 << 26, &file, &size, &err) == VKD_OK, "%s", err.what);
  unsigned char *back = stbi_load_gif_from_memory((unsigned char *)file, (int)size, &delays, &gw, &gh, &gt, &n, 3);
  CHECK(back && gw == (int)w && gh == (int)h && gt == (int)t, "%dx%d, %d frames", gh, gw, gt);
  double sum = 0;
  const size_t bytes = (size_t)t * h * w * 3;
  for (size_t i = 0; back && i < bytes; i++) sum += pow((double)back[i] - frames[i], 2);
  if (delays) CHECK(delays[0] == (int)(100 / fps + 0.5) * 10, "delay %d ms", delays[0]);
  stbi_image_free(back);
  stbi_image_free(delays);
  free(file);
  return back ? sum / (double)bytes : INFINITY;
}

static void gifs(void) {
  enum { T = 5, H = 61, W = 83, BYTES = T * H * W * 3 };
  static uint8_t frames[BYTES];
  // At most 256 colours come back exactly: one, two, a few, all of them; noise fills the code table several times.
  for (uint32_t colours = 1; colours <= 256; colours = colours < 4 ? colours + 1 : colours * 4) {
    for (size_t i = 0; i < BYTES; i += 3) {
      const uint32_t c = next_random() % colours;
      frames[i] = (uint8_t)(c * 37), frames[i + 1] = (uint8_t)(c * 11), frames[i + 2] = (uint8_t)c;
    }
    CHECK(gif_error(frames, T, H, W, 10) == 0, "%u colours", colours);
  }
  CHECK(gif_error(frames, 1, 1, 1, 25) == 0, "a single pixel");
  // Long runs, whose codes grow without the table filling up.
  for (size_t i = 0; i < BYTES; i++) frames[i] = (uint8_t)(i / 3 / 400 % 3 * 100);
  CHECK(gif_error(frames, T, H, W, 12.5) == 0, "long runs");
  for (size_t f = 0, i = 0; f < T; f++)
    for (size_t y = 0; y < H; y++)
      for (size_t x = 0; x < W; x++) {
        frames[i++] = (uint8_t)(3 * x), frames[i++] = (uint8_t)(4 * y), frames[i++] = (uint8_t)(40 * f);
      }
  const double smooth = gif_error(frames, T, H, W, 8);
  // 256 cubes over this volume of 250 x 244 x 160 would be about 34 wide: variance 34^2 / 12 = 94, the dither's 21
  // beside it; twice that leaves room for boxes that are no cubes.
  CHECK(smooth > 0 && smooth < 230, "colour ramps come back with error %g", smooth);
}

static void png(void) {
  enum { T = 5, H = 8, W = 6 };
  uint8_t frames[T * H * W * 3], sheet[2 * H * 3 * W * 3];
  struct vkd_error err = {0};
  for (size_t i = 0; i < sizeof frames; i++) frames[i] = (uint8_t)next_random();
  CHECK(media_write_png_strip(path, frames, T, H, W, 3, &err) == VKD_OK, "%s", err.what);
  CHECK(image_load(path, 3 * W, 2 * H, sheet, &err) == VKD_OK, "%s", err.what); // its own size: no change of pixels
  uint32_t wrong = 0;
  for (uint32_t y = 0; y < 2 * H; y++)
    for (uint32_t x = 0; x < 3 * W; x++)
      for (uint32_t c = 0; c < 3; c++) {
        const uint32_t f = y / H * 3 + x / W;
        wrong += sheet[(y * 3 * W + x) * 3 + c] != (f < T ? frames[((f * H + y % H) * W + x % W) * 3 + c] : 0);
      }
  CHECK(wrong == 0, "%u of %zu bytes differ", wrong, sizeof sheet);
  CHECK(media_write_png_strip("no/such/folder.png", frames, T, H, W, 0, &err) == VKD_ERR_INPUT, "%s", err.what);
  CHECK(media_write_gif(path, frames, T, H, W, NAN, NULL) == VKD_ERR_USAGE, "NaN frames per second");
}

// A flat picture stays flat at any size; an edge keeps its place.
static void resizing(void) {
  enum { H = 40, W = 60 };
  static uint8_t picture[H * W * 3], out[90 * 90 * 3];
  struct vkd_error err = {0};
  for (size_t i = 0; i < sizeof picture; i++) picture[i] = i / 3 % W < W / 2 ? 200 : 100;
  CHECK(media_write_png_strip(path, picture, 1, H, W, 0, &err) == VKD_OK, "%s", err.what);
  const uint32_t sizes[][2] = {{7, 9}, {32, 32}, {90, 90}};
  for (int i = 0; i < 3; i++) {
    const uint32_t h = sizes[i][0], w = sizes[i][1];
    CHECK(image_load(path, w, h, out, &err) == VKD_OK, "%s", err.what);
    CHECK(out[0] == 200 && out[(w - 1) * 3] == 100, "%ux%u: %u | %u", h, w, out[0], out[(w - 1) * 3]);
    double sum = 0;
    for (size_t k = 0; k < (size_t)h * w * 3; k++) sum += out[k];
    CHECK_NEAR(sum / (h * w * 3), 150, 0.6); // the edge is in the middle; half a step of rounding
  }
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/m", folder);
  gifs();
  png();
  resizing();
  unlink(path);
  rmdir(folder);
  return check_done();
}
