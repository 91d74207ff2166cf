/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Each allocation fails once: what was asked for is refused without an effect, and nothing leaks or is lost. */

#include "kcoro/memory.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "kcoro/kcoro.h"
#include "parkers.h"

static long allocations, blocks, fail_at;
static int refused;

static void *failing_resize(void *ctx, void *block, size_t size) {
    (void)ctx;
    if (allocations++ == fail_at)
        return NULL;
    blocks += block == NULL;
    return realloc(block, size);
}

static void counting_release(void *ctx, void *block) {
    (void)ctx;
    blocks--;
    free(block);
}

/* Whether a call succeeded; else it says -ENOMEM, which is counted. */
static int is_done(int rc) {
    CHECK(rc == 0 || rc == -ENOMEM, ==, 1);
    refused += rc == -ENOMEM;
    return rc == 0;
}

/* -- the scenarios */

static void make_each_kind(void) {
    static const size_t capacity[] = {0, 5, 0, 0};
    for (int kind = KC_RENDEZVOUS; kind <= KC_UNLIMITED; kind++) {
        kc_chan_t *ch;
        if (is_done(kc_chan_make(&ch, (kc_kind_t)kind, capacity[kind], KC_SUSPEND, NULL)))
            kc_chan_destroy(ch);
        else
            CHECK(ch == NULL, ==, 1);
    }
}

static void send_without_limit(void) {
    kc_chan_t *ch;
    intptr_t sent[200], count = 0;
    void *element;
    if (!is_done(kc_chan_make(&ch, KC_UNLIMITED, 0, KC_SUSPEND, NULL)))
        return;
    for (intptr_t i = 0; i < 200; i++)
        if (is_done(kc_chan_send_now(ch, ELEMENT(i))))
            sent[count++] = i;
    for (intptr_t i = 0; i < count; i++) {
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
        CHECK(VALUE(element), ==, sent[i]);
    }
    CHECK(kc_chan_recv_now(ch, &element), ==, -EAGAIN);
    kc_chan_destroy(ch);
}

/* A capacity that somebody else asked for costs nothing before its elements come. */
static void send_to_a_vast_buffer(void) {
    kc_chan_t *ch;
    intptr_t sent[3000], count = 0;
    void *element;
    if (!is_done(kc_chan_make(&ch, KC_BUFFERED, SIZE_MAX / 2, KC_SUSPEND, NULL)))
        return;
    for (intptr_t i = 0; i < 3000; i++)
        if (is_done(kc_chan_send_now(ch, ELEMENT(i))))
            sent[count++] = i;
    for (intptr_t i = 0; i < count; i++) {
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
        CHECK(VALUE(element), ==, sent[i]);
    }
    CHECK(kc_chan_recv_now(ch, &element), ==, -EAGAIN);
    CHECK(blocks, ==, 1); /* the channel; the room was given back */
    kc_chan_destroy(ch);
}

static void work_with_all_of_it(void) {
    kc_chan_t *jobs, *answers;
    kc_sender_t tx;
    kc_clause_t clauses[2];
    kc_select_t s;
    void *element;
    if (!is_done(kc_chan_make(&jobs, KC_BUFFERED, 4, KC_DROP_OLDEST, NULL)))
        return;
    if (is_done(kc_chan_make(&answers, KC_UNLIMITED, 0, KC_SUSPEND, NULL))) {
        kc_sender_open(&tx, answers);
        kc_clause_recv(&clauses[0], jobs);
        kc_clause_recv(&clauses[1], answers);
        kc_select_init(&s, clauses, 2, KC_UNBIASED, KC_SKIP);
        for (intptr_t i = 0; i < 10; i++) {
            int rc = kc_select_poll(&s);
            if (rc == -EAGAIN)
                rc = kc_select_enlist(&s, &counting);
            is_done(kc_sender_send_now(&tx, ELEMENT(i)));
            kc_chan_send_now(jobs, ELEMENT(i));
            if (rc == -EAGAIN)
                CHECK(kc_select_finish(&s), >=, 0);
        }
        kc_sender_close(&tx);
        while (kc_chan_recv_now(answers, &element) == 0)
            continue;
        CHECK(kc_chan_is_drained(answers), ==, 1);
        kc_chan_destroy(answers);
    }
    kc_chan_destroy(jobs);
}

static void make_what_threads_share(void) {
    kc_shared_t *ch;
    kc_shared_token_t *token, *child;
    if (is_done(kc_shared_make(&ch, KC_UNLIMITED, 0, KC_SUSPEND, NULL))) {
        is_done(kc_send(ch, ELEMENT(1), 0));
        kc_shared_release(ch);
    }
    if (!is_done(kc_shared_token_make(&token, NULL)))
        return;
    if (is_done(kc_shared_token_make(&child, token)))
        kc_shared_token_release(child);
    CHECK(kc_shared_token_trigger(token, NULL), ==, 1);
    kc_shared_token_release(token);
}

