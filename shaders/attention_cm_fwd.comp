// o and lse as in attention_tile_fwd.comp with cooperative matrices: q, k, v of HALF 1 (fp16) or 2 (bf16), sums in fp32.  The
// probabilities, at most 1, are rounded to the operands' 11 or 8 bits for their product with v; their sum is not.
// A workgroup owns STRIPS times MM queries, a strip to each subgroup, and takes BLOCK keys at a time.  o stays in matrices of sums
// that are multiplied, element by element, with one that has in each row how much its maximum shrinks what was there.
#version 460
#include "common.glsl"
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#if HALF == 1
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define Half float16_t
#else
#extension GL_EXT_bfloat16 : require
#define Half bfloat16_t
#endif
#include "attention.glsl"
layout(constant_id = 0) const uint LANES = 128;
layout(constant_id = 4) const uint VEC8 = 0; // rows of q, k and v lie at multiples of 16 bytes
layout(constant_id = 5) const uint MM = 16;  // multiples of 8, all three
layout(constant_id = 6) const uint NN = 16;
layout(constant_id = 7) const uint KK = 16;
layout(constant_id = 8) const uint STRIPS = 4;
layout(constant_id = 9) const uint WIDTH = 64; // HD filled up with zeros to multiples of NN and KK; BLOCK is one of both too

layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefU4 { uvec4 v[]; };

// A row of scores is shared by PER_ROW lanes, which have every PER_ROW-th 8 of its keys, or a lane has ROWS rows.
const uint OWN = STRIPS * MM, CHUNKS = BLOCK / 8;
const uint RATIO = LANES > OWN ? LANES / OWN : 1, PER_ROW = RATIO < CHUNKS ? RATIO : CHUNKS;
const uint ROWS = (OWN + LANES - 1) / LANES;
const uint S_COUNT = BLOCK / NN, O_COUNT = WIDTH / NN;

// In units of 8 elements (scores, o: of 4), with odd pitches, so that neighbouring rows begin in other banks; as
// bytes_of() of runtime/ops/attention_coopmat.c counts.  Probabilities and ratios take k's place when it was read, o
// and its divisors take all of it in the end.
const uint PITCH = WIDTH / 8 | 1, P_PITCH = BLOCK / 8 | 1, S_PITCH = BLOCK / 4 | 1, R_PITCH = NN / 4 | 1, O_PITCH = WIDTH / 4 | 1;
const uint P_SIZE = OWN * P_PITCH, PR_SIZE = P_SIZE + OWN * R_PITCH, KV_SIZE = BLOCK * PITCH;
const uint K_AT = OWN * PITCH, P_AT = K_AT, R_AT = P_AT + P_SIZE, V_AT = K_AT + (KV_SIZE > PR_SIZE ? KV_SIZE : PR_SIZE);
const uint S_AT = V_AT + KV_SIZE, S_END = S_AT + OWN * S_PITCH, T_AT = OWN * O_PITCH, T_END = T_AT + OWN * PER_ROW;
shared uvec4 tile[S_END > T_END ? S_END : T_END];

// Elements x .. x + 7 of row `row` of a head of r, zeros past HD and past the last token
uvec4 fetch(Addr r, uint b, uint head, uint row, uint tokens, uint x) {
  uint at = row_index(b, min(row, tokens - 1), tokens, head) + x;
  if (VEC8 != 0) {
    bool inside = row < tokens && x < HD;
    uvec4 v = RefU4(r).v[(inside ? at : 0) / 8];
    return inside ? v : uvec4(0);
  }
  uvec4 v = uvec4(0);
  [[dont_unroll]] for (uint i = 0; i < 8; i++) {
    bool inside = row < tokens && x + i < HD;
    uint bits = raw(r, inside ? at + i : 0);
    v[i / 2] |= (inside ? bits : 0) << (i % 2 * 16);
  }
  return v;
}

// Up to BATCH loads of a lane are under way before the first is stored.
const uint UNITS = WIDTH / 8, SHARE = (BLOCK * UNITS + LANES - 1) / LANES, BATCH = SHARE < 4 ? SHARE : 4;
void stage(Addr r, uint at, uint b, uint head, uint first, uint tokens, uint rows) {
  [[dont_unroll]] for (uint from = gl_LocalInvocationID.x; from < rows * UNITS; from += BATCH * LANES) {
    uvec4 v[BATCH];
    [[unroll]] for (uint j = 0; j < BATCH; j++) {
      uint i = from + j * LANES;
      v[j] = fetch(r, b, head, first + i / UNITS, tokens, i % UNITS * 8);
    }
    [[unroll]] for (uint j = 0; j < BATCH; j++) {
      uint i = from + j * LANES;
      if (i < rows * UNITS) tile[at + i / UNITS * PITCH + i % UNITS] = v[j];
    }
  }
}

uint pack(float x, float y) {
#if HALF == 1
  return packHalf2x16(vec2(x, y));
#else
  uvec2 u = floatBitsToUint(vec2(x, y)); // to nearest, ties to even; no NaN comes here that is not one afterwards
  u += 0x7FFFu + (u >> 16 & 1u);
  return u.y & 0xFFFF0000u | u.x >> 16;
#endif
}

#define Sums coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>
#define Left coopmat<Half, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA>
#define Right coopmat<Half, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB>

