// Broken checkpoints: a state of random damage, files cut short, changed or missing end in VKD_ERR_INPUT that names the
// file; what opens holds what the program relies on.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkd/hash.h"
#include "vkdm/ckpt.h"

static const char *const files[] = {"weights.safetensors", "ema.safetensors", "m.safetensors", "v.safetensors"};
static const char *folder;

static void write_file(const char *name, const void *data, size_t size) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  damage_write(path, data, size);
}

// What is hashed is not read yet: any bytes will do.
static void write_files(void) {
  for (int i = 0; i < 4; i++) {
    char data[64];
    memset(data, 'a' + i, sizeof data);
    write_file(files[i], data, sizeof data);
  }
}

static size_t make_state(char *text, size_t size) {
  size_t n = (size_t)snprintf(
      text, size,
      "{\"format\": 1, \"step\": 40, \"model\": {\"dim\": 32, \"depth\": 1, \"heads\": 2, \"ffn\": 128, \"freq_dim\": "
      "256, \"text_dim\": 32,"
      " \"text_len\": 1, \"class_rows\": 3, \"in_channels\": 3, \"out_channels\": 3, \"patch[0]\": 1, \"patch[1]\": 2, "
      "\"patch[2]\": 2,"
      " \"latent[0]\": 2, \"latent[1]\": 8, \"latent[2]\": 8, \"eps\": 1e-6}, \"codec\": {\"kind\": \"pixel\", "
      "\"channels\": 3, \"frames\": 2,"
      " \"height\": 8, \"width\": 8, \"levels_t\": 0, \"levels_s\": 0, \"mean\": [0, 0, 0], \"scale\": [1, 1, 1]},"
      " \"data\": \"cad739f7ce624b30\", \"classes\": [\"a\", \"b\"], \"config\": \"model:\\n  dim: 32\\n\", \"files\": "
      "{");
  for (int i = 0; i < 4; i++) {
    char data[64];
    memset(data, 'a' + i, sizeof data);
    n += (size_t)snprintf(text + n, size - n, "%s\"%s\": \"%016" PRIx64 "\"", i ? ", " : "", files[i],
                          hash_xxh64(data, sizeof data, 0));
  }
  return n + (size_t)snprintf(text + n, size - n, "}}");
}

static int opened, refused;

static void try_state(const char *text, size_t size) {
  *(target_checkpoint((const uint8_t *)text, size) ? &opened : &refused) += 1;
}

// `now` in place of the first `was`: refused with `word` in the message.
static void refuse(const char *was, const char *now, const char *word) {
  char text[4096], changed[4200];
  struct ckpt_state s;
  struct vkd_error err = {0};
  make_state(text, sizeof text);
  char *at = strstr(text, was);
  CHECK(at != NULL, "%s is not in the state", was);
  if (!at) return;
  int n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, now, at + strlen(was));
  write_file("state.json", changed, (size_t)n);
  CHECK(ckpt_open(folder, &s, &err) == VKD_ERR_INPUT && strstr(err.what, word) && strstr(err.what, "state.json"),
        "%s: %s", now, err.what);
}

static void test_known(void) {
  write_files();
  refuse("\"format\": 1", "\"format\": 2", "another version");
  refuse("\"step\": 40", "\"step\": -1", "step");
  refuse("\"step\": 40", "\"step\": 1e3", "step");
  refuse("\"heads\": 2", "\"heads\": 3", "heads");
  refuse("\"dim\": 32", "\"dim\": 999999999999", "model.dim");
  refuse("\"eps\": 1e-6", "\"eps\": 0", "model.eps");
  refuse("\"height\": 8", "\"height\": 16", "latents of 3 x 2 x 16 x 8");
  refuse("[\"a\", \"b\"]", "[\"a\", 7]", "classes[1]");
  refuse("\"files\"", "\"filos\"", "damaged");
  refuse("\"step\": 40", "\"step\": 40, \"step\": 41", "not JSON");
}

static void test_files(const char *text, size_t size) {
  char path[512];
  write_file("state.json", text, size);
  for (int i = 0; i < 4; i++) {
    struct ckpt_state s;
    struct vkd_error err = {0};
    write_files();
    try_state(text, size);
    CHECK(opened == i + 1, "a whole checkpoint is refused");
    write_file(files[i], "aaaa", 4);
    CHECK(ckpt_open(folder, &s, &err) == VKD_ERR_INPUT && strstr(err.what, files[i]) && strstr(err.what, "damaged"),
          "cut: %s", err.what);
    err = (struct vkd_error){0};
    write_file(files[i], "", 0);
    CHECK(ckpt_open(folder, &s, &err) == VKD_ERR_INPUT && strstr(err.what, files[i]) && strstr(err.what, "empty"),
          "empty: %s", err.what);
    err = (struct vkd_error){0};
    snprintf(path, sizeof path, "%s/%s", folder, files[i]);
    unlink(path);
    CHECK(ckpt_open(folder, &s, &err) == VKD_ERR_INPUT && strstr(err.what, files[i]) &&
              strstr(err.what, "No such file"),
          "missing: %s", err.what);
  }
  write_files();
}

static void damage(char *text, size_t *size) {
  static const char *const tokens[] = {
      "-1", "0", "1048577", "9223372036854775807", "1e400", "null", "{}", "[", "\"", "\\u0000", "\xff", "3", "8"};
  for (uint32_t edits = 1 + rng() % 3; edits; edits--) {
    size_t at = rng() % *size;
    const char *token = tokens[rng() % (sizeof tokens / sizeof tokens[0])];
    if (rng() % 8 == 0)
      *size = at + 1;
    else if (rng() & 1)
      damage_byte(&text[at]);
    else
      damage_overwrite(text, *size, at, token);
  }
}

int main(void) {
  char text[4096], broken[4096];
  folder = target_folder();
  size_t size = make_state(text, sizeof text);
  test_known();
  test_files(text, size);
  for (size_t cut = 0; cut < size; cut += 3) {
    try_state(text, cut);
  }
  for (int i = 0; i < 4000; i++) {
    size_t n = size;
    memcpy(broken, text, size);
    damage(broken, &n);
    try_state(broken, n);
  }
  CHECK(opened > 4 && refused > 1000, "%d opened, %d refused", opened, refused);
  return check_done();
}
