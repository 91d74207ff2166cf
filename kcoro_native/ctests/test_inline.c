/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A parker may run the owner at once, which finishes its wait and frees all that it waited with. */

#include <stdlib.h>

#include "check.h"
#include "kcoro/kcoro.h"

/* Somebody who waits, in memory that is gone once the wait is over. */
struct owner {
    kc_call_t call;
    kc_select_t select;
    kc_clause_t clauses[3];
    kc_after_t after;
    kc_triggered_t triggered;
    bool is_select;
};

static kc_chan_t *ch;
static kc_timers_t timers;
static kc_token_t token;
static int results[8], count;

static void run_owner(kc_parker_t *self, kc_op_t *op) {
    (void)self;
    void *element = NULL;
    struct owner *owner = op->task;
    results[count++] = owner->is_select ? kc_select_finish(&owner->select) : kc_call_finish(&owner->call, &element);
    free(owner);
}

static kc_parker_t parker = {run_owner};

static void begin_world(kc_kind_t kind) {
    CHECK(kc_chan_make(&ch, kind, kind == KC_BUFFERED, KC_SUSPEND, NULL), ==, 0);
    kc_timers_init(&timers, 0);
    kc_token_init(&token, NULL);
    count = 0;
}

static void wait_plainly(bool sending) {
    struct owner *owner = calloc(1, sizeof *owner);
    const kc_wait_t how = {&parker, &timers, 10, &token};
    void *element;
    int rc = sending ? kc_send_begin(&owner->call, ch, NULL, &how) : kc_recv_begin(&owner->call, ch, &element, &how);
    CHECK(rc, ==, -EAGAIN);
    owner->call.op.task = owner;
}

static void wait_in_a_select(kc_closed_rule_t rule) {
    struct owner *owner = calloc(1, sizeof *owner);
    owner->is_select = true;
    kc_clause_recv(&owner->clauses[0], ch);
    kc_clause_after(&owner->clauses[1], &owner->after, &timers, 10);
    kc_clause_triggered(&owner->clauses[2], &owner->triggered, &token);
    kc_select_init(&owner->select, owner->clauses, rule == KC_SKIP ? 1 : 3, KC_BIASED, rule);
    owner->select.op.task = owner;
    CHECK(kc_select_poll(&owner->select), ==, -EAGAIN);
    CHECK(kc_select_enlist(&owner->select, &parker), ==, -EAGAIN);
}

/* Three who wait, with what ends all their waits. */
static void three_receivers(void) {
    begin_world(KC_RENDEZVOUS);
    wait_plainly(false);
    wait_in_a_select(KC_RAISE);
    wait_plainly(false);
}

static void expect(int first, int second, int third) {
    CHECK(count, ==, 3);
    CHECK(results[0], ==, first);
    CHECK(results[1], ==, second);
    CHECK(results[2], ==, third);
    CHECK(kc_timers_count(&timers), ==, 0);
    CHECK(kc_chan_waiting(ch, false) == NULL, ==, 1);
    kc_chan_destroy(ch);
}

TEST(an_element_frees_who_waited_for_it) {
    three_receivers();
    for (int i = 0; i < 3; i++)
        CHECK(kc_chan_send_now(ch, NULL), ==, 0);
    expect(0, 0, 0);
}

TEST(a_close_frees_all_who_waited) {
    three_receivers();
    CHECK(kc_chan_close(ch, NULL), ==, 0);
    expect(-EPIPE, -EPIPE, -EPIPE);
}

TEST(a_deadline_frees_all_who_waited) {
    three_receivers();
    CHECK(kc_timers_expire(&timers, 10), ==, 3);
    expect(-ETIME, 1, -ETIME);
}

TEST(a_token_frees_all_who_waited) {
    three_receivers();
    CHECK(kc_token_trigger(&token, NULL), ==, 1);
    expect(-ECANCELED, 2, -ECANCELED);
}

TEST(the_last_closed_clause_of_a_skip_frees_its_select) {
    begin_world(KC_RENDEZVOUS);
    for (int i = 0; i < 3; i++)
        wait_in_a_select(KC_SKIP);
    kc_chan_cancel(ch, NULL, KC_UNDELIVERED_CANCELLED);
    expect(-EPIPE, -EPIPE, -EPIPE);
}

TEST(a_slot_that_becomes_free_frees_who_waited_for_it) {
    void *element;
    begin_world(KC_BUFFERED);
    kc_chan_send_now(ch, NULL);
    for (int i = 0; i < 3; i++)
        wait_plainly(true);
    for (int i = 0; i < 3; i++)
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    expect(0, 0, 0);
}

TEST(an_answer_to_a_claim_frees_who_was_cancelled_meanwhile) {
    begin_world(KC_RENDEZVOUS);
    wait_in_a_select(KC_RAISE);
    kc_op_t *op = kc_chan_waiting(ch, false)->op;
    CHECK(kc_op_begin_claim(op, 0), ==, 1);
    CHECK(kc_op_revoke(op), ==, 0);
    CHECK(kc_op_end_claim(op), ==, 0);
    CHECK(count, ==, 1);
    CHECK(results[0], ==, -ECANCELED);
    kc_chan_destroy(ch);
}

TEST(an_event_and_the_last_child_free_who_waited_for_them) {
    kc_scope_t *scope = malloc(sizeof *scope);
    kc_child_t *child = malloc(sizeof *child);
    struct owner *owner = calloc(1, sizeof *owner);
    begin_world(KC_RENDEZVOUS);
    kc_scope_open(scope, NULL);
    kc_scope_launch(scope, child);
    owner->is_select = true;
    kc_clause_event(&owner->clauses[0], &child->done);
    kc_select_init(&owner->select, owner->clauses, 1, KC_BIASED, KC_RAISE);
    owner->select.op.task = owner;
    kc_select_poll(&owner->select);
    kc_select_enlist(&owner->select, &parker);
    CHECK(kc_child_end(child, 0), ==, 0);
    CHECK(count, ==, 1);
    CHECK(kc_scope_leave(scope), ==, 0);
    free(child);
    free(scope);
    kc_chan_destroy(ch);
}

int main(void) {
    RUN(an_element_frees_who_waited_for_it);
    RUN(a_close_frees_all_who_waited);
    RUN(a_deadline_frees_all_who_waited);
    RUN(a_token_frees_all_who_waited);
    RUN(the_last_closed_clause_of_a_skip_frees_its_select);
    RUN(a_slot_that_becomes_free_frees_who_waited_for_it);
    RUN(an_answer_to_a_claim_frees_who_was_cancelled_meanwhile);
    RUN(an_event_and_the_last_child_free_who_waited_for_them);
    return DONE;
}
