#include "fit_job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "law_json.h"
#include "vkd/log.h"
#include "vkdm/fileio.h"

#define HOLDOUT_SHARE 0.1

static int replicates_of(const struct fit_job *job, const struct fit_runs *runs) {
  return job->bootstrap >= 0 ? job->bootstrap : runs->count > 100000 ? 100 : 400;
}

static enum vkd_status read_table(const char *table, struct fit_runs *runs, char *source, size_t room,
                                  struct vkd_error *err) {
  struct fit_error bad;
  char *path = fileio_is_dir(table) ? fileio_join(table, "runs.csv") : strdup(table);
  if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", table);
  enum fit_status status = fit_runs_read(path, runs, &bad);
  const char *name = strrchr(path, '/');
  if (source) snprintf(source, room, "%s", name ? name + 1 : path);
  free(path);
  return law_status(status, &bad, err);
}

static enum vkd_status keep_best(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err) {
  struct fit_error bad;
  int mixed = 0;
  enum fit_status status = FIT_OK;
  if (job->diverged >= 0)
    status = fit_runs_drop_diverged(&out->runs, job->diverged > 0 ? job->diverged : FIT_DIVERGED_FACTOR, &bad);
  if (!status && !job->best_per_cell && !job->all_rows) status = fit_cells_mixed(&out->runs, &mixed, &bad);
  if (!status && (job->best_per_cell || mixed)) status = fit_runs_keep_best(&out->runs, &bad);
  out->mixed = mixed;
  return law_status(status, &bad, err);
}

// The runs as they are read: the best of each cell, kept for the joint law, would leave the bowls empty.
static enum vkd_status read_hyper(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err) {
  if (job->hyper_table) return read_table(job->hyper_table, &out->all_runs, NULL, 0, err);
  size_t size = out->runs.count * sizeof *out->runs.row;
  out->all_runs = out->runs;
  out->all_runs.row = malloc(size ? size : 1);
  if (!out->all_runs.row) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", job->table);
  memcpy(out->all_runs.row, out->runs.row, size);
  return VKD_OK;
}

static void report_hyper(struct fit_job_result *out) {
  struct fit_report *r = &out->report;
  const struct hyper_result *h = &out->hyper;
  r->hyper = &h->fit;
  r->hyper_runs = &out->all_runs;
  if (h->has_bootstrap) r->hyper_bootstrap = &h->bootstrap;
  r->hyper_bootstrap_note = h->bootstrap_note;
  if (h->has_compare) r->compare = &h->compare;
  r->compare_note = h->compare_note;
}

static enum vkd_status fit_hyper(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err) {
  struct hyper_job hyper = {.options = job->hyper,
                            .bootstrap = replicates_of(job, &out->all_runs),
                            .level = job->level,
                            .seed = job->seed,
                            .optimal = job->by_law,
                            .fixed = job->fixed,
                            .compare = {.joint = job->options,
                                        .batch = job->fixed_batch,
                                        .lr = job->fixed_lr,
                                        .family = job->family,
                                        .compute = {job->compute},
                                        .budgets = 1}};
  if (!(job->compute > 0)) {
    const struct fit_runs *runs = job->fixed ? job->fixed : &out->all_runs;
    for (size_t i = 0; i < runs->count; i++)
      hyper.compare.compute[0] = fmax(hyper.compare.compute[0], fit_run_flops(&runs->row[i]));
    for (hyper.compare.budgets = 1; hyper.compare.budgets < 3; hyper.compare.budgets++)
      hyper.compare.compute[hyper.compare.budgets] = 10 * hyper.compare.compute[hyper.compare.budgets - 1];
  }
  enum vkd_status status = hyper_run(&out->all_runs, &hyper, &out->hyper, err);
  out->has_hyper = !status;
  return status ? vkd_error_prefix(err, "%s", job->table) : VKD_OK;
}

