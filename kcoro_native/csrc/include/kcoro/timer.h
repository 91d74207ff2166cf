/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Timers without a clock: a hierarchical wheel of deadlines; twin of reference/timer.py, which has a heap.
**
** Rule 1: timers fire in the order of their deadlines, equal deadlines in the order in which they were started.
** Rule 2: kc_timer_cancel answers 1 exactly when the callback has not run and now never will.
** Rule 3: a timer that a callback starts fires in a later kc_timers_expire, so that each of them ends.
** Rule 4: starting and cancelling take the same time with ten timers and with a million; nothing is allocated.
**
** Unit: nanoseconds on the clock of whoever calls kc_timers_expire. Nothing here reads a clock, sleeps or knows a task.
*/
#ifndef KCORO_TIMER_H
#define KCORO_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codes.h"

/* A deadline that never comes. */
#define KC_NEVER UINT64_MAX

/* The wheel: 8 levels of 64 slots cover all of a uint64_t, the first level in ticks of 2^16 ns, about 66 us. */
#define KC_TIMER_LEVELS 8
#define KC_TIMER_SLOTS 64

typedef struct kc_timer kc_timer_t;
typedef struct kc_timers kc_timers_t;

/* What a timer does; it may free or start the timer, and start or cancel others. */
typedef void (*kc_timer_fn)(kc_timer_t *self);

/* One timer; the caller's memory, from start until it has fired or was cancelled. All zero is one that was not started.
** Put it first in a structure of your own to find your way back. */
struct kc_timer {
    kc_timer_t *prev, *next;
    kc_timers_t *timers; /* where it waits, or NULL */
    uint64_t deadline;
    uint64_t serial; /* which of equal deadlines was first */
    kc_timer_fn fn;
    uint8_t level, slot;
};

/* A list of timers; the wheel's. */
typedef struct kc_timer_list {
    kc_timer_t *first, *last;
} kc_timer_list_t;

/* The timers of one loop; the caller's memory, about 8 KiB. Use the functions below only. */
struct kc_timers {
    kc_timer_list_t slots[KC_TIMER_LEVELS][KC_TIMER_SLOTS];
    uint64_t used[KC_TIMER_LEVELS]; /* one bit for each slot that holds a timer */
    kc_timer_list_t due;            /* in order, while they fire */
    uint64_t tick;                  /* how far the wheel has turned */
    uint64_t serial;
    uint64_t next; /* the earliest deadline, where knows_next */
    size_t count;
    bool knows_next, is_expiring;
};

/* Begin with no timers at time `now`. 0, or -EINVAL. */
int kc_timers_init(kc_timers_t *timers, uint64_t now);

/*
** Have `fn` called by the first kc_timers_expire at or after `deadline`; KC_NEVER is never.
**
** Returns 0, or -EINVAL: a NULL, or it was started and has neither fired nor been cancelled.
*/
int kc_timer_start(kc_timers_t *timers, kc_timer_t *timer, uint64_t deadline, kc_timer_fn fn);

/* Take the timer back: 1 exactly when it has not fired and now never will, else 0. May be repeated. */
int kc_timer_cancel(kc_timer_t *timer);

/* The earliest deadline of a timer that will fire, or KC_NEVER. */
uint64_t kc_timers_next(kc_timers_t *timers);

/* The number of timers that were started and have neither fired nor been cancelled. */
size_t kc_timers_count(const kc_timers_t *timers);

/* Call what is due at `now`. Returns how many callbacks ran, or -EINVAL: a NULL, or called from a callback. */
int kc_timers_expire(kc_timers_t *timers, uint64_t now);

#endif
