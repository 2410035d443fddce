// Run configurations: every kind of field, every refusal with its place and mend, round trips to the bit.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "temp.h"
#include "vkdm/config.h"
#include "xorshift.h"
#include "vkdm/fileio.h"

static const char *const no_overrides[] = {NULL};

static enum vkd_status parse(const char *text, const char *const *overrides, size_t count, struct config *config,
                             struct vkd_error *err) {
  *err = (struct vkd_error){0};
  return config_from_string("c.yaml", text, strlen(text), overrides, count, config, err);
}

// All of `words` occur in the message.
static void check_refused(const char *text, enum vkd_status want, const char *a, const char *b) {
  struct config config;
  struct vkd_error err;
  enum vkd_status got = parse(text, no_overrides, 0, &config, &err);
  CHECK(got == want, "%s gives %s: %s", text, vkd_status_name(got), err.what);
  CHECK(strstr(err.what, a) && strstr(err.what, b), "'%s' lacks '%s' or '%s'", err.what, a, b);
  CHECK(!strchr(err.what, '\n'), "more than one line: %s", err.what);
}

static void check_override_refused(const char *override, const char *a, const char *b) {
  struct config config;
  struct vkd_error err;
  const char *list[] = {override};
  enum vkd_status got = parse("train: {steps: 10}", list, 1, &config, &err);
  CHECK(got == VKD_ERR_USAGE, "%s gives %s", override, vkd_status_name(got));
  CHECK(strstr(err.what, a) && strstr(err.what, b), "'%s' lacks '%s' or '%s'", err.what, a, b);
}

static void test_values(void) {
  struct config c;
  struct vkd_error err;
  const char *text = "# a comment\n"
                     "model:\n"
                     "  dim: 192\n"
                     "  heads: 6\n"
                     "  ffn_ratio: 5.833333333333333\n"
                     "  patch: [2, 4, 4]\n"
                     "data:\n"
                     "  path: 'a b.vkd'\n"
                     "  synthetic: true\n"
                     "  codec: haar\n"
                     "train:\n"
                     "  tokens: 1e9\n"
                     "  lr: 3.0e-4\n"
                     "  schedule: constant\n"
                     "  betas: [0.9, 0.999]\n"
                     "  batch: 64\n"
                     "  micro_batch: 16\n"
                     "eval:\n";
  CHECK(!parse(text, no_overrides, 0, &c, &err), "%s", err.what);
  CHECK(c.model.dim == 192 && c.model.heads == 6 && c.model.depth == 4, "model");
  CHECK(config_ffn(&c) == 1120, "ffn %d", config_ffn(&c));
  CHECK(c.model.patch[0] == 2 && c.model.patch[1] == 4 && c.model.patch[2] == 4, "patch");
  CHECK(!strcmp(c.data.path, "a b.vkd") && c.data.synthetic && c.data.codec == CONFIG_HAAR, "data");
  CHECK(c.train.tokens == 1000000000 && c.train.steps == 0 && c.train.lr == 3e-4, "train");
  CHECK(c.train.schedule == CONFIG_CONSTANT && c.train.betas[1] == 0.999, "train");
  CHECK(config_micro_batch(&c) == 16 && config_accumulation(&c) == 4, "accumulation");
  char micro[32];
  CHECK(!config_set(&c, "train.micro_batch", "auto", &err) && c.train.micro_batch == CONFIG_AUTO, "%s", err.what);
  CHECK(!config_get(&c, "train.micro_batch", micro, sizeof micro, &err) && !strcmp(micro, "auto"), "prints %s", micro);
  CHECK(!config_check(&c, &err) && config_accumulation(&c) == 1, "%s", err.what);
  CHECK(c.model.classes == CONFIG_AUTO && c.eval.every == 100, "defaults");
  CHECK(!config_require_data(&c, NULL), "a path is set");

  const char *overrides[] = {"data.path=v=1.vkd", "train.lr=1e-3",       "model.patch=[1,2, 2]",
                             "train.steps=7",     "train.betas=0.8,0.9", "data.synthetic=false"};
  CHECK(!parse(text, overrides, 6, &c, &err), "%s", err.what);
  CHECK(!strcmp(c.data.path, "v=1.vkd") && c.train.lr == 1e-3 && c.model.patch[0] == 1 && c.train.betas[0] == 0.8 &&
            !c.data.synthetic,
        "overrides");
  CHECK(c.train.steps == 7 && c.train.tokens == 0, "an override of steps must drop the file's tokens");
}

