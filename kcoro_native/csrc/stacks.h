/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Stacks for coroutines; the rules are in kcoro/stack.h. */
#ifndef KCI_STACKS_H
#define KCI_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kcoro/stack.h"

#define KCI_STACK_SIZES 16 /* KC_STACK_LEAST << 0 .. 15 */

typedef struct kci_slab kci_slab_t;
typedef struct kci_stack kci_stack_t;

/* One stack. It does not move while its slab is there. */
struct kci_stack {
    kci_stack_t *next; /* in a list of free ones */
    kci_slab_t *slab;
    char *low;         /* the lowest byte that may be used */
    char *top;         /* behind the highest, a multiple of 64; the words of a neighbour's canary lie above */
    uint64_t *canary;  /* KCI_CANARIES words at the low end, or below it: in the end of the neighbour */
    unsigned size;     /* which: KC_STACK_LEAST << size */
    unsigned valgrind; /* its number there */
    bool has_guard;    /* below `low` is a page without access */
    bool is_touched;   /* its pages may hold something */
};

#define KCI_CANARIES 4
#define KCI_CANARY UINT64_C(0x6b63a5c3e1d2b497) /* no text, no small number, no address */

/* Which size holds `bytes`; 0 for 0. KCI_STACK_SIZES when none does. */
unsigned kci_stack_size(size_t bytes);

/* A stack of that size; NULL without memory. */
kci_stack_t *kci_stack_take(unsigned size);

/* Give it back. */
void kci_stack_give(kci_stack_t *stack);

/* How many free ones of each size a thread may keep for itself; see kcoro/stack.h. */
extern size_t kci_stacks_near;

/* As kc_stacks_trim, but for what threads keep. */
int kci_stacks_trim(void);

/* The canary of a stack: write it, and whether it is still there. */
void kci_canary_write(kci_stack_t *stack);
bool kci_canary_holds(const kci_stack_t *stack);

#endif
