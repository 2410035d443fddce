#include "vkdm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static int make_pipe(int fd[2]) {
  if (pipe(fd)) return -1;
  fcntl(fd[0], F_SETFD, FD_CLOEXEC);
  fcntl(fd[1], F_SETFD, FD_CLOEXEC);
  return 0;
}

// A socket, so that writing to a child that has gone gives EPIPE and no signal.
static int make_input(int fd[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) return -1;
  fcntl(fd[0], F_SETFD, FD_CLOEXEC);
  fcntl(fd[1], F_SETFD, FD_CLOEXEC);
  return 0;
}

enum vkd_status process_start(struct process *p, char *const argv[], int streams, struct vkd_error *err) {
  memset(p, 0, sizeof *p);
  p->in = p->out = p->err = -1;
  int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
  int code = 0;
  posix_spawn_file_actions_t actions;
  if ((code = posix_spawn_file_actions_init(&actions)))
    return vkd_fail(err, VKD_ERR_IO, "cannot start %s: %s", argv[0], strerror(code));
  if (make_pipe(errors) || ((streams & PROCESS_STDOUT) && make_pipe(out)) ||
      ((streams & PROCESS_STDIN) && make_input(in))) {
    code = errno;
    goto done;
  }
  code = in[0] >= 0 ? posix_spawn_file_actions_adddup2(&actions, in[0], 0)
                    : posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!code)
    code = out[1] >= 0 ? posix_spawn_file_actions_adddup2(&actions, out[1], 1)
                       : posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (!code) code = posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
  if (!code) code = posix_spawnp(&p->pid, argv[0], &actions, NULL, argv, environ);
done:
  posix_spawn_file_actions_destroy(&actions);
  close_fd(&in[0]);
  close_fd(&out[1]);
  close_fd(&errors[1]);
  if (!code) {
    p->in = in[1], p->out = out[0], p->err = errors[0];
    return VKD_OK;
  }
  close_fd(&in[1]);
  close_fd(&out[0]);
  close_fd(&errors[0]);
  p->pid = 0;
  if (code == ENOENT)
    return vkd_fail(err, VKD_ERR_UNSUPPORTED,
                    "no program `%s` on PATH; install it (on Debian and Ubuntu: apt install %s)", argv[0], argv[0]);
  return vkd_fail(err, VKD_ERR_IO, "cannot start %s: %s", argv[0], strerror(code));
}

// Reads what is there of the error output, keeping its end.
static void take_errors(struct process *p) {
  char buffer[512];
  ssize_t n = read(p->err, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return;
  if (n <= 0) {
    close_fd(&p->err);
    return;
  }
  const size_t room = sizeof p->tail - 1, add = (size_t)n;
  size_t keep = p->tail_size + add > room ? room - add : p->tail_size;
  memmove(p->tail, p->tail + p->tail_size - keep, keep);
  memcpy(p->tail + keep, buffer, add);
  p->tail_size = keep + add;
}

// Waits until `fd` (-1: none) is ready for `events`, taking error output meanwhile.  False on a failed poll.
static int wait_ready(struct process *p, int fd, short events) {
  for (;;) {
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = p->err, .events = POLLIN}};
    int n = poll(fds, 2, -1);
    if (n < 0 && errno != EINTR) return 0;
    if (n <= 0) continue;
    if (fds[1].revents) take_errors(p);
    if (fds[0].revents || (fd < 0 && p->err < 0)) return 1;
  }
}

enum vkd_status process_read(struct process *p, void *buffer, size_t size, size_t *got, struct vkd_error *err) {
  *got = 0;
  while (*got < size) {
    if (!wait_ready(p, p->out, POLLIN)) return vkd_fail(err, VKD_ERR_IO, "waiting for a child: %s", strerror(errno));
    ssize_t n = read(p->out, (char *)buffer + *got, size - *got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return vkd_fail(err, VKD_ERR_IO, "reading from a child: %s", strerror(errno));
    if (n == 0) break;
    *got += (size_t)n;
  }
  return VKD_OK;
}

enum vkd_status process_write(struct process *p, const void *buffer, size_t size, size_t *written,
                              struct vkd_error *err) {
  *written = 0;
  while (*written < size) {
    if (!wait_ready(p, p->in, POLLOUT)) return vkd_fail(err, VKD_ERR_IO, "waiting for a child: %s", strerror(errno));
    ssize_t n = send(p->in, (const char *)buffer + *written, size - *written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
    if (n < 0) return vkd_fail(err, VKD_ERR_IO, "writing to a child: %s", strerror(errno));
    *written += (size_t)n;
  }
  return VKD_OK;
}

enum vkd_status process_finish(struct process *p, int *exit_status, struct vkd_error *err) {
  close_fd(&p->in);
  close_fd(&p->out);
  if (p->err >= 0) wait_ready(p, -1, 0); // until it closes its error output
  close_fd(&p->err);
  int code = 0;
  pid_t pid;
  while ((pid = waitpid(p->pid, &code, 0)) < 0 && errno == EINTR) continue;
  p->pid = 0;
  if (pid < 0) return vkd_fail(err, VKD_ERR_IO, "waiting for a child: %s", strerror(errno));
  *exit_status = WIFEXITED(code) ? WEXITSTATUS(code) : 256 + (WIFSIGNALED(code) ? WTERMSIG(code) : 0);
  return VKD_OK;
}

void process_kill(struct process *p) {
  if (p->pid <= 0) return;
  kill(p->pid, SIGKILL);
  int exit_status;
  process_finish(p, &exit_status, NULL);
}

const char *process_last_line(struct process *p) {
  size_t end = p->tail_size;
  while (end && (unsigned char)p->tail[end - 1] <= ' ') end--;
  p->tail[end] = 0;
  size_t start = end;
  while (start && p->tail[start - 1] != '\n' && p->tail[start - 1] != '\r') start--;
  for (char *c = p->tail + start; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
  return p->tail + start;
}
