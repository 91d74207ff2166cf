/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Channels that tasks on many threads share. Contracts in kcoro/shared.h. */

#include <string.h>

#include "alloc.h"
#include "share.h"
#include "tokens.h"

/* -- leaving the lock */

/* The hook of the channel inside, which is called under the lock. */
static void keep_dropped(void *ctx, void *element, kc_undelivered_t why) {
    kc_shared_t *ch = ctx;
    ch->dropped = (kci_dropped_t){element, why, true};
}

void kci_share_tell(const kc_shared_t *ch, const kci_dropped_t *dropped) {
    if (!dropped->is_there)
        return;
    if (ch->hooks.undelivered != NULL)
        ch->hooks.undelivered(ch->hooks.ctx, dropped->element, dropped->why);
    if (ch->hooks.destroy != NULL)
        ch->hooks.destroy(ch->hooks.ctx, dropped->element);
}

void kci_share_leave(kc_shared_t *ch) {
    kci_dropped_t dropped = ch->dropped;
    ch->dropped.is_there = false;
    kci_leave(&ch->lock);
    kci_share_tell(ch, &dropped);
}

int kci_share_over(int rc) {
    kci_worker_t *worker = kci_seat()->worker;
    if (worker != NULL && worker->task != NULL && ++worker->spent >= KC_SCHED_BUDGET)
        kc_task_yield();
    return rc;
}

/* -- its life */

int kc_shared_make(kc_shared_t **out, kc_kind_t kind, size_t capacity, kc_overflow_t overflow,
                   const kc_chan_hooks_t *hooks) {
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    if (hooks != NULL && hooks->left != NULL)
        return -EINVAL;
    kc_shared_t *ch = kci_alloc(1, sizeof *ch);
    if (ch == NULL)
        return -ENOMEM;
    memset(ch, 0, sizeof *ch);
    kc_chan_hooks_t inside = {keep_dropped, NULL, ch, NULL};
    int rc = kc_chan_make(&ch->ch, kind, capacity, overflow, &inside);
    if (rc == 0 && pthread_mutex_init(&ch->lock, NULL) != 0) {
        kc_chan_release(ch->ch);
        rc = -ENOMEM;
    }
    if (rc != 0) {
        kci_free(ch);
        return rc;
    }
    if (hooks != NULL)
        ch->hooks = *hooks;
    kc_atomic_store(&ch->references, 1);
    kc_atomic_store(&ch->open_senders, 0);
    kc_atomic_store(&ch->open_receivers, 0);
    *out = ch;
    return 0;
}

int kc_shared_retain(kc_shared_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    kc_atomic_add_sc(&ch->references, 1);
    return 0;
}

/* One at a time, so that no lock is held while hooks run. */
static bool report_one(kc_shared_t *ch, kc_undelivered_t why) {
    void *element;
    pthread_mutex_lock(&ch->lock);
    bool is_one = kc_chan_recv_now(ch->ch, &element) == 0;
    if (is_one)
        kc_chan_report(ch->ch, element, why);
    kci_share_leave(ch);
    return is_one;
}

static void end(kc_shared_t *ch, void *reason, kc_undelivered_t why) {
    pthread_mutex_lock(&ch->lock);
    ch->is_given_up = true;
    kc_chan_close(ch->ch, reason);
    kci_share_leave(ch);
    while (report_one(ch, why))
        ;
    pthread_mutex_lock(&ch->lock);
    kc_chan_cancel(ch->ch, reason, why); /* nothing is queued any more: clauses that were skipped leave */
    kci_share_leave(ch);
}

int kc_shared_release(kc_shared_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    if (kc_atomic_add_sc(&ch->references, -1) != 0)
        return 0;
    end(ch, NULL, KC_UNDELIVERED_DESTROYED);
    kc_chan_release(ch->ch);
    pthread_mutex_destroy(&ch->lock);
    kci_free(ch);
    return 0;
}

int kc_shared_close(kc_shared_t *ch, void *reason) {
    if (ch == NULL)
        return -EINVAL;
    pthread_mutex_lock(&ch->lock);
    kc_chan_close(ch->ch, reason);
    kci_share_leave(ch);
    return 0;
}

int kc_shared_cancel(kc_shared_t *ch, void *reason, kc_undelivered_t why) {
    if (ch == NULL || why < KC_UNDELIVERED_OVERFLOW || why > KC_UNDELIVERED_IN_DOUBT)
        return -EINVAL;
    end(ch, reason, why);
    return 0;
}

int kc_shared_snapshot(kc_shared_t *ch, kc_snapshot_t *out) {
    if (ch == NULL || out == NULL)
        return -EINVAL;
    pthread_mutex_lock(&ch->lock);
    int rc = kc_chan_snapshot(ch->ch, out);
    pthread_mutex_unlock(&ch->lock);
    return rc;
}

/* -- what it says of itself */

int kc_shared_is_closed(kc_shared_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    pthread_mutex_lock(&ch->lock);
    int is_closed = kc_chan_is_closed(ch->ch);
    pthread_mutex_unlock(&ch->lock);
    return is_closed;
}

