// Sizes of shared arrays: types and constants of a module, with specialisation constants put in.
// Opcodes and layouts from the SPIR-V specification, section 3.
#include "spirv_shared.h"

#include <stdlib.h>

enum { MAGIC = 0x07230203, HEADER = 5, MOST_IDS = 1 << 22, SPEC_ID = 1, WORKGROUP = 4 };
enum {
  TYPE_BOOL = 20,
  TYPE_INT = 21,
  TYPE_FLOAT = 22,
  TYPE_VECTOR = 23,
  TYPE_ARRAY = 28,
  TYPE_POINTER = 32,
  CONSTANT_TRUE = 41,
  CONSTANT_FALSE = 42,
  CONSTANT = 43,
  SPEC_CONSTANT_TRUE = 48,
  SPEC_CONSTANT_FALSE = 49,
  SPEC_CONSTANT = 50,
  SPEC_CONSTANT_COMPOSITE = 51,
  SPEC_CONSTANT_OP = 52,
  VARIABLE = 59,
  DECORATE = 71,
};

struct id {
  uint64_t value;        // of a constant; bytes of a type, or of what a pointer type points at
  uint32_t spec;         // number of a specialisation constant, and 1
  const uint32_t *parts; // ids that a composite is made of
  uint32_t part_count;
  bool known;
};

struct module {
  struct id *ids;
  uint32_t bound;
  const uint32_t *spec;
  uint32_t spec_count;
  uint64_t shared;
  bool understood;
};

static const struct id *at(struct module *m, uint32_t id) {
  static const struct id none;
  return id < m->bound ? &m->ids[id] : &none;
}

static void set(struct module *m, uint32_t id, uint64_t value, bool known) {
  if (id >= m->bound) return;
  m->ids[id].value = value;
  m->ids[id].known = known;
}

static void set_constant(struct module *m, uint32_t id, uint32_t fallback) {
  uint32_t spec = at(m, id)->spec;
  set(m, id, spec && spec <= m->spec_count ? m->spec[spec - 1] : fallback, true);
}

// The operations on unsigned integers and truths that glslc makes of constant expressions
static bool compute(uint32_t op, uint32_t x, uint32_t y, uint32_t *z) {
  switch (op) {
#define CASE(code, expression)                                                                                         \
  case code:                                                                                                           \
    *z = (expression);                                                                                                 \
    return true;
    CASE(113, x) // UConvert
    CASE(128, x + y)
    CASE(130, x - y)
    CASE(132, x * y)
    CASE(134, y ? x / y : 0)
    CASE(137, y ? x % y : 0)
    CASE(164, x == y) // of truths, as 170
    CASE(165, x != y)
    CASE(166, x || y)
    CASE(167, x && y)
    CASE(168, !x)
    CASE(170, x == y)
    CASE(171, x != y)
    CASE(172, x > y)
    CASE(174, x >= y)
    CASE(176, x < y)
    CASE(178, x <= y)
    CASE(194, y < 32 ? x >> y : 0)
    CASE(196, y < 32 ? x << y : 0)
    CASE(197, x | y)
    CASE(198, x ^ y)
    CASE(199, x & y)
    CASE(200, ~x)
#undef CASE
  default:
    return false;
  }
}

// w: the instruction; w[2] its id, w[3] the operation, w[4 ...] operands
static void set_expression(struct module *m, const uint32_t *w, uint32_t words) {
  enum { EXTRACT = 81, SELECT = 169 };
  const struct id *x = at(m, w[4]), *y = at(m, words > 5 ? w[5] : w[4]);
  uint32_t z = 0;
  if (w[3] == EXTRACT && words == 6) { // gl_WorkGroupSize.x
    const struct id *part = at(m, w[5] < x->part_count ? x->parts[w[5]] : 0);
    set(m, w[2], part->value, part->known);
    return;
  }
  if (w[3] == SELECT && words > 6) {
    const struct id *chosen = x->value ? y : at(m, w[6]);
    set(m, w[2], chosen->value, x->known && chosen->known);
    return;
  }
  bool known = compute(w[3], (uint32_t)x->value, (uint32_t)y->value, &z);
  set(m, w[2], z, known && x->known && y->known);
}

static void read_type(struct module *m, uint32_t op, const uint32_t *w, uint32_t words) {
  const struct id *element = at(m, words > 2 ? w[2] : 0), *length = at(m, words > 3 ? w[3] : 0);
  if (op == TYPE_BOOL) set(m, w[1], 4, true);
  if (words < 3) return;
  if (op == TYPE_INT || op == TYPE_FLOAT) set(m, w[1], w[2] / 8, true);
  if (words < 4) return;
  if (op == TYPE_VECTOR) set(m, w[1], element->value * w[3], element->known);
  if (op == TYPE_ARRAY) set(m, w[1], element->value * length->value, element->known && length->known);
  if (op == TYPE_POINTER) set(m, w[1], length->value, length->known); // w[3] is what it points at
}

static void read_instruction(struct module *m, uint32_t op, const uint32_t *w, uint32_t words) {
  if (op == DECORATE && words > 3 && w[2] == SPEC_ID && w[1] < m->bound) m->ids[w[1]].spec = w[3] + 1;
  if (op >= TYPE_BOOL && op <= TYPE_POINTER && words > 1) read_type(m, op, w, words);
  if (words < 3) return;
  if (op == CONSTANT_TRUE || op == SPEC_CONSTANT_TRUE) set_constant(m, w[2], 1);
  if (op == CONSTANT_FALSE || op == SPEC_CONSTANT_FALSE) set_constant(m, w[2], 0);
  if (words < 4) return;
  if (op == CONSTANT || op == SPEC_CONSTANT) set_constant(m, w[2], w[3]);
  if (op == SPEC_CONSTANT_COMPOSITE && w[2] < m->bound) {
    m->ids[w[2]].parts = w + 3;
    m->ids[w[2]].part_count = words - 3;
  }
  if (op == SPEC_CONSTANT_OP && words > 4) set_expression(m, w, words);
  if (op == VARIABLE && w[3] == WORKGROUP) {
    m->shared += at(m, w[1])->value;
    m->understood &= at(m, w[1])->known;
  }
}

bool vkd__spirv_shared(const uint32_t *code, size_t bytes, const uint32_t *spec, uint32_t spec_count,
                       uint64_t *shared_bytes) {
  size_t count = bytes / 4;
  *shared_bytes = 0;
  if (count < HEADER || code[0] != MAGIC || code[3] > MOST_IDS) return false;
  struct module m = {.ids = calloc((size_t)code[3] + 1, sizeof *m.ids),
                     .bound = code[3],
                     .spec = spec,
                     .spec_count = spec_count,
                     .understood = true};
  if (!m.ids) return false;
  size_t i = HEADER;
  while (i < count) {
    uint32_t words = code[i] >> 16;
    if (!words || words > count - i) break;
    read_instruction(&m, code[i] & 0xffff, code + i, words);
    i += words;
  }
  free(m.ids);
  *shared_bytes = m.shared;
  return m.understood && i == count;
}
