// Ranks through MPI.  Sums do not use its reductions, whose order it leaves open: every rank gets its part of all
// ranks' numbers, adds them up, and sends the result to all, which moves as many bytes as a ring does.
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm_started.h"
#include "vkdm/comm.h"

// The one message of comm_meet() and comm_agree(): a rank that failed comes to the next of them, whichever it is.
struct word {
  double sums[COMM_SUMS];
  uint64_t hash;
  enum vkd_status status;
};

struct comm {
  MPI_Comm small, parts, wholes; // small messages; the two halves of sums, each in one order on all ranks
  int rank, size, local_rank;
  bool broken;                   // a message failed
  bool over;                     // a meeting failed, which all know
  struct word *words;            // [size]: of the last meeting
  struct comm_sum *first, **end; // begun and not done, in order
};

enum stage { IDLE, PARTS, WHOLE };

struct comm_sum {
  struct comm *comm;
  enum comm_sum_kind kind;
  enum stage stage;
  double squares;
  float *x, *got;                                 // got [size][own part]: of all ranks
  int *counts, *begins, *got_counts, *got_begins; // [size]
  MPI_Request request;
  struct comm_sum *next;
};

static enum vkd_status check(struct comm *c, int code, const char *doing, struct vkd_error *err) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (code == MPI_SUCCESS) return VKD_OK;
  c->broken = true;
  MPI_Error_string(code, text, &length);
  return vkd_fail(err, VKD_ERR_IO, "rank %d of %d, %s: MPI says: %.300s", c->rank, c->size, doing, text);
}

void comm_pause(unsigned *idle) {
  if (++*idle < 64)
    sched_yield();
  else
    nanosleep(&(struct timespec){.tv_nsec = *idle < 4096 ? 50000 : 1000000}, NULL);
}

// Ranks that share processors with a software device must not spin while they wait.
static enum vkd_status await(struct comm *c, int code, MPI_Request *request, const char *doing, struct vkd_error *err) {
  int done = 0;
  unsigned idle = 0;
  while (code == MPI_SUCCESS && (code = MPI_Test(request, &done, MPI_STATUS_IGNORE)) == MPI_SUCCESS && !done)
    comm_pause(&idle);
  return check(c, code, doing, err);
}

