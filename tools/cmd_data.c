// vkdit data: builds, describes and checks `.vkd` datasets.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "progress.h"
#include "vkd/log.h"
#include "vkdm/data_build.h"
#include "vkdm/dataset.h"

static const struct cmd_opt opts[] = {
    CMD_OPT_OUTPUT("FILE.vkd", "dataset to write (build)"),
    {.name = "frames",
     .kind = CMD_INT,
     .metavar = "F",
     .min = 1,
     .max = 4096,
     .help = "frames per clip (default 8; images: 1)"},
    {.name = "size",
     .kind = CMD_SIZE,
     .metavar = "HxW",
     .fallback = "32x32",
     .help = "height and width; frames are scaled to cover it and cropped at the centre"},
    {.name = "stride",
     .kind = CMD_INT,
     .metavar = "S",
     .fallback = "1",
     .min = 1,
     .max = 65536,
     .help = "source frames from one clip frame to the next"},
    {.name = "hop",
     .kind = CMD_INT,
     .metavar = "N",
     .min = 1,
     .max = 1e9,
     .help = "source frames from one clip start to the next (default: no overlap, or less to reach about 512 clips)"},
    {.name = "max-clips",
     .kind = CMD_INT,
     .metavar = "N",
     .min = 1,
     .max = 1e9,
     .help = "at most N clips from each source file"},
    {.name = "codec",
     .kind = CMD_STRING,
     .metavar = "pixel|haar",
     .fallback = "haar",
     .help = "latents: pixels in [-1, 1], or an orthonormal Haar transform"},
    {.name = "haar-levels",
     .kind = CMD_STRING,
     .metavar = "T,S",
     .help = "halvings in time and in space (default 1,1; 0 where a size is odd)"},
    {.name = "labels",
     .kind = CMD_STRING,
     .metavar = "folder|FILE.csv",
     .help = "classes: names of subfolders, or rows of file,label"},
    {.name = "text",
     .kind = CMD_STRING,
     .metavar = "FILE.safetensors",
     .help = "text embeddings [tokens, width], named by file (without ending) or class"},
    {.name = "holdout",
     .kind = CMD_REAL,
     .metavar = "X",
     .fallback = "0.1",
     .min = 0,
     .max = 0.9,
     .help = "share of clips held out for evaluation"},
    {.name = "seed",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "0",
     .min = 0,
     .max = 9e15,
     .help = "of the split, and of synthetic clips"},
    {.name = "count",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "256",
     .min = 1,
     .max = 1e7,
     .help = "synthetic clips"},
    {.name = "classes",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "12",
     .min = 1,
     .max = 12,
     .help = "synthetic classes: 3 shapes, then 4 directions of them"},
    {.name = "scene",
     .kind = CMD_STRING,
     .metavar = "plain|rich",
     .fallback = "plain",
     .help = "synthetic: plain, one shape; or rich, patterned shapes that hide each other, under a moving camera"},
    {.name = "level",
     .kind = CMD_INT,
     .metavar = "N",
     .fallback = "6",
     .min = 1,
     .max = 19,
     .help = "zstd compression level"},
    CMD_OPT_JSON,
    {0},
};

struct build_progress {
  struct progress bar;
  bool begun;
};

static void show_progress(void *user, const char *source, uint64_t done, uint64_t expected) {
  struct build_progress *p = user;
  if (!p->begun) progress_begin(&p->bar, "data", "clips", 0, expected);
  p->begun = true;
  progress_update(&p->bar, done, source);
}

static enum vkd_status parse_levels(const struct cmd_args *args, uint32_t *t, uint32_t *s, struct vkd_error *err) {
  *t = *s = DATA_AUTO;
  const char *text = cmd_string(args, "haar-levels");
  if (!text) return VKD_OK;
  const bool digits = strlen(text) == 3 && text[1] == ',';
  if (!digits || text[0] < '0' || text[0] > '0' + LATENT_MAX_LEVELS || text[2] < '0' ||
      text[2] > '0' + LATENT_MAX_LEVELS)
    return vkd_fail(err, VKD_ERR_USAGE, "--haar-levels %s: give two numbers from 0 to %d, such as 1,1", text,
                    LATENT_MAX_LEVELS);
  *t = (uint32_t)(text[0] - '0');
  *s = (uint32_t)(text[2] - '0');
  return VKD_OK;
}

