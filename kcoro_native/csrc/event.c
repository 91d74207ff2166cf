/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Something that happens once; contracts in kcoro/event.h. */

#include "kcoro/event.h"

#include <string.h>

#include "claim.h"

int kc_event_init(kc_event_t *event) {
    if (event == NULL)
        return -EINVAL;
    memset(event, 0, sizeof *event);
    return 0;
}

int kc_event_set(kc_event_t *event, void *value) {
    if (event == NULL)
        return -EINVAL;
    if (event->is_set)
        return 0;
    event->is_set = true;
    event->value = value;
    /* A parker may end the memory of the event, once nobody waits any more: the last one is told last. */
    for (size_t n = event->waiters.length; n != 0; n--) {
        kc_waiter_t *w = kci_winner(&event->waiters);
        if (w == NULL)
            break;
        bool last = event->waiters.length == 0;
        kci_finish(w, value);
        if (last)
            break;
    }
    return 1;
}

int kc_event_wait(kc_event_t *event, kc_waiter_t *w) {
    if (event == NULL || w == NULL || w->op == NULL || w->list != NULL)
        return -EINVAL;
    if (event->is_set && kc_waiter_complete(w, event->value))
        return 0;
    kci_push(&event->waiters, w);
    return -EAGAIN;
}

/* -- the clause */

static int poll(kc_clause_t *self) {
    kc_event_t *event = self->subject;
    return event->is_set && kc_waiter_complete(&self->arm, event->value);
}

static int enlist(kc_clause_t *self) {
    int rc = kc_event_wait(self->subject, &self->arm);
    return rc == -EAGAIN ? 0 : rc;
}

static void withdraw(kc_clause_t *self) {
    kc_waiter_leave(&self->arm);
}

static const kc_clause_ops_t of_events = {poll, enlist, withdraw, NULL};

int kc_clause_event(kc_clause_t *clause, kc_event_t *event) {
    return event == NULL ? -EINVAL : kc_clause_custom(clause, &of_events, event);
}
