// The command-line framework: one file per subcommand, its options one static table that also makes its --help.
//
//   static const struct cmd_opt opts[] = {
//     CMD_OPT_OUTPUT("DIR", "folder to write", .required = true),
//     {.name = "steps", .kind = CMD_INT, .metavar = "N", .fallback = "50", .min = 1, .max = 10000, .help = "sampler
//     steps"}, CMD_OPT_DEVICE, {0},
//   };
//   static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) { int64_t steps = cmd_int(args, "steps");
//   ... } const struct cmd cmd_sample = {.name = "sample", .summary = "...", .usage = "RUN", .min_pos = 1, .max_pos =
//   1,
//                                  .opts = opts, .run = run};
//
// and one row CMD(sample) in tools/commands.def.  main prints the error and turns the status into the exit code; run()
// prints only results, to stdout, and logs through vkd_log().
#ifndef VKDIT_CMD_H
#define VKDIT_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "vkd/status.h"

enum cmd_kind { CMD_FLAG, CMD_STRING, CMD_INT, CMD_REAL, CMD_SIZE };

struct cmd_opt {
  const char *name; // long name without dashes; NULL ends the table
  char letter;      // short form, 0: none
  enum cmd_kind kind;
  bool required;
  const char *metavar;  // of the value, in --help: its words without capitals are meant literally, as "pixel|haar"
  const char *help;     // one line, no final stop
  const char *fallback; // value as text where the option is not given; NULL: 0, 0.0 or NULL
  double min, max;      // accepted values of CMD_INT and CMD_REAL, checked where min < max
};

#define CMD_OPT_OUTPUT(meta, ...)                                                                                      \
  { .name = "output", .letter = 'o', .kind = CMD_STRING, .metavar = meta, .help = __VA_ARGS__ }
#define CMD_OPT_DEVICE                                                                                                 \
  {                                                                                                                    \
    .name = "device", .kind = CMD_STRING, .metavar = "N|NAME",                                                         \
    .help = "device by number or part of its name, as `vkdit devices` lists them"                                      \
  }
#define CMD_OPT_JSON                                                                                                   \
  { .name = "json", .kind = CMD_FLAG, .help = "print JSON" }

struct cmd;

struct cmd_args {
  const char *program; // argv[0]
  const struct cmd *cmd;
  int count;           // positional arguments
  const char **pos;    // [count]
  const char **values; // by row of cmd->opts; NULL: not given
  bool quiet, verbose, help;
  bool silent; // another process says it all, errors too
};

struct cmd {
  const char *name, *summary; // summary: one line, no final stop
  const char *usage;          // positional arguments as --help shows them, likewise, "" for none
  const char *details;        // further lines of --help, NULL: none
  int min_pos, max_pos;       // how many positional arguments are accepted; max_pos -1: any number
  const struct cmd_opt *opts; // NULL: none
  enum vkd_status (*run)(struct cmd_args *args, struct vkd_error *err);
};

// argv[0..argc): what follows the subcommand's name.  Every value is checked here against its kind and range, so the
// accessors below cannot fail.  Errors: VKD_ERR_USAGE naming the option and the nearest known one.  Call
// cmd_args_free() in either case.
enum vkd_status cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *args, struct vkd_error *err);
void cmd_args_free(struct cmd_args *args);

extern const struct cmd_opt cmd_global_opts[];
// The global options (--quiet, --verbose, --help); returns whether `arg` was one.
bool cmd_parse_global(const char *arg, struct cmd_args *args);

// Text of `vkdit NAME --help`, to stdout.
void cmd_print_help(const struct cmd *cmd);

// `name` must be a row of the command's table, of the kind asked for.
bool cmd_has(const struct cmd_args *args, const char *name); // given on the command line
const char *cmd_string(const struct cmd_args *args, const char *name);
int64_t cmd_int(const struct cmd_args *args, const char *name);
double cmd_real(const struct cmd_args *args, const char *name);
bool cmd_size(const struct cmd_args *args, const char *name, int *height, int *width); // false: no value

// Whole-string parsers for positional or nested values; false on junk, overflow, NaN or infinity.  A number may be
// written 1e9 where it is whole and below 2^53.
bool cmd_parse_int(const char *text, int64_t *value);
bool cmd_parse_real(const char *text, double *value);
bool cmd_parse_size(const char *text, int *height, int *width); // "HxW", each 1..65536

#endif
