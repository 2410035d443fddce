// .vkd files: hash, build, read, texts, loader order and resume, damage.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "temp.h"
#include "vkd/hash.h"
#include "vkdm/data.h"
#include "vkdm/data_build.h"
#include "vkdm/safetensors.h"
#include "vkdm/synthetic.h"

static char folder[TEMP_SIZE];

static const char *in_folder(const char *name) {
  static char path[2][256];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

// zstd ends a frame with the low half of XXH64, an independent implementation.
static void hash_agrees(void) {
  uint8_t data[200], packed[400];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * i + 31 * i);
  ZSTD_CCtx *zstd = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
  for (size_t n = 0; n <= sizeof data; n++) {
    size_t size = ZSTD_compress2(zstd, packed, sizeof packed, data, n);
    uint32_t want;
    memcpy(&want, packed + size - 4, 4);
    CHECK((uint32_t)hash_xxh64(data, n, 0) == want, "%zu bytes", n);
  }
  ZSTD_freeCCtx(zstd);
  CHECK(hash_xxh64("", 0, 0) == 0xef46db3751d8e999u, "empty input");
}

static struct dataset *build(struct data_build_params p, const char *name) {
  static const char *const synthetic[] = {"synthetic"};
  struct vkd_error err = {0};
  struct dataset *d = NULL;
  if (!p.sources) p.sources = synthetic, p.source_count = 1;
  p.output = in_folder(name);
  CHECK(data_build(&p, &err) == VKD_OK, "%s", err.what);
  CHECK(dataset_open(p.output, &d, &err) == VKD_OK, "%s", err.what);
  if (!d) exit(check_done());
  CHECK(dataset_verify(d, &err) == VKD_OK, "%s", err.what);
  return d;
}

static void synthetic_set(void) {
  struct data_build_params p = {.count = 60,
                                .frames = 4,
                                .height = 16,
                                .width = 24,
                                .codec = LATENT_HAAR,
                                .levels_t = DATA_AUTO,
                                .levels_s = DATA_AUTO,
                                .holdout = -1,
                                .seed = 5};
  struct dataset *d = build(p, "a.vkd"), *again = build(p, "b.vkd");
  const struct dataset_info *info = dataset_get_info(d);
  const struct latent_shape s = latent_shape(&info->codec);
  CHECK(info->clips == 60 && info->classes == 12 && !strcmp(info->class_names[1], "square-right"), "%u clips",
        info->clips);
  CHECK(s.c == 24 && s.t == 2 && s.h == 8 && s.w == 12, "%u %u %u %u", s.c, s.t, s.h, s.w);
  CHECK(info->fingerprint == dataset_get_info(again)->fingerprint, "the same build gave another file");
  CHECK(info->split_clips[DATA_TRAIN] + info->split_clips[DATA_HELDOUT] == 60 && info->split_clips[DATA_HELDOUT],
        "split");
  static uint8_t want[4 * 16 * 24 * 3], got[sizeof want], back[sizeof want];
  static float latent[sizeof want];
  double sum[24] = {0}, squares[24] = {0};
  for (uint32_t i = 0; i < 60; i++) {
    uint32_t label = synthetic_clip(SYNTHETIC_PLAIN, 5, i, 12, 4, 16, 24, want);
    struct vkd_error err = {0};
    CHECK(dataset_read_raw(d, i, got, &err) == VKD_OK && !memcmp(want, got, sizeof want), "clip %u %s", i, err.what);
    CHECK(dataset_get_clip(d, i).label == (int32_t)label, "label of clip %u", i);
    CHECK(data_read(d, i, latent, NULL, &err) == VKD_OK, "%s", err.what);
    CHECK(latent_decode(&info->codec, latent, back, &err) == VKD_OK && !memcmp(want, back, sizeof want), "clip %u", i);
    for (size_t k = 0; k < sizeof want; k++)
      sum[k / 192] += (double)latent[k], squares[k / 192] += pow((double)latent[k], 2);
  }
  for (int c = 0; c < 24; c++) {
    const double n = 60 * 192, mean = sum[c] / n;
    CHECK_NEAR(mean, 0, 1e-4);                         // float roundings of the stored mean
    CHECK_NEAR(squares[c] / n - mean * mean, 1, 1e-3); // and scale
  }
  dataset_close(&d);
  dataset_close(&again);
}

