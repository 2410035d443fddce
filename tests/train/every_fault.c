// Each call of a run that touches its folder fails in each way (tests/faults.c), in one process, which is quick: what
// is said names a file, and going on gives the metrics and the weights of a run that nothing befell, to the bit.
// VKD_FAULTS=N: every N-th call, with the kinds in turn; VKD_FAULTS=all: every call with every kind.
// VKD_FAULTS_RUN=start|resume|damaged: this one of the three runs alone.
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "faults.h"
#include "temp.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"
#include "vkdm/train.h"

enum { PATH = 512, LIMIT = 64 << 20, SHARE = 23 };

static const char *const kinds[] = {"eio", "full", "tear", "gone", "cut"};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *const text = "model: {dim: 16, depth: 1, heads: 2, patch: [1, 2, 2]}\n"
                                "data: {synthetic: true, count: 12, frames: 2, size: [8, 8], codec: pixel}\n"
                                "train: {steps: 3, batch: 2, lr: 3e-3, warmup: 1, ema: 0.9}\n"
                                "eval: {every: 3, holdout: 2}\n"
                                "checkpoint: {every: 1, keep: 2}\n";

static char folder[TEMP_SIZE], run[PATH], reference[PATH];
static struct config config;
static struct vkd_device *dev;
static int injected, refused, through, turn;
static bool resumed; // the run under way told so

static void path_in(char *out, const char *where, const char *name) {
  int n = snprintf(out, PATH, "%s/%s", where, name);
  CHECK(n > 0 && n < PATH, "%s/%s is too long", where, name);
}

// rm and cp -a, as a user would
static void shell(const char *fmt, const char *a, const char *b) {
  char command[2 * PATH + 64];
  snprintf(command, sizeof command, fmt, a, b);
  int status = system(command); // NOLINT(cert-env33-c): folders made here
  CHECK(status == 0, "%s: %d", command, status);
}

static void start_from(const char *base) {
  shell("rm -rf %s%s", run, "");
  if (base) shell("cp -a %s %s", base, run);
}

static void on_log(void *user, enum vkd_log_level level, const char *message) {
  (void)user, (void)level;
  resumed |= strncmp(message, "resuming from", 13) == 0;
}

static enum vkd_status train(const char *into, struct vkd_error *err) {
  struct train_result result;
  struct train_params params = {.device = dev, .config = &config, .run = into, .resume = true};
  *err = (struct vkd_error){0};
  resumed = false;
  enum vkd_status st = train_run(&params, &result, err);
  train_result_free(&result);
  return st;
}

static bool same_file(const char *name) {
  char a[PATH], b[PATH], *x = NULL, *y = NULL;
  size_t m = 0, n = 0;
  path_in(a, reference, name);
  path_in(b, run, name);
  bool same = fileio_read_whole(a, LIMIT, &x, &m, NULL) == VKD_OK &&
              fileio_read_whole(b, LIMIT, &y, &n, NULL) == VKD_OK && m == n && memcmp(x, y, n) == 0;
  free(x);
  free(y);
  return same;
}

// The first thing that differs from what the undisturbed run left; NULL: none.
static const char *difference(void) {
  static const char *const names[] = {"metrics.jsonl",
                                      "config.yaml",
                                      "checkpoints/step-000000003/weights.safetensors",
                                      "checkpoints/step-000000003/ema.safetensors",
                                      "checkpoints/step-000000003/m.safetensors",
                                      "checkpoints/step-000000003/v.safetensors"};
  char path[PATH];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (!same_file(names[i])) return names[i];
  path_in(path, run, "summary.json");
  return fileio_is_file(path) ? NULL : "summary.json";
}

// Something half-made, or a checkpoint more or less; in a static buffer.  NULL: none.
static const char *leftover(void) {
  static char said[300];
  char path[PATH];
  int steps = 0;
  path_in(path, run, "checkpoints");
  for (int inner = 0; inner < 2; inner++) {
    DIR *dir = opendir(inner ? path : run);
    *said = 0;
    for (struct dirent *e; dir && !*said && (e = readdir(dir));) {
      bool two = strcmp(e->d_name, "step-000000002") == 0 || strcmp(e->d_name, "step-000000003") == 0;
      bool odd = inner ? !two && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0
                       : strstr(e->d_name, ".tmp-") != NULL;
      steps += inner && two;
      if (odd) snprintf(said, sizeof said, "%s", e->d_name);
    }
    if (dir) closedir(dir);
    if (*said) return said;
  }
  return steps == 2 ? NULL : "not two checkpoints";
}

