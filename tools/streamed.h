// A weight file's model on the device, or where that has no room for it, with the blocks' weights left in the file.
#ifndef VKDIT_STREAMED_H
#define VKDIT_STREAMED_H

#include "cmd.h"
#include "vkdm/params.h"
#include "vkdm/source.h"

// clang-format off
#define STREAMED_OPTS                                                                                                  \
  {.name = "stream", .help = "stream the blocks' weights from the host though they fit the device"},                   \
  {.name = "memory-limit", .kind = CMD_REAL, .metavar = "MIB", .min = 1, .max = 1e9,                                   \
   .help = "use no more of the device's memory"}
// clang-format on

// Bytes of --memory-limit; 0: none.
static inline uint64_t streamed_limit(const struct cmd_args *args) {
  return (uint64_t)(cmd_real(args, "memory-limit") * 1048576);
}

struct params_reader streamed_reader(struct source *source);

struct streamed_wish {
  bool always;
  int64_t batch;          // samples of a forward pass, those of guidance counted
  enum vkd_dtype compute; // as struct dit_config has it
};

// What params read from for as long as they live; all zero where they lie on the device.
struct streamed {
  struct weights *weights;
  struct source *source;
  struct params_reader reader;
};

// *params, from *weights, which are taken over and NULL afterwards where they are streamed.  Says so in the log.
enum vkd_status streamed_open(struct streamed *s, struct params **params, struct vkd_device *dev,
                              const struct dit_config *config, struct weights **weights,
                              const struct streamed_wish *wish, struct vkd_error *err);
void streamed_close(struct streamed *s); // after the params

#endif