int kc_shared_is_drained(kc_shared_t *ch) {
    if (ch == NULL)
        return -EINVAL;
    pthread_mutex_lock(&ch->lock);
    int is_drained = ch->is_given_up || kc_chan_is_drained(ch->ch);
    pthread_mutex_unlock(&ch->lock);
    return is_drained;
}

void *kc_shared_reason(kc_shared_t *ch) {
    if (ch == NULL)
        return NULL;
    pthread_mutex_lock(&ch->lock);
    void *reason = kc_chan_reason(ch->ch);
    pthread_mutex_unlock(&ch->lock);
    return reason;
}

size_t kc_shared_length(kc_shared_t *ch) {
    if (ch == NULL)
        return 0;
    pthread_mutex_lock(&ch->lock);
    size_t length = kc_chan_length(ch->ch);
    pthread_mutex_unlock(&ch->lock);
    return length;
}

/* -- the two directions */

int kci_share_recv_now(kc_shared_t *ch, void **element) {
    return ch->is_given_up ? -EPIPE : kc_chan_recv_now(ch->ch, element);
}

/* Under the lock. */
static void book(kc_shared_t *ch, int rc) {
    if (rc == -EAGAIN)
        kc_chan_count_failure(ch->ch, KC_WAITING);
    if (rc == -ETIME)
        kc_chan_count_failure(ch->ch, KC_TIMED_OUT);
    if (rc == -ECANCELED)
        kc_chan_count_failure(ch->ch, KC_CANCELLED);
    if (rc == -EPIPE)
        kc_chan_count_failure(ch->ch, KC_CLOSED);
}

/* What a send or receive needs to wait. The token is heeded from before the lock is left: who comes once it was
** triggered finds nobody that waits by it. */
typedef struct call {
    kc_op_t op;
    kc_waiter_t waiter;
    kci_wait_t wait;
    kci_heed_t heed;
} call_t;

/* Begin to wait, with the lock. 0, -ECANCELED or -ENOMEM. */
static int begin(call_t *call, kc_shared_t *ch, bool sending, void *element, kc_shared_token_t *token) {
    int rc = kci_wait_begin(&call->wait, &call->op);
    if (rc != 0)
        return rc;
    kc_op_init(&call->op, &call->wait.parker);
    rc = kci_heed_alone(&call->heed, token, &call->op);
    if (rc != 0) {
        kci_wait_end(&call->wait);
        return rc;
    }
    kc_waiter_init(&call->waiter, &call->op, 0, sending, element);
    kc_chan_enqueue(ch->ch, &call->waiter);
    return 0;
}

/*
** Wait, with the lock, and leave it. Who has won or shut a waiter has taken it out of its queue; after a wait that
** ended otherwise it goes here.
*/
static int wait(kc_shared_t *ch, bool sending, void **element, int64_t timeout_ns, kc_shared_token_t *token) {
    call_t call;
    int rc = begin(&call, ch, sending, sending ? *element : NULL, token);
    book(ch, rc);
    kci_share_leave(ch);
    if (rc != 0)
        return rc;
    rc = kci_wait(&call.wait, timeout_ns);
    kci_forget_alone(&call.heed);
    if (rc == 0) {
        if (!sending)
            *element = call.op.value;
        return 0;
    }
    pthread_mutex_lock(&ch->lock);
    kc_waiter_leave(&call.waiter);
    book(ch, rc);
    pthread_mutex_unlock(&ch->lock);
    return rc;
}

/* The token is asked with the lock, so that nothing comes between it and the channel. */
static int perform(kc_shared_t *ch, bool sending, void **element, int64_t timeout_ns, kc_shared_token_t *token) {
    int rc;
    pthread_mutex_lock(&ch->lock);
    if (token != NULL && kci_token_is_set(token))
        rc = -ECANCELED;
    else
        rc = sending ? kc_chan_send_now(ch->ch, *element) : kci_share_recv_now(ch, element);
    if (rc == -EAGAIN && timeout_ns != 0)
        return wait(ch, sending, element, timeout_ns, token);
    if (rc != 0)
        book(ch, rc);
    kci_share_leave(ch);
    return kci_share_over(rc);
}

int kc_send_unless(kc_shared_t *ch, void *element, int64_t timeout_ns, kc_shared_token_t *token) {
    return ch == NULL ? -EINVAL : perform(ch, true, &element, timeout_ns, token);
}

int kc_recv_unless(kc_shared_t *ch, void **element, int64_t timeout_ns, kc_shared_token_t *token) {
    return ch == NULL || element == NULL ? -EINVAL : perform(ch, false, element, timeout_ns, token);
}

int kc_send(kc_shared_t *ch, void *element, int64_t timeout_ns) {
    return ch == NULL ? -EINVAL : perform(ch, true, &element, timeout_ns, NULL);
}

int kc_recv(kc_shared_t *ch, void **element, int64_t timeout_ns) {
    return ch == NULL || element == NULL ? -EINVAL : perform(ch, false, element, timeout_ns, NULL);
}
