// c = op(a) op(b) + bias + add for drivers with one 8-lane subgroup to a workgroup and the lanes in registers of a CPU, where a load
// from per-lane addresses is eight loads and one from a uniform address is one.  Specialisation constant 0 must be 8.  An
// operand is read where it lies, or from panels that pack.comp has written: what one step of k reads lies together there, and
// steps follow each other.
#version 460
#include "common.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#define ENDING_ID 3
#include "matmul_store.glsl"
layout(constant_id = 1) const uint FORM_A = 0; // PANELS; ROWS: a [m,k], k a multiple of STEPS; STEPWISE: a [k,m], m one of TM
layout(constant_id = 2) const uint FORM_B = 0; // PANELS; STEPWISE: b [k,n], n a multiple of 8 TN

const int TM = PANEL_ROWS, TN = PANEL_COLS / 8; // rows and 8-column blocks of a workgroup's tile
const int STEPS = PANEL_STEPS;                  // of k in a round
#define lane gl_SubgroupInvocationID

// What a round reads at constant offsets from one address.
struct PanelA { vec4 v[TM * STEPS / 4]; };
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

void main() {
  uint row_tiles = (p.m + TM - 1) / TM, tile = flat_group(), rounds = (p.k + STEPS - 1) / STEPS;
  uint row_tile = tile % row_tiles, col_tile = tile / row_tiles;
  if (col_tile * 8 * TN >= p.n) return;
  float acc[TM][TN];
  uint row[TM]; // in rounds
  [[unroll]] for (int i = 0; i < TM; i++) {
    row[i] = min(row_tile * TM + i, p.m - 1) * rounds;
    [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = 0.0;
  }
  uint round = 0, panel_a = row_tile * rounds, panel_b = col_tile * rounds;
  // the condition always holds; without it lavapipe 26 makes a loop of half the speed
  if (rounds != 0) do {
    [[unroll]] for (int s = 0; s < STEPS; s++) {
      float b[TN];
      [[unroll]] for (int j = 0; j < TN; j++) {
        if (FORM_B == MATMUL_PANELS) {
          b[j] = spread(RefPanelB(p.b).v[panel_b].v[2 * (s * TN + j)], RefPanelB(p.b).v[panel_b].v[2 * (s * TN + j) + 1]);
        } else {
          uint at = (round * STEPS + s) * (p.n / 4) + 2 * (col_tile * TN + j);
          b[j] = spread(RefF4(p.b).v[at], RefF4(p.b).v[at + 1]);
        }
      }
      vec4 a;
      if (FORM_A == MATMUL_PANELS) a = RefPanelA(p.a).v[panel_a].v[s];
      if (FORM_A == MATMUL_STEPWISE) a = RefF4(p.a).v[(round * STEPS + s) * (p.m / 4) + row_tile];
      [[unroll]] for (int i = 0; i < TM; i++) {
        float x = FORM_A == MATMUL_ROWS ? RefRow(p.a).v[row[i] + round].v[s] : a[i];
        [[unroll]] for (int j = 0; j < TN; j++) acc[i][j] = fma(x, b[j], acc[i][j]);
      }
    }
    panel_a++;
    panel_b++;
    round++;
  } while (round < rounds);
  [[unroll]] for (int i = 0; i < TM; i++) {
    [[unroll]] for (int j = 0; j < TN; j++) {
      uint r = row_tile * TM + i, c = (col_tile * TN + j) * 8 + lane;
      if (r < p.m && c < p.n) store(r, c, acc[i][j]);
    }
  }
}
