// The ops.  x [..., d] means any leading dimensions; everything is row-major fp32 unless stated.
// A shape that does not fit is a sticky error of the graph (VKD_ERR_SHAPE, VKD_ERR_DTYPE).
#ifndef VKD_OPS_H
#define VKD_OPS_H

#include "vkd/graph.h"

// ---- views and layout ----------------------------------------------------------------------------------------------
// Same elements, another shape.  No FLOPs, no traffic.
vkd_tensor vkd_reshape(struct vkd_graph *g, vkd_tensor x, struct vkd_shape shape);
// Rows begin .. begin+count of the leading dimension.  No traffic.
vkd_tensor vkd_slice(struct vkd_graph *g, vkd_tensor x, int64_t begin, int64_t count);
// Along the leading dimension; n <= VKD_MAX_IN.
vkd_tensor vkd_concat(struct vkd_graph *g, const vkd_tensor *x, int n);
// [B,C,T,H,W] -> [B, (T/pt)(H/ph)(W/pw), pt*ph*pw*C]; a token's vector is ordered (c,pt,ph,pw), or (pt,ph,pw,c) with
// channel_last.
vkd_tensor vkd_patchify(struct vkd_graph *g, vkd_tensor x, const int patch[3], bool channel_last);
// The inverse, to the shape `latent` = [B,C,T,H,W].
vkd_tensor vkd_unpatchify(struct vkd_graph *g, vkd_tensor tokens, struct vkd_shape latent, const int patch[3],
                          bool channel_last);

// Another dtype: fp32 to fp16 or bf16, rounded to nearest even with subnormals, overflow to infinity; or back.  x
// itself where it has that dtype.  The gradient passes unrounded, in fp32.
vkd_tensor vkd_cast(struct vkd_graph *g, vkd_tensor x, enum vkd_dtype dtype);
// `copy` is known to hold x in 16 bits, as where vkd_adamw() keeps it: casts of x to that dtype, and of its slices and
// other shapes, are `copy` from here on.  The gradient goes to x.
void vkd_bound_cast(struct vkd_graph *g, vkd_tensor x, vkd_tensor copy);

// ---- matrices ------------------------------------------------------------------------------------------------------
// out = op(a) op(b) + bias + add.  a: [..., K] seen as [M,K] (ta: [..., M] seen as [K,M]); b: [K,N] (tb: [N,K]).
// bias [N] and add (out's shape) may be empty.  out: a's leading dimensions + N; with ta: [M,N].  FLOPs: 2 M N K.
// a and b are fp32, or both of one 16-bit dtype; all else is fp32, sums too.  Backward of the latter: the gradient of
// out is cast to that dtype for both products.
vkd_tensor vkd_matmul(struct vkd_graph *g, vkd_tensor a, vkd_tensor b, bool ta, bool tb, vkd_tensor bias,
                      vkd_tensor add);
// out[i] = op(a[i]) op(b[i]).  a and b: [B,...] of matrices as above, one of the two may be a single matrix; out [B,M,N].
// A node per product, whose operands and result are read and written where they lie; they may run at once.
vkd_tensor vkd_matmul_batch(struct vkd_graph *g, vkd_tensor a, vkd_tensor b, bool ta, bool tb);
// y = x Wᵀ + b.  x [..., in], w [out, in], b [out] or empty.
vkd_tensor vkd_linear(struct vkd_graph *g, vkd_tensor x, vkd_tensor w, vkd_tensor b);
// x [R, C] (leading dimensions flattened) times y (same shape) or times 1 if y is empty, summed over each of `groups`
// runs of R/groups consecutive rows, in a fixed order.  out [groups, C], or [C] if groups is 1.
vkd_tensor vkd_sum_rows(struct vkd_graph *g, vkd_tensor x, vkd_tensor y, int64_t groups);