static void test_refusals(void) {
  check_refused("train:\n  steps: 1\n  betch: 2\n", VKD_ERR_INPUT, "c.yaml:3:", "'train.batch'");
  check_refused("train:\n  steps: 1\nlr: 2\n", VKD_ERR_INPUT, "c.yaml:3:", "'train.lr'");
  check_refused("model:\n  lr: 2\n", VKD_ERR_INPUT, "c.yaml:2:", "'train.lr'");
  check_refused("modle:\n  dim: 2\n", VKD_ERR_INPUT, "c.yaml:1:", "'model'");
  check_refused("eval:\n  zzzzzzzzz: 2\n", VKD_ERR_INPUT,
                "c.yaml:2:", "keys there are every, holdout, batch, ema, seed");
  check_refused("qqqqqqqqqqqq: 1\n", VKD_ERR_INPUT, "c.yaml:1:", "sections are model");
  check_refused("model:\n  dim: 96\n  dim: 96\n", VKD_ERR_INPUT, "c.yaml:3:", "twice, first on line 2");
  check_refused("model:\n  dim: 96\nmodel:\n  depth: 2\n", VKD_ERR_INPUT, "c.yaml:3:", "section is given twice");
  check_refused("model:\n  dim: wide\n", VKD_ERR_INPUT, "c.yaml:2: model.dim is 'wide'",
                "a whole number from 2 to 65536");
  check_refused("model:\n  dim: 96.5\n", VKD_ERR_INPUT, "c.yaml:2:", "'96.5'");
  check_refused("model:\n  dim: 0\n", VKD_ERR_INPUT, "c.yaml:2:", "from 2 to 65536");
  check_refused("model:\n  dim:\n", VKD_ERR_INPUT, "c.yaml:2:", "no value");
  check_refused("model:\n  dim: [96]\n", VKD_ERR_INPUT, "c.yaml:2:", "wrong form");
  check_refused("model:\n  dim: 0x60\n", VKD_ERR_INPUT, "c.yaml:2:", "'0x60'");
  check_refused("model:\n  patch: [1, 2]\n", VKD_ERR_INPUT, "c.yaml:2: model.patch has 2 values",
                "3 values, each a whole");
  check_refused("model:\n  patch: [1, 2, {}]\n", VKD_ERR_INPUT, "c.yaml:2:", "is ''");
  check_refused("train:\n  lr: nan\n", VKD_ERR_INPUT, "c.yaml:2:", "'nan'");
  check_refused("train:\n  lr: inf\n", VKD_ERR_INPUT, "c.yaml:2:", "'inf'");
  check_refused("train:\n  lr: 1e999\n", VKD_ERR_INPUT, "c.yaml:2:", "'1e999'");
  check_refused("train:\n  lr: 1e-3x\n", VKD_ERR_INPUT, "c.yaml:2:", "'1e-3x'");
  check_refused("train:\n  lr: -1\n", VKD_ERR_INPUT, "c.yaml:2:", "from 0 to 100");
  check_refused("train:\n  schedule: cosin\n", VKD_ERR_INPUT, "constant or cosine", "did you mean cosine?");
  check_refused("train: {objective: hybird}\n", VKD_ERR_INPUT, "flow or ddpm or v or hybrid", "did you mean hybrid?");
  check_refused("data:\n  synthetic: yes\n", VKD_ERR_INPUT, "c.yaml:2:", "true or false");
  check_refused("data:\n  path: \"a\\0b\"\n", VKD_ERR_INPUT, "c.yaml:2:", "data.path");
  check_refused("model: 3\n", VKD_ERR_INPUT, "c.yaml:1:", "a section holds");
  check_refused("- 3\n", VKD_ERR_INPUT, "c.yaml:1:", "no configuration");
  check_refused("model:\n  dim: [1\n", VKD_ERR_INPUT, "c.yaml:", "not YAML");
  check_refused("train: {steps: 1}\n---\nmodel: {dim: 4}\n", VKD_ERR_INPUT, "c.yaml:3:", "second YAML document");
  check_refused("? [a]\n: 1\n", VKD_ERR_INPUT, "c.yaml:1:", "plain text");
  check_refused("model: {dim: 96, heads: 5}\ntrain: {steps: 1}", VKD_ERR_INPUT, "c.yaml: model.heads", "96");
  check_refused("model: {dim: 12, heads: 4}\ntrain: {steps: 1}", VKD_ERR_INPUT, "model.heads", "even");
  check_refused("model: {freq_dim: 255}\ntrain: {steps: 1}", VKD_ERR_INPUT, "model.freq_dim", "even");
  check_refused("model: {ffn_ratio: 2.01}\ntrain: {steps: 1}", VKD_ERR_INPUT, "model.ffn_ratio", "whole");
  check_refused("model: {text_dim: 0}\ntrain: {steps: 1}", VKD_ERR_INPUT, "model.text_dim", "text_len");
  check_refused("model: {dim: 96}", VKD_ERR_INPUT, "train.steps", "neither");
  check_refused("train: {steps: 1, tokens: 5}", VKD_ERR_INPUT, "train.steps", "both");
  check_refused("train: {steps: 1, warmup: 5}", VKD_ERR_INPUT, "train.warmup", "5");
  check_refused("train: {steps: 1, batch: 8, micro_batch: 3}", VKD_ERR_INPUT, "train.micro_batch", "3 does not divide");
  check_refused("train: {steps: 1, batch: 8, micro_batch: 16}", VKD_ERR_INPUT, "train.micro_batch", "16");
  check_refused("train: {steps: 1, micro_batch: -1}", VKD_ERR_INPUT, "train.micro_batch is '-1'", "1000000 or auto");
  check_refused("train: {steps: 1, micro_batch: aut}", VKD_ERR_INPUT, "'aut'", "did you mean auto?");
  check_refused("train: {steps: 1, precision: fp8}", VKD_ERR_INPUT, "train.precision", "bf16");

  check_refused("train: {steps: 1, lora_targets: \"q,kk\"}", VKD_ERR_INPUT, "train.lora_targets", "'kk'");
  check_refused("train: {steps: 1, lora_targets: \" , \"}", VKD_ERR_INPUT, "train.lora_targets", "empty");

  check_override_refused("train.lrr=1", "'train.lr'", "command line");
  check_override_refused("lr=1", "'train.lr'", "command line");
  check_override_refused("train.lr=fast", "'fast'", "a number from 0 to 100");
  check_override_refused("train.lr=", "train.lr", "a number");
  check_override_refused("train.lr", "section.key=value", "'train.lr'");
  check_override_refused("=3", "section.key=value", "'=3'");
  check_override_refused("model.patch=1,2,3,4,5", "model.patch", "3 values");
  check_override_refused("model.patch=", "model.patch", "3 values");
  check_override_refused("data.path=\xff\xfe", "data.path", "UTF-8");

  struct config c;
  struct vkd_error err;
  const char *twice[] = {"train.lr=1", "train.lr=2"}, *both[] = {"train.steps=1", "train.tokens=2"};
  CHECK(parse("train: {steps: 1}", twice, 2, &c, &err) == VKD_ERR_USAGE && strstr(err.what, "twice"), "%s", err.what);
  CHECK(parse("train: {steps: 1}", both, 2, &c, &err) == VKD_ERR_INPUT && strstr(err.what, "both"), "%s", err.what);
  CHECK(!parse("train: {steps: 1}", no_overrides, 0, &c, &err), "%s", err.what);
  CHECK(config_require_data(&c, &err) == VKD_ERR_USAGE && strstr(err.what, "data.path"), "%s", err.what);
  err = (struct vkd_error){0};
  CHECK(config_load("/nonexistent.yaml", NULL, 0, &c, &err) == VKD_ERR_INPUT && strstr(err.what, "No such file"), "%s",
        err.what);
}

