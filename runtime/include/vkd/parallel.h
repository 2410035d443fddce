// Threads for work that many can share.
#ifndef VKD_PARALLEL_H
#define VKD_PARALLEL_H

enum { VKD_THREADS_MAX = 64 };

// Processors at hand, at least 1 and at most `most`.
int vkd_threads(int most);

// Calls fn(user, 0) .. fn(user, threads - 1), each on a thread of its own but the first, which runs on this one, and
// returns when all have.  Threads that cannot be had are done without: fn takes its work from a list for all.
void vkd_parallel(int threads, void (*fn)(void *user, int worker), void *user);

#endif
