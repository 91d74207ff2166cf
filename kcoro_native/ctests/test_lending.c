/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the model test does not reach of a link's share: ownership, misuse, and ends that pull the ground away. */

#include "kcoro/lending.h"

#include <stdlib.h>

#include "check.h"
#include "parkers.h"

static kc_chan_t *ch;
static int told, destroyed;

static void on_destroy(void *ctx, void *element) {
    (void)ctx;
    free(element);
    destroyed++;
}

static void begin_world(kc_kind_t kind, size_t capacity, bool owns) {
    const kc_chan_hooks_t freeing = {.destroy = on_destroy};
    CHECK(kc_chan_make(&ch, kind, capacity, KC_SUSPEND, owns ? &freeing : NULL), ==, 0);
    told = destroyed = wakes = 0;
}

/* -- ends that only count, and ends that do something */

static void count_borrower(kc_borrower_t *self) {
    (void)self;
    told++;
}

static void count_keeper(kc_keeper_t *self) {
    (void)self;
    told++;
}

static void end_at_once(kc_keeper_t *self) {
    (void)self;
    told++;
    CHECK(kc_chan_end_keeping(ch), ==, 0);
}

static void destroy_it(kc_keeper_t *self) {
    (void)self;
    told++;
    kc_chan_destroy(ch);
}

static void take_and_settle(kc_keeper_t *self) {
    void *element;
    (void)self;
    told++;
    CHECK(kc_chan_take_ahead(ch, &element), ==, 0);
    CHECK(kc_chan_settle_ahead(ch, 1, NULL, 0), ==, 0);
}

static kc_borrower_t borrower = {count_borrower, count_borrower, count_borrower};
static kc_keeper_t keeper = {count_keeper, count_keeper, count_keeper};

static void begin_try(kc_try_t *t, kc_op_t *op, kc_parker_t *parker, bool sending) {
    kc_op_init(op, parker);
    kc_waiter_init(&t->waiter, op, 0, sending, NULL);
}

/* -- ownership */

TEST(what_is_put_back_is_the_channels_and_freed_once) {
    void *elements[40];
    begin_world(KC_BUFFERED, 3, true);
    for (int i = 0; i < 40; i++) {
        CHECK(kc_chan_send_now(ch, malloc(1)), ==, 0);
        CHECK(kc_chan_recv_now(ch, &elements[i]), ==, 0);
        CHECK(kc_chan_hand_out(ch), ==, 0);
    }
    CHECK(kc_chan_settle(ch, 40, elements + 2, 38), ==, 0);
    free(elements[0]);
    free(elements[1]);
    CHECK(kc_chan_length(ch), ==, 38);
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(destroyed, ==, 38);
}

TEST(what_comes_back_after_a_cancel_is_freed_at_once) {
    void *element;
    begin_world(KC_BUFFERED, 2, true);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    CHECK(kc_chan_lend_slots(ch, 1), ==, 0);
    CHECK(kc_chan_fill(ch, malloc(1), false), ==, 0);
    CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    CHECK(kc_chan_hand_out(ch), ==, 0);
    CHECK(kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CLOSED), ==, 0);
    CHECK(kc_chan_fill(ch, malloc(1), true), ==, 0);
    CHECK(kc_chan_settle(ch, 1, &element, 1), ==, 0);
    CHECK(destroyed, ==, 2);
    CHECK(kc_chan_destroy(ch), ==, 0);
}

/* A queue of `queued` elements in a ring that has turned by `turned`; those numbered below 0 come back to its head. */
static void put_back_into(size_t capacity, int turned, int queued, int back) {
    void *element, *returned[20];
    begin_world(KC_BUFFERED, capacity, false);
    for (int i = 0; i < turned; i++) {
        CHECK(kc_chan_send_now(ch, NULL), ==, 0);
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    }
    for (int i = 0; i < queued; i++)
        CHECK(kc_chan_send_now(ch, ELEMENT(i)), ==, 0);
    for (int i = 0; i < back; i++) {
        CHECK(kc_chan_hand_out(ch), ==, 0);
        returned[i] = ELEMENT(i - back);
    }
    CHECK(kc_chan_settle(ch, (size_t)back, returned, (size_t)back), ==, 0);
    for (int i = -back; i < queued; i++) {
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
        CHECK(VALUE(element), ==, i);
    }
    CHECK(kc_chan_recv_now(ch, &element), ==, -EAGAIN);
    kc_chan_destroy(ch);
}

