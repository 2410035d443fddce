#include "cmd.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkd/nearest.h"

const struct cmd_opt cmd_global_opts[] = {
    {.name = "quiet", .letter = 'q', .help = "warnings and errors only"},
    {.name = "verbose", .letter = 'v', .help = "debug messages too"},
    {.name = "help", .letter = 'h', .help = "this text"},
    {0},
};

bool cmd_parse_int(const char *text, int64_t *value) {
  if (isspace((unsigned char)*text)) return false;
  char *end;
  errno = 0;
  long long n = strtoll(text, &end, 10);
  if (end != text && !*end && !errno) {
    *value = n;
    return true;
  }
  double real;
  if (!cmd_parse_real(text, &real) || !(fabs(real) < 9007199254740992.0) || real != floor(real)) return false;
  *value = (int64_t)real;
  return true;
}

bool cmd_parse_real(const char *text, double *value) {
  if (isspace((unsigned char)*text)) return false;
  char *end;
  errno = 0;
  double real = strtod(text, &end);
  if (end == text || *end || !isfinite(real) || (errno == ERANGE && real != 0 && fabs(real) > 1)) return false;
  *value = real;
  return true;
}

bool cmd_parse_size(const char *text, int *height, int *width) {
  int n[2];
  for (int i = 0; i < 2; i++) {
    if (!isdigit((unsigned char)*text)) return false;
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || v < 1 || v > 65536 || *end != (i ? '\0' : 'x')) return false;
    n[i] = (int)v;
    text = end + 1;
  }
  *height = n[0];
  *width = n[1];
  return true;
}

static const struct cmd_opt no_opts[] = {{0}};
static const struct cmd_opt *table_of(const struct cmd *cmd) { return cmd->opts ? cmd->opts : no_opts; }

static int table_rows(const struct cmd *cmd) {
  int n = 0;
  for (const struct cmd_opt *o = table_of(cmd); o->name; o++) n++;
  return n;
}

// Row of the option that `arg` ("--name", "--name=value", "-x", "-x=value") names, or -1.
static int find_opt(const struct cmd_opt *opts, const char *arg) {
  size_t length = strcspn(arg, "=");
  for (int i = 0; opts[i].name; i++) {
    if (length == 2 && arg[1] != '-') {
      if (opts[i].letter && arg[1] == opts[i].letter) return i;
    } else if (length > 2 && arg[1] == '-' && strlen(opts[i].name) == length - 2 &&
               !strncmp(opts[i].name, arg + 2, length - 2)) {
      return i;
    }
  }
  return -1;
}

bool cmd_parse_global(const char *arg, struct cmd_args *args) {
  if (*arg != '-' || strchr(arg, '=')) return false;
  bool *flags[] = {&args->quiet, &args->verbose, &args->help};
  int i = find_opt(cmd_global_opts, arg);
  if (i >= 0) *flags[i] = true;
  return i >= 0;
}

static enum vkd_status fail_unknown(const struct cmd *cmd, const char *arg, struct vkd_error *err) {
  int length = (int)strcspn(arg, "=");
  char typed[64];
  snprintf(typed, sizeof typed, "%.*s", arg[1] == '-' ? length - 2 : length - 1, arg + (arg[1] == '-' ? 2 : 1));
  struct vkd_nearest nearest = {.name = typed};
  for (const struct cmd_opt *o = table_of(cmd); o->name; o++) vkd_nearest_offer(&nearest, o->name);
  for (const struct cmd_opt *o = cmd_global_opts; o->name; o++) vkd_nearest_offer(&nearest, o->name);
  if (nearest.best)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: unknown option %.*s; did you mean --%s?", cmd->name, length, arg,
                    nearest.best);
  return vkd_fail(err, VKD_ERR_USAGE, "%s: unknown option %.*s; see vkdit %s --help", cmd->name, length, arg,
                  cmd->name);
}

static enum vkd_status check_value(const struct cmd *cmd, const struct cmd_opt *opt, const char *text,
                                   struct vkd_error *err) {
  const char *wanted = NULL;
  double real = 0;
  int64_t whole = 0;
  int h, w;
  if (opt->kind == CMD_INT) {
    if (!cmd_parse_int(text, &whole)) wanted = "a whole number";
    real = (double)whole;
  } else if (opt->kind == CMD_REAL) {
    if (!cmd_parse_real(text, &real)) wanted = "a number";
  } else if (opt->kind == CMD_SIZE) {
    if (!cmd_parse_size(text, &h, &w)) wanted = "HEIGHTxWIDTH, as in 32x32";
  } else if (!*text) {
    wanted = "a value that is not empty";
  }
  if (wanted)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s is %s, got '%s'", cmd->name, opt->name, wanted, text);
  if ((opt->kind == CMD_INT || opt->kind == CMD_REAL) && opt->min < opt->max && !(real >= opt->min && real <= opt->max))
    return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s is %s, outside %.15g to %.15g", cmd->name, opt->name, text,
                    opt->min, opt->max);
  return VKD_OK;
}

