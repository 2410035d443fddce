#include "step_rate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "vkdm/fileio.h"

enum { MAX_BYTES = 1 << 20 };

static double positive(const json_t *row, const char *key) {
  double value = json_number_value(json_object_get(row, key));
  return value > 0 && value < INFINITY ? value : 0;
}

static enum vkd_status read_rows(const char *path, const json_t *root, struct step_rate *out, struct vkd_error *err) {
  const json_t *rows = json_object_get(root, "rows"), *row;
  const char *device = json_string_value(json_object_get(root, "device"));
  size_t i;
  json_array_foreach(rows, i, row) {
    double params = positive(row, "params"), tokens = positive(row, "tokens"), gflops = positive(row, "gflops");
    if (out->count == STEP_RATE_ROWS) break;
    if (!(params > 0 && tokens > 0 && gflops > 0))
      return vkd_fail(err, VKD_ERR_INPUT, "%s: row %zu: params, tokens and gflops are needed, above 0", path, i + 1);
    out->row[out->count].params = params;
    out->row[out->count].tokens = tokens;
    out->row[out->count++].flops = gflops * 1e9;
  }
  if (!out->count || !device)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: no steps were measured; is this what `vkdit bench train --save` wrote?",
                    path);
  snprintf(out->device, sizeof out->device, "%s", device);
  return VKD_OK;
}

enum vkd_status step_rate_read(const char *path, struct step_rate *out, struct vkd_error *err) {
  char *text = NULL;
  size_t size;
  json_error_t bad;
  *out = (struct step_rate){0};
  if (!path) return VKD_OK;
  enum vkd_status status = fileio_read_whole(path, MAX_BYTES, &text, &size, err);
  if (status) return status;
  json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &bad);
  status = root ? read_rows(path, root, out, err)
                : vkd_fail(err, VKD_ERR_INPUT, "%s:%d: not JSON: %s", path, bad.line, bad.text);
  json_decref(root);
  free(text);
  return status;
}

double step_rate_seconds(const struct step_rate *rate, const struct sweep_cell *cell) {
  double nearest = INFINITY, flops = NAN;
  for (int i = 0; i < rate->count; i++) {
    double n = log(rate->row[i].params / (double)cell->params),
           t = log(rate->row[i].tokens / (double)dit_tokens(&cell->model)), far = n * n + t * t;
    if (!(far < nearest)) continue;
    nearest = far;
    flops = rate->row[i].flops;
  }
  return cell->flops / flops;
}

void step_rate_text(double seconds, char text[32]) {
  static const struct {
    double from, unit;
    const char *name;
  } units[] = {{2 * 86400, 86400, "days"}, {5400, 3600, "h"}, {90, 60, "min"}, {0, 1, "s"}};
  int i = 0;
  while (seconds < units[i].from) i++;
  snprintf(text, 32, "%.3g %s", seconds / units[i].unit, units[i].name);
}