// ---- elementwise ---------------------------------------------------------------------------------------------------
vkd_tensor vkd_add(struct vkd_graph *g, vkd_tensor a, vkd_tensor b);
// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).  Source: Hendrycks & Gimpel 2016, arXiv:1606.08415
vkd_tensor vkd_gelu(struct vkd_graph *g, vkd_tensor x);
vkd_tensor vkd_silu(struct vkd_graph *g, vkd_tensor x);
// z + y * gate; z, y [B, ..., d], gate [B, d] broadcast over the dimensions between.
vkd_tensor vkd_gate_add(struct vkd_graph *g, vkd_tensor z, vkd_tensor y, vkd_tensor gate);
// x * s; x [B, ..., d], s [B, d] broadcast over the dimensions between.
vkd_tensor vkd_row_scale(struct vkd_graph *g, vkd_tensor x, vkd_tensor s);
// sum_i coef[i] * x[i]; coef [n], x[i] of one shape, n <= VKD_MAX_IN - 1.  No gradient.
vkd_tensor vkd_lincomb(struct vkd_graph *g, vkd_tensor coef, const vkd_tensor *x, int n);

// ---- conditioning and normalisation --------------------------------------------------------------------------------
// Chunk-major modulation: out[j,b,:] = e[b, (j mod ke) d ..] + table[j,:].  e [B, ke*d], table [k, d], ke divides k.
// out [k, B, d].
vkd_tensor vkd_modulation(struct vkd_graph *g, vkd_tensor e, vkd_tensor table);
// (x - mean) / sqrt(var + eps) * (one_plus + scale) + shift over the last dimension, biased variance.
// x [..., d]; scale, shift [d] or [G, d], each group row serving R/G consecutive rows.  Source: Ba et al. 2016,
// arXiv:1607.06450
vkd_tensor vkd_layernorm(struct vkd_graph *g, vkd_tensor x, vkd_tensor scale, vkd_tensor shift, float eps,
                         bool one_plus);
// RMS norm over the whole width d times weight, then rotary embedding of interleaved pairs within each head.
// x [B, n, d], weight [d], rope [n, d/heads/2, 2] (cos, sin) or empty.  Source: SPEC: Su et al. 2021, arXiv:2104.09864
vkd_tensor vkd_rmsnorm_rope(struct vkd_graph *g, vkd_tensor x, vkd_tensor weight, vkd_tensor rope, int heads,
                            float eps);
// out[r,:] = table[index[r],:].  table [K, d], index int32 [R].  An index outside 0..K-1 reads row 0; callers check
// before.
vkd_tensor vkd_embed(struct vkd_graph *g, vkd_tensor table, vkd_tensor index);

// ---- attention -----------------------------------------------------------------------------------------------------
// softmax(scale q kᵀ) v per head, memory linear in n and m.  q [B, n, d], k, v [B, m, d], heads divides d.  q, k, v are
// fp32 or of one 16-bit dtype; scores, result and gradients are fp32.  FLOPs: 4 B n m d.
// Source: Dao et al. 2022, arXiv:2205.14135
vkd_tensor vkd_attention(struct vkd_graph *g, vkd_tensor q, vkd_tensor k, vkd_tensor v, int heads, float scale);

// ---- diffusion and losses ------------------------------------------------------------------------------------------
// Standard normal draws keyed by (seed, step, stream, sample): out [B, ...].  key int32 [4] = seed low, seed high,
// step, stream; sample int32 [B] = global sample index.  Philox4x32-10 (Salmon et al. 2011) and Box-Muller.  No
// gradient.
vkd_tensor vkd_randn(struct vkd_graph *g, vkd_tensor key, vkd_tensor sample, struct vkd_shape shape);
// A noisy sample and what is to be predicted from it: *xt = c0 x0 + c1 noise, *target = c2 x0 + c3 noise.  x0, noise
// [B, ...], coef [B, 4].  Rectified flow: c = (1 - sigma, sigma, -1, 1).  No gradient.
void vkd_diffuse(struct vkd_graph *g, vkd_tensor x0, vkd_tensor noise, vkd_tensor coef, vkd_tensor *xt,
                 vkd_tensor *target);
// mean((a-b)^2) over all elements: [1].  Gradient to a only.
vkd_tensor vkd_mse(struct vkd_graph *g, vkd_tensor a, vkd_tensor b);

