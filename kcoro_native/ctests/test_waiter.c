/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The claim word decides once, whoever comes; twin of the laws on waiters. */

#include "kcoro/waiter.h"

#include <errno.h>

#include "check.h"
#include "parkers.h"

TEST(the_first_decision_stays_and_wakes_once) {
    struct call c;
    begin(&c, false, NULL);
    wakes = 0;
    CHECK(kc_op_result(&c.op), ==, -EAGAIN);
    CHECK(kc_waiter_complete(&c.w, ELEMENT(7)), ==, 1);
    CHECK(kc_op_expire(&c.op) + kc_op_revoke(&c.op) + kc_op_give_up(&c.op) + kc_waiter_shut(&c.w), ==, 0);
    CHECK(kc_op_result(&c.op), ==, 0);
    CHECK(VALUE(c.op.value), ==, 7);
    CHECK(wakes, ==, 1);
}

TEST(each_end_has_its_code) {
    struct call c;
    begin(&c, false, NULL);
    CHECK(kc_op_expire(&c.op), ==, 1);
    CHECK(kc_op_result(&c.op), ==, -ETIME);
    begin(&c, false, NULL);
    CHECK(kc_op_revoke(&c.op), ==, 1);
    CHECK(kc_op_result(&c.op), ==, -ECANCELED);
    begin(&c, false, NULL);
    CHECK(kc_waiter_shut(&c.w), ==, 1);
    CHECK(kc_op_result(&c.op), ==, -EPIPE);
    CHECK(kc_op_claim(&c.op), ==, 0);
}

TEST(giving_up_wakes_nobody) {
    struct call c;
    begin(&c, false, NULL);
    wakes = 0;
    CHECK(kc_op_give_up(&c.op), ==, 1);
    CHECK(wakes, ==, 0);
    CHECK(kc_op_result(&c.op), ==, -ECANCELED);
}

TEST(partners_pass_over_who_is_being_claimed) {
    struct call c;
    begin(&c, false, NULL);
    CHECK(kc_op_begin_claim(&c.op, 3), ==, 1);
    CHECK(kc_op_claim(&c.op), ==, KC_CLAIMING - 3);
    CHECK(kc_op_begin_claim(&c.op, 4), ==, 0);
    CHECK(kc_waiter_complete(&c.w, NULL), ==, 0);
    CHECK(kc_op_result(&c.op), ==, -EAGAIN);
    CHECK(kc_op_win_claim(&c.op), ==, 3);
    CHECK(kc_op_result(&c.op), ==, 3);
}

TEST(what_arrives_during_a_claim_waits_for_its_answer_and_cancel_beats_timeout) {
    struct call c;
    begin(&c, false, NULL);
    kc_op_begin_claim(&c.op, 0);
    CHECK(kc_op_expire(&c.op), ==, 0);
    CHECK(kc_op_revoke(&c.op), ==, 0);
    CHECK(kc_op_expire(&c.op), ==, 0);
    wakes = 0;
    CHECK(kc_op_end_claim(&c.op), ==, 0);
    CHECK(kc_op_result(&c.op), ==, -ECANCELED);
    CHECK(wakes, ==, 1);
}

TEST(a_denied_claim_leaves_the_operation_waiting) {
    struct call c;
    begin(&c, false, NULL);
    kc_op_begin_claim(&c.op, 0);
    CHECK(kc_op_end_claim(&c.op), ==, 1);
    CHECK(kc_waiter_complete(&c.w, NULL), ==, 1);
}

TEST(under_skip_the_last_closed_clause_ends_the_select) {
    kc_op_t op;
    kc_waiter_t a, b;
    CHECK(kc_op_init_select(&op, KC_SKIP, 2), ==, 0);
    kc_waiter_init(&a, &op, 0, false, NULL);
    kc_waiter_init(&b, &op, 1, false, NULL);
    CHECK(kc_waiter_shut(&a) + kc_waiter_shut(&a), ==, 0);
    CHECK(kc_waiter_complete(&a, NULL), ==, 0);
    CHECK(kc_waiter_shut(&b), ==, 1);
    CHECK(kc_op_result(&op), ==, -EPIPE);
    CHECK(kc_op_claim(&op), ==, KC_CLOSED);
}

