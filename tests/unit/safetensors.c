// Safetensors and atomic files: round trips, exact conversions, refusal of malformed headers.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"
#include "vkdm/fileio.h"
#include "vkdm/safetensors.h"

static char folder[TEMP_SIZE];
static char path[256];

static uint32_t rng_state = 12345;
static uint32_t rng(void) { return rng_state = rng_state * 1664525u + 1013904223u; }

// Writes header text with `data_size` zero bytes after it.
static void write_raw(const char *header, size_t data_size) {
  struct vkd_error err = {0};
  uint64_t n = strlen(header);
  char zeros[64] = {0};
  struct fileio f = {0};
  CHECK(!fileio_begin(&f, path, &err) && !fileio_write(&f, &n, 8, &err) && !fileio_write(&f, header, n, &err) &&
            !fileio_write(&f, zeros, data_size, &err) && !fileio_commit(&f, &err),
        "%s", err.what);
}

static void check_refused(const char *header, size_t data_size, const char *word) {
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  write_raw(header, data_size);
  CHECK(st_open(path, &file, &err) == VKD_ERR_INPUT && !file, "accepted: %s", header);
  CHECK(strstr(err.what, word) && strstr(err.what, path), "'%s' does not speak of '%s'", err.what, word);
  st_close(&file);
}

static void test_refusals(void) {
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "beyond the end");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "disagree");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, "whole");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "whole");
  check_refused("{\"a\":{\"dtype\":\"Q4\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
  static const char *const dtypes[] = {"3", "null", "\"\"", "\"f32\"", "\"F32 \"", "[\"F32\"]", "\"F8_E4M3FN\""};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    char header[128];
    snprintf(header, sizeof header, "{\"a\":{\"dtype\":%s,\"shape\":[2],\"data_offsets\":[0,8]}}", dtypes[i]);
    check_refused(header, 8, *dtypes[i] == '"' ? "dtype" : "exactly");
  }
  check_refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "disagree");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,8]}}", 8,
                "overflows");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4, "overflows");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
                "header byte");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "no range");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "dimensions");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "exactly");
  check_refused("{\"a\":7}", 0, "exactly");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                8, "duplicate");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
                6, "overlaps");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                4, "overlaps");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}}",
                16, "overlaps");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}", 4, "duplicate");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
                12, "no tensor");
  check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "no tensor");
  check_refused("{\"__metadata__\":{\"k\":3}}", 0, "not a string");
  check_refused("{\"__metadata__\":[]}", 0, "not a map");
  check_refused("[]", 0, "no .safetensors");
  check_refused("", 0, "no .safetensors");
  struct vkd_error err = {0};
  struct st_file *file = NULL;
  // Header lengths that no file has, with and without bytes behind them.
  static const uint64_t lengths[] = {UINT64_MAX - 3,          UINT64_MAX,        UINT64_MAX - 7, UINT64_C(1) << 63,
                                     (UINT64_C(1) << 63) - 1, UINT64_C(1) << 32, 100000001,      57};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
    for (size_t size = 8; size <= 64; size += 56) {
      char bytes[64] = {0};
      memcpy(bytes, &lengths[i], 8);
      bytes[8] = '{';
      err = (struct vkd_error){0};
      CHECK(!fileio_write_whole(path, bytes, size, &err), "%s", err.what);
      CHECK(st_open(path, &file, &err) == VKD_ERR_INPUT && !file && strstr(err.what, "its header would be"),
            "a header of %" PRIu64 " bytes in a file of %zu: %s", lengths[i], size, err.what);
    }
  // Nesting: as a value, in the shape, in the metadata; closed and not.
  enum { DEPTH = 100000 };
  static char deep[2 * DEPTH + 128];
  static const char *const heads[] = {"{\"a\":", "{\"a\":{\"dtype\":\"F32\",\"shape\":", "{\"__metadata__\":"};
  for (int i = 0; i < 6; i++) {
    size_t n = strlen(strcpy(deep, heads[i / 2]));
    memset(deep + n, '[', DEPTH);
    n += DEPTH;
    if (i % 2) memset(deep + n, ']', DEPTH);
    strcpy(deep + n + (i % 2 ? DEPTH : 0), "}");
    check_refused(deep, 0, "maximum parsing depth");
  }
  err = (struct vkd_error){0};
  CHECK(!fileio_write_whole(path, "abc", 3, &err), "%s", err.what);
  CHECK(st_open(path, &file, &err) == VKD_ERR_INPUT && strstr(err.what, "too short"), "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(st_open("/nonexistent/x.safetensors", &file, &err) == VKD_ERR_INPUT && strstr(err.what, "No such"), "%s",
        err.what);
  err = (struct vkd_error){0};
  CHECK(st_open(folder, &file, &err) == VKD_ERR_INPUT, "%s", err.what);
}

