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

/* Free stacks of one size that a thread keeps; all zero is none. */
typedef struct kci_near {
    kci_stack_t *first;
    size_t count;
} kci_near_t;

#define KCI_CANARIES 4
#define KCI_CANARY UINT64_C(0x6b63a5c3e1d2b497) /* no text, no small number, no address */

/* Which size holds `bytes`; 0 for 0. KCI_STACK_SIZES when none does. */
unsigned kci_stack_size(size_t bytes);

/* A stack from what all have; NULL without memory. */
kci_stack_t *kci_stack_take_far(unsigned size);

/* Give it to all. */
void kci_stack_give_far(kci_stack_t *stack);

/* How many of each size a thread keeps; see kcoro/stack.h. */
extern size_t kci_stacks_near;

/* A stack of that size, from what the thread keeps or from all; NULL without memory. */
static inline kci_stack_t *kci_stack_take(kci_near_t near_by_size[KCI_STACK_SIZES], unsigned size) {
    kci_near_t *near = &near_by_size[size];
    kci_stack_t *stack = near->first;
    if (stack == NULL)
        return kci_stack_take_far(size);
    near->first = stack->next;
    near->count--;
    return stack;
}

/* Give it back. */
static inline void kci_stack_give(kci_near_t near_by_size[KCI_STACK_SIZES], kci_stack_t *stack) {
    kci_near_t *near = &near_by_size[stack->size];
    if (near->count >= kci_stacks_near) {
        kci_stack_give_far(stack);
        return;
    }
    stack->next = near->first;
    near->first = stack;
    near->count++;
}

/* The thread ends, or nothing is to be kept: give what is near to all. */
void kci_stacks_leave(kci_near_t near_by_size[KCI_STACK_SIZES]);

/* As kc_stacks_trim, but for what threads keep. */
int kci_stacks_trim(void);

/* The canary of a stack: write it, and whether it is still there. */
void kci_canary_write(kci_stack_t *stack);
bool kci_canary_holds(const kci_stack_t *stack);

#endif
