/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The claim word, queues of waiters and channels of libkcoro, for the models beside this file.
**
** A comment "file.c: line" says which line of csrc a step stands for; test_spin.py looks each one up. A step is one
** access to what others may touch at the same time, which is the claim word and what the winner writes. Everything else
** of a channel is touched by whoever holds it (`hold`), as one thread at a time does, and what an owner decides about
** its own operation (deadline, token, claims of other processes) happens in the owner's loop (`enter`).
**
** A name in capitals behind `ifdef` is a fault that test_spin.py plants, and spin has to find.
*/

/* kcoro/semantics.h */
#define KC_WAITING (-1)
#define KC_CANCELLED (-2)
#define KC_TIMED_OUT (-3)
#define KC_CLAIMING (-16)

#define NOTHING 0 /* no element, no waiter, no error */
#define EPIPE 1
#define NONE 255

typedef kc_op {
    short claim = KC_WAITING;
    short late = KC_WAITING;
    byte error;
    byte value;
    bool parked; /* op->parker is there */
    byte told;   /* how often the parker was told */
    bool gone    /* its memory */
}

typedef kc_waiter {
    byte op;
    byte value;
    byte index;
    byte list = NONE
}

typedef kc_waitlist {
    byte at[WAITERS];
    byte length
}

typedef kc_chan {
    bool held;
    bool closed;
    byte slots[LIMIT_OF_RING];
    byte length
}

kc_op ops[OPS];
kc_waiter waiter[WAITERS];
kc_waitlist list[LISTS];
kc_chan chan_[CHANNELS];
bool inside[OPS]; /* somebody runs in the loop of this operation's owner */

inline hold(ch) {
    atomic { !chan_[ch].held -> chan_[ch].held = true }
}

inline let_go(ch) {
    chan_[ch].held = false
}

inline enter(self) {
    atomic { !inside[self] -> inside[self] = true }
}

inline exit_(self) {
    inside[self] = false
}

/* -- claim.h */

inline kci_take(self, to, ok) {
    assert(!ops[self].gone);
#ifdef TEST_THEN_SET
    ok = (ops[self].claim == KC_WAITING);
    if
    :: ok -> ops[self].claim = to
    :: else -> skip
    fi
#else
    /* claim.h: return kc_atomic_swap_if(&op->claim, KC_WAITING, to); */
    d_step {
        ok = (ops[self].claim == KC_WAITING);
        if
        :: ok -> ops[self].claim = to
        :: else -> skip
        fi
    }
#endif
}

inline kci_wake(self) {
    /* claim.h: op->parker->unpark(op->parker, op); */
    d_step {
        assert(!ops[self].gone);
        if
        :: ops[self].parked -> ops[self].told++
        :: else -> skip
        fi;
        assert(ops[self].told <= 1)
    }
}

inline kci_finish(self, element) {
#ifdef WAKE_BEFORE_VALUE
    kci_wake(self);
    ops[self].value = element
#else
    /* claim.h: w->op->value = value; */
    ops[self].value = element;
    /* claim.h: kci_wake(w->op); */
    kci_wake(self)
#endif
}

inline kci_push(l, w) {
    /* claim.h: list->last = w; */
    d_step {
        assert(waiter[w].list == NONE);
        waiter[w].list = l;
        list[l].at[list[l].length] = w;
        list[l].length++
    }
}

/* `k` is the caller's, a byte. */
inline kci_unlink(w, k) {
    /* claim.h: *(w->next != NULL ? &w->next->prev : &list->last) = w->prev; */
    d_step {
        k = 0;
        do
        :: list[waiter[w].list].at[k] == w -> break
        :: else -> k++
        od;
        do
        :: k + 1 < list[waiter[w].list].length ->
            list[waiter[w].list].at[k] = list[waiter[w].list].at[k + 1];
            k++
        :: else -> break
        od;
        list[waiter[w].list].length--;
        list[waiter[w].list].at[list[waiter[w].list].length] = 0;
        waiter[w].list = NONE;
        k = 0
    }
}

/* The oldest that can be won, or NONE; `i`, `k` and `ok` are the caller's. */
inline kci_chan_winner(l, w, i, k, ok) {
    /* chan.h: for (kc_waiter_t *w = list->first; w != NULL; w = w->next) */
    w = NONE;
    i = 0;
    do
    :: w == NONE && i < list[l].length ->
        /* claim.h: return !w->dead && kci_take(w->op, w->index); */
        kci_take(waiter[list[l].at[i]].op, waiter[list[l].at[i]].index, ok);
        if
        :: ok ->
            w = list[l].at[i];
            /* chan.h: kci_chan_part(ch, w, won); */
            kci_unlink(w, k)
        :: else -> i++
        fi
    :: else -> break
    od;
    i = 0
}

/* -- ring.h */

inline kci_ring_push(ch, element) {
    /* ring.h: ring->slots[at < ring->room ? at : at - ring->room] = element; */
    d_step {
        chan_[ch].slots[chan_[ch].length] = element;
        chan_[ch].length++
    }
}

inline kci_ring_pop(ch, element) {
    /* ring.h: void *element = ring->slots[ring->head]; */
    d_step {
        element = chan_[ch].slots[0];
        chan_[ch].slots[0] = (LIMIT_OF_RING > 1 -> chan_[ch].slots[LIMIT_OF_RING - 1] : 0);
        chan_[ch].slots[LIMIT_OF_RING - 1] = 0;
        chan_[ch].length--
    }
}

/* -- waiter.c */

inline end(self, how, ok) {
    /* waiter.c: if (kci_take(op, how)) { */
    kci_take(self, how, ok);
#ifdef LOSER_WAKES
    ok = true;
#endif
    if
    :: ok ->
        /* waiter.c: kci_wake(op); */
        kci_wake(self)
    :: else ->
        /* waiter.c: if (kci_claim(op) <= KC_CLAIMING && op->late != KC_CANCELLED) */
        if
        :: ops[self].claim <= KC_CLAIMING && ops[self].late != KC_CANCELLED ->
            /* waiter.c: op->late = how; */
            ops[self].late = how
        :: else -> skip
        fi
    fi
}

inline kc_op_begin_claim(self, index, ok) {
    /* waiter.c: if (!kci_take(op, KC_CLAIMING - index)) */
    kci_take(self, KC_CLAIMING - index, ok);
    if
    :: ok ->
        /* waiter.c: op->late = KC_WAITING; */
        ops[self].late = KC_WAITING
    :: else -> skip
    fi
}

/* `waits` is what it returns; `late` is the caller's. */
inline kc_op_end_claim(self, late_, waits, ok) {
    /* waiter.c: int late = op->late; */
    late_ = ops[self].late;
    /* waiter.c: kc_atomic_store(&op->claim, KC_WAITING); */
    ops[self].claim = KC_WAITING;
    /* waiter.c: return late == KC_WAITING || !end(op, late); */
    waits = true;
#ifndef LATE_IS_FORGOTTEN
    if
    :: late_ != KC_WAITING ->
        end(self, late_, ok);
        waits = !ok
    :: else -> skip
    fi;
#endif
    late_ = 0
}

/* -- what every owner does when it was told */

inline leave(w, k) {
    /* waiter.c: if (w == NULL || w->list == NULL) */
    if
    :: waiter[w].list != NONE ->
        /* waiter.c: kci_unlink(w); */
        kci_unlink(w, k)
    :: else -> skip
    fi
}
