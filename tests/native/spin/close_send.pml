/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A channel with one slot, which is full: one sender waits, and another comes; a receiver takes elements until it is
** told that there are no more; and somebody closes the channel. What was accepted is received, in order, and nothing
** else; who was refused keeps his element; and everybody who waited is told, once.
*/

#define OPS 2
#define WAITERS 2
#define LISTS 2
#define CHANNELS 1
#define LIMIT_OF_RING 2 /* a fault may put one too many there */
#define LIMIT 1

#include "claim.pml"

#define SENDERS 0
#define RECEIVERS 1
#define WAITING_SENDER 0 /* an operation and its waiter */
#define RECEIVER 1
#define FIRST 11 /* in the slot at the beginning */
#define SECOND 12 /* what the waiting sender offers */
#define THIRD 13 /* what comes later */

bool armed = true, taken[4], third_was_accepted;
byte last, senders_over;

/* channel.c: void kci_chan_shut(kc_chan_t *ch, kc_waitlist_t *waiters) { */
inline kci_chan_shut(l, w, k, ok) {
    do
    :: list[l].length > 0 ->
        /* channel.c: kc_waiter_t *w = waiters->first; */
        w = list[l].at[0];
        /* channel.c: kci_chan_part(ch, w, false); */
        kci_unlink(w, k);
        /* waiter.c: if (!kci_win(w)) */
        kci_take(waiter[w].op, 0, ok);
#ifdef SHUT_WITHOUT_A_CLAIM
        ok = true;
#endif
        if
        :: ok ->
            /* waiter.c: op->error = error; */
            ops[waiter[w].op].error = EPIPE;
            kci_wake(waiter[w].op)
        :: else -> skip
        fi
    :: else -> break
    od
}

/* channel.c: static void refill(kc_chan_t *ch) { */
inline refill(w, i, k, ok) {
    do
    :: !chan_[0].closed && chan_[0].length < LIMIT && list[SENDERS].length > 0 ->
#ifdef APPENDED_BEFORE_THE_CLAIM
        kci_ring_push(0, waiter[list[SENDERS].at[0]].value);
        kci_chan_winner(SENDERS, w, i, k, ok);
        if
        :: w != NONE -> kci_finish(waiter[w].op, NOTHING)
        :: else -> break
        fi
#else
        /* channel.c: (w = kci_chan_winner(ch, &ch->senders)) != NULL) { */
        kci_chan_winner(SENDERS, w, i, k, ok);
        if
        :: w != NONE ->
            /* channel.c: kci_chan_append(ch, w->value); */
            kci_ring_push(0, waiter[w].value);
            /* channel.c: kci_finish(w, NULL); */
            kci_finish(waiter[w].op, NOTHING)
        :: else -> break
        fi
#endif
    :: else -> break
    od
}

/* kc_chan_recv_now; `end_` is set where it gives -EPIPE. */
inline recv_now(got, end_, w, i, k, ok) {
    got = NOTHING;
    end_ = false;
    if
    :: chan_[0].length > 0 ->
        kci_ring_pop(0, got);
        if
        :: !chan_[0].closed -> refill(w, i, k, ok)
        :: else ->
            skip /* what is lending.c's, kci_chan_drained, finds no receiver: none waits beside an element */
        fi
    :: else ->
        kci_chan_winner(SENDERS, w, i, k, ok);
        if
        :: w != NONE ->
            got = waiter[w].value;
            kci_finish(waiter[w].op, NOTHING)
        :: else ->
            /* lending.c: return ch->closed && kci_chan_is_settled(ch) ? -EPIPE : -EAGAIN; */
            end_ = chan_[0].closed
        fi
    fi
}

/* Elements come in the order in which they were accepted, each once. */
inline note(got) {
    assert(got > last && !taken[got - FIRST]);
    taken[got - FIRST] = true;
    last = got
}

