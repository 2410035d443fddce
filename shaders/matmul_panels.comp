// c = op(a) op(b) + bias + add for drivers with one 8-lane subgroup to a workgroup and the lanes in registers of a CPU, where a load
// from per-lane addresses is eight loads and one from a uniform address is one.  Specialisation constant 0 must be 8.  b
// is read from panels that pack.comp has written, a from such or where it lies: what one step of k reads lies together in a panel,
// and steps follow each other.  FEW: a tile has 8 columns of b, and twice the rows.
#version 460
#include "common.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#ifdef FEW
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#define VEC 8
#include "real.glsl"
#define ENDING_ID 2
#include "matmul_store.glsl"
layout(constant_id = 1) const uint FORM_A = 0; // MATMUL_PANELS, or MATMUL_ROWS: a [m,k], k a multiple of STEPS
layout(constant_id = 3) const uint WHOLE = 0;  // c, and what is added, are vectors of eight: m and n are multiples of a tile, or, SWAPPED and
                                               // FEW, n of 8
layout(constant_id = 4) const uint SWAPPED = 0; // a and b are those of the transposed product, whose c lies as ever

#ifdef FEW
const int TM = 2 * PANEL_ROWS, TN = 1; // rows and 8-column blocks of a workgroup's tile
#else
const int TM = PANEL_ROWS, TN = PANEL_COLS / 8;
#endif
const int STEPS = PANEL_STEPS; // of k in a round
#define lane gl_SubgroupInvocationID

// What a round reads at constant offsets from one address.
struct PanelA { vec4 v[2 * STEPS]; }; // of 8 rows: one tile, or two by turns
struct PanelB { vec4 v[TN * 2 * STEPS]; };
struct Row { float v[STEPS]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefPanelA { PanelA v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefPanelB { PanelB v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer RefRow { Row v[]; };

// Eight neighbours, handed to the lanes by selects on the lane number, a constant there: a load of one vector.
float spread(vec4 u, vec4 v) {
  float x = u.x;
  x = lane == 1 ? u.y : x;
  x = lane == 2 ? u.z : x;
  x = lane == 3 ? u.w : x;
  x = lane == 4 ? v.x : x;
  x = lane == 5 ? v.y : x;
  x = lane == 6 ? v.z : x;
  x = lane == 7 ? v.w : x;
  return x;
}

// store() of matmul_store.glsl for the eight columns from 8 `eight` on
void store_eight(uint row, uint eight, float x) {
  uint i = row * (p.n / 8) + eight;
  if ((p.has & MATMUL_HAS_BIAS) != 0) x += load(p.bias, eight);
  if ((p.has & MATMUL_HAS_ADD) != 0) x += load(p.add, i);
  if ((p.has & MATMUL_HAS_C) != 0) store(p.c, i, x);
  if (END == MATMUL_PLAIN) return;
  if (ENDING != MATMUL_PLAIN) {
    float e = HAS_E ? load(p.e, i) : 0.0;
    float gate = HAS_GATE ? load(p.gate, row / p.rows_per_gate * (p.n / 8) + eight) : 0.0;
    x = ending(x, e, gate);
    if ((p.has & MATMUL_HAS_Y) != 0) store(p.y, i, x);
  }
#ifdef TO_HALF
  if (ROUND != 0) store16_eight(p.y16, i, x, ROUND);
#endif
}

#ifdef FEW
// x of lane `from`, a row to each lane: what is stored of the transposed product
float across(float x[TM][TN], uint from) {
  float y = subgroupBroadcast(x[0][0], from);
  [[unroll]] for (int i = 1; i < TM; i++) y = lane == i ? subgroupBroadcast(x[i][0], from) : y;
  return y;
}
#endif

void main() {
  uint rows = SWAPPED != 0 ? p.n : p.m, cols = SWAPPED != 0 ? p.m : p.n;
  uint row_tiles = (rows + TM - 1) / TM, tile = flat_group(), rounds = (p.k + STEPS - 1) / STEPS;
  uint row_tile = tile % row_tiles, col_tile = tile / row_tiles;
  if (col_tile * 8 * TN >= cols) return;
  float acc[TM][TN];
  uint row[TM]; // in rounds
  [[unroll]] for (int i = 0; i < TM; i++) {
    row[i] = min(row_tile * TM + i, rows - 1) * rounds;
    [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = 0.0;
  }
  const uint PER_PANEL = 2 * PANEL_ROWS / TM;
  Addr a_tile = uvec2(p.a.x + row_tile % PER_PANEL * 16, p.a.y); // panels begin at multiples of 64 bytes
  uint round = 0, panel_a = row_tile / PER_PANEL * rounds, panel_b = col_tile * rounds;
  // the condition always holds; without it lavapipe 26 makes a loop of half the speed
  if (rounds != 0) do {
    [[unroll]] for (int s = 0; s < STEPS; s++) {
      float b[TN];
      [[unroll]] for (int j = 0; j < TN; j++) {
        b[j] = spread(RefPanelB(p.b).v[panel_b].v[2 * (s * TN + j)], RefPanelB(p.b).v[panel_b].v[2 * (s * TN + j) + 1]);
      }
      vec4 a[TM / 4];
      [[unroll]] for (int i = 0; i < TM / 4; i++)
        if (FORM_A == MATMUL_PANELS) a[i] = RefPanelA(a_tile).v[panel_a].v[2 * s + i];
      [[unroll]] for (int i = 0; i < TM; i++) {
        float x = FORM_A == MATMUL_ROWS ? RefRow(p.a).v[row[i] + round].v[s] : a[i / 4][i % 4];
        [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = fma(x, b[j], acc[i][j]);
      }
    }
    panel_a++;
    panel_b++;
    round++;
  } while (round < rounds);
#ifdef FEW
  if (WHOLE != 0 && SWAPPED != 0) {
    [[unroll]] for (uint c = 0; c < 8; c++) {
      float x = across(acc, c);
      if (c < cols) store_eight(c, row_tile, x);
    }
    return;
  }
#endif
  [[unroll]] for (int i = 0; i < TM; i++) {
    [[unroll]] for (int j = 0; j < TN; j++) {
      uint r = row_tile * TM + i, eight = col_tile * TN + j, c = eight * 8 + lane;
      if (WHOLE != 0) store_eight(r, eight, acc[i][j]);
      else if (r < rows && c < cols) store(SWAPPED != 0 ? c : r, SWAPPED != 0 ? r : c, acc[i][j]);
    }
  }
}
