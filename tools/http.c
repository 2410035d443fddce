#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_request.h"
#include "vkdm/clock.h"

enum { CONNECTIONS = 48, HEAD_MAX = 8192, DRAIN_MAX = 1 << 20 };
#define PATIENCE 10.0 // seconds for a request, and between two pieces of an answer
#define DRAIN_SECONDS 1.0

// READING a request's head; WRITING the answer; DRAINING: the answer is sent, and what the client still sends is thrown
// away, since closing on unread bytes would take the answer back.
enum state { FREE, READING, WRITING, DRAINING };

struct connection {
  enum state state;
  int fd;
  double until; // clock_seconds() at which it is closed
  char in[HEAD_MAX + 1], *head, *body;
  size_t got, head_size, body_size, sent, drained;
};

struct http_server {
  int fd, port;
  struct connection connections[CONNECTIONS];
};

static const char *reason(int status) {
  static const struct {
    int status;
    const char *text;
  } reasons[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {431, "Request Header Fields Too Large"},
                 {505, "HTTP Version Not Supported"}};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (reasons[i].status == status) return reasons[i].text;
  return "Internal Server Error";
}

static enum vkd_status fail_listen(int port, struct vkd_error *err) {
  int code = errno;
  bool usage = code == EADDRINUSE || code == EACCES;
  return vkd_fail(err, usage ? VKD_ERR_USAGE : VKD_ERR_IO, "port %d of 127.0.0.1: %s%s", port, strerror(code),
                  usage ? "; --port N takes another, 0 a free one" : "");
}

static bool set_flags(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

enum vkd_status http_open(struct http_server **out, int port, struct vkd_error *err) {
  struct http_server *s = *out = calloc(1, sizeof *s);
  if (!s) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a server");
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  const int on = 1;
  s->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (s->fd < 0 || !set_flags(s->fd) || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
      bind(s->fd, (struct sockaddr *)&address, sizeof address) || listen(s->fd, CONNECTIONS) ||
      getsockname(s->fd, (struct sockaddr *)&address, &size)) {
    enum vkd_status st = fail_listen(port, err);
    http_close(out);
    return st;
  }
  s->port = ntohs(address.sin_port);
  return VKD_OK;
}

int http_port(const struct http_server *s) { return s->port; }

static void drop(struct connection *c) {
  if (c->state == FREE) return;
  close(c->fd);
  free(c->head);
  free(c->body);
  c->head = c->body = NULL;
  c->state = FREE;
}

void http_close(struct http_server **ps) {
  struct http_server *s = *ps;
  if (!s) return;
  for (int i = 0; i < CONNECTIONS; i++) drop(&s->connections[i]);
  if (s->fd >= 0) close(s->fd);
  free(s);
  *ps = NULL;
}

// ---- answers -------------------------------------------------------------------------------------------------------
static void answer(struct connection *c, struct http_response *r, bool head) {
  static const char fields[] =
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
      "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
      "connect-src "
      "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n%s\r\n";
  if (!r->body) {
    r->type = "text/plain; charset=utf-8";
    r->body = malloc(128);
    r->size = r->body ? (size_t)snprintf(r->body, 128, "%d %s\n", r->status, reason(r->status)) : 0;
  }
  c->head = malloc(sizeof fields + 256);
  if (!c->head) {
    free(r->body);
    drop(c);
    return;
  }
  int n = snprintf(c->head, sizeof fields + 256, fields, r->status, reason(r->status), r->type, r->size,
                   r->status == 405 ? "Allow: GET, HEAD\r\n" : "");
  c->head_size = (size_t)n;
  c->body = r->body;
  c->body_size = head ? 0 : r->size;
  c->sent = 0;
  c->state = WRITING;
  c->until = clock_seconds() + PATIENCE;
}

static void refuse(struct connection *c, int status) { answer(c, &(struct http_response){.status = status}, false); }

static void on_readable(struct connection *c, http_handler *handler, void *user) {
  ssize_t n = recv(c->fd, c->in + c->got, HEAD_MAX - c->got, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    drop(c);
    return;
  }
  c->got += (size_t)n;
  c->in[c->got] = 0;
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end && strlen(c->in) < c->got) { // a byte of 0
    refuse(c, 400);
  } else if (!end) {
    if (c->got == HEAD_MAX) refuse(c, memchr(c->in, '\n', c->got) ? 431 : 414);
  } else {
    struct http_request request;
    struct http_response response = {.status = 404};
    bool head = false;
    end[4] = 0;
    int status = http_parse(c->in, &request, &head);
    if (status == 200)
      handler(user, &request, &response);
    else
      response.status = status;
    answer(c, &response, head);
  }
}

static void on_writable(struct connection *c) {
  bool body = c->sent >= c->head_size;
  const char *from = body ? c->body + (c->sent - c->head_size) : c->head + c->sent;
  size_t left = body ? c->head_size + c->body_size - c->sent : c->head_size - c->sent;
  ssize_t n = left ? send(c->fd, from, left, MSG_NOSIGNAL) : 0;
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) drop(c);
    return;
  }
  c->sent += (size_t)n;
  c->until = clock_seconds() + PATIENCE;
  if (c->sent < c->head_size + c->body_size) return;
  shutdown(c->fd, SHUT_WR);
  c->state = DRAINING;
  c->drained = 0;
  c->until = clock_seconds() + DRAIN_SECONDS;
}

static void on_drainable(struct connection *c) {
  ssize_t n = recv(c->fd, c->in, HEAD_MAX, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  c->drained += n > 0 ? (size_t)n : 0;
  if (n <= 0 || c->drained > DRAIN_MAX) drop(c);
}

// ---- the loop ------------------------------------------------------------------------------------------------------
static void accept_one(struct http_server *s) {
  int fd = accept(s->fd, NULL, NULL);
  if (fd < 0) return;
  for (int i = 0; i < CONNECTIONS && set_flags(fd); i++) {
    struct connection *c = &s->connections[i];
    if (c->state != FREE) continue;
    *c = (struct connection){.state = READING, .fd = fd, .until = clock_seconds() + PATIENCE};
    return;
  }
  close(fd);
}

enum vkd_status http_serve(struct http_server *s, int stop, http_handler *handler, void *user, struct vkd_error *err) {
  for (;;) {
    struct pollfd polled[CONNECTIONS + 2] = {{.fd = stop, .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
    int busy = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
      const struct connection *c = &s->connections[i];
      polled[i + 2] =
          (struct pollfd){.fd = c->state == FREE ? -1 : c->fd, .events = c->state == WRITING ? POLLOUT : POLLIN};
      busy += c->state != FREE;
    }
    if (busy == CONNECTIONS) polled[1].fd = -1; // the next ones wait in the queue
    // with nobody connected there is nothing to time out
    if (poll(polled, CONNECTIONS + 2, busy ? 250 : -1) < 0 && errno != EINTR)
      return vkd_fail(err, VKD_ERR_IO, "waiting for connections: %s", strerror(errno));
    if (polled[0].revents) return VKD_OK;
    double now = clock_seconds();
    for (int i = 0; i < CONNECTIONS; i++) {
      struct connection *c = &s->connections[i];
      if (c->state == FREE) continue;
      if (polled[i + 2].revents) {
        if (c->state == READING)
          on_readable(c, handler, user);
        else if (c->state == WRITING)
          on_writable(c);
        else
          on_drainable(c);
      } else if (now > c->until) {
        if (c->state == READING && c->got)
          refuse(c, 408);
        else
          drop(c);
      }
    }
    if (polled[1].revents) accept_one(s);
  }
}
