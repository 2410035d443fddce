// What is made from the tables of commands and options beside --help: the man page and the completion of shells.
#ifndef VKDIT_TABLES_H
#define VKDIT_TABLES_H

#include "cmd.h"

// commands: ended by NULL.  To stdout.
void manual_print(const struct cmd *const *commands);
// shell: bash, zsh or fish.  Errors: VKD_ERR_USAGE.
enum vkd_status completion_print(const struct cmd *const *commands, const char *shell, struct vkd_error *err);

// What may stand at one place of a command line, as a usage text or the name of a value tells: words without capitals
// are meant literally, CONFIG and SWEEP also by the names that are built in, key=value is a key of the configuration,
// and other words in capitals that name files stand for any path.
struct slot {
  char words[1024]; // separated by blanks
  bool keys, files;
};
struct slot slot_of_option(const struct cmd_opt *opt);
struct slot slot_of_arguments(const struct cmd *cmd);

// What may follow key i of the configuration and '='; false past the last one.
bool slot_of_key(size_t i, const char **key, const char **help, struct slot *slot);

#endif