// All 256 bytes: (-1)^s 2^(e-bias) (1 + m/2^mantissa), or 2^(1-bias) m/2^mantissa where e = 0.  Of E4M3 only all ones
// is NaN; E5M2 keeps the highest exponent for infinity and NaN.
static void check_f8(const struct st_tensor *t, int exponent, int mantissa, int bias) {
  struct vkd_error err = {0};
  float got[256];
  int wrong = 0;
  CHECK(t && !st_read_f32(t, got, &err), "%s", err.what);
  for (int i = 0; i < 256; i++) {
    int e = i >> mantissa & ((1 << exponent) - 1), m = i & ((1 << mantissa) - 1);
    double part = ldexp(m, -mantissa), want = e ? ldexp(1 + part, e - bias) : ldexp(part, 1 - bias);
    if (exponent == 4 ? (i & 127) == 127 : e == 31) want = exponent == 5 && !m ? INFINITY : NAN;
    if (i & 128) want = -want;
    wrong += isnan(want) ? !isnan(got[i]) : !((double)got[i] == want && !signbit(got[i]) == !signbit(want));
  }
  CHECK(wrong == 0, "%d of the values of %s", wrong, t->name);
}

// Every finite f16 equals (-1)^s 2^(e-15) (1 + m/1024), or 2^-14 m/1024 where e = 0; computed here in double.
static void test_conversions(void) {
  enum { N = 65536 };
  static uint16_t halves[N];
  static float got[N];
  struct vkd_error err = {0};
  uint8_t bytes[256];
  for (int i = 0; i < N; i++) halves[i] = (uint16_t)i;
  for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
  struct st_entry entries[] = {
      {.name = "f16", .dtype = ST_F16, .ndim = 2, .shape = {256, 256}, .data = halves},
      {.name = "bf16", .dtype = ST_BF16, .ndim = 1, .shape = {N}, .data = halves},
      {.name = "e4m3", .dtype = ST_F8_E4M3, .ndim = 1, .shape = {256}, .data = bytes},
      {.name = "e5m2", .dtype = ST_F8_E5M2, .ndim = 1, .shape = {256}, .data = bytes},
  };
  CHECK(!st_write(path, entries, 4, NULL, 0, &err), "%s", err.what);
  struct st_file *file = NULL;
  CHECK(!st_open(path, &file, &err), "%s", err.what);
  if (!file) return;
  CHECK(!st_read_f32(st_find(file, "f16"), got, &err), "%s", err.what);
  int wrong = 0;
  for (int i = 0; i < N; i++) {
    int e = i >> 10 & 31, m = i & 1023;
    double want = e ? ldexp(1 + m / 1024.0, e - 15) : ldexp(m, -24);
    if (e == 31) want = m ? NAN : INFINITY;
    if (i & 0x8000) want = -want;
    if (isnan(want))
      wrong += !isnan(got[i]);
    else
      wrong += !((double)got[i] == want && !signbit(got[i]) == !signbit(want));
  }
  CHECK(wrong == 0, "%d of the f16 values", wrong);
  CHECK(!st_read_f32(st_find(file, "bf16"), got, &err), "%s", err.what);
  wrong = 0;
  for (int i = 0; i < N; i++) {
    uint32_t bits;
    memcpy(&bits, &got[i], 4);
    wrong += bits != (uint32_t)i << 16;
  }
  CHECK(wrong == 0, "%d of the bf16 values", wrong);
  check_f8(st_find(file, "e4m3"), 4, 3, 7);
  check_f8(st_find(file, "e5m2"), 5, 2, 15);
  int32_t ints[2];
  CHECK(st_read_i32_part(st_find(file, "f16"), 0, 2, ints, &err) == VKD_ERR_INPUT, "f16 read as i32");
  err = (struct vkd_error){0};
  CHECK(st_read_f32_part(st_find(file, "f16"), N - 1, 2, got, &err) == VKD_ERR_INTERNAL, "read past the end");
  st_close(&file);
}

struct filler {
  uint64_t expected; // next offset
  int bad;           // calls out of order
  const unsigned char *data;
};

static enum vkd_status fill(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  (void)err;
  struct filler *f = user;
  f->bad += offset != f->expected;
  f->expected = offset + size;
  memcpy(dst, f->data + offset, size);
  return VKD_OK;
}

static enum vkd_status fill_failing(void *user, uint64_t offset, void *dst, size_t size, struct vkd_error *err) {
  (void)user, (void)dst, (void)size, (void)offset;
  return vkd_fail(err, VKD_ERR_VULKAN, "download failed");
}

