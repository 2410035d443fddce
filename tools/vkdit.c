// Entry of the program: picks the subcommand, runs it, prints its error on one line and turns the status into the exit
// code.
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "progress.h"
#include "tables.h"
#include "vkd/log.h"
#include "vkd/nearest.h"

#define CMD(name) extern const struct cmd cmd_##name;
#include "commands.def"
#undef CMD

static const struct cmd *const commands[] = {
#define CMD(name) &cmd_##name,
#include "commands.def"
#undef CMD
    NULL,
};

static const struct cmd *find_command(const char *name, struct vkd_error *err) {
  struct vkd_nearest nearest = {.name = name};
  for (int i = 0; commands[i]; i++) {
    if (!strcmp(commands[i]->name, name)) return commands[i];
    vkd_nearest_offer(&nearest, commands[i]->name);
  }
  if (nearest.best)
    vkd_fail(err, VKD_ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name, nearest.best);
  else
    vkd_fail(err, VKD_ERR_USAGE, "unknown command '%s'; see vkdit --help", name);
  return NULL;
}

static void print_help(void) {
  printf("Usage: vkdit COMMAND [arguments] [options]\n"
         "Trains and samples diffusion transformers through Vulkan, and fits their scaling laws.\n\nCommands:\n");
  for (int i = 0; commands[i]; i++) printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
  printf("\nvkdit COMMAND --help tells the arguments and options of one command; vkdit --version the version.\n"
         "-q, --quiet and -v, --verbose hold for every command.\n");
}

static void print_log(void *user, enum vkd_log_level level, const char *message) {
  const struct cmd_args *args = user;
  if (args->silent || (level == VKD_LOG_DEBUG && !args->verbose)) return;
  if (level == VKD_LOG_INFO && args->quiet) return;
  progress_print_line(level == VKD_LOG_WARN ? "warning: " : "", message);
}

static enum vkd_status dispatch(int argc, char **argv, struct cmd_args *args, struct vkd_error *err) {
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (!strcmp(argv[i], "--version")) {
      printf("vkdit %s\n", VKDIT_VERSION);
      return VKD_OK;
    }
    if (!strcmp(argv[i], "--man")) {
      manual_print(commands);
      return VKD_OK;
    }
    if (!strcmp(argv[i], "--completion")) return completion_print(commands, argv[i + 1], err);
    if (!cmd_parse_global(argv[i], args))
      return vkd_fail(err, VKD_ERR_USAGE, "unknown option %s before the command; see vkdit --help", argv[i]);
  }
  if (i < argc && !strcmp(argv[i], "help")) {
    args->help = true;
    i++;
  }
  if (i == argc) {
    if (!args->help) return vkd_fail(err, VKD_ERR_USAGE, "no command given; see vkdit --help");
    print_help();
    return VKD_OK;
  }
  const struct cmd *cmd = find_command(argv[i], err);
  if (!cmd) return VKD_ERR_USAGE;
  if (cmd_parse(cmd, argc - i - 1, argv + i + 1, args, err)) return err->status;
  if (args->help) {
    cmd_print_help(cmd);
    return VKD_OK;
  }
  progress_set_quiet(args->quiet);
  vkd_log_set(print_log, args);
  return cmd->run(args, err);
}

int main(int argc, char **argv) {
  struct vkd_error err = {0};
  struct cmd_args args = {.program = argv[0]};
  enum vkd_status status = dispatch(argc, argv, &args, &err);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    enum vkd_status wrote = vkd_fail(&err, VKD_ERR_IO, "cannot write to standard output");
    if (!status) status = wrote;
  }
  if (status && !args.silent) progress_print_line("vkdit: ", err.what[0] ? err.what : vkd_status_message(status));
  cmd_args_free(&args);
  return vkd_status_exit_code(status);
}
