// Programs on the device: planned = unplanned and derived barriers = all barriers to the bit, against the float64
// reference; runs in flight; every kind of output; what does not fit is refused.
#include "device.h"
#include "random_graph.h"
#include "vkd/exec.h"
#include "vkd/upload.h"

#include <stdlib.h>
#include <string.h>

enum { GRAPHS = 24, BUFFER = 16384 };

static struct vkd_device *dev;

static vkd_tensor outputs[RG_POOL + RG_LEAVES];
static int output_count;

// What a run leaves: outputs, one behind another, and the bound buffer.
static float *run(struct random_graph *r, struct vkd_buffer *state, bool no_reuse, const float *draws, uint64_t seed) {
  struct vkd_program *p;
  struct vkd_error err = {0};
  int64_t n = 0;
  for (int i = 0; i < output_count; i++) n += vkd__numel(r->g, outputs[i]);
  float *result = calloc((size_t)n + BUFFER / 4, 4), *at = result;
  float *start = calloc(1, BUFFER);
  for (int i = 0; i < BUFFER / 4; i++) start[i] = draws[i];
  enum vkd_status st = vkd_buffer_write(state, 0, start, BUFFER, &err);
  free(start);
  if (st == VKD_OK)
    st = vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = r->g, .no_reuse = no_reuse}, &err);
  else
    p = NULL;
  for (int i = 0; i < r->leaf_count && st == VKD_OK; i++)
    memcpy(vkd_program_input(p, 0, r->leaves[i]), draws + i * 16, (size_t)vkd__numel(r->g, r->leaves[i]) * 4);
  if (st == VKD_OK) st = vkd_program_run(p, &err);
  for (int i = 0; i < output_count && st == VKD_OK; i++) {
    memcpy(at, vkd_program_output(p, 0, outputs[i]), (size_t)vkd__numel(r->g, outputs[i]) * 4);
    at += vkd__numel(r->g, outputs[i]);
  }
  if (st == VKD_OK) st = vkd_buffer_read(state, 0, result + n, BUFFER, &err);
  CHECK(st == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  vkd_program_destroy(&p);
  return result;
}

// fp32 errs by 6e-8 of the largest term of each sum; a few dozen ops in a row, some of them norms of small numbers,
// multiply that.
static const double tolerance = 2e-4;
// Where that moves a number over a tie, a rounding to bf16 moves it by 2^-7; some graphs make few numbers of it.
static const double tolerance_half = 5e-2;

static bool has_half(const struct vkd_graph *g) {
  for (uint32_t i = 1; i < g->tensor_count; i++)
    if (vkd_dtype_16bit(g->tensors[i].dtype)) return true;
  return false;
}

static void compare_reference(struct random_graph *r, const float *got, const float *draws, uint64_t seed) {
  struct vkd_error err = {0};
  double **values;
  CHECK(vkd_graph_ref_alloc(r->g, &values, &err) == VKD_OK, "%s", err.what);
  if (!values) return;
  for (int i = 0; i < r->leaf_count; i++)
    for (int64_t k = 0; k < vkd__numel(r->g, r->leaves[i]); k++) values[r->leaves[i].id][k] = draws[i * 16 + k];
  for (int i = 0; i < r->state_count; i++)
    for (int64_t k = 0; k < vkd__numel(r->g, r->states[i]); k++)
      values[r->states[i].id][k] = draws[vkd__info(r->g, r->states[i])->offset / 4 + (uint64_t)k];
  CHECK(vkd_graph_ref_run(r->g, values, &err) == VKD_OK, "%s", err.what);
  double bound = has_half(r->g) ? tolerance_half : tolerance;
  for (int i = 0; i < output_count; i++) {
    double error = 0, size = 0;
    int64_t n = vkd__numel(r->g, outputs[i]);
    for (int64_t k = 0; k < n; k++) {
      error += pow((double)got[k] - values[outputs[i].id][k], 2);
      size += pow(values[outputs[i].id][k], 2);
    }
    got += n;
    CHECK(sqrt(error) <= bound * sqrt(size) + 1e-6, "seed %llu, output %d: off by %.3g of %.3g",
          (unsigned long long)seed, i, sqrt(error), sqrt(size));
  }
  free(values);
}