// The loader gives each clip once per epoch, in an order that depends on seed and sample index alone.
static void loader_order(void) {
  struct data_build_params p = {.count = 37, .frames = 1, .height = 8, .width = 8, .codec = LATENT_PIXEL, .holdout = 0};
  struct dataset *d = build(p, "c.vkd");
  struct vkd_error err = {0};
  struct data_loader *a = NULL, *b = NULL, *half = NULL;
  struct data_batch x, y, z;
  uint32_t seen[37] = {0}, first[37], moved = 0;
  for (uint64_t g = 0; g < 37; g++) {
    seen[first[g] = data_sample_clip(d, DATA_TRAIN, 9, g)]++;
    moved += data_sample_clip(d, DATA_TRAIN, 9, g + 37) != first[g];
  }
  for (int i = 0; i < 37; i++) CHECK(seen[i] == 1, "clip %d came %u times in an epoch", i, seen[i]);
  CHECK(moved > 25, "the second epoch moved only %u of 37 clips", moved);
  struct data_loader_params lp = {.dataset = d, .split = DATA_TRAIN, .batch = 10, .seed = 9};
  CHECK(data_loader_create(&lp, &a, &err) == VKD_OK, "%s", err.what);
  lp.start_step = 20;
  CHECK(data_loader_create(&lp, &b, &err) == VKD_OK, "%s", err.what);
  lp.first = 4, lp.count = 3, lp.ring = 2;
  CHECK(data_loader_create(&lp, &half, &err) == VKD_OK, "%s", err.what);
  const size_t n = latent_count(&dataset_get_info(d)->codec);
  float *latent = malloc(n * sizeof *latent);
  for (uint64_t step = 0; step < 30; step++) {
    CHECK(data_loader_next(a, &x, &err) == VKD_OK && x.step == step && x.size == 10, "%s", err.what);
    for (uint32_t i = 0; i < x.size; i++) {
      CHECK(x.clips[i] == data_sample_clip(d, DATA_TRAIN, 9, step * 10 + i), "step %u sample %u", (unsigned)step, i);
      data_read(d, x.clips[i], latent, NULL, &err);
      CHECK(!memcmp(latent, x.latents + i * n, n * sizeof *latent), "step %u sample %u", (unsigned)step, i);
      CHECK(x.labels[i] == dataset_get_clip(d, x.clips[i]).label, "label");
    }
    if (step < 20) continue;
    CHECK(data_loader_next(b, &y, &err) == VKD_OK && y.step == step, "%s", err.what);
    CHECK(!memcmp(x.latents, y.latents, 10 * n * sizeof *latent) && !memcmp(x.labels, y.labels, 40), "resumed step");
    CHECK(data_loader_next(half, &z, &err) == VKD_OK && z.size == 3, "%s", err.what);
    CHECK(!memcmp(x.latents + 4 * n, z.latents, 3 * n * sizeof *latent), "share of step %u", (unsigned)step);
  }
  data_loader_destroy(&a);
  data_loader_destroy(&b);
  data_loader_destroy(&half);
  lp = (struct data_loader_params){.dataset = d, .split = DATA_HELDOUT, .batch = 1};
  CHECK(data_loader_create(&lp, &a, &err) == VKD_ERR_INPUT, "a loader over no clips");
  free(latent);
  dataset_close(&d);
}

