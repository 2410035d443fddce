// The first tensor with numbers that are not finite: in an input, a bound tensor, or what a node makes of finite ones.
#include <math.h>
#include <string.h>

#include "device.h"
#include "vkd/exec.h"
#include "vkd/ops.h"

enum { N = 1003 };

static struct vkd_device *dev;

struct expected {
  const char *name, *op; // op NULL: a leaf; name NULL: all is finite
  uint64_t count, first;
};

// y = silu(a + b), z = y + (y + w), into a bound tensor that is written after it was read.
static void look(const char *what, const float *a, const float *b, const float *w, struct expected want) {
  struct vkd_graph *g = NULL;
  struct vkd_program *p = NULL;
  struct vkd_buffer *state = NULL, *sum = NULL;
  struct vkd_nonfinite found = {0};
  struct vkd_error err = {0};
  enum vkd_status st = vkd_graph_create(&g, &err);
  if (st == VKD_OK) st = vkd_buffer_create(&state, dev, N * sizeof(float), &err);
  if (st == VKD_OK) st = vkd_buffer_create(&sum, dev, N * sizeof(float), &err);
  if (st == VKD_OK) st = vkd_buffer_write(state, 0, w, N * sizeof(float), &err);
  if (st == VKD_OK) {
    vkd_tensor at = vkd_input(g, "a", VKD_F32, VKD_SHAPE(N)), bt = vkd_input(g, "b", VKD_F32, VKD_SHAPE(N)),
               wt = vkd_bound(g, "weights", VKD_F32, VKD_SHAPE(N), state, 0),
               zt = vkd_bound(g, "sum", VKD_F32, VKD_SHAPE(N), sum, 0);
    vkd_graph_label_push(g, "one");
    vkd_tensor y = vkd_silu(g, vkd_add(g, at, bt));
    vkd_graph_label_pop(g);
    vkd_graph_label_push(g, "two");
    vkd_tensor z = vkd_add(g, y, vkd_add(g, y, vkd_slice(g, wt, 0, N)));
    vkd_place(g, z, zt);
    vkd_graph_label_pop(g);
    st = vkd_program_create(&p, &(struct vkd_program_params){.device = dev, .graph = g, .no_reuse = true}, &err);
    if (st == VKD_OK) memcpy(vkd_program_input(p, 0, at), a, N * sizeof(float));
    if (st == VKD_OK) memcpy(vkd_program_input(p, 0, bt), b, N * sizeof(float));
  }
  if (st == VKD_OK) st = vkd_program_run(p, &err);
  if (st == VKD_OK) st = vkd_program_nonfinite(p, &found, &err);
  CHECK(st == VKD_OK, "%s: %s", what, err.what);
  if (st == VKD_OK && !want.name) {
    CHECK(!found.tensor.id, "%s: %s of %s", what, found.op, found.name);
  } else if (st == VKD_OK) {
    bool same = found.tensor.id && !strcmp(found.name, want.name) && found.leaf == !want.op &&
                (!want.op || !strcmp(found.op, want.op)) && found.count == want.count && found.first == want.first;
    CHECK(same && found.numel == N, "%s: %s of %s, %llu of %llu from %llu", what, found.op, found.name,
          (unsigned long long)found.count, (unsigned long long)found.numel, (unsigned long long)found.first);
  }
  vkd_program_destroy(&p);
  vkd_graph_destroy(&g);
  vkd_buffer_destroy(&state);
  vkd_buffer_destroy(&sum);
}

int main(void) {
  static float zero[N], nan[N], inf[N], large[N];
  dev = device_or_skip(false);
  nan[7] = NAN;
  inf[N - 1] = -INFINITY;
  large[500] = large[501] = 3e38f;
  look("finite", zero, zero, zero, (struct expected){0});
  look("nan", zero, nan, inf, (struct expected){"b", NULL, 1, 7});
  look("weights", large, zero, inf, (struct expected){"weights", NULL, 1, N - 1});
  look("overflow", large, large, zero, (struct expected){"one", "add", 2, 500});
  look("later", large, zero, large, (struct expected){"two", "add", 2, 500});
  return device_done(&dev);
}
