// The tokens after every block, of a case's first sample: where a wrong output begins.
#include <stdio.h>
#include <stdlib.h>

#include "verify_internal.h"
#include "vkd/exec.h"

// As dit_forward() builds it, with an output after every block; blocks: [depth]
static enum vkd_status build(struct verify *v, struct vkd_graph *g, struct dit_inputs *in, vkd_tensor *blocks,
                             struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct dit_hidden h;
  vkd_tensor *weights = calloc((size_t)v->params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a forward pass");
  params_tensors(v->params, g, PARAMS_WEIGHT, weights);
  dit_make_inputs(g, m, 1, true, in);
  dit_begin(g, m, weights, in, &h);
  for (int i = 0; i < m->depth; i++) {
    dit_block(g, m, weights, i, &h);
    vkd_output(g, blocks[i] = h.t[0]);
  }
  free(weights);
  return vkd_graph_status(g, err);
}

// The first sample's part of a tensor [batch, ...].
static enum vkd_status read_first(const struct verify *v, const char *name, struct vkd_shape shape, float *dst,
                                  struct vkd_error *err) {
  const struct st_tensor *t;
  enum vkd_status st = verify_require(v, VERIFY_FILE_IO, name, &shape, &t, err);
  return st == VKD_OK ? st_read_f32_part(t, 0, t->numel / (uint64_t)v->c.batch, dst, err) : st;
}

static enum vkd_status write(const struct verify *v, const struct dit_inputs *in, struct vkd_program *program,
                             struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  float *times = calloc((size_t)v->c.batch, sizeof *times);
  if (!times) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for timesteps");
  enum vkd_status st =
      read_first(v, "x_t", verify_latent(v, v->c.batch, m->in_channels), vkd_program_input(program, 0, in->x), err);
  if (st == VKD_OK)
    st = verify_read_numbers(v, VERIFY_FILE_IO, m->family == DIT_CROSS ? "timestep" : "t", &VKD_SHAPE(v->c.batch),
                             times, err);
  if (st == VKD_OK) dit_timestep_embedding(m->freq_dim, (double)times[0], vkd_program_input(program, 0, in->s));
  free(times);
  return st == VKD_OK ? verify_conditions(v, program, in, 1, err) : st;
}

enum vkd_status verify_trace(struct verify *v, struct vkd_error *err) {
  const struct dit_config *m = &v->c.model;
  struct vkd_shape tokens = VKD_SHAPE(1, dit_tokens(m), m->dim);
  struct vkd_graph *g = NULL;
  struct vkd_program *program = NULL;
  struct dit_inputs in;
  if (!v->files[VERIFY_FILE_TRACE]) return VKD_OK;
  vkd_tensor *blocks = calloc((size_t)m->depth, sizeof *blocks);
  enum vkd_status st = blocks ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a forward pass");
  if (st == VKD_OK) st = vkd_graph_create(&g, err);
  if (st == VKD_OK) st = build(v, g, &in, blocks, err);
  if (st == VKD_OK)
    st = vkd_program_create(&program, &(struct vkd_program_params){.device = v->params->dev, .graph = g}, err);
  if (st == VKD_OK) st = write(v, &in, program, err);
  if (st == VKD_OK) st = vkd_program_run(program, err);
  for (int i = 0; i < m->depth && st == VKD_OK; i++) {
    char name[32];
    snprintf(name, sizeof name, "blocks.%d", i);
    if (st_find(v->files[VERIFY_FILE_TRACE], name))
      st = verify_compare(v, VERIFY_TRACE, name, vkd_program_output(program, 0, blocks[i]), VERIFY_FILE_TRACE, name,
                          &tokens, err);
  }
  vkd_program_destroy(&program);
  vkd_graph_destroy(&g);
  free(blocks);
  return st;
}
