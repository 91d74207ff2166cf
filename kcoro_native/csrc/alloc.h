/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Memory for the rest of the library; twin of nothing, because Python has its own. See kcoro/memory.h. */
#ifndef KCI_ALLOC_H
#define KCI_ALLOC_H

#include <stddef.h>

/* `count` elements of `size` bytes, not cleared; NULL without memory, or when the product has no size_t. */
void *kci_alloc(size_t count, size_t size);

/* Give a block back; NULL is harmless. */
void kci_free(void *block);

#endif