// The hybrid loss of a noise prediction with a learned variance: [1], the batch's mean of mse + vb; *parts (may be
// NULL): [B, 2] = (mse, vb), means over a sample's elements, vb in bits.  y [B, 2C, ...] = (eps, v), empty: zeros;
// noise, x0 [B, C, ...]; coef [B, VKD_HYBRID_COUNT].  Of an element, with e = eps - noise, d = log_ratio (v + 1) / 2:
//   mse = e^2
//   vb = (d + exp(-d) - 1 + (scale e)^2 exp(-d)) / 2, the divergence of Gaussians whose means are scale e apart, in
//     standard deviations of the first, and whose variances are as 1 to exp(d); or, where bin > 0 (the last step),
//   vb = -log max(1e-12, F((scale e + bin) exp(-d/2)) - F((scale e - bin) exp(-d/2))), the mass of a bin, with
//     F(x) = (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2; x0 > 0.999 has no upper edge, x0 < -0.999 no lower one
// Gradient to y only; that of vb goes to v only.  Source: Nichol & Dhariwal 2021, arXiv:2102.09672
enum vkd_hybrid_coef { VKD_HYBRID_LOG_RATIO, VKD_HYBRID_SCALE, VKD_HYBRID_BIN, VKD_HYBRID_COUNT };
vkd_tensor vkd_hybrid(struct vkd_graph *g, vkd_tensor y, vkd_tensor noise, vkd_tensor x0, vkd_tensor coef,
                      vkd_tensor *parts);

// ---- sampling: no gradients ----------------------------------------------------------------------------------------
// Channels first .. first+count of x [B, C, ...]: [B, count, ...].
vkd_tensor vkd_channels(struct vkd_graph *g, vkd_tensor x, int64_t first, int64_t count);
// Classifier-free guidance, a strength per channel: null + scale[c] (cond - null), and cond itself where scale[c] is 1.
// null, cond [B, C, ...], scale [C].  Source: Ho & Salimans 2022, arXiv:2207.12598
vkd_tensor vkd_guide(struct vkd_graph *g, vkd_tensor null, vkd_tensor cond, vkd_tensor scale);
// z of a learned variance: z exp(l / 2), l = range[0] + (range[1] - range[0]) (v + 1) / 2.  v, z of one shape, range
// [2]: log variances at v = -1 and v = 1.  Source: Nichol & Dhariwal 2021, arXiv:2102.09672
vkd_tensor vkd_variance_noise(struct vkd_graph *g, vkd_tensor v, vkd_tensor z, vkd_tensor range);

// ---- state: these write into bound tensors -------------------------------------------------------------------------
// Sum of squares of all elements: [1], fixed order.
vkd_tensor vkd_sum_squares(struct vkd_graph *g, vkd_tensor x);
void vkd_zero(struct vkd_graph *g, vkd_tensor dst);
void vkd_assign(struct vkd_graph *g, vkd_tensor dst, vkd_tensor src);
// dst += src
void vkd_accumulate(struct vkd_graph *g, vkd_tensor dst, vkd_tensor src);

// AdamW over a run of an arena, in PyTorch's order, with clipping by global norm and EMA.  p, m, v, ema [n] are
// written; g [n]. hyper [VKD_HYPER_COUNT]; norm2 [1]: sum of squares of the unscaled gradient.  lr_scale and decay
// multiply lr and weight decay. g' = g * grad_scale * min(1, clip / (sqrt(norm2) * grad_scale + 1e-6)), without the min
// if clip is 0.  Where norm2 is not finite nothing is written: the step is skipped.  copy [n], 16-bit, may be empty: p
// rounded as vkd_cast() rounds it.
enum vkd_hyper {
  VKD_HYPER_LR,
  VKD_HYPER_BETA1,
  VKD_HYPER_BETA2,
  VKD_HYPER_ONE_MINUS_BETA1,
  VKD_HYPER_ONE_MINUS_BETA2,
  VKD_HYPER_BIAS1, // 1 / (1 - beta1^step)
  VKD_HYPER_BIAS2, // 1 / (1 - beta2^step)
  VKD_HYPER_EPS,
  VKD_HYPER_WEIGHT_DECAY,
  VKD_HYPER_EMA, // ema <- EMA ema + (1 - EMA) p
  VKD_HYPER_CLIP,
  VKD_HYPER_GRAD_SCALE,
  VKD_HYPER_COUNT
};
struct vkd_adamw_tensors {
  vkd_tensor p, g, m, v, ema, copy;
};
void vkd_adamw(struct vkd_graph *g, struct vkd_adamw_tensors t, vkd_tensor hyper, vkd_tensor norm2, float lr_scale,
               float decay);

#endif
