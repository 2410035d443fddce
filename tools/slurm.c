#include "slurm.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/process.h"
#include "slurm_internal.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

enum {
  OUTPUT_LIMIT = 1 << 20, // bytes of what a command of Slurm prints
  OURS_LIMIT = 1 << 20,   // of a file of DIR/slurm
  MOST_ELEMENTS = 1001,   // Slurm's own default
  LEAST_MINUTES = 10,
};

static enum vkd_status no_memory(const char *what, struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", what);
}

// ---- Slurm's commands ----------------------------------------------------------------------------------------------
// What a command prints, malloc'd; its error output is the message where it fails.
static enum vkd_status ask(char *const argv[], char **output, struct vkd_error *err) {
  struct process process;
  size_t size = 0;
  int exit_status = 0;
  *output = malloc(OUTPUT_LIMIT);
  if (!*output) return no_memory(argv[0], err);
  struct vkd_error none = {0};
  enum vkd_status status = process_start(&process, argv, PROCESS_STDOUT, &none);
  if (status == VKD_ERR_UNSUPPORTED)
    vkd_fail(err, status, "no program `%s` on PATH: this machine submits no Slurm jobs; --dry-run writes the scripts",
             argv[0]);
  else if (status)
    vkd_fail(err, status, "%s", none.what);
  if (!status) {
    status = process_read(&process, *output, OUTPUT_LIMIT - 1, &size, err);
    enum vkd_status end = process_finish(&process, &exit_status, status ? NULL : err);
    if (!status) status = end;
  }
  if (!status && exit_status) status = vkd_fail(err, VKD_ERR_INPUT, "%s: %s", argv[0], process_last_line(&process));
  (*output)[status ? 0 : size] = 0;
  return status;
}

// MaxArraySize of the cluster.
static int most_elements(void) {
  static const char key[] = "MaxArraySize";
  char *text = NULL, *const argv[] = {"scontrol", "show", "config", NULL};
  int most = MOST_ELEMENTS;
  if (!ask(argv, &text, NULL)) {
    const char *line = strstr(text, key), *value = line ? strchr(line, '=') : NULL;
    long given = value ? strtol(value + 1, NULL, 10) : 0;
    if (given > 0 && given <= INT_MAX) most = (int)given;
  }
  free(text);
  return most;
}

// Whether a line of `text` is the word.
static bool has_line(const char *text, const char *word, size_t size) {
  for (const char *line = text; *line;) {
    size_t n = strcspn(line, "\n"), length = n;
    while (length && line[length - 1] == ' ') length--;
    if (length == size && !memcmp(line, word, size)) return true;
    line += n + (line[n] != 0);
  }
  return false;
}

static enum vkd_status check_queue(const char *to, struct vkd_error *err) {
  char *jobs = NULL, *queue = NULL, *path = fileio_join(to, "jobs");
  char *const argv[] = {"squeue", "--me", "--noheader", "--format=%F", NULL};
  enum vkd_status status = path ? VKD_OK : no_memory(to, err);
  if (status || fileio_is_missing(path)) goto done;
  if ((status = fileio_read_whole(path, OURS_LIMIT, &jobs, NULL, err))) goto done;
  status = ask(argv, &queue, err);
  if (status == VKD_ERR_UNSUPPORTED) status = VKD_OK; // another machine submits
  for (const char *job = jobs; !status && *job;) {
    size_t n = strcspn(job, "\n");
    if (n && has_line(queue, job, n))
      status = vkd_fail(err, VKD_ERR_USAGE,
                        "%s: job %.*s of this sweep is still in the queue; wait for it, or end it: scancel %.*s", to,
                        (int)n, job, (int)n, job);
    job += n + (job[n] != 0);
  }
done:
  free(jobs);
  free(queue);
  free(path);
  return status;
}

char *slurm_begin(const char *folder, int *lock, struct vkd_error *err) {
  char *to = fileio_join(folder, "slurm");
  *lock = -1;
  if (!to) {
    no_memory(folder, err);
    return NULL;
  }
  if (fileio_make_dirs(to, err) || fileio_lock(to, lock, err) || check_queue(to, err)) {
    fileio_unlock(lock);
    free(to);
    return NULL;
  }
  return to;
}

int slurm_split(const char **args, int count, struct vkd_error *err) {
  static const char *const ours[] = {"--array", "--dependency", "--chdir", "--wrap", "--parsable"};
  int options = 0;
  for (int i = 0; i < count; i++) {
    const char *arg = args[i];
    if (strncmp(arg, "--", 2) != 0) {
      memmove(args + i - options + 1, args + i - options, (size_t)options * sizeof *args);
      args[i - options] = arg;
      continue;
    }
    options++;
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
      if (!strncmp(arg, ours[k], strlen(ours[k]))) {
        vkd_fail(err, VKD_ERR_USAGE, "sweep: %s is the sweep's own, and not for sbatch", ours[k]);
        return -1;
      }
  }
  return options;
}

// DIR/slurm/NAME, malloc'd.
static enum vkd_status read_ours(const char *folder, const char *name, char **text, struct vkd_error *err) {
  char *to = fileio_join(folder, "slurm"), *path = to ? fileio_join(to, name) : NULL;
  enum vkd_status status = path ? fileio_read_whole(path, OURS_LIMIT, text, NULL, err) : no_memory(folder, err);
  free(path);
  free(to);
  return status;
}

enum vkd_status slurm_print(const char *folder, struct vkd_error *err) {
  char *text = NULL;
  enum vkd_status status = read_ours(folder, "submit.sh", &text, err);
  if (!status) fputs(text, stdout);
  free(text);
  return status;
}

