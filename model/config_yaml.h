// Reading configurations out of YAML documents: what config_file.c offers to sweep_table.c.
#ifndef VKDM_CONFIG_YAML_H
#define VKDM_CONFIG_YAML_H

#include <yaml.h>

#include "config_internal.h"

typedef enum vkd_status (*config__document_fn)(const char *name, yaml_document_t *document, void *user,
                                               struct vkd_error *err);

// Parses one document, which may be empty, and hands it to `read`.
enum vkd_status config__parse_yaml(const char *name, const char *text, size_t size, config__document_fn read,
                                   void *user, struct vkd_error *err);

// The sections at the root over *config; root keys in foreign (ended by NULL, or NULL) are the caller's.
enum vkd_status config__read_sections(const char *name, yaml_document_t *document, const char *const *foreign,
                                      struct config *config, struct vkd_error *err);

// One dotted key with the value node; `at` gives the line of messages.
enum vkd_status config__read_key(const char *name, yaml_document_t *document, const yaml_node_t *at, const char *key,
                                 yaml_node_t *value, struct config *config, struct vkd_error *err);

// "section.key=value" each; overriding one of train.steps and train.tokens drops the other.
enum vkd_status config__apply_overrides(const char *const *overrides, size_t count, struct config *config,
                                        struct vkd_error *err);

// The text of a scalar; NULL for another node and for text with a NUL inside.
const char *config__scalar(const yaml_node_t *node);

bool config__is_section(const char *name);

#endif
