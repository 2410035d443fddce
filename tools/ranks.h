// Commands that several ranks run together.
#ifndef TOOLS_RANKS_H
#define TOOLS_RANKS_H

#include "cmd.h"
#include "vkdm/comm.h"

// Joins the ranks that this process was started with, if any, of which the first alone speaks, and runs the command.
enum vkd_status ranks_run(struct cmd_args *args,
                          enum vkd_status (*run)(struct cmd_args *args, struct comm *comm, struct vkd_error *err),
                          struct vkd_error *err);

#endif