static void inject(const char *name, const char *base, const char *kind, long at) {
  struct vkd_error err;
  start_from(base);
  faults_begin(run, kind, at, NULL);
  enum vkd_status st = train(run, &err);
  faults_end();
  injected++;
  if (st == VKD_OK) {
    const char *differs = difference();
    through++;
    CHECK(resumed || !base, "%s, %s at call %ld: began anew", name, kind, at);
    CHECK(!differs, "%s, %s at call %ld: a success that is none: %s", name, kind, at, differs);
  } else {
    refused++;
    CHECK(strstr(err.what, run) && !strchr(err.what, '\n') && (st == VKD_ERR_IO || st == VKD_ERR_INPUT),
          "%s, %s at call %ld: status %d, says %s", name, kind, at, (int)st, err.what);
  }
  st = train(run, &err);
  CHECK(st == VKD_OK, "%s, %s at call %ld: going on: %s", name, kind, at, err.what);
  CHECK(resumed || !base, "%s, %s at call %ld: going on began anew", name, kind, at);
  const char *differs = difference(), *left = leftover();
  CHECK(!differs, "%s, %s at call %ld: after going on differs: %s", name, kind, at, differs);
  CHECK(!left, "%s, %s at call %ld: after going on there is: %s", name, kind, at, left);
}

// base: the folder to start from, NULL: none.
static void scenario(const char *name, const char *base) {
  const char *wish = getenv("VKD_FAULTS"), *logs = getenv("VKD_FAULTS_LOGS"), *only = getenv("VKD_FAULTS_RUN");
  struct vkd_error err;
  char log[PATH];
  if (only && strcmp(only, name) != 0) return;
  snprintf(log, sizeof log, "%s/%s.log", logs ? logs : folder, name);
  unlink(log);
  start_from(base);
  faults_begin(run, "none", 0, log);
  enum vkd_status st = train(run, &err);
  long calls = faults_end(), step = wish ? atol(wish) : SHARE;
  CHECK(st == VKD_OK, "%s, undisturbed: %s", name, err.what);
  if (step < 1) step = 1;
  bool all = wish && strcmp(wish, "all") == 0;
  for (long k = all ? 1 : 1 + (long)(getpid() % step); k <= calls; k += step)
    for (int i = 0; i < (all ? KINDS : 1); i++) inject(name, base, kinds[all ? i : turn++ % KINDS], k);
  printf("%s: %ld calls\n", name, calls);
  fflush(stdout);
}

int main(void) {
  struct vkd_error err = {0};
  char half[PATH], damaged[PATH], weights[PATH];
  vkd_log_set(on_log, NULL);
  dev = device_or_skip(false);
  temp_folder(folder);
  path_in(run, folder, "run");
  path_in(reference, folder, "reference");
  path_in(half, folder, "half");
  path_in(damaged, folder, "damaged");
  CHECK(config_from_string("tiny", text, strlen(text), NULL, 0, &config, &err) == VKD_OK, "%s", err.what);
  enum vkd_status st = train(reference, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    scenario("start", NULL);
    // cut off on its way, between checkpoints
    start_from(NULL);
    faults_begin(run, "none", 0, NULL);
    train(run, &err);
    long calls = faults_end();
    start_from(NULL);
    faults_begin(run, "gone", calls * 3 / 5, NULL);
    train(run, &err);
    faults_end();
    shell("cp -a %s %s", run, half);
    scenario("resume", half);
    // the newest checkpoint is damaged: its step is saved again
    shell("cp -a %s %s", reference, damaged);
    path_in(weights, damaged, "checkpoints/step-000000003/v.safetensors");
    CHECK(truncate(weights, 100) == 0, "%s", weights);
    scenario("damaged", damaged);
  }
  printf("%d faults: %d ended the run with a message, %d did no harm\n", injected, refused, through);
  CHECK(refused > 0, "faults that are none");
  shell("rm -rf %s%s", folder, "");
  return device_done(&dev);
}
