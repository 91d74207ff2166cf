/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the model test does not reach: life, ownership, misuse and hooks that pull the ground away. */

#include "kcoro/channel.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "parkers.h"

static int undelivered, destroyed, last_why;

static void on_undelivered(void *ctx, void *element, kc_undelivered_t why) {
    (void)ctx;
    (void)element;
    undelivered++;
    last_why = (int)why;
}

static void on_destroy(void *ctx, void *element) {
    (void)ctx;
    free(element);
    destroyed++;
}

static const kc_chan_hooks_t freeing = {.undelivered = on_undelivered, .destroy = on_destroy};

static kc_chan_t *make(kc_kind_t kind, size_t capacity, kc_overflow_t overflow, const kc_chan_hooks_t *hooks) {
    kc_chan_t *ch;
    CHECK(kc_chan_make(&ch, kind, capacity, overflow, hooks), ==, 0);
    undelivered = destroyed = wakes = 0;
    return ch;
}

TEST(what_cannot_be_delivered_is_told_and_then_freed_once) {
    kc_chan_t *ch = make(KC_BUFFERED, 2, KC_DROP_OLDEST, &freeing);
    for (int i = 0; i < 5; i++)
        CHECK(kc_chan_send_now(ch, malloc(1)), ==, 0);
    CHECK(undelivered, ==, 3);
    CHECK(last_why, ==, KC_UNDELIVERED_OVERFLOW);
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(undelivered, ==, 5);
    CHECK(destroyed, ==, 5);
    CHECK(last_why, ==, KC_UNDELIVERED_DESTROYED);
}

TEST(the_last_reference_destroys) {
    kc_chan_t *ch = make(KC_UNLIMITED, 0, KC_SUSPEND, &freeing);
    CHECK(kc_chan_send_now(ch, malloc(1)), ==, 0);
    CHECK(kc_chan_retain(ch), ==, 0);
    CHECK(kc_chan_release(ch), ==, 0);
    CHECK(destroyed, ==, 0);
    CHECK(kc_chan_release(ch), ==, 0);
    CHECK(destroyed, ==, 1);
}

TEST(destroying_wakes_all_who_wait_and_they_may_leave_afterwards) {
    struct call c[10];
    kc_chan_t *ch = make(KC_RENDEZVOUS, 0, KC_SUSPEND, NULL);
    for (int i = 0; i < 10; i++)
        CHECK(kc_chan_enqueue(ch, begin(&c[i], false, NULL)), ==, 0);
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(wakes, ==, 10);
    for (int i = 0; i < 10; i++) {
        CHECK(kc_op_result(&c[i].op), ==, -EPIPE);
        CHECK(kc_waiter_leave(&c[i].w), ==, 0);
    }
}

TEST(a_destroyed_channel_refuses_everything) {
    struct call c;
    kc_snapshot_t snapshot;
    void *element = ELEMENT(5);
    kc_chan_t *ch = make(KC_BUFFERED, 1, KC_SUSPEND, NULL);
    kc_chan_retain(ch);
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(kc_chan_destroy(ch), ==, -EINVAL);
    CHECK(kc_chan_send_now(ch, NULL), ==, -EINVAL);
    CHECK(kc_chan_recv_now(ch, &element), ==, -EINVAL);
    CHECK(kc_chan_enqueue(ch, begin(&c, true, NULL)), ==, -EINVAL);
    CHECK(kc_chan_withdraw(ch, &c.w), ==, -EINVAL);
    CHECK(kc_chan_close(ch, NULL), ==, -EINVAL);
    CHECK(kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED), ==, -EINVAL);
    CHECK(kc_chan_snapshot(ch, &snapshot), ==, -EINVAL);
    CHECK(kc_chan_send_must_wait(ch), ==, -EINVAL);
    CHECK(kc_chan_recv_must_wait(ch), ==, -EINVAL);
    CHECK(kc_chan_is_closed(ch), ==, -EINVAL);
    CHECK(kc_chan_is_drained(ch), ==, -EINVAL);
    CHECK(kc_chan_report(ch, NULL, KC_UNDELIVERED_OVERFLOW), ==, -EINVAL);
    CHECK(kc_chan_count_failure(ch, KC_WAITING), ==, -EINVAL);
    CHECK(kc_chan_length(ch) + kc_chan_there(ch, true) + kc_chan_there(ch, false), ==, 0);
    CHECK(kc_chan_waiting(ch, true) == NULL && kc_chan_waiting(ch, false) == NULL, ==, 1);
    CHECK(VALUE(element), ==, 5);
    CHECK(kc_chan_release(ch), ==, 0);
}