static enum vkd_status check_complete(const struct cmd *cmd, const struct cmd_args *args, struct vkd_error *err) {
  if (args->count < cmd->min_pos)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: too few arguments; usage: vkdit %s %s", cmd->name, cmd->name, cmd->usage);
  if (cmd->max_pos >= 0 && args->count > cmd->max_pos)
    return vkd_fail(err, VKD_ERR_USAGE, "%s: unexpected argument '%s'; usage: vkdit %s %s", cmd->name,
                    args->pos[cmd->max_pos], cmd->name, cmd->usage);
  const struct cmd_opt *opts = table_of(cmd);
  for (int i = 0; opts[i].name; i++)
    if (opts[i].required && !args->values[i])
      return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s %s is missing (%s)", cmd->name, opts[i].name,
                      opts[i].metavar ? opts[i].metavar : "", opts[i].help);
  return VKD_OK;
}

enum vkd_status cmd_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *args, struct vkd_error *err) {
  const struct cmd_opt *opts = table_of(cmd);
  args->cmd = cmd;
  args->pos = calloc((size_t)argc + 1, sizeof *args->pos);
  args->values = calloc((size_t)table_rows(cmd) + 1, sizeof *args->values);
  if (!args->pos || !args->values) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "%s: out of memory", cmd->name);
  bool options_over = false;
  for (int i = 0; i < argc; i++) {
    const char *arg = argv[i];
    if (options_over || arg[0] != '-' || !arg[1]) {
      args->pos[args->count++] = arg;
      continue;
    }
    if (!strcmp(arg, "--")) {
      options_over = true;
      continue;
    }
    int row = find_opt(opts, arg);
    if (row < 0) {
      if (cmd_parse_global(arg, args)) continue;
      return fail_unknown(cmd, arg, err);
    }
    const struct cmd_opt *opt = &opts[row];
    const char *value = strchr(arg, '=');
    if (args->values[row]) return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s is given twice", cmd->name, opt->name);
    if (opt->kind == CMD_FLAG) {
      if (value) return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s takes no value", cmd->name, opt->name);
      args->values[row] = "";
      continue;
    }
    if (value)
      value++;
    else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
      value = argv[++i];
    else
      return vkd_fail(err, VKD_ERR_USAGE, "%s: option --%s needs a value %s", cmd->name, opt->name,
                      opt->metavar ? opt->metavar : "");
    if (check_value(cmd, opt, value, err)) return VKD_ERR_USAGE;
    args->values[row] = value;
  }
  return args->help ? VKD_OK : check_complete(cmd, args, err);
}

void cmd_args_free(struct cmd_args *args) {
  free(args->pos);
  free(args->values);
  args->pos = args->values = NULL;
}

static void print_opts(const struct cmd_opt *opts) {
  for (const struct cmd_opt *o = opts; o->name; o++) {
    char head[80];
    int n = 0;
    if (o->letter) n = snprintf(head, sizeof head, "-%c, ", o->letter);
    snprintf(head + n, sizeof head - (size_t)n, "--%s%s%s", o->name, o->metavar ? " " : "",
             o->metavar ? o->metavar : "");
    printf(strlen(head) > 24 ? "  %s\n%28s" : "  %-24s  %s", head, "");
    printf("%s", o->help);
    if (o->required) printf(" (required)");
    if (o->fallback) printf(" (default: %s)", o->fallback);
    putchar('\n');
  }
}

void cmd_print_help(const struct cmd *cmd) {
  printf("Usage: vkdit %s %s%s[options]\n%s.\n", cmd->name, cmd->usage, *cmd->usage ? " " : "", cmd->summary);
  if (cmd->details) printf("\n%s\n", cmd->details);
  printf("\nOptions:\n");
  print_opts(table_of(cmd));
  print_opts(cmd_global_opts);
}

static int row_of(const struct cmd_args *args, const char *name) {
  const struct cmd_opt *opts = table_of(args->cmd);
  int i = 0;
  while (opts[i].name && strcmp(opts[i].name, name) != 0) i++;
  assert(opts[i].name && "the option is not in the command's table");
  return i;
}

static const char *text_of(const struct cmd_args *args, const char *name, enum cmd_kind kind) {
  int i = row_of(args, name);
  const struct cmd_opt *opt = &table_of(args->cmd)[i];
  assert(opt->kind == kind);
  (void)kind;
  return args->values[i] ? args->values[i] : opt->fallback;
}

bool cmd_has(const struct cmd_args *args, const char *name) { return args->values[row_of(args, name)] != NULL; }
const char *cmd_string(const struct cmd_args *args, const char *name) { return text_of(args, name, CMD_STRING); }

int64_t cmd_int(const struct cmd_args *args, const char *name) {
  const char *text = text_of(args, name, CMD_INT);
  int64_t value = 0;
  if (text) cmd_parse_int(text, &value);
  return value;
}

double cmd_real(const struct cmd_args *args, const char *name) {
  const char *text = text_of(args, name, CMD_REAL);
  double value = 0;
  if (text) cmd_parse_real(text, &value);
  return value;
}

bool cmd_size(const struct cmd_args *args, const char *name, int *height, int *width) {
  const char *text = text_of(args, name, CMD_SIZE);
  return text && cmd_parse_size(text, height, width);
}
