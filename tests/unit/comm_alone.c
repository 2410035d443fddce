// A build without MPI refuses to be one of several ranks, whatever started it, and else trains alone.
#include "../../model/comm_alone.c" // NOLINT(bugprone-suspicious-include): a build with MPI leaves it out

#include <stdlib.h>
#include <string.h>

#include "check.h"

int main(void) {
  static const struct {
    const char *rank, *size;
  } starters[] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}, {"PMIX_RANK", "SLURM_NTASKS"}};
  enum { STARTERS = sizeof starters / sizeof starters[0] };
  struct comm *comm = NULL;
  struct vkd_error err = {0};
  int rank = 0;
  for (int i = 0; i < STARTERS; i++) unsetenv(starters[i].rank), unsetenv(starters[i].size);
  CHECK(!comm_started(&rank) && comm_create(&comm, &err) == VKD_OK && !comm, "alone: %s", err.what);
  for (int i = 0; i < STARTERS; i++) {
    setenv(starters[i].rank, "3", 1);
    setenv(starters[i].size, "4", 1);
    CHECK(comm_started(&rank) && rank == 3, "%s: rank %d", starters[i].rank, rank);
    CHECK(comm_create(&comm, &err) == VKD_ERR_UNSUPPORTED && !comm, "%s is not seen", starters[i].size);
    CHECK(strstr(err.what, "one of 4 ranks, but built without MPI: install it"), "%s", err.what);
    setenv(starters[i].size, "1", 1);
    CHECK(comm_create(&comm, &err) == VKD_OK && !comm, "%s=1: %s", starters[i].size, err.what);
    unsetenv(starters[i].rank), unsetenv(starters[i].size);
  }
  return check_done();
}
