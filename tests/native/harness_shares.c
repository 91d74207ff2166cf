/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The ends of links in a program: they borrow slots, keep elements ahead, and have elements travel; see harness.c and
** shares.py. */

#include "harness_world.h"

#include <string.h>

/* -- what ends are told */

static void note(struct share *s, enum told what) {
    see(s->world, TOLD);
    see(s->world, s->index);
    see(s->world, what);
}

static struct share *of_borrower(kc_borrower_t *self) {
    return (struct share *)(void *)((char *)self - offsetof(struct share, borrower));
}

static struct share *of_keeper(kc_keeper_t *self) {
    return (struct share *)(void *)((char *)self - offsetof(struct share, keeper));
}

static void borrower_recall(kc_borrower_t *self) {
    note(of_borrower(self), BORROWER_RECALL);
}

static void borrower_ask(kc_borrower_t *self) {
    of_borrower(self)->questions++;
    note(of_borrower(self), BORROWER_ASK);
}

static void borrower_freed(kc_borrower_t *self) {
    note(of_borrower(self), BORROWER_FREED);
}

static int take_ahead(struct share *s) {
    void *element = NULL;
    int rc = kc_chan_take_ahead(s->world->channels[s->index], &element);
    see(s->world, rc);
    see(s->world, (intptr_t)element);
    if (rc == 0)
        s->kept.elements[s->kept.count++] = element;
    return rc;
}

static void keeper_arrived(kc_keeper_t *self) {
    struct share *s = of_keeper(self);
    note(s, KEEPER_ARRIVED);
    while (s->takes_at_once && !s->recalled && take_ahead(s) == 0)
        continue;
}

typedef int (*settle_fn)(kc_chan_t *ch, size_t count, void *const *put_back, size_t back);

/* The oldest `count` leave a hand, and the last `back` of them go into the channel again. */
static void settle(struct share *s, struct hand *hand, settle_fn fn, size_t count, size_t back) {
    void *leaving[STEPS];
    memcpy(leaving, hand->elements, count * sizeof *leaving);
    hand->count -= count;
    memmove(hand->elements, hand->elements + count, hand->count * sizeof *leaving);
    see(s->world, fn(s->world->channels[s->index], count, leaving + (count - back), back));
}

static void end_keeping(struct share *s, bool gives_back) {
    s->recalled = true;
    if (gives_back && s->kept.count != 0)
        settle(s, &s->kept, kc_chan_settle_ahead, s->kept.count, s->kept.count);
    s->keeps = false;
    see(s->world, kc_chan_end_keeping(s->world->channels[s->index]));
}

static void keeper_recall(kc_keeper_t *self) {
    struct share *s = of_keeper(self);
    note(s, KEEPER_RECALL);
    if (s->ends_at_once && !s->recalled)
        end_keeping(s, true);
}

static void keeper_drained(kc_keeper_t *self) {
    note(of_keeper(self), KEEPER_DRAINED);
}

void make_share(struct world *t, int index) {
    t->shares[index] = (struct share){
        .borrower = {borrower_recall, borrower_ask, borrower_freed},
        .keeper = {keeper_arrived, keeper_recall, keeper_drained},
        .world = t,
        .index = index,
    };
}

/* -- steps */

static void lend(struct world *t, struct share *s, const int32_t *step) {
    kc_chan_t *ch = t->channels[s->index];
    if (!s->lends) {
        int rc = kc_chan_lend(ch, &s->borrower);
        see(t, rc);
        s->lends = rc == 1;
        s->questions = s->slots = 0;
    }
    size_t count = (size_t)(1 + step[3] % 3);
    int rc = s->lends ? kc_chan_lend_slots(ch, count) : 0;
    see(t, rc);
    if (s->lends && rc == 0)
        s->slots += count;
}

static void fill(struct world *t, struct share *s, const int32_t *step) {
    bool slot = s->slots != 0 && step[2] != 0;
    if (!s->lends)
        return;
    s->slots -= slot;
    void *value = next_value(t);
    int rc = kc_chan_fill(t->channels[s->index], value, slot);
    see(t, rc);
    if (rc == -EAGAIN && step[4] % 2 != 0)
        stand(t, s->index, true, value);
}

