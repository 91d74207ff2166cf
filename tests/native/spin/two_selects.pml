/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Two selects, each of which sends to one channel or receives from it. They meet each other, once, and never themselves;
** and if the deadline of one passes first, neither of them has sent or received anything.
**
** The first stands in line already, and a home of another process has just denied what it asked for: it looks at its
** clauses again, as the second comes. Both deadlines pass, each at any time; or none does, and then they have to meet.
*/

#define OPS 2
#define WAITERS 4
#define LISTS 2
#define CHANNELS 1
#define LIMIT_OF_RING 1

#include "claim.pml"

#define SENDERS 0
#define RECEIVERS 1
#define ELEMENT(p) (10 + p)
#define ARM(p, direction) (2 * p + direction) /* clause 0 sends, clause 1 receives */

bool armed[OPS], over[OPS], timed;

/* What a poll of one clause finds across: kc_chan_send_now or kc_chan_recv_now, on a channel that holds nothing. */
inline try_now(p, direction, got, w, i, k, ok) {
    got = NOTHING;
    /* clauses.c: return self->arm.sending ? kc_chan_send_now(self->subject, self->arm.value) */
    kci_chan_winner(1 - direction, w, i, k, ok);
    if
    :: w != NONE ->
        if
        :: direction == RECEIVERS ->
            /* channel.c: *element = w->value; */
            got = waiter[w].value;
            /* channel.c: kci_finish(w, NULL); */
            kci_finish(waiter[w].op, NOTHING)
        :: else ->
            /* channel.c: kci_finish(w, element); */
            kci_finish(waiter[w].op, ELEMENT(p))
        fi
    :: else -> skip
    fi
}

/* kc_select_again, whose clauses stand in line. */
inline again(p, direction, got, late_, waits, w, i, k, ok) {
    direction = 0;
    do
    :: direction < 2 && ops[p].claim == KC_WAITING ->
        hold(0);
#ifdef POLLS_WITHOUT_A_CLAIM
        try_now(p, direction, got, w, i, k, ok);
        if
        :: w != NONE ->
            kci_take(p, direction, ok);
            kci_finish(p, got)
        :: else -> skip
        fi;
#else
        /* clauses.c: if (kc_op_begin_claim(op, self->arm.index) != 1) */
        enter(p);
        kc_op_begin_claim(p, direction, ok);
        exit_(p);
        if
        :: ok ->
            try_now(p, direction, got, w, i, k, ok);
            enter(p);
            if
            :: w != NONE ->
                /* waiter.c: kc_atomic_store(&op->claim, KC_CLAIMING - claim); */
                ops[p].claim = direction;
                /* clauses.c: kci_finish(&self->arm, got); */
                kci_finish(p, got)
            :: else ->
                /* clauses.c: if (kc_op_end_claim(op) != 1) */
                kc_op_end_claim(p, late_, waits, ok)
            fi;
            exit_(p)
        :: else -> skip
        fi;
#endif
        let_go(0);
        direction++
    :: else -> break
    od
}

/* kc_select_poll and kc_select_enlist, with nothing of the loop in between: that is what `hold` stands for. */
inline begin(p, direction, got, w, i, k, ok) {
    hold(0);
    direction = 0;
    do
    :: direction < 2 && ops[p].claim == KC_WAITING ->
        /* select.c: int rc = clause->ops->poll(clause); */
        try_now(p, direction, got, w, i, k, ok);
        if
        :: w != NONE ->
            /* clauses.c: return kc_waiter_complete(&self->arm, got); */
            kci_take(p, direction, ok);
            assert(ok);
            kci_finish(p, got)
        :: else -> skip
        fi;
#ifdef SOMEBODY_BETWEEN_POLL_AND_ENLIST
        let_go(0);
        hold(0);
#endif
        direction++
    :: else -> break
    od;
    if
    :: ops[p].claim == KC_WAITING ->
        /* select.c: int rc = s->clauses[i].ops->enlist(&s->clauses[i]); */
        kci_push(SENDERS, ARM(p, SENDERS));
        kci_push(RECEIVERS, ARM(p, RECEIVERS));
        /* select.c: s->op.parker = parker; */
        ops[p].parked = true;
        armed[p] = true
    :: else -> skip
    fi;
    let_go(0)
}

/* kc_select_finish, once it was told; or at once, when it never waited. */
inline finish(p, k) {
    !ops[p].parked || ops[p].told > 0;
    enter(p);
    armed[p] = false;
    exit_(p);
    hold(0);
    leave(ARM(p, SENDERS), k);
    leave(ARM(p, RECEIVERS), k);
    let_go(0);
    over[p] = true
}

proctype First() {
    byte got, w, i, k, direction;
    short late_;
    bool ok, waits;
    enter(0);
    kc_op_end_claim(0, late_, waits, ok);
    exit_(0);
    if
#ifdef DENIED_AND_NOT_POLLED_AGAIN
    :: waits -> skip
#else
    :: waits -> again(0, direction, got, late_, waits, w, i, k, ok)
#endif
    :: else -> skip
    fi;
    finish(0, k)
}

proctype Second() {
    byte got, w, i, k, direction;
    bool ok;
    begin(1, direction, got, w, i, k, ok);
    finish(1, k)
}

proctype Deadline(byte p) {
    bool ok;
    if
    :: timed && armed[p] ->
#ifdef TIMER_IN_ANOTHER_THREAD
        if
        :: armed[p] -> end(p, KC_TIMED_OUT, ok)
        :: else -> skip
        fi
#else
        enter(p);
        if
        :: armed[p] -> end(p, KC_TIMED_OUT, ok)
        :: else -> skip
        fi;
        exit_(p)
#endif
    :: over[p] || !timed -> skip
    fi
}

proctype Books() {
    over[0] && over[1];
    /* They met, and one element went from one to the other; or neither has met anybody. */
    assert(ops[0].claim >= 0 || ops[0].claim == KC_TIMED_OUT);
    assert((ops[0].claim >= 0) == (ops[1].claim >= 0));
    assert(ops[0].claim < 0 || ops[0].claim == 1 - ops[1].claim);
    assert(ops[0].claim < 0 || ops[0].value + ops[1].value == ELEMENT((ops[0].claim == 0 -> 0 : 1)));
    assert(list[SENDERS].length == 0 && list[RECEIVERS].length == 0)
}

init {
    atomic {
        waiter[ARM(0, 0)].op = 0;
        waiter[ARM(0, 1)].op = 0;
        waiter[ARM(1, 0)].op = 1;
        waiter[ARM(1, 1)].op = 1;
        waiter[ARM(0, 1)].index = 1;
        waiter[ARM(1, 1)].index = 1;
        waiter[ARM(0, 0)].value = ELEMENT(0);
        waiter[ARM(1, 0)].value = ELEMENT(1);
        kci_push(SENDERS, ARM(0, SENDERS));
        kci_push(RECEIVERS, ARM(0, RECEIVERS));
        ops[0].claim = KC_CLAIMING;
        ops[0].parked = true;
        armed[0] = true;
        if
        :: timed = true
        :: timed = false
        fi;
        run First();
        run Second();
        run Books();
        run Deadline(0);
        run Deadline(1)
    }
}
