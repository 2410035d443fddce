#include "vkdm/heldout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/exec.h"
#include "vkdm/objective.h"

enum { MIN_SAMPLES = 64 };

struct heldout {
  const struct config *config;
  const struct dataset *dataset;
  struct params *params;
  struct comm *comm;
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct objective_inputs in;
  vkd_tensor loss, zero;
  uint32_t clips, batches;
};

enum vkd_status heldout_create(struct heldout **out, const struct config *config, const struct dataset *dataset,
                               struct params *params, enum params_kind kind, struct comm *comm,
                               struct vkd_program *beside, struct vkd_error *err) {
  struct heldout *h = *out = calloc(1, sizeof *h);
  vkd_tensor *tensors = calloc((size_t)params->count, sizeof *tensors);
  enum vkd_status st = VKD_OK;
  if (!h || !tensors) {
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the held-out loss");
    goto done;
  }
  h->config = config;
  h->dataset = dataset;
  h->params = params;
  h->comm = comm;
  h->clips = dataset_get_info(dataset)->split_clips[DATA_HELDOUT];
  if (config->eval.holdout > 0 && h->clips > (uint32_t)config->eval.holdout) h->clips = (uint32_t)config->eval.holdout;
  if (!h->clips) {
    st = vkd_fail(err, VKD_ERR_INPUT, "%s: no held-out clips; build it with --holdout above 0", dataset_path(dataset));
    goto done;
  }
  uint32_t batch = config->eval.batch > 0 ? (uint32_t)config->eval.batch : (uint32_t)config_micro_batch(config);
  uint32_t samples = h->clips > MIN_SAMPLES ? h->clips : MIN_SAMPLES;
  h->batches = (samples + batch - 1) / batch;
  // Samples do not hang on the number of ranks: each batch is cut so that there is one part for each, or more.
  uint32_t parts = (uint32_t)comm_size(comm) < batch ? (uint32_t)comm_size(comm) : batch;
  while (batch % parts) parts++;
  batch /= parts;
  h->batches *= parts;
  if ((st = vkd_graph_create(&h->graph, err)) != VKD_OK) goto done;
  enum config_objective objective = config->train.objective;
  objective_make_inputs(h->graph, objective, &params->config, batch, &h->in);
  params_tensors(params, h->graph, kind, tensors);
  h->loss = objective_loss(h->graph, objective, &params->config, tensors, &h->in, &h->zero);
  vkd_output(h->graph, h->loss);
  vkd_output(h->graph, h->zero);
  st = vkd_program_create(
      &h->program, &(struct vkd_program_params){.device = params->dev, .graph = h->graph, .beside = beside}, err);
  if (st != VKD_OK) vkd_error_prefix(err, "held-out loss (eval.batch %u)", batch);
done:
  free(tensors);
  if (st != VKD_OK) heldout_destroy(out);
  return st;
}

void heldout_destroy(struct heldout **ph) {
  struct heldout *h = *ph;
  if (!h) return;
  vkd_program_destroy(&h->program);
  vkd_graph_destroy(&h->graph);
  free(h);
  *ph = NULL;
}

static enum vkd_status write_sample(struct heldout *h, uint32_t i, uint32_t j, struct vkd_error *err) {
  const struct dit_config *m = &h->params->config;
  size_t numel = (size_t)m->in_channels * (size_t)(m->latent[0] * m->latent[1] * m->latent[2]);
  uint32_t clip = dataset_split_clip(h->dataset, DATA_HELDOUT, j % h->clips);
  float *x0 = (float *)vkd_program_input(h->program, 0, h->in.x0) + i * numel, *text = NULL;
  if (!m->class_rows) {
    size_t size = (size_t)m->text_len * (size_t)m->text_dim; // the data's texts may have fewer rows
    text = (float *)vkd_program_input(h->program, 0, h->in.model.text) + (size_t)i * size;
    memset(text, 0, size * sizeof *text);
  } else {
    int32_t label = dataset_get_clip(h->dataset, clip).label;
    ((int32_t *)vkd_program_input(h->program, 0, h->in.model.labels))[i] =
        label < 0 || label >= m->class_rows - 1 ? m->class_rows - 1 : label;
  }
  double u = (j + 0.5) * 0.6180339887498949;
  struct objective_draw draw;
  objective_draw(h->config, u - floor(u), &draw);
  objective_write(h->program, 0, &h->in, i, m, &draw);
  ((int32_t *)vkd_program_input(h->program, 0, h->in.sample))[i] = (int32_t)j;
  return data_read(h->dataset, clip, x0, text, err);
}

enum vkd_status heldout_run(struct heldout *h, struct heldout_loss *out, struct vkd_error *err) {
  uint32_t batch = (uint32_t)h->in.batch;
  uint64_t seed = (uint64_t)h->config->eval.seed;
  int32_t *key = vkd_program_input(h->program, 0, h->in.key);
  key[0] = (int32_t)(uint32_t)seed;
  key[1] = (int32_t)(uint32_t)(seed >> 32);
  key[2] = 0;
  key[3] = STREAM_EVAL_NOISE;
  *out = (struct heldout_loss){.clips = h->clips, .samples = h->batches * batch};
  enum vkd_status st = VKD_OK;
  double sums[2] = {0};
  uint32_t ranks = (uint32_t)comm_size(h->comm);
  for (uint32_t b = (uint32_t)comm_rank(h->comm); b < h->batches && st == VKD_OK; b += ranks) {
    for (uint32_t i = 0; i < batch && st == VKD_OK; i++) st = write_sample(h, i, b * batch + i, err);
    if (st == VKD_OK) st = vkd_program_run(h->program, err);
    if (st != VKD_OK) break;
    sums[0] += *(const float *)vkd_program_output(h->program, 0, h->loss);
    sums[1] += *(const float *)vkd_program_output(h->program, 0, h->zero);
  }
  if ((st = comm_meet(h->comm, st, sums, 2, err)) != VKD_OK) return st;
  // fp32, which nine digits of metrics.jsonl keep to the bit: a resumed run reads them back.
  out->loss = (float)(sums[0] / h->batches);
  out->zero = (float)(sums[1] / h->batches);
  return VKD_OK;
}
