// A run's folder as `vkdit watch` reads it: metrics.jsonl, summary.json and config.yaml are the parts.  Read while the
// metrics grow, it shows what one reading shows.
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "../../../tools/watch_run.h"
#include "targets.h"

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void curve_holds(const struct curve *c) {
  HOLDS(c->count >= 0 && c->count <= CURVE_POINTS && (c->filling == 0 || c->filling < c->each), "%d points of %d",
        c->count, c->each);
}

bool target_watch(const uint8_t *data, size_t size) {
  static struct watch_run grown, whole;
  struct target_part parts[TARGET_PARTS];
  target_split(data, size, parts);
  target_write("summary.json", parts[1].data, parts[1].size);
  target_write("config.yaml", parts[2].data, parts[2].size);
  target_write("metrics.jsonl", parts[0].data, parts[0].size / 2);
  int folder = open(target_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  HOLDS(folder >= 0, "%s", target_folder());
  watch_run_reset(&grown);
  watch_run_reset(&whole);
  watch_run_read(&grown, folder, SIZE_MAX);
  target_write("metrics.jsonl", parts[0].data, parts[0].size);
  while (watch_run_read(&grown, folder, 1)) {
  }
  watch_run_read(&whole, folder, SIZE_MAX);
  close(folder);
  HOLDS(grown.offset == whole.offset && (size_t)whole.offset <= parts[0].size, "%lld, %lld of %zu bytes",
        (long long)grown.offset, (long long)whole.offset, parts[0].size);
  HOLDS(grown.step == whole.step && same(grown.loss, whole.loss) && same(grown.best, whole.best) &&
            grown.loss_curve.count == whole.loss_curve.count &&
            grown.heldout_curve.count == whole.heldout_curve.count && grown.state == whole.state &&
            grown.has_config == whole.has_config,
        "step %lld, %lld", (long long)grown.step, (long long)whole.step);
  curve_holds(&whole.loss_curve);
  curve_holds(&whole.heldout_curve);
  HOLDS(whole.rate_count <= WATCH_RATES && !(watch_run_rate(&whole) < 0) && !(watch_run_params(&whole) < 0), "rates");
  bool taken = whole.step > 0 || whole.summary || whole.has_config;
  watch_run_free(&grown);
  watch_run_free(&whole);
  return taken;
}