TEST(put_back_goes_to_the_head_in_its_order_wherever_the_ring_stands) {
    for (int turned = 0; turned < 4; turned++)
        for (int queued = 0; queued <= 3; queued++)
            for (int back = 1; back <= 20; back++)
                put_back_into(3, turned, queued, back);
}

TEST(a_destroyed_channel_takes_nothing_back) {
    struct call c;
    void *element = ELEMENT(7);
    begin_world(KC_BUFFERED, 2, true);
    CHECK(kc_chan_keep(ch, &keeper), ==, 1);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    CHECK(kc_chan_lend_slots(ch, 1), ==, 0);
    CHECK(kc_chan_fill(ch, malloc(1), true), ==, 0);
    CHECK(kc_chan_take_ahead(ch, &element), ==, 0);
    CHECK(kc_chan_enqueue(ch, begin(&c, false, NULL)), ==, 0);
    kc_chan_retain(ch);
    told = 0;
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(kc_op_result(&c.op), ==, -EPIPE);
    CHECK(told, >=, 1); /* the keeper, that it is drained */
    CHECK(kc_chan_settle_ahead(ch, 1, &element, 1), ==, -EINVAL);
    CHECK(kc_chan_end_keeping(ch), ==, -EINVAL);
    CHECK(kc_chan_end_lending(ch), ==, -EINVAL);
    CHECK(kc_chan_fill(ch, NULL, false), ==, -EINVAL);
    CHECK(kc_chan_hand_out(ch), ==, -EINVAL);
    CHECK(kc_chan_is_shared(ch, true), ==, -EINVAL);
    CHECK(kc_chan_may_meet(ch, true), ==, -EINVAL);
    CHECK(kc_chan_want(ch, true), ==, -EINVAL);
    CHECK(kc_chan_lendable(ch), ==, 0);
    CHECK(destroyed, ==, 0);
    free(element);
    kc_chan_release(ch);
}

/* -- misuse */

TEST(more_than_there_is_is_refused_without_an_effect) {
    void *element = NULL;
    begin_world(KC_BUFFERED, 2, false);
    CHECK(kc_chan_settle(ch, 1, NULL, 0), ==, -EINVAL);
    CHECK(kc_chan_settle(ch, 0, &element, 1), ==, -EINVAL);
    CHECK(kc_chan_settle_ahead(ch, 1, NULL, 0), ==, -EINVAL);
    CHECK(kc_chan_take_ahead(ch, &element), ==, -EINVAL);
    CHECK(kc_chan_end_keeping(ch), ==, -EINVAL);
    CHECK(kc_chan_end_lending(ch), ==, -EINVAL);
    CHECK(kc_chan_lend_slots(ch, 1), ==, -EINVAL);
    CHECK(kc_chan_fill(ch, NULL, true), ==, -EINVAL);
    CHECK(kc_chan_fill(ch, NULL, false), ==, -EINVAL);
    CHECK(kc_chan_hold_back(ch, true), ==, -EINVAL);
    CHECK(kc_chan_answered(ch), ==, -EINVAL);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    CHECK(kc_chan_lend_slots(ch, 3), ==, -EINVAL);
    CHECK(kc_chan_fill(ch, NULL, true), ==, -EINVAL);
    CHECK(kc_chan_hold_back(ch, true), ==, -EINVAL);
    CHECK(kc_chan_lendable(ch), ==, 2);
    CHECK(kc_chan_hand_out(ch), ==, 0);
    CHECK(kc_chan_settle(ch, 1, NULL, 1), ==, -EINVAL);
    CHECK(kc_chan_settle(ch, 1, NULL, 0), ==, 0);
    kc_chan_destroy(ch);
}