static uint64_t rng_state = 88172645463325252u;
static uint64_t rng(void) { return xorshift(&rng_state); }

// Random values in random fields survive a write and a read to the bit.
static void test_round_trip(void) {
  char folder[TEMP_SIZE], path[TEMP_SIZE + 16];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/c.yaml", folder);
  for (int round = 0; round < 50; round++) {
    struct config a, b;
    struct vkd_error err = {0};
    memset(&b, 0xa5, sizeof b);
    config_default(&a);
    a.train.steps = (int64_t)(rng() % 9000000000000000) + 1;
    a.train.lr = (double)rng() / 18446744073709551616.0;
    a.train.eps = pow(10, -29.0 * ((double)rng() / 18446744073709551616.0));
    a.train.betas[0] = (double)(rng() >> 11) * 0x1p-54;
    a.train.seed = (int64_t)(rng() >> 12);
    a.model.ffn_ratio = (double)(rng() % 500 + 1) / 96.0;
    a.data.synthetic = rng() & 1;
    a.train.sigma = rng() & 1 ? CONFIG_LOGIT_NORMAL : CONFIG_UNIFORM;
    static const char *const paths[] = {"",
                                        "a\"b\\c: #d",
                                        "\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\xc2\x85",
                                        "tab\there\nnew\x01\x7f",
                                        " lead, trail ",
                                        "'~null'"};
    strcpy(a.data.path, paths[rng() % 6]);
    CHECK(!config_write(&a, path, &err) && !config_load(path, NULL, 0, &b, &err), "%s", err.what);
    CHECK(!memcmp(&a, &b, sizeof a), "round %d: the configuration read differs", round);
    // And field by field through text.
    struct config c;
    config_default(&c);
    const char *key, *fallback, *help;
    char accepted[160], text[2 * CONFIG_TEXT_MAX];
    for (size_t i = 0; config_describe(i, &key, &fallback, &help, accepted, sizeof accepted); i++)
      CHECK(!config_get(&a, key, text, sizeof text, &err) && !config_set(&c, key, text, &err), "%s", err.what);
    CHECK(!memcmp(&a, &c, sizeof a), "round %d: the fields set differ", round);
  }
  struct config c;
  config_default(&c);
  struct vkd_error err = {0};
  CHECK(!config_set(&c, "train.steps", "5", &err) && !config_set(&c, "train.tokens", "1e6", &err), "%s", err.what);
  CHECK(c.train.steps == 0 && c.train.tokens == 1000000, "tokens must replace steps");
  CHECK(config_set(&c, "train.token", "1", &err) == VKD_ERR_USAGE && strstr(err.what, "train.tokens"), "%s", err.what);
  unlink(path);
  rmdir(folder);
}

// Every default is accepted by its own field, and every row can be found by its key.
static void test_table(void) {
  struct config config, defaults;
  config_default(&defaults);
  const char *key, *fallback, *help;
  char accepted[160];
  size_t rows = 0;
  for (; config_describe(rows, &key, &fallback, &help, accepted, sizeof accepted); rows++) {
    struct vkd_error err = {0};
    config = defaults;
    CHECK(!config_set(&config, key, fallback, &err), "%s", err.what);
    CHECK(*help && *accepted && strchr(key, '.'), "%s has no help", key);
  }
  CHECK(rows > 40, "%zu rows", rows);
}

int main(void) {
  test_table();
  test_values();
  test_refusals();
  test_round_trip();
  return check_done();
}