// IsoFLOP and the envelope, and what all ways are read from.  Alone, they must answer.
static enum vkd_status fit_sizes(const struct fit_job *job, struct fit_job_result *out, bool alone,
                                 struct vkd_error *err) {
  struct fit_isoflop_options o = job->isoflop;
  int replicates = replicates_of(job, &out->runs);
  o.family = job->family;
  o.replicates = replicates ? replicates : -1;
  o.level = job->level;
  o.seed = job->seed;
  enum vkd_status status = sizes_run(&out->runs, &o, &out->sizes, err);
  if (status) return status;
  if (alone && !out->sizes.has_isoflop && !out->sizes.has_envelope)
    return vkd_fail(err, VKD_ERR_INPUT, "%s: %s", job->table, out->sizes.isoflop_note);
  out->has_sizes = true;
  if (out->sizes.has_isoflop) out->report.isoflop = &out->sizes.isoflop;
  if (out->sizes.has_envelope) out->report.envelope = &out->sizes.envelope;
  if (job->parts & FIT_JOB_SIZES) { // not asked for, the joint law brings them along untold
    out->report.isoflop_note = out->sizes.isoflop_note;
    out->report.envelope_note = out->sizes.envelope_note;
  }
  out->size_sources = (struct fit_size_sources){
      .family = &job->family, .isoflop = out->report.isoflop, .envelope = out->report.envelope};
  return VKD_OK;
}

static enum vkd_status fit_table(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err) {
  struct fit_error bad;
  struct fit_report *r = &out->report;
  enum fit_status status = fit_solve(&out->runs, &job->options, &out->solution, &bad);
  // a law whose terms vanish has no optimum to report; name the table, not the law
  if (!status && (status = fit_joint_check(out->solution.params, &bad)))
    return vkd_fail(err, VKD_ERR_INPUT, "%s: these rows determine no joint law (the best fit has a vanishing term: %s)",
                    job->table, bad.what);
  if (status) {
    law_status(status, &bad, err);
    return vkd_error_prefix(err, "%s", job->table);
  }
  if ((status = fit_diagnose(&out->runs, &job->options, &out->solution, &out->diagnosis, &bad)))
    return law_status(status, &bad, err);
  r->diagnosis = &out->diagnosis;
  if (job->bootstrap) {
    status = fit_bootstrap(&out->runs, &job->options, &out->solution, replicates_of(job, &out->runs), job->level,
                           job->seed, 0, &out->bootstrap, &bad);
    if (status) {
      snprintf(out->note, sizeof out->note, "%s", bad.what);
      r->bootstrap_note = out->note;
    } else {
      r->bootstrap = &out->bootstrap;
    }
  }
  if (job->holdout) {
    double flops = job->holdout_flops > 0 ? job->holdout_flops : fit_compute_quantile(&out->runs, HOLDOUT_SHARE);
    status = fit_holdout(&out->runs, &job->options, flops, &out->holdout, &bad);
    if (status) {
      law_status(status, &bad, err);
      return vkd_error_prefix(err, "%s: hold-out above %.4g FLOPs", job->table, flops);
    }
    r->holdout = &out->holdout;
  }
  return VKD_OK;
}

static enum vkd_status write_one(const struct fit_job *job, const char *name, const struct fit_report *r, int plot,
                                 struct vkd_error *err) {
  struct fit_error bad;
  char *path = fileio_join(job->out, name);
  if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", job->out);
  enum fit_status status =
      plot < 0 ? fit_report_write(path, r, &bad) : fit_plot_write(path, (enum fit_plot)plot, r, &bad);
  free(path);
  if (status == FIT_ERR_INPUT && plot >= 0) { // a law without an optimum: the report says so too
    vkd_log(VKD_LOG_WARN, "%s not drawn: %s", name, bad.what);
    return VKD_OK;
  }
  return law_status(status, &bad, err);
}

