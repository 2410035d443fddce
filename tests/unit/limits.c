// Made-up devices of many kinds: every self-test case in every form, a training step and a model evaluation of each
// family are within their limits, or refused with what would help.  What is read off capabilities: queues, memory,
// timestamps, what is lacking.
#include <stdlib.h>

#include "../../model/denoiser.h"
#include "../../model/step.h"
#include "case.h"
#include "device_internal.h"
#include "fake_gpu.h"
#include "models.h"
#include "vkdm/optim.h"

// ---- self-test cases -----------------------------------------------------------------------------------------------
static struct vkd_device *fake_device(const struct vkd_device_caps *caps) {
  struct vkd_device *dev = NULL;
  struct vkd_error err = {0};
  CHECK(vkd_device_create(&dev, &(struct vkd_device_params){.fake = caps}, &err) == VKD_OK, "%s", err.what);
  return dev;
}

static void record_case(const struct vkd_device_caps *caps, struct vkd_device *dev, int index) {
  struct vkd_built b;
  struct vkd_error err = {0};
  char name[80];
  bool used[VKD_OP_COUNT] = {false}, halves = false;
  snprintf(name, sizeof name, "%s/%s", vkd__cases[index].op, vkd__cases[index].name);
  CHECK(vkd__case_build(&b, index, dev, &err) == VKD_OK && vkd__case_place(&b, &err) == VKD_OK, "%s", err.what);
  const struct vkd_graph *g = b.c.g;
  for (uint32_t k = 1; k < g->tensor_count; k++) halves |= vkd_dtype_16bit(g->tensors[k].dtype);
  for (uint32_t k = 0; k < g->node_count; k++) used[g->nodes[k].op] = true;
  for (int f = -1; f < VKD_FORM_COUNT; f++) {
    if (f >= 0 && !used[vkd__forms[f].op]) continue;
    struct vkd_tape tape = {0};
    struct vkd_error why = {0};
    enum vkd_status st = record_form(caps, g, f < 0 ? NULL : vkd__forms[f].name, &tape, &why);
    if (halves && !caps->storage_16bit)
      CHECK(st == VKD_ERR_UNSUPPORTED && strstr(why.what, "storageBuffer16BitAccess"), "%s: %s", name, why.what);
    else
      CHECK(st == VKD_OK, "%s: %s", name, why.what);
    check_tape(caps, &tape, name);
    vkd__tape_free(&tape);
  }
  vkd__case_free(&b);
}

// ---- models --------------------------------------------------------------------------------------------------------
static void record_graph(const struct vkd_device_caps *caps, const struct vkd_graph *g, const char *what) {
  struct vkd_tape tape = {0};
  struct vkd_error err = {0};
  CHECK(record_form(caps, g, NULL, &tape, &err) == VKD_OK, "%s: %s", what, err.what);
  CHECK(tape.count > 0, "%s: nothing is dispatched", what);
  check_tape(caps, &tape, what);
  vkd__tape_free(&tape);
}

// Both passes of a step where micro is less than the batch of 4.
static void record_step(const struct vkd_device_caps *caps, const struct dit_config *model,
                        enum config_objective objective, int micro) {
  struct vkd_device *dev = fake_device(caps);
  struct vkd_error err = {0};
  struct params *params = NULL;
  struct step *step = NULL;
  struct step_part parts[STEP_PARTS];
  struct config config;
  int count = 0;
  config_default(&config);
  config.train.objective = objective;
  config.train.batch = 4;
  config.train.micro_batch = micro;
  config.train.precision = model->compute == VKD_F16 ? CONFIG_FP16 : CONFIG_FP32; // fp16 scales its loss
  enum vkd_status st = params_create(&params, dev, model, step_params_kinds(&config), &err);
  if (st == VKD_OK) st = step_create_plan(&step, &config, params, NULL, &err);
  if (st == VKD_OK) st = step_parts(step, parts, &count, &err);
  CHECK(st == VKD_OK && count == (micro < 4 ? 2 : 1), "%s: %s", dit_family_name(model->family), err.what);
  for (int i = 0; i < count && st == VKD_OK; i++) record_graph(caps, parts[i].graph, dit_family_name(model->family));
  step_destroy(&step);
  params_destroy(&params);
  vkd_device_destroy(&dev);
}

