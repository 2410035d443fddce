#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t signalled;

static void on_signal(int number) {
  if (signalled) _exit(128 + number); // as the shell tells it
  signalled = number;
}

void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool stop_requested(void *user) {
  (void)user;
  return signalled;
}