static int open_comms(struct comm *c) {
  MPI_Comm local;
  MPI_Comm *const own[] = {&c->small, &c->parts, &c->wholes};
  int code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  for (int i = 0; i < 3 && code == MPI_SUCCESS; i++) {
    code = MPI_Comm_dup(MPI_COMM_WORLD, own[i]);
    if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(*own[i], MPI_ERRORS_RETURN);
  }
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(c->small, &c->rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(c->small, &c->size);
  if (code == MPI_SUCCESS) code = MPI_Comm_split_type(c->small, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &local);
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(local, &c->local_rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_free(&local);
  return code;
}

enum vkd_status comm_create(struct comm **out, struct vkd_error *err) {
  int rank, provided, code = MPI_SUCCESS;
  *out = NULL;
  if (comm_started_size(&rank) <= 1) return VKD_OK;
  struct comm *c = calloc(1, sizeof *c);
  if (!c) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for ranks");
  c->end = &c->first;
  code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  if (code == MPI_SUCCESS) code = open_comms(c);
  enum vkd_status st = check(c, code, "joining the others", err);
  if (st == VKD_OK && !(c->words = calloc((size_t)c->size, sizeof *c->words)))
    st = vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for %d ranks", c->size);
  *out = c;
  if (st != VKD_OK || c->size == 1) comm_destroy(out);
  return st;
}

void comm_destroy(struct comm **pc) {
  struct comm *c = *pc;
  if (!c) return;
  if (!c->broken) MPI_Finalize();
  free(c->words);
  free(c);
  *pc = NULL;
}

int comm_rank(const struct comm *c) { return c ? c->rank : 0; }
int comm_size(const struct comm *c) { return c ? c->size : 1; }
int comm_local_rank(const struct comm *c) { return c ? c->local_rank : 0; }

// ---- small messages ------------------------------------------------------------------------------------------------
static enum vkd_status broadcast(struct comm *c, void *data, size_t bytes, int from, struct vkd_error *err) {
  enum { PIECE = 1 << 30 };
  enum vkd_status st = VKD_OK;
  for (size_t at = 0; at < bytes && st == VKD_OK; at += PIECE) {
    MPI_Request request;
    int n = bytes - at < PIECE ? (int)(bytes - at) : PIECE;
    int code = MPI_Ibcast((char *)data + at, n, MPI_BYTE, from, c->small, &request);
    st = await(c, code, &request, "a message from one to all", err);
  }
  return st;
}

// Takes over the error of rank `from`, which may be this one.
static enum vkd_status fail_as(struct comm *c, int from, enum vkd_status mine, struct vkd_error *err) {
  struct vkd_error theirs = {0}, ignored = {.status = mine};
  if (!err) err = &ignored;
  if (c->rank == from) theirs = *err;
  enum vkd_status st = broadcast(c, &theirs, sizeof theirs, from, err);
  if (st != VKD_OK) return st;
  *err = theirs;
  return from ? vkd_error_prefix(err, "rank %d", from) : err->status;
}

// Gathers everybody's word into c->words; fails where anybody failed.
static enum vkd_status meet(struct comm *c, const struct word *mine, struct vkd_error *err) {
  MPI_Request request;
  struct vkd_error lost = {0};
  if (c->broken || c->over)
    return mine->status ? mine->status : vkd_fail(err, VKD_ERR_IO, "the other ranks cannot be reached");
  int code = MPI_Iallgather(mine, sizeof *mine, MPI_BYTE, c->words, sizeof *mine, MPI_BYTE, c->small, &request);
  enum vkd_status met = await(c, code, &request, "a message to all", &lost);
  if (met != VKD_OK) return mine->status ? mine->status : vkd_fail(err, met, "%s", lost.what);
  for (int r = 0; r < c->size; r++) {
    if (c->words[r].status == VKD_OK) continue;
    c->over = true;
    return fail_as(c, r, mine->status, err);
  }
  return VKD_OK;
}

enum vkd_status comm_meet(struct comm *c, enum vkd_status st, double *sums, int count, struct vkd_error *err) {
  struct word mine = {.status = st};
  if (!c) return st;
  if (count) memcpy(mine.sums, sums, (size_t)count * sizeof *sums);
  if ((st = meet(c, &mine, err)) != VKD_OK) return st;
  for (int i = 0; i < count; i++) {
    sums[i] = 0;
    for (int r = 0; r < c->size; r++) sums[i] += c->words[r].sums[i];
  }
  return VKD_OK;
}

enum vkd_status comm_agree(struct comm *c, enum vkd_status st, uint64_t hash, enum vkd_status status, const char *what,
                           struct vkd_error *err) {
  if (!c || (st = meet(c, &(struct word){.status = st, .hash = hash}, err)) != VKD_OK) return st;
  for (int r = 1; r < c->size; r++) {
    if (c->words[r].hash == c->words[0].hash) continue;
    c->over = true;
    return vkd_fail(err, status, "rank %d of %d has %s than rank 0 (%016llx, not %016llx)", r, c->size, what,
                    (unsigned long long)c->words[r].hash, (unsigned long long)c->words[0].hash);
  }
  return VKD_OK;
}

enum vkd_status comm_share(struct comm *c, void *data, size_t bytes, struct vkd_error *err) {
  return c ? broadcast(c, data, bytes, 0, err) : VKD_OK;
}

// ---- sums ----------------------------------------------------------------------------------------------------------
enum vkd_status comm_sum_create(struct comm_sum **out, struct comm *c, enum comm_sum_kind kind, size_t count,
                                struct vkd_error *err) {
  struct comm_sum *s = *out = calloc(1, sizeof *s);
  size_t size = (size_t)c->size;
  if (s) {
    s->comm = c;
    s->kind = kind;
    s->counts = calloc(4 * size, sizeof *s->counts);
  }
  if (s && s->counts) {
    s->begins = s->counts + size;
    s->got_counts = s->begins + size;
    s->got_begins = s->got_counts + size;
    for (size_t r = 0; r < size; r++) {
      s->begins[r] = (int)comm_cut(count, r, size);
      s->counts[r] = (int)comm_cut(count, r + 1, size) - s->begins[r];
    }
    for (size_t r = 0; r < size; r++) {
      s->got_counts[r] = s->counts[c->rank];
      s->got_begins[r] = (int)r * s->counts[c->rank];
    }
    s->got = malloc((kind == COMM_GATHER ? 0 : size * (size_t)s->counts[c->rank]) * sizeof *s->got + 1);
  }
  if (s && s->counts && s->got) return VKD_OK;
  comm_sum_destroy(out);
  return vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for sums of %zu gradients", count);
}

void comm_sum_destroy(struct comm_sum **ps) {
  struct comm_sum *s = *ps;
  if (!s) return;
  free(s->counts);
  free(s->got);
  free(s);
  *ps = NULL;
}

bool comm_sum_done(const struct comm_sum *s) { return s->stage == IDLE; }
double comm_sum_squares(const struct comm_sum *s) { return s->squares; }

// Sends the own part to all.
static enum vkd_status send_whole(struct comm_sum *s, struct vkd_error *err) {
  struct comm *c = s->comm;
  int code = MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, s->x, s->counts, s->begins, MPI_FLOAT, c->wholes,
                             &s->request);
  s->stage = WHOLE;
  return check(c, code, "sending sums of gradients, or weights", err);
}

static enum vkd_status send_parts(struct comm_sum *s, struct vkd_error *err) {
  struct comm *c = s->comm;
  int code = MPI_Ialltoallv(s->x, s->counts, s->begins, MPI_FLOAT, s->got, s->got_counts, s->got_begins, MPI_FLOAT,
                            c->parts, &s->request);
  s->stage = PARTS;
  return check(c, code, "sending gradients", err);
}

enum vkd_status comm_sum_begin(struct comm_sum *s, float *x, struct vkd_error *err) {
  struct comm *c = s->comm;
  s->x = x;
  s->next = NULL;
  enum vkd_status st = s->kind == COMM_GATHER ? send_whole(s, err) : send_parts(s, err);
  if (st != VKD_OK) return st;
  *c->end = s;
  c->end = &s->next;
  return VKD_OK;
}

// The own part, over all ranks.
static void add_up(struct comm_sum *s) {
  enum { BLOCK = 512 };
  const struct comm *c = s->comm;
  int n = s->counts[c->rank];
  float *x = s->x + s->begins[c->rank];
  s->squares = 0;
  for (int at = 0; at < n; at += BLOCK) {
    double sum[BLOCK] = {0};
    int count = n - at < BLOCK ? n - at : BLOCK;
    for (int r = 0; r < c->size; r++) {
      const float *got = s->got + (size_t)s->got_begins[r] + at;
      for (int i = 0; i < count; i++) sum[i] += (double)got[i];
    }
    for (int i = 0; i < count; i++) {
      x[at + i] = (float)sum[i];
      s->squares += (double)x[at + i] * (double)x[at + i];
    }
  }
}

enum vkd_status comm_progress(struct comm *c, struct vkd_error *err) {
  bool in_order = true; // all before have begun their second half
  enum vkd_status st = VKD_OK;
  for (struct comm_sum *s = c->first; s && st == VKD_OK; s = s->next) {
    int done = 0;
    if (s->stage == PARTS && !in_order) break;
    if (s->stage == PARTS) {
      st = check(c, MPI_Test(&s->request, &done, MPI_STATUS_IGNORE), "receiving gradients", err);
      in_order = st == VKD_OK && done;
      if (!in_order) break;
      add_up(s);
      if (s->kind == COMM_SUM_PART)
        s->stage = IDLE;
      else
        st = send_whole(s, err);
    } else if (s->stage == WHOLE) {
      st = check(c, MPI_Test(&s->request, &done, MPI_STATUS_IGNORE), "receiving sums of gradients, or weights", err);
      if (done) s->stage = IDLE;
    }
  }
  while (c->first && c->first->stage == IDLE) c->first = c->first->next;
  if (!c->first) c->end = &c->first;
  return st;
}
