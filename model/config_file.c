// Configuration files.  libyaml itself and no schema library over it: messages need the line of a key and the nearest
// known key.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_yaml.h"
#include "vkdm/fileio.h"

enum { FILE_LIMIT = 1 << 18 }; // parsed, a text takes up to 100 times its size

struct reader {
  const char *name; // of the file
  yaml_document_t *document;
  struct config *config;
  const char *const *foreign;      // keys of the root that are no sections, ended by NULL
  size_t lines[CONFIG_FIELDS_MAX]; // by field: where it was set, 0: not yet
};

static enum vkd_status fail_at(const struct reader *r, const yaml_node_t *node, const char *what,
                               struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: %s", r->name, node->start_mark.line + 1, what);
}

const char *config__scalar(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE) return NULL;
  const char *text = (const char *)node->data.scalar.value;
  return strlen(text) == node->data.scalar.length ? text : NULL;
}

static enum vkd_status read_value(struct reader *r, const struct config_field *field, const yaml_node_t *key,
                                  yaml_node_t *node, struct vkd_error *err) {
  const char *values[CONFIG_LIST_MAX];
  char where[512], message[256];
  size_t count = 1, row = (size_t)(field - config_fields), line = key->start_mark.line + 1;
  if (r->lines[row]) {
    snprintf(message, sizeof message, "%s is given twice, first on line %zu", field->key, r->lines[row]);
    return fail_at(r, key, message, err);
  }
  r->lines[row] = line;
  if (node->type == YAML_SEQUENCE_NODE && field->count > 1) {
    yaml_node_item_t *items = node->data.sequence.items.start;
    count = (size_t)(node->data.sequence.items.top - items);
    for (size_t i = 0; i < count && i < CONFIG_LIST_MAX; i++) {
      values[i] = config__scalar(yaml_document_get_node(r->document, items[i]));
      if (!values[i]) values[i] = "";
    }
  } else {
    values[0] = config__scalar(node);
    if (!values[0] || (!*values[0] && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)) {
      snprintf(message, sizeof message, "%s has no value, or one of a wrong form", field->key);
      return fail_at(r, key, message, err);
    }
  }
  snprintf(where, sizeof where, "%s:%zu", r->name, line);
  return config__assign(r->config, field, values, count, where, VKD_ERR_INPUT, err);
}

// "section.leaf" (leaf NULL: the section alone) into key[128]; longer names are cut, and so unknown.
static void join_key(char key[128], const char *section, const char *leaf) {
  snprintf(key, 128, "%.60s%s%.60s", section, leaf ? "." : "", leaf ? leaf : "");
}

static enum vkd_status read_section(struct reader *r, const char *section, yaml_node_t *node, struct vkd_error *err) {
  char key[128], where[512];
  for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
    yaml_node_t *name = yaml_document_get_node(r->document, p->key);
    const char *leaf = config__scalar(name);
    if (!leaf) return fail_at(r, name, "a key must be plain text", err);
    join_key(key, section, leaf);
    const struct config_field *field = config__find(key);
    if (!field) {
      snprintf(where, sizeof where, "%s:%zu", r->name, name->start_mark.line + 1);
      return config__fail_unknown(where, key, VKD_ERR_INPUT, err);
    }
    enum vkd_status status = read_value(r, field, name, yaml_document_get_node(r->document, p->value), err);
    if (status) return status;
  }
  return VKD_OK;
}

static bool is_foreign(const struct reader *r, const char *name) {
  for (size_t i = 0; r->foreign && r->foreign[i]; i++)
    if (!strcmp(r->foreign[i], name)) return true;
  return false;
}

bool config__is_section(const char *name) {
  size_t n = strlen(name);
  for (size_t i = 0; i < config_field_count; i++)
    if (!strncmp(config_fields[i].key, name, n) && config_fields[i].key[n] == '.') return true;
  return false;
}

