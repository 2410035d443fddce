// What a kernel's code says of itself once it is specialised: its bytes of shared memory and of push constants.
#ifndef TESTS_SPIRV_H
#define TESTS_SPIRV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// A result of an instruction: a number or a bool, bytes of a type, or the parts of a constant of several.
struct spirv_id {
  uint64_t value;       // of a constant; of a struct: its last member's offset
  uint64_t bytes;       // of a type
  const uint32_t *word; // its instruction
  uint32_t spec;        // number of the specialisation constant, of a struct's last member, + 1; 0: none
};

struct spirv_uses {
  uint64_t shared, push; // bytes
  bool known;            // every instruction that sizes hang on was understood
};

static uint64_t spirv_operation(uint32_t op, uint64_t a, uint64_t b, uint64_t c, bool *known) {
  int64_t sa = (int32_t)a, sb = (int32_t)b;
  switch (op) {
  case 113:
  case 114:
  case 124:
    return a; // UConvert, SConvert, Bitcast
  case 126:
    return (uint32_t)-a; // SNegate
  case 128:
    return (uint32_t)(a + b); // IAdd
  case 130:
    return (uint32_t)(a - b); // ISub
  case 132:
    return (uint32_t)(a * b); // IMul
  case 134:
    return b ? (uint32_t)a / (uint32_t)b : 0; // UDiv
  case 135:
    return sb ? (uint32_t)(sa / sb) : 0; // SDiv
  case 137:
    return b ? (uint32_t)a % (uint32_t)b : 0; // UMod
  case 138:
  case 139:
    return sb ? (uint32_t)(sa % sb) : 0; // SRem, SMod of numbers above 0
  case 164:
  case 170:
    return a == b; // LogicalEqual, IEqual
  case 165:
  case 171:
    return a != b; // LogicalNotEqual, INotEqual
  case 166:
    return a || b;
  case 167:
    return a && b;
  case 168:
    return !a;
  case 169:
    return a ? b : c; // Select
  case 172:
    return (uint32_t)a > (uint32_t)b;
  case 173:
    return sa > sb;
  case 174:
    return (uint32_t)a >= (uint32_t)b;
  case 175:
    return sa >= sb;
  case 176:
    return (uint32_t)a < (uint32_t)b;
  case 177:
    return sa < sb;
  case 178:
    return (uint32_t)a <= (uint32_t)b;
  case 179:
    return sa <= sb;
  case 194:
    return (uint32_t)a >> (b & 31);
  case 196:
    return (uint32_t)(a << (b & 31));
  case 197:
    return a | b;
  case 198:
    return a ^ b;
  case 199:
    return a & b;
  default:
    *known = false;
    return 0;
  }
}

static struct spirv_uses spirv_uses(const uint32_t *code, size_t bytes, const uint32_t *spec, uint32_t spec_count) {
  enum { PUSH = 9, WORKGROUP = 4 };
  struct spirv_uses uses = {.known = true};
  size_t words = bytes / 4;
  uint32_t bound = code[3];
  struct spirv_id *ids = calloc(bound, sizeof *ids);
  for (size_t at = 5; ids && at < words; at += code[at] >> 16) {
    const uint32_t *w = code + at, op = *w & 0xffff, n = *w >> 16;
    uint32_t result = n > 2 ? w[2] : 0;                      // of instructions with a type
    if (op == 71 && w[2] == 1) ids[w[1]].spec = w[3] + 1;    // OpDecorate SpecId
    if (op == 72 && w[3] == 35 && w[4] >= ids[w[1]].value) { // OpMemberDecorate Offset
      ids[w[1]].value = w[4];
      ids[w[1]].spec = w[2] + 1;
    }
    if (op >= 19 && op <= 33) ids[w[1]].word = w;
    if (op >= 41 && op <= 52) ids[result].word = w;
    switch (op) {
    case 20:
      ids[w[1]].bytes = 4;
      break; // bool
    case 21:
    case 22:
      ids[w[1]].bytes = w[2] / 8;
      break; // int, float
    case 23:
      ids[w[1]].bytes = ids[w[2]].bytes * w[3];
      break; // vector
    case 28:
      ids[w[1]].bytes = ids[w[2]].bytes * ids[w[3]].value;
      break; // array
    case 30: // struct
      if (ids[w[1]].spec)
        ids[w[1]].bytes = ids[w[1]].value + ids[w[1 + ids[w[1]].spec]].bytes;
      else
        for (uint32_t i = 2; i < n; i++) ids[w[1]].bytes += ids[w[i]].bytes;
      break;
    case 39:
      ids[w[1]].bytes = 8;
      break; // forward pointer
    case 32:
      ids[w[1]].bytes = 8;
      break; // pointer: a device address where it is a member
    case 41:
    case 48:
      ids[result].value = 1;
      break;
    case 43:
    case 50:
      ids[result].value = w[3];
      break;
    case 52: {
      if (w[3] == 81) { // CompositeExtract of one index
        const uint32_t *whole = ids[w[4]].word;
        ids[result].value = whole ? ids[whole[3 + w[5]]].value : 0;
        if (!whole) uses.known = false;
        break;
      }
      uint64_t v[3] = {0};
      for (uint32_t i = 4; i < n && i < 7; i++) v[i - 4] = ids[w[i]].value;
      ids[result].value = spirv_operation(w[3], v[0], v[1], v[2], &uses.known);
      break;
    }
    case 59: // variable: w[1] its pointer's type, w[3] its storage class
      if (w[3] == WORKGROUP) uses.shared += ids[ids[w[1]].word[3]].bytes;
      if (w[3] == PUSH) uses.push += ids[ids[w[1]].word[3]].bytes;
      break;
    default:
      break;
    }
    if ((op == 48 || op == 49 || op == 50) && ids[result].spec && ids[result].spec <= spec_count)
      ids[result].value = spec[ids[result].spec - 1];
  }
  if (!ids) uses.known = false;
  free(ids);
  return uses;
}

#endif
