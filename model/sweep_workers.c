// Worker processes of a sweep.  The parent hands out cells over one pipe per worker and hears of them over another; it
// touches no device, since a device does not survive a fork.  It closes the first pipe where there is nothing more to
// do: a worker that is amid a run then saves and ends.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "sweep_internal.h"
#include "vkd/log.h"

enum kind { PROGRESS, FINISHED, FAILED, STOPPED, NO_DEVICE };

struct message {
  enum kind kind;
  struct train_progress train;
  struct vkd_error error;
};

struct worker {
  pid_t pid;
  int to, from; // the parent's ends; -1: closed
  int cell;     // -1: none
};

static bool read_all(int fd, void *data, size_t size) {
  for (char *p = data; size;) {
    ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

static bool write_all(int fd, const void *data, size_t size) {
  for (const char *p = data; size;) {
    ssize_t n = write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

// ---- in the worker -------------------------------------------------------------------------------------------------
struct pipes {
  int in, out;
};

static void tell_progress(void *user, const struct train_progress *progress) {
  const struct pipes *pipes = user;
  struct message m = {.kind = PROGRESS, .train = *progress};
  if (!write_all(pipes->out, &m, sizeof m)) _exit(1); // the parent is gone
}

static bool is_closed(void *user) {
  const struct pipes *pipes = user;
  struct pollfd in = {.fd = pipes->in};
  return poll(&in, 1, 0) > 0 && (in.revents & POLLHUP);
}

// A terminal's signals reach every process of the group: the parent answers them.
static void leave_signals_to_parent(pid_t parent) {
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGINT, &ignore, NULL);
  sigaction(SIGTERM, &ignore, NULL);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (getppid() != parent) _exit(1); // it has died meanwhile
}

uint32_t sweep__best_devices(const struct vkd_device_caps *list, uint32_t count, uint32_t *best) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (*list[i].unusable || (n && list[i].kind > list[best[0]].kind)) continue;
    if (n && list[i].kind < list[best[0]].kind) n = 0;
    best[n++] = i;
  }
  return n;
}

// Of this machine; [0]: none, or $VKD_DEVICE has chosen.
static uint32_t *find_devices(uint32_t *count, bool *software) {
  struct vkd_device_caps *list = NULL;
  uint32_t *best = NULL, all = 0;
  *count = 0;
  if (!getenv("VKD_DEVICE") && !vkd_device_list(&list, &all, NULL)) best = calloc(all ? all : 1, sizeof *best);
  if (best) *count = sweep__best_devices(list, all, best);
  if (software) *software = *count && list[best[0]].kind == VKD_DEVICE_SOFTWARE;
  for (uint32_t i = 0; i < *count; i++) best[i] = list[best[i]].index;
  free(list);
  return best;
}

int sweep_default_workers(void) {
  int status = 0;
  fflush(NULL);
  pid_t pid = fork();
  if (!pid) {
    uint32_t count = 0;
    bool software = false;
    free(find_devices(&count, &software));
    _exit(software || !count ? 1 : count < SWEEP_MAX_WORKERS ? (int)count : SWEEP_MAX_WORKERS);
  }
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) > 0 ? WEXITSTATUS(status) : 1;
}

static enum vkd_status open_device(const struct sweep_params *p, int worker, struct vkd_device **device,
                                   struct vkd_error *err) {
  char number[16];
  uint32_t count = 0, *best = NULL;
  struct vkd_device_params params = {0};
  if (p->device_count)
    params.select = p->devices[worker % p->device_count];
  else
    best = find_devices(&count, NULL);
  if (count) {
    snprintf(number, sizeof number, "%u", best[(uint32_t)worker % count]);
    params.select = number;
  }
  free(best);
  return vkd_device_create(device, &params, err);
}

// lavapipe's threads of several processes wait for each other: each process gets its share of the processors, and none
// but its own thread where that is one.  Four runs of a small model on two of them: 2.1 to 2.5 s, 3.1 to 3.4 without
// this.
static void share_processors(int processes) {
  long share = sysconf(_SC_NPROCESSORS_ONLN) / (processes > 0 ? processes : 1);
  char text[32];
  snprintf(text, sizeof text, "%ld", share > 1 ? share : 0);
  if (processes > 1) setenv("LP_NUM_THREADS", text, 0);
}

static _Noreturn void work(const struct sweep_job *job, int worker, struct pipes pipes, pid_t parent) {
  struct vkd_device *device = NULL;
  struct message m = {.kind = NO_DEVICE};
  bool stopped;
  int cell;
  leave_signals_to_parent(parent);
  share_processors(job->processes);
  if (open_device(job->p, worker, &device, &m.error)) {
    write_all(pipes.out, &m, sizeof m);
    _exit(1);
  }
  while (read_all(pipes.in, &cell, sizeof cell)) {
    m = (struct message){.kind = FINISHED};
    if (sweep__run_cell(job, cell, device, tell_progress, is_closed, &pipes, &stopped, &m.error)) m.kind = FAILED;
    if (stopped) m.kind = STOPPED;
    if (!write_all(pipes.out, &m, sizeof m)) break;
  }
  vkd_device_destroy(&device);
  _exit(0);
}

