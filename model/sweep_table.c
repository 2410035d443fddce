// The sweep's file: sections of a configuration, and a grid over their keys.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_yaml.h"
#include "vkd/nearest.h"
#include "vkdm/sweep.h"

enum { MAX_AXES = 16 };

static const char *const own_keys[] = {"base", "grid",    "tune",    "seeds", "fixed", "around",
                                       "rows", "holdout", "samples", "next",  "bowls", NULL};
enum { OWN_KEYS = sizeof own_keys / sizeof *own_keys - 1 };

struct table {
  const struct sweep_source *source;
  yaml_document_t *document;
  struct config base;
  yaml_node_t *own[OWN_KEYS]; // value of each of own_keys, NULL: not given
  struct {
    yaml_node_t *key;
    const char *name;
    yaml_node_t *values; // a sequence
    int count;
  } axes[MAX_AXES];
  int axis_count;
  struct sweep *out;
};

static enum vkd_status fail_at(const struct table *t, const yaml_node_t *node, const char *what, const char *name,
                               struct vkd_error *err) {
  return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: %.100s%s%s", t->source->name, node->start_mark.line + 1,
                  name ? name : "", name ? ": " : "", what);
}

static yaml_node_t *node_of(const struct table *t, int item) { return yaml_document_get_node(t->document, item); }

static enum vkd_status find_own_keys(struct table *t, struct vkd_error *err) {
  yaml_node_t *root = yaml_document_get_root_node(t->document);
  if (!root || root->type != YAML_MAPPING_NODE)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no sweep: sections such as 'train:' and a 'grid:' are needed",
                    t->source->name);
  for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
    yaml_node_t *key = node_of(t, p->key);
    const char *name = config__scalar(key), *nearest;
    if (!name || config__is_section(name)) continue;
    for (int i = 0; i < OWN_KEYS; i++)
      if (!strcmp(name, own_keys[i])) t->own[i] = node_of(t, p->value);
    if ((nearest = vkd_nearest_name(name, own_keys, OWN_KEYS)) && strcmp(nearest, name) != 0)
      return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: unknown key '%.100s'; did you mean '%s'?", t->source->name,
                      key->start_mark.line + 1, name, nearest);
  }
  return VKD_OK;
}

static yaml_node_t *own(const struct table *t, const char *name) {
  for (int i = 0; i < OWN_KEYS; i++)
    if (!strcmp(own_keys[i], name)) return t->own[i];
  return NULL;
}

// Of a file's steps and tokens the one that it gives wins over the base's other one.
static void settle_length(struct config *config, const struct config *before) {
  bool steps = config->train.steps != before->train.steps, tokens = config->train.tokens != before->train.tokens;
  if (steps && !tokens && config->train.steps) config->train.tokens = 0;
  if (tokens && !steps && config->train.tokens) config->train.steps = 0;
}

static enum vkd_status read_base(struct table *t, struct vkd_error *err) {
  const struct sweep_source *s = t->source;
  yaml_node_t *base = own(t, "base");
  config_default(&t->base);
  if (base) {
    const char *name = config__scalar(base);
    if (!name || !*name || !s->load_base)
      return fail_at(t, base, "the name or path of a configuration is needed", "base", err);
    enum vkd_status status = s->load_base(s->user, name, &t->base, err);
    if (status) return vkd_error_prefix(err, "%s:%zu: base", s->name, base->start_mark.line + 1);
  }
  struct config *before = malloc(sizeof *before);
  if (!before) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", s->name);
  *before = t->base;
  enum vkd_status status = config__read_sections(s->name, t->document, own_keys, &t->base, err);
  if (!status) settle_length(&t->base, before);
  if (!status) status = config__apply_overrides(s->overrides, s->override_count, &t->base, err);
  free(before);
  return status;
}

// Numbers of a small section of our own.
struct number {
  const char *name;
  double min, max;
  bool whole;
  double *value;
};

