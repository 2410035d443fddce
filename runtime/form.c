#include "form.h"

#include <stdlib.h>
#include <string.h>

#include "tune.h"

#define FORM(op, name, rounds)                                                                                         \
  enum vkd_form_rank op##_##name##_rank(const struct vkd_device_caps *caps, const struct vkd_graph *g,                 \
                                        const struct vkd_node *node);                                                  \
  uint64_t op##_##name##_scratch(const struct vkd_device_caps *caps, const struct vkd_graph *g,                        \
                                 const struct vkd_node *node);                                                         \
  void op##_##name##_lower(struct vkd_lower *l, const struct vkd_node *node);
#define FORMED(op)                                                                                                     \
  void op##_bucket(const struct vkd_graph *g, const struct vkd_node *node, char *text, size_t size);                   \
  void op##_halve(const struct vkd_graph *g, const struct vkd_node *node, struct vkd_shape in[VKD_MAX_IN]);
#include "forms.def"

const struct vkd_form vkd__forms[VKD_FORM_COUNT] = {
#define FORM(op, name, rounds)                                                                                         \
  {VKD_OP_##op, #name, op##_##name##_rank, op##_##name##_scratch, op##_##name##_lower, rounds},
#include "forms.def"
};

const struct vkd_formed *vkd__formed(enum vkd_op op) {
  static const struct vkd_formed rows[] = {
#define FORMED(op) {VKD_OP_##op, op##_bucket, op##_halve},
#include "forms.def"
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].op == op) return &rows[i];
  return NULL;
}

// Whether a list such as "matmul=tile,attention=lanes" names the form.
static bool listed(const char *list, const struct vkd_form *form) {
  const char *op = vkd__ops[form->op].name;
  size_t op_length = strlen(op), name_length = strlen(form->name);
  for (const char *at = list; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL)
    if (strncmp(at, op, op_length) == 0 && at[op_length] == '=' &&
        strncmp(at + op_length + 1, form->name, name_length) == 0 &&
        (at[op_length + 1 + name_length] == ',' || !at[op_length + 1 + name_length]))
      return true;
  return false;
}

const struct vkd_form *vkd__form_choose(const struct vkd_form_choice *choice, const struct vkd_graph *g,
                                        const struct vkd_node *node) {
  const char *wanted = choice->forced ? NULL : getenv("VKD_FORM");
  const char *measured = choice->tune ? vkd__tune_form(choice->tune, g, node) : NULL;
  const struct vkd_form *best = NULL, *tuned = NULL;
  enum vkd_form_rank best_rank = VKD_FORM_NEVER;
  for (int i = 0; i < VKD_FORM_COUNT; i++) {
    const struct vkd_form *f = &vkd__forms[i];
    if (f->op != node->op) continue;
    enum vkd_form_rank rank = f->rank(choice->caps, g, node);
    if (rank == VKD_FORM_NEVER) continue;
    if ((choice->forced && strcmp(choice->forced, f->name) == 0) || listed(wanted, f)) return f;
    if (measured && strcmp(measured, f->name) == 0) tuned = f;
    if (rank > best_rank) best = f, best_rank = rank;
  }
  return tuned ? tuned : best;
}

// An operand of fp16 has a unit of 2^-11, of bf16 2^-8.
double vkd__form_error(const struct vkd_form *form, const struct vkd_graph *g, const struct vkd_node *node) {
  if (!form) return 0;
  return form->rounds * (vkd_tensor_dtype(g, node->in[0]) == VKD_F16 ? 0x1p-11 : 0x1p-8);
}