// A guided evaluation, as samplers run it.
static void record_sample(const struct vkd_device_caps *caps, const struct dit_config *model) {
  struct vkd_device *dev = fake_device(caps);
  struct vkd_error err = {0};
  struct denoiser_params p = {.kind = PARAMS_WEIGHT, .count = 3, .cfg = 4};
  struct dit_inputs in;
  struct vkd_graph *g = NULL;
  enum vkd_status st = params_create(&p.params, dev, model, PARAMS_FOR_INFERENCE, &err);
  if (st == VKD_OK) st = vkd_buffer_create(&p.x, dev, 32 << 10, &err);
  if (st == VKD_OK) st = vkd_buffer_create(&p.out, dev, 32 << 10, &err);
  if (st == VKD_OK) st = vkd_graph_create(&g, &err);
  if (st == VKD_OK) {
    vkd_tensor *weights = calloc((size_t)p.params->count, sizeof *weights);
    params_tensors(p.params, g, PARAMS_WEIGHT, weights);
    denoiser_inputs(g, &p, &in);
    st = denoiser_combine(g, &p, dit_forward(g, &p.params->config, weights, &in), &err);
    free(weights);
  }
  CHECK(st == VKD_OK, "%s: %s", dit_family_name(model->family), err.what);
  if (st == VKD_OK) record_graph(caps, g, "sampling");
  vkd_graph_destroy(&g);
  vkd_buffer_destroy(&p.x);
  vkd_buffer_destroy(&p.out);
  params_destroy(&p.params);
  vkd_device_destroy(&dev);
}

static void record_models(const struct vkd_device_caps *caps) {
  static const struct dit_config *const models[] = {&small_cross, &small_class, &text_model, &image_model};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
    struct dit_config model = *models[i];
    bool variance = model.out_channels == 2 * model.in_channels;
    for (int precision = 0; precision < (caps->storage_16bit ? 3 : 1); precision++) {
      model.compute = precision == 0 ? VKD_F32 : precision == 1 ? VKD_F16 : VKD_BF16;
      model.recompute = precision == 1;
      record_step(caps, &model, variance ? CONFIG_HYBRID : CONFIG_FLOW, precision == 2 ? 4 : 2);
      record_sample(caps, &model);
    }
  }
}

// ---- devices -------------------------------------------------------------------------------------------------------
static void add_matrices(struct vkd_device_caps *caps, uint32_t m, uint32_t n, uint32_t k) {
  caps->coopmat = true;
  caps->coopmats[caps->coopmat_count++] =
      (struct vkd_coopmat){m, n, k, VKD_COOPMAT_F16, VKD_COOPMAT_F16, VKD_COOPMAT_F32, VKD_COOPMAT_F32};
  caps->coopmats[caps->coopmat_count++] =
      (struct vkd_coopmat){m, n, k, VKD_COOPMAT_BF16, VKD_COOPMAT_BF16, VKD_COOPMAT_F32, VKD_COOPMAT_F32};
}

static void test_devices(void) {
  static const uint32_t subgroups[] = {4, 8, 16, 32, 64}, lanes[] = {128, 256, 512, 1024}, shared[] = {16, 32, 48, 64};
  uint32_t walked = 0;
  for (uint32_t i = 0; i < 5 * 4 * 4; i++) {
    uint32_t subgroup = subgroups[i % 5];
    struct vkd_device_caps caps = fake_gpu(subgroup, lanes[i / 5 % 4], shared[i / 20] << 10);
    if (i % 3 == 1) add_matrices(&caps, 16, 16, 16);
    if (i % 3 == 2) add_matrices(&caps, 8, subgroup <= 16 ? 8 : 16, 32);
    if (i % 4 == 3) caps.max_workgroup_size[0] = 128; // fewer in x than in all
    if (i % 7 == 6) caps.storage_16bit = caps.shader_f16 = caps.bf16 = caps.coopmat = false;
    if (i % 2) caps.max_push_bytes = 256;
    if (subgroup <= 16 && i % 5 == i / 5 % 5) caps.kind = VKD_DEVICE_SOFTWARE, caps.cpu_lanes = subgroup == 8;
    struct vkd_device *dev = fake_device(&caps);
    for (int k = (int)(i % 3); k < vkd__case_count; k += 3) record_case(&caps, dev, k); // a third each
    vkd_device_destroy(&dev);
    record_models(&caps);
    walked++;
  }
  CHECK(walked == 80, "%u devices", walked);
}

