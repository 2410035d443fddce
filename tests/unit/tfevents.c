// TensorBoard event files: checksums of known strings, and every record read back.
#include "check.h"
#include "events.h"
#include "temp.h"
#include "tfevents.h"
#include "vkdm/media.h"
#include "xorshift.h"

#include <unistd.h>

static void test_crc(void) {
  unsigned char bytes[32] = {0};
  CHECK(tfevents_crc32c("123456789", 9) == 0xe3069283u, "the check value of CRC-32C");
  CHECK(event_crc((const unsigned char *)"123456789", 9) == 0xe3069283u, "of the reader");
  CHECK(tfevents_crc32c("", 0) == 0, "of nothing");
  // RFC 3720, appendix B.4
  CHECK(tfevents_crc32c(bytes, 32) == 0x8a9136aau, "32 bytes of zeroes");
  memset(bytes, 0xff, sizeof bytes);
  CHECK(tfevents_crc32c(bytes, 32) == 0x62a8ab43u, "32 bytes of ones");
  for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
  CHECK(tfevents_crc32c(bytes, 32) == 0x46dd794eu, "0 to 31");
}

static char folder[TEMP_SIZE], path[512];

static struct tfevents *begin(void) {
  struct tfevents *e = NULL;
  struct vkd_error err = {0};
  temp_folder(folder);
  CHECK(tfevents_open(&e, folder, &err) == VKD_OK, "%s", err.what);
  return e;
}

// Closes and loads the file, whose first record tells the version; *p: at the second one.
static unsigned char *load(struct tfevents *e, const unsigned char **p, size_t *size) {
  struct vkd_error err = {0};
  struct event first = {0};
  CHECK(tfevents_close(&e, &err) == VKD_OK && !e, "%s", err.what);
  unsigned char *data = events_load(folder, path, size);
  *p = data;
  CHECK(data && events_next(p, data + *size, &first), "no first record");
  CHECK(strcmp(first.version, "brain.Event:2") == 0 && first.step == 0, "the first record tells '%s'", first.version);
  unlink(path);
  rmdir(folder);
  return data;
}

static void test_scalars(void) {
  static const struct {
    int64_t step;
    const char *tag;
    float value;
  } want[] = {{1, "loss", 0.25f},
              {127, "loss", -3e-30f},
              {128, "grad_norm", 1e30f},
              {INT64_C(1) << 40, "lr", 0},
              {7, "loss", INFINITY}};
  enum { COUNT = sizeof want / sizeof want[0] };
  struct vkd_error err = {0};
  struct event got;
  const unsigned char *p;
  size_t size;
  struct tfevents *e = begin();
  for (int i = 0; i < COUNT && e; i++)
    CHECK(tfevents_scalar(e, want[i].step, want[i].tag, want[i].value, &err) == VKD_OK, "%s", err.what);
  unsigned char *data = load(e, &p, &size);
  int records = 0;
  for (; events_next(&p, data + size, &got); records++)
    CHECK(records < COUNT && got.has_value && got.step == (uint64_t)want[records].step &&
              strcmp(got.tag, want[records].tag) == 0 && memcmp(&got.value, &want[records].value, 4) == 0,
          "record %d: step %llu, %s = %g", records, (unsigned long long)got.step, got.tag, (double)got.value);
  CHECK(records == COUNT, "%d records, not %d", records, COUNT);
  free(data);
}

// ---- histograms ----------------------------------------------------------------------------------------------------
enum { LOTS = 20000, SETS = 6 };
static uint64_t seed = 11;

// Numbers of set k; a few sets lie on the edges of buckets and at the ends of what a float holds.
static uint64_t make_set(int k, float *x) {
  static const float edges[] = {0,        -0.0f,     1,           -1,           2,         -2,
                                1.125f,   -1.125f,   0.9375f,     -0.5f,        3e38f,     -3.4e38f,
                                1.4e-45f, -1.4e-45f, 1.1754e-38f, -1.1754e-38f, 0x1p-129f, -0x1p-129f};
  uint64_t n = k == 0 ? LOTS : k == 1 ? 1 : k == 2 ? 300 : k == 3 ? sizeof edges / sizeof *edges : LOTS / 4;
  for (uint64_t i = 0; i < n; i++) {
    double u = 2 * (double)(xorshift(&seed) >> 40) / (double)(1 << 24) - 1;
    if (k == 0) x[i] = (float)(u * u * u * 0.02); // both signs, many octaves
    if (k == 1) x[i] = -7.5f;                     // one number
    if (k == 2) x[i] = 0;                         // nothing but zeroes, as some weights begin
    if (k == 3) x[i] = edges[i];                  // edges
    if (k == 4) x[i] = (float)exp(40 * u);        // above zero alone
    if (k == 5) x[i] = ldexpf((float)(xorshift(&seed) % 16) - 8, (int)(xorshift(&seed) % 9)); // only edges of buckets
  }
  return n;
}

