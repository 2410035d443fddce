#include "denoiser.h"

#include <stdlib.h>
#include <string.h>

#include "dit_internal.h"
#include "stream.h"

struct denoiser {
  struct denoiser_params p;
  struct dit_inputs in;
  struct vkd_graph *graph;
  struct vkd_program *program;
  struct stream *stream; // in place of all that where the weights stay on the host
};

static bool guided(const struct denoiser_params *p) { return p->cfg != 1; }

int64_t denoiser_batch(const struct denoiser_params *p) { return guided(p) ? 2 * (int64_t)p->count : p->count; }

static struct vkd_shape latents(const struct denoiser_params *p, int channels) {
  const int *latent = p->params->config.latent;
  return VKD_SHAPE(p->count, channels, latent[0], latent[1], latent[2]);
}

void denoiser_inputs(struct vkd_graph *g, const struct denoiser_params *p, struct dit_inputs *in) {
  const struct dit_config *c = &p->params->config;
  dit_make_inputs(g, c, denoiser_batch(p), false, in);
  vkd_tensor x = vkd_bound(g, "x", VKD_F32, latents(p, c->in_channels), p->x, 0);
  in->x = guided(p) ? vkd_concat(g, (vkd_tensor[]){x, x}, 2) : x;
}

enum vkd_status denoiser_combine(struct vkd_graph *g, const struct denoiser_params *p, vkd_tensor output,
                                 struct vkd_error *err) {
  const struct dit_config *c = &p->params->config;
  vkd_tensor out = vkd_bound(g, "out", VKD_F32, latents(p, c->out_channels), p->out, 0);
  if (guided(p)) {
    float *scale = malloc((size_t)c->out_channels * sizeof *scale);
    if (!scale) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d channels", c->out_channels);
    int moved = p->cfg_channels ? p->cfg_channels : dit_family_of(c)->guided_channels(c);
    for (int i = 0; i < c->out_channels; i++) scale[i] = i < moved ? (float)p->cfg : 1;
    vkd_graph_label_push(g, "guidance");
    vkd_tensor strength = vkd_constant(g, "cfg", VKD_F32, VKD_SHAPE(c->out_channels), scale);
    output = vkd_guide(g, vkd_slice(g, output, 0, p->count), vkd_slice(g, output, p->count, p->count), strength);
    vkd_graph_label_pop(g);
    free(scale);
  }
  vkd_place(g, output, out);
  return VKD_OK;
}

void denoiser_write_conditions(const struct denoiser_params *p, const struct dit_inputs *in,
                               struct vkd_program *program) {
  const struct dit_config *c = &p->params->config;
  int count = p->count, first = guided(p) ? count : 0;
  if (c->class_rows) {
    int32_t *labels = vkd_program_input(program, 0, in->labels), null_row = c->class_rows - 1;
    for (int i = 0; i < count; i++) {
      int32_t label = p->labels ? p->labels[i] : -1;
      labels[i] = null_row;
      labels[first + i] = label < 0 || label > null_row ? null_row : label;
    }
    return;
  }
  size_t row = (size_t)c->text_len * (size_t)c->text_dim;
  float *text = vkd_program_input(program, 0, in->text);
  memset(text, 0, (size_t)(first + count) * row * sizeof *text);
  for (int i = 0; guided(p) && p->null_text && i < count; i++)
    memcpy(text + (size_t)i * row, p->null_text, row * sizeof *text);
  if (p->text) memcpy(text + (size_t)first * row, p->text, (size_t)count * row * sizeof *text);
}

void denoiser_write_timestep(const struct denoiser_params *p, const struct dit_inputs *in, struct vkd_program *program,
                             double timestep) {
  int width = p->params->config.freq_dim;
  float *s = vkd_program_input(program, 0, in->s);
  dit_timestep_embedding(width, timestep, s);
  for (int64_t i = 1; i < denoiser_batch(p); i++) memcpy(s + i * width, s, (size_t)width * sizeof *s);
}

static enum vkd_status build(struct denoiser *d, struct vkd_error *err) {
  const struct params *params = d->p.params;
  enum vkd_status st = vkd_graph_create(&d->graph, err);
  if (st != VKD_OK) return st;
  vkd_tensor *weights = calloc((size_t)params->count, sizeof *weights);
  if (!weights) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a sampler");
  params_tensors(params, d->graph, d->p.kind, weights);
  denoiser_inputs(d->graph, &d->p, &d->in);
  vkd_tensor output = dit_forward(d->graph, &params->config, weights, &d->in);
  free(weights);
  if ((st = denoiser_combine(d->graph, &d->p, output, err)) != VKD_OK) return st;
  st = vkd_program_create(&d->program, &(struct vkd_program_params){.device = params->dev, .graph = d->graph}, err);
  if (st == VKD_ERR_DEVICE_MEMORY && err)
    vkd_error_prefix(err, "%d samples at once (fewer, precision fp16 or weights streamed by --memory-limit take less)",
                     d->p.count);
  return st;
}

enum vkd_status denoiser_create(struct denoiser **out, const struct denoiser_params *params, struct vkd_error *err) {
  struct denoiser *d = *out = calloc(1, sizeof *d);
  if (!d) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a sampler");
  d->p = *params;
  d->p.labels = NULL; // the arrays are not kept
  d->p.text = d->p.null_text = NULL;
  bool streamed = params->params->reader != NULL;
  enum vkd_status st = streamed ? stream_create(&d->stream, params, err) : build(d, err);
  if (st == VKD_OK && !streamed) denoiser_write_conditions(params, &d->in, d->program);
  if (st != VKD_OK) denoiser_destroy(out);
  return st;
}

void denoiser_destroy(struct denoiser **denoiser) {
  struct denoiser *d = *denoiser;
  if (!d) return;
  stream_destroy(&d->stream);
  vkd_program_destroy(&d->program);
  vkd_graph_destroy(&d->graph);
  free(d);
  *denoiser = NULL;
}

enum vkd_status denoiser_run(struct denoiser *d, double timestep, struct vkd_error *err) {
  if (d->stream) return stream_run(d->stream, timestep, err);
  denoiser_write_timestep(&d->p, &d->in, d->program, timestep);
  return vkd_program_run(d->program, err);
}

struct stream *denoiser_stream(const struct denoiser *d) {
  return d->stream;
}
