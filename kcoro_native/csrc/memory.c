/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Where memory comes from; contracts in kcoro/memory.h. */

#include "kcoro/memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "alloc.h"

static void *resize(void *ctx, void *block, size_t size) {
    (void)ctx;
    return realloc(block, size);
}

static void release(void *ctx, void *block) {
    (void)ctx;
    free(block);
}

static const kc_memory_t from_malloc = {resize, release, NULL};
static kc_memory_t source = {resize, release, NULL};

int kc_memory_use(const kc_memory_t *memory) {
    if (memory == NULL)
        memory = &from_malloc;
    if (memory->resize == NULL || memory->release == NULL)
        return -EINVAL;
    source = *memory;
    return 0;
}

void *kci_alloc(size_t count, size_t size) {
    if (size == 0 || count > SIZE_MAX / size)
        return NULL;
    return source.resize(source.ctx, NULL, count * size);
}

void kci_free(void *block) {
    if (block != NULL)
        source.release(source.ctx, block);
}
