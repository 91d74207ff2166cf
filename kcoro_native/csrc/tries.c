/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Tries that wait for the answer of a link, and what others have to know of a share; contracts in kcoro/lending.h. */

#include "chan.h"
#include "claim.h"

/* -- tries */

/* A waiter that is a try lies first in a kc_try_t. */
static kc_try_t *as_try(kc_waiter_t *w) {
    return (kc_try_t *)(void *)w;
}

/* Closed, and only what travels decides whether anything is left. */
static bool may_be_drained(const kc_chan_t *ch) {
    return ch->closed && ch->travelling > 0;
}

/* Whether what a try should find may still be on its way. */
static bool is_held_up(const kc_chan_t *ch, const kc_try_t *t) {
    if (t->waiter.sending)
        return ch->borrower != NULL;
    if (may_be_drained(ch) || ch->keeper != NULL)
        return true;
    return ch->borrower != NULL && (ch->recalled || t->question > ch->answered);
}

/* Whether an answer of a link is what a try would wait for. */
static bool has_link_to_ask(const kc_chan_t *ch, bool sending) {
    return ch->borrower != NULL || (!sending && (ch->keeper != NULL || may_be_drained(ch)));
}

int kci_chan_ask(kc_chan_t *ch, kc_try_t *t) {
    bool sending = t->waiter.sending, asks = !sending && ch->borrower != NULL && !ch->recalled;
    if (t->waiter.list != NULL)
        return -EINVAL;
    if (!has_link_to_ask(ch, sending))
        return 0;
    t->turn = ch->turns++;
    t->question = asks ? ++ch->asked : 0;
    kci_push(sending ? &ch->senders : &ch->receivers, &t->waiter);
    t->waiter.is_try = ch->has_tries = true;
    if (asks)
        ch->borrower->ask(ch->borrower);
    return 1;
}

int kc_chan_ask(kc_chan_t *ch, kc_try_t *t) {
    if (kci_unusable(ch) || t == NULL || t->waiter.op == NULL)
        return -EINVAL;
    bool would_be_in_vain = kci_can_be_won(&t->waiter) && kci_chan_is_there(ch, t->waiter.sending);
    return would_be_in_vain && has_link_to_ask(ch, t->waiter.sending) ? -EINVAL : kci_chan_ask(ch, t);
}

static kc_waiter_t *next_try(kc_waiter_t *w) {
    while (w != NULL && !w->is_try)
        w = w->next;
    return w;
}

/* Move the tries that nothing holds up out of the two queues, in the order in which they came. */
static void collect(kc_chan_t *ch) {
    kc_waiter_t *s = next_try(ch->senders.first), *r = next_try(ch->receivers.first);
    ch->has_tries = false;
    while (s != NULL || r != NULL) {
        kc_waiter_t **older = r == NULL || (s != NULL && as_try(s)->turn < as_try(r)->turn) ? &s : &r, *w = *older;
        *older = next_try(w->next);
        if (is_held_up(ch, as_try(w))) {
            ch->has_tries = true;
        } else {
            kci_unlink(w);
            kci_push(&ch->ending, w);
        }
    }
}

/* They are out of the queues before the first is told: who is told may end the wait of another. */
void kci_chan_end_tries(kc_chan_t *ch) {
    kc_waiter_t *w;
    if (!ch->has_tries)
        return;
    collect(ch);
    while ((w = ch->ending.first) != NULL) {
        kci_chan_part(ch, w, false);
        kc_op_expire(w->op);
    }
}

int kc_chan_answered(kc_chan_t *ch) {
    if (kci_unusable(ch) || ch->answered == ch->asked)
        return -EINVAL;
    ch->references++;
    ch->answered++;
    kci_chan_end_tries(ch);
    kci_chan_drop(ch);
    return 0;
}

/* -- what others have to know */

int kc_chan_is_shared(const kc_chan_t *ch, bool sending) {
    if (kci_unusable(ch))
        return -EINVAL;
    return sending ? ch->borrower != NULL : ch->keeper != NULL;
}

int kc_chan_want(kc_chan_t *ch, bool sending) {
    if (kci_unusable(ch))
        return -EINVAL;
    if (sending && ch->borrower != NULL)
        kci_chan_recall(ch);
    else if (!sending && ch->keeper != NULL)
        ch->keeper->recall(ch->keeper);
    return 0;
}

int kc_chan_may_meet(const kc_chan_t *ch, bool sending) {
    if (kci_unusable(ch))
        return -EINVAL;
    return sending ? ch->keeper == NULL : !ch->recalled;
}
