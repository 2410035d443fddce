// Calls that fail as those of a device that hangs or is full: the kernel, the numbers and what helps are named, and a
// run's last checkpoint is told.  The Vulkan functions below stand before the loader's.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "../../model/step.h"
#include "device.h"
#include "models.h"
#include "temp.h"
#include "vkd/ops.h"
#include "vkdm/fileio.h"
#include "vkdm/train.h"

static int64_t waits_left = INT64_MAX, submits_left = INT64_MAX; // until they fail
static uint64_t largest = UINT64_MAX;                            // allocation that is granted

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

VKAPI_ATTR VkResult VKAPI_CALL vkWaitSemaphores(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout) {
  PFN_vkWaitSemaphores f;
  *(void **)&f = real("vkWaitSemaphores");
  VkResult r = f(device, info, timeout);
  return waits_left-- > 0 ? r : VK_ERROR_DEVICE_LOST;
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence) {
  PFN_vkQueueSubmit f;
  *(void **)&f = real("vkQueueSubmit");
  return submits_left-- > 0 ? f(queue, count, infos, fence) : VK_ERROR_DEVICE_LOST;
}

VKAPI_ATTR VkResult VKAPI_CALL vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                                const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory) {
  PFN_vkAllocateMemory f;
  *(void **)&f = real("vkAllocateMemory");
  return info->allocationSize <= largest ? f(device, info, callbacks, memory) : VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void expect(enum vkd_status got, enum vkd_status want, const struct vkd_error *err, const char *text) {
  CHECK(got == want && err->status == want && strstr(err->what, text), "%s: '%s', not '%s'", vkd_status_name(got),
        err->what, text);
}

// A product, a norm and a sum; lost in the run, or at its submission.
static void test_kernel(struct vkd_device *dev, bool at_submit, const char *text) {
  struct vkd_error err = {0};
  struct vkd_graph *g = NULL;
  struct vkd_program *p = NULL;
  CHECK(vkd_graph_create(&g, &err) == VKD_OK, "%s", err.what);
  vkd_tensor x = vkd_input(g, "x", VKD_F32, VKD_SHAPE(64, 64));
  vkd_graph_label_push(g, "block7");
  vkd_tensor y = vkd_gelu(g, vkd_matmul(g, x, x, false, true, (vkd_tensor){0}, (vkd_tensor){0}));
  vkd_graph_label_push(g, "end");
  vkd_output(g, vkd_sum_squares(g, y));
  vkd_graph_label_pop(g);
  vkd_graph_label_pop(g);
  CHECK(vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g}, &err) == VKD_OK, "%s",
        err.what);
  CHECK(vkd_program_run(p, &err) == VKD_OK, "%s", err.what);
  if (at_submit)
    submits_left = vkd_device_get_caps(dev)->upload_queue; // the inputs' copy is submitted before, where it is apart
  else
    waits_left = 0;
  enum vkd_status st = vkd_program_run(p, &err);
  waits_left = submits_left = INT64_MAX;
  expect(st, VKD_ERR_DEVICE_LOST, &err, text);
  expect(st, VKD_ERR_DEVICE_LOST, &err, "VK_ERROR_DEVICE_LOST");
  CHECK(vkd_status_exit_code(st) == 1, "exit status %d", vkd_status_exit_code(st));
  printf("%s\n", err.what);
  vkd_program_destroy(&p);
  vkd_graph_destroy(&g);
}

static void test_kernels(void) {
  struct vkd_device *dev = device_or_skip(false);
  test_kernel(dev, false, "with VKD_SYNC=full the message names the one");
  test_kernel(dev, false, "(matmul of block7)");
  test_kernel(dev, true, "(sum_squares of block7/end)");
  vkd_device_destroy(&dev);
  setenv("VKD_SYNC", "full", 1);
  dev = device_or_skip(false);
  // all of it has run in fact: the last dispatch is the one that was started last
  test_kernel(dev, false, " stopped working in kernel sum_squares (sum_squares of block7/end)");
  unsetenv("VKD_SYNC");
  vkd_device_destroy(&dev);
}

