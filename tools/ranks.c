#include "ranks.h"

enum vkd_status ranks_run(struct cmd_args *args,
                          enum vkd_status (*run)(struct cmd_args *args, struct comm *comm, struct vkd_error *err),
                          struct vkd_error *err) {
  struct comm *comm = NULL;
  int rank;
  args->silent = comm_started(&rank) && rank > 0;
  enum vkd_status st = comm_create(&comm, err);
  if (st == VKD_OK) st = run(args, comm, err);
  comm_destroy(&comm);
  return st;
}
