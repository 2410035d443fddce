// Weight files as users have them: one file, shards with an index, folders; and what is refused.
#include <sys/stat.h>
#include <unistd.h>

#include "temp.h"
#include "vkdm/fileio.h"
#include "vkdm/weights.h"
#include "weight_files.h"

static char folder[TEMP_SIZE];

// Path of a file in the folder; a few of them are alive at a time.
static const char *in(const char *name) {
  static char paths[4][TEMP_SIZE + 128];
  static int at;
  char *path = paths[at++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_text(const char *path, const char *text) {
  struct vkd_error err = {0};
  CHECK(fileio_write_whole(path, text, strlen(text), &err) == VKD_OK, "%s", err.what);
}

static void check_refused(const char *path, const char *word) {
  struct weights *w = NULL;
  struct vkd_error err = {0};
  enum vkd_status st = weights_open(&w, path, &err);
  CHECK(st == VKD_ERR_INPUT && !w && strstr(err.what, word), "%s: want '%s' in '%s'", path, word, err.what);
  CHECK(!strchr(err.what, '\n'), "more than one line: %s", err.what);
  weights_close(&w);
}

static float one[3] = {1, 2, 3}, two[2] = {4, 5};

static void write_one(const char *path, const char *name, const char *second) {
  struct st_entry entries[] = {{.name = name, .dtype = ST_F32, .ndim = 1, .shape = {3}, .data = one},
                               {.name = second, .dtype = ST_F32, .ndim = 1, .shape = {2}, .data = two}};
  struct vkd_error err = {0};
  CHECK(st_write(path, entries, second ? 2 : 1, NULL, 0, &err) == VKD_OK, "%s", err.what);
}

static void check_three(const char *path, bool sharded) {
  struct weights *w = NULL;
  struct vkd_error err = {0};
  CHECK(weights_open(&w, path, &err) == VKD_OK, "%s", err.what);
  if (!w) return;
  CHECK(weights_count(w) == 3 && !strcmp(weights_at(w, 0)->name, "a") && !strcmp(weights_at(w, 1)->name, "b") &&
            !strcmp(weights_at(w, 2)->name, "c"),
        "%zu tensors, or their order", weights_count(w));
  const struct st_tensor *t = weights_find(w, "b");
  CHECK(t && t->numel == 2 && !memcmp(t->data, two, sizeof two), "tensor b");
  CHECK(!weights_find(w, "bb") && !weights_find(w, ""), "a tensor that is not there");
  CHECK(weights_metadata_count(w) == 0 && !weights_metadata(w, "format"), "metadata of an index");
  CHECK(strstr(weights_path(w), sharded ? ".json" : ".safetensors") && strstr(weights_folder(w), folder), "paths %s %s",
        weights_path(w), weights_folder(w));
  weights_close(&w);
  CHECK(!w, "not nulled");
}

static void test_index(void) {
  const char *index = "m.safetensors.index.json";
  write_one(in("s1.safetensors"), "c", "b");
  write_one(in("s2.safetensors"), "a", NULL);
  static const char good[] = "{\"metadata\":{\"total_size\":32},\"weight_map\":{\"b\":\"s1.safetensors\","
                             "\"c\":\"s1.safetensors\",\"a\":\"s2.safetensors\"}}";
  write_text(in(index), good);
  check_three(in(index), true);
  check_three(folder, true); // the index goes before the shards beside it
  static const struct {
    const char *text, *word;
  } bad[] = {
      {"", "not JSON"},
      {"[1]", "weight_map is missing"},
      {"{\"weight_map\":{}}", "weight_map is missing or empty"},
      {"{\"weight_map\":[\"a\"]}", "weight_map is missing"},
      {"{\"weight_map\":{\"a\":3}}", "'a' is no file name"},
      {"{\"weight_map\":{\"a\":\"../s2.safetensors\"}}", "must lie beside the index"},
      {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "must lie beside the index"},
      {"{\"weight_map\":{\"a\":\"sub/s2.safetensors\"}}", "must lie beside the index"},
      {"{\"weight_map\":{\"a\":\"..\"}}", "must lie beside the index"},
      {"{\"weight_map\":{\"a\":\"\"}}", "must lie beside the index"},
      {"{\"weight_map\":{\"a\":\"s9.safetensors\"}}", "s9.safetensors: cannot open it"},
      {"{\"weight_map\":{\"a\":\"m.safetensors.index.json\"}}", "no .safetensors file"},
      {"{\"weight_map\":{\"d\":\"s2.safetensors\"}}", "'d' is not in its shard s2.safetensors"},
      {"{\"weight_map\":{\"b\":\"s1.safetensors\"}}", "'c' of shard s1.safetensors is not in weight_map"},
      {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}}", "duplicate"},
      {"{\"weight_map\":{\"a\":\"s2.safetensors\"}", "not JSON"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    write_text(in(index), bad[i].text);
    check_refused(in(index), bad[i].word);
  }
  // The same tensor in two shards: the index names one of them.
  write_one(in("s3.safetensors"), "a", "d");
  write_text(in(index), "{\"weight_map\":{\"a\":\"s2.safetensors\",\"d\":\"s3.safetensors\"}}");
  check_refused(in(index), "'a' of shard s3.safetensors is not in weight_map but as one of s2.safetensors");
  // As deep as the reader's limit, and beyond it.
  char deep[12001];
  memset(deep, '[', 6000);
  memset(deep + 6000, ']', 6000);
  deep[12000] = 0;
  write_text(in(index), deep);
  check_refused(in(index), "maximum parsing depth");
  unlink(in(index));
  check_refused(folder, "holds 3 files *.safetensors");
  for (int i = 1; i <= 3; i++) {
    char name[32];
    snprintf(name, sizeof name, "s%d.safetensors", i);
    unlink(in(name));
  }
}

static void test_folders(void) {
  check_refused(folder, "holds no .safetensors");
  check_refused(in("DiT-XL-2-256x256.pt"), "save_file()");
  check_refused(in("none.safetensors"), "No such file");
  check_refused(in("none.safetensors.index.json"), "No such file");
  CHECK(mkdir(in("transformer"), 0777) == 0, "mkdir");
  check_refused(folder, "holds no .safetensors");
  write_one(in("transformer/x.safetensors"), "a", "b");
  struct weights *w = NULL;
  struct vkd_error err = {0};
  CHECK(weights_open(&w, folder, &err) == VKD_OK && weights_count(w) == 2, "%s", err.what);
  CHECK(w && strstr(weights_folder(w), "transformer"), "the folder beside which config.json lies");
  weights_close(&w);
  // Several: the usual name goes first.
  write_one(in("transformer/y.safetensors"), "c", NULL);
  check_refused(folder, "holds 2 files *.safetensors");
  write_one(in("transformer/diffusion_pytorch_model.safetensors"), "d", NULL);
  CHECK(weights_open(&w, in("transformer"), &err) == VKD_OK && weights_find(w, "d"), "%s", err.what);
  weights_close(&w);
  unlink(in("transformer/x.safetensors"));
  unlink(in("transformer/y.safetensors"));
  unlink(in("transformer/diffusion_pytorch_model.safetensors"));
  rmdir(in("transformer"));
}

static void test_wrap(void) {
  struct st_meta meta[] = {{"format", "pt"}, {"k", "v"}};
  struct st_entry entry = {.name = "a", .dtype = ST_F32, .ndim = 1, .shape = {3}, .data = one};
  struct st_file *file = NULL;
  struct weights *w = NULL;
  struct vkd_error err = {0};
  const char *path = in("one.safetensors"), *key, *value;
  CHECK(!st_write(path, &entry, 1, meta, 2, &err) && !st_open(path, &file, &err), "%s", err.what);
  CHECK(weights_wrap(&w, file, &err) == VKD_OK && weights_find(w, "a") == st_find(file, "a"), "%s", err.what);
  CHECK(weights_metadata_count(w) == 2 && !strcmp(weights_metadata(w, "k"), "v"), "metadata");
  weights_metadata_at(w, 0, &key, &value);
  CHECK(!strcmp(key, "format") && !strcmp(value, "pt"), "metadata");
  weights_close(&w);
  CHECK(st_find(file, "a") != NULL, "the file was closed");
  st_close(&file);
  unlink(path);
}

int main(void) {
  temp_folder(folder);
  test_folders();
  test_wrap();
  test_index();
  CHECK(rmdir(folder) == 0, "files are left in %s", folder);
  return check_done();
}