TEST(an_unlimited_channel_lends_any_number_that_can_be_counted) {
    begin_world(KC_UNLIMITED, 0, false);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    CHECK(kc_chan_lendable(ch) == SIZE_MAX, ==, 1);
    CHECK(kc_chan_lend_slots(ch, SIZE_MAX / 2), ==, 0);
    CHECK(kc_chan_lend_slots(ch, SIZE_MAX / 2), ==, -EINVAL);
    CHECK(kc_chan_fill(ch, NULL, true), ==, 0);
    kc_chan_destroy(ch);
}

TEST(an_end_without_one_of_its_functions_is_refused) {
    kc_borrower_t half[] = {{NULL, count_borrower, count_borrower}, {count_borrower, NULL, count_borrower},
                            {count_borrower, count_borrower, NULL}};
    kc_keeper_t other[] = {{NULL, count_keeper, count_keeper}, {count_keeper, NULL, count_keeper},
                           {count_keeper, count_keeper, NULL}};
    begin_world(KC_BUFFERED, 2, false);
    for (int i = 0; i < 3; i++) {
        CHECK(kc_chan_lend(ch, &half[i]), ==, -EINVAL);
        CHECK(kc_chan_keep(ch, &other[i]), ==, -EINVAL);
    }
    CHECK(kc_chan_is_shared(ch, true) + kc_chan_is_shared(ch, false), ==, 0);
    kc_chan_destroy(ch);
}

TEST(a_try_that_would_wait_in_vain_is_refused) {
    kc_try_t t;
    kc_op_t op;
    begin_world(KC_BUFFERED, 2, false);
    begin_try(&t, &op, &counting, false);
    CHECK(kc_chan_ask(ch, &t), ==, 0);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    CHECK(kc_chan_fill(ch, NULL, false), ==, 0);
    CHECK(kc_chan_ask(ch, &t), ==, -EINVAL);
    CHECK(kc_waiter_leave(&t.waiter), ==, 0);
    kc_chan_destroy(ch);
}

/* -- ends and parkers that pull the ground away */

TEST(a_keeper_may_end_its_share_where_it_is_told) {
    void *element;
    kc_keeper_t ends = {count_keeper, end_at_once, count_keeper};
    kc_keeper_t settles = {take_and_settle, end_at_once, count_keeper};
    begin_world(KC_BUFFERED, 2, false);
    CHECK(kc_chan_keep(ch, &ends), ==, 1);
    CHECK(kc_chan_send_now(ch, ELEMENT(1)), ==, 0);
    CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    CHECK(VALUE(element), ==, 1);
    CHECK(kc_chan_is_shared(ch, false), ==, 0);
    CHECK(kc_chan_keep(ch, &settles), ==, 1);
    for (int i = 0; i < 5; i++)
        CHECK(kc_chan_send_now(ch, ELEMENT(i)), ==, 0);
    CHECK(kc_chan_length(ch), ==, 0);
    kc_chan_destroy(ch);
}

TEST(a_keeper_may_destroy_the_channel_that_tells_it) {
    void *element;
    kc_keeper_t at_arrival = {destroy_it, count_keeper, count_keeper};
    kc_keeper_t at_recall = {count_keeper, destroy_it, count_keeper};
    begin_world(KC_BUFFERED, 2, false);
    CHECK(kc_chan_keep(ch, &at_arrival), ==, 1);
    CHECK(kc_chan_send_now(ch, NULL), ==, 0);
    CHECK(told, >, 1); /* that it is drained, too */
    begin_world(KC_BUFFERED, 2, false);
    CHECK(kc_chan_keep(ch, &at_recall), ==, 1);
    CHECK(kc_chan_recv_now(ch, &element), ==, -EINVAL);
    CHECK(told, >, 1);
}

static void destroy_when_woken(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    (void)op;
    if (wakes++ == 0)
        kc_chan_destroy(ch);
}

static kc_parker_t destroying = {destroy_when_woken};

enum act { SETTLE, END_KEEPING, END_LENDING, END_LENDING_OF_SENDERS, ANSWERED, HOLD_BACK, ACTS };

