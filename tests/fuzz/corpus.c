// Every input of tests/fuzz/corpus/TARGET, each through its reader: seeds of the fuzzers, and what they once found.
#include <dirent.h>
#include <string.h>

#include "check.h"
#include "targets/targets.h"
#include "vkdm/fileio.h"

static const struct {
  const char *name;
  bool (*run)(const uint8_t *data, size_t size);
} targets[] = {
#define TARGET(name, inputs) {#name, target_##name},
#include "targets/targets.def"
#undef TARGET
};

int main(void) {
  struct vkd_error err = {0};
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    int inputs = 0, taken = 0;
    char *folder = fileio_join("tests/fuzz/corpus", targets[i].name);
    DIR *dir = folder ? opendir(folder) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
      char *path = fileio_join(folder, e->d_name), *data = NULL;
      size_t size = 0;
      if (!path || !fileio_is_file(path)) {
        free(path);
        continue;
      }
      CHECK(fileio_read_whole(path, 1 << 20, &data, &size, &err) == VKD_OK, "%s", err.what);
      char *exact = data ? realloc(data, size ? size : 1) : NULL; // the sanitizers see a read past its end
      fprintf(stderr, "%s\n", path);                              // what a crash is about
      if (exact) taken += targets[i].run((const uint8_t *)exact, size);
      inputs++;
      free(exact);
      free(path);
    }
    if (dir) closedir(dir);
    free(folder);
    // a seed that is refused leads a fuzzer nowhere
    CHECK(inputs > 0 && taken > 0, "%s: %d inputs, %d were taken", targets[i].name, inputs, taken);
    printf("%-12s %3d inputs, %3d taken\n", targets[i].name, inputs, taken);
  }
  return check_done();
}
