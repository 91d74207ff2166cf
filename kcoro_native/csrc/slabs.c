/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Slabs: one mapping that holds many stacks of one size; contracts in slabs.h. */

#include "slabs.h"

#include <string.h>

#include "alloc.h"
#include "fibers.h"
#include "pages.h"

#define MOST ((size_t)64 << 20) /* bytes of a slab, unless one stack is larger */
#define EDGE 64                 /* bytes at the high end of a stack, for the canary of its neighbour */

size_t kci_guards_by_default(void) {
    return kci_pages.limit() / 4 / 2;
}

static size_t bytes_of(unsigned size) {
    size_t bytes = (size_t)KC_STACK_LEAST << size, least = 2 * kci_page_size();
    return bytes < least ? least : bytes;
}

/* -- its life */

static void place(kci_slab_t *slab, unsigned size, size_t stride, size_t lead) {
    for (size_t i = 0; i < slab->count; i++) {
        kci_stack_t *stack = &slab->stacks[i];
        stack->slab = slab;
        stack->size = size;
        stack->low = slab->at + lead + i * stride;
        stack->top = stack->low + bytes_of(size) - EDGE;
#ifdef KC_HAVE_VALGRIND
        stack->valgrind = kci_valgrind_begin(stack->low, stack->top);
#endif
    }
}

/* A guard that the system refuses leaves a stack like those of the other kind. */
static void guard(kci_slab_t *slab, size_t wanted) {
    size_t page = kci_page_size();
    for (size_t i = 0; i < slab->count; i++) {
        kci_stack_t *stack = &slab->stacks[i];
        stack->has_guard = i < wanted && kci_pages.guard(stack->low - page, page);
        stack->canary = (uint64_t *)(void *)(stack->low - (stack->has_guard ? 0 : EDGE));
        slab->guarded += stack->has_guard;
    }
}

kci_slab_t *kci_slab_make(unsigned size, size_t guards) {
    size_t bytes = bytes_of(size), page = kci_page_size();
    kci_slab_t *slab = kci_alloc(1, sizeof *slab);
    if (slab == NULL)
        return NULL;
    memset(slab, 0, sizeof *slab);
    slab->count = bytes > MOST / KCI_SLAB_STACKS ? (bytes < MOST ? MOST / bytes : 1) : KCI_SLAB_STACKS;
    bool guarded = guards >= slab->count;
    size_t stride = guarded ? bytes + page : bytes;
    slab->length = page + (slab->count - 1) * stride + bytes;
    slab->at = kci_pages.map(slab->length);
    if (slab->at == NULL) {
        kci_free(slab);
        return NULL;
    }
    place(slab, size, stride, page);
    guard(slab, guarded ? slab->count : guards != 0);
    kci_fiber_pages(slab->at, slab->length, true);
    return slab;
}

void kci_slab_free(kci_slab_t *slab) {
    kci_fiber_pages(slab->at, slab->length, false);
#ifdef KC_HAVE_VALGRIND
    for (size_t i = 0; i < slab->count; i++)
        kci_valgrind_end(slab->stacks[i].valgrind);
#endif
    kci_pages.unmap(slab->at, slab->length);
    kci_free(slab);
}

/* -- its stacks */

kci_stack_t *kci_slab_take(kci_slab_t *slab) {
    kci_stack_t *stack = slab->free;
    if (stack != NULL)
        slab->free = stack->next;
    else
        stack = &slab->stacks[slab->fresh++];
    slab->used++;
    stack->is_touched = true;
    return stack;
}

void kci_slab_give(kci_slab_t *slab, kci_stack_t *stack) {
    stack->next = slab->free;
    slab->free = stack;
    slab->used--;
}

bool kci_slab_drop(kci_stack_t *stack) {
    if (!stack->is_touched)
        return false;
    kci_pages.drop(stack->low, bytes_of(stack->size) - kci_page_size());
    stack->is_touched = false;
    return true;
}

/* -- canaries */

void kci_canary_write(kci_stack_t *stack) {
    for (size_t i = 0; i < KCI_CANARIES; i++)
        stack->canary[i] = KCI_CANARY;
}

bool kci_canary_holds(const kci_stack_t *stack) {
    uint64_t wrong = 0;
    for (size_t i = 0; i < KCI_CANARIES; i++)
        wrong |= stack->canary[i] ^ KCI_CANARY;
    return wrong == 0;
}
