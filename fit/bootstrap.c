#include "internal.h"
#include "stats.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64

struct job {
  const struct fit_problem *problem;
  const struct fit_runs *runs;
  double from[FIT_MAX_PARAMS]; // working parameters of the fit to the whole table
  int replicates;
  uint64_t seed;
  double *sample; // [replicates][params], NaN first where the replicate failed
  atomic_int next;
  atomic_bool no_memory;
};

static void *work(void *arg) {
  struct job *job = arg;
  const struct fit_problem *p = job->problem;
  int n = p->law->params, clusters = job->runs->clusters;
  int *times = malloc((size_t)clusters * sizeof *times);
  double *weight = malloc(p->count * sizeof *weight);
  if (!times || !weight) atomic_store(&job->no_memory, true);
  while (times && weight && !atomic_load(&job->no_memory)) {
    int rep = atomic_fetch_add(&job->next, 1);
    if (rep >= job->replicates) break;
    uint64_t state = fit__random_stream(job->seed, (uint64_t)rep);
    memset(times, 0, (size_t)clusters * sizeof *times);
    for (int i = 0; i < clusters; i++) times[fit__random(&state) % (uint64_t)clusters]++;
    for (size_t i = 0; i < p->count; i++) weight[i] = times[job->runs->row[i].run];
    struct fit_solution got = {0};
    double x[FIT_MAX_PARAMS];
    double *to = job->sample + (size_t)rep * (size_t)n;
    if (fit__minimise(p, weight, job->from, x, &got))
      p->law->to_si(x, &p->centre, to);
    else
      to[0] = NAN;
  }
  free(times);
  free(weight);
  return NULL;
}

static enum fit_status summarise(struct fit_bootstrap *out, const struct fit_law *law, struct fit_error *err) {
  int n = law->params, good = 0;
  for (int i = 0; i < out->replicates; i++) {
    double *from = out->sample + (size_t)i * (size_t)n;
    if (isnan(from[0])) continue;
    memmove(out->sample + (size_t)good++ * (size_t)n, from, (size_t)n * sizeof *from);
  }
  out->failed = out->replicates - good;
  if (good < 2 || out->failed > out->replicates / 10)
    return fit_fail(err, FIT_ERR_FAILED, "%d of %d resamples could not be fitted: the table is too small to resample",
                    out->failed, out->replicates);
  double *value = malloc((size_t)good * sizeof *value);
  if (!value) return fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", good);
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < good; i++) value[i] = out->sample[(size_t)i * (size_t)n + (size_t)j];
    out->param[j] = fit__interval(value, good, out->level);
  }
  if (!strcmp(law->name, "joint")) {
    for (int i = 0; i < good; i++) {
      const double *s = out->sample + (size_t)i * (size_t)n;
      value[i] = s[FIT_BETA] / (s[FIT_ALPHA] + s[FIT_BETA]);
    }
    out->size_exponent = fit__interval(value, good, out->level);
  }
  free(value);
  return FIT_OK;
}

enum fit_status fit_bootstrap(const struct fit_runs *runs, const struct fit_options *options,
                              const struct fit_solution *best, int replicates, double level, unsigned long long seed,
                              int threads, struct fit_bootstrap *out, struct fit_error *err) {
  struct fit_problem p = {0};
  pthread_t thread[MAX_THREADS];
  int started = 0;
  *out =
      (struct fit_bootstrap){.level = level != 0 ? level : 0.9, .replicates = replicates, .clusters = runs->clusters};
  if (!(out->level > 0 && out->level < 1))
    return fit_fail(err, FIT_ERR_INPUT, "interval level %g is not between 0 and 1", out->level);
  if (replicates < 2 || replicates > 1000000)
    return fit_fail(err, FIT_ERR_INPUT, "%d bootstrap replicates; 2 to 1000000 are possible", replicates);
  if (runs->clusters < FIT_MIN_CLUSTERS)
    return fit_fail(err, FIT_ERR_INPUT, "%d independent runs; intervals by resampling need at least %d", runs->clusters,
                    FIT_MIN_CLUSTERS);
  enum fit_status status = fit__problem_init(&p, runs, options, err);
  if (status) return status;
  p.polish = p.count > 20000 ? 0 : 2; // besides the whole table's own fit, which is near enough for a large one
  struct job job = {.problem = &p, .runs = runs, .replicates = replicates, .seed = seed};
  p.law->from_si(best->params, &p.centre, job.from);
  out->sample = job.sample = malloc((size_t)replicates * (size_t)p.law->params * sizeof *job.sample);
  if (!job.sample) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for %d replicates", replicates);
    goto fail;
  }
  if (threads <= 0) threads = 2;
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  while (started < threads - 1 && !pthread_create(&thread[started], NULL, work, &job)) started++;
  work(&job); // and when no thread could start, all of it
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  if (atomic_load(&job.no_memory)) {
    status = fit_fail(err, FIT_ERR_FAILED, "no memory for the weights of %zu rows", p.count);
    goto fail;
  }
  if ((status = summarise(out, p.law, err))) goto fail;
  fit__problem_free(&p);
  return FIT_OK;
fail:
  fit__problem_free(&p);
  fit_bootstrap_free(out);
  return status;
}

void fit_bootstrap_free(struct fit_bootstrap *b) {
  if (!b) return;
  free(b->sample);
  *b = (struct fit_bootstrap){0};
}