static void test_round_trip(void) {
  struct vkd_error err = {0};
  // Larger than the writer's buffer, and odd.
  size_t big = (9u << 20) / 4 + 3;
  float *random = malloc(big * sizeof *random);
  if (!random) return;
  for (size_t i = 0; i < big; i++) random[i] = (float)(int32_t)rng() * 0x1p-31f;
  struct filler filler = {.data = (const unsigned char *)random};
  uint8_t bytes[3] = {1, 2, 255};
  int64_t longs[2] = {-7, INT64_C(1) << 40};
  double doubles[2] = {0.1, -1e-3}, wide[2] = {INFINITY, -1e300};
  struct st_entry entries[] = {
      {.name = "z.big", .dtype = ST_F32, .ndim = 1, .shape = {big}, .fill = fill, .user = &filler},
      {.name = "b", .dtype = ST_U8, .ndim = 1, .shape = {3}, .data = bytes},
      {.name = "scalar", .dtype = ST_F32, .data = random},
      {.name = "long", .dtype = ST_I64, .ndim = 1, .shape = {2}, .data = longs},
      {.name = "double", .dtype = ST_F64, .ndim = 2, .shape = {2, 1}, .data = doubles},
      {.name = "empty", .dtype = ST_F32, .ndim = 2, .shape = {0, 5}},
      {.name = "wide", .dtype = ST_F64, .ndim = 1, .shape = {2}, .data = wide},
  };
  struct st_meta meta[] = {{"step", "12"}, {"note", "line \"one\"\n\xc3\xa9"}};
  CHECK(!st_write(path, entries, 7, meta, 2, &err), "%s", err.what);
  CHECK(!filler.bad && filler.expected == big * 4, "the filler was asked out of order");
  struct st_file *file = NULL;
  CHECK(!st_open(path, &file, &err), "%s", err.what);
  if (!file) goto done;
  CHECK(st_count(file) == 7 && !strcmp(st_at(file, 0)->name, "b") && !strcmp(st_at(file, 6)->name, "z.big"), "order");
  for (size_t i = 0; i < 7; i++) {
    const struct st_tensor *t = st_at(file, i);
    CHECK((uintptr_t)t->data % st_dtype_size(t->dtype) == 0, "%s is not aligned", t->name);
  }
  CHECK(st_metadata_count(file) == 2 && !strcmp(st_metadata(file, "note"), meta[1].value) && !st_metadata(file, "x"),
        "metadata");
  const struct st_tensor *t = st_find(file, "z.big");
  CHECK(t && t->size == big * 4 && !memcmp(t->data, random, big * 4), "big tensor differs");
  CHECK(st_find(file, "scalar")->numel == 1 && st_find(file, "scalar")->ndim == 0, "scalar");
  CHECK(st_find(file, "empty")->numel == 0 && st_find(file, "empty")->shape[1] == 5, "empty");
  float f[2];
  int32_t n[3];
  CHECK(!st_read_f32(st_find(file, "double"), f, &err) && f[0] == 0.1f && f[1] == -1e-3f, "f64");
  CHECK(!st_read_i32(st_find(file, "b"), n, &err) && n[2] == 255, "u8");
  CHECK(st_read_f32(st_find(file, "wide"), f, &err) == VKD_ERR_INPUT && isinf(f[0]) && strstr(err.what, "-1e+300"),
        "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(st_read_i32(st_find(file, "long"), n, &err) == VKD_ERR_INPUT && n[0] == -7, "i64 beyond 32 bits");
  err = (struct vkd_error){0};
  CHECK(st_require(file, "z.bgi", -1, NULL, &t, &err) == VKD_ERR_INPUT && strstr(err.what, "'z.big'"), "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(st_require(file, "double", 2, (uint64_t[]){1, 2}, &t, &err) && strstr(err.what, "[2,1]"), "%s", err.what);
  CHECK(!st_require(file, "double", 2, (uint64_t[]){2, 1}, &t, NULL), "shape");
  st_close(&file);

  // Equal contents in another order give equal bytes; a failed write leaves the old file.
  char *first = NULL, *second = NULL;
  size_t first_size = 0, second_size = 0;
  err = (struct vkd_error){0};
  CHECK(!fileio_read_whole(path, 1 << 24, &first, &first_size, &err), "%s", err.what);
  struct st_entry swapped[] = {entries[6], entries[5], entries[3], entries[0], entries[4], entries[2], entries[1]};
  struct st_meta meta2[] = {meta[1], meta[0]};
  filler.expected = 0;
  CHECK(!st_write(path, swapped, 7, meta2, 2, &err), "%s", err.what);
  entries[0].fill = fill_failing;
  CHECK(st_write(path, entries, 7, meta, 2, &err) == VKD_ERR_VULKAN, "%s", err.what);
  err = (struct vkd_error){0};
  entries[1].name = "scalar";
  CHECK(st_write(path, entries, 7, meta, 2, &err) == VKD_ERR_INTERNAL && strstr(err.what, "twice"), "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(!fileio_read_whole(path, 1 << 24, &second, &second_size, &err), "%s", err.what);
  CHECK(first && second && first_size == second_size && !memcmp(first, second, first_size), "bytes differ");
  free(first);
  free(second);
done:
  free(random);
}

static void test_fileio(void) {
  struct vkd_error err = {0};
  char deep[300], file[320], *data = NULL;
  snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
  CHECK(!fileio_make_dirs(deep, &err) && !fileio_make_dirs(deep, &err) && fileio_is_dir(deep), "%s", err.what);
  snprintf(file, sizeof file, "%sf", deep);
  struct fileio f = {0};
  CHECK(!fileio_begin(&f, file, &err) && !fileio_write(&f, "headtail", 8, &err), "%s", err.what);
  CHECK(!fileio_is_file(file), "the name exists before the commit");
  CHECK(!fileio_write_at(&f, 0, "HEAD", 4, &err) && !fileio_write(&f, "!", 1, &err), "%s", err.what);
  CHECK(fileio_write_at(&f, 8, "xx", 2, NULL) == VKD_ERR_INTERNAL, "write beyond the end");
  CHECK(!fileio_commit(&f, &err), "%s", err.what);
  CHECK(!fileio_read_whole(file, 9, &data, NULL, &err) && !strcmp(data, "HEADtail!"), "%s", err.what);
  free(data);
  CHECK(fileio_read_whole(file, 8, &data, NULL, &err) == VKD_ERR_INPUT && !data, "limit");
  CHECK(!fileio_begin(&f, file, NULL) && !fileio_write(&f, "new", 3, NULL), "begin");
  fileio_abort(&f);
  CHECK(!fileio_read_whole(file, 9, &data, NULL, NULL) && !strcmp(data, "HEADtail!"),
        "an aborted write changed the file");
  free(data);
  CHECK(fileio_begin(&f, deep, NULL) == VKD_ERR_INPUT, "wrote over a folder");
  CHECK(fileio_begin(&f, "/nonexistent/f", NULL) == VKD_ERR_INPUT, "wrote into a missing folder");
  CHECK(fileio_make_dirs(file, NULL) != VKD_OK, "a folder over a file");
  unlink(file);
  for (char *end = deep + strlen(deep); end > deep + strlen(folder); end--)
    if (*end == '/') {
      *end = 0;
      rmdir(deep);
    }
}

static void test_real_file(void) {
  const char *real = "../shared/oracle/wan_hd24/weights.safetensors";
  if (!fileio_is_file(real)) {
    printf("%s is absent: its round trip is skipped\n", real);
    return;
  }
  struct vkd_error err = {0};
  struct st_file *file = NULL, *copy = NULL;
  CHECK(!st_open(real, &file, &err), "%s", err.what);
  if (!file) return;
  struct st_entry *entries = calloc(st_count(file), sizeof *entries);
  if (!entries) return;
  for (size_t i = 0; i < st_count(file); i++) {
    const struct st_tensor *t = st_at(file, i);
    entries[i] = (struct st_entry){.name = t->name, .dtype = t->dtype, .ndim = t->ndim, .data = t->data};
    memcpy(entries[i].shape, t->shape, sizeof t->shape);
  }
  CHECK(!st_write(path, entries, st_count(file), NULL, 0, &err) && !st_open(path, &copy, &err), "%s", err.what);
  if (copy) {
    CHECK(st_count(copy) == st_count(file) && st_count(copy) > 0, "tensor counts differ");
    for (size_t i = 0; i < st_count(copy); i++) {
      const struct st_tensor *a = st_at(file, i), *b = st_find(copy, a->name);
      CHECK(b && b->size == a->size && b->ndim == a->ndim && !memcmp(a->data, b->data, a->size), "%s differs", a->name);
    }
  }
  st_close(&copy);
  st_close(&file);
  free(entries);
}

int main(void) {
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/t.safetensors", folder);
  test_fileio();
  test_refusals();
  test_conversions();
  test_round_trip();
  test_real_file();
  unlink(path);
  CHECK(rmdir(folder) == 0, "temporary files are left in %s", folder);
  return check_done();
}
