/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The semantics as numbers; twin of kcoro_core/semantics.py, against which a test checks every line of this file.
**
** Rule 1: names and numbers are the contract between the engines; they are never reused.
** Rule 2: at the instant of a call cancel beats close beats ready beats timeout.
*/
#ifndef KCORO_SEMANTICS_H
#define KCORO_SEMANTICS_H

/* How many elements a channel holds between a sender and a receiver; chosen once, when it is made. */
typedef enum kc_kind {
    /* Holds none: a send completes only together with a receive.
    ** Use it when both sides must know of each other. */
    KC_RENDEZVOUS = 0,
    /* Holds exactly `capacity` elements, then the overflow policy decides.
    ** Use it for bursts, with a bound. */
    KC_BUFFERED = 1,
    /* Holds the newest element only; a send never waits and replaces it.
    ** Use it for state, such as progress. */
    KC_CONFLATED = 2,
    /* Holds any number: a send never waits, memory is the only bound.
    ** Use it where the producer is known to end. */
    KC_UNLIMITED = 3
} kc_kind_t;

/* What a send does when a KC_BUFFERED channel is full; other kinds take KC_SUSPEND only. */
typedef enum kc_overflow {
    /* The sender waits for room; nothing is ever dropped.
    ** Use it for back-pressure. */
    KC_SUSPEND = 0,
    /* The oldest queued element makes room and is reported as undelivered.
    ** Use it where the newest matter most. */
    KC_DROP_OLDEST = 1,
    /* The element being sent is dropped and reported as undelivered.
    ** Use it where the first in line matter most. */
    KC_DROP_LATEST = 2
} kc_overflow_t;

/* Which of several ready clauses a select takes. */
typedef enum kc_select_mode {
    /* The lowest index that is ready, always.
    ** Use it for priorities; a busy first clause can starve the others. */
    KC_BIASED = 0,
    /* A real shuffle of all clauses at each call.
    ** Use it where no clause may be preferred. */
    KC_UNBIASED = 1,
    /* Starts behind the clause that won last.
    ** Use it with one selector in a loop, to bound the wins of one clause in a row. */
    KC_ROUND_ROBIN = 2
} kc_select_mode_t;

/* What a select does about a clause whose channel is closed (for a receiver: and drained). */
typedef enum kc_closed_rule {
    /* The clause is ready, and the select ends with -EPIPE and its index.
    ** The default: a close is never missed. */
    KC_RAISE = 0,
    /* As KC_RAISE here: the difference is made by whoever turns the result into an exception or a value.
    ** Use it in loops that retire clauses. */
    KC_RETURN = 1,
    /* The clause is ignored until all are closed, also those that never close; then -EPIPE without an index.
    ** Use it to drain several channels that end at different times. */
    KC_SKIP = 2
} kc_closed_rule_t;

/* Why an element reached nobody; told once for each such element. */
typedef enum kc_undelivered {
    /* A KC_DROP_OLDEST or KC_DROP_LATEST policy dropped it because the buffer was full.
    ** Expect it wherever such a policy was chosen. */
    KC_UNDELIVERED_OVERFLOW = 0,
    /* A newer element replaced it in a KC_CONFLATED channel.
    ** Expect it wherever state changes faster than it is read. */
    KC_UNDELIVERED_CONFLATED = 1,
    /* It was queued when kc_chan_cancel threw the queue away.
    ** Expect it after a deliberate end. */
    KC_UNDELIVERED_CANCELLED = 2,
    /* It was queued when the channel was destroyed, or its last reference went away.
    ** Seeing it often means that a receiver ends too early. */
    KC_UNDELIVERED_DESTROYED = 3,
    /* It reached, over a link, a home whose channel had been destroyed already.
    ** Not produced by this library, which has no links; the number is kept for those who do. */
    KC_UNDELIVERED_CLOSED = 4,
    /* A link was lost after it was handed to the other side and before that side confirmed it.
    ** Not produced by this library, which has no links; the number is kept for those who do. */
    KC_UNDELIVERED_IN_DOUBT = 5
} kc_undelivered_t;

/* The claim word of an operation. A value >= 0 is the index of the clause that won. */
enum kc_claim {
    /* Nobody has decided it.
    ** The only state in which it can be won. */
    KC_WAITING = -1,
    /* A token was set, or the owner gave up.
    ** Nothing was moved. */
    KC_CANCELLED = -2,
    /* Its deadline passed before anybody took part.
    ** Nothing was moved. */
    KC_TIMED_OUT = -3,
    /* All channels of a KC_SKIP select closed.
    ** A single closed clause is told by its index and -EPIPE instead. */
    KC_CLOSED = -4,
    /* A clause of another process is being asked for, revocably; clause i is KC_CLAIMING - i.
    ** Partners skip such a waiter, and it keeps its place. */
    KC_CLAIMING = -16
};

#endif
