// Source -> SPIR-V while programs run, through libshaderc.
#include "reload.h"

#include <shaderc/shaderc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vkd/log.h"

enum { FILES_MAX = 16, PATH_SIZE = 512 };

static const struct {
  const char *file, *defines;
} rows[VKD_K_COUNT] = {
#define KERNEL(name, file, defines, needs) {file, defines},
#include "../manifest.def"
#undef KERNEL
};

// What became of a row.
struct source {
  uint32_t *code; // NULL: nothing of the folder's has compiled yet
  size_t bytes;
  char files[FILES_MAX][PATH_SIZE]; // that the last attempt read
  int file_count;                   // 0: not in use
  uint64_t stamp;                   // of the files, then
};

struct vkd_reload {
  const char *folder;
  shaderc_compiler_t compiler;
  char *complaint; // the last one: rows of one file complain alike
  struct source sources[VKD_K_COUNT];
};

static uint64_t stamp_of(const struct source *s) {
  uint64_t hash = 14695981039346656037u;
  for (int i = 0; i < s->file_count; i++) {
    struct stat st = {0};
    uint64_t parts[3] = {0};
    if (stat(s->files[i], &st) == 0) {
      parts[0] = (uint64_t)st.st_mtim.tv_sec;
      parts[1] = (uint64_t)st.st_mtim.tv_nsec;
      parts[2] = (uint64_t)st.st_size;
    }
    for (int k = 0; k < 3; k++) hash = (hash ^ parts[k]) * 1099511628211u;
  }
  return hash;
}

static char *read_text(const char *path, size_t *size) {
  char *text = NULL;
  size_t used = 0, got;
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  do {
    char *more = realloc(text, used + 65536);
    if (!more) break;
    text = more;
    used += got = fread(text + used, 1, 65536, f);
  } while (got == 65536);
  fclose(f);
  *size = used;
  return text;
}

static bool note_file(struct source *s, const char *path) {
  for (int i = 0; i < s->file_count; i++)
    if (strcmp(s->files[i], path) == 0) return true;
  if (s->file_count == FILES_MAX) return false;
  snprintf(s->files[s->file_count++], PATH_SIZE, "%s", path);
  return true;
}

// ---- includes ------------------------------------------------------------------------------------------------------
struct include {
  struct vkd_reload *reload;
  struct source *source;
};

static shaderc_include_result *resolve(void *user, const char *name, int type, const char *by, size_t depth) {
  (void)type, (void)by, (void)depth;
  static const char *const folders[] = {"lib", "shared"};
  const struct include *in = user;
  shaderc_include_result *r = calloc(1, sizeof *r);
  char *path = malloc(PATH_SIZE);
  if (!r || !path) {
    free(path);
    free(r);
    return NULL;
  }
  for (int i = 0; i < 2 && !r->content; i++) {
    snprintf(path, PATH_SIZE, "%s/%s/%s", in->reload->folder, folders[i], name);
    r->content = read_text(path, &r->content_length);
  }
  r->user_data = path;
  if (r->content && note_file(in->source, path)) {
    r->source_name = path;
    r->source_name_length = strlen(path);
    return r;
  }
  free((char *)(uintptr_t)r->content); // an empty source name says that it failed; the content, why
  r->content = strdup("no such file below lib/ and shared/, or too many of them");
  r->content_length = r->content ? strlen(r->content) : 0;
  r->source_name = "";
  return r;
}

static void release(void *user, shaderc_include_result *r) {
  (void)user;
  if (!r) return;
  free((char *)(uintptr_t)r->content);
  free(r->user_data);
  free(r);
}

// ---- compiling -----------------------------------------------------------------------------------------------------
// "-DNAME=VALUE -DOTHER"
static void add_defines(shaderc_compile_options_t options, const char *text) {
  while (*(text += strspn(text, " "))) {
    size_t whole = strcspn(text, " "), skip = whole > 2 && !strncmp(text, "-D", 2) ? 2 : 0;
    const char *name = text + skip, *equals = memchr(name, '=', whole - skip);
    size_t length = equals ? (size_t)(equals - name) : whole - skip;
    shaderc_compile_options_add_macro_definition(options, name, length, equals ? equals + 1 : NULL,
                                                 equals ? whole - skip - length - 1 : 0);
    text += whole;
  }
}