static enum vkd_status read_numbers(const struct table *t, const char *section, const struct number *numbers, int count,
                                    struct vkd_error *err) {
  const yaml_node_t *node = own(t, section);
  if (!node) return VKD_OK;
  if (node->type != YAML_MAPPING_NODE) return fail_at(t, node, "'key: value' lines are needed", section, err);
  for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
    const yaml_node_t *key = node_of(t, p->key);
    const char *name = config__scalar(key), *text = config__scalar(node_of(t, p->value));
    struct vkd_nearest nearest = {.name = name ? name : ""};
    int i = 0;
    for (; i < count && (!name || strcmp(name, numbers[i].name) != 0); i++)
      vkd_nearest_offer(&nearest, numbers[i].name);
    if (i == count)
      return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: unknown key '%s.%.60s'%s%s%s", t->source->name,
                      key->start_mark.line + 1, section, name ? name : "", nearest.best ? "; did you mean '" : "",
                      nearest.best ? nearest.best : "", nearest.best ? "'?" : "");
    char *end = NULL;
    double value = text && *text ? strtod(text, &end) : 0;
    bool good = end && !*end && value >= numbers[i].min && value <= numbers[i].max;
    if (!good || (numbers[i].whole && value != (double)(int64_t)value))
      return vkd_fail(err, VKD_ERR_INPUT, "%s:%zu: %s.%s is '%.60s'; a %snumber from %g to %g is accepted",
                      t->source->name, key->start_mark.line + 1, section, name, text ? text : "",
                      numbers[i].whole ? "whole " : "", numbers[i].min, numbers[i].max);
    *numbers[i].value = value;
  }
  return VKD_OK;
}

static enum vkd_status read_settings(struct table *t, struct vkd_error *err) {
  double rows = 0, samples = 8, steps = 50, next = 0;
  struct sweep *s = t->out;
  s->rows_from = 0;
  s->samples.cfg = 1;
  const struct number of_rows[] = {{"count", 0, 1e6, true, &rows}, {"from", 0, 1, false, &s->rows_from}};
  const struct number of_samples[] = {
      {"count", 1, 64, true, &samples}, {"steps", 1, 10000, true, &steps}, {"cfg", 0, 100, false, &s->samples.cfg}};
  const struct number of_next[] = {{"runs", 1, 64, true, &next}, {"flops", 1, 1e30, false, &s->next.flops}};
  const struct number of_bowls[] = {{"window", 1e-4, 0.5, false, &s->window}};
  enum vkd_status status = read_numbers(t, "rows", of_rows, 2, err);
  if (!status) status = read_numbers(t, "samples", of_samples, 3, err);
  if (!status) status = read_numbers(t, "next", of_next, 2, err);
  if (!status) status = read_numbers(t, "bowls", of_bowls, 1, err);
  s->next.runs = (int)next;
  s->rows = (int)rows;
  s->samples.count = (int)samples;
  s->samples.steps = (int)steps;
  return status;
}

static bool overridden(const struct sweep_source *s, const char *key) {
  size_t n = strlen(key);
  for (size_t i = 0; i < s->override_count; i++)
    if (!strncmp(s->overrides[i], key, n) && s->overrides[i][n] == '=') return true;
  return false;
}

static enum vkd_status read_axes(struct table *t, const char *grid, struct vkd_error *err) {
  yaml_node_t *node = own(t, grid);
  if (!node || node->type != YAML_MAPPING_NODE || node->data.mapping.pairs.start == node->data.mapping.pairs.top) {
    if (node) return fail_at(t, node, "'key: [values]' lines are needed", grid, err);
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no '%s:' with 'key: [values]' lines", t->source->name, grid);
  }
  int64_t cells = 1;
  for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
    yaml_node_t *key = node_of(t, p->key), *values = node_of(t, p->value);
    const char *name = config__scalar(key);
    if (!name) return fail_at(t, key, "a key must be plain text", grid, err);
    if (t->axis_count == MAX_AXES) return fail_at(t, key, "at most 16 axes are accepted", grid, err);
    for (int a = 0; a < t->axis_count; a++)
      if (!strcmp(t->axes[a].name, name)) return fail_at(t, key, "is given twice", name, err);
    int count = values->type == YAML_SEQUENCE_NODE
                    ? (int)(values->data.sequence.items.top - values->data.sequence.items.start)
                    : 0;
    if (!count) return fail_at(t, key, "a list of values is needed, as in [1, 2]", name, err);
    if (overridden(t->source, name))
      return vkd_fail(err, VKD_ERR_USAGE, "command line: %s is an axis of %s's %s; change it there", name,
                      t->source->name, grid);
    cells *= count;
    if (cells > SWEEP_MAX_CELLS) return fail_at(t, key, "the grid has more than 10000 cells", grid, err);
    t->axes[t->axis_count].key = key;
    t->axes[t->axis_count].name = name;
    t->axes[t->axis_count].values = values;
    t->axes[t->axis_count++].count = count;
  }
  t->out->count = (int)cells;
  return VKD_OK;
}

