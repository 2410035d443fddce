// What hostile files make their readers take: no more than 64 MiB of address space above the baseline, for files that
// claim huge sizes in any of their fields, and for a megabyte of the costliest text.  Each reader in a process of its
// own.
#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"
#include "vkdm/data.h"
#include "vkdm/data_build.h"
#include "vkdm/fileio.h"

enum { MIB = 1 << 20, MOST = 64, PLACES = 80 };

typedef bool (*reader)(const uint8_t *data, size_t size);

// "VmPeak:" and the like of this process in KiB
static long status_of(const char *key) {
  char line[256];
  long value = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, key, strlen(key)) == 0) value = strtol(line + strlen(key), NULL, 10);
  if (f) fclose(f);
  return value;
}

// 32-bit words at some 80 places become huge numbers, small or big end first, and every number of a text does.
static void claim(reader read, const uint8_t *seed, size_t size) {
  static const unsigned char words[][4] = {
      {0xff, 0xff, 0xff, 0x7f}, {0x7f, 0xff, 0xff, 0xff}, {0, 0, 0x70, 0}, {0, 0x70, 0, 0}};
  static const char *const numbers[] = {"2147483647", "1048575", "65535", "9223372036854775807", "1e308"};
  uint8_t *copy = malloc(size + 32);
  if (!copy) exit(99);
  for (size_t at = 0; at + 4 <= size; at += 1 + size / PLACES)
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
      memcpy(copy, seed, size);
      memcpy(copy + at, words[k], 4);
      read(copy, size);
    }
  for (size_t at = 0; at < size; at++) {
    if (!isdigit(seed[at]) || (at && isdigit(seed[at - 1]))) continue;
    size_t end = at;
    while (end < size && isdigit(seed[end])) end++;
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0] && (size < 1000 || at % 7 == k); k++) {
      size_t n = strlen(numbers[k]);
      memcpy(copy, seed, at);
      memcpy(copy + at, numbers[k], n);
      memcpy(copy + at + n, seed + end, size - end);
      read(copy, at + n + size - end);
    }
  }
  free(copy);
}

// A megabyte of `part`, again and again, between two texts.
static void bulk(reader read, const char *before, const char *part, const char *after) {
  size_t n = strlen(part), head = strlen(before), tail = strlen(after), size = head;
  char *text = malloc(head + MIB + tail + n);
  if (!text) exit(99);
  memcpy(text, before, head);
  for (; size < MIB; size += n) memcpy(text + size, part, n);
  memcpy(text + size, after, tail);
  read((const uint8_t *)text, size + tail);
  free(text);
}

static void bulks(reader read) {
  static const char *const wholes[][3] = {
      {"{\"a\":[0", ",[]", "]}"},
      {"{\"a\":[0", ",{}", "]}"},
      {"{\"weight_map\":[0", ",{}", "]}"},
      {"", "[", ""},
      {"", "{\"\":", ""},
      {"12345678{\"a\":[0", ",{}", "]}    "},
      {"{\"step\":1,\"a\":[0", ",{}", "]}\n"},
      {"a: [", "[],", "]"},
      {"grid:\n  train.lr: [", "1,", "2]\n"},
      {"", "- ", ""},
      {"? ", "? ", ""},
      {"", "a: &a\n ", ""},
      {"params,tokens,loss\n", "1,1,1\n", ""},
      {"params,tokens,loss,run\n", "1,1,1,\n", ""},
      {"", ",", ""},
      {"", "\n", ""},
      {"", "\"", ""},
      {"", "a,b\n", ""},
      {"", "{}\n", ""},
      {"", "frame=1\n", ""},
      {"", "\xff\xc4", ""},
      {"grid:\n  train.lr: [0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,0.11]\n  train.seed: [1,2,3,4,5,6,7,8,9,10]\n"
       "  train.batch: [1,2,3,4,5,6,7,8,9,10]\n  model.depth: [1,2,3,4,5,6,7,8,9,10]\n"
       "data: {synthetic: true}\ntrain: {steps: 1}\n#",
       "x", "\n"}};
  for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) bulk(read, wholes[i][0], wholes[i][1], wholes[i][2]);
}

// A clip of 72 MiB in a few kilobytes.
static void unpack(void) {
  static const char *const sources[] = {"synthetic"};
  const char *path = target_write("black.vkd", NULL, 0);
  struct dataset *d = NULL;
  struct vkd_error err = {0};
  const struct data_build_params p = {
      .sources = sources, .source_count = 1, .output = path, .count = 1, .frames = 24, .height = 1024, .width = 1024};
  pid_t child = fork(); // what building it takes does not count
  if (child == 0) _exit(data_build(&p, NULL) != VKD_OK);
  int status = -1;
  waitpid(child, &status, 0);
  if (status != 0 || dataset_open(path, &d, &err) != VKD_OK || dataset_verify(d, &err) != VKD_OK) exit(99);
  dataset_close(&d);
}

static void all_of(const char *name, reader read) {
  struct vkd_error err = {0};
  char *folder = fileio_join("tests/fuzz/corpus", name);
  DIR *dir = folder ? opendir(folder) : NULL;
  for (struct dirent *e; dir && (e = readdir(dir));) {
    char *path = fileio_join(folder, e->d_name), *data = NULL;
    size_t size = 0;
    if (path && read != target_video && fileio_is_file(path) &&
        fileio_read_whole(path, MIB, &data, &size, &err) == VKD_OK)
      claim(read, (const uint8_t *)data, size);
    free(data);
    free(path);
  }
  if (dir) closedir(dir);
  free(folder);
  bulks(read);
  if (strcmp(name, "vkd") == 0) unpack();
}

#ifdef VKD_SANITIZED
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

int main(void) {
  if (SANITIZED) {
    puts("skipped: the sanitizers take memory of their own");
    return 77;
  }
  static const struct {
    const char *name;
    reader read;
  } targets[] = {
#define TARGET(name, inputs) {#name, target_##name},
#include "targets/targets.def"
#undef TARGET
  };
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      targets[i].read((const uint8_t *)"", 0);
      long before = status_of("VmSize:"), after;
      all_of(targets[i].name, targets[i].read);
      after = status_of("VmPeak:");
      exit(before > 0 && after >= before
               ? (int)((after - before + 1023) / 1024 > 98 ? 98 : (after - before + 1023) / 1024)
               : 99);
    }
    waitpid(child, &status, 0);
    int mib = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
    CHECK(mib < MOST, "%s: %d MiB or more (99: a crash) above the baseline", targets[i].name, mib);
    printf("%-12s %3d MiB above the baseline\n", targets[i].name, mib);
  }
  return check_done();
}
