// What makes calls that touch files fail (faults.c), for a program that holds it instead of being started under it.
#ifndef VKD_TEST_FAULTS_H
#define VKD_TEST_FAULTS_H

// Of the calls from now on that touch files below `root`, the at-th (from 1) fails as `kind` says ("none", "eio", ...).
// log: a file that gets a line per call, NULL: none.  Strings must stay.  No other thread makes such a call meanwhile.
void faults_begin(const char *root, const char *kind, long at, const char *log);
// Ends it; returns how many calls there were.
long faults_end(void);

#endif
