/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Where coroutines get their stacks from: slabs of pages, and a cache of stacks that were given back.
**
** Rule 1: a stack has a guard page at its low end as long as the share of them lasts, because a system counts mappings
** and a guard costs two, where pages cannot be marked. Beyond it stacks stand side by side, with a canary between them,
** and each switch checks it and the stack pointer (kc_coro_checks).
** Rule 2: a stack that is parked costs the pages that it has touched, at least one, and no more.
** Rule 3: a thread keeps some free stacks for itself, the others are common; beyond a high-water mark they lose their
** pages, and a slab without a used stack goes back to the system.
** Rule 4: sizes are powers of two, from KC_STACK_LEAST to KC_STACK_MOST; others are rounded up.
**
** One guard page stands at the low end, where a stack grows to; a function whose frame is larger than a page may step
** over it unless it was compiled with -fstack-clash-protection.
*/
#ifndef KCORO_STACK_H
#define KCORO_STACK_H

#include <stddef.h>

#include "codes.h"

/* The smallest stack in bytes; what is asked for below is rounded up to it. */
#define KC_STACK_LEAST 16384

/* The largest stack in bytes; more is refused with -EINVAL. */
#define KC_STACK_MOST 536870912

/* What may be tuned. */
typedef struct kc_stack_rules {
    size_t guards;     /* how many stacks may have a guard page of their own */
    size_t near;       /* how many free ones of each size a thread keeps for itself */
    size_t high_water; /* how many free ones of each size keep their pages, beyond those of the threads */
} kc_stack_rules_t;

/* What there is now, over all sizes; those that a thread keeps count as used. */
typedef struct kc_stack_counts {
    size_t slabs;   /* mappings that were asked for */
    size_t stacks;  /* in them, used or not */
    size_t guarded; /* of these, with a guard page of their own */
    size_t used;    /* by a coroutine, or kept by a thread */
    size_t dropped; /* times that a free one lost its pages, ever */
} kc_stack_counts_t;

/*
** Use other rules from now on; NULL goes back to the default: guards for a quarter of the mappings that the system
** allows, 64 near, a high-water mark of 1,024. Call it from one thread, before others use coroutines.
**
** Returns 0.
*/
int kc_stacks_use(const kc_stack_rules_t *rules);

/* Count what there is, into *out. 0, or -EINVAL. */
int kc_stacks_count(kc_stack_counts_t *out);

/*
** Give back what is free: those that this thread keeps, the pages of all, and each slab that nobody uses.
**
** Returns how many slabs went back to the system.
*/
int kc_stacks_trim(void);

#endif