static void watch_many(const char *kind) {
    enum { PAIRS = 40 };
    kc_poller_t *poller;
    int ends[PAIRS][2], watched = 0;
    kc_ready_t ready[2 * PAIRS];
    if (!is_done(kc_poller_make(&poller, kind)))
        return;
    for (int i = 0; i < PAIRS; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), ==, 0);
        watched += is_done(kc_poller_add(poller, ends[i][0], KC_WRITE, NULL));
    }
    CHECK(kc_poller_wait(poller, ready, 2 * PAIRS, 0), ==, watched);
    kc_poller_free(poller);
    for (int i = 0; i < PAIRS; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void watch_with_each_poller(void) {
    const char *kind;
    for (size_t i = 0; (kind = kc_poller_known(i)) != NULL; i++)
        watch_many(kind);
}

static void count_told(kc_borrower_t *self) {
    (void)self;
}

/* What is filled, put back and admitted in an unlimited channel, each of which may find no memory. */
static void share_without_limit(void) {
    kc_borrower_t borrower = {count_told, count_told, count_told};
    kc_chan_t *ch;
    struct call c;
    intptr_t sent[60], count = 0;
    void *element, *returned[40] = {NULL};
    if (!is_done(kc_chan_make(&ch, KC_UNLIMITED, 0, KC_SUSPEND, NULL)))
        return;
    kc_chan_lend(ch, &borrower);
    CHECK(kc_chan_lend_slots(ch, 60), ==, 0);
    for (intptr_t i = 0; i < 60; i++)
        if (is_done(kc_chan_fill(ch, ELEMENT(i), true)))
            sent[count++] = i;
    CHECK(kc_chan_lend_slots(ch, (size_t)count), ==, 0); /* a slot that was not filled is lent still */
    for (int i = 0; i < 40; i++)
        kc_chan_hand_out(ch);
    size_t before = kc_chan_length(ch);
    bool came_back = is_done(kc_chan_settle(ch, 40, returned, 40));
    CHECK(kc_chan_length(ch), ==, before + (came_back ? 40 : 0));
    for (int i = 0; came_back && i < 40; i++)
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
    for (intptr_t i = 0; i < count; i++) {
        CHECK(kc_chan_recv_now(ch, &element), ==, 0);
        CHECK(VALUE(element), ==, sent[i]);
    }
    CHECK(kc_chan_hold_back(ch, true), ==, 0);
    CHECK(kc_chan_enqueue(ch, begin(&c, true, ELEMENT(7))), ==, 0);
    CHECK(kc_chan_end_lending(ch), ==, 0);
    CHECK(kc_op_result(&c.op) == 0 || kc_op_result(&c.op) == -ENOMEM, ==, 1);
    refused += kc_op_result(&c.op) == -ENOMEM;
    CHECK(kc_chan_length(ch), ==, kc_op_result(&c.op) == 0);
    kc_chan_destroy(ch);
}

/* -- every n-th allocation */

/* Run it with allocation 0, 1, 2 ... failing, until none is left to fail; each failure is seen by one call. */
static void exhaust(void (*scenario)(void)) {
    for (fail_at = 0;; fail_at++) {
        allocations = blocks = refused = 0;
        scenario();
        CHECK(blocks, ==, 0);
        if (allocations <= fail_at)
            break;
        CHECK(refused, ==, 1);
    }
    CHECK(fail_at, >, 2);
    CHECK(refused, ==, 0);
}

TEST(making_channels) {
    exhaust(make_each_kind);
}

TEST(sending_without_limit) {
    exhaust(send_without_limit);
}

TEST(sending_to_a_vast_buffer) {
    exhaust(send_to_a_vast_buffer);
}

TEST(sharing_without_limit) {
    exhaust(share_without_limit);
}

TEST(working_with_all_of_it) {
    exhaust(work_with_all_of_it);
}

TEST(making_what_threads_share) {
    exhaust(make_what_threads_share);
}

TEST(watching_descriptors) {
    exhaust(watch_with_each_poller);
}

TEST(waiting_and_handing_over_allocate_nothing) {
    static kc_timers_t timers;
    kc_chan_t *ch;
    kc_token_t token;
    kc_wait_t how = {&counting, &timers, 5, &token};
    kc_call_t call;
    void *element;
    fail_at = -1;
    kc_timers_init(&timers, 0);
    kc_token_init(&token, NULL);
    for (int kind = KC_RENDEZVOUS; kind <= KC_BUFFERED; kind++) {
        CHECK(kc_chan_make(&ch, (kc_kind_t)kind, kind == KC_BUFFERED ? 8 : 0, KC_SUSPEND, NULL), ==, 0);
        allocations = 0;
        for (int i = 0; i < 100; i++) {
            CHECK(kc_recv_begin(&call, ch, &element, &how), ==, -EAGAIN);
            CHECK(kc_chan_send_now(ch, ELEMENT(i)), ==, 0);
            CHECK(kc_call_finish(&call, &element), ==, 0);
        }
        CHECK(allocations, ==, 0);
        kc_chan_destroy(ch);
    }
}

TEST(half_a_source_is_refused) {
    kc_memory_t half = {failing_resize, NULL, NULL};
    CHECK(kc_memory_use(&half), ==, -EINVAL);
    CHECK(kc_memory_use(NULL), ==, 0);
}

int main(void) {
    const kc_memory_t source = {failing_resize, counting_release, NULL};
    CHECK(kc_memory_use(&source), ==, 0);
    RUN(making_channels);
    RUN(sending_without_limit);
    RUN(sending_to_a_vast_buffer);
    RUN(sharing_without_limit);
    RUN(working_with_all_of_it);
    RUN(making_what_threads_share);
    RUN(watching_descriptors);
    RUN(waiting_and_handing_over_allocate_nothing);
    RUN(half_a_source_is_refused);
    return DONE;
}
