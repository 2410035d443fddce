// SIGINT and SIGTERM: the first asks the work to stop where nothing is lost, the second ends the process at once.
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

#include <stdbool.h>

void stop_on_signals(void);
bool stop_requested(void *user); // as struct train_params and struct sweep_params ask; user: unused

#endif
