// Broken configurations: every truncation and random damage end in success or a status that tells of bad input, with
// one line of text.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "damage.h"
#include "targets/targets.h"

static int accepted, refused;

static void try_text(const char *text, size_t size, const char *override) {
  char both[1024];
  size_t n = override ? (size_t)snprintf(both, sizeof both, "%.*s\n%%%%\n%s", (int)size, text, override) : size;
  if (!override) memcpy(both, text, size);
  *(target_config((const uint8_t *)both, n) ? &accepted : &refused) += 1;
}

int main(void) {
  static const char good[] = "# run\n"
                             "model:\n  dim: 64\n  heads: 2\n  patch: [1, 2, 2]\n  ffn_ratio: 2.5\n"
                             "data: {path: \"v \\u00e9.vkd\", synthetic: false}\n"
                             "train:\n  steps: 100\n  lr: &a 1.0e-3\n  betas: [0.9, 0.95]\n  eps: 1e-8\n  batch: 8\n"
                             "eval:\n  every: 10\n";
  static const char *const tokens[] = {"-1",
                                       "1e400",
                                       "nan",
                                       "0",
                                       "9999999999999999999",
                                       "*a",
                                       "&a ",
                                       "!!int ",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       ": ",
                                       ",",
                                       "\n",
                                       "\n  ",
                                       "\t",
                                       "\"",
                                       "'",
                                       "|\n",
                                       "---\n",
                                       "...\n",
                                       "%YAML 1.1\n",
                                       "? ",
                                       "- ",
                                       "#",
                                       "\xff",
                                       "\xef\xbb\xbf",
                                       "\\0",
                                       "<<: *a\n",
                                       "train:\n",
                                       "  lr: 1\n",
                                       "~"};
  size_t size = sizeof good - 1;
  rng_state = 0x2545f4914f6cdd1du;
  try_text(good, size, NULL);
  CHECK(accepted == 1, "the undamaged text is refused");
  for (size_t n = 0; n < size; n++) try_text(good, n, NULL);
  char bad[sizeof good + 128];
  for (int i = 0; i < 20000; i++) {
    memcpy(bad, good, size);
    size_t n = size;
    for (uint32_t edits = 1 + rng() % 3; edits; edits--) {
      size_t at = rng() % n;
      if (rng() % 3 == 0) {
        bad[at] = (char)rng();
        continue;
      }
      const char *token = tokens[rng() % (sizeof tokens / sizeof tokens[0])];
      size_t length = strlen(token), skip = rng() % 4;
      if (at + skip > n) skip = n - at;
      memmove(bad + at + length, bad + at + skip, n - at - skip);
      memcpy(bad + at, token, length);
      n += length - skip;
    }
    if (rng() % 8 == 0) n = rng() % n;
    try_text(bad, n, NULL);
  }
  // Overrides: random bytes after a real or a damaged key.
  for (int i = 0; i < 5000; i++) {
    char override[64];
    static const char *const keys[] = {
        "train.lr=", "model.patch=", "data.path=", "train.schedule=", "train.recompute=", ""};
    strcpy(override, keys[rng() % 6]);
    size_t n = strlen(override);
    for (uint32_t k = rng() % 12; k; k--) override[n++] = "0123456789.,-e[] =ab\xc3\xa9\x01"[rng() % 24];
    override[n] = 0;
    try_text(good, size, override);
  }
  CHECK(accepted > 200 && refused > 200, "%d accepted, %d refused: the damage is too light or too heavy", accepted,
        refused);
  return check_done();
}
