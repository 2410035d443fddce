// Which form attention takes, and with which blocks, by what a device is.
#include <string.h>

#include "fake_gpu.h"
#include "ops/attention.h"
#include "vkd/ops.h"

static struct vkd_device_caps device(uint32_t subgroup, uint32_t shared) { return fake_gpu(subgroup, 1024, shared); }
static void list(struct vkd_device_caps *caps, uint32_t m, uint32_t n, uint32_t k, enum vkd_coopmat_type operand) {
  caps->coopmat = true;
  caps->coopmats[caps->coopmat_count++] = (struct vkd_coopmat){
      .m = m, .n = n, .k = k, .a = operand, .b = operand, .c = VKD_COOPMAT_F32, .result = VKD_COOPMAT_F32};
}

struct size {
  int64_t batch, heads, n, m, hd;
};

// The dispatches of attention, attention_dq and attention_dkv, in this order.
struct dispatches {
  struct vkd_tape_entry of[3];
};
static struct dispatches dispatched(const struct vkd_device_caps *caps, enum vkd_dtype dtype, struct size s) {
  static const enum vkd_op ops[3] = {VKD_OP_attention, VKD_OP_attention_dq, VKD_OP_attention_dkv};
  struct vkd_error err = {0};
  struct dispatches d = {0};
  struct vkd_graph *g = NULL;
  struct vkd_tape tape = {0};
  vkd_tensor in[3], qkv[3], grads[3];
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  for (int i = 0; i < 3; i++) {
    in[i] = vkd_input(g, "x", VKD_F32, VKD_SHAPE(s.batch, i ? s.m : s.n, s.heads * s.hd));
    qkv[i] = vkd_cast(g, in[i], dtype);
  }
  vkd_tensor o = vkd_attention(g, qkv[0], qkv[1], qkv[2], (int)s.heads, 0.1F);
  vkd_grad(g, vkd_mse(g, o, vkd_input(g, "y", VKD_F32, VKD_SHAPE(s.batch, s.n, s.heads * s.hd))), in, 3, grads);
  for (int i = 0; i < 3; i++) vkd_output(g, grads[i]);
  record_on(caps, g, &tape);
  for (uint32_t i = 0; i < tape.count; i++)
    for (int k = 0; k < 3; k++)
      if (g->nodes[tape.entries[i].node].op == ops[k]) d.of[k] = tape.entries[i];
  vkd__tape_free(&tape);
  vkd_graph_destroy(&g);
  return d;
}

static const char *row(const struct vkd_tape_entry *e) { return vkd_kernel_blobs[e->kernel].name; }

// fwd, dq, dkv: rows of the manifest
static void expect(const char *what, const struct vkd_device_caps *caps, enum vkd_dtype dtype, int64_t hd,
                   enum vkd_kernel_id fwd, enum vkd_kernel_id dq, enum vkd_kernel_id dkv) {
  struct dispatches d = dispatched(caps, dtype, (struct size){2, 3, 300, 77, hd});
  CHECK(d.of[0].kernel == fwd && d.of[1].kernel == dq && d.of[2].kernel == dkv, "%s: rows %s, %s, %s", what,
        row(&d.of[0]), row(&d.of[1]), row(&d.of[2]));
}
#define LANES(sfx) VKD_K_attention_fwd##sfx, VKD_K_attention_dq##sfx, VKD_K_attention_dkv##sfx
#define TILES(sfx) VKD_K_attention_tile_fwd##sfx, VKD_K_attention_tile_dq##sfx, VKD_K_attention_tile_dkv##sfx
#define COOPMATS(sfx) VKD_K_attention_cm_fwd##sfx, VKD_K_attention_cm_dq##sfx, VKD_K_attention_cm_dkv##sfx
#define BUILT(row) (vkd_kernel_blobs[VKD_K_##row].code != NULL) // else the compiler lacks the extension

static void test_choice(void) {
  struct vkd_device_caps caps = device(32, 49152);
  expect("a GPU", &caps, VKD_F32, 64, TILES());
  expect("a GPU, fp16 without a shape", &caps, VKD_F16, 64, TILES(_f16));
  expect("small heads", &caps, VKD_F32, 8, LANES());
  list(&caps, 16, 16, 16, VKD_COOPMAT_F16);
  expect("fp32 beside a shape", &caps, VKD_F32, 64, TILES());
  expect("bf16 not listed", &caps, VKD_BF16, 64, TILES(_bf16));
  if (BUILT(attention_cm_fwd_f16)) expect("fp16", &caps, VKD_F16, 64, COOPMATS(_f16));
  list(&caps, 16, 8, 16, VKD_COOPMAT_BF16);
  if (BUILT(attention_cm_fwd_bf16)) expect("bf16", &caps, VKD_BF16, 128, COOPMATS(_bf16));
  caps.kind = VKD_DEVICE_SOFTWARE;
  expect("a CPU", &caps, VKD_F16, 64, LANES(_f16));
  caps.cpu_lanes = true;
  expect("a CPU's lanes", &caps, VKD_F32, 128, LANES());
  caps = device(32, 16384);
  expect("little shared memory", &caps, VKD_F32, 64, TILES());
  expect("too little for the backward pass", &caps, VKD_F32, 128, VKD_K_attention_tile_fwd, VKD_K_attention_dq,
         VKD_K_attention_dkv);
}

