/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Selects of tasks and threads over shared channels that close (KC_SKIP), and clauses about time. Rows: SC3, SE4, SE5,
** CH9. */

#include <pthread.h>

#include "kcoro/shared_clauses.h"
#include "workers.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 300
#else
#define ROUNDS 2000
#endif
#define CHANNELS 3

struct many {
    kc_shared_t *channels[CHANNELS];
    kc_atomic_int next, waits;
};

static kc_shared_t *shared(kc_kind_t kind, size_t capacity) {
    kc_shared_t *ch = NULL;
    CHECK(kc_shared_make(&ch, kind, capacity, KC_SUSPEND, NULL), ==, 0);
    return ch;
}

static void open_all(struct many *m, kc_kind_t kind, size_t capacity) {
    kc_atomic_store(&m->next, 0);
    kc_atomic_store(&m->waits, 0);
    for (int k = 0; k < CHANNELS; k++)
        m->channels[k] = shared(kind, capacity);
}

static void release_all(struct many *m) {
    for (int k = 0; k < CHANNELS; k++)
        kc_shared_release(m->channels[k]);
}

static int receives_from_all(struct many *m, kc_select_t *select, int64_t timeout_ns) {
    kc_clause_t clauses[CHANNELS];
    for (int k = 0; k < CHANNELS; k++)
        kc_shared_clause_recv(&clauses[k], m->channels[k]);
    kc_select_init(select, clauses, CHANNELS, KC_BIASED, KC_SKIP);
    return kc_select_wait(select, timeout_ns);
}

/* -- one after the other */

TEST(a_closed_clause_is_skipped_and_the_last_one_ends_the_select) {
    struct many m;
    kc_select_t select;
    open_all(&m, KC_BUFFERED, 2);
    CHECK(receives_from_all(&m, &select, 0), ==, -EAGAIN);
    kc_send(m.channels[0], ELEMENT(1), 0);
    kc_send(m.channels[2], ELEMENT(3), 0);
    kc_shared_close(m.channels[0], NULL);
    CHECK(receives_from_all(&m, &select, -1), ==, 0); /* closed, and not drained */
    CHECK(VALUE(select.op.value), ==, 1);
    CHECK(receives_from_all(&m, &select, -1), ==, 2);
    CHECK(VALUE(select.op.value), ==, 3);
    CHECK(receives_from_all(&m, &select, 0), ==, -EAGAIN);
    CHECK(receives_from_all(&m, &select, MS), ==, -ETIME);
    kc_shared_close(m.channels[1], NULL);
    kc_shared_cancel(m.channels[2], NULL, KC_UNDELIVERED_CANCELLED);
    CHECK(receives_from_all(&m, &select, -1), ==, -EPIPE);
    CHECK(kc_op_claim(&select.op), ==, KC_CLOSED);
    CHECK(receives_from_all(&m, &select, 0), ==, -EPIPE);
    release_all(&m);
}

TEST(without_skip_the_first_closed_clause_wins) {
    struct many m;
    kc_clause_t clauses[2];
    kc_select_t select;
    open_all(&m, KC_RENDEZVOUS, 0);
    kc_shared_close(m.channels[1], NULL);
    kc_shared_clause_recv(&clauses[0], m.channels[0]);
    kc_shared_clause_send(&clauses[1], m.channels[1], ELEMENT(1));
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_RETURN);
    CHECK(kc_select_wait(&select, -1), ==, -EPIPE);
    CHECK(kc_op_claim(&select.op), ==, 1);
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_SKIP);
    CHECK(kc_select_wait(&select, MS), ==, -ETIME);
    release_all(&m);
}

static int skips_until_one_comes(void *arg) {
    kc_select_t select;
    int rc = receives_from_all(arg, &select, LONG);
    return rc < 0 ? rc : (int)(10 * rc + VALUE(select.op.value));
}

static void await_receivers(kc_shared_t *ch, size_t count) {
    kc_snapshot_t books;
    do
        kc_shared_snapshot(ch, &books);
    while (books.waiting_receivers != count);
}

