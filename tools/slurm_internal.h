// Shared by slurm.c (what runs, and the queue) and slurm_scripts.c (texts).
#ifndef VKDIT_SLURM_INTERNAL_H
#define VKDIT_SLURM_INTERNAL_H

#include "slurm.h"

// A run: its work as sweep_cell_work() counts, its time (NaN: not known), and the element that makes it.
struct slurm_cell {
  double work, seconds;
  int cell, element;
};

// One of the array: runs that are made one after another.
struct slurm_element {
  double work, seconds;
  int number;      // while cells are dealt out
  int64_t minutes; // that it may take; 0: as the cluster has it
};

// Cheap ones first, elements as well as the cells of each.
struct slurm_array {
  struct slurm_element *elements; // [count]
  struct slurm_cell *cells;       // [cell_count], those of the first element, of the second, ...
  int count, cell_count;
};

// Writes the files into `to`, an absolute path.
enum vkd_status slurm__write_scripts(const struct slurm_params *p, const struct slurm_array *array, const char *to,
                                     struct vkd_error *err);

#endif