// Scores of a strip
void scores(uint strip) {
  Sums s[S_COUNT];
  [[unroll]] for (uint j = 0; j < S_COUNT; j++) s[j] = Sums(0.0);
  [[dont_unroll]] for (uint k = 0; k < WIDTH; k += KK) {
    Left a;
    coopMatLoad(a, tile, strip * MM * PITCH + k / 8, PITCH, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint j = 0; j < S_COUNT; j++) {
      Right b;
      coopMatLoad(b, tile, K_AT + j * NN * PITCH + k / 8, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
      s[j] = coopMatMulAdd(a, b, s[j]);
    }
  }
  [[unroll]] for (uint j = 0; j < S_COUNT; j++)
    coopMatStore(s[j], tile, S_AT + strip * MM * S_PITCH + j * NN / 4, S_PITCH, gl_CooperativeMatrixLayoutRowMajor);
}

// Scaled scores 4 i .. of a row, those of keys past the last below all others
vec4 score(uint row, uint i, uint first) {
  vec4 s = p.scale * uintBitsToFloat(tile[S_AT + row * S_PITCH + i]);
  uvec4 key = first + 4 * i + uvec4(0, 1, 2, 3);
  return mix(vec4(-3.4e38), s, lessThan(key, uvec4(p.m)));
}

// Probabilities of this lane's keys of a row, and how much its earlier sums shrink
void soften(uint row, uint part, uint first, inout float top, inout float total) {
  vec4 most = vec4(top);
  [[dont_unroll]] for (uint i = 0; i < 2 * CHUNKS; i++) most = max(most, score(row, i, first));
  float next = max(max(most.x, most.y), max(most.z, most.w)), shrink = exp(top - next);
  top = next;
  total *= shrink;
  [[dont_unroll]] for (uint i = part; i < CHUNKS; i += PER_ROW) {
    vec4 x = exp(score(row, 2 * i, first) - top), y = exp(score(row, 2 * i + 1, first) - top), z = x + y;
    total += (z.x + z.y) + (z.z + z.w);
    tile[P_AT + row * P_PITCH + i] = uvec4(pack(x.x, x.y), pack(x.z, x.w), pack(y.x, y.y), pack(y.z, y.w));
  }
  [[dont_unroll]] for (uint i = part; i < NN / 4; i += PER_ROW) tile[R_AT + row * R_PITCH + i] = uvec4(floatBitsToUint(shrink));
}

void main() {
  uint blocks = (p.n + OWN - 1) / OWN, bh = flat_group() / blocks, b = bh / p.heads, head = bh % p.heads;
  uint own = flat_group() % blocks * OWN, lane = gl_LocalInvocationID.x, part = lane % PER_ROW;
  if (b >= p.batch) return;
  // one strip to a subgroup; a driver may run fewer or more subgroups than its usual size makes
  uint pass = 0;
  [[dont_unroll]] do {
    uint strip = pass + gl_SubgroupID;
    Sums o[O_COUNT];
    [[unroll]] for (uint j = 0; j < O_COUNT; j++) o[j] = Sums(0.0);
    float top[ROWS], total[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
      top[i] = -3.4e38;
      total[i] = 0.0;
    }
    stage(p.q, 0, b, head, own, p.n, OWN);
    uint first = 0;
    [[dont_unroll]] do {
      stage(p.k, K_AT, b, head, first, p.m, BLOCK);
      stage(p.v, V_AT, b, head, first, p.m, BLOCK);
      barrier();
      if (strip < STRIPS) scores(strip);
      barrier();
      [[unroll]] for (uint i = 0; i < ROWS; i++) {
        uint row = lane / PER_ROW + i * LANES;
        if (row < OWN) soften(row, part, first, top[i], total[i]);
      }
      barrier();
      if (strip < STRIPS) {
        Sums ratio;
        coopMatLoad(ratio, tile, R_AT + strip * MM * R_PITCH, R_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint j = 0; j < O_COUNT; j++) o[j] *= ratio;
        [[dont_unroll]] for (uint k = 0; k < BLOCK; k += KK) {
          Left a;
          coopMatLoad(a, tile, P_AT + strip * MM * P_PITCH + k / 8, P_PITCH, gl_CooperativeMatrixLayoutRowMajor);
          [[unroll]] for (uint j = 0; j < O_COUNT; j++) {
            Right v;
            coopMatLoad(v, tile, V_AT + k * PITCH + j * NN / 8, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            o[j] = coopMatMulAdd(a, v, o[j]);
          }
        }
      }
      barrier();
      first += BLOCK;
    } while (first < p.m);
    if (strip < STRIPS) {
      [[unroll]] for (uint j = 0; j < O_COUNT; j++)
        coopMatStore(o[j], tile, strip * MM * O_PITCH + j * NN / 4, O_PITCH, gl_CooperativeMatrixLayoutRowMajor);
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
      uint row = lane / PER_ROW + i * LANES;
      if (row < OWN) tile[T_AT + row * PER_ROW + part] = floatBitsToUint(vec4(total[i], top[i], 0.0, 0.0));
    }
    barrier();
    // rows of this pass
    uint from = pass * MM, to = min(min((pass + gl_NumSubgroups) * MM, OWN), p.n - own);
    [[dont_unroll]] for (uint i = from * HD4 + lane; i < to * HD4; i += LANES) {
      uint row = i / HD4, d = i % HD4;
      float sum = 0.0;
      [[unroll]] for (uint j = 0; j < PER_ROW; j++) sum += uintBitsToFloat(tile[T_AT + row * PER_ROW + j].x);
      store4(p.o, row_index(b, own + row, p.n, head), d, uintBitsToFloat(tile[row * O_PITCH + d]) / sum);
      if (d == 0) RefF(p.lse).v[bh * p.n + own + row] = uintBitsToFloat(tile[T_AT + row * PER_ROW].y) + log(sum);
    }
    barrier();
    pass += gl_NumSubgroups;
  } while (pass < STRIPS);
}
