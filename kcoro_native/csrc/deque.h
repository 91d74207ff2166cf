/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The queue of one worker: the deque of Chase and Lev (2005) in a ring of fixed room.
**
**     top                      bottom
**      | oldest ... newest      |
**      +--> taken by anybody    +<-- pushed and popped by the owner
**
** Rule 1: one thread, the owner, pushes and pops; any thread takes, the owner as well.
** Rule 2: each item comes out once. `top` only rises, and whoever raises it owns the item that was there.
** Rule 3: what does not fit is refused: the memory is bounded, and no old ring has to be kept for a late thief.
**
** Orders, with the letters of Le, Pop, Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak memory
** models" (PPoPP 2013). Their fences stand between the owner's store of bottom and its load of top (pop), and between a
** thief's loads of top and bottom (take), so that not both see the old value where one item is left. Here those four
** accesses, and the swap of top, are _sc instead, which forbids the same outcome: suppose that the owner pops item b
** without a swap, having read a top below b, while a thief takes b, having read top == b and the bottom from before the
** pop. In the one order the thief's load of bottom is before the owner's store of it, that before the owner's load of
** top, that before the swap which made top b, that before the thief's load of top, and that before its load of bottom:
** a circle. The thread sanitizer knows no fences; and on x86-64 a take has no locked instruction but its swap.
**
** - push stores the item, then bottom: a thief that sees the bottom sees the item, and what it points to. (It is _sc
**   for the sake of idle.c: whoever pushes looks next who sleeps.)
** - push reads top before it writes over a slot: the swap that raised top came after the thief's read of the slot.
** - A thief reads the slot before its swap, perhaps while the owner writes a new lap into it; then top has moved on and
**   the swap fails. So slots are atomic.
** - top and bottom count laps and may wrap around; a thief would have to sleep for 2^32 takes between load and swap.
*/
#ifndef KCI_DEQUE_H
#define KCI_DEQUE_H

#include <stddef.h>

#include "kcoro/atomic.h"

/* The room of one; a power of two. What comes beyond it goes to the inject queue. */
#ifndef KC_SCHED_DEQUE_ROOM
#define KC_SCHED_DEQUE_ROOM 256
#endif

typedef struct kci_deque {
    kc_atomic_int top;
    char apart[60]; /* thieves write top, the owner bottom: not in one cache line */
    kc_atomic_int bottom;
    kc_atomic_ptr slots[KC_SCHED_DEQUE_ROOM];
} kci_deque_t;

static inline kc_atomic_ptr *kci_deque_slot(kci_deque_t *q, int at) {
    return &q->slots[(unsigned)at % KC_SCHED_DEQUE_ROOM];
}

/* b - t, where both may have wrapped around. */
static inline int kci_deque_between(int t, int b) {
    return (int)((unsigned)b - (unsigned)t);
}

static inline int kci_deque_step(int at, int by) {
    return (int)((unsigned)at + (unsigned)by);
}

/* All zero is an empty one too. */
static inline void kci_deque_init(kci_deque_t *q) {
    kc_atomic_store(&q->top, 0);
    kc_atomic_store(&q->bottom, 0);
    for (int i = 0; i < KC_SCHED_DEQUE_ROOM; i++)
        kc_atomic_store_ptr(&q->slots[i], NULL);
}

/* How many there are, as it was a moment ago. From any thread; in the one order, for who is about to sleep. */
static inline int kci_deque_length(kci_deque_t *q) {
    int t = kc_atomic_load_sc(&q->top);
    int length = kci_deque_between(t, kc_atomic_load_sc(&q->bottom));
    return length > 0 ? length : 0;
}

/* The owner puts one behind all others; false: there is no room. */
static inline bool kci_deque_push(kci_deque_t *q, void *item) {
    int b = kc_atomic_load(&q->bottom);
    if (kci_deque_between(kc_atomic_load(&q->top), b) >= KC_SCHED_DEQUE_ROOM)
        return false;
    kc_atomic_store_ptr(kci_deque_slot(q, b), item);
    kc_atomic_store_sc(&q->bottom, kci_deque_step(b, 1));
    return true;
}

/* The owner takes the newest; NULL: there is none. */
static inline void *kci_deque_pop(kci_deque_t *q) {
    int b = kci_deque_step(kc_atomic_load(&q->bottom), -1);
    kc_atomic_store_sc(&q->bottom, b);
    int t = kc_atomic_load_sc(&q->top), left = kci_deque_between(t, b);
    void *item = left < 0 ? NULL : kc_atomic_load_ptr(kci_deque_slot(q, b));
    if (left > 0)
        return item;
    if (left == 0 && !kc_atomic_swap_if_sc(&q->top, t, kci_deque_step(t, 1)))
        item = NULL; /* it was the last, and a thief was first */
    kc_atomic_store(&q->bottom, kci_deque_step(b, 1));
    return item;
}

/* Anybody takes the oldest. NULL: there is none, or, where `lost` is set, somebody else was first. */
static inline void *kci_deque_take(kci_deque_t *q, bool *lost) {
    int t = kc_atomic_load_sc(&q->top);
    *lost = false;
    if (kci_deque_between(t, kc_atomic_load_sc(&q->bottom)) <= 0)
        return NULL;
    void *item = kc_atomic_load_ptr(kci_deque_slot(q, t));
    if (kc_atomic_swap_if_sc(&q->top, t, kci_deque_step(t, 1)))
        return item;
    *lost = true;
    return NULL;
}

#endif
