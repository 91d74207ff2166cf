/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The clauses of channels: an element comes, or an element goes; twin of kcoro_core/clauses/channels.py. */

#include <string.h>

#include "claim.h"
#include "kcoro/clause.h"

/* Send or receive, whichever the clause is about; *got is what a receive took. */
static int try_now(kc_clause_t *self, void **got) {
    *got = NULL;
    return self->arm.sending ? kc_chan_send_now(self->subject, self->arm.value)
                             : kc_chan_recv_now(self->subject, got);
}

static int poll(kc_clause_t *self) {
    void *got;
    if (kci_claim(self->arm.op) != KC_WAITING)
        return 0;
    int rc = try_now(self, &got);
    if (rc == 0)
        return kc_waiter_complete(&self->arm, got);
    if (rc == -EPIPE)
        return kc_waiter_shut(&self->arm);
    return rc == -EAGAIN ? 0 : rc;
}

/* The select claims itself meanwhile, so that it cannot meet itself. */
static int poll_again(kc_clause_t *self) {
    void *got;
    kc_op_t *op = self->arm.op;
    if (kc_op_begin_claim(op, self->arm.index) != 1)
        return 0;
    int rc = try_now(self, &got);
    if (rc == 0) {
        kc_op_win_claim(op);
        kci_finish(&self->arm, got);
        return 1;
    }
    if (kc_op_end_claim(op) != 1)
        return 1;
    if (rc == -EAGAIN || rc == -ENOMEM)
        return rc == -EAGAIN ? 0 : rc;
    /* Closed; or destroyed since this clause was enlisted, which is its end as well, and no misuse. */
    return kc_waiter_shut(&self->arm);
}

static int enlist(kc_clause_t *self) {
    return kc_chan_enqueue(self->subject, &self->arm);
}

static void withdraw(kc_clause_t *self) {
    kc_waiter_leave(&self->arm); /* and not by the channel, which may be destroyed */
}

static const kc_clause_ops_t of_channels = {poll, enlist, withdraw, poll_again};

int kc_clause_custom(kc_clause_t *clause, const kc_clause_ops_t *ops, void *subject) {
    if (clause == NULL || ops == NULL || ops->poll == NULL || ops->enlist == NULL || ops->withdraw == NULL)
        return -EINVAL;
    memset(clause, 0, sizeof *clause);
    clause->ops = ops;
    clause->subject = subject;
    return 0;
}

int kc_clause_recv(kc_clause_t *clause, kc_chan_t *ch) {
    return ch == NULL ? -EINVAL : kc_clause_custom(clause, &of_channels, ch);
}

int kc_clause_send(kc_clause_t *clause, kc_chan_t *ch, void *element) {
    int rc = kc_clause_recv(clause, ch);
    if (rc != 0)
        return rc;
    clause->arm.sending = true;
    clause->arm.value = element;
    return 0;
}
