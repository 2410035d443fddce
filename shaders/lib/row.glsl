// A row of `cols` items that a workgroup shares, each lane HOLD of them in registers; a row too long for that comes in ROUNDS, and
// is read anew for every pass.  After real.glsl and reduce.glsl.
#ifndef VKD_ROW_GLSL
#define VKD_ROW_GLSL
layout(constant_id = 1) const uint HOLD = 1;
layout(constant_id = 2) const uint ROUNDS = 1;
layout(constant_id = 3) const uint EXACT = 0; // no lane has items left over

REAL held[HOLD];

uint item(uint round, uint i) { return (round * HOLD + i) * ITEM_STEP + FIRST_ITEM; }
bool in_row(uint c, uint cols) { return EXACT != 0 || c < cols; }

void hold(Addr x, uint base, uint cols, uint round) {
  [[unroll]] for (uint i = 0; i < HOLD; i++) {
    uint c = item(round, i);
    held[i] = load(x, base + (EXACT != 0 ? c : min(c, cols - 1)));
  }
}

// Sum of the row, of the squares of (x - shift) where `square`.  Every lane calls and gets it.
float row_sum(Addr x, uint base, uint cols, bool square, float shift) {
  REAL s = REAL(0);
  uint round = 0;
  if (cols > 0) do { // the `if`: see EACH_ITEM
      if (ROUNDS > 1) hold(x, base, cols, round);
      [[unroll]] for (uint i = 0; i < HOLD; i++) {
        REAL v = held[i] - shift;
        if (square) v *= v;
        s += in_row(item(round, i), cols) ? v : REAL(0);
      }
    } while (++round < ROUNDS);
  return wg_sum(hsum(s));
}

// (mean, 1 / sqrt(var + eps)), the variance from squared deviations
vec2 mean_rstd(Addr x, uint base, uint cols, uint d, float eps) {
  float mean = row_sum(x, base, cols, false, 0.0) / float(d);
  return vec2(mean, 1.0 / sqrt(row_sum(x, base, cols, true, mean) / float(d) + eps));
}

float rms_inverse(Addr x, uint base, uint cols, uint d, float eps) {
  return 1.0 / sqrt(row_sum(x, base, cols, true, 0.0) / float(d) + eps);
}
#endif
