/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Slabs: one mapping that holds many stacks of one size.
**
**     guarded   | guard | stack 0 | guard | stack 1 | ...
**     side by side  | guard | stack 0 | stack 1 | ...      the canary of stack 1 lies in the end of stack 0
*/
#ifndef KCI_SLABS_H
#define KCI_SLABS_H

#include "stacks.h"

#define KCI_SLAB_STACKS 64

/* One mapping. Only stacks.c touches it, with its lock held. */
struct kci_slab {
    kci_slab_t *prev, *next; /* of those of its size that have a free stack */
    kci_stack_t *free;       /* given back, the last one first */
    char *at;
    size_t length;
    size_t count, fresh, used, guarded; /* stacks: all, never used, used, with a guard of their own */
    kci_stack_t stacks[KCI_SLAB_STACKS];
};

/* How many stacks may have a guard: two mappings each, in a quarter of what the system allows. */
size_t kci_guards_by_default(void);

/* A slab of stacks of that size, each with a guard as long as so many are left and the system has more. NULL without
** memory. */
kci_slab_t *kci_slab_make(unsigned size, size_t guards);

/* Unmap and free it. */
void kci_slab_free(kci_slab_t *slab);

/* One of its free stacks; there is one. */
kci_stack_t *kci_slab_take(kci_slab_t *slab);

/* Take one of its stacks back. */
void kci_slab_give(kci_slab_t *slab, kci_stack_t *stack);

/* Have a free stack lose its pages, but for the highest, which has the canary of its neighbour. Whether it had any. */
bool kci_slab_drop(kci_stack_t *stack);

#endif
