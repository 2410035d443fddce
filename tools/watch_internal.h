// What watch.c (folders) and watch_json.c (the document) share.
#ifndef VKDIT_WATCH_INTERNAL_H
#define VKDIT_WATCH_INTERNAL_H

#include "watch.h"
#include "watch_run.h"

enum { WATCH_IMAGES = 6 }; // shown of a run, and of the folders above runs

struct watch_image {
  char name[WATCH_NAME_MAX]; // below the watched folder
  double changed;            // seconds of the epoch
};

struct watch_gallery {
  int count; // the newest ones, newest first
  struct watch_image image[WATCH_IMAGES];
};

struct watch_entry {
  struct watch_run run;
  struct watch_gallery images;
};

struct watch {
  char *folder, *title;         // title: the folder's own name
  struct watch_entry **entries; // [count], by name
  int count, room;
  int cells; // that sweeps name
  struct watch_gallery images;
  double scanned; // clock_seconds()
  char *json;
  size_t json_size;
};

// Of the present entries.  A new reference; NULL: no memory.
json_t *watch_document(const struct watch *watch, double time);

#endif
