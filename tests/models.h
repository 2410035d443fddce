// Small models for tests.
#ifndef VKD_TEST_MODELS_H
#define VKD_TEST_MODELS_H

#include "vkdm/dit.h"

// Odd sizes, ragged patches.
static const struct dit_config text_model = {.dim = 42,
                                             .depth = 2,
                                             .heads = 3,
                                             .ffn = 53,
                                             .freq_dim = 10,
                                             .text_dim = 7,
                                             .text_len = 5,
                                             .in_channels = 3,
                                             .out_channels = 3,
                                             .patch = {1, 2, 3},
                                             .latent = {3, 4, 9},
                                             .eps = 1e-6f};
static const struct dit_config image_model = {.family = DIT_CLASS,
                                              .dim = 36,
                                              .depth = 2,
                                              .heads = 3,
                                              .ffn = 53,
                                              .freq_dim = 10,
                                              .class_rows = 4,
                                              .in_channels = 3,
                                              .out_channels = 3,
                                              .patch = {1, 2, 3},
                                              .latent = {1, 6, 9},
                                              .eps = 1e-6f};
// One of each family.
static const struct dit_config small_cross = {.family = DIT_CROSS,
                                              .dim = 24,
                                              .depth = 2,
                                              .heads = 2,
                                              .ffn = 40,
                                              .freq_dim = 16,
                                              .text_dim = 9,
                                              .text_len = 3,
                                              .in_channels = 2,
                                              .out_channels = 2,
                                              .patch = {1, 2, 2},
                                              .latent = {2, 6, 4},
                                              .eps = 1e-6f};
static const struct dit_config small_class = {.family = DIT_CLASS,
                                              .dim = 16,
                                              .depth = 3,
                                              .heads = 2,
                                              .ffn = 40,
                                              .freq_dim = 12,
                                              .class_rows = 5,
                                              .in_channels = 3,
                                              .out_channels = 6,
                                              .patch = {1, 2, 2},
                                              .latent = {1, 8, 8},
                                              .eps = 1e-6f};
// The least that names and shapes need.
static const struct dit_config tiny_cross = {.dim = 12,
                                             .depth = 2,
                                             .heads = 2,
                                             .ffn = 20,
                                             .freq_dim = 8,
                                             .text_dim = 6,
                                             .text_len = 3,
                                             .in_channels = 2,
                                             .out_channels = 2,
                                             .patch = {1, 2, 2},
                                             .latent = {1, 4, 4},
                                             .eps = 1e-6f};

#endif
