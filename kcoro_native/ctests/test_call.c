/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Calls with a deadline and a token: what beats what, and what is booked. Also the clauses about both. */

#include "kcoro/call.h"

#include "check.h"
#include "kcoro/clauses.h"
#include "kcoro/select.h"
#include "parkers.h"

static kc_chan_t *ch;
static kc_timers_t timers;
static kc_token_t token;
static kc_wait_t how;
static kc_call_t call;
static void *element;

static void begin_world(kc_kind_t kind, size_t capacity) {
    CHECK(kc_chan_make(&ch, kind, capacity, KC_SUSPEND, NULL), ==, 0);
    kc_timers_init(&timers, 0);
    kc_token_init(&token, NULL);
    how = (kc_wait_t){&counting, &timers, 100, &token};
    wakes = 0;
}

static kc_snapshot_t books(void) {
    kc_snapshot_t snapshot = {0};
    kc_chan_snapshot(ch, &snapshot);
    return snapshot;
}

TEST(a_call_that_is_served_leaves_no_timer_and_no_subscription) {
    begin_world(KC_RENDEZVOUS, 0);
    CHECK(kc_recv_begin(&call, ch, &element, &how), ==, -EAGAIN);
    CHECK(kc_call_finish(&call, &element), ==, -EAGAIN);
    CHECK(kc_try_send(ch, ELEMENT(6)), ==, 0);
    CHECK(wakes, ==, 1);
    CHECK(kc_call_finish(&call, &element), ==, 0);
    CHECK(VALUE(element), ==, 6);
    CHECK(kc_timers_count(&timers), ==, 0);
    CHECK(kc_token_end(&token), ==, 0);
    CHECK(kc_call_finish(&call, &element), ==, -EINVAL);
    kc_chan_destroy(ch);
}

TEST(a_deadline_ends_a_call_and_not_early) {
    begin_world(KC_RENDEZVOUS, 0);
    CHECK(kc_send_begin(&call, ch, ELEMENT(6), &how), ==, -EAGAIN);
    CHECK(kc_timers_expire(&timers, 99), ==, 0);
    CHECK(kc_timers_expire(&timers, 100), ==, 1);
    CHECK(kc_call_finish(&call, NULL), ==, -ETIME);
    CHECK(books().failed_deadline, ==, 1);
    CHECK(books().waiting_senders, ==, 0);
    kc_chan_destroy(ch);
}

TEST(a_deadline_that_has_passed_hides_nothing_that_is_there) {
    begin_world(KC_BUFFERED, 1);
    kc_timers_expire(&timers, 1000);
    CHECK(kc_send_begin(&call, ch, ELEMENT(1), &how), ==, 0);
    CHECK(kc_recv_begin(&call, ch, &element, &how), ==, 0);
    CHECK(kc_recv_begin(&call, ch, &element, &how), ==, -EAGAIN);
    kc_timers_expire(&timers, 1000);
    CHECK(kc_call_finish(&call, &element), ==, -ETIME);
    kc_chan_destroy(ch);
}

TEST(cancel_beats_close_beats_ready) {
    begin_world(KC_BUFFERED, 2);
    kc_try_send(ch, ELEMENT(1));
    kc_chan_close(ch, NULL);
    CHECK(kc_send_begin(&call, ch, ELEMENT(2), &how), ==, -EPIPE);
    kc_token_trigger(&token, NULL);
    CHECK(kc_send_begin(&call, ch, ELEMENT(2), &how), ==, -ECANCELED);
    CHECK(kc_recv_begin(&call, ch, &element, &how), ==, -ECANCELED);
    CHECK(kc_chan_length(ch), ==, 1);
    CHECK(books().failed_cancelled, ==, 2);
    CHECK(books().failed_closed, ==, 1);
    kc_chan_destroy(ch);
}

TEST(a_token_and_a_close_end_a_call_that_waits) {
    begin_world(KC_RENDEZVOUS, 0);
    kc_recv_begin(&call, ch, &element, &how);
    kc_token_trigger(&token, NULL);
    CHECK(kc_call_finish(&call, &element), ==, -ECANCELED);
    CHECK(kc_timers_count(&timers), ==, 0);
    how.token = NULL;
    kc_recv_begin(&call, ch, &element, &how);
    kc_chan_close(ch, NULL);
    CHECK(kc_call_finish(&call, &element), ==, -EPIPE);
    CHECK(wakes, ==, 2);
    kc_chan_destroy(ch);
}

TEST(each_failure_is_booked_once) {
    begin_world(KC_RENDEZVOUS, 0);
    CHECK(kc_try_send(ch, NULL), ==, -EAGAIN);
    CHECK(kc_try_recv(ch, &element), ==, -EAGAIN);
    CHECK(books().failed_would_block, ==, 2);
    kc_recv_begin(&call, ch, &element, &how);
    kc_op_give_up(&call.op);
    CHECK(kc_call_finish(&call, &element), ==, -ECANCELED);
    CHECK(books().failed_cancelled, ==, 1);
    kc_chan_close(ch, NULL);
    CHECK(kc_try_send(ch, NULL), ==, -EPIPE);
    CHECK(books().failed_closed, ==, 1);
    kc_chan_destroy(ch);
}

TEST(a_call_survives_the_destruction_of_its_channel) {
    begin_world(KC_RENDEZVOUS, 0);
    kc_chan_retain(ch);
    kc_recv_begin(&call, ch, &element, &how);
    kc_chan_destroy(ch);
    CHECK(kc_call_finish(&call, &element), ==, -EPIPE);
    CHECK(kc_recv_begin(&call, ch, &element, &how), ==, -EINVAL);
    kc_chan_release(ch);
}

