/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** One select waits for an element of either of two channels, while a sender comes to each of them, its deadline passes
** and its token is set. Exactly one of the four takes effect, and what the others brought is left where it was.
*/

#define OPS 1
#define WAITERS 2
#define LISTS 2 /* the receivers of each channel */
#define CHANNELS 2
#define LIMIT_OF_RING 1

#include "claim.pml"

#define SELECT 0
#define ELEMENT(ch) (10 + ch)

bool finished, armed = true;
byte sent;

/* One call of kc_chan_send_now by whoever holds the channel, which has one slot. */
proctype Sender(byte ch) {
    byte w, i, k;
    bool ok;
    hold(ch);
#ifdef VALUE_BEFORE_CLAIM
    ops[SELECT].value = ELEMENT(ch);
#endif
    /* channel.c: kc_waiter_t *w = kci_chan_winner(ch, &ch->receivers); */
    kci_chan_winner(ch, w, i, k, ok);
    if
    :: w != NONE ->
        /* channel.c: kci_finish(w, element); */
#ifdef VALUE_BEFORE_CLAIM
        kci_wake(SELECT)
#else
        kci_finish(waiter[w].op, ELEMENT(ch))
#endif
#ifdef FINISHED_TWICE
        ;
        kci_finish(waiter[w].op, ELEMENT(ch))
#endif
    :: else ->
        /* channel.c: return kci_chan_append(ch, element); */
        kci_ring_push(ch, ELEMENT(ch))
    fi;
    let_go(ch);
    sent++
}

/* The deadline, and the token; the timer of a wait that is over does not run. */
proctype Ending(short how) {
    bool ok;
    enter(SELECT);
    if
    :: armed -> end(SELECT, how, ok)
    :: else -> skip
    fi;
    exit_(SELECT)
}

/* Parked behind kc_select_enlist; then kc_select_finish. */
proctype Owner() {
    byte i, k;
    short claim;
    ops[SELECT].told > 0;
    enter(SELECT);
    armed = false;
    exit_(SELECT);
    /* select.c: int claim = kci_claim(&s->op); */
    claim = ops[SELECT].claim;
    assert(claim >= 0 || claim == KC_TIMED_OUT || claim == KC_CANCELLED);
    /* select.c: s->clauses[i].ops->withdraw(&s->clauses[i]); */
    do
#ifdef ONE_CLAUSE_IS_NOT_WITHDRAWN
    :: i < 1 ->
#else
    :: i < 2 ->
#endif
        hold(i);
        leave(i, k);
        let_go(i);
        i++
    :: else -> break
    od;
    /* select.c: return kc_op_result(&s->op); */
    assert(ops[SELECT].claim == claim);
    assert(claim < 0 || ops[SELECT].value == ELEMENT(claim));
    ops[SELECT].gone = true;
    finished = true
}

/* Each element is in one place: with the select that its channel won for, or in its queue. */
proctype Books() {
    byte ch;
    finished && sent == 2;
    do
    :: ch < 2 ->
        assert(list[ch].length == 0);
        assert((ops[SELECT].claim == ch) != (chan_[ch].length == 1 && chan_[ch].slots[0] == ELEMENT(ch)));
        ch++
    :: else -> break
    od
}

init {
    atomic {
        ops[SELECT].parked = true;
        waiter[0].index = 0;
        waiter[1].index = 1;
        kci_push(0, 0);
        kci_push(1, 1);
        run Owner();
        run Sender(0);
        run Sender(1);
        run Ending(KC_TIMED_OUT);
        run Ending(KC_CANCELLED);
        run Books()
    }
}