static void of_the_borrower(struct world *t, struct share *s, const int32_t *step) {
    kc_chan_t *ch = t->channels[s->index];
    kc_snapshot_t books;
    if (step[0] == REPLACED) {
        see(t, kc_chan_replaced(ch, (size_t)(step[3] % 3)));
    } else if (step[0] == HOLD_BACK) {
        kc_chan_snapshot(ch, &books);
        if (books.kind == KC_UNLIMITED)
            see(t, kc_chan_hold_back(ch, step[2] != 0));
    } else if (step[0] == ANSWERED && s->questions != 0) {
        s->questions--;
        see(t, kc_chan_answered(ch));
    } else if (step[0] == END_LENDING) {
        s->lends = false;
        s->questions = s->slots = 0;
        see(t, kc_chan_end_lending(ch));
    }
}

static void keep(struct world *t, struct share *s, const int32_t *step) {
    if (s->keeps || s->kept.count != 0)
        return;
    s->recalled = false;
    s->ends_at_once = step[4] % 2 != 0;
    s->takes_at_once = step[5] % 2 != 0;
    int rc = kc_chan_keep(t->channels[s->index], &s->keeper);
    see(t, rc);
    s->keeps = rc == 1;
}

static void settle_some(struct share *s, struct hand *hand, settle_fn fn, const int32_t *step) {
    if (hand->count == 0)
        return;
    size_t count = 1 + (size_t)step[3] % hand->count;
    settle(s, hand, fn, count, (size_t)step[4] % (count + 1));
}

static void hand_out(struct world *t, struct share *s) {
    void *element;
    if (try_recv(t, t->channels[s->index], &element) != 0)
        return;
    see(t, kc_chan_hand_out(t->channels[s->index]));
    s->travelling.elements[s->travelling.count++] = element;
}

/* A try, and if it may have to wait for a link, as a call that waits. */
static void try_and_ask(struct world *t, int index, bool sending) {
    kc_chan_t *ch = t->channels[index];
    void *value = sending ? next_value(t) : NULL, *got;
    int rc = sending ? try_send(t, ch, value) : try_recv(t, ch, &got);
    struct call *call = rc == -EAGAIN ? plain_call(t, index, sending, value) : NULL;
    if (call == NULL)
        return;
    rc = kc_chan_ask(ch, &call->waiting);
    see(t, rc);
    call->left = rc != 1;
}

/* What others can see of it. */
static void ask_about_share(struct world *t, const kc_chan_t *ch) {
    size_t lendable = kc_chan_lendable(ch);
    see(t, lendable == SIZE_MAX ? -1 : (intptr_t)lendable);
    for (int sending = 0; sending < 2; sending++) {
        see(t, kc_chan_is_shared(ch, sending != 0));
        see(t, kc_chan_may_meet(ch, sending != 0));
    }
}

void about_shares(struct world *t, const int32_t *step, int index) {
    struct share *s = &t->shares[index];
    switch (step[0]) {
    case LEND:
        lend(t, s, step);
        break;
    case FILL:
        fill(t, s, step);
        break;
    case KEEP:
        keep(t, s, step);
        break;
    case TAKE_AHEAD:
        if (s->keeps)
            take_ahead(s);
        break;
    case SETTLE_AHEAD:
        settle_some(s, &s->kept, kc_chan_settle_ahead, step);
        break;
    case END_KEEPING:
        if (s->keeps)
            end_keeping(s, step[2] != 0);
        break;
    case HAND_OUT:
        hand_out(t, s);
        break;
    case SETTLE:
        settle_some(s, &s->travelling, kc_chan_settle, step);
        break;
    case TRY_AND_ASK:
        try_and_ask(t, index, step[2] != 0);
        break;
    case WANT:
        see(t, kc_chan_want(t->channels[index], step[2] != 0));
        break;
    case ASK_ABOUT_SHARE:
        ask_about_share(t, t->channels[index]);
        break;
    default:
        if (s->lends)
            of_the_borrower(t, s, step);
    }
}