static void test_random(uint64_t seed, struct vkd_buffer *state) {
  struct random_graph r;
  struct vkd_error err = {0};
  CHECK(rg_build(&r, seed, 24, 20, false, state, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  output_count = 0;
  for (int i = 0; i < 6; i++)
    outputs[output_count++] = r.pool[i < 3 ? r.pool_count - 1 - i : rg_below(&r, r.pool_count)];
  outputs[output_count++] = r.leaves[0]; // an input and bound tensors are outputs too
  outputs[output_count++] = r.states[0];
  for (int i = 0; i < output_count; i++) vkd_output(r.g, outputs[i]);
  int64_t n = BUFFER / 4;
  for (int i = 0; i < output_count; i++) n += vkd__numel(r.g, outputs[i]);
  float *draws = malloc((RG_LEAVES * 16 + BUFFER) * sizeof *draws);
  for (int i = 0; i < RG_LEAVES * 16 + BUFFER; i++) draws[i] = (float)rg_uniform(&r);
  float *planned = run(&r, state, false, draws, seed), *apart = run(&r, state, true, draws, seed);
  setenv("VKD_SYNC", "full", 1);
  float *synced = run(&r, state, false, draws, seed);
  unsetenv("VKD_SYNC");
  CHECK(memcmp(planned, apart, (size_t)n * 4) == 0, "seed %llu: storage that is used again changes results",
        (unsigned long long)seed);
  CHECK(memcmp(planned, synced, (size_t)n * 4) == 0, "seed %llu: a barrier lacks", (unsigned long long)seed);
  compare_reference(&r, planned, draws, seed);
  free(draws);
  free(planned);
  free(apart);
  free(synced);
  vkd_graph_destroy(&r.g);
}

// A graph's gradients; false where it has none.
static bool build_gradients(struct random_graph *r, uint64_t seed, bool regions, struct vkd_buffer *state) {
  struct vkd_error err = {0};
  vkd_tensor wrt[RG_LEAVES];
  rg_regions = regions;
  CHECK(rg_build(r, seed, 24, 20, true, state, &err) == VKD_OK, "seed %llu: %s", (unsigned long long)seed, err.what);
  outputs[0] = rg_loss(r, 6);
  output_count = 1 + rg_gradients(r, outputs[0], (vkd_tensor){0}, wrt, outputs + 1);
  return !rg_overlaps(r);
}

static int with_regions;

// Gradients with and without regions to recompute, planned and unplanned.
static void test_regions(uint64_t seed, struct vkd_buffer *state) {
  struct random_graph plain, again;
  float *draws = malloc((RG_LEAVES * 16 + BUFFER) * sizeof *draws);
  if (build_gradients(&plain, seed, false, state)) {
    uint32_t nodes = plain.g->node_count;
    size_t n = BUFFER / 4;
    for (int i = 0; i < RG_LEAVES * 16 + BUFFER; i++) draws[i] = (float)rg_uniform(&plain);
    float *want = run(&plain, state, false, draws, seed);
    CHECK(build_gradients(&again, seed, true, state), "seed %llu: no gradient with regions", (unsigned long long)seed);
    for (int i = 0; i < output_count; i++) n += (size_t)vkd__numel(again.g, outputs[i]);
    float *planned = run(&again, state, false, draws, seed), *apart = run(&again, state, true, draws, seed);
    CHECK(memcmp(want, planned, n * 4) == 0, "seed %llu: recomputing changes results", (unsigned long long)seed);
    CHECK(memcmp(want, apart, n * 4) == 0, "seed %llu: recomputing changes unplanned results",
          (unsigned long long)seed);
    compare_reference(&again, planned, draws, seed);
    with_regions += again.g->node_count > nodes;
    free(want);
    free(planned);
    free(apart);
    vkd_graph_destroy(&again.g);
  }
  free(draws);
  vkd_graph_destroy(&plain.g);
}

// Runs of several slots in flight; the state carries over in the order of the submits.
static void test_slots(struct vkd_buffer *state) {
  enum { SLOTS = 3, RUNS = 11, N = 1000 };
  struct vkd_graph *g;
  struct vkd_program *p;
  struct vkd_error err = {0};
  float zero[N] = {0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK && vkd_buffer_write(state, 0, zero, sizeof zero, &err) == VKD_OK, "%s",
        err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(N)), sum = vkd_bound(g, "sum", VKD_F32, VKD_SHAPE(N), state, 0);
  vkd_accumulate(g, sum, x);
  vkd_tensor y = vkd_add(g, x, x), k = vkd_constant(g, "k", VKD_F32, VKD_SHAPE(3), (float[]){1, 2, 3});
  vkd_output(g, y);
  vkd_output(g, sum);
  vkd_output(g, k);
  CHECK(vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g, .slots = SLOTS}, &err) == VKD_OK,
        "%s", err.what);
  for (int i = 0; i < RUNS + SLOTS && p; i++) {
    int slot = i % SLOTS, was = i - SLOTS;
    if (was >= 0) {
      CHECK(vkd_program_wait(p, slot, &err) == VKD_OK, "%s", err.what);
      const float *got = vkd_program_output(p, slot, y), *total = vkd_program_output(p, slot, sum);
      for (int n = 0; n < N; n++) // whole numbers: exact
        CHECK(got[n] == 2.0f * (float)(was * n) && total[n] == (float)(was * (was + 1) / 2 * n),
              "run %d, element %d: %g, sum %g", was, n, (double)got[n], (double)total[n]);
      CHECK(memcmp(vkd_program_output(p, slot, k), (float[]){1, 2, 3}, 12) == 0, "an output that is a constant");
    }
    if (i >= RUNS) continue;
    float *in = vkd_program_input(p, slot, x);
    for (int n = 0; n < N; n++) in[n] = (float)(i * n);
    CHECK(vkd_program_submit(p, slot, &err) == VKD_OK, "%s", err.what);
  }
  CHECK(p && vkd_program_output(p, 0, x) == NULL, "a tensor that is no output can be read");
  vkd_program_destroy(&p);
  vkd_graph_destroy(&g);
}