static void test_histograms(void) {
  static float x[LOTS];
  static double y[SETS][LOTS];
  static struct histogram h;
  uint64_t n[SETS];
  struct vkd_error err = {0};
  struct event got;
  const unsigned char *p;
  size_t size;
  struct tfevents *e = begin();
  for (int k = 0; k < SETS && e; k++) {
    char tag[32];
    n[k] = make_set(k, x);
    memset(&h, 0, sizeof h);
    double divisor = k % 2 ? 1 : 1024; // exact in a float, as a loss scale is
    for (uint64_t i = 0; i < n[k]; i++) {
      y[k][i] = (double)x[i];
      x[i] = (float)((double)x[i] * divisor);
    }
    uint64_t part = n[k] / 3; // in two pieces
    histogram_add(&h, x, part, divisor);
    histogram_add(&h, x + part, n[k] - part, divisor);
    const float bad[] = {INFINITY, NAN, -INFINITY};
    if (k == 4) histogram_add(&h, bad, 3, 1);
    CHECK(h.non_finite == (k == 4 ? 3 : 0), "set %d: %d numbers that are not finite", k, (int)h.non_finite);
    snprintf(tag, sizeof tag, "weights/set %d", k);
    CHECK(tfevents_histogram(e, 100 + k, tag, &h, &err) == VKD_OK, "%s", err.what);
  }
  unsigned char *data = load(e, &p, &size);
  int records = 0;
  for (; records < SETS && events_next(&p, data + size, &got); records++) {
    CHECK(got.has_histogram && got.step == 100 + (uint64_t)records, "record %d", records);
    event_check_histogram(&got, y[records], n[records]);
    // 1/8 of an octave: at most 1/8 of a number
    for (int b = 1; b < got.buckets; b++) {
      double low = event_double(got.limits + 8 * (b - 1)), high = event_double(got.limits + 8 * b);
      if (event_double(got.counts + 8 * b) > 0 && fabs(low) > 1e-37)
        CHECK(high - low <= fmax(fabs(low), fabs(high)) / 8, "%s: a bucket from %g to %g", got.tag, low, high);
    }
  }
  CHECK(records == SETS && p == data + size, "%d records", records);
  free(data);
}

static void test_images(void) {
  enum { T = 3, H = 5, W = 4 };
  static uint8_t frames[T * H * W * 3];
  struct vkd_error err = {0};
  struct media_picture png;
  struct event got = {0};
  const unsigned char *p;
  size_t size;
  for (size_t i = 0; i < sizeof frames; i++) frames[i] = (uint8_t)xorshift(&seed);
  struct tfevents *e = begin();
  CHECK(media_png(frames, T, H, W, 0, &png, &err) == VKD_OK, "%s", err.what);
  CHECK(tfevents_image(e, 9, "samples", png.data, png.size, png.height, png.width, &err) == VKD_OK, "%s", err.what);
  unsigned char *data = load(e, &p, &size);
  CHECK(events_next(&p, data + size, &got) && got.has_image && got.step == 9 && !strcmp(got.tag, "samples"),
        "no image");
  event_check_png(&got, H, T * W);
  CHECK(got.png_size == png.size && !memcmp(got.png, png.data, png.size), "other bytes");
  free(png.data);
  free(data);
}

int main(void) {
  struct tfevents *none = NULL;
  struct vkd_error err = {0};
  test_crc();
  test_scalars();
  test_histograms();
  test_images();
  CHECK(tfevents_open(&none, "no/such/folder", &err) == VKD_ERR_IO && !none, "a folder that is not there: %s",
        err.what);
  CHECK(tfevents_close(&none, NULL) == VKD_OK, "closing nothing");
  return check_done();
}