enum vkd_status fit_job_write(const struct fit_job *job, const struct fit_job_result *out, struct vkd_error *err) {
  enum vkd_status status = fileio_make_dirs(job->out, err);
  if (status) return status;
  char *path = fileio_join(job->out, "law.json");
  if (!path) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: no memory", job->out);
  status = law_json_write(path, fit_job_json(out), err);
  free(path);
  if (!status) status = write_one(job, "report.html", &out->report, -1, err);
  for (int plot = 0; plot < FIT_PLOT_COUNT && !status; plot++) {
    char name[64];
    if (!fit_plot_has((enum fit_plot)plot, &out->report)) continue;
    snprintf(name, sizeof name, "%s.svg", fit_plot_name((enum fit_plot)plot));
    status = write_one(job, name, &out->report, plot, err);
  }
  return status;
}

json_t *fit_job_json(const struct fit_job_result *r) {
  double low, high;
  json_t *root = r->has_joint ? law_json_make(&r->report)
                              : json_pack("{s:s,s:o}", "law", r->has_hyper ? "hyper" : "isoflop", "excluded",
                                          law_json_excluded(r->report.runs));
  if (root && r->has_hyper) hyper_add_json(&r->hyper, root);
  if (root && r->has_sizes) {
    sizes_add_json(&r->sizes, root);
    fit_report_range(&r->report, &low, &high);
    sizes_add_ways_json(&r->size_sources, low, high, root);
  }
  return root;
}

// Whether a part that failed is only told, because the table does not allow it and others remain.
static bool left_out(bool others, enum vkd_status status, const struct vkd_error *err, char *note, size_t room) {
  if (!others || status != VKD_ERR_INPUT) return false;
  snprintf(note, room, "%.*s", (int)room - 1, err->what);
  return true;
}

enum vkd_status fit_job_run(const struct fit_job *job, struct fit_job_result *out, struct vkd_error *err) {
  *out = (struct fit_job_result){0};
  enum vkd_status status;
  if ((status = read_table(job->table, &out->runs, out->source, sizeof out->source, err))) goto fail;
  out->report = (struct fit_report){.title = job->title,
                                    .source = out->source,
                                    .command = job->command,
                                    .runs = &out->runs,
                                    .family = &job->family,
                                    .compute = job->compute,
                                    .solution_note = out->joint_note,
                                    .hyper_note = out->hyper_note};
  unsigned parts = job->parts ? job->parts : FIT_JOB_JOINT;
  bool several = parts & (parts - 1);
  struct vkd_error first = {0};
  if (parts & FIT_JOB_HYPER && (status = read_hyper(job, out, err))) goto fail;
  if (parts & FIT_JOB_HYPER && (status = fit_hyper(job, out, &first)) &&
      !left_out(several, status, &first, out->hyper_note, sizeof out->hyper_note)) {
    if (err) *err = first;
    goto fail;
  }
  if (out->has_hyper) report_hyper(out);
  if (parts & (FIT_JOB_JOINT | FIT_JOB_SIZES) && (status = keep_best(job, out, err))) goto fail;
  if (parts & FIT_JOB_JOINT) {
    if ((status = fit_table(job, out, err)) &&
        !left_out(out->has_hyper, status, err, out->joint_note, sizeof out->joint_note))
      goto fail;
    out->has_joint = !status;
  }
  if ((out->has_joint || parts & FIT_JOB_SIZES) && (status = fit_sizes(job, out, parts == FIT_JOB_SIZES, err)))
    goto fail;
  if (out->has_joint) {
    out->report.solution = &out->solution;
    out->size_sources.joint = out->solution.params;
  }
  if (out->report.bootstrap) {
    out->sample = fit_bootstrap_sample(&out->bootstrap);
    out->size_sources.sample = &out->sample;
  }
  return VKD_OK;
fail:
  fit_job_free(out);
  return status;
}

void fit_job_free(struct fit_job_result *r) {
  fit_runs_free(&r->runs);
  fit_runs_free(&r->all_runs);
  fit_bootstrap_free(&r->bootstrap);
  hyper_free(&r->hyper);
  sizes_free(&r->sizes);
  *r = (struct fit_job_result){0};
}