/* Bring two waiters, or tries, to where `act` serves or ends them, and do it: the first that is woken destroys all. */
static void pull_away(enum act act) {
    kc_try_t t[2];
    kc_op_t op[2];
    void *element, *back[] = {ELEMENT(1), ELEMENT(2)};
    bool keeps = act == END_KEEPING, sending = act == HOLD_BACK || act == END_LENDING_OF_SENDERS;
    begin_world(act == HOLD_BACK ? KC_UNLIMITED : KC_BUFFERED, act == HOLD_BACK ? 0 : 2, false);
    if (keeps)
        CHECK(kc_chan_keep(ch, &keeper), ==, 1);
    else if (act != SETTLE)
        CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    if (act == HOLD_BACK)
        kc_chan_hold_back(ch, true);
    for (int i = 0; i < 2; i++) {
        begin_try(&t[i], &op[i], &destroying, sending);
        if (act == ANSWERED || act == END_LENDING)
            CHECK(kc_chan_ask(ch, &t[i]), ==, 1);
        else
            CHECK(kc_chan_enqueue(ch, &t[i].waiter), ==, 0);
        kc_chan_hand_out(ch);
        if (keeps && kc_chan_send_now(ch, ELEMENT(i)) == 0)
            CHECK(kc_chan_take_ahead(ch, &element), ==, 0);
    }
    int (*const simple[ACTS])(kc_chan_t *) = {[END_LENDING] = kc_chan_end_lending, [ANSWERED] = kc_chan_answered,
                                              [END_LENDING_OF_SENDERS] = kc_chan_end_lending};
    if (act == SETTLE)
        CHECK(kc_chan_settle(ch, 2, back, 2), ==, 0);
    else if (act == HOLD_BACK)
        CHECK(kc_chan_hold_back(ch, false), ==, 0);
    else if (keeps) {
        CHECK(kc_chan_settle_ahead(ch, 2, back, 2), ==, 0);
        CHECK(kc_chan_end_keeping(ch), ==, 0);
    } else
        CHECK(simple[act](ch), ==, 0);
    CHECK(wakes, ==, 2);
    CHECK(kc_waiter_leave(&t[0].waiter) + kc_waiter_leave(&t[1].waiter), ==, 0);
}

TEST(a_parker_may_destroy_the_channel_whose_share_ends) {
    for (int act = 0; act < ACTS; act++)
        pull_away((enum act)act);
}

/* Tries that end together: the first that is told ends the wait of the other, in memory that is gone then. */
static kc_try_t *others[2];
static int left;

static void leave_both(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    (void)op;
    wakes++;
    for (int i = 0; i < 2; i++) {
        kc_try_t *t = others[i];
        others[i] = NULL;
        if (t == NULL)
            continue;
        left += kc_chan_withdraw(ch, &t->waiter);
        free(t->waiter.op);
        free(t);
    }
}

TEST(a_try_that_is_told_may_end_the_wait_of_another) {
    kc_parker_t parker = {leave_both};
    begin_world(KC_BUFFERED, 2, false);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    for (int i = 0; i < 2; i++) {
        others[i] = malloc(sizeof *others[i]);
        begin_try(others[i], malloc(sizeof(kc_op_t)), &parker, false);
        CHECK(kc_chan_ask(ch, others[i]), ==, 1);
    }
    CHECK(kc_chan_end_lending(ch), ==, 0);
    CHECK(wakes, ==, 1);
    CHECK(left, ==, 1);
    kc_chan_destroy(ch);
}

static kc_op_t *order[3];

static void note_order(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    order[wakes++] = op;
}

