#include "vkdm/naming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const naming_prefixes[NAMING_PREFIXES] = {"", NAMING_COMFYUI};

bool naming_has(enum dit_family family, enum dit_naming naming) {
  return naming == DIT_NAMING_DIFFUSERS || naming == (family == DIT_CROSS ? DIT_NAMING_WAN : DIT_NAMING_META);
}

// Family dit in diffusers' naming: what model/class_dit_params.def gives one name there becomes several tensors.
static const char first_copy[] = "transformer_blocks.0.norm1.emb.", first_part[] = ".attn1.to_q.",
                  position_table[] = "pos_embed.pos_embed"; // where other models of diffusers store theirs

// How many tensors hold the parameter.
static int tensors_of(const struct dit_config *c, enum dit_naming naming, const struct dit_param *p) {
  if (c->family != DIT_CLASS || naming != DIT_NAMING_DIFFUSERS) return 1;
  if (strncmp(p->name[naming], first_copy, sizeof first_copy - 1) == 0) return c->depth;
  return strstr(p->name[naming], first_part) ? 3 : 1;
}

// Tensor k of the n that hold the parameter `param`.
static void fill_tensor(struct naming_tensor *t, const struct dit_param *p, int param, enum dit_naming naming, int k,
                        int n) {
  const char *name = p->name[naming], *q = strstr(name, first_part);
  bool parts = n > 1 && q;
  *t = (struct naming_tensor){.param = param, .rows = p->shape.dim[0], .shape = p->shape, .optional = p->frozen};
  if (parts) {
    t->rows /= n;
    t->first = k * t->rows;
    t->shape.dim[0] = t->rows;
    snprintf(t->name, sizeof t->name, "%.*s.attn1.to_%c.%s", (int)(q - name), name, "qkv"[k],
             q + sizeof first_part - 1);
  } else if (n > 1) {
    t->copy = k > 0;
    snprintf(t->name, sizeof t->name, "transformer_blocks.%d.norm1.emb.%s", k, name + sizeof first_copy - 1);
  } else {
    snprintf(t->name, sizeof t->name, "%s", *name ? name : position_table);
  }
}

enum vkd_status naming_tensors(const struct dit_config *c, enum dit_naming naming, struct naming_tensor **tensors,
                               int *count, struct vkd_error *err) {
  struct dit_param *params = NULL;
  int param_count = 0, total = 0;
  *tensors = NULL;
  *count = 0;
  if (!naming_has(c->family, naming))
    return vkd_fail(err, VKD_ERR_USAGE, "family %s has no names of %s; take %s or diffusers",
                    dit_family_name(c->family), dit_naming_name(naming), dit_naming_name(dit_native_naming(c)));
  enum vkd_status st = dit_params(c, &params, &param_count, err);
  if (st != VKD_OK) return st;
  for (int i = 0; i < param_count; i++) total += tensors_of(c, naming, &params[i]);
  struct naming_tensor *list = calloc((size_t)total, sizeof *list);
  if (!list) st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for the names of %d tensors", total);
  for (int i = 0, at = 0; i < param_count && st == VKD_OK; i++) {
    int n = tensors_of(c, naming, &params[i]);
    for (int k = 0; k < n; k++) fill_tensor(&list[at++], &params[i], i, naming, k, n);
  }
  free(params);
  *tensors = list;
  *count = st == VKD_OK ? total : 0;
  return st;
}