static void add_name(char *name, const char *part) {
  size_t n = strlen(name);
  if (n && n + 1 < SWEEP_NAME_MAX) name[n++] = '-';
  for (; *part && n + 1 < SWEEP_NAME_MAX; part++) {
    bool plain = isalnum((unsigned char)*part) || strchr(n ? "._+-" : "_+-", *part); // ".." is another folder
    name[n] = *part;
    if (!plain) name[n] = '_';
    if (*part == ',') name[n] = 'x';
    n++;
  }
  name[n] = 0;
}

// A mapping of keys that go together; its `name` goes into the cell's.
static enum vkd_status apply_bundle(const struct table *t, int axis, int value, yaml_node_t *node,
                                    struct sweep_cell *cell, struct vkd_error *err) {
  char part[SWEEP_NAME_MAX];
  snprintf(part, sizeof part, "%.60s%d", t->axes[axis].name, value);
  for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
    yaml_node_t *key = node_of(t, p->key), *item = node_of(t, p->value);
    const char *name = config__scalar(key);
    if (!name) return fail_at(t, key, "a key must be plain text", t->axes[axis].name, err);
    if (!strcmp(name, "name")) {
      const char *text = config__scalar(item);
      if (!text || !*text) return fail_at(t, key, "plain text is needed", "name", err);
      snprintf(part, sizeof part, "%.60s", text);
      continue;
    }
    if (overridden(t->source, name))
      return vkd_fail(err, VKD_ERR_USAGE, "command line: %s is part of an axis of %s; change it there", name,
                      t->source->name);
    enum vkd_status status = config__read_key(t->source->name, t->document, key, name, item, &cell->config, err);
    if (status) return status;
  }
  add_name(cell->name, part);
  return VKD_OK;
}

static enum vkd_status apply_value(const struct table *t, int axis, int value, struct sweep_cell *cell,
                                   struct vkd_error *err) {
  yaml_node_t *node = node_of(t, t->axes[axis].values->data.sequence.items.start[value]);
  const char *key = t->axes[axis].name;
  struct config before = cell->config;
  enum vkd_status status;
  if (node->type == YAML_MAPPING_NODE) {
    status = apply_bundle(t, axis, value, node, cell, err);
  } else {
    char text[CONFIG_VALUE_MAX], part[SWEEP_NAME_MAX];
    status = config__read_key(t->source->name, t->document, t->axes[axis].key, key, node, &cell->config, err);
    if (!status) status = config_get(&cell->config, key, text, sizeof text, err);
    if (!status && t->axes[axis].count > 1) {
      const char *dot = strrchr(key, '.');
      snprintf(part, sizeof part, "%.30s%.60s", dot ? dot + 1 : key, text);
      add_name(cell->name, part);
    }
  }
  if (!status) settle_length(&cell->config, &before);
  return status;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const struct sweep_cell *const *)a)->name, (*(const struct sweep_cell *const *)b)->name);
}

static int by_config(const void *a, const void *b) {
  return memcmp(&(*(const struct sweep_cell *const *)a)->config, &(*(const struct sweep_cell *const *)b)->config,
                sizeof(struct config));
}