// Latents from safetensors with labels and texts of different length.
static void latents_and_texts(void) {
  float latents[4 * 2 * 3 * 2 * 2], text_a[2 * 5], text_b[3 * 5];
  int32_t labels[4] = {1, 0, -1, 1};
  for (size_t i = 0; i < 96; i++) latents[i] = (float)(i * i % 31) / 7 - 2;
  for (int i = 0; i < 15; i++) text_b[i] = (float)i, text_a[i % 10] = (float)-i;
  const struct st_entry entries[] = {
      {.name = "latents", .dtype = ST_F32, .ndim = 5, .shape = {4, 2, 3, 2, 2}, .data = latents},
      {.name = "labels", .dtype = ST_I32, .ndim = 1, .shape = {4}, .data = labels},
  };
  const struct st_entry texts[] = {
      {.name = "0", .dtype = ST_F32, .ndim = 2, .shape = {2, 5}, .data = text_a},
      {.name = "1", .dtype = ST_F32, .ndim = 2, .shape = {3, 5}, .data = text_b},
  };
  struct vkd_error err = {0};
  char source[256], text[256];
  snprintf(source, sizeof source, "%s", in_folder("in.safetensors"));
  snprintf(text, sizeof text, "%s", in_folder("text.safetensors"));
  CHECK(st_write(source, entries, 2, NULL, 0, &err) == VKD_OK, "%s", err.what);
  CHECK(st_write(text, texts, 2, NULL, 0, &err) == VKD_OK, "%s", err.what);
  const char *sources[] = {source};
  struct data_build_params p = {.sources = sources, .source_count = 1, .text = text, .holdout = 0.25};
  struct dataset *d = build(p, "d.vkd");
  const struct dataset_info *info = dataset_get_info(d);
  CHECK(info->clips == 4 && info->classes == 2 && info->text_len == 3 && info->text_dim == 5, "%u clips", info->clips);
  CHECK(info->codec.kind == LATENT_RAW && latent_count(&info->codec) == 24, "codec");
  float got[24], rows[15];
  for (uint32_t i = 0; i < 4; i++) {
    CHECK(data_read(d, i, got, rows, &err) == VKD_OK && !memcmp(got, latents + 24 * i, sizeof got), "%s", err.what);
    CHECK(dataset_get_clip(d, i).label == labels[i], "label %u", i);
    CHECK(dataset_get_clip(d, i).text_len == (labels[i] < 0 ? 0 : 2 + (uint32_t)labels[i]), "text of clip %u", i);
    const float *want = labels[i] ? text_b : text_a;
    for (int k = 0; k < 15; k++) {
      const bool set = labels[i] == 1 || (labels[i] == 0 && k < 10);
      CHECK(rows[k] == (set ? want[k] : 0), "clip %u, text number %d: %g", i, k, (double)rows[k]);
    }
  }
  dataset_close(&d);
}

// A clip that goes bad on disk comes out of the loader as an error, at every call.
static void damage(void) {
  struct data_build_params p = {.count = 8, .frames = 1, .height = 8, .width = 8, .codec = LATENT_PIXEL, .holdout = 0};
  struct dataset *d = build(p, "e.vkd");
  struct vkd_error err = {0};
  FILE *file = fopen(in_folder("e.vkd"), "r+b");
  fseek(file, 140, SEEK_SET);
  int byte = fgetc(file);
  fseek(file, 140, SEEK_SET);
  fputc(byte ^ 1, file);
  fclose(file);
  CHECK(dataset_verify(d, &err) == VKD_ERR_INPUT && strstr(err.what, "clip 0"), "%s", err.what);
  struct data_loader *loader = NULL;
  struct data_batch batch;
  struct data_loader_params lp = {.dataset = d, .split = DATA_TRAIN, .batch = 8};
  CHECK(data_loader_create(&lp, &loader, NULL) == VKD_OK, "create");
  for (int i = 0; i < 2; i++) {
    err = (struct vkd_error){0};
    CHECK(data_loader_next(loader, &batch, &err) == VKD_ERR_INPUT && strstr(err.what, "checksum"), "%s", err.what);
  }
  data_loader_destroy(&loader);
  dataset_close(&d);
}

int main(void) {
  temp_folder(folder);
  hash_agrees();
  synthetic_set();
  loader_order();
  latents_and_texts();
  damage();
  const char *names[] = {"a.vkd", "b.vkd", "c.vkd", "d.vkd", "e.vkd", "in.safetensors", "text.safetensors"};
  for (int i = 0; i < 7; i++) unlink(in_folder(names[i]));
  CHECK(rmdir(folder) == 0, "%s: a temporary file was left behind", folder);
  return check_done();
}