// Blocks fit shared memory and the workgroups cover every row, whatever the device and the head size.
static void test_tiles(void) {
  static const enum vkd_op ops[3] = {VKD_OP_attention, VKD_OP_attention_dq, VKD_OP_attention_dkv};
  static const uint32_t shared[] = {16384, 32768, 49152, 65536};
  static const struct size sizes[] = {
      {1, 1, 1, 1, 24}, {1, 2, 33, 70, 64}, {4, 6, 1000, 77, 72}, {8, 16, 1024, 4096, 64}, {2, 8, 200, 200, 128}};
  for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
    for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
      struct vkd_device_caps caps = device(32, shared[i]);
      const struct size *s = &sizes[j];
      struct dispatches d = dispatched(&caps, VKD_F32, *s);
      for (int k = 0; k < 3; k++) {
        const struct vkd_tape_entry *e = &d.of[k];
        if (strncmp(row(e), "attention_tile", 14) != 0) continue;
        uint32_t own = e->spec[0] / 2, block = e->spec[2];
        uint32_t bytes = vkd__attention_tile_bytes(ops[k], (uint32_t)s->hd, own, block);
        CHECK(own % 4 == 0 && own >= 8 && block % 8 == 0 && block >= 8 && e->spec[1] == s->hd,
              "%u lanes, blocks of %u, head size %u", e->spec[0], block, e->spec[1]);
        CHECK(bytes <= shared[i], "%s: %u bytes of shared memory of %u", row(e), bytes, shared[i]);
        if (own < 8) continue;
        int64_t rows = k == 2 ? s->m : s->n, blocks = (rows + own - 1) / own;
        CHECK((int64_t)e->groups[0] * e->groups[1] >= s->batch * s->heads * blocks, "%s: %u x %u workgroups", row(e),
              e->groups[0], e->groups[1]);
      }
    }
}

// x: m, n, k of the shape listed and the subgroup's size
static void check_coopmat(const struct vkd_tape_entry *e, int op, const uint32_t x[4], const struct size *s) {
  static const enum vkd_kernel_id rows[3] = {COOPMATS(_f16)};
  uint32_t block = e->spec[2], strips = e->spec[8], width = e->spec[9], parts = e->spec[10], scores = e->spec[11];
  bool large = s->hd > 64 && x[1] * x[2] > 256; // need not fit
  CHECK(e->kernel == rows[op] || large, "%u x %u x %u, head size %lld: row %s", x[0], x[1], x[2], (long long)s->hd,
        row(e));
  if (e->kernel != rows[op]) return;
  CHECK(e->spec[5] == x[0] && e->spec[6] == x[1] && e->spec[7] == x[2], "%s: %u x %u x %u", row(e), e->spec[5],
        e->spec[6], e->spec[7]);
  CHECK(e->spec[0] == (op == 2 ? 2 : 1) * strips * parts * x[3] && e->spec[0] <= 1024,
        "%s: %u lanes, %u strips, %u parts", row(e), e->spec[0], strips, parts);
  CHECK(block % x[1] == 0 && block % x[2] == 0 && width % x[1] == 0 && width % x[2] == 0 && width >= s->hd,
        "%s: blocks of %u, width %u", row(e), block, width);
  CHECK(width / x[1] % parts == 0 && block / x[1] % scores == 0, "%s: %u and %u parts of width %u, block %u", row(e),
        parts, scores, width, block);
  CHECK(e->spec[4] == (s->hd % 8 == 0), "head size %lld: vec8 %u", (long long)s->hd, e->spec[4]);
  int64_t own = (int64_t)strips * x[0], blocks = ((op == 2 ? s->m : s->n) + own - 1) / own;
  CHECK((int64_t)e->groups[0] * e->groups[1] >= s->batch * s->heads * blocks, "%s: %u x %u workgroups", row(e),
        e->groups[0], e->groups[1]);
}

// Sizes of cooperative matrices come from the list; keys and heads are filled up to whole ones.
static void test_coopmat(void) {
  static const uint32_t shapes[][4] = {// m, n, k, subgroup
                                       {16, 16, 16, 32}, {16, 8, 16, 32},  {8, 8, 8, 8},     {8, 16, 16, 16},
                                       {16, 16, 16, 64}, {32, 32, 16, 16}, {16, 16, 24, 32}, {16, 8, 8, 32}};
  static const struct size sizes[] = {
      {1, 2, 1, 1, 24}, {1, 2, 300, 77, 40}, {4, 8, 1024, 1024, 64}, {1, 1, 90, 9, 104}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0] && BUILT(attention_cm_fwd_f16); i++)
    for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
      const uint32_t *x = shapes[i];
      const struct size *s = &sizes[j];
      struct vkd_device_caps caps = device(x[3], 65536);
      list(&caps, x[0], x[1], x[2], VKD_COOPMAT_F16);
      struct dispatches d = dispatched(&caps, VKD_F16, *s);
      for (int k = 0; k < 3; k++) check_coopmat(&d.of[k], k, x, s);
    }
}

int main(void) {
  test_choice();
  test_tiles();
  test_coopmat();
  return check_done();
}
