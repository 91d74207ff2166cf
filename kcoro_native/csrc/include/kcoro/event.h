/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Something that happens once, and those who wait for it; the base of clauses about tokens, time and tasks, as
** kcoro_core/clauses/events.py is in Python.
**
** Rule 1: an event is set once, and stays set; the first value stays.
** Rule 2: setting wakes all who wait, oldest first. Who is being claimed keeps its place, and finds the event later.
*/
#ifndef KCORO_EVENT_H
#define KCORO_EVENT_H

#include "clause.h"

/* One event; the caller's memory, for as long as anybody waits for it. Read it; write it by the functions below. */
typedef struct kc_event {
    bool is_set;
    void *value;           /* what was given to kc_event_set; never looked into */
    kc_waitlist_t waiters; /* who is told */
} kc_event_t;

/* Begin one that has not happened. 0, or -EINVAL. */
int kc_event_init(kc_event_t *event);

/* It happened: complete all who wait with `value`. 1, 0 when it had happened before, or -EINVAL. */
int kc_event_set(kc_event_t *event, void *value);

/*
** Wait for it, with a waiter of one's own.
**
** Returns 0 and has completed the waiter, when it has happened; -EAGAIN: it waits now; or -EINVAL.
*/
int kc_event_wait(kc_event_t *event, kc_waiter_t *w);

/* Ready once the event is set; gives its value. 0, or -EINVAL. */
int kc_clause_event(kc_clause_t *clause, kc_event_t *event);

#endif