static enum vkd_status read_document(struct reader *r, struct vkd_error *err) {
  yaml_node_t *root = yaml_document_get_root_node(r->document);
  if (!root) return VKD_OK;
  if (root->type != YAML_MAPPING_NODE)
    return fail_at(r, root, "no configuration: sections such as 'model:' are needed", err);
  char where[512], key[128];
  yaml_node_pair_t *pairs = root->data.mapping.pairs.start, *top = root->data.mapping.pairs.top;
  for (yaml_node_pair_t *p = pairs; p < top; p++) {
    yaml_node_t *name = yaml_document_get_node(r->document, p->key);
    yaml_node_t *value = yaml_document_get_node(r->document, p->value);
    const char *section = config__scalar(name);
    if (!section) return fail_at(r, name, "a key must be plain text", err);
    for (yaml_node_pair_t *q = pairs; q < p; q++) {
      const char *other = config__scalar(yaml_document_get_node(r->document, q->key));
      if (other && !strcmp(other, section)) return fail_at(r, name, "the section is given twice", err);
    }
    if (is_foreign(r, section)) continue;
    if (!config__is_section(section)) {
      snprintf(where, sizeof where, "%s:%zu", r->name, name->start_mark.line + 1);
      join_key(key, section, NULL);
      return config__fail_unknown(where, key, VKD_ERR_INPUT, err);
    }
    if (value->type == YAML_SCALAR_NODE && !value->data.scalar.length) continue; // "eval:" with nothing under it
    if (value->type != YAML_MAPPING_NODE) return fail_at(r, name, "a section holds 'key: value' lines", err);
    enum vkd_status status = read_section(r, section, value, err);
    if (status) return status;
  }
  return VKD_OK;
}

static enum vkd_status fail_parser(const char *name, const yaml_parser_t *parser, struct vkd_error *err) {
  if (parser->error == YAML_MEMORY_ERROR) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", name);
  return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: not YAML: %s", name, parser->problem_mark.line + 1,
                  parser->problem ? parser->problem : "malformed");
}

enum vkd_status config__parse_yaml(const char *name, const char *text, size_t size, config__document_fn read,
                                   void *user, struct vkd_error *err) {
  enum vkd_status status = VKD_OK;
  yaml_parser_t parser;
  yaml_document_t document, second;
  if (size > FILE_LIMIT)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: larger than %d bytes, the most accepted here", name, FILE_LIMIT);
  if (!yaml_parser_initialize(&parser)) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", name);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
  if (!yaml_parser_load(&parser, &document)) {
    status = fail_parser(name, &parser, err);
    goto fail;
  }
  status = read(name, &document, user, err);
  if (!status && yaml_document_get_root_node(&document)) {
    if (!yaml_parser_load(&parser, &second)) {
      status = fail_parser(name, &parser, err);
    } else {
      yaml_node_t *extra = yaml_document_get_root_node(&second);
      if (extra)
        status = vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: a second YAML document begins; one is accepted", name,
                          extra->start_mark.line + 1);
      yaml_document_delete(&second);
    }
  }
  yaml_document_delete(&document);
fail:
  yaml_parser_delete(&parser);
  return status;
}

enum vkd_status config__read_sections(const char *name, yaml_document_t *document, const char *const *foreign,
                                      struct config *config, struct vkd_error *err) {
  struct reader reader = {.name = name, .document = document, .config = config, .foreign = foreign};
  return read_document(&reader, err);
}

enum vkd_status config__read_key(const char *name, yaml_document_t *document, const yaml_node_t *at, const char *key,
                                 yaml_node_t *value, struct config *config, struct vkd_error *err) {
  struct reader reader = {.name = name, .document = document, .config = config};
  const struct config_field *field = config__find(key);
  if (field) return read_value(&reader, field, at, value, err);
  char where[512];
  snprintf(where, sizeof where, "%s:%zu", name, at->start_mark.line + 1);
  return config__fail_unknown(where, key, VKD_ERR_INPUT, err);
}

static enum vkd_status read_config(const char *name, yaml_document_t *document, void *user, struct vkd_error *err) {
  return config__read_sections(name, document, NULL, user, err);
}

