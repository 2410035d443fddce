// Names in files: none of them leads out of the file's folder.  What someone put into the folder, such as the links of
// a download cache, is followed.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "damage.h"
#include "temp.h"
#include "vkdm/ckpt.h"
#include "vkdm/dataset.h"
#include "vkdm/safetensors.h"
#include "vkdm/sweep.h"
#include "vkdm/weights.h"

static char outer[TEMP_SIZE], folder[TEMP_SIZE + 16], path[TEMP_SIZE + 64], secret[TEMP_SIZE + 32];

static const char *in_folder(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static enum vkd_status open_index(const char *shard, struct vkd_error *err) {
  char text[512];
  struct weights *w = NULL;
  int n = snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", shard);
  damage_write(in_folder("m.safetensors.index.json"), text, (size_t)n);
  *err = (struct vkd_error){0};
  enum vkd_status st = weights_open(&w, path, err);
  weights_close(&w);
  return st;
}

// The file that names try to reach is a sound one, so that only the name can be why it is refused.
static void test_shards(void) {
  const float one = 1;
  const struct st_entry entry = {.name = "a", .dtype = ST_F32, .ndim = 1, .shape = {1}, .data = &one};
  struct vkd_error err = {0};
  char absolute[TEMP_SIZE + 64];
  CHECK(st_write(secret, &entry, 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
  CHECK(st_write(in_folder("s.safetensors"), &entry, 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
  CHECK(open_index("s.safetensors", &err) == VKD_OK, "%s", err.what);
  snprintf(absolute, sizeof absolute, "%s/s.safetensors", folder);
  const char *const names[] = {
      secret, absolute, "../secret.safetensors", "x/../../secret.safetensors", "./s.safetensors",
      "..",   ".",      ".s.safetensors",        "..\\\\secret.safetensors",   "/etc/passwd",
      ""};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    CHECK(open_index(names[i], &err) == VKD_ERR_INPUT && strstr(err.what, "must lie beside the index"), "%s: %s",
          names[i], err.what);
  CHECK(symlink("../secret.safetensors", in_folder("l.safetensors")) == 0, "no link");
  CHECK(open_index("l.safetensors", &err) == VKD_OK, "%s", err.what);
  CHECK(unlink(in_folder("l.safetensors")) == 0 && symlink("l.safetensors", in_folder("l.safetensors")) == 0,
        "no link");
  CHECK(open_index("l.safetensors", &err) == VKD_ERR_INPUT, "a link to itself: %s", err.what);
  unlink(in_folder("l.safetensors"));
}

// Neither hangs a reader nor is read.
static void test_fifo(void) {
  struct st_file *file;
  struct dataset *d;
  struct ckpt_state s;
  struct vkd_error err = {0};
  CHECK(mkfifo(in_folder("weights.safetensors"), 0600) == 0, "no FIFO");
  CHECK(open_index("weights.safetensors", &err) == VKD_ERR_INPUT && strstr(err.what, "is not a file"), "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(st_open(in_folder("weights.safetensors"), &file, &err) == VKD_ERR_INPUT, "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(dataset_open(path, &d, &err) == VKD_ERR_INPUT, "%s", err.what);
  static const char state[] =
      "{\"format\":1,\"step\":1,\"model\":{\"dim\":32,\"depth\":1,\"heads\":2,\"ffn\":128,\"freq_dim\":256,"
      "\"text_dim\":32,\"text_len\":1,\"class_rows\":3,\"in_channels\":3,\"out_channels\":3,\"patch[0]\":1,"
      "\"patch[1]\":2,\"patch[2]\":2,\"latent[0]\":2,\"latent[1]\":8,\"latent[2]\":8,\"eps\":1e-6},\"codec\":"
      "{\"kind\":\"pixel\",\"channels\":3,\"frames\":2,\"height\":8,\"width\":8,\"levels_t\":0,\"levels_s\":0,"
      "\"mean\":[0,0,0],\"scale\":[1,1,1]},\"data\":\"0\",\"classes\":[],\"config\":\"\",\"files\":{}}";
  damage_write(in_folder("state.json"), state, sizeof state - 1);
  err = (struct vkd_error){0};
  CHECK(ckpt_open(folder, &s, &err) == VKD_ERR_INPUT && strstr(err.what, "weights.safetensors"), "%s", err.what);
  unlink(in_folder("state.json"));
  unlink(in_folder("weights.safetensors"));
}

// A run's folder is named after what the sweep's file says.
static void test_sweep(void) {
  static const char *const names[] = {"..", ".", "../x", "/etc/x", "...", ".hidden", "a/../../b", "-", "..-"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char text[256];
    struct sweep sweep;
    struct vkd_error err = {0};
    int n =
        snprintf(text, sizeof text,
                 "data: {synthetic: true}\ntrain: {steps: 1}\ngrid:\n  a: [{name: '%s', train.batch: 2}]\n", names[i]);
    const struct sweep_source source = {.name = "s.yaml", .text = text, .size = (size_t)n};
    CHECK(sweep_parse(&source, &sweep, &err) == VKD_OK && sweep.count == 1, "%s: %s", names[i], err.what);
    if (!sweep.count) continue;
    const char *got = sweep.cells[0].name;
    CHECK(*got && *got != '.' && !strchr(got, '/'), "'%s' became '%s'", names[i], got);
    sweep_free(&sweep);
  }
}

int main(void) {
  temp_folder(outer);
  snprintf(folder, sizeof folder, "%s/folder", outer);
  snprintf(secret, sizeof secret, "%s/secret.safetensors", outer);
  CHECK(mkdir(folder, 0700) == 0, "%s", folder);
  test_shards();
  test_fifo();
  test_sweep();
  unlink(in_folder("s.safetensors"));
  unlink(in_folder("m.safetensors.index.json"));
  unlink(secret);
  CHECK(rmdir(folder) == 0 && rmdir(outer) == 0, "files stay in %s", outer);
  return check_done();
}
