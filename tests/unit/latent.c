// Latent codecs: exact round trips, orthonormality, JSON.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "vkdm/latent.h"

static uint32_t state = 12345;
static uint32_t next_random(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

static void round_trip(enum latent_kind kind, uint32_t t, uint32_t h, uint32_t w, uint32_t lt, uint32_t ls) {
  static struct latent_codec k;
  struct vkd_error err = {0};
  CHECK(latent_codec_init(&k, kind, 0, t, h, w, lt, ls, &err) == VKD_OK, "%s", err.what);
  for (uint32_t c = 0; c < k.channels && kind == LATENT_HAAR; c++) {
    k.mean[c] = (float)(next_random() % 1000) / 500 - 1;
    k.scale[c] = 0.02f + (float)(next_random() % 1000) / 700;
  }
  const size_t bytes = latent_frame_bytes(&k), count = latent_count(&k);
  CHECK(bytes == count, "%zu bytes, %zu numbers", bytes, count);
  uint8_t *frames = malloc(bytes), *back = malloc(bytes);
  float *latent = malloc(count * sizeof *latent);
  for (int pass = 0; pass < 3; pass++) { // noise, extremes, smooth
    for (size_t i = 0; i < bytes; i++)
      frames[i] = pass == 0   ? (uint8_t)next_random()
                  : pass == 1 ? (uint8_t)(next_random() % 2 * 255)
                              : (uint8_t)(i / 7);
    CHECK(latent_encode(&k, frames, latent, &err) == VKD_OK, "%s", err.what);
    memset(back, 7, bytes);
    CHECK(latent_decode(&k, latent, back, &err) == VKD_OK, "%s", err.what);
    CHECK(!memcmp(frames, back, bytes), "%s %ux%ux%u levels %u, %u", latent_kind_name(kind), t, h, w, lt, ls);
    double in = 0, out = 0;
    const size_t plane = count / k.channels;
    for (size_t i = 0; i < bytes; i++) in += pow(frames[i] / 127.5 - 1, 2);
    for (size_t i = 0; i < count; i++)
      out += pow((double)latent[i] * (double)k.scale[i / plane] + (double)k.mean[i / plane], 2);
    // Orthonormal: energy is kept.  The tolerance is some hundred float roundings, relative.
    CHECK_NEAR(out / in, 1, 2e-5);
  }
  free(frames);
  free(back);
  free(latent);
}

// One level by hand: a block of two frames of one colour.
static void haar_values(void) {
  static struct latent_codec k;
  CHECK(latent_codec_init(&k, LATENT_HAAR, 0, 2, 2, 2, 1, 1, NULL) == VKD_OK, "init");
  CHECK(k.channels == 24, "%u channels", k.channels);
  uint8_t frames[24];
  for (int i = 0; i < 24; i++) frames[i] = i < 12 ? 255 : 0; // +1, then -1
  float latent[24];
  CHECK(latent_encode(&k, frames, latent, NULL) == VKD_OK, "encode");
  // All energy, 8 per colour, is in the difference in time: sqrt(8), band 4.
  for (int c = 0; c < 24; c++) CHECK_NEAR(latent[c], c / 3 == 4 ? sqrt(8) : 0, 1e-6);
  float broken[24] = {0};
  broken[0] = NAN;
  CHECK(latent_decode(&k, broken, frames, NULL) == VKD_OK, "decode");
  CHECK(frames[0] == 0, "NaN became %u", frames[0]);
  for (int i = 0; i < 24; i++) broken[i] = i < 3 ? 1e9f : 0;
  CHECK(latent_decode(&k, broken, frames, NULL) == VKD_OK && frames[5] == 255, "no clamp: %u", frames[5]);
}

static void json_round_trip(void) {
  static struct latent_codec a, b;
  struct vkd_error err = {0};
  latent_codec_init(&a, LATENT_HAAR, 0, 4, 6, 8, 2, 1, &err);
  for (uint32_t c = 0; c < a.channels; c++)
    a.mean[c] = (float)next_random() / 3e6f, a.scale[c] = 1e-3f + (float)next_random() / 7e6f;
  json_t *json = latent_codec_to_json(&a);
  char *text = json_dumps(json, 0);
  json_decref(json);
  json = json_loads(text, 0, NULL);
  CHECK(latent_codec_from_json(json, &b, &err) == VKD_OK, "%s", err.what);
  CHECK(!memcmp(&a, &b, sizeof a), "the codec changed on its way through JSON");
  json_array_set_new(json_object_get(json, "scale"), 3, json_real(0));
  CHECK(latent_codec_from_json(json, &b, &err) == VKD_ERR_INPUT && strstr(err.what, "scale"), "%s", err.what);
  json_object_set_new(json, "kind", json_string("nope"));
  err = (struct vkd_error){0};
  CHECK(latent_codec_from_json(json, &b, &err) == VKD_ERR_INPUT && strstr(err.what, "kind"), "%s", err.what);
  json_decref(json);
  free(text);
}

static void refused(void) {
  static struct latent_codec k;
  struct vkd_error err = {0};
  CHECK(latent_codec_init(&k, LATENT_HAAR, 0, 3, 4, 4, 1, 1, &err) == VKD_ERR_INPUT && strstr(err.what, "frames"), "%s",
        err.what);
  err = (struct vkd_error){0};
  CHECK(latent_codec_init(&k, LATENT_HAAR, 0, 4, 4, 6, 0, 2, &err) == VKD_ERR_INPUT && strstr(err.what, "width"), "%s",
        err.what);
  CHECK(latent_codec_init(&k, LATENT_PIXEL, 0, 4, 0, 6, 0, 0, NULL) == VKD_ERR_INPUT, "zero height");
  CHECK(latent_codec_init(&k, LATENT_RAW, 0, 1, 1, 1, 0, 0, NULL) == VKD_ERR_INPUT, "no channels");
  CHECK(latent_codec_init(&k, LATENT_RAW, 16, 1, 2, 2, 0, 0, NULL) == VKD_OK, "raw");
  float latent[64] = {0};
  uint8_t frames[12];
  CHECK(latent_decode(&k, latent, frames, NULL) == VKD_ERR_UNSUPPORTED, "raw latents decoded");
}

int main(void) {
  round_trip(LATENT_PIXEL, 3, 5, 7, 0, 0);
  round_trip(LATENT_HAAR, 8, 32, 32, 1, 1);
  round_trip(LATENT_HAAR, 1, 6, 10, 0, 1);
  round_trip(LATENT_HAAR, 8, 16, 8, 3, 3);
  round_trip(LATENT_HAAR, 4, 12, 20, 2, 2);
  haar_values();
  json_round_trip();
  refused();
  return check_done();
}
