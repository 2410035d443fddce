// What a dataset is built from: files found, their classes and their texts.
#ifndef VKDM_DATA_SOURCES_H
#define VKDM_DATA_SOURCES_H

#include <jansson.h>
#include <stdint.h>

#include "vkd/status.h"

enum source_kind { SOURCE_VIDEO, SOURCE_IMAGE, SOURCE_LATENTS };

struct source {
  enum source_kind kind;
  char *path, *name, *stem; // name: without folders; stem: without its ending too
  char *folder;             // the subfolder below the given one, or the folder of a file given by name; "" for none
  int32_t label;            // -1: none
  uint32_t clips;           // that came out of it
};

struct source_list {
  struct source *items;
  uint32_t count, room;
  char **classes; // names, by label
  uint32_t class_count;
};

// Files as they are given, and those in given folders (all levels, by name) that look like images or videos.
// Errors: VKD_ERR_INPUT where one is missing, or a folder holds none.
enum vkd_status sources_find(const char *const *paths, uint32_t count, struct source_list *list, struct vkd_error *err);
void sources_free(struct source_list *list); // fine on a zeroed list

// Sets label and classes: by folder ("folder") or by a CSV file of file,label rows (a file's path, name or stem).
// Classes are numbered in the order of their names, or of their values where all are whole numbers.
enum vkd_status sources_label(struct source_list *list, const char *labels, struct vkd_error *err);

#endif