TEST(no_channel_refuses_everything) {
    void *element;
    kc_snapshot_t snapshot;
    CHECK(kc_chan_make(NULL, KC_RENDEZVOUS, 0, KC_SUSPEND, NULL), ==, -EINVAL);
    CHECK(kc_chan_retain(NULL), ==, -EINVAL);
    CHECK(kc_chan_release(NULL), ==, -EINVAL);
    CHECK(kc_chan_destroy(NULL), ==, -EINVAL);
    CHECK(kc_chan_send_now(NULL, NULL), ==, -EINVAL);
    CHECK(kc_chan_recv_now(NULL, &element), ==, -EINVAL);
    CHECK(kc_chan_enqueue(NULL, NULL), ==, -EINVAL);
    CHECK(kc_chan_withdraw(NULL, NULL), ==, -EINVAL);
    CHECK(kc_chan_close(NULL, NULL), ==, -EINVAL);
    CHECK(kc_chan_cancel(NULL, NULL, KC_UNDELIVERED_CANCELLED), ==, -EINVAL);
    CHECK(kc_chan_snapshot(NULL, &snapshot), ==, -EINVAL);
    CHECK(kc_chan_reason(NULL) == NULL, ==, 1);
    CHECK(kc_chan_length(NULL), ==, 0);
}

TEST(a_shape_that_cannot_be_is_refused) {
    static const struct {
        int kind, overflow;
        size_t capacity;
    } shapes[] = {{9, 0, 0}, {-1, 0, 0}, {KC_BUFFERED, 0, 0}, {KC_BUFFERED, 0, SIZE_MAX}, {KC_BUFFERED, 9, 1},
                  {KC_RENDEZVOUS, 0, 1}, {KC_CONFLATED, KC_DROP_OLDEST, 0}, {KC_UNLIMITED, KC_DROP_LATEST, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        kc_chan_t *ch = (kc_chan_t *)shapes;
        int rc = kc_chan_make(&ch, (kc_kind_t)shapes[i].kind, shapes[i].capacity, (kc_overflow_t)shapes[i].overflow, NULL);
        CHECK(rc, ==, -EINVAL);
        CHECK(ch == NULL, ==, 1);
    }
}

TEST(a_waiter_that_would_wait_in_vain_is_refused) {
    struct call c;
    kc_chan_t *ch = make(KC_BUFFERED, 1, KC_SUSPEND, NULL);
    CHECK(kc_chan_enqueue(ch, begin(&c, true, NULL)), ==, -EINVAL);
    CHECK(kc_chan_send_now(ch, NULL), ==, 0);
    CHECK(kc_chan_enqueue(ch, begin(&c, false, NULL)), ==, -EINVAL);
    CHECK(kc_chan_enqueue(ch, begin(&c, true, NULL)), ==, 0);
    CHECK(kc_chan_enqueue(ch, &c.w), ==, -EINVAL);
    CHECK(kc_chan_withdraw(ch, &c.w), ==, 1);
    CHECK(kc_chan_withdraw(ch, &c.w), ==, 0);
    kc_chan_close(ch, NULL);
    CHECK(kc_chan_enqueue(ch, begin(&c, true, NULL)), ==, -EINVAL);
    kc_chan_destroy(ch);
}

TEST(a_waiter_of_another_channel_is_not_withdrawn) {
    struct call c;
    kc_chan_t *a = make(KC_RENDEZVOUS, 0, KC_SUSPEND, NULL), *b = make(KC_RENDEZVOUS, 0, KC_SUSPEND, NULL);
    CHECK(kc_chan_enqueue(a, begin(&c, false, NULL)), ==, 0);
    CHECK(kc_chan_withdraw(b, &c.w), ==, 0);
    CHECK(kc_chan_waiting(a, false) == &c.w, ==, 1);
    kc_chan_destroy(b);
    kc_chan_destroy(a);
}

TEST(the_first_reason_stays) {
    kc_chan_t *ch = make(KC_RENDEZVOUS, 0, KC_SUSPEND, NULL);
    kc_chan_close(ch, ELEMENT(1));
    kc_chan_close(ch, ELEMENT(2));
    kc_chan_cancel(ch, ELEMENT(3), KC_UNDELIVERED_CANCELLED);
    CHECK(VALUE(kc_chan_reason(ch)), ==, 1);
    kc_chan_destroy(ch);
}

TEST(an_unlimited_channel_gives_its_memory_back) {
    void *element;
    kc_chan_t *ch = make(KC_UNLIMITED, 0, KC_SUSPEND, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100000; i++)
            CHECK(kc_chan_send_now(ch, ELEMENT(i)), ==, 0);
        for (int i = 0; i < 100000; i++) {
            CHECK(kc_chan_recv_now(ch, &element), ==, 0);
            CHECK(VALUE(element), ==, i);
        }
        CHECK(kc_chan_recv_now(ch, &element), ==, -EAGAIN);
    }
    kc_chan_destroy(ch);
}

/* -- hooks and parkers that pull the ground away */

static kc_chan_t *victim;

static void destroy_victim(void *ctx, void *element, kc_undelivered_t why) {
    (void)ctx;
    (void)element;
    (void)why;
    undelivered++;
    kc_chan_t *ch = victim;
    victim = NULL;
    if (ch != NULL)
        kc_chan_destroy(ch);
}

static void release_victim(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    (void)op;
    wakes++;
    destroy_victim(NULL, NULL, KC_UNDELIVERED_DESTROYED);
}

