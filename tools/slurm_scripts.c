// The texts of the batch scripts and of what submits them.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slurm_internal.h"
#include "vkdm/fileio.h"

enum { SIGNAL_SECONDS = 120 }; // before the time limit; Slurm may be a minute early or late

// What every script needs.
struct scripts {
  const struct slurm_params *p;
  const struct slurm_array *array;
  const char *to;
  char *here, *folder, *program; // absolute: where the command was given; of the sweep; this one
};

// For a shell: as it is where it is plain.
static void put_quoted(FILE *out, const char *text) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (*text && !text[strspn(text, plain)]) {
    fputs(text, out);
    return;
  }
  fputc('\'', out);
  for (; *text; text++)
    if (*text == '\'')
      fputs("'\\''", out);
    else
      fputc(*text, out);
  fputc('\'', out);
}

static void put_word(FILE *out, const char *text) {
  fputc(' ', out);
  put_quoted(out, text);
}

// "vkdit sweep SWEEP.yaml key=value ... -o DIR"
static void put_command(FILE *out, const struct scripts *s) {
  const char *launcher = getenv("VKDIT_LAUNCHER");
  if (launcher && *launcher) {
    put_quoted(out, launcher);
    fputc(' ', out);
  }
  put_quoted(out, s->program);
  fputs(" sweep ", out);
  put_quoted(out, s->to);
  fputs("/sweep.yaml", out);
  for (int i = 0; i < s->p->override_count; i++) put_word(out, s->p->overrides[i]);
  fputs(" -o ", out);
  put_quoted(out, s->folder);
}

static void put_array(FILE *out, const struct scripts *s) {
  const struct slurm_array *a = s->array;
  fputs("#!/bin/bash\n# An element of the job array: it trains the runs of its line one after another, and skips those "
        "that are done.\nruns=(\n",
        out);
  for (int k = 0; k < a->cell_count; k++) {
    bool last = k + 1 == a->cell_count || a->cells[k + 1].element != a->cells[k].element;
    bool first = !k || a->cells[k - 1].element != a->cells[k].element;
    fprintf(out, "%s%s%s", first ? "  " : "", s->p->sweep->cells[a->cells[k].cell].name, last ? "\n" : ",");
  }
  fputs(")\n", out);
  fputs("again=no signalled=yes status=1\n"
        "# USR1 is sent to this shell alone, before the time limit; TERM to every process, so the run has it.\n"
        "trap 'again=yes signalled=yes; kill -TERM $run' USR1\n"
        "trap 'signalled=yes' TERM\n",
        out);
  put_command(out, s);
  fputs(" --only \"${runs[SLURM_ARRAY_TASK_ID]}\"", out);
  if (s->p->no_checkpoints) fputs(" --no-checkpoints", out);
  if (s->p->device) {
    fputs(" --device", out);
    put_word(out, s->p->device);
  }
  fprintf(out,
          " &\nrun=$!\n"
          "while [ $signalled = yes ]; do\n"
          "  signalled=no\n"
          "  wait $run\n"
          "  status=$?\n"
          "done\n"
          "# 2: its input is wrong, and will be\n"
          "if [ $again = yes ] || { [ $status != 0 ] && [ $status != 2 ]; }; then\n"
          "  if [ \"${SLURM_RESTART_COUNT:-0}\" -lt %d ]; then\n"
          "    echo \"restart $((${SLURM_RESTART_COUNT:-0} + 1)) of %d\"\n"
          "    exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"\n"
          "  fi\n"
          "fi\n"
          "exit $status\n",
          s->p->retries, s->p->retries);
}

static void put_collect(FILE *out, const struct scripts *s) {
  fputs("#!/bin/bash\n# Runs once the job array has ended, however that was.\nexec ", out);
  put_command(out, s);
  fputs(" --collect\n", out);
}

// A job's output file; Slurm knows patterns in it.
static void put_output(FILE *out, const struct scripts *s, const char *pattern) {
  size_t n = 0, size = 2 * strlen(s->to) + 1;
  char *escaped = malloc(size);
  for (const char *c = s->to; escaped && *c; c++) {
    if (*c == '%') escaped[n++] = '%';
    escaped[n++] = *c;
  }
  if (!escaped) return;
  escaped[n] = 0;
  fputs(" --output=", out);
  put_quoted(out, escaped);
  fprintf(out, "/%s", pattern);
  free(escaped);
}