// Counts past 65535 fold; a device that takes fewer still says so.
static void test_counts(void) {
  struct vkd_device_caps caps = fake_gpu(32, 128, 16 << 10);
  struct vkd_graph *g = NULL;
  struct vkd_error err = {0};
  struct vkd_tape tape = {0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(300000, 4096)); // 1.2e9 elements, 2.4e6 workgroups of vec4
  vkd_tensor one = vkd_input(g, "one", VKD_F32, VKD_SHAPE(4096));
  vkd_tensor rows = vkd_layernorm(g, x, one, one, 1e-6F, false);
  vkd_output(g, vkd_sum_squares(g, vkd_gelu(g, rows)));
  CHECK(record_form(&caps, g, NULL, &tape, &err) == VKD_OK, "%s", err.what);
  check_tape(&caps, &tape, "a large tensor");
  uint32_t folded = 0;
  for (uint32_t i = 0; i < tape.count; i++) folded += tape.entries[i].groups[1] > 1;
  CHECK(folded >= 2, "%u of %u dispatches are folded", folded, tape.count);
  vkd__tape_free(&tape);
  caps.max_workgroup_count[0] = caps.max_workgroup_count[1] = 64;
  CHECK(record_form(&caps, g, NULL, &tape, &err) == VKD_ERR_UNSUPPORTED && strstr(err.what, "workgroups"), "%s",
        err.what);
  vkd__tape_free(&tape);
  vkd_graph_destroy(&g);
}

static void expect_refusal(const struct vkd_device_caps *caps, const struct vkd_graph *g, enum vkd_status want,
                           const char *text) {
  struct vkd_error err = {0};
  struct vkd_tape tape = {0};
  CHECK(record_form(caps, g, NULL, &tape, &err) == want && strstr(err.what, text), "'%s', not '%s'", err.what, text);
  vkd__tape_free(&tape);
}

static void test_refusals(void) {
  struct vkd_device_caps caps = fake_gpu(32, 256, 32 << 10);
  struct vkd_graph *g = NULL;
  struct vkd_error err = {0};
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(1000, 1000));
  vkd_output(g, vkd_cast(g, vkd_cast(g, vkd_gelu(g, x), VKD_F16), VKD_F32));
  vkd_output(g, vkd_sum_squares(g, x));
  expect_refusal(&caps, g, VKD_OK, "");
  caps.storage_16bit = false;
  expect_refusal(&caps, g, VKD_ERR_UNSUPPORTED, "storageBuffer16BitAccess");
  caps.storage_16bit = true;
  caps.max_push_bytes = 16;
  expect_refusal(&caps, g, VKD_ERR_UNSUPPORTED, "push constants, fake has 16");
  caps.max_push_bytes = 128;
  caps.max_workgroup_size[0] = 16; // half a subgroup
  expect_refusal(&caps, g, VKD_ERR_UNSUPPORTED, "lanes, fake has 16");
  caps.max_workgroup_size[0] = 256;
  caps.max_allocation = 1 << 20; // x alone is 4 MB
  expect_refusal(&caps, g, VKD_ERR_DEVICE_MEMORY, "at most 1.0 MiB at once; lower the batch");
  vkd_graph_destroy(&g);
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_output(g, vkd_sum_squares(g, vkd_input(g, "x", VKD_F32, VKD_SHAPE(1000, 1000))));
  struct vkd_plan_info info;
  struct vkd_device *small = fake_device(&caps);
  CHECK(vkd_plan_query(&(struct vkd_program_params){.device = small, .graph = g}, &info, &err) ==
                VKD_ERR_DEVICE_MEMORY &&
            strstr(err.what, "inputs take 3.8 MiB, fake allocates at most 1.0 MiB"),
        "%s", err.what);
  vkd_device_destroy(&small);
  vkd_graph_destroy(&g);
  err = (struct vkd_error){0};

  struct dit_config model = small_cross;
  struct params *params = NULL;
  struct vkd_device_caps plain = fake_gpu(32, 256, 32 << 10);
  plain.storage_16bit = false;
  model.compute = VKD_BF16;
  struct vkd_device *dev = fake_device(&plain);
  CHECK(params_create(&params, dev, &model, PARAMS_FOR_TRAINING, &err) == VKD_ERR_UNSUPPORTED &&
            strstr(err.what, "use fp32"),
        "%s", err.what);
  vkd_device_destroy(&dev);
}