static enum vkd_status print_summary(const char *path, struct vkd_error *err) {
  struct dataset *dataset;
  enum vkd_status status = dataset_open(path, &dataset, err);
  if (status) return status;
  const struct dataset_info *info = dataset_get_info(dataset);
  const struct latent_shape s = latent_shape(&info->codec);
  printf("%s: %u clips (%u train, %u held out, %u between them), latent [%u, %u, %u, %u], %.1f MB\n", path, info->clips,
         info->split_clips[DATA_TRAIN], info->split_clips[DATA_HELDOUT], info->split_clips[DATA_GAP], s.c, s.t, s.h,
         s.w, (double)info->file_bytes / 1e6);
  dataset_close(&dataset);
  return VKD_OK;
}

static enum vkd_status build(const struct cmd_args *args, struct vkd_error *err) {
  // Static, since the bar is redrawn around the error's line after this returns.
  static struct build_progress progress;
  const char *codec = cmd_string(args, "codec"), *scene = cmd_string(args, "scene");
  int height = 0, width = 0;
  cmd_size(args, "size", &height, &width);
  struct data_build_params p = {.sources = args->pos + 1,
                                .source_count = (uint32_t)args->count - 1,
                                .output = cmd_string(args, "output"),
                                .frames = (uint32_t)cmd_int(args, "frames"),
                                .height = (uint32_t)height,
                                .width = (uint32_t)width,
                                .stride = (uint32_t)cmd_int(args, "stride"),
                                .hop = (uint32_t)cmd_int(args, "hop"),
                                .max_clips = (uint32_t)cmd_int(args, "max-clips"),
                                .codec = strcmp(codec, "pixel") ? LATENT_HAAR : LATENT_PIXEL,
                                .labels = cmd_string(args, "labels"),
                                .text = cmd_string(args, "text"),
                                .holdout = cmd_real(args, "holdout"),
                                .seed = (uint64_t)cmd_int(args, "seed"),
                                .count = (uint32_t)cmd_int(args, "count"),
                                .classes = (uint32_t)cmd_int(args, "classes"),
                                .scene = strcmp(scene, "rich") ? SYNTHETIC_PLAIN : SYNTHETIC_RICH,
                                .level = (int)cmd_int(args, "level"),
                                .progress = show_progress,
                                .user = &progress};
  if (!p.output) return vkd_fail(err, VKD_ERR_USAGE, "data build: name the output with -o FILE.vkd");
  if (strcmp(codec, "pixel") && strcmp(codec, "haar"))
    return vkd_fail(err, VKD_ERR_USAGE, "--codec %s: must be pixel or haar", codec);
  if (strcmp(scene, "plain") && strcmp(scene, "rich"))
    return vkd_fail(err, VKD_ERR_USAGE, "--scene %s: must be plain or rich", scene);
  enum vkd_status status = parse_levels(args, &p.levels_t, &p.levels_s, err);
  if (!status) status = data_build(&p, err);
  if (status) return status;
  if (progress.begun) {
    progress.bar.total = progress.bar.done;
    progress_end(&progress.bar, NULL);
  }
  return print_summary(p.output, err);
}

// Clips of each class, [classes], malloc'd.
static uint32_t *count_labels(const struct dataset *dataset, struct vkd_error *err) {
  const struct dataset_info *info = dataset_get_info(dataset);
  uint32_t *counts = calloc((size_t)info->classes + 1, sizeof *counts);
  if (!counts) vkd_fail(err, VKD_ERR_HOST_MEMORY, "data info: out of memory");
  for (uint32_t i = 0; counts && i < info->clips; i++) {
    const int32_t label = dataset_get_clip(dataset, i).label;
    if (label >= 0) counts[label]++;
  }
  return counts;
}

static enum vkd_status print_json(const struct dataset *dataset, const uint32_t *counts, struct vkd_error *err) {
  const struct dataset_info *info = dataset_get_info(dataset);
  const struct latent_shape s = latent_shape(&info->codec);
  json_t *labels = json_array();
  for (uint32_t c = 0; c < info->classes; c++)
    json_array_append_new(labels,
                          json_pack("{s:s, s:I}", "name", info->class_names[c], "clips", (json_int_t)counts[c]));
  char fingerprint[24];
  snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)info->fingerprint);
  json_t *json = json_pack("{s:s, s:i, s:{s:i, s:i, s:i}, s:[i,i,i,i], s:o, s:o, s:i, s:i, s:I, s:I, s:s, s:O}", "path",
                           dataset_path(dataset), "clips", (int)info->clips, "split", "train",
                           (int)info->split_clips[DATA_TRAIN], "heldout", (int)info->split_clips[DATA_HELDOUT], "gap",
                           (int)info->split_clips[DATA_GAP], "latent", (int)s.c, (int)s.t, (int)s.h, (int)s.w, "codec",
                           latent_codec_to_json(&info->codec), "labels", labels, "text_len", (int)info->text_len,
                           "text_dim", (int)info->text_dim, "file_bytes", (json_int_t)info->file_bytes, "raw_bytes",
                           (json_int_t)info->raw_bytes, "fingerprint", fingerprint, "built", info->meta);
  char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(json);
  if (!text) return vkd_fail(err, VKD_ERR_HOST_MEMORY, "data info: out of memory");
  puts(text);
  free(text);
  return VKD_OK;
}

