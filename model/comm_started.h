// What the environment tells of ranks.  Internal to model/.
#ifndef VKDM_COMM_STARTED_H
#define VKDM_COMM_STARTED_H

int comm_started_size(int *rank); // 1: this process is alone

#endif
