// What a sweep will cost, told without a device.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkdm/shapes.h"
#include "vkdm/sweep.h"

static enum vkd_status plan_cell(struct sweep_cell *cell, const struct dataset_info *info, struct vkd_error *err) {
  struct dit_config *m = &cell->model;
  struct dit_param *rows = NULL;
  int count = 0;
  enum vkd_status status = train_model_config(&cell->config, info, m, err);
  if (!status) status = dit_params(m, &rows, &count, err);
  if (status) return vkd_error_prefix(err, "cell %s", cell->name);
  cell->params_all = 0;
  for (int i = 0; i < count; i++) cell->params_all += rows[i].frozen ? 0 : rows[i].numel;
  free(rows);
  cell->params = (int64_t)m->depth * (8 * (int64_t)m->dim * m->dim + 2 * (int64_t)m->dim * m->ffn);
  cell->steps = train_steps(&cell->config, m);
  cell->tokens_per_step = dit_tokens(m) * cell->config.train.batch;
  cell->flops = dit_token_flops(m) * (double)cell->tokens_per_step * (double)cell->steps;
  return VKD_OK;
}

enum vkd_status sweep_plan(struct sweep *sweep, struct vkd_error *err) {
  struct dataset *file = NULL;
  struct dataset_info *info = calloc(1, sizeof *info);
  if (!info) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a sweep's plan");
  enum vkd_status status = VKD_OK;
  for (int i = 0; i < sweep->count && !status; i++) {
    struct sweep_cell *cell = &sweep->cells[i];
    bool known = i && !memcmp(&cell->config.data, &sweep->cells[i - 1].config.data, sizeof cell->config.data);
    if (!known) {
      dataset_close(&file);
      status = shapes_open(&cell->config, &file, info, err);
      if (status) vkd_error_prefix(err, "cell %s", cell->name);
    }
    if (!status) status = plan_cell(cell, info, err);
  }
  dataset_close(&file);
  free(info);
  return status;
}

int sweep_rows(const struct sweep *sweep, const struct sweep_cell *cell, const struct train_result *r, int *index) {
  int first = 0, count = 0;
  double last = r->point_count ? r->points[r->point_count - 1].tokens : 0;
  // With a falling rate the loss of a moment is not that of a run which ends there.
  if (cell->config.train.schedule != CONFIG_CONSTANT && !r->diverged && r->point_count) first = r->point_count - 1;
  while (first < r->point_count && r->points[first].tokens < sweep->rows_from * last) first++;
  int left = r->point_count - first;
  if (left <= 0) return 0;
  if (!sweep->rows || left <= sweep->rows) {
    for (int i = first; i < r->point_count; i++) index[count++] = i;
    return count;
  }
  double step = sweep->rows > 1 ? log(last / r->points[first].tokens) / (sweep->rows - 1) : 0;
  for (int k = 0, i = first; k < sweep->rows; k++) {
    double target = last * exp(-step * (sweep->rows - 1 - k));
    int room = r->point_count - (sweep->rows - k); // leaves a point for each target to come
    while (i < room && r->points[i + 1].tokens <= target * (1 + 1e-9)) i++;
    if (i < room && fabs(log(r->points[i + 1].tokens / target)) < fabs(log(r->points[i].tokens / target))) i++;
    index[count++] = i++;
  }
  return count;
}
