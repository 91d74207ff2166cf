/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A plain send or receive that may wait; contracts in kcoro/call.h. */

#include "kcoro/call.h"

#include <string.h>

#include "claim.h"

/* The claim word that the books know a result by. */
static int booked(kc_chan_t *ch, int rc) {
    switch (rc) {
    case -EAGAIN:
        kc_chan_count_failure(ch, KC_WAITING);
        break;
    case -ETIME:
        kc_chan_count_failure(ch, KC_TIMED_OUT);
        break;
    case -ECANCELED:
        kc_chan_count_failure(ch, KC_CANCELLED);
        break;
    case -EPIPE:
        kc_chan_count_failure(ch, KC_CLOSED);
        break;
    default: /* a success, or misuse, which is in no book */
        break;
    }
    return rc;
}

int kc_try_send(kc_chan_t *ch, void *element) {
    return booked(ch, kc_chan_send_now(ch, element));
}

int kc_try_recv(kc_chan_t *ch, void **element) {
    return booked(ch, kc_chan_recv_now(ch, element));
}

/* -- waiting */

static void expired(kc_timer_t *timer) {
    kc_call_t *call = (kc_call_t *)(void *)((char *)timer - offsetof(kc_call_t, timer));
    kc_op_expire(&call->op);
}

static void cancelled(kc_subscription_t *subscription) {
    kc_call_t *call = (kc_call_t *)(void *)((char *)subscription - offsetof(kc_call_t, subscription));
    kc_op_revoke(&call->op);
}

static int wait(kc_call_t *call, kc_chan_t *ch, bool sending, void *element, const kc_wait_t *how) {
    memset(call, 0, sizeof *call);
    kc_op_init(&call->op, how->parker);
    kc_waiter_init(&call->waiter, &call->op, 0, sending, element);
    int rc = kc_chan_enqueue(ch, &call->waiter);
    if (rc != 0)
        return rc;
    call->ch = ch;
    if (how->timers != NULL)
        kc_timer_start(how->timers, &call->timer, how->deadline, expired);
    if (how->token != NULL)
        kc_token_subscribe(how->token, &call->subscription, cancelled);
    return -EAGAIN;
}

static bool is_misuse(const kc_call_t *call, const kc_chan_t *ch, const kc_wait_t *how) {
    return call == NULL || how == NULL || how->parker == NULL || kc_chan_is_closed(ch) < 0;
}

int kc_send_begin(kc_call_t *call, kc_chan_t *ch, void *element, const kc_wait_t *how) {
    if (is_misuse(call, ch, how))
        return -EINVAL;
    call->ch = NULL;
    if (how->token != NULL && how->token->is_set)
        return booked(ch, -ECANCELED);
    int rc = kc_chan_send_now(ch, element);
    return rc == -EAGAIN ? wait(call, ch, true, element, how) : booked(ch, rc);
}

int kc_recv_begin(kc_call_t *call, kc_chan_t *ch, void **element, const kc_wait_t *how) {
    if (is_misuse(call, ch, how) || element == NULL)
        return -EINVAL;
    call->ch = NULL;
    if (how->token != NULL && how->token->is_set)
        return booked(ch, -ECANCELED);
    int rc = kc_chan_recv_now(ch, element);
    return rc == -EAGAIN ? wait(call, ch, false, NULL, how) : booked(ch, rc);
}

int kc_call_finish(kc_call_t *call, void **element) {
    if (call == NULL || call->ch == NULL || (element == NULL && !call->waiter.sending))
        return -EINVAL;
    int rc = kc_op_result(&call->op);
    if (rc == -EAGAIN)
        return rc;
    kc_chan_t *ch = call->ch;
    call->ch = NULL;
    kc_timer_cancel(&call->timer);
    kc_token_forget(&call->subscription); /* and not unsubscribe: the call's memory goes away now */
    kc_waiter_leave(&call->waiter);
    if (rc == 0 && !call->waiter.sending)
        *element = call->op.value;
    return booked(ch, rc);
}
