#include <limits.h>
#include <stdlib.h>

#include "comm_started.h"
#include "vkdm/comm.h"

// What starters of ranks tell them: Open MPI; MPICH, Intel MPI and srun --mpi=pmi2; srun --mpi=pmix.
static const struct {
  const char *rank, *size;
} starters[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}, {"PMIX_RANK", "SLURM_NTASKS"}};

// 0 for what is no number.
static int number(const char *text) {
  long value = strtol(text, NULL, 10);
  return value > 0 && value <= INT_MAX ? (int)value : 0;
}

int comm_started_size(int *rank) {
  *rank = 0;
  for (size_t i = 0; i < sizeof starters / sizeof starters[0]; i++) {
    const char *r = getenv(starters[i].rank), *n = getenv(starters[i].size);
    if (!r || !n) continue;
    *rank = number(r);
    return number(n);
  }
  return 1;
}

bool comm_started(int *rank) { return comm_started_size(rank) > 1; }
