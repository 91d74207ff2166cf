/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Where libkcoro gets its memory from. By default malloc, realloc and free.
**
** Rule 1: channels, the buffers of channels and pollers are allocated; waiters, operations, selects, tokens, scopes and
** timers are the caller's memory, so that waiting never allocates. The stacks of coroutines are pages of the system;
** what keeps their books is allocated.
** Rule 2: a function whose allocation failed says -ENOMEM and has had no effect.
*/
#ifndef KCORO_MEMORY_H
#define KCORO_MEMORY_H

#include <stddef.h>

/* A source of memory. `resize(ctx, NULL, n)` allocates, `release(ctx, NULL)` does nothing. */
typedef struct kc_memory {
    /* Change the size of a block, as realloc does: NULL on failure, and the old block is as it was. */
    void *(*resize)(void *ctx, void *block, size_t size);
    /* Give a block back. */
    void (*release)(void *ctx, void *block);
    /* Passed to both; kept, never looked into. */
    void *ctx;
} kc_memory_t;

/*
** Use another source from now on; NULL goes back to malloc. Call it before anything was made, from one thread.
**
** memory  borrowed, copied
**
** Returns 0, or -EINVAL when a function is missing.
*/
int kc_memory_use(const kc_memory_t *memory);

#endif