// A name out of the file: what it does to a terminal is its maker's choice.
static void print_name(const char *name) {
  char *plain = strdup(name ? name : "(no name)");
  if (!plain) return;
  vkd_make_plain(plain);
  fputs(plain, stdout);
  free(plain);
}

static void print_info(const struct dataset *dataset, const uint32_t *counts) {
  const struct dataset_info *info = dataset_get_info(dataset);
  const struct latent_codec *k = &info->codec;
  const struct latent_shape s = latent_shape(k);
  const json_t *sources = json_object_get(info->meta, "sources");
  printf("file      %s, %llu bytes (%.1f %% of the clips' %llu)\n", dataset_path(dataset),
         (unsigned long long)info->file_bytes, 100.0 * (double)info->file_bytes / (double)info->raw_bytes,
         (unsigned long long)info->raw_bytes);
  printf("clips     %u: %u train, %u held out, %u between them (shared frames)\n", info->clips,
         info->split_clips[DATA_TRAIN], info->split_clips[DATA_HELDOUT], info->split_clips[DATA_GAP]);
  if (k->kind != LATENT_RAW) printf("video     %u frames of %ux%u\n", k->frames, k->height, k->width);
  printf("latent    [%u, %u, %u, %u] (channels, time, height, width), codec %s", s.c, s.t, s.h, s.w,
         latent_kind_name(k->kind));
  if (k->kind == LATENT_HAAR) printf(" with %u level(s) in time and %u in space", k->levels_t, k->levels_s);
  printf("\nsources   %zu", json_array_size(sources));
  for (size_t i = 0; i < json_array_size(sources) && i < 4; i++) {
    fputs(i ? ", " : ": ", stdout);
    print_name(json_string_value(json_object_get(json_array_get(sources, i), "name")));
  }
  printf("%s\n", json_array_size(sources) > 4 ? ", ..." : "");
  if (info->text_len) printf("text      up to %u tokens of %u numbers\n", info->text_len, info->text_dim);
  printf("classes   %u\n", info->classes);
  for (uint32_t c = 0; c < info->classes; c++) {
    printf("  %-6u  ", c);
    print_name(info->class_names[c]);
    printf(": %u clips\n", counts[c]);
  }
}

static enum vkd_status run(struct cmd_args *args, struct vkd_error *err) {
  const char *action = args->pos[0];
  if (!strcmp(action, "build")) return build(args, err);
  const bool verify = !strcmp(action, "verify");
  if (!verify && strcmp(action, "info"))
    return vkd_fail(err, VKD_ERR_USAGE, "data %s: must be build, info or verify", action);
  if (args->count != 2) return vkd_fail(err, VKD_ERR_USAGE, "data %s: name one FILE.vkd", action);
  struct dataset *dataset = NULL;
  enum vkd_status status = dataset_open(args->pos[1], &dataset, err);
  if (!status && verify) status = dataset_verify(dataset, err);
  if (!status && verify) printf("%s: %u clips, every checksum holds\n", args->pos[1], dataset_get_info(dataset)->clips);
  if (!status && !verify) {
    uint32_t *counts = count_labels(dataset, err);
    if (!counts)
      status = VKD_ERR_HOST_MEMORY;
    else if (cmd_has(args, "json"))
      status = print_json(dataset, counts, err);
    else
      print_info(dataset, counts);
    free(counts);
  }
  dataset_close(&dataset);
  return status;
}

const struct cmd cmd_data = {
    .name = "data",
    .summary = "Builds, describes and checks datasets (.vkd)",
    .usage = "build SRC... | info FILE.vkd | verify FILE.vkd",
    .details = "SRC: video files (through ffmpeg), images, folders of either, .safetensors with \"latents\"\n"
               "[N, C, T, H, W] and perhaps \"labels\" [N], or the word synthetic for seeded moving shapes.\n"
               "Where clips overlap, those that share frames with a held-out one go to neither split.",
    .min_pos = 2,
    .max_pos = -1,
    .opts = opts,
    .run = run,
};