static bool is_for_runs_alone(const char *option) {
  static const char *const names[] = {"--gpu", "--gres", "--time", "--signal", "--exclusive", "--mem", "--cpus"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strncmp(option, names[i], strlen(names[i]))) return true;
  return false;
}

static void put_submit(FILE *out, const struct scripts *s) {
  const struct slurm_array *a = s->array;
  const char *name = strrchr(s->folder, '/');
  fputs("#!/bin/sh\n# Submits the runs that are missing, in arrays by their time limit, and a job that collects.\n"
        "set -eu\ncd ",
        out);
  put_quoted(out, s->here);
  fputs("\njobs=\nsubmit() {\n"
        "  job=$(sbatch --parsable --open-mode=append --job-name=",
        out);
  put_quoted(out, name && name[1] ? name + 1 : "sweep");
  fputs(" \"$@\")\n  job=${job%%;*}\n  jobs=$jobs:$job\n  echo \"$job\" >> ", out);
  put_quoted(out, s->to);
  fputs("/jobs\n}\n: > ", out);
  put_quoted(out, s->to);
  fputs("/jobs\n", out);
  for (int first = 0, next; first < a->count; first = next) {
    int64_t minutes = a->elements[first].minutes;
    for (next = first; next < a->count && a->elements[next].minutes == minutes; next++) continue;
    fprintf(out, "submit --array=%d-%d", first, next - 1);
    if (s->p->at_once) fprintf(out, "%%%d", s->p->at_once);
    if (minutes) fprintf(out, " --time=%" PRId64, minutes);
    fprintf(out, " --requeue --signal=B:USR1@%d", SIGNAL_SECONDS);
    put_output(out, s, "%A_%a.out");
    for (int i = 0; i < s->p->option_count; i++) put_word(out, s->p->options[i]);
    fputc(' ', out);
    put_quoted(out, s->to);
    fputs("/array.sh\n", out);
  }
  fputs("submit --dependency=\"afterany$jobs\"", out);
  put_output(out, s, "%j-collect.out");
  for (int i = 0; i < s->p->option_count; i++)
    if (!is_for_runs_alone(s->p->options[i])) put_word(out, s->p->options[i]);
  fputc(' ', out);
  put_quoted(out, s->to);
  fputs("/collect.sh\n", out);
}

static enum vkd_status write_script(const struct scripts *s, const char *name,
                                    void (*put)(FILE *out, const struct scripts *s), struct vkd_error *err) {
  struct fileio f = {0};
  char *path = fileio_join(s->to, name);
  enum vkd_status status =
      path ? fileio_begin(&f, path, err) : vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", s->to);
  if (!status) {
    put(f.stream, s);
    status = fileio_commit(&f, err);
  }
  fileio_abort(&f);
  free(path);
  return status;
}

// Found on PATH, or started by path; under a launcher /proc/self/exe is another program.
static char *find_program(const char *program) {
  return realpath(strchr(program, '/') ? program : "/proc/self/exe", NULL);
}

enum vkd_status slurm__write_scripts(const struct slurm_params *p, const struct slurm_array *array, const char *to,
                                     struct vkd_error *err) {
  char *sweep = fileio_join(to, "sweep.yaml");
  struct scripts s = {.p = p,
                      .array = array,
                      .to = to,
                      .here = realpath(".", NULL),
                      .folder = realpath(p->folder, NULL),
                      .program = find_program(p->program)};
  enum vkd_status status = VKD_OK;
  if (!sweep)
    status = vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", to);
  else if (!s.here || !s.folder || !s.program)
    status = fileio_fail("find it", !s.here ? "." : !s.folder ? p->folder : p->program, err);
  // what waits in the queue does not see the file change
  if (!status) status = fileio_write_whole(sweep, p->file->text, p->file->size, err);
  if (!status) status = write_script(&s, "array.sh", put_array, err);
  if (!status) status = write_script(&s, "collect.sh", put_collect, err);
  if (!status) status = write_script(&s, "submit.sh", put_submit, err);
  free(s.here);
  free(s.folder);
  free(s.program);
  free(sweep);
  return status;
}