static void complain(struct vkd_reload *r, enum vkd_kernel_id id, const char *message) {
  if (r->complaint && strcmp(r->complaint, message) == 0) return;
  free(r->complaint);
  r->complaint = strdup(message);
  vkd_log(VKD_LOG_WARN, "kernel %s stays as it was: %s", vkd_kernel_blobs[id].name, message);
}

// True: the row has new code.
static bool compile(struct vkd_reload *r, enum vkd_kernel_id id) {
  struct source *s = &r->sources[id];
  struct include include = {r, s};
  char path[PATH_SIZE];
  size_t size = 0;
  bool done = false;
  snprintf(path, sizeof path, "%s/%s", r->folder, rows[id].file);
  s->file_count = 0;
  note_file(s, path);
  char *text = read_text(path, &size);
  shaderc_compile_options_t options = shaderc_compile_options_initialize();
  shaderc_compilation_result_t result = NULL;
  if (text && options) {
    bool newer = vkd_kernel_blobs[id].needs & NEEDS_COOPMAT2; // as cmake/KernelManifest.cmake has it
    shaderc_compile_options_set_optimization_level(options, shaderc_optimization_level_performance);
    shaderc_compile_options_set_target_env(options, shaderc_target_env_vulkan,
                                           newer ? shaderc_env_version_vulkan_1_3 : shaderc_env_version_vulkan_1_2);
    shaderc_compile_options_set_include_callbacks(options, resolve, release, &include);
    add_defines(options, rows[id].defines);
    result = shaderc_compile_into_spv(r->compiler, text, size, shaderc_compute_shader, path, "main", options);
  }
  if (!result) {
    complain(r, id, text ? "no memory to compile it" : "its file cannot be read");
  } else if (shaderc_result_get_compilation_status(result) != shaderc_compilation_status_success) {
    complain(r, id, shaderc_result_get_error_message(result));
  } else {
    size_t bytes = shaderc_result_get_length(result);
    uint32_t *code = malloc(bytes);
    if (code) {
      memcpy(code, shaderc_result_get_bytes(result), bytes);
      free(s->code);
      s->code = code;
      s->bytes = bytes;
      done = true;
    }
  }
  if (result) shaderc_result_release(result);
  if (options) shaderc_compile_options_release(options);
  free(text);
  s->stamp = stamp_of(s);
  return done;
}

enum vkd_status vkd__reload_open(struct vkd_device *dev, struct vkd_error *err) {
  const char *folder = getenv("VKD_SHADER_DIR");
  if (!folder || !*folder) return VKD_OK;
  struct vkd_reload *r = dev->reload = calloc(1, sizeof *r);
  if (r) r->folder = folder;
  if (r) r->compiler = shaderc_compiler_initialize();
  return r && r->compiler ? VKD_OK : vkd_fail(err, VKD_ERR_HOST_MEMORY, "no memory for a shader compiler");
}

void vkd__reload_close(struct vkd_device *dev) {
  struct vkd_reload *r = dev->reload;
  if (!r) return;
  if (r->compiler) shaderc_compiler_release(r->compiler);
  for (int i = 0; i < VKD_K_COUNT; i++) free(r->sources[i].code);
  free(r->complaint);
  free(r);
  dev->reload = NULL;
}

void vkd__reload_code(struct vkd_device *dev, enum vkd_kernel_id id, const uint32_t **code, size_t *bytes) {
  if (!dev->reload) return;
  struct source *s = &dev->reload->sources[id];
  if (!s->file_count) compile(dev->reload, id);
  if (!s->code) return;
  *code = s->code;
  *bytes = s->bytes;
}

void vkd__reload_poll(struct vkd_device *dev) {
  struct vkd_reload *r = dev->reload;
  bool changed[VKD_K_COUNT] = {false}, any = false;
  for (int i = 0; r && i < VKD_K_COUNT; i++) {
    struct source *s = &r->sources[i];
    if (!s->file_count || stamp_of(s) == s->stamp) continue;
    any |= changed[i] = compile(r, (enum vkd_kernel_id)i);
  }
  if (!any) return;
  vkDeviceWaitIdle(dev->handle);
  vkd__pipelines_rebuild(dev, changed);
  dev->generation++;
}
