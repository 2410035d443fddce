// A folder with a run, a sweep, or runs anywhere below it, as one JSON document that can be asked for again and again.
// Only reads; nothing outside the folder, symbolic links included, is looked at.
#ifndef VKDIT_WATCH_H
#define VKDIT_WATCH_H

#include <stddef.h>

#include "vkd/status.h"

struct watch;

// Errors: VKD_ERR_INPUT where the folder is not there.
enum vkd_status watch_open(struct watch **out, const char *folder, struct vkd_error *err);
void watch_close(struct watch **watch); // NULL inside is fine

// What the folder holds now: {"folder", "time", "cells", "images": [...], "runs": [...]} in SI units, times in
// milliseconds of the epoch; malloc'd.  NULL: no memory.  Looks at the files at most twice a second.
char *watch_json(struct watch *watch, size_t *size);

// A picture below the folder, malloc'd; *type: its media type.  NULL: there is none.
char *watch_picture(struct watch *watch, const char *path, size_t *size, const char **type);

#endif
