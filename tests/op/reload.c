// A shader that changes on disk is in the next run; one that does not compile leaves the old one at work.
#include "check.h"

#ifdef VKD_RELOAD
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "temp.h"
#include "vkd/exec.h"
#include "vkd/log.h"
#include "vkd/ops.h"

enum { N = 100 };

static char folder[TEMP_SIZE], file[TEMP_SIZE + 32];
static int complaints;

static void on_log(void *user, enum vkd_log_level level, const char *text) {
  (void)user;
  complaints += level == VKD_LOG_WARN && strstr(text, "stays as it was") && strstr(text, "elementwise.comp");
}

// Replaces the first `old` of the file; the time moves on by a second, as clocks of file systems may be coarse.
static void edit(const char *old, const char *new) {
  static char text[1 << 16], edited[1 << 17];
  static time_t later;
  FILE *f = fopen(file, "rb");
  size_t size = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[size] = 0;
  char *at = strstr(text, old);
  CHECK(at != NULL, "%s has no '%s'", file, old);
  if (!at) return;
  snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
  f = fopen(file, "wb");
  CHECK(f && fputs(edited, f) >= 0 && fclose(f) == 0, "%s cannot be written", file);
  if (!later) later = time(NULL);
  later++;
  struct timespec times[2] = {{.tv_sec = later}, {.tv_sec = later}};
  CHECK(utimensat(AT_FDCWD, file, times, 0) == 0, "%s", file);
}

static float run(struct vkd_program *p, vkd_tensor y) {
  struct vkd_error err = {0};
  CHECK(vkd_program_run(p, &err) == VKD_OK, "%s", err.what);
  return ((const float *)vkd_program_output(p, 0, y))[N - 1];
}

static void test_edits(struct vkd_device *dev) {
  struct vkd_error err = {0};
  struct vkd_graph *g;
  struct vkd_program *p = NULL, *other = NULL;
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor a = vkd_input(g, "a", VKD_F32, VKD_SHAPE(N)), b = vkd_input(g, "b", VKD_F32, VKD_SHAPE(N));
  vkd_tensor y = vkd_add(g, a, b);
  vkd_output(g, y);
  struct vkd_program *programs[2];
  for (int i = 0; i < 2; i++) {
    CHECK(vkd_program_create(&programs[i], &(struct vkd_program_params){.device = dev, .graph = g}, &err) == VKD_OK,
          "%s", err.what);
    if (!programs[i]) goto done;
    for (int n = 0; n < N; n++) {
      ((float *)vkd_program_input(programs[i], 0, a))[n] = 5;
      ((float *)vkd_program_input(programs[i], 0, b))[n] = 2;
    }
    p = programs[0];
    other = i ? programs[1] : NULL;
  }
  CHECK(run(p, y) == 7 && run(other, y) == 7, "5 + 2");
  edit("a + b", "a - b");
  CHECK(run(p, y) == 3 && run(other, y) == 3, "5 - 2, in both programs");
  CHECK(complaints == 0, "%d complaints", complaints);
  edit("a - b", "a - c");
  CHECK(run(p, y) == 3 && run(p, y) == 3 && run(other, y) == 3, "a bad shader leaves the old one");
  CHECK(complaints == 1, "%d complaints", complaints);
  edit("a - c", "a * b");
  CHECK(run(p, y) == 10 && run(other, y) == 10, "5 * 2");
done:
  vkd_program_destroy(&p);
  vkd_program_destroy(&other);
  vkd_graph_destroy(&g);
}

int main(void) {
  char command[600];
  temp_folder(folder);
  snprintf(command, sizeof command, "cp -r shaders/. '%s'", folder);
  snprintf(file, sizeof file, "%s/elementwise.comp", folder);
  CHECK(system(command) == 0, "%s", command);
  setenv("VKD_SHADER_DIR", folder, 1);
  vkd_log_set(on_log, NULL);
  struct vkd_device *dev = device_or_skip(false);
  test_edits(dev);
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  CHECK(system(command) == 0, "%s", command);
  return device_done(&dev);
}
#else
int main(void) {
  printf("skipped: a debug build with libshaderc is needed\n");
  return 77;
}
#endif