TEST(a_queue_is_left_from_any_place) {
    struct call c[3];
    kc_waitlist_t list = {NULL, NULL, 0};
    for (int i = 0; i < 3; i++)
        CHECK(kc_waitlist_push(&list, begin(&c[i], false, NULL)), ==, 0);
    CHECK(kc_waitlist_push(&list, &c[0].w), ==, -EINVAL);
    CHECK(kc_waiter_leave(&c[1].w), ==, 1);
    CHECK(kc_waiter_leave(&c[1].w), ==, 0);
    CHECK(list.first == &c[0].w && list.last == &c[2].w && list.first->next == list.last, ==, 1);
    CHECK(kc_waiter_leave(&c[0].w) + kc_waiter_leave(&c[2].w), ==, 2);
    CHECK(list.first == NULL && list.last == NULL && list.length == 0, ==, 1);
}

TEST(misuse_is_refused) {
    struct call c;
    begin(&c, false, NULL);
    CHECK(kc_op_init(NULL, NULL), ==, -EINVAL);
    CHECK(kc_op_init_select(&c.op, KC_RAISE, 0), ==, -EINVAL);
    CHECK(kc_op_init_select(&c.op, (kc_closed_rule_t)9, 1), ==, -EINVAL);
    CHECK(kc_waiter_init(NULL, &c.op, 0, false, NULL), ==, -EINVAL);
    CHECK(kc_waiter_init(&c.w, NULL, 0, false, NULL), ==, -EINVAL);
    CHECK(kc_waiter_init(&c.w, &c.op, -1, false, NULL), ==, -EINVAL);
    CHECK(kc_waiter_init(&c.w, &c.op, INT32_MAX, false, NULL), ==, -EINVAL);
    CHECK(kc_op_result(NULL), ==, -EINVAL);
    CHECK(kc_waiter_finish(&c.w, NULL), ==, -EINVAL);
    CHECK(kc_waiter_fail(&c.w, -EPIPE), ==, -EINVAL);
    CHECK(kc_op_begin_claim(&c.op, -1), ==, -EINVAL);
    CHECK(kc_op_win_claim(&c.op), ==, -EINVAL);
    CHECK(kc_op_end_claim(&c.op), ==, -EINVAL);
    CHECK(kc_op_win_claim(NULL), ==, -EINVAL);
    CHECK(kc_op_end_claim(NULL), ==, -EINVAL);
    CHECK(kc_op_begin_claim(NULL, 0), ==, -EINVAL);
    CHECK(kc_waiter_finish(NULL, NULL), ==, -EINVAL);
    CHECK(kc_waiter_fail(NULL, -EPIPE), ==, -EINVAL);
    CHECK(kc_waitlist_push(NULL, &c.w), ==, -EINVAL);
    CHECK(kc_waitlist_push(NULL, NULL), ==, -EINVAL);
    CHECK(kc_waiter_win(NULL) + kc_waiter_complete(NULL, NULL) + kc_waiter_shut(NULL) + kc_waiter_leave(NULL), ==, 0);
    CHECK(kc_op_expire(NULL) + kc_op_revoke(NULL) + kc_op_give_up(NULL), ==, 0);
    CHECK(kc_op_result(&c.op), ==, -EAGAIN);
}

int main(void) {
    RUN(the_first_decision_stays_and_wakes_once);
    RUN(each_end_has_its_code);
    RUN(giving_up_wakes_nobody);
    RUN(partners_pass_over_who_is_being_claimed);
    RUN(what_arrives_during_a_claim_waits_for_its_answer_and_cancel_beats_timeout);
    RUN(a_denied_claim_leaves_the_operation_waiting);
    RUN(under_skip_the_last_closed_clause_ends_the_select);
    RUN(a_queue_is_left_from_any_place);
    RUN(misuse_is_refused);
    return DONE;
}
