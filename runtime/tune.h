// The table of measured forms.  Internal to runtime/.
#ifndef VKD_TUNE_INTERNAL_H
#define VKD_TUNE_INTERNAL_H

#include "op.h"
#include "vkd/tune.h"

enum { VKD_TUNE_ENTRIES = 4096, VKD_TUNE_BYTES = 1 << 20 }; // of a file, at most

// The text that nodes share which are taken to want the same form; false: the node's op has one way alone.
bool vkd__tune_key(const struct vkd_graph *g, const struct vkd_node *node, char key[VKD_TUNE_KEY]);

// The entry of a key, and the form's name for a node; NULL: none.
struct vkd_tune_entry *vkd__tune_find(const struct vkd_tune *tune, const char *key);
const char *vkd__tune_form(const struct vkd_tune *tune, const struct vkd_graph *g, const struct vkd_node *node);

// Sets a key's entry, or takes it out where form is NULL; fresh from now on.
enum vkd_status vkd__tune_set(struct vkd_tune *tune, const char *key, const char *form, uint64_t ns,
                              struct vkd_error *err);

// Fills an empty table with a file's entries.  What is wrong with the text, and no entries then; NULL: nothing.
const char *vkd__tune_parse(struct vkd_tune *tune, const struct vkd_device_caps *caps, const char *text, size_t size);

enum vkd_status vkd__tune_save(const struct vkd_tune *tune, const struct vkd_device_caps *caps, struct vkd_error *err);

#endif
