// Log messages go to a callback that the program sets; without one they are dropped.
#ifndef VKD_LOG_H
#define VKD_LOG_H

#include "vkd/status.h"

enum vkd_log_level { VKD_LOG_DEBUG, VKD_LOG_INFO, VKD_LOG_WARN };

typedef void (*vkd_log_fn)(void *user, enum vkd_log_level level, const char *message);

// Set once, before any other call; not thread-safe against a running log call.
void vkd_log_set(vkd_log_fn fn, void *user);
void vkd_log(enum vkd_log_level level, const char *fmt, ...) VKD_PRINTF(2, 3);

#endif