static struct config small_run(void) {
  struct config c;
  struct vkd_error err = {0};
  static const char text[] = "model: {family: cross_dit, dim: 24, depth: 1, heads: 2, patch: [1, 2, 2], freq_dim: 16}\n"
                             "data: {synthetic: true, frames: 2, size: [8, 8], count: 8}\n"
                             "train: {steps: 6, batch: 2}\n"
                             "checkpoint: {every: 2}\n";
  CHECK(config_from_string("run", text, sizeof text - 1, NULL, 0, &c, &err) == VKD_OK, "%s", err.what);
  return c;
}

struct watch {
  int64_t step;
};
static void on_progress(void *user, const struct train_progress *t) {
  if (t->step == ((struct watch *)user)->step) waits_left = 0;
}

static void test_train(int64_t lost_after, const char *text) {
  char folder[TEMP_SIZE];
  struct vkd_error err = {0};
  struct config config = small_run();
  struct train_result result;
  struct watch watch = {lost_after};
  struct vkd_device *dev = device_or_skip(false);
  temp_folder(folder);
  struct train_params params = {
      .device = dev, .config = &config, .run = folder, .overwrite = true, .progress = on_progress, .user = &watch};
  enum vkd_status st = train_run(&params, &result, &err);
  waits_left = INT64_MAX;
  expect(st, VKD_ERR_DEVICE_LOST, &err, text);
  expect(st, VKD_ERR_DEVICE_LOST, &err, " stopped working ");
  printf("%s\n", err.what);
  train_result_free(&result);
  // and goes on from there
  err = (struct vkd_error){0};
  watch.step = -1;
  params.resume = true;
  params.overwrite = false;
  st = train_run(&params, &result, &err);
  CHECK(st == VKD_OK && result.steps == 6, "%lld steps: %s", (long long)result.steps, err.what);
  train_result_free(&result);
  vkd_device_destroy(&dev);
  char command[TEMP_SIZE + 16];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  CHECK(system(command) == 0, "%s", command);
}

// A device that grants small allocations alone though its budget says more.
static void test_memory(void) {
  struct vkd_error err = {0};
  struct params *params = NULL;
  struct step *step = NULL;
  struct config config;
  struct dit_config model = small_cross;
  struct vkd_device *dev = device_or_skip(false);
  model.latent[1] = model.latent[2] = 24;
  model.depth = 4;
  config_default(&config);
  config.train.batch = 8;
  config.train.micro_batch = 8;
  enum vkd_status st = params_create(&params, dev, &model, PARAMS_FOR_TRAINING | 1u << PARAMS_GRAD_SUM, &err);
  CHECK(st == VKD_OK, "%s", err.what);
  largest = 8 << 20;
  st = step_create(&step, &config, params, NULL, &err);
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, "activations: ");
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, " MiB asked for, ");
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, " in heap 0 of ");
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, "VK_ERROR_OUT_OF_DEVICE_MEMORY");
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, "would fit"); // train.recompute or train.micro_batch
  printf("%s\n", err.what);
  step_destroy(&step);
  params_destroy(&params);
  largest = 4096;
  err = (struct vkd_error){0};
  st = params_create(&params, dev, &model, PARAMS_FOR_TRAINING, &err);
  expect(st, VKD_ERR_DEVICE_MEMORY, &err, "lower model.dim or depth): ");
  printf("%s\n", err.what);
  largest = UINT64_MAX;
  params_destroy(&params);
  vkd_device_destroy(&dev);
}

int main(void) {
  test_kernels();
  test_train(1, "no checkpoint was written yet");
  test_train(3, "/checkpoints/step-000000002 (--resume goes on from it)");
  test_memory();
  return check_done();
}
