// vkdit --man: one page of all commands.
#include <stdio.h>
#include <string.h>

#include "tables.h"

// Text as roff: `quoted` in bold, nothing of it a request.
static void put(const char *text) {
  bool quoted = false, begins = true;
  for (; *text; begins = *text == '\n', text++) {
    if (begins && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
    if (*text == '`')
      fputs((quoted = !quoted) ? "\\fB" : "\\fR", stdout);
    else if (*text == '-')
      fputs("\\-", stdout);
    else if (*text == '\\')
      fputs("\\e", stdout);
    else if (*text == '^')
      fputs("\\(ha", stdout);
    else if (*text == '~')
      fputs("\\(ti", stdout);
    else
      putchar(*text);
  }
}

static void put_options(const struct cmd_opt *opts) {
  for (const struct cmd_opt *o = opts; o && o->name; o++) {
    printf(".TP\n");
    if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
    printf("\\fB\\-\\-");
    put(o->name);
    printf("\\fR");
    if (o->metavar) {
      printf(" \\fI");
      put(o->metavar);
      printf("\\fR");
    }
    putchar('\n');
    put(o->help);
    if (o->required) printf(" (required)");
    if (o->fallback) {
      printf(" (default: ");
      put(o->fallback);
      putchar(')');
    }
    putchar('\n');
  }
}

static void put_command(const struct cmd *cmd) {
  printf(".SS ");
  put(cmd->name);
  printf("\n.B vkdit ");
  put(cmd->name);
  if (*cmd->usage) {
    printf("\\fR ");
    put(cmd->usage);
  }
  printf("\n.PP\n");
  put(cmd->summary);
  printf(".\n");
  if (cmd->details) {
    put(cmd->details);
    putchar('\n');
  }
  put_options(cmd->opts);
}

static void put_rows(const char *section, const char *const (*rows)[2]) {
  printf(".SH %s\n", section);
  for (; (*rows)[0]; rows++) {
    printf(".TP\n.B ");
    put((*rows)[0]);
    putchar('\n');
    put((*rows)[1]);
    putchar('\n');
  }
}

static const char *const environment[][2] = {
    {"VKD_DEVICE", "device by number or part of its name, where --device is not given"},
    {"VKD_CACHE_DIR",
     "folder of the pipeline cache and of tuned forms, none where it is empty (default: $XDG_CACHE_HOME/vkdit or "
     "~/.cache/vkdit)"},
    {"VKD_MEMORY_LIMIT", "MiB of the device's memory to use at most"},
    {"VKD_DISPATCH_MS",
     "longest that a submission should keep the device, 0: no limit (default: 100 on GPUs, 0 on CPUs)"},
    {"VKD_VALIDATE", "1: run under the Khronos validation layer; a complaint is a failure"},
    {"VK_DRIVER_FILES", "the Vulkan loader's: manifests of the drivers to use"},
    {NULL, NULL},
};
static const char *const exit_status[][2] = {
    {"0", "success"}, {"1", "the work failed"}, {"2", "bad usage or bad input"}, {NULL, NULL}};
static const char *const examples[][2] = {
    {"vkdit data build FILM.mp4 -o v.vkd --frames 8 --size 32x32", "a dataset from a video"},
    {"vkdit train tiny-video -o run data.path=v.vkd", "a small model of it"},
    {"vkdit sample run -o out.gif", "samples of the model"},
    {"vkdit reproduce smoke -o demo", "a ladder of models, the law fitted to them, and a report"},
    {NULL, NULL},
};

void manual_print(const struct cmd *const *commands) {
  printf(".\\\" Made by `vkdit --man` from its tables of options.\n"
         ".TH VKDIT 1 \"\" \"vkdit " VKDIT_VERSION
         "\" \"User Commands\"\n.SH NAME\nvkdit \\- train and sample diffusion "
         "transformers through Vulkan\n.SH SYNOPSIS\n.B vkdit\n.I COMMAND\n[\\fIarguments\\fR] [\\fIoptions\\fR]\n"
         ".SH DESCRIPTION\n");
  put("Trains and samples diffusion transformers on any GPU that speaks Vulkan 1.2, and fits their scaling laws.  "
      "Results go to standard output or to the files that are named, progress and messages to standard error.  "
      "`CONFIG.yaml` and `SWEEP.yaml` are files or names of built-in ones (`vkdit config --list`); `key=value` "
      "overrides a key of the configuration (`vkdit config --keys`).\n");
  printf(".SH OPTIONS OF EVERY COMMAND\n");
  put_options(cmd_global_opts);
  printf(".TP\n.B \\-\\-version\nprint the version, before or without a command\n.SH COMMANDS\n");
  for (; *commands; commands++) put_command(*commands);
  put_rows("ENVIRONMENT", environment);
  put_rows("EXIT STATUS", exit_status);
  put_rows("EXAMPLES", examples);
}
