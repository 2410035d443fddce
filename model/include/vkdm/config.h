// The configuration of a run: one YAML file, `key=value` overrides, one table of fields (model/config.c).
// struct config is plain data: copy it freely; equal configurations are equal in memory.
#ifndef VKDM_CONFIG_H
#define VKDM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vkd/status.h"
#include "vkdm/synthetic.h"

enum config_family { CONFIG_CROSS_DIT, CONFIG_DIT };
enum config_codec { CONFIG_PIXEL, CONFIG_HAAR };
enum config_objective {
#define OBJECTIVE(ID, ...) CONFIG_##ID,
#include "vkdm/objective.def"
#undef OBJECTIVE
};
enum config_sigma { CONFIG_UNIFORM, CONFIG_LOGIT_NORMAL };
enum config_schedule { CONFIG_CONSTANT, CONFIG_COSINE };
enum config_precision { CONFIG_FP32, CONFIG_FP16, CONFIG_BF16 };

enum { CONFIG_TEXT_MAX = 1024, CONFIG_AUTO = -1 };

struct config {
  struct {
    enum config_family family;
    int dim, depth, heads;
    double ffn_ratio;                // FFN width / dim; config_ffn() gives the width
    int patch[3];                    // latent frames, rows, columns per token
    int text_dim, text_len, classes; // CONFIG_AUTO: as the data have; 0: none
    int freq_dim;                    // of the timestep embedding
  } model;
  struct {
    char path[CONFIG_TEXT_MAX]; // of a .vkd; wins over synthetic
    bool synthetic;             // the built-in moving shapes, as the fields below say
    enum synthetic_scene scene; // of the synthetic set, as its clips and classes
    int count, classes;
    int frames, size[2]; // [height, width] in pixels
    enum config_codec codec;
    int levels_t, levels_s; // of haar; CONFIG_AUTO: 1, or 0 where the size is odd
    int latent[4];          // C, T, H, W where there are no data; 0: as frames, size and codec give
    int64_t seed;
    double holdout; // share of the clips that is held out
  } data;
  struct {
    enum config_objective objective;
    enum config_sigma sigma;
    double sigma_mean, sigma_std; // of logit_normal
    double shift;                 // sigma' = shift * sigma / (1 + (shift - 1) * sigma)
    int64_t steps, tokens;        // exactly one is above 0
    int batch, micro_batch;       // samples per step and per pass; micro_batch 0: batch, CONFIG_AUTO: what fits
    double lr;
    enum config_schedule schedule;
    int64_t warmup; // steps
    double min_lr_ratio, betas[2], eps, weight_decay;
    double clip;           // global gradient norm; 0: none
    int max_skipped;       // steps in a row whose loss or gradient is not finite, after which a run ends
    double ema;            // decay; 0: none
    int64_t check_weights; // steps; 0: only at the start
    enum config_precision precision;
    bool recompute, shard_optimizer;
    int64_t seed;
    double cond_drop;
    char base[CONFIG_TEXT_MAX]; // run, checkpoint or weight file to start from
    int lora_rank;              // above 0: only low-rank adapters on the base are trained
    double lora_alpha;          // 0: lora_rank
    char lora_targets[CONFIG_TEXT_MAX];
  } train;
  struct {
    int64_t every; // steps; 0: only at the end
    int holdout;   // held-out clips used, at most; 0: all
    int batch;     // 0: as train
    bool ema;      // of the averaged weights
    int64_t seed;
  } eval;
  struct {
    int64_t every; // steps; 0: only at the end
    int keep;      // the newest ones; 0: all
  } checkpoint;
  struct {
    int64_t histograms, samples;    // steps; 0: none
    int sample_count, sample_steps; // sample_steps 0: the sampler's default
  } log;
};

// Every field at its default: a small model, and no data and no length, so it does not pass config_check().
void config_default(struct config *config);

// The file, then overrides[count], each "section.key=value", then config_check().  Overriding one of train.steps and
// train.tokens drops the file's other one.  Errors: VKD_ERR_INPUT "FILE:LINE: key: what is accepted"; VKD_ERR_USAGE on
// an override; as config_check().
enum vkd_status config_load(const char *path, const char *const *overrides, size_t count, struct config *config,
                            struct vkd_error *err);

// The same from text in memory; `name` stands for the file in messages.
enum vkd_status config_from_string(const char *name, const char *text, size_t size, const char *const *overrides,
                                   size_t count, struct config *config, struct vkd_error *err);

// One field by its dotted name, for sweeps: train.steps or train.tokens above 0 clears the other.  config_check() is
// the caller's.
enum vkd_status config_set(struct config *config, const char *key, const char *value, struct vkd_error *err);

// The field's value as config_set() takes it back, to the bit.  Errors: VKD_ERR_USAGE on an unknown key.
enum vkd_status config_get(const struct config *config, const char *key, char *text, size_t size,
                           struct vkd_error *err);

// What one field's range cannot tell: heads divide dim, and so on.  Errors: VKD_ERR_INPUT, or VKD_ERR_UNSUPPORTED for
// what a configuration may name but this version cannot do yet.
enum vkd_status config_check(const struct config *config, struct vkd_error *err);

// A data set is named.  Errors: VKD_ERR_USAGE telling how to name one.
enum vkd_status config_require_data(const struct config *config, struct vkd_error *err);

// Every field, with its meaning as a comment, written atomically; config_load() gives the same struct back, to the bit.
enum vkd_status config_write(const struct config *config, const char *path, struct vkd_error *err);
// The same as text, malloc'd; NULL: out of memory.
char *config_to_string(const struct config *config);

int config_ffn(const struct config *config);          // width of the feed-forward layer
int config_micro_batch(const struct config *config);  // samples per pass; CONFIG_AUTO counts as 0
int config_accumulation(const struct config *config); // passes per step

// The table, for listings: row i, false past the last one.  Every text lives as long as the program but `accepted`,
// [size].
bool config_describe(size_t i, const char **key, const char **fallback, const char **help, char *accepted, size_t size);

#endif