static enum vkd_status check_distinct(const struct table *t, struct vkd_error *err) {
  const struct sweep *s = t->out;
  const struct sweep_cell **order = malloc((size_t)s->count * sizeof *order);
  if (!order) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", t->source->name);
  for (int i = 0; i < s->count; i++) order[i] = &s->cells[i];
  enum vkd_status status = VKD_OK;
  qsort(order, (size_t)s->count, sizeof *order, by_name);
  for (int i = 1; i < s->count && !status; i++)
    if (!by_name(&order[i - 1], &order[i]))
      status =
          vkd_fail(err, VKD_ERR_INPUT, "%s: two cells of the grid are called %s; give values and names that differ",
                   t->source->name, order[i]->name);
  qsort(order, (size_t)s->count, sizeof *order, by_config);
  for (int i = 1; i < s->count && !status; i++)
    if (!by_config(&order[i - 1], &order[i]))
      status = vkd_fail(err, VKD_ERR_INPUT, "%s: cells %s and %s are one configuration; does a key stand in two axes?",
                        t->source->name, order[i - 1]->name, order[i]->name);
  free(order);
  return status;
}

static enum vkd_status make_cells(struct table *t, struct vkd_error *err) {
  struct sweep *s = t->out;
  s->cells = calloc((size_t)s->count, sizeof *s->cells);
  if (!s->cells) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for %d cells", t->source->name, s->count);
  for (int i = 0; i < s->count; i++) {
    struct sweep_cell *cell = &s->cells[i];
    cell->config = t->base;
    int behind = s->count, rest = i; // cells of one value of the axis
    for (int a = 0; a < t->axis_count; a++) {
      behind /= t->axes[a].count;
      enum vkd_status status = apply_value(t, a, rest / behind, cell, err);
      if (status) return status;
      rest %= behind;
    }
    if (!*cell->name) add_name(cell->name, "run");
    enum vkd_status status = config_check(&cell->config, err);
    if (!status) status = config_require_data(&cell->config, err);
    if (status) return vkd_error_prefix(err, "%s: cell %s", t->source->name, cell->name);
  }
  s->shared_data = true;
  for (int i = 1; i < s->count; i++)
    s->shared_data &= !memcmp(&s->cells[i].config.data, &s->cells[0].config.data, sizeof t->base.data);
  return check_distinct(t, err);
}

static enum vkd_status read_table(const char *name, yaml_document_t *document, void *user, struct vkd_error *err) {
  struct table *t = user;
  enum vkd_status status;
  (void)name;
  t->document = document;
  if ((status = find_own_keys(t, err)) || (status = read_base(t, err)) || (status = read_settings(t, err)) ||
      (status = read_axes(t, t->source->grid ? t->source->grid : "grid", err)))
    return status;
  return make_cells(t, err);
}

enum vkd_status sweep_parse(const struct sweep_source *source, struct sweep *out, struct vkd_error *err) {
  *out = (struct sweep){0};
  struct table *t = calloc(1, sizeof *t);
  if (!t) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", source->name);
  t->source = source;
  t->out = out;
  enum vkd_status status = config__parse_yaml(source->name, source->text, source->size, read_table, t, err);
  free(t);
  if (status) sweep_free(out);
  return status;
}

void sweep_free(struct sweep *sweep) {
  free(sweep->cells);
  *sweep = (struct sweep){0};
}

// Only looks.
struct look {
  const char *grid;
  bool found;
};

static enum vkd_status look_for(const char *name, yaml_document_t *document, void *user, struct vkd_error *err) {
  struct look *look = user;
  const yaml_node_t *root = yaml_document_get_root_node(document);
  (void)name, (void)err;
  if (!root || root->type != YAML_MAPPING_NODE) return VKD_OK;
  for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
    const char *key = config__scalar(yaml_document_get_node(document, p->key));
    look->found |= key && !strcmp(key, look->grid);
  }
  return VKD_OK;
}

bool sweep_has_grid(const char *text, size_t size, const char *grid) {
  struct look look = {.grid = grid};
  return !config__parse_yaml("", text, size, look_for, &look, NULL) && look.found;
}
