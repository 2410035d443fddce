// Files of low-rank adapters: read in the spellings that public tools write, merged into weights or put beside them.
// Prefixes: transformer. (diffusers), base_model.model. (PEFT), diffusion_model. (ComfyUI), pipe.dit., none, and
// lora_unet_ with underscores for dots (kohya).  Layers: any naming of the family.  Pairs: lora_A / lora_B (also
// .default.), lora_down / lora_up, lora.down / lora.up.
// alpha: of the layer's .alpha tensor, else of the file's metadata, else of adapter_config.json beside it, else rank.
#ifndef VKDM_LORA_H
#define VKDM_LORA_H

#include "vkdm/params.h"

struct lora;

// path: a .safetensors, or a folder with adapter_model, pytorch_lora_weights or lora.safetensors.  The file is mapped.
// Errors: VKD_ERR_INPUT naming all tensors that are unknown, missing or of another shape; what adapter_config.json asks
// for and is not done here (DoRA, ...).
enum vkd_status lora_open(struct lora **out, const char *path, const struct dit_config *config, struct vkd_error *err);
void lora_close(struct lora **lora); // NULL inside is fine

const char *lora_path(const struct lora *lora); // of the file
int lora_count(const struct lora *lora);        // layers with an adapter
int lora_rank(const struct lora *lora);         // the highest

// W <- W + strength * alpha / rank * B A in every layer, a few rows at a time, summed in float64.
// Errors: VKD_ERR_UNSUPPORTED where weights are stored in 16 bits: rounded a second time, most of a small change is
// lost.
enum vkd_status lora_merge(const struct lora *lora, double strength, struct params *params, struct vkd_error *err);

// On the fly: config->lora for params_create(), and then the values.  A layer without an adapter in the file, but with
// one of the same target elsewhere, gets zeros.  Where ranks or scales differ from layer to layer, B takes the scale.
void lora_configure(const struct lora *lora, double strength, struct dit_config *config);
enum vkd_status lora_apply(const struct lora *lora, double strength, struct params *params, struct vkd_error *err);

// Over weights that stay on the host: a reader of the merged weights, or (apply) of the model that lora_configure()
// makes of `base`, the adapters' rows included.  lora and inner outlive it.  Merged, every read computes the product
// anew: 2 rank FLOPs per element. Several threads may read.
struct lora_reader;
enum vkd_status lora_reader_create(struct lora_reader **out, const struct lora *lora, double strength, bool apply,
                                   const struct dit_config *base, const struct params_reader *inner,
                                   struct vkd_error *err);
const struct params_reader *lora_reader_get(const struct lora_reader *reader);
void lora_reader_destroy(struct lora_reader **reader); // NULL inside is fine

// A trained model's adapters in diffusers' names, rank and alpha as metadata that diffusers reads too; back again, all
// of them.  Errors of the second: VKD_ERR_INPUT where the file's adapters are not the model's.
enum vkd_status lora_save(const struct params *params, enum params_kind kind, const char *path, struct vkd_error *err);
enum vkd_status lora_restore(const char *path, struct params *params, enum params_kind kind, struct vkd_error *err);

#endif
