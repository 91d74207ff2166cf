/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What one call answers in one situation: the outcome table of semantics.py, asked of libkcoro. */

#include "harness.h"

enum situation { PARTNER, READY, FULL_OR_EMPTY, CLOSED_WITH_DATA, CLOSED_DRAINED };
enum form { TRY, TIMED, FOREVER };

#define DEADLINE 10

static void nobody(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    (void)op;
}

static void fill(kc_chan_t *ch, size_t capacity) {
    for (size_t i = 0; i < capacity; i++)
        kc_chan_send_now(ch, NULL);
}

/* Bring a new channel into the situation; `partner` waits in the other direction then. */
static void arrange(kc_chan_t *ch, enum situation situation, bool sending, size_t room, kc_call_t *partner,
    const kc_wait_t *for_ever) {
    void *element;
    if (situation == PARTNER && sending)
        kc_recv_begin(partner, ch, &element, for_ever);
    if (situation == PARTNER && !sending) {
        fill(ch, room);
        kc_send_begin(partner, ch, NULL, for_ever);
    }
    if ((situation == READY && !sending) || situation == CLOSED_WITH_DATA)
        kc_chan_send_now(ch, NULL);
    if (situation == FULL_OR_EMPTY && sending)
        fill(ch, room);
    if (situation == CLOSED_WITH_DATA || situation == CLOSED_DRAINED)
        kc_chan_close(ch, NULL);
}

static int call_now(kc_chan_t *ch, bool sending) {
    void *element;
    return sending ? kc_try_send(ch, NULL) : kc_try_recv(ch, &element);
}

static int call_waiting(kc_chan_t *ch, bool sending, enum form form, kc_timers_t *timers, kc_wait_t how) {
    kc_call_t call;
    void *element;
    how.timers = form == TIMED ? timers : NULL;
    how.deadline = DEADLINE;
    int rc = sending ? kc_send_begin(&call, ch, NULL, &how) : kc_recv_begin(&call, ch, &element, &how);
    if (rc != -EAGAIN)
        return rc;
    kc_timers_expire(timers, DEADLINE);
    rc = kc_call_finish(&call, &element);
    if (rc == -EAGAIN) {
        kc_op_give_up(&call.op);
        kc_call_finish(&call, &element);
    }
    return rc;
}

int run_outcome(const int32_t *shape, int sending, int form, int situation, int32_t *dropped) {
    kc_parker_t parker = {nobody};
    kc_wait_t how = {.parker = &parker};
    kc_timers_t timers;
    kc_chan_t *ch;
    kc_call_t partner = {.ch = NULL};
    kc_snapshot_t books;
    void *element;
    size_t room = shape[0] == KC_CONFLATED ? 1 : (size_t)shape[1];
    kc_chan_make(&ch, (kc_kind_t)shape[0], (size_t)shape[1], (kc_overflow_t)shape[2], NULL);
    kc_timers_init(&timers, 0);
    arrange(ch, (enum situation)situation, sending != 0, room, &partner, &how);
    int rc = form == TRY ? call_now(ch, sending != 0) : call_waiting(ch, sending != 0, (enum form)form, &timers, how);
    kc_chan_snapshot(ch, &books);
    *dropped = (int32_t)books.dropped;
    kc_chan_retain(ch);
    kc_chan_destroy(ch);
    if (partner.ch != NULL)
        kc_call_finish(&partner, &element);
    kc_chan_release(ch);
    return rc;
}
