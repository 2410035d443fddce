// Classes of sources, by folder or by a CSV file.
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "data_sources.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

enum { MAX_CSV_BYTES = 1 << 28 };

struct row {
  char *file, *label; // point into the file's text
};

static int by_file(const void *a, const void *b) {
  return strcmp(((const struct row *)a)->file, ((const struct row *)b)->file);
}

static bool is_whole(const char *s) { return *s && strlen(s) < 10 && strspn(s, "0123456789") == strlen(s); }

static int by_value(const void *a, const void *b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  const long i = strtol(x, NULL, 10), j = strtol(y, NULL, 10);
  return i != j ? (i > j) - (i < j) : strcmp(x, y);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// names: [count], the class name of each source, NULL or "" for none.
static enum vkd_status number_classes(struct source_list *list, const char *const *names, struct vkd_error *err) {
  bool numeric = true;
  uint32_t n = 0;
  char **sorted = malloc(((size_t)list->count + 1) * sizeof *sorted);
  if (!sorted) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
  for (uint32_t i = 0; i < list->count; i++)
    if (names[i] && *names[i]) {
      sorted[n++] = (char *)names[i];
      numeric = numeric && is_whole(names[i]);
    }
  int (*order)(const void *, const void *) = numeric ? by_value : by_text;
  qsort(sorted, n, sizeof *sorted, order);
  uint32_t unique = 0;
  for (uint32_t i = 0; i < n; i++)
    if (!unique || strcmp(sorted[unique - 1], sorted[i])) sorted[unique++] = sorted[i];
  for (uint32_t i = 0; i < list->count; i++) {
    if (!names[i] || !*names[i]) continue;
    char **found = bsearch(&names[i], sorted, unique, sizeof *sorted, order);
    list->items[i].label = (int32_t)(found - sorted);
  }
  list->classes = sorted;
  for (; list->class_count < unique; list->class_count++) {
    char *copy = strdup(sorted[list->class_count]);
    if (!copy) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
    sorted[list->class_count] = copy;
  }
  return VKD_OK;
}

// Takes one field from *at, which then stands behind its comma or at the end of the line.  NULL: an open quote.
static char *take_field(char **at) {
  char *p = *at, *out, *start;
  if (*p != '"') {
    start = p;
    p += strcspn(p, ",");
    *at = *p ? p + 1 : p;
    *p = 0;
    return start;
  }
  for (start = out = ++p; *p; *out++ = *p++)
    if (*p == '"' && *++p != '"') break;
  if (*p && *p != ',') return NULL;
  if (!*p && (p == start || p[-1] != '"')) return NULL;
  *at = *p ? p + 1 : p;
  *out = 0;
  return start;
}

static enum vkd_status parse_csv(const char *path, char *text, struct row **rows, uint32_t *count,
                                 struct vkd_error *err) {
  uint32_t lines = 1, number = 0;
  for (const char *p = text; *p; p++) lines += p[0] == '\n' && !strchr("\r\n", p[1]); // blank ones are none
  *count = 0;
  if (!(*rows = calloc(lines, sizeof **rows)))
    return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory for its rows", path);
  for (char *line = text, *next; line; line = next) {
    number++;
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    line[strcspn(line, "\r")] = 0;
    if (!*line) continue;
    char *file = take_field(&line), *label = file && *line ? take_field(&line) : NULL;
    if (!label || !*file || !*label || *line)
      return vkd_fail(err, VKD_ERR_INPUT, "%s: line %u is no `file,label` row", path, number);
    if (number == 1 && !strcmp(file, "file") && !strcmp(label, "label")) continue; // the heading
    (*rows)[(*count)++] = (struct row){file, label};
  }
  qsort(*rows, *count, sizeof **rows, by_file);
  for (uint32_t i = 1; i < *count; i++)
    if (!strcmp((*rows)[i - 1].file, (*rows)[i].file) && strcmp((*rows)[i - 1].label, (*rows)[i].label))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: %s has two labels, %s and %s", path, (*rows)[i].file,
                      (*rows)[i - 1].label, (*rows)[i].label);
  return VKD_OK;
}

static enum vkd_status label_by_csv(struct source_list *list, const char *path, const char **names,
                                    struct vkd_error *err) {
  char *text = NULL;
  struct row *rows = NULL;
  uint32_t count = 0, found = 0;
  size_t size = 0;
  enum vkd_status status = fileio_read_whole(path, MAX_CSV_BYTES, &text, &size, err);
  if (status != VKD_OK) return status;
  if (strlen(text) != size) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: holds a zero byte; it is no CSV text", path);
    goto done;
  }
  if ((status = parse_csv(path, text, &rows, &count, err)) != VKD_OK) goto done;
  for (uint32_t i = 0; i < list->count; i++) {
    char *const keys[] = {list->items[i].path, list->items[i].name, list->items[i].stem};
    const struct row *row = NULL;
    for (int k = 0; k < 3 && !row && count; k++)
      row = bsearch(&(struct row){.file = keys[k]}, rows, count, sizeof *rows, by_file);
    names[i] = row ? row->label : NULL;
    found += row != NULL;
  }
  if (!found) {
    status = vkd_fail(err, VKD_ERR_INPUT, "%s: no row names any of the %u source files (such as %s)", path, list->count,
                      list->items[0].name);
    goto done;
  }
  if (found < list->count)
    vkd_log(VKD_LOG_WARN, "%s: %u of %u source files have no row and stay without a label", path, list->count - found,
            list->count);
  status = number_classes(list, names, err);
done:
  free(rows);
  free(text);
  return status;
}

enum vkd_status sources_label(struct source_list *list, const char *labels, struct vkd_error *err) {
  enum vkd_status status;
  const char **names = calloc((size_t)list->count + 1, sizeof *names);
  if (!names) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for class names");
  if (strcmp(labels, "folder")) {
    status = label_by_csv(list, labels, names, err);
  } else {
    for (uint32_t i = 0; i < list->count; i++) names[i] = list->items[i].folder;
    status = number_classes(list, names, err);
    if (status == VKD_OK && !list->class_count)
      status =
          vkd_fail(err, VKD_ERR_INPUT, "--labels folder: no source file lies in a subfolder, so there are no classes");
  }
  free(names);
  return status;
}
