// Statistics of a row that a workgroup shares; after real.glsl and reduce.glsl.  Every lane calls and gets the result.
#ifndef VKD_ROW_STATS_GLSL
#define VKD_ROW_STATS_GLSL

// Sum of x[base .. base + cols), of the squares of (x - shift) where `square`.
float row_sum(Addr x, uint base, uint cols, bool square, float shift) {
  REAL s = REAL(0);
  for (uint c = gl_LocalInvocationID.x; c < cols; c += gl_WorkGroupSize.x) {
    REAL v = REF(x).v[base + c] - shift;
    s += square ? v * v : v;
  }
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
