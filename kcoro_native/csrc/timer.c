/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Timers: a hierarchical wheel. Contracts in kcoro/timer.h.
**
** A timer stands on the level of the highest digit (base 64) in which its tick differs from that of the wheel. So all
** timers of a level are due before those of the next, and a timer moves down at most once for each level.
**
** Invariant: on no level does a timer stand in a slot before the wheel's own; above level 0, not in that one either.
*/

#include "kcoro/timer.h"

#include <string.h>

#define TICK_BITS 16 /* of nanoseconds */
#define SLOT_BITS 6
#define DUE KC_TIMER_LEVELS /* the level of timers that are about to fire */

/* -- lists */

static void append(kc_timer_list_t *list, kc_timer_t *timer) {
    timer->prev = list->last;
    timer->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = timer;
    list->last = timer;
}

static void cut(kc_timer_list_t *list, kc_timer_t *timer) {
    *(timer->prev != NULL ? &timer->prev->next : &list->first) = timer->next;
    *(timer->next != NULL ? &timer->next->prev : &list->last) = timer->prev;
    timer->prev = timer->next = NULL;
}

static kc_timer_t *pop(kc_timer_list_t *list) {
    kc_timer_t *timer = list->first;
    if (timer != NULL)
        cut(list, timer);
    return timer;
}

static bool is_before(const kc_timer_t *a, const kc_timer_t *b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->serial < b->serial;
}

static kc_timer_list_t merge(kc_timer_list_t a, kc_timer_list_t b) {
    kc_timer_list_t merged = {NULL, NULL};
    while (a.first != NULL || b.first != NULL) {
        bool from_a = b.first == NULL || (a.first != NULL && is_before(a.first, b.first));
        append(&merged, pop(from_a ? &a : &b));
    }
    return merged;
}

/* Merge sort from the bottom: runs[k] holds 2^k timers, or none. */
static kc_timer_list_t sorted(kc_timer_list_t list) {
    kc_timer_list_t runs[64], all = {NULL, NULL};
    size_t used = 0, k;
    kc_timer_t *timer;
    while ((timer = pop(&list)) != NULL) {
        kc_timer_list_t one = {timer, timer};
        for (k = 0; k < used && runs[k].first != NULL; k++) {
            one = merge(runs[k], one);
            runs[k].first = runs[k].last = NULL;
        }
        runs[k] = one;
        used = k == used ? used + 1 : used;
    }
    for (k = 0; k < used; k++)
        all = merge(runs[k], all);
    return all;
}

/* -- slots */

static unsigned lowest(uint64_t bits) {
    unsigned at = 0;
    for (unsigned half = 32; half != 0; half /= 2)
        if ((bits & ((UINT64_C(1) << half) - 1)) == 0) {
            bits >>= half;
            at += half;
        }
    return at;
}

static unsigned digit(uint64_t tick, unsigned level) {
    return (unsigned)(tick >> (SLOT_BITS * level)) % KC_TIMER_SLOTS;
}

static void place(kc_timers_t *timers, kc_timer_t *timer) {
    uint64_t tick = timer->deadline >> TICK_BITS;
    unsigned level = 0;
    if (tick < timers->tick)
        tick = timers->tick;
    while (level + 1 < KC_TIMER_LEVELS && (tick ^ timers->tick) >> (SLOT_BITS * (level + 1)) != 0)
        level++;
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)digit(tick, level);
    append(&timers->slots[level][timer->slot], timer);
    timers->used[level] |= UINT64_C(1) << timer->slot;
}

static void unplace(kc_timers_t *timers, kc_timer_t *timer) {
    if (timer->level == DUE) {
        cut(&timers->due, timer);
        return;
    }
    kc_timer_list_t *slot = &timers->slots[timer->level][timer->slot];
    cut(slot, timer);
    if (slot->first == NULL)
        timers->used[timer->level] &= ~(UINT64_C(1) << timer->slot);
}

static kc_timer_list_t take_slot(kc_timers_t *timers, unsigned level, unsigned slot) {
    kc_timer_list_t list = timers->slots[level][slot];
    timers->slots[level][slot].first = timers->slots[level][slot].last = NULL;
    timers->used[level] &= ~(UINT64_C(1) << slot);
    return list;
}