/* An element that was kept has the only slot still, when its keeper has gone and the slots come back. */
TEST(tries_of_both_directions_end_in_the_order_in_which_they_came) {
    kc_parker_t parker = {note_order};
    kc_try_t t[3];
    kc_op_t op[3];
    void *element;
    begin_world(KC_BUFFERED, 1, false);
    CHECK(kc_chan_keep(ch, &keeper), ==, 1);
    CHECK(kc_chan_send_now(ch, NULL), ==, 0);
    CHECK(kc_chan_take_ahead(ch, &element), ==, 0);
    CHECK(kc_chan_end_keeping(ch), ==, 0);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    for (int i = 0; i < 3; i++) {
        begin_try(&t[i], &op[i], &parker, i == 1);
        CHECK(kc_chan_ask(ch, &t[i]), ==, 1);
    }
    CHECK(kc_chan_end_lending(ch), ==, 0);
    CHECK(wakes, ==, 3);
    for (int i = 0; i < 3; i++) {
        CHECK(order[i] == &op[i], ==, 1);
        CHECK(kc_op_result(&op[i]), ==, -ETIME);
    }
    CHECK(kc_chan_send_now(ch, NULL), ==, -EAGAIN); /* the slot is not free before it is settled */
    CHECK(kc_chan_settle_ahead(ch, 1, NULL, 0), ==, 0);
    CHECK(kc_chan_send_now(ch, NULL), ==, 0);
    kc_chan_destroy(ch);
}

static int won[3], lefts;

static void on_left(void *ctx, kc_waiter_t *w, bool was_won) {
    (void)ctx;
    CHECK(w->list == NULL, ==, 1);
    won[lefts++] = was_won;
}

TEST(a_try_that_leaves_its_queue_with_its_answer_is_told_as_not_won) {
    const kc_chan_hooks_t counted = {.left = on_left};
    kc_try_t t[3];
    kc_op_t op[3];
    CHECK(kc_chan_make(&ch, KC_BUFFERED, 1, KC_SUSPEND, &counted), ==, 0);
    CHECK(kc_chan_lend(ch, &borrower), ==, 1);
    for (int i = 0; i < 3; i++) {
        begin_try(&t[i], &op[i], &counting, false);
        CHECK(kc_chan_ask(ch, &t[i]), ==, 1);
    }
    CHECK(kc_chan_fill(ch, NULL, false), ==, 0);
    CHECK(kc_chan_answered(ch), ==, 0);
    CHECK(kc_chan_answered(ch), ==, 0);
    CHECK(kc_chan_withdraw(ch, &t[2].waiter), ==, 1); /* its owner knows */
    CHECK(lefts, ==, 2);
    CHECK(won[0], ==, 1);
    CHECK(won[1], ==, 0);
    CHECK(kc_op_result(&op[1]), ==, -ETIME);
    kc_chan_destroy(ch);
}

TEST(who_could_not_be_won_when_it_closed_leaves_with_the_channel) {
    struct call c;
    begin_world(KC_BUFFERED, 2, false);
    kc_chan_close(ch, NULL);
    begin(&c, true, NULL);
    CHECK(kc_op_begin_claim(&c.op, 0), ==, 1);
    CHECK(kc_chan_enqueue(ch, &c.w), ==, 0);
    kc_chan_destroy(ch);
    CHECK(kc_waiter_leave(&c.w), ==, 0);
}

int main(void) {
    RUN(what_is_put_back_is_the_channels_and_freed_once);
    RUN(what_comes_back_after_a_cancel_is_freed_at_once);
    RUN(put_back_goes_to_the_head_in_its_order_wherever_the_ring_stands);
    RUN(a_destroyed_channel_takes_nothing_back);
    RUN(more_than_there_is_is_refused_without_an_effect);
    RUN(an_unlimited_channel_lends_any_number_that_can_be_counted);
    RUN(an_end_without_one_of_its_functions_is_refused);
    RUN(a_try_that_would_wait_in_vain_is_refused);
    RUN(a_keeper_may_end_its_share_where_it_is_told);
    RUN(a_keeper_may_destroy_the_channel_that_tells_it);
    RUN(a_parker_may_destroy_the_channel_whose_share_ends);
    RUN(a_try_that_is_told_may_end_the_wait_of_another);
    RUN(tries_of_both_directions_end_in_the_order_in_which_they_came);
    RUN(a_try_that_leaves_its_queue_with_its_answer_is_told_as_not_won);
    RUN(who_could_not_be_won_when_it_closed_leaves_with_the_channel);
    return DONE;
}
