// What a kernel asks for, read from its SPIR-V.  Internal to runtime/.
#ifndef VKD_SPIRV_H
#define VKD_SPIRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of a workgroup's shared memory under these specialisation constants.  False: the module uses something that is
// not known here, or is broken.
bool vkd__spirv_shared(const uint32_t *code, size_t bytes, const uint32_t *spec, uint32_t spec_count,
                       uint64_t *shared_bytes);

#endif
