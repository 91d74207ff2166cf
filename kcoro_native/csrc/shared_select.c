/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Select over shared channels. Contracts in kcoro/shared.h.
**
** Rule 1: all locks are held from the first poll until the select waits, and again while it is withdrawn: nobody comes
** between, as in one loop. They are taken in the order of their addresses, so that two selects cannot block each other.
** Rule 2: whoever takes a waiter of a select holds the lock of one of its channels; the claim word decides between two.
** Under KC_SKIP they count closed clauses out by an atomic word, and the one that counts the last one ends the select.
*/

#include "claim.h"
#include "share.h"

/* -- the clauses: those of csrc/clauses.c, under locks that are held already */

static int poll(kc_clause_t *self) {
    kc_shared_t *ch = self->subject;
    void *got = NULL;
    int rc = self->arm.sending ? kc_chan_send_now(ch->ch, self->arm.value) : kci_share_recv_now(ch, &got);
    if (rc == 0)
        return kc_waiter_complete(&self->arm, got);
    if (rc == -EPIPE)
        return kc_waiter_shut(&self->arm);
    return rc == -EAGAIN ? 0 : rc;
}

static int enlist(kc_clause_t *self) {
    return kc_chan_enqueue(((kc_shared_t *)self->subject)->ch, &self->arm);
}

static void withdraw(kc_clause_t *self) {
    kc_waiter_leave(&self->arm);
}

static const kc_clause_ops_t of_shared = {poll, enlist, withdraw, NULL};

int kc_shared_clause_recv(kc_clause_t *clause, kc_shared_t *ch) {
    return ch == NULL ? -EINVAL : kc_clause_custom(clause, &of_shared, ch);
}

int kc_shared_clause_send(kc_clause_t *clause, kc_shared_t *ch, void *element) {
    int rc = kc_shared_clause_recv(clause, ch);
    if (rc != 0)
        return rc;
    clause->arm.sending = true;
    clause->arm.value = element;
    return 0;
}

/* -- the locks of all clauses */

/* The channel behind `last` in the order of addresses; NULL: there is none. Nothing is sorted: selects are short, and
** have no memory for that. */
static kc_shared_t *behind(const kc_select_t *s, const kc_shared_t *last) {
    kc_shared_t *next = NULL;
    for (size_t i = 0; i < s->count; i++) {
        kc_shared_t *ch = s->clauses[i].subject;
        if ((uintptr_t)ch > (uintptr_t)last && (next == NULL || (uintptr_t)ch < (uintptr_t)next))
            next = ch;
    }
    return next;
}

static void lock_all(const kc_select_t *s) {
    for (kc_shared_t *ch = behind(s, NULL); ch != NULL; ch = behind(s, ch))
        pthread_mutex_lock(&ch->lock);
}

/* At most one clause has sent, so that at most one element was dropped. */
static void leave_all(const kc_select_t *s) {
    kci_dropped_t dropped = {NULL, KC_UNDELIVERED_OVERFLOW, false};
    const kc_shared_t *by = NULL;
    for (kc_shared_t *next, *ch = behind(s, NULL); ch != NULL; ch = next) {
        next = behind(s, ch);
        if (ch->dropped.is_there) {
            dropped = ch->dropped;
            by = ch;
        }
        ch->dropped.is_there = false;
        pthread_mutex_unlock(&ch->lock);
    }
    kci_wake_owners();
    if (by != NULL)
        kci_share_tell(by, &dropped);
}

/* -- waiting */

static bool is_legal(const kc_select_t *s) {
    if (s == NULL || s->clauses == NULL || s->is_busy)
        return false;
    for (size_t i = 0; i < s->count; i++)
        if (s->clauses[i].ops != &of_shared)
            return false;
    return true;
}

int kc_select_wait(kc_select_t *s, int64_t timeout_ns) {
    kci_wait_t wait;
    if (!is_legal(s))
        return -EINVAL;
    lock_all(s);
    int rc = kc_select_poll(s);
    if (rc != -EAGAIN || timeout_ns == 0) {
        leave_all(s);
        return kci_share_over(rc);
    }
    rc = kci_wait_begin(&wait, &s->op);
    if (rc == 0)
        rc = kc_select_enlist(s, &wait.parker);
    leave_all(s);
    if (rc != -EAGAIN)
        return rc;
    kci_wait(&wait, timeout_ns);
    lock_all(s);
    rc = kc_select_finish(s);
    leave_all(s);
    return rc;
}