// Weights, moments and activations spread over many allocations.
static void test_small_allocations(void) {
  struct vkd_device_caps caps = fake_gpu(32, 256, 32 << 10);
  caps.max_allocation = 64 << 10;
  record_step(&caps, &small_cross, CONFIG_FLOW, 2);
  record_step(&caps, &small_class, CONFIG_HYBRID, 4);
  record_sample(&caps, &small_class);
}

// ---- read off capabilities -----------------------------------------------------------------------------------------
enum { MIB = 1 << 20 };
enum {
  DEV = VKD_MEMORY_DEVICE,
  HOST = VKD_MEMORY_HOST | VKD_MEMORY_COHERENT,
  CACHED = HOST | VKD_MEMORY_CACHED,
  LOOSE = VKD_MEMORY_HOST | VKD_MEMORY_CACHED // not coherent
};
static const struct memory_kind {
  const char *name;
  struct vkd_memory_heap heaps[3];
  struct vkd_memory_type types[6];
  uint32_t heap_count, type_count;
  uint32_t own, staging; // the types that are to be taken
  bool map;              // the host writes weights in place
} memory_kinds[] = {
    {"integrated", {{8000ULL * MIB, 0, true}}, {{0, DEV}, {0, DEV | HOST}, {0, DEV | CACHED}}, 1, 3, 0, 2, true},
    {"integrated, coherent memory is not cached",
     {{4000ULL * MIB, 0, true}},
     {{0, DEV}, {0, DEV | LOOSE}, {0, DEV | HOST}},
     1,
     3,
     0,
     2,
     true},
    {"discrete, a window of 256 MiB",
     {{8192ULL * MIB, 0, true}, {16000ULL * MIB, 0, false}, {256ULL * MIB, 0, true}},
     {{1, 0}, {0, DEV}, {1, HOST}, {1, CACHED}, {2, DEV | HOST}},
     3,
     5,
     1,
     3,
     false},
    {"discrete, the window comes first",
     {{256ULL * MIB, 0, true}, {8192ULL * MIB, 0, true}, {16000ULL * MIB, 0, false}},
     {{0, DEV | HOST}, {1, DEV}, {2, HOST}, {2, CACHED}},
     3,
     4,
     1,
     3,
     false},
    {"discrete, resizable BAR",
     {{8192ULL * MIB, 0, true}, {16000ULL * MIB, 0, false}},
     {{0, DEV}, {1, HOST}, {0, DEV | HOST}, {1, CACHED}},
     2,
     4,
     0,
     3,
     true},
    {"types that need features of their own", // AMD's uncached ones, protected memory
     {{8192ULL * MIB, 0, true}, {16000ULL * MIB, 0, false}},
     {{0, DEV | 0x40}, {0, DEV | 0x20}, {0, DEV}, {1, CACHED | 0x40}, {1, CACHED}},
     2,
     5,
     2,
     4,
     false},
};

static struct vkd_device_caps with_memory(const struct memory_kind *m) {
  struct vkd_device_caps caps = fake_gpu(32, 256, 32 << 10);
  caps.buffer_device_address = caps.timeline_semaphore = caps.has_compute_queue = true;
  memcpy(caps.heaps, m->heaps, sizeof m->heaps);
  memcpy(caps.memory_types, m->types, sizeof m->types);
  caps.heap_count = m->heap_count;
  caps.memory_type_count = m->type_count;
  caps.memory_bytes = 0;
  for (uint32_t i = 0; i < m->heap_count; i++)
    if (m->heaps[i].device && m->heaps[i].bytes > caps.memory_bytes) caps.memory_bytes = m->heaps[i].bytes;
  return caps;
}

static void test_memory(void) {
  for (size_t i = 0; i < sizeof memory_kinds / sizeof memory_kinds[0]; i++) {
    const struct memory_kind *m = &memory_kinds[i];
    struct vkd_device_caps caps = with_memory(m);
    uint32_t own = vkd__memory_type(&caps, UINT32_MAX, DEV), staging = vkd__memory_type(&caps, UINT32_MAX, CACHED);
    if (staging == UINT32_MAX) staging = vkd__memory_type(&caps, UINT32_MAX, HOST);
    CHECK(own == m->own && staging == m->staging, "%s: types %u and %u", m->name, own, staging);
    CHECK(caps.memory_types[staging].flags & VKD_MEMORY_COHERENT, "%s: staging is not coherent", m->name);
    CHECK(vkd__can_map(&caps) == m->map, "%s: can map %d", m->name, !m->map);
    CHECK(vkd__memory_type(&caps, 0, DEV) == UINT32_MAX, "%s: a type that is not allowed", m->name);
    vkd__caps_judge(&caps);
    CHECK(!*caps.unusable, "%s: %s", m->name, caps.unusable);
  }
}