TEST(a_close_leaves_a_select_waiting_for_the_others) {
    EACH(n) {
        struct many m;
        kc_snapshot_t books;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        open_all(&m, KC_RENDEZVOUS, 0);
        kc_task_t *task = spawn(s, skips_until_one_comes, &m);
        await_receivers(m.channels[2], 1);
        kc_shared_close(m.channels[0], NULL);
        kc_shared_close(m.channels[2], NULL);
        CHECK(kc_send(m.channels[1], ELEMENT(7), -1), ==, 0);
        CHECK(joined(task), ==, 17);
        kc_shared_snapshot(m.channels[1], &books);
        CHECK(books.waiting_receivers, ==, 0);
        end(s);
        release_all(&m);
    }
}

/* -- at once */

static int closes_one(void *arg) {
    struct many *m = arg;
    int self = kc_atomic_add_sc(&m->next, 1) - 1;
    while (kc_atomic_load(&m->next) < CHANNELS) /* so that they come at once */
        kc_task_yield();
    return kc_shared_close(m->channels[self], NULL);
}

static int skips_until_the_end(void *arg) {
    struct many *m = arg;
    kc_select_t select;
    kc_atomic_add_sc(&m->waits, 1);
    int rc = receives_from_all(m, &select, LONG);
    return rc == -EPIPE ? kc_op_claim(&select.op) : rc;
}

static void *skips_in_a_thread(void *m) {
    return (void *)(intptr_t)skips_until_the_end(m);
}

TEST(channels_that_close_at_once_end_every_select_that_skips) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        for (int i = 0; i < ROUNDS / 10; i++) {
            struct many m;
            pthread_t thread;
            void *of_thread;
            kc_task_t *selects[4], *ends[CHANNELS];
            open_all(&m, KC_RENDEZVOUS, 0);
            pthread_create(&thread, NULL, skips_in_a_thread, &m);
            for (int k = 0; k < 4; k++)
                selects[k] = spawn(s, skips_until_the_end, &m);
            for (int k = 0; k < CHANNELS; k++)
                ends[k] = spawn(s, closes_one, &m);
            for (int k = 0; k < 4; k++)
                CHECK(joined(selects[k]), ==, KC_CLOSED);
            for (int k = 0; k < CHANNELS; k++)
                CHECK(joined(ends[k]), ==, 0);
            pthread_join(thread, &of_thread);
            CHECK(VALUE(of_thread), ==, KC_CLOSED);
            release_all(&m);
        }
        end(s);
    }
}

/* -- elements that come while channels close */

struct flood {
    struct many m;
    kc_atomic_int sum;
};

static int sends_and_closes(void *arg) {
    struct flood *f = arg;
    int self = kc_atomic_add_sc(&f->m.next, 1) - 1;
    for (int i = 1; i <= ROUNDS; i++)
        CHECK(kc_send(f->m.channels[self], ELEMENT(i), LONG), ==, 0);
    return kc_shared_close(f->m.channels[self], NULL);
}

static int drains_all(void *arg) {
    struct flood *f = arg;
    kc_select_t select;
    int rc;
    while ((rc = receives_from_all(&f->m, &select, LONG)) >= 0)
        kc_atomic_add_sc(&f->sum, (int)VALUE(select.op.value));
    return rc;
}

TEST(selects_that_skip_drain_channels_that_end_at_different_times) {
    EACH(n) for (kc_kind_t kind = KC_RENDEZVOUS; kind <= KC_BUFFERED; kind++) {
        struct flood f;
        kc_task_t *tasks[2 + CHANNELS];
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        open_all(&f.m, kind, kind == KC_BUFFERED ? 3 : 0);
        kc_atomic_store(&f.sum, 0);
        for (int k = 0; k < 2 + CHANNELS; k++)
            tasks[k] = spawn(s, k < 2 ? drains_all : sends_and_closes, &f);
        for (int k = 0; k < 2 + CHANNELS; k++)
            CHECK(joined(tasks[k]), ==, k < 2 ? -EPIPE : 0);
        CHECK(kc_atomic_load(&f.sum), ==, CHANNELS * (ROUNDS * (ROUNDS + 1) / 2));
        end(s);
        release_all(&f.m);
    }
}

/* -- clauses about time */

#define NEVER INT64_C(-1)

/* A select of a channel and two clauses about time. */
static int selects_in_time(kc_shared_t *ch, int64_t one, int64_t other, int64_t timeout_ns) {
    kc_shared_after_t memory[2];
    kc_clause_t clauses[3];
    kc_select_t select;
    kc_shared_clause_recv(&clauses[0], ch);
    CHECK(kc_shared_clause_after(&clauses[1], &memory[0], one), ==, 0);
    CHECK(kc_shared_clause_after(&clauses[2], &memory[1], other), ==, 0);
    kc_select_init(&select, clauses, 3, KC_BIASED, KC_SKIP);
    return kc_select_wait(&select, timeout_ns);
}

