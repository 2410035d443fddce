// Edit distance against known values and against its own symmetry; the nearest name.
#include "check.h"
#include "vkd/nearest.h"

#include <string.h>

int main(void) {
  static const struct {
    const char *a, *b;
    int distance;
  } known[] = {{"", "", 0},           {"", "abc", 3},     {"kitten", "sitting", 3},  {"train", "trian", 1},
               {"batch", "Batch", 0}, {"ca", "abc", 3},   {"saturday", "sunday", 3}, {"steps", "step", 1},
               {"flow", "wolf", 3},   {"abcd", "badc", 2}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    int ab = vkd_edit_distance(known[i].a, known[i].b), ba = vkd_edit_distance(known[i].b, known[i].a);
    CHECK(ab == known[i].distance && ba == ab, "%s, %s: %d, %d, want %d", known[i].a, known[i].b, ab, ba,
          known[i].distance);
  }
  char a[200], b[200];
  memset(a, 'x', sizeof a - 1);
  memset(b, 'y', sizeof b - 1);
  a[199] = b[199] = 0;
  CHECK(vkd_edit_distance(a, a) == 0 && vkd_edit_distance(a, b) == 63, "long names are cut at 63");

  static const char *const names[] = {"train", "sample", "sweep", "tune", "fit", "plan"};
  static const struct {
    const char *typed, *want;
  } cases[] = {{"trian", "train"}, {"TRAIN", "train"}, {"smaple", "sample"}, {"swep", "sweep"}, {"plna", "plan"},
               {"zzz", NULL},      {"x", NULL},        {"fi", "fit"},        {"", NULL},        {"checkpoint", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *got = vkd_nearest_name(cases[i].typed, names, 6);
    CHECK(got == cases[i].want || (got && cases[i].want && !strcmp(got, cases[i].want)), "'%s' gives %s, want %s",
          cases[i].typed, got ? got : "none", cases[i].want ? cases[i].want : "none");
  }
  CHECK(vkd_nearest_name("train", names, 0) == NULL, "no names");
  return check_done();
}