TEST(misuse_is_refused) {
    begin_world(KC_RENDEZVOUS, 0);
    kc_wait_t nobody = {0};
    CHECK(kc_send_begin(NULL, ch, NULL, &how), ==, -EINVAL);
    CHECK(kc_send_begin(&call, NULL, NULL, &how), ==, -EINVAL);
    CHECK(kc_send_begin(&call, ch, NULL, NULL), ==, -EINVAL);
    CHECK(kc_send_begin(&call, ch, NULL, &nobody), ==, -EINVAL);
    CHECK(kc_recv_begin(&call, ch, NULL, &how), ==, -EINVAL);
    CHECK(kc_call_finish(NULL, &element), ==, -EINVAL);
    CHECK(kc_try_send(NULL, NULL), ==, -EINVAL);
    CHECK(kc_try_recv(NULL, &element), ==, -EINVAL);
    CHECK(kc_try_recv(ch, NULL), ==, -EINVAL);
    kc_recv_begin(&call, ch, &element, &how);
    CHECK(kc_call_finish(&call, NULL), ==, -EINVAL);
    kc_op_give_up(&call.op);
    CHECK(kc_call_finish(&call, &element), ==, -ECANCELED);
    kc_chan_destroy(ch);
}

/* -- clauses */

static kc_clause_t clauses[3];
static kc_after_t after;
static kc_triggered_t triggered;
static kc_select_t s;

static void begin_select(uint64_t deadline) {
    begin_world(KC_RENDEZVOUS, 0);
    CHECK(kc_clause_recv(&clauses[0], ch), ==, 0);
    CHECK(kc_clause_triggered(&clauses[1], &triggered, &token), ==, 0);
    CHECK(kc_clause_after(&clauses[2], &after, &timers, deadline), ==, 0);
    CHECK(kc_select_init(&s, clauses, 3, KC_BIASED, KC_RAISE), ==, 0);
}

static void end_select(int won) {
    CHECK(kc_select_finish(&s), ==, won);
    CHECK(kc_timers_count(&timers), ==, 0);
    CHECK(kc_token_end(&token), ==, 0);
    CHECK(books().waiting_receivers, ==, 0);
    kc_chan_destroy(ch);
}

TEST(time_a_token_or_an_element_win_a_select_and_the_losers_are_gone) {
    for (int won = 0; won < 3; won++) {
        begin_select(50);
        CHECK(kc_select_poll(&s), ==, -EAGAIN);
        CHECK(kc_select_enlist(&s, &counting), ==, -EAGAIN);
        if (won == 0)
            kc_try_send(ch, NULL);
        else if (won == 1)
            kc_token_trigger(&token, ELEMENT(9));
        else
            kc_timers_expire(&timers, 50);
        CHECK(VALUE(s.op.value), ==, won == 1 ? 9 : 0);
        CHECK(wakes, ==, 1);
        end_select(won);
    }
}

TEST(a_deadline_of_nothing_is_a_default_clause) {
    begin_select(0);
    CHECK(kc_select_poll(&s), ==, 2);
    kc_token_trigger(&token, NULL);
    CHECK(kc_select_poll(&s), ==, 1);
    kc_chan_destroy(ch);
}

TEST(a_deadline_that_passes_during_a_claim_is_found_afterwards) {
    begin_select(50);
    kc_select_poll(&s);
    kc_select_enlist(&s, &counting);
    CHECK(kc_op_begin_claim(&s.op, 0), ==, 1);
    kc_timers_expire(&timers, 60);
    CHECK(kc_select_finish(&s), ==, -EAGAIN);
    CHECK(kc_op_end_claim(&s.op), ==, 1);
    CHECK(kc_select_again(&s), ==, 2);
    kc_token_trigger(&token, NULL);
    kc_chan_destroy(ch);
}

TEST(misuse_of_these_clauses_is_refused) {
    begin_select(50);
    CHECK(kc_clause_after(NULL, &after, &timers, 1), ==, -EINVAL);
    CHECK(kc_clause_after(&clauses[0], NULL, &timers, 1), ==, -EINVAL);
    CHECK(kc_clause_after(&clauses[0], &after, NULL, 1), ==, -EINVAL);
    CHECK(kc_clause_triggered(NULL, &triggered, &token), ==, -EINVAL);
    CHECK(kc_clause_triggered(&clauses[0], NULL, &token), ==, -EINVAL);
    CHECK(kc_clause_triggered(&clauses[0], &triggered, NULL), ==, -EINVAL);
    kc_chan_destroy(ch);
}

int main(void) {
    RUN(a_call_that_is_served_leaves_no_timer_and_no_subscription);
    RUN(a_deadline_ends_a_call_and_not_early);
    RUN(a_deadline_that_has_passed_hides_nothing_that_is_there);
    RUN(cancel_beats_close_beats_ready);
    RUN(a_token_and_a_close_end_a_call_that_waits);
    RUN(each_failure_is_booked_once);
    RUN(a_call_survives_the_destruction_of_its_channel);
    RUN(misuse_is_refused);
    RUN(time_a_token_or_an_element_win_a_select_and_the_losers_are_gone);
    RUN(a_deadline_of_nothing_is_a_default_clause);
    RUN(a_deadline_that_passes_during_a_claim_is_found_afterwards);
    RUN(misuse_of_these_clauses_is_refused);
    return DONE;
}