enum vkd_status config__apply_overrides(const char *const *overrides, size_t count, struct config *config,
                                        struct vkd_error *err) {
  const struct config_field *steps = config__find("train.steps"), *tokens = config__find("train.tokens");
  bool seen[CONFIG_FIELDS_MAX] = {false};
  for (size_t i = 0; i < count; i++) {
    const struct config_field *field = NULL;
    enum vkd_status status = config__override(config, overrides[i], &field, err);
    if (status) return status;
    if (seen[field - config_fields]) return vkd_fail(err, VKD_ERR_USAGE, "command line: %s is given twice", field->key);
    seen[field - config_fields] = true;
  }
  bool by_steps = seen[steps - config_fields], by_tokens = seen[tokens - config_fields];
  if (by_steps && !by_tokens) config->train.tokens = 0;
  if (by_tokens && !by_steps) config->train.steps = 0;
  return VKD_OK;
}

enum vkd_status config_from_string(const char *name, const char *text, size_t size, const char *const *overrides,
                                   size_t count, struct config *config, struct vkd_error *err) {
  config_default(config);
  enum vkd_status status = config__parse_yaml(name, text, size, read_config, config, err);
  if (!status) status = config__apply_overrides(overrides, count, config, err);
  if (status) return status;
  status = config_check(config, err);
  if (status && err) vkd_error_prefix(err, "%s", name);
  return status;
}

enum vkd_status config_load(const char *path, const char *const *overrides, size_t count, struct config *config,
                            struct vkd_error *err) {
  char *text = NULL;
  size_t size = 0;
  enum vkd_status status = fileio_read_whole(path, FILE_LIMIT, &text, &size, err);
  if (!status) status = config_from_string(path, text, size, overrides, count, config, err);
  free(text);
  return status;
}

// Double-quoted YAML; what libyaml calls not printable is escaped.
static void quote(FILE *out, const char *text) {
  fputc('"', out);
  while (*text) {
    const char *at = text;
    int32_t c = config__next_utf8(&text);
    bool plain =
        (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && (c & 0xfffe) != 0xfffe);
    if (c == '"' || c == '\\')
      fprintf(out, "\\%c", (int)c);
    else if (plain)
      fwrite(at, 1, (size_t)(text - at), out);
    else
      fprintf(out, "\\U%08X", (unsigned)c);
  }
  fputc('"', out);
}

static void print_field(FILE *out, const struct config *config, const struct config_field *field) {
  char value[CONFIG_VALUE_MAX];
  long begin = ftell(out);
  fprintf(out, "  %s: %s", strchr(field->key, '.') + 1, field->count > 1 ? "[" : "");
  for (int i = 0; i < field->count; i++) {
    config__print(config, field, i, value, sizeof value);
    if (i) fputs(", ", out);
    if (field->type == CONFIG_T_TEXT)
      quote(out, value);
    else
      fputs(value, out);
  }
  if (field->count > 1) fputc(']', out);
  int used = (int)(ftell(out) - begin);
  fprintf(out, "%*s # %s\n", used < 28 ? 28 - used : 0, "", field->help); // the comments stand in one column
}

char *config_to_string(const struct config *config) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return NULL;
  const char *section = "";
  for (size_t i = 0; i < config_field_count; i++) {
    const char *key = config_fields[i].key;
    size_t n = strcspn(key, ".");
    if (strncmp(section, key, n + 1) != 0) fprintf(out, "%.*s:\n", (int)n, key);
    section = key;
    print_field(out, config, &config_fields[i]);
  }
  bool failed = ferror(out) != 0;
  if (fclose(out) || failed) {
    free(text);
    return NULL;
  }
  return text;
}

enum vkd_status config_write(const struct config *config, const char *path, struct vkd_error *err) {
  char *text = config_to_string(config);
  if (!text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", path);
  enum vkd_status status = fileio_write_whole(path, text, strlen(text), err);
  free(text);
  return status;
}