TEST(a_hook_may_destroy_the_channel_that_calls_it) {
    const kc_chan_hooks_t hooks = {.undelivered = destroy_victim};
    victim = make(KC_BUFFERED, 1, KC_DROP_OLDEST, &hooks);
    kc_chan_t *ch = victim;
    CHECK(kc_chan_send_now(ch, ELEMENT(1)), ==, 0);
    CHECK(kc_chan_send_now(ch, ELEMENT(2)), ==, 0);
    CHECK(undelivered, ==, 2);
    victim = make(KC_UNLIMITED, 0, KC_SUSPEND, &hooks);
    ch = victim;
    for (int i = 0; i < 3; i++)
        kc_chan_send_now(ch, ELEMENT(i));
    CHECK(kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED), ==, 0);
    CHECK(undelivered, ==, 3);
}

/* `count` waiters whose parker destroys the channel; then `act`. */
static void pull_away(kc_kind_t kind, bool sending, int (*act)(kc_chan_t *ch)) {
    kc_parker_t parker = {release_victim};
    struct call c[3];
    victim = make(kind, kind == KC_BUFFERED, KC_SUSPEND, NULL);
    kc_chan_t *ch = victim;
    if (kind == KC_BUFFERED && sending)
        kc_chan_send_now(ch, ELEMENT(9));
    for (int i = 0; i < 3; i++) {
        begin(&c[i], sending, ELEMENT(i));
        c[i].op.parker = &parker;
        CHECK(kc_chan_enqueue(ch, &c[i].w), ==, 0);
    }
    CHECK(act(ch), ==, 0);
    CHECK(wakes, ==, 3);
}

static int act_send(kc_chan_t *ch) {
    return kc_chan_send_now(ch, ELEMENT(4));
}

static int act_recv(kc_chan_t *ch) {
    void *element;
    return kc_chan_recv_now(ch, &element);
}

static int act_close(kc_chan_t *ch) {
    return kc_chan_close(ch, NULL);
}

static int act_cancel(kc_chan_t *ch) {
    return kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED);
}

TEST(a_parker_may_destroy_the_channel_that_wakes_it) {
    pull_away(KC_RENDEZVOUS, false, act_send);
    pull_away(KC_RENDEZVOUS, true, act_recv);
    pull_away(KC_BUFFERED, true, act_recv);
    pull_away(KC_BUFFERED, true, act_close);
    pull_away(KC_UNLIMITED, false, act_close);
    pull_away(KC_BUFFERED, true, act_cancel);
}

static struct call *left_calls[4];
static int lefts, left_won;

static void on_left(void *ctx, kc_waiter_t *w, bool won) {
    CHECK(ctx == &lefts, ==, 1);
    CHECK(w->list == NULL, ==, 1);
    CHECK(kc_op_result(w->op), ==, won ? 0 : -EAGAIN); /* its end comes next */
    left_calls[lefts++] = (struct call *)w->op;
    left_won += won;
}

TEST(a_waiter_that_leaves_its_queue_by_itself_is_told_once) {
    const kc_chan_hooks_t counted = {.ctx = &lefts, .left = on_left};
    struct call c[4];
    kc_chan_t *ch = make(KC_RENDEZVOUS, 0, KC_SUSPEND, &counted);
    for (int i = 0; i < 4; i++)
        CHECK(kc_chan_enqueue(ch, begin(&c[i], false, NULL)), ==, 0);
    CHECK(kc_chan_withdraw(ch, &c[0].w), ==, 1); /* its owner knows */
    CHECK(kc_chan_send_now(ch, ELEMENT(1)), ==, 0);
    CHECK(kc_op_begin_claim(&c[2].op, 0), ==, 1); /* being claimed, it is not ended; its place it loses */
    CHECK(kc_chan_close(ch, NULL), ==, 0);
    CHECK(lefts, ==, 3);
    CHECK(left_won, ==, 1);
    for (int i = 0; i < 3; i++)
        CHECK(left_calls[i] == &c[i + 1], ==, 1);
    CHECK(kc_chan_destroy(ch), ==, 0);
    CHECK(lefts, ==, 3);
}

int main(void) {
    RUN(what_cannot_be_delivered_is_told_and_then_freed_once);
    RUN(the_last_reference_destroys);
    RUN(destroying_wakes_all_who_wait_and_they_may_leave_afterwards);
    RUN(a_destroyed_channel_refuses_everything);
    RUN(no_channel_refuses_everything);
    RUN(a_shape_that_cannot_be_is_refused);
    RUN(a_waiter_that_would_wait_in_vain_is_refused);
    RUN(a_waiter_of_another_channel_is_not_withdrawn);
    RUN(the_first_reason_stays);
    RUN(an_unlimited_channel_gives_its_memory_back);
    RUN(a_hook_may_destroy_the_channel_that_calls_it);
    RUN(a_parker_may_destroy_the_channel_that_wakes_it);
    RUN(a_waiter_that_leaves_its_queue_by_itself_is_told_once);
    return DONE;
}