static void test_lacks(void) {
  static const struct {
    size_t at;
    const char *text;
  } lacks[] = {{offsetof(struct vkd_device_caps, buffer_device_address), "lacks bufferDeviceAddress"},
               {offsetof(struct vkd_device_caps, timeline_semaphore), "lacks timelineSemaphore"},
               {offsetof(struct vkd_device_caps, subgroup_arithmetic), "lacks subgroup arithmetic in compute"},
               {offsetof(struct vkd_device_caps, has_compute_queue), "lacks a queue that computes"}};
  for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
    struct vkd_device_caps caps = with_memory(&memory_kinds[0]);
    *(bool *)((char *)&caps + lacks[i].at) = false;
    vkd__caps_judge(&caps);
    CHECK(strcmp(caps.unusable, lacks[i].text) == 0, "'%s', not '%s'", caps.unusable, lacks[i].text);
  }
  struct vkd_device_caps caps = with_memory(&memory_kinds[0]);
  caps.memory_types[1].flags = caps.memory_types[2].flags = DEV | LOOSE;
  vkd__caps_judge(&caps);
  CHECK(strstr(caps.unusable, "coherent with the host's"), "'%s'", caps.unusable);
}

static void test_queues(void) {
  enum { G = VKD_QUEUE_GRAPHICS, C = VKD_QUEUE_COMPUTE, X = VKD_QUEUE_TRANSFER };
  static const struct {
    const char *name;
    struct vkd_queue_family families[4];
    double period;
    uint32_t count, compute, uploads;
    bool apart;
    double ns;
    uint64_t mask;
  } kinds[] = {
      {"one queue", {{G | C | X, 1, 64}}, 1, 1, 0, 0, false, 1, UINT64_MAX},
      {"graphics first, copies on engines of their own",
       {{G | X, 1, 64}, {C | X, 4, 36}, {X, 2, 0}},
       52.08,
       3,
       1,
       2,
       true,
       52.08,
       0xfffffffff},
      {"a second queue of the family", {{G | C | X, 2, 48}}, 10, 1, 0, 0, true, 10, 0xffffffffffff},
      {"no timestamps", {{C, 1, 0}}, 1, 1, 0, 0, false, 0, 0},
      {"no period", {{C, 1, 64}}, 0, 1, 0, 0, false, 0, UINT64_MAX},
      {"32 bits", {{C, 1, 32}}, 83.333, 1, 0, 0, false, 83.333, 0xffffffff},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct vkd_device_caps caps = {.queue_family_count = kinds[i].count};
    memcpy(caps.queue_families, kinds[i].families, sizeof kinds[i].families);
    vkd__caps_queues(&caps, kinds[i].period);
    CHECK(caps.has_compute_queue && caps.compute_family == kinds[i].compute && caps.upload_family == kinds[i].uploads &&
              caps.upload_queue == kinds[i].apart,
          "%s: families %u and %u", kinds[i].name, caps.compute_family, caps.upload_family);
    CHECK(caps.timestamp_ns == kinds[i].ns && caps.timestamp_mask == kinds[i].mask, "%s: %g ns, mask %llx",
          kinds[i].name, caps.timestamp_ns, (unsigned long long)caps.timestamp_mask);
    // a counter that starts anew between two marks
    uint64_t before = kinds[i].mask - 4, after = 5;
    CHECK(!kinds[i].mask || vkd__ticks_between(&caps, before, after) == 10, "%s: %llu ticks", kinds[i].name,
          (unsigned long long)vkd__ticks_between(&caps, before, after));
  }
  struct vkd_device_caps none = {.queue_family_count = 1, .queue_families = {{X, 1, 64}}};
  vkd__caps_queues(&none, 1);
  CHECK(!none.has_compute_queue && none.timestamp_ns == 0, "a queue that only copies computes");
}

int main(void) {
  unsetenv("VKD_UPLOAD_QUEUE");
  test_devices();
  test_counts();
  test_refusals();
  test_small_allocations();
  test_memory();
  test_lacks();
  test_queues();
  return check_done();
}
