#include "progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vkdm/clock.h"

#define BAR_SECONDS 0.1   // redraw on a terminal
#define PLAIN_SECONDS 5.0 // a line elsewhere

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct progress *active;
static bool silent;

static void format_time(double seconds, char text[24]) {
  if (!(seconds >= 0 && seconds < 360000)) {
    snprintf(text, 24, "--:--");
    return;
  }
  int s = (int)(seconds + 0.5);
  if (s >= 3600)
    snprintf(text, 24, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(text, 24, "%d:%02d", s / 60, s % 60);
}

static int terminal_columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void clear_bar(void) {
  if (active && active->on_screen) fputs("\r\033[K", stderr);
}

static void draw(struct progress *p, double t, const char *note, bool last) {
  double share = p->total ? (double)p->done / (double)p->total : 1;
  double elapsed = t - p->began;
  double rate = elapsed > 0 ? (double)(p->done - p->start) / elapsed : 0;
  char left[24], line[512];
  format_time(last ? elapsed : rate > 0 ? (double)(p->total - p->done) / rate : -1, left);
  int n = snprintf(line, sizeof line, " %llu/%llu %s  %.3g/s  %s %s%s%s", (unsigned long long)p->done,
                   (unsigned long long)p->total, p->unit, rate, last ? "took" : "left", left, note && *note ? "  " : "",
                   note ? note : "");
  if (!p->terminal) {
    fprintf(stderr, "%s %3.0f%%%s\n", p->label, 100 * share, line);
    return;
  }
  char bar[25];
  int full = (int)(share * (sizeof bar - 1));
  for (int i = 0; i < (int)sizeof bar - 1; i++) bar[i] = i < full ? '#' : '-';
  bar[sizeof bar - 1] = 0;
  int room = terminal_columns() - 1 - (int)strlen(p->label) - (int)sizeof bar - 2;
  fprintf(stderr, "\r\033[K%s [%s]%.*s", p->label, bar, room > 0 && n > room ? room : n, line);
  p->on_screen = !last;
  if (last) fputc('\n', stderr);
  fflush(stderr);
}

void progress_set_quiet(bool quiet) { silent = quiet; }

void progress_begin(struct progress *p, const char *label, const char *unit, uint64_t start, uint64_t total) {
  *p = (struct progress){.start = start, .done = start, .total = total, .began = clock_seconds()};
  snprintf(p->label, sizeof p->label, "%s", label);
  snprintf(p->unit, sizeof p->unit, "%s", unit);
  p->drawn = p->began;
  const char *term = getenv("TERM");
  p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
  pthread_mutex_lock(&lock);
  active = p;
  pthread_mutex_unlock(&lock);
}

void progress_update(struct progress *p, uint64_t done, const char *note) {
  double t = clock_seconds();
  pthread_mutex_lock(&lock);
  p->done = done < p->start ? p->start : done > p->total ? p->total : done;
  if (!silent && t - p->drawn >= (p->terminal ? BAR_SECONDS : PLAIN_SECONDS)) {
    p->drawn = t;
    draw(p, t, note, false);
  }
  pthread_mutex_unlock(&lock);
}

void progress_end(struct progress *p, const char *note) {
  pthread_mutex_lock(&lock);
  if (!silent) draw(p, clock_seconds(), note, true);
  active = NULL;
  pthread_mutex_unlock(&lock);
}

void progress_print_line(const char *prefix, const char *text) {
  pthread_mutex_lock(&lock);
  clear_bar();
  fprintf(stderr, "%s%s\n", prefix, text);
  pthread_mutex_unlock(&lock);
}
