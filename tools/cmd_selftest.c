// vkdit selftest: every op on the device against its float64 reference.
#include <stdio.h>
#include <time.h>

#include "cmd.h"
#include "compile_report.h"
#include "progress.h"
#include "vkd/selftest.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_DEVICE,
    {.name = "op", .kind = CMD_STRING, .metavar = "NAME", .help = "only the cases of one op"},
    {.name = "all", .help = "every case in every way to run it, though its kernels ran with like constants"},
    {.name = "jobs",
     .kind = CMD_INT,
     .metavar = "N",
     .min = 1,
     .max = 32,
     .help = "threads, each with a device of its own (default: one per processor, at most 8)"},
    {.name = "compile-only", .help = "make every pipeline that cases and built-in models take, run none"},
    {.name = "json", .kind = CMD_FLAG, .help = "with --compile-only: print JSON, with every specialisation"},
    {0},
};

static void show_progress(void *user, uint32_t done, uint32_t total, const struct vkd_selftest_result *begun) {
  struct progress *p = user;
  char note[80];
  if (!p->total) progress_begin(p, "selftest", "cases", 0, total);
  snprintf(note, sizeof note, "%s/%s %s", begun->op, begun->name, begun->form ? begun->form : "");
  progress_update(p, done, note);
}

static void print_case(void *user, const struct vkd_selftest_result *r) {
  struct progress *p = user;
  if (p->total) progress_end(p, NULL);
  p->total = 0;
  char backward[16] = "-";
  if (r->skipped) {
    printf("skip %-18s %-16s the device lacks 16-bit storage\n", r->op, r->name);
    return;
  }
  if (r->backward >= 0 || r->backward != r->backward) snprintf(backward, sizeof backward, "%.2e", r->backward);
  printf("%-4s %-18s %-16s %-8s forward %.2e  backward %8s  at most %.1e%s%s\n", r->pass ? "ok" : "MISS", r->op,
         r->name, r->form ? r->form : "", r->forward, backward, r->tolerance, r->pass ? "" : "  ",
         r->pass ? "" : r->what);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum vkd_status run_cases(struct vkd_device *dev, struct cmd_args *args, struct vkd_error *err) {
  const struct vkd_device_caps *caps = vkd_device_get_caps(dev);
  struct vkd_selftest_params params = {.only = cmd_string(args, "op"),
                                       .all = cmd_has(args, "all"),
                                       .progress = show_progress,
                                       .jobs = cmd_has(args, "jobs") ? (int)cmd_int(args, "jobs") : 0};
  struct vkd_selftest_summary sum;
  struct progress progress = {.total = 0};
  double begin = seconds();
  enum vkd_status st = vkd_selftest_run(dev, &params, print_case, &progress, &sum, err);
  if (progress.total) progress_end(&progress, NULL);
  if (st != VKD_OK) return st;
  printf("%s: %u cases over %u kernel rows, each twice: %u missed, %u skipped, %u left to --all; %.1f s on %s (%s)\n",
         sum.failed ? "FAIL" : "PASS", sum.cases, sum.rows, sum.failed, sum.skipped, sum.left_out, seconds() - begin,
         caps->name, caps->driver_info);
  return sum.failed ? vkd_fail(err, VKD_ERR_MISMATCH, "selftest: %u of %u cases missed", sum.failed, sum.cases)
                    : VKD_OK;
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  if (cmd_has(args, "op") && cmd_has(args, "compile-only"))
    return vkd_fail(err, VKD_ERR_USAGE,
                    "selftest: --op chooses cases to run, --compile-only runs none; give one of them");
  bool compile = cmd_has(args, "compile-only");
  if (cmd_has(args, "json") && !compile)
    return vkd_fail(err, VKD_ERR_USAGE, "selftest: --json is for --compile-only alone");
  struct vkd_device *dev = NULL;
  struct vkd_device_params params = {.select = cmd_string(args, "device"), .compile_only = compile};
  if (compile) params.cache_dir = ""; // thousands of pipelines that nothing else asks for
  enum vkd_status st = vkd_device_create(&dev, &params, err);
  if (st == VKD_OK) st = compile ? compile_report(dev, cmd_has(args, "json"), err) : run_cases(dev, args, err);
  char complaint[400] = "";
  if (st == VKD_OK && vkd_device_validation(dev, complaint, sizeof complaint))
    st = vkd_fail(err, VKD_ERR_VULKAN, "selftest: the validation layer complained: %s", complaint);
  vkd_device_destroy(&dev);
  return st;
}

const struct cmd cmd_selftest = {
    .name = "selftest",
    .summary = "Checks every kernel on a device against float64 references, forward and backward",
    .usage = "",
    .details = "Errors are ||x - ref|| / ||ref|| of the worst output and the worst gradient of a case.",
    .opts = opts,
    .run = run,
};
