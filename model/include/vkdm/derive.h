// A model's configuration from the shapes of its weights, config.json beside them, and the metadata of our own files.
#ifndef VKDM_DERIVE_H
#define VKDM_DERIVE_H

#include "vkdm/config.h"
#include "vkdm/dit.h"
#include "vkdm/weights.h"

struct derive_options {
  int heads, text_len; // 0: derived
  int latent[3];       // frames, rows, columns; 0: derived
  bool any_heads;      // where nothing tells the heads, take 1: for what does not compute with the model
};

struct derived {
  struct dit_config config; // passes dit_config_check()
  enum dit_naming naming;
  const char *prefix; // of the names
  // Whether more than a rule told them; config.latent is one token where nothing did.
  bool heads_known, text_known, latent_known;
  bool objective_known; // told by metadata, which files of ours have; else `objective` is that of the public code
  enum config_objective objective;
  const char *heads_from; // what told the heads, or the rule, as text for a log
};

// Shapes tell all but the heads, eps, text_len and, in cross_dit, the latent's size.  Heads, by the first that there
// is: the options, config.json, metadata, dim / 128 in cross_dit, the published configurations of dit.  eps 1e-6 and
// text_len 512 where nothing tells them.
// Errors: VKD_ERR_INPUT where the file is no known model (naming the other task that it looks like), a tensor that
// tells a size is missing, config.json contradicts the shapes (naming both), or nothing tells the heads.
enum vkd_status derive_model(const struct weights *weights, const struct derive_options *options, struct derived *out,
                             struct vkd_error *err);

// What is known of it and the shapes do not tell, as metadata that derive_model() reads back.
enum { DERIVE_META = 5 };
struct derive_meta {
  struct st_meta rows[DERIVE_META];
  size_t count;
  char text[DERIVE_META][48];
};
void derive_metadata(const struct derived *model, struct derive_meta *meta);
bool derive_is_metadata(const char *key); // one of these

#endif