/* The first slot that holds a timer; false when there is none. */
static bool first_slot(const kc_timers_t *timers, unsigned *level, unsigned *slot) {
    for (*level = 0; *level < KC_TIMER_LEVELS; (*level)++)
        if (timers->used[*level] != 0) {
            *slot = lowest(timers->used[*level]);
            return true;
        }
    return false;
}

/* The tick at which a slot begins: the wheel's, with this digit, and zeros behind it. */
static uint64_t begin_of(const kc_timers_t *timers, unsigned level, unsigned slot) {
    unsigned bits = SLOT_BITS * level;
    uint64_t above = timers->tick >> (bits + SLOT_BITS) << (bits + SLOT_BITS);
    return above | (uint64_t)slot << bits;
}

/* -- turning the wheel */

/* Split a slot of the first level: what is due goes behind those that are, the rest back. */
static void ripen(kc_timers_t *timers, unsigned slot, uint64_t now) {
    kc_timer_list_t list = sorted(take_slot(timers, 0, slot));
    kc_timer_t *timer;
    while ((timer = pop(&list)) != NULL) {
        if (timer->deadline > now || timer->deadline == KC_NEVER) {
            place(timers, timer);
            continue;
        }
        timer->level = DUE;
        append(&timers->due, timer);
    }
}

static void collect(kc_timers_t *timers, uint64_t now) {
    uint64_t until = now >> TICK_BITS;
    unsigned level, slot;
    while (first_slot(timers, &level, &slot)) {
        uint64_t begin = begin_of(timers, level, slot);
        if (begin > until && begin > timers->tick)
            break;
        timers->tick = begin > timers->tick ? begin : timers->tick;
        if (level == 0) {
            ripen(timers, slot, now);
            if (begin >= until)
                break;
            continue;
        }
        kc_timer_list_t list = take_slot(timers, level, slot);
        for (kc_timer_t *timer; (timer = pop(&list)) != NULL;)
            place(timers, timer);
    }
    if (until > timers->tick)
        timers->tick = until;
}

/* -- the public side */

int kc_timers_init(kc_timers_t *timers, uint64_t now) {
    if (timers == NULL)
        return -EINVAL;
    memset(timers, 0, sizeof *timers);
    timers->tick = now >> TICK_BITS;
    timers->next = KC_NEVER;
    timers->knows_next = true;
    return 0;
}

int kc_timer_start(kc_timers_t *timers, kc_timer_t *timer, uint64_t deadline, kc_timer_fn fn) {
    if (timers == NULL || timer == NULL || fn == NULL || timer->timers != NULL)
        return -EINVAL;
    timer->timers = timers;
    timer->deadline = deadline;
    timer->serial = timers->serial++;
    timer->fn = fn;
    timers->count++;
    if (deadline < timers->next)
        timers->next = deadline;
    place(timers, timer);
    return 0;
}

int kc_timer_cancel(kc_timer_t *timer) {
    if (timer == NULL || timer->timers == NULL)
        return 0;
    kc_timers_t *timers = timer->timers;
    unplace(timers, timer);
    timer->timers = NULL;
    timers->count--;
    if (timer->deadline == timers->next)
        timers->knows_next = false;
    return 1;
}

static uint64_t find_next(const kc_timers_t *timers) {
    uint64_t next = timers->due.first != NULL ? timers->due.first->deadline : KC_NEVER;
    unsigned level, slot;
    if (first_slot(timers, &level, &slot))
        for (const kc_timer_t *timer = timers->slots[level][slot].first; timer != NULL; timer = timer->next)
            if (timer->deadline < next)
                next = timer->deadline;
    return next;
}

uint64_t kc_timers_next(kc_timers_t *timers) {
    if (timers == NULL)
        return KC_NEVER;
    if (!timers->knows_next) {
        timers->next = find_next(timers);
        timers->knows_next = true;
    }
    return timers->next;
}

size_t kc_timers_count(const kc_timers_t *timers) {
    return timers == NULL ? 0 : timers->count;
}

int kc_timers_expire(kc_timers_t *timers, uint64_t now) {
    int fired = 0;
    if (timers == NULL || timers->is_expiring)
        return -EINVAL;
    timers->is_expiring = true;
    collect(timers, now);
    for (kc_timer_t *timer; (timer = pop(&timers->due)) != NULL; fired++) {
        timer->timers = NULL;
        timers->count--;
        timers->knows_next = false;
        timer->fn(timer); /* from here on it may be gone */
    }
    timers->is_expiring = false;
    return fired;
}