proctype Closer() {
    byte w, k;
    bool ok;
    hold(0);
#ifdef CLOSED_IS_NOT_SAID
    skip;
#else
    /* channel.c: ch->closed = ch->guarded = true; */
    chan_[0].closed = true;
#endif
    /* channel.c: kci_chan_shut(ch, &ch->senders); */
    kci_chan_shut(SENDERS, w, k, ok);
    /* channel.c: if (ch->ring.length == 0) */
    if
#ifndef RECEIVERS_ARE_NOT_TOLD
    :: chan_[0].length == 0 ->
        /* lending.c: kci_chan_shut(ch, &ch->receivers); */
        kci_chan_shut(RECEIVERS, w, k, ok)
#endif
    :: else -> skip
    fi;
    let_go(0)
}

/* A try to send; it has nothing to wait for. */
proctype LateSender() {
    byte w, i, k;
    bool ok;
    hold(0);
    if
#ifdef CLOSE_IS_NOT_LOOKED_AT
    :: false -> skip
#else
    /* lending.c: if (ch->closed) */
    :: chan_[0].closed -> skip
#endif
    :: else ->
        kci_chan_winner(RECEIVERS, w, i, k, ok);
        if
        :: w != NONE ->
            third_was_accepted = true;
            kci_finish(waiter[w].op, THIRD)
        :: w == NONE && chan_[0].length < LIMIT ->
            third_was_accepted = true;
            kci_ring_push(0, THIRD)
        :: else -> skip
        fi
    fi;
    let_go(0);
    senders_over++
}

proctype WaitingSender() {
    byte k;
    ops[WAITING_SENDER].told > 0;
    enter(WAITING_SENDER);
    armed = false;
    exit_(WAITING_SENDER);
    hold(0);
    leave(WAITING_SENDER, k);
    let_go(0);
    senders_over++
}

proctype Deadline() {
    bool ok;
    enter(WAITING_SENDER);
    if
    :: armed -> end(WAITING_SENDER, KC_TIMED_OUT, ok)
    :: true -> skip /* it is far away */
    fi;
    exit_(WAITING_SENDER)
}

/* Receives until the end; it waits where there is nothing, once, and looks without waiting after that. */
proctype Receiver() {
    byte got, w, i, k;
    bool end_, ok, has_waited;
    do
    :: true ->
        hold(0);
        recv_now(got, end_, w, i, k, ok);
        if
        :: got == NOTHING && !end_ && !has_waited ->
            /* channel.c: kci_push(w->sending ? &ch->senders : &ch->receivers, w); */
            kci_push(RECEIVERS, RECEIVER);
            let_go(0);
            ops[RECEIVER].told > 0;
            has_waited = true;
            assert(ops[RECEIVER].claim == 0 && waiter[RECEIVER].list == NONE);
            if
            :: ops[RECEIVER].error == EPIPE -> break
            :: else -> got = ops[RECEIVER].value
            fi
        :: got == NOTHING && !end_ && has_waited ->
            let_go(0);
            chan_[0].closed || chan_[0].length > 0 || list[SENDERS].length > 0
        :: else -> let_go(0)
        fi;
        if
        :: end_ -> break
        :: got != NOTHING -> note(got)
        :: else -> skip
        fi
    od;
    senders_over == 2;
    /* What was accepted was received, and what was refused was not. */
    assert(taken[0]);
    assert(taken[SECOND - FIRST] == (ops[WAITING_SENDER].claim == 0 && ops[WAITING_SENDER].error == NOTHING));
    assert(taken[THIRD - FIRST] == third_was_accepted);
    assert(chan_[0].length == 0 && list[SENDERS].length == 0 && list[RECEIVERS].length == 0)
}

init {
    atomic {
        ops[WAITING_SENDER].parked = true;
        ops[RECEIVER].parked = true;
        waiter[RECEIVER].op = RECEIVER;
        waiter[WAITING_SENDER].value = SECOND;
        kci_ring_push(0, FIRST);
        kci_push(SENDERS, WAITING_SENDER);
        run Closer();
        run LateSender();
        run WaitingSender();
        run Deadline();
        run Receiver()
    }
}