// Petabytes in tensors of a GiB: refused with numbers, and nothing stays allocated.
static void test_refusal(void) {
  struct vkd_graph *g;
  struct vkd_program *p;
  struct vkd_error err = {0};
  uint64_t before = vkd_device_allocated(dev, NULL);
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(1 << 14, 1 << 14));
  for (int i = 0; i < 1024; i++) vkd_output(g, vkd_gelu(g, x));
  CHECK(vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g}, &err) ==
                VKD_ERR_DEVICE_MEMORY &&
            !p,
        "a TiB is taken");
  CHECK(strstr(err.what, "MiB") && !strchr(err.what, '\n'), "%s", err.what);
  CHECK(vkd_device_allocated(dev, NULL) == before, "a refused program keeps memory");
  vkd_graph_destroy(&g);
}

// What the host writes again and again while programs run that read it: every run sees what was flushed before it.
static void test_upload(struct vkd_buffer *state) {
  enum { RUNS = 9, N = 4000 };
  struct vkd_graph *g;
  struct vkd_program *p = NULL;
  struct vkd_upload *u = NULL;
  struct vkd_error err = {0};
  float sum[N] = {0};
  void *map = NULL;
  CHECK(vkd_graph_create(&g, &err) == VKD_OK && vkd_buffer_write(state, 0, sum, sizeof sum, &err) == VKD_OK &&
            vkd_upload_create(&u, dev, sizeof sum, &err) == VKD_OK,
        "%s", err.what);
  vkd_accumulate(g, vkd_bound(g, "sum", VKD_F32, VKD_SHAPE(N), state, 0),
                 vkd_bound(g, "x", VKD_F32, VKD_SHAPE(N), vkd_upload_buffer(u), 0));
  enum vkd_status st =
      vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g, .slots = 2}, &err);
  for (int i = 1; i <= RUNS && st == VKD_OK; i++) {
    st = vkd_upload_wait(u, &map, &err);
    for (int n = 0; n < N && st == VKD_OK; n++) ((float *)map)[n] = (float)(i * n);
    if (st == VKD_OK) st = vkd_upload_flush(u, &err);
    if (st == VKD_OK) st = vkd_program_wait(p, i % 2, &err);
    if (st == VKD_OK) st = vkd_program_submit(p, i % 2, &err);
    vkd_upload_used(u);
  }
  if (st == VKD_OK) st = vkd_buffer_read(state, 0, sum, sizeof sum, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  for (int n = 0; n < N; n++) CHECK(sum[n] == (float)(RUNS * (RUNS + 1) / 2 * n), "element %d: %g", n, (double)sum[n]);
  vkd_program_destroy(&p);
  vkd_upload_destroy(&u);
  vkd_graph_destroy(&g);
}

// The same with the queue that the device has, and with a timeline of their own for uploads and input regions by slot.
static void test_device(const char *upload_queue) {
  struct vkd_error err = {0};
  struct vkd_buffer *state = NULL;
  setenv("VKD_UPLOAD_QUEUE", upload_queue, 1);
  setenv("VKD_UPLOAD", "staging", 1);
  dev = device_or_skip(false);
  CHECK(vkd_device_get_caps(dev)->upload_queue == (*upload_queue == '1'), "the queue asked for");
  enum vkd_status st = vkd_buffer_create(&state, dev, BUFFER, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    test_slots(state);
    test_upload(state);
  }
  vkd_buffer_destroy(&state);
}

int main(void) {
  struct vkd_error err = {0};
  struct vkd_buffer *state = NULL;
  test_device("0");
  device_done(&dev);
  test_device("1");
  enum vkd_status st = vkd_buffer_create(&state, dev, BUFFER, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  if (st == VKD_OK) {
    rg_half = vkd_device_get_caps(dev)->storage_16bit;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_random(seed, state);
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) test_regions(seed, state);
    CHECK(with_regions > GRAPHS / 2, "%d graphs recompute anything", with_regions);
    test_refusal();
  }
  vkd_buffer_destroy(&state);
  return device_done(&dev);
}