enum vkd_status slurm_submit(const char *folder, int runs, struct vkd_error *err) {
  char *text = NULL, *jobs = NULL, *script = fileio_join(folder, "slurm/submit.sh");
  char *const version[] = {"sbatch", "--version", NULL}, *const submit[] = {"sh", script, NULL};
  enum vkd_status status = script ? ask(version, &text, err) : no_memory(folder, err);
  free(text);
  text = NULL;
  if (!status && (status = ask(submit, &text, err))) vkd_error_prefix(err, "%s", script);
  if (!status && !(status = read_ours(folder, "jobs", &jobs, err))) {
    char *last = NULL;
    printf("%d runs submitted as jobs", runs);
    for (char *job = strtok_r(jobs, "\n", &last); job; job = strtok_r(NULL, "\n", &last)) printf(" %s", job);
    printf(", the last of which collects; %s/slurm holds what they say\n", folder);
  }
  free(jobs);
  free(text);
  free(script);
  return status;
}

// ---- elements ------------------------------------------------------------------------------------------------------
static int by_work(const void *a, const void *b) {
  const struct slurm_cell *x = a, *y = b;
  if (x->work != y->work) return x->work < y->work ? -1 : 1;
  return x->cell - y->cell;
}

static int by_element(const void *a, const void *b) {
  const struct slurm_cell *x = a, *y = b;
  return x->element != y->element ? x->element - y->element : by_work(a, b);
}

static int elements_by_work(const void *a, const void *b) {
  const struct slurm_element *x = a, *y = b;
  if (x->work != y->work) return x->work < y->work ? -1 : 1;
  return y->number - x->number; // dealt from the end
}

// Each run, the costliest first, goes to the element that has the least to do.
static enum vkd_status deal(struct slurm_array *a, struct vkd_error *err) {
  int *place = calloc((size_t)a->count, sizeof *place);
  if (!place) return no_memory("the job array", err);
  qsort(a->cells, (size_t)a->cell_count, sizeof *a->cells, by_work);
  for (int e = 0; e < a->count; e++) a->elements[e].number = e;
  for (int k = a->cell_count - 1; k >= 0; k--) {
    int least = 0;
    for (int e = 1; e < a->count; e++)
      if (a->elements[e].work < a->elements[least].work) least = e;
    a->cells[k].element = least;
    a->elements[least].work += a->cells[k].work;
    a->elements[least].seconds += a->cells[k].seconds;
  }
  qsort(a->elements, (size_t)a->count, sizeof *a->elements, elements_by_work);
  for (int e = 0; e < a->count; e++) place[a->elements[e].number] = e;
  for (int k = 0; k < a->cell_count; k++) a->cells[k].element = place[a->cells[k].element];
  qsort(a->cells, (size_t)a->cell_count, sizeof *a->cells, by_element);
  free(place);
  return VKD_OK;
}

// Seconds per work of the runs that are done, NaN: none.
static double measured_pace(const struct slurm_params *p) {
  double seconds = 0, work = 0;
  for (int i = 0; i < p->sweep->count; i++) {
    const struct train_result *r = &p->outcomes[i].result;
    if (!p->outcomes[i].done || r->diverged || !(r->seconds > 0)) continue;
    seconds += r->seconds;
    work += sweep_cell_work(&p->sweep->cells[i]);
  }
  return work > 0 ? seconds / work : NAN;
}

static double seconds_of(const struct slurm_params *p, double pace, const struct sweep_cell *cell) {
  return p->rate->count ? step_rate_seconds(p->rate, cell) : sweep_cell_work(cell) * pace;
}

// Half as much again as is foretold, and some minutes; rounded up so that few arrays have a limit of their own.
static int64_t minutes_of(const struct slurm_params *p, double seconds) {
  int64_t minutes = LEAST_MINUTES;
  if (!isfinite(seconds)) return p->time_limit;
  while ((double)minutes < 1.5 * seconds / 60 + 5) minutes *= 2;
  return p->time_limit && p->time_limit < minutes ? p->time_limit : minutes;
}

enum vkd_status slurm_write(const struct slurm_params *p, struct vkd_error *err) {
  int most = p->jobs ? p->jobs : most_elements();
  double pace = measured_pace(p);
  struct slurm_array a = {.cells = calloc((size_t)p->sweep->count, sizeof *a.cells)};
  char *folder = realpath(p->folder, NULL), *to = folder ? fileio_join(folder, "slurm") : NULL;
  enum vkd_status status = a.cells && to ? VKD_OK : no_memory(p->folder, err);
  for (int i = 0; i < p->sweep->count && !status; i++)
    if (!p->outcomes[i].done)
      a.cells[a.cell_count++] = (struct slurm_cell){
          .work = sweep_cell_work(&p->sweep->cells[i]), .seconds = seconds_of(p, pace, &p->sweep->cells[i]), .cell = i};
  a.count = a.cell_count < most ? a.cell_count : most;
  a.elements = calloc(a.count ? (size_t)a.count : 1, sizeof *a.elements);
  if (!status && !a.elements) status = no_memory(p->folder, err);
  if (!status) status = deal(&a, err);
  for (int e = 0; e < a.count && !status; e++) a.elements[e].minutes = minutes_of(p, a.elements[e].seconds);
  if (!status) status = slurm__write_scripts(p, &a, to, err);
  free(a.elements);
  free(a.cells);
  free(folder);
  free(to);
  return status;
}