// ---- in the parent -------------------------------------------------------------------------------------------------
static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static enum vkd_status start(struct sweep_job *job, struct worker *workers, int w, struct vkd_error *err) {
  int down[2], up[2];
  workers[w] = (struct worker){.pid = -1, .to = -1, .from = -1, .cell = -1};
  if (pipe(down)) return vkd_fail(err, VKD_ERR_IO, "a pipe to a worker: %s", strerror(errno));
  if (pipe(up)) {
    close(down[0]);
    close(down[1]);
    return vkd_fail(err, VKD_ERR_IO, "a pipe to a worker: %s", strerror(errno));
  }
  fflush(NULL);
  pid_t parent = getpid(), pid = fork();
  if (!pid) {
    for (int other = 0; other < w; other++) {
      close_end(&workers[other].to);
      close_end(&workers[other].from);
    }
    close(down[1]);
    close(up[0]);
    work(job, w, (struct pipes){down[0], up[1]}, parent);
  }
  close(down[0]);
  close(up[1]);
  workers[w] = (struct worker){.pid = pid, .to = down[1], .from = up[0], .cell = -1};
  return pid > 0 ? VKD_OK : vkd_fail(err, VKD_ERR_IO, "a worker process cannot be started: %s", strerror(errno));
}

static void hand_out(struct worker *w, const int *todo, int count, int *next) {
  w->cell = w->to >= 0 && *next < count ? todo[(*next)++] : -1;
  if (w->cell < 0)
    close_end(&w->to); // nothing is left: the worker ends
  else
    write_all(w->to, &w->cell, sizeof w->cell);
}

// One message, or the worker's end.
static enum vkd_status hear(struct sweep_job *job, struct worker *w, const int *todo, int count, int *next,
                            struct vkd_error *err) {
  struct message m;
  enum vkd_status status = VKD_OK;
  if (!read_all(w->from, &m, sizeof m)) {
    m = (struct message){.kind = FAILED};
    vkd_fail(&m.error, VKD_ERR_INTERNAL, "the worker process ended before the run did");
    if (w->cell >= 0) status = sweep__finish_cell(job, w->cell, &m.error, err);
    close_end(&w->from);
    close_end(&w->to);
    w->cell = -1;
    return status;
  }
  if (m.kind == NO_DEVICE) {
    if (err) *err = m.error;
    return m.error.status;
  }
  if (m.kind == PROGRESS) {
    struct sweep_progress report = {.cell = w->cell, .train = m.train};
    if (job->p->progress) job->p->progress(job->p->user, &report);
    return VKD_OK;
  }
  if (m.kind == STOPPED) {
    w->cell = -1;
    return VKD_OK;
  }
  status = sweep__finish_cell(job, w->cell, m.kind == FAILED ? &m.error : NULL, err);
  hand_out(w, todo, count, next);
  return status;
}

enum vkd_status sweep__run_workers(struct sweep_job *job, const int *todo, int count, struct vkd_error *err) {
  struct worker workers[SWEEP_MAX_WORKERS];
  struct pollfd polls[SWEEP_MAX_WORKERS];
  int started = 0, next = 0, living = 0, wanted = job->p->workers < count ? job->p->workers : count;
  enum vkd_status status = VKD_OK;
  struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
  sigaction(SIGPIPE, &ignore, &before); // a worker that died is found by its closed pipe
  job->processes = wanted;
  while (started < wanted && started < SWEEP_MAX_WORKERS && !status) status = start(job, workers, started++, err);
  for (int w = 0; w < started && !status; w++) hand_out(&workers[w], todo, count, &next);
  do {
    living = 0;
    for (int w = 0; w < started; w++) {
      polls[w] = (struct pollfd){.fd = workers[w].from, .events = POLLIN};
      living += workers[w].from >= 0;
    }
    if (status || !living) break;
    for (int w = 0; w < started && sweep__is_stopped(job); w++) close_end(&workers[w].to);
    if (poll(polls, (nfds_t)started, -1) < 0 && errno != EINTR)
      status = vkd_fail(err, VKD_ERR_IO, "poll: %s", strerror(errno));
    for (int w = 0; w < started && !status; w++)
      if (polls[w].fd >= 0 && polls[w].revents) status = hear(job, &workers[w], todo, count, &next, err);
  } while (!status);
  for (int w = 0; w < started; w++) {
    if (status && workers[w].pid > 0) kill(workers[w].pid, SIGKILL);
    close_end(&workers[w].to);
    close_end(&workers[w].from);
    if (workers[w].pid > 0) waitpid(workers[w].pid, NULL, 0);
  }
  sigaction(SIGPIPE, &before, NULL);
  if (!status && next < count && !sweep__is_stopped(job))
    status = vkd_fail(err, VKD_ERR_INTERNAL, "all worker processes ended before the sweep did");
  return status;
}