static int checks_time(void *arg) {
    kc_shared_t *ch = arg;
    CHECK(selects_in_time(ch, NEVER, 0, -1), ==, 2);
    CHECK(selects_in_time(ch, NEVER, 0, 0), ==, 2);
    CHECK(selects_in_time(ch, NEVER, MS, -1), ==, 2);
    CHECK(selects_in_time(ch, MS, MS, -1), ==, 1);
    CHECK(selects_in_time(ch, MS, MS, MS), ==, 1);
    CHECK(selects_in_time(ch, LONG, LONG, MS), ==, -ETIME);
    CHECK(selects_in_time(ch, LONG, MS, LONG), ==, 2);
    CHECK(selects_in_time(ch, MS, MS, 0), ==, -EAGAIN);
    CHECK(selects_in_time(ch, NEVER, NEVER, MS), ==, -ETIME);
    CHECK(kc_send(ch, ELEMENT(1), -1), ==, 0);
    CHECK(selects_in_time(ch, 0, 0, 0), ==, 0);
    return 0;
}

TEST(the_shortest_clause_about_time_wins_if_nothing_comes_before) {
    kc_shared_t *ch = shared(KC_BUFFERED, 1);
    checks_time(ch);
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *task = spawn(s, checks_time, ch);
        CHECK(joined(task), ==, 0);
        end(s);
    }
    kc_shared_close(ch, NULL);
    CHECK(selects_in_time(ch, MS, LONG, -1), ==, 1); /* a closed channel is skipped, and time still comes */
    CHECK(kc_shared_clause_after(NULL, NULL, 0), ==, -EINVAL);
    kc_shared_release(ch);
}

static int selects_for_long(void *ch) {
    return selects_in_time(ch, LONG, NEVER, -1);
}

TEST(a_clause_about_time_ends_nothing_that_came_before) {
    EACH(n) {
        kc_shared_t *ch = shared(KC_RENDEZVOUS, 0);
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *one = spawn(s, selects_for_long, ch), *other = spawn(s, selects_for_long, ch);
        CHECK(kc_send(ch, ELEMENT(1), -1), ==, 0);
        kc_task_cancel(one);
        int rc = joined(one);
        if (rc != 0) {
            CHECK(rc, ==, -ECANCELED);
            CHECK(joined(other), ==, 0);
        } else {
            CHECK(kc_send(ch, ELEMENT(1), -1), ==, 0);
            CHECK(joined(other), ==, 0);
        }
        end(s);
        kc_shared_release(ch);
    }
}

/* Time and an element come at once: exactly one of them is what the select says. */
static int selects_against_time(void *arg) {
    struct many *m = arg;
    int received = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int rc = selects_in_time(m->channels[0], MS / 50, NEVER, -1);
        CHECK(rc == 0 || rc == 1, ==, 1);
        received += rc == 0;
    }
    kc_shared_close(m->channels[0], NULL);
    return received;
}

static int sends_until_closed(void *arg) {
    struct many *m = arg;
    int sent = 0, rc;
    while ((rc = kc_send(m->channels[0], ELEMENT(1), MS / 50)) != -EPIPE)
        sent += rc == 0;
    return sent;
}

TEST(time_and_an_element_never_both_win) {
    EACH(n) {
        struct many m;
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        open_all(&m, KC_RENDEZVOUS, 0);
        kc_task_t *one = spawn(s, selects_against_time, &m), *other = spawn(s, sends_until_closed, &m);
        int received = joined(one);
        CHECK(joined(other), ==, received);
        end(s);
        release_all(&m);
    }
}

int main(void) {
    RUN(the_shortest_clause_about_time_wins_if_nothing_comes_before);
    RUN(a_clause_about_time_ends_nothing_that_came_before);
    RUN(time_and_an_element_never_both_win);
    RUN(a_closed_clause_is_skipped_and_the_last_one_ends_the_select);
    RUN(without_skip_the_first_closed_clause_wins);
    RUN(a_close_leaves_a_select_waiting_for_the_others);
    RUN(channels_that_close_at_once_end_every_select_that_skips);
    RUN(selects_that_skip_drain_channels_that_end_at_different_times);
    return DONE;
}
