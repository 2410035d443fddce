#include "vkd_format.h"

#include "vkd/bytes.h"
#include "vkd/hash.h"

// As PNG's: a high bit, CR LF, ^Z and LF show a file that went through a text conversion.
static const uint8_t magic[VKD_MAGIC_BYTES] = {0x93, 'V', 'K', 'D', '\r', '\n', 0x1a, '\n'};

void vkd_header_put(const struct vkd_header *h, uint8_t out[VKD_HEADER_BYTES]) {
  memset(out, 0, VKD_HEADER_BYTES);
  memcpy(out, magic, VKD_MAGIC_BYTES);
  put_u32(out + 8, VKD_FORMAT_VERSION);
  put_u32(out + 12, VKD_HEADER_BYTES);
  put_u64(out + 16, h->file_bytes);
  put_u64(out + 24, h->tables_offset);
  put_u64(out + 32, h->meta_bytes);
  put_u64(out + 40, h->tables_hash);
  const uint32_t words[] = {h->clips,    h->texts,  h->classes, h->text_len, h->text_dim, h->kind,
                            h->channels, h->frames, h->height,  h->width,    h->levels_t, h->levels_s};
  for (int i = 0; i < 12; i++) put_u32(out + 48 + 4 * i, words[i]);
  put_u64(out + 120, hash_xxh64(out, 120, 0));
}

enum vkd_status vkd_header_get(const uint8_t in[VKD_HEADER_BYTES], struct vkd_header *h, struct vkd_error *err) {
  if (memcmp(in, magic, VKD_MAGIC_BYTES)) return vkd_fail(err, VKD_ERR_INPUT, "not a .vkd file");
  if (get_u32(in + 8) != VKD_FORMAT_VERSION || get_u32(in + 12) != VKD_HEADER_BYTES)
    return vkd_fail(err, VKD_ERR_INPUT, ".vkd version %u, but this program reads version %d; build it anew",
                    get_u32(in + 8), VKD_FORMAT_VERSION);
  if (get_u64(in + 120) != hash_xxh64(in, 120, 0))
    return vkd_fail(err, VKD_ERR_INPUT, "corrupt: the header does not match its checksum; build it anew");
  h->file_bytes = get_u64(in + 16);
  h->tables_offset = get_u64(in + 24);
  h->meta_bytes = get_u64(in + 32);
  h->tables_hash = get_u64(in + 40);
  uint32_t *const words[] = {&h->clips,    &h->texts,  &h->classes, &h->text_len, &h->text_dim, &h->kind,
                             &h->channels, &h->frames, &h->height,  &h->width,    &h->levels_t, &h->levels_s};
  for (int i = 0; i < 12; i++) *words[i] = get_u32(in + 48 + 4 * i);
  return VKD_OK;
}

static void blob_put(const struct vkd_blob *b, uint8_t *out) {
  put_u64(out, b->offset);
  put_u64(out + 8, b->stored_bytes);
  put_u64(out + 16, b->raw_bytes);
  put_u64(out + 24, b->stored_hash);
}

static void blob_get(const uint8_t *in, struct vkd_blob *b) {
  b->offset = get_u64(in);
  b->stored_bytes = get_u64(in + 8);
  b->raw_bytes = get_u64(in + 16);
  b->stored_hash = get_u64(in + 24);
}

void vkd_clip_put(const struct vkd_clip *c, uint8_t out[VKD_CLIP_BYTES]) {
  blob_put(&c->blob, out);
  put_u64(out + 32, c->content);
  put_u32(out + 40, (uint32_t)c->label);
  put_u32(out + 44, (uint32_t)c->text);
  put_u32(out + 48, c->split);
  put_u32(out + 52, c->source);
  put_u32(out + 56, c->start);
  put_u32(out + 60, 0);
}

void vkd_clip_get(const uint8_t in[VKD_CLIP_BYTES], struct vkd_clip *c) {
  blob_get(in, &c->blob);
  c->content = get_u64(in + 32);
  c->label = (int32_t)get_u32(in + 40);
  c->text = (int32_t)get_u32(in + 44);
  c->split = get_u32(in + 48);
  c->source = get_u32(in + 52);
  c->start = get_u32(in + 56);
}

void vkd_text_put(const struct vkd_text *t, uint8_t out[VKD_TEXT_BYTES]) {
  blob_put(&t->blob, out);
  put_u32(out + 32, t->rows);
  put_u32(out + 36, 0);
}

void vkd_text_get(const uint8_t in[VKD_TEXT_BYTES], struct vkd_text *t) {
  blob_get(in, &t->blob);
  t->rows = get_u32(in + 32);
}

uint64_t vkd_clip_raw_bytes(const struct latent_codec *codec) {
  return codec->kind == LATENT_RAW ? (uint64_t)latent_count(codec) * 4 : (uint64_t)latent_frame_bytes(codec);
}
