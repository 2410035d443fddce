// Activations and their derivatives times dout.
#ifndef VKD_ACTIVATION_GLSL
#define VKD_ACTIVATION_GLSL
#include "mathx.glsl"

// 0.5 (1 + tanh(u)) = sigmoid(2 u)
const float GELU_K = 1.5957691216; // 2 sqrt(2 / pi)
float gelu(float x) {
  float other;
  return x * sigmoid(GELU_K * (x + 0.044715 * x * x * x), other);
}
float gelu_dx(float x, float dout) {
  float other, s = sigmoid(GELU_K * (x + 0.044715 * x * x * x), other);
  float near = clamp(x, -16.0, 16.0); // beyond, s (1 - s) is 0, and x^3 must not make 0 * inf
  return dout * (s + near * s * other * GELU_K * (1.0 + 0.134145 * near * near));
}
float silu(float x) {
  float other;
  return x * sigmoid(x, other);
}
float silu_dx(float x, float dout) {
  float other, s = sigmoid(x, other);
  return dout * (s + x * s * other);
}
#endif
