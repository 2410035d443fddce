// vkdit watch: a page that shows runs while they go on.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assets.h"
#include "cmd.h"
#include "fit/report.h"
#include "http.h"
#include "watch.h"

static const struct cmd_opt opts[] = {
    {.name = "port",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "8610",
     .min = 0,
     .max = 65535,
     .help = "port on 127.0.0.1; 0: a free one"},
    {0},
};

static int stop_pipe[2] = {-1, -1};

static void on_signal(int number) {
  (void)number;
  int code = errno;
  while (write(stop_pipe[1], "", 1) < 0 && errno == EINTR) continue;
  errno = code;
}

static enum vkd_status stop_on_signals(struct vkd_error *err) {
  struct sigaction action = {.sa_handler = on_signal};
  if (pipe(stop_pipe)) return vkd_fail(err, VKD_ERR_IO, "a pipe: %s", strerror(errno));
  for (int i = 0; i < 2; i++) fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
  fcntl(stop_pipe[1], F_SETFL, O_NONBLOCK);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return VKD_OK;
}

static void copy_body(struct http_response *r, const char *type, const void *data, size_t size) {
  r->type = type;
  r->size = size;
  r->body = malloc(size + 1);
  if (r->body) memcpy(r->body, data, size);
}

static const char css[] = "text/css; charset=utf-8", js[] = "text/javascript; charset=utf-8";

static bool answer_asset(const char *path, struct http_response *r) {
  const char *const rows[][3] = {{"/", "watch/index.html", "text/html; charset=utf-8"},
                                 {"/watch.css", "watch/watch.css", css},
                                 {"/watch.js", "watch/watch.js", js},
                                 {"/plots.js", "watch/plots.js", js}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strcmp(path, rows[i][0]) != 0) continue;
    const struct asset *asset = asset_find(rows[i][1]);
    copy_body(r, rows[i][2], asset->data, asset->size);
    return true;
  }
  return false;
}

// The page looks as the report does.
static void answer_style(struct http_response *r) {
  size_t size = strlen(fit_page_style) + strlen(fit_plot_style);
  char *text = malloc(size + 1);
  if (text) snprintf(text, size + 1, "%s%s", fit_page_style, fit_plot_style);
  *r = (struct http_response){.status = r->status, .type = css, .body = text, .size = size};
}

static void answer(void *user, const struct http_request *request, struct http_response *r) {
  static const char files[] = "/files/";
  struct watch *watch = user;
  r->status = 200;
  if (answer_asset(request->path, r)) return;
  if (!strcmp(request->path, "/report.css")) {
    answer_style(r);
  } else if (!strcmp(request->path, "/runs.json")) {
    r->type = "application/json";
    r->body = watch_json(watch, &r->size);
  } else if (!strncmp(request->path, files, sizeof files - 1)) {
    r->body = watch_picture(watch, request->path + sizeof files - 1, &r->size, &r->type);
    if (!r->body) r->status = 404;
  } else {
    r->status = 404;
  }
  if (!r->body && r->status == 200) r->status = 500;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  struct watch *watch = NULL;
  struct http_server *server = NULL;
  enum vkd_status st = watch_open(&watch, args->pos[0], err);
  if (st == VKD_OK) st = stop_on_signals(err);
  if (st == VKD_OK) st = http_open(&server, (int)cmd_int(args, "port"), err);
  if (st == VKD_OK) {
    printf("http://127.0.0.1:%d/ shows %s; Ctrl-C ends it\n", http_port(server), args->pos[0]);
    fflush(stdout);
    st = http_serve(server, stop_pipe[0], answer, watch, err);
  }
  http_close(&server);
  watch_close(&watch);
  for (int i = 0; i < 2; i++)
    if (stop_pipe[i] >= 0) close(stop_pipe[i]);
  return st;
}

const struct cmd cmd_watch = {
    .name = "watch",
    .summary = "Serves a page on this machine that shows runs while they go on",
    .usage = "RUN|DIR",
    .details = "Loss curves, progress, device use and samples of a run or of all runs below a folder; a map of a "
               "sweep's cells.\n"
               "Reads only; answers only on 127.0.0.1.",
    .min_pos = 1,
    .max_pos = 1,
    .opts = opts,
    .run = run,
};
