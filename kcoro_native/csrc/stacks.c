/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Stacks: the pools of slabs. Contracts in kcoro/stack.h and stacks.h; what a thread keeps is in near.h.
**
**     take: near[size] -> pool[size]: a slab with a free stack -> a new slab
**     give: near[size] -> pool[size]: its slab -> the system
**
** Invariant: pool.slabs holds exactly the slabs of that size that have a free stack; pool.free counts these.
** The lock is held over the pools, the rules and the counts.
*/

#include "stacks.h"

#include <pthread.h>

#include "slabs.h"

typedef struct pool {
    kci_slab_t *slabs;
    size_t free;
} pool_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pool_t pools[KCI_STACK_SIZES];
static kc_stack_counts_t counts;
static kc_stack_rules_t rules;
static bool has_rules;
size_t kci_stacks_near; /* that of the rules */

static void default_rules(void) {
    if (has_rules)
        return;
    rules = (kc_stack_rules_t){kci_guards_by_default(), 64, 1024};
    kci_stacks_near = rules.near;
    has_rules = true;
}

/* -- slabs of a pool, with the lock held */

static void link_slab(pool_t *pool, kci_slab_t *slab) {
    slab->prev = NULL;
    slab->next = pool->slabs;
    if (slab->next != NULL)
        slab->next->prev = slab;
    pool->slabs = slab;
}

static void unlink_slab(pool_t *pool, kci_slab_t *slab) {
    *(slab->prev != NULL ? &slab->prev->next : &pool->slabs) = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
}

static kci_slab_t *grow(pool_t *pool, unsigned size) {
    default_rules();
    size_t left = rules.guards > counts.guarded ? rules.guards - counts.guarded : 0;
    kci_slab_t *slab = kci_slab_make(size, left);
    if (slab == NULL)
        return NULL;
    counts.slabs++;
    counts.stacks += slab->count;
    counts.guarded += slab->guarded;
    pool->free += slab->count;
    link_slab(pool, slab);
    return slab;
}

static void shrink(pool_t *pool, kci_slab_t *slab) {
    counts.slabs--;
    counts.stacks -= slab->count;
    counts.guarded -= slab->guarded;
    pool->free -= slab->count;
    unlink_slab(pool, slab);
    kci_slab_free(slab);
}

static kci_stack_t *take(unsigned size) {
    pool_t *pool = &pools[size];
    kci_slab_t *slab = pool->slabs != NULL ? pool->slabs : grow(pool, size);
    if (slab == NULL)
        return NULL;
    kci_stack_t *stack = kci_slab_take(slab);
    if (slab->used == slab->count)
        unlink_slab(pool, slab);
    pool->free--;
    counts.used++;
    return stack;
}

static void give(kci_stack_t *stack) {
    kci_slab_t *slab = stack->slab;
    pool_t *pool = &pools[stack->size];
    if (slab->used == slab->count)
        link_slab(pool, slab);
    kci_slab_give(slab, stack);
    pool->free++;
    counts.used--;
    if (pool->free <= rules.high_water)
        return;
    counts.dropped += kci_slab_drop(stack);
    if (slab->used == 0 && pool->free - slab->count >= rules.high_water)
        shrink(pool, slab);
}

/* -- what coroutines call */

unsigned kci_stack_size(size_t bytes) {
    unsigned size = 0;
    while (size < KCI_STACK_SIZES && (size_t)KC_STACK_LEAST << size < bytes)
        size++;
    return size;
}

kci_stack_t *kci_stack_take(unsigned size) {
    pthread_mutex_lock(&lock);
    kci_stack_t *stack = take(size);
    pthread_mutex_unlock(&lock);
    return stack;
}

void kci_stack_give(kci_stack_t *stack) {
    pthread_mutex_lock(&lock);
    give(stack);
    pthread_mutex_unlock(&lock);
}

/* -- what is public */

int kc_stacks_use(const kc_stack_rules_t *wanted) {
    pthread_mutex_lock(&lock);
    has_rules = wanted != NULL;
    if (has_rules)
        rules = *wanted;
    else
        default_rules();
    kci_stacks_near = rules.near;
    pthread_mutex_unlock(&lock);
    return 0;
}

int kc_stacks_count(kc_stack_counts_t *out) {
    if (out == NULL)
        return -EINVAL;
    pthread_mutex_lock(&lock);
    *out = counts;
    pthread_mutex_unlock(&lock);
    return 0;
}

static int trim(pool_t *pool) {
    int gone = 0;
    kci_slab_t *next;
    for (kci_slab_t *slab = pool->slabs; slab != NULL; slab = next) {
        next = slab->next;
        for (kci_stack_t *stack = slab->free; stack != NULL; stack = stack->next)
            counts.dropped += kci_slab_drop(stack);
        if (slab->used == 0) {
            shrink(pool, slab);
            gone++;
        }
    }
    return gone;
}

int kci_stacks_trim(void) {
    int gone = 0;
    pthread_mutex_lock(&lock);
    for (unsigned size = 0; size < KCI_STACK_SIZES; size++)
        gone += trim(&pools[size]);
    pthread_mutex_unlock(&lock);
    return gone;
}
