/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Channels that tasks on one, two and eight workers share, and threads. Rows: SC3, SC6, SC7, CH1, SE1. */

#include <pthread.h>
#include <string.h>

#include "kcoro/shared.h"
#include "workers.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 500
#else
#define ROUNDS 4000
#endif
#define EACH_KIND(kind) for (kc_kind_t kind = KC_RENDEZVOUS; kind <= KC_UNLIMITED; kind++)

static kc_shared_t *shared(kc_kind_t kind, size_t capacity) {
    kc_shared_t *ch = NULL;
    CHECK(kc_shared_make(&ch, kind, kind == KC_BUFFERED ? capacity : 0, KC_SUSPEND, NULL), ==, 0);
    return ch;
}

static intptr_t got(kc_shared_t *ch, int64_t timeout_ns) {
    void *element = NULL;
    int rc = kc_recv(ch, &element, timeout_ns);
    return rc != 0 ? rc : VALUE(element);
}

/* -- many to many */

#define SENDERS 4
#define RECEIVERS 3

struct crowd {
    kc_shared_t *ch;
    kc_atomic_int senders, next; /* still sending; who comes next gets which number */
    int last[RECEIVERS][SENDERS], count[RECEIVERS];
    int disorder;
};

/* Elements say who sent them, and the how manieth they are. */
static int sends_all(void *arg) {
    struct crowd *crowd = arg;
    int self = kc_atomic_add_sc(&crowd->next, 1) - 1;
    for (int i = 1; i <= ROUNDS; i++)
        CHECK(kc_send(crowd->ch, ELEMENT(i * SENDERS + self), -1), ==, 0);
    if (kc_atomic_add_sc(&crowd->senders, -1) == 0)
        kc_shared_close(crowd->ch, NULL);
    return 0;
}

static void receives_all_as(struct crowd *crowd, int self) {
    for (intptr_t element; (element = got(crowd->ch, -1)) != -EPIPE; crowd->count[self]++) {
        int *last = &crowd->last[self][element % SENDERS];
        if (element / SENDERS <= *last)
            *last = ROUNDS + 1; /* and so it stays */
        else
            *last = (int)(element / SENDERS);
    }
}

static int receives_all(void *arg) {
    struct crowd *crowd = arg;
    receives_all_as(crowd, kc_atomic_add_sc(&crowd->next, 1) - 1 - SENDERS);
    return 0;
}

static void *receives_in_a_thread(void *arg) {
    receives_all_as(arg, RECEIVERS - 1);
    return NULL;
}

static void check_crowd(const struct crowd *crowd, kc_kind_t kind) {
    int received = 0;
    for (int i = 0; i < RECEIVERS; i++) {
        received += crowd->count[i];
        for (int k = 0; k < SENDERS; k++)
            CHECK(crowd->last[i][k], <=, ROUNDS);
    }
    if (kind == KC_CONFLATED)
        CHECK(received, >, 0);
    else
        CHECK(received, ==, SENDERS * ROUNDS);
}

TEST(each_element_reaches_one_receiver_and_those_of_one_sender_stay_in_order) {
    EACH(n) EACH_KIND(kind) {
        pthread_t thread;
        kc_task_t *tasks[SENDERS + RECEIVERS - 1];
        struct crowd crowd = {.ch = shared(kind, 3)};
        kc_sched_t *s = started(n, n == 8 ? KC_RESUME_QUEUE : KC_RESUME_INLINE);
        kc_atomic_store(&crowd.senders, SENDERS);
        kc_atomic_store(&crowd.next, 0);
        pthread_create(&thread, NULL, receives_in_a_thread, &crowd);
        for (int i = 0; i < SENDERS; i++)
            tasks[i] = spawn(s, sends_all, &crowd);
        while (kc_atomic_load(&crowd.next) < SENDERS)
            ;
        for (int i = SENDERS; i < SENDERS + RECEIVERS - 1; i++)
            tasks[i] = spawn(s, receives_all, &crowd);
        for (int i = 0; i < SENDERS + RECEIVERS - 1; i++)
            CHECK(joined(tasks[i]), ==, 0);
        pthread_join(thread, NULL);
        check_crowd(&crowd, kind);
        end(s);
        kc_shared_release(crowd.ch);
    }
}

/* -- select */

#define CHANNELS 3

struct exchange {
    kc_shared_t *channels[CHANNELS];
    kc_atomic_int next, sent, received, sum;
};

/* Sends on one and receives from all: two such selects meet, and none meets itself. */
static int exchanges(void *arg) {
    struct exchange *x = arg;
    uint64_t seed = (uint64_t)kc_atomic_add_sc(&x->next, 1);
    kc_clause_t clauses[CHANNELS + 1];
    kc_select_t select;
    for (int i = 0; i < ROUNDS; i++) {
        int value = (int)kc_pick_random(&seed, 1000);
        for (int k = 0; k < CHANNELS; k++)
            kc_shared_clause_recv(&clauses[k], x->channels[k]);
        kc_shared_clause_send(&clauses[CHANNELS], x->channels[kc_pick_random(&seed, CHANNELS)], ELEMENT(value));
        kc_select_init(&select, clauses, CHANNELS + 1, KC_UNBIASED, KC_RAISE);
        kc_select_use_chance(&select, kc_pick_random, &seed);
        int rc = kc_select_wait(&select, i % 5 == 0 ? 0 : MS / 10);
        if (rc == CHANNELS) {
            kc_atomic_add_sc(&x->sent, 1);
            kc_atomic_add_sc(&x->sum, value);
        } else if (rc >= 0) {
            kc_atomic_add_sc(&x->received, 1);
            kc_atomic_add_sc(&x->sum, -(int)VALUE(select.op.value));
        } else {
            CHECK(rc == -ETIME || rc == -EAGAIN, ==, 1);
        }
    }
    return 0;
}

static int left_over(struct exchange *x) {
    int count = 0;
    for (int k = 0; k < CHANNELS; k++) {
        for (intptr_t element; (element = got(x->channels[k], 0)) >= 0; count++)
            kc_atomic_add_sc(&x->sum, -(int)element);
        kc_snapshot_t books;
        kc_shared_snapshot(x->channels[k], &books);
        CHECK(books.waiting_senders + books.waiting_receivers, ==, 0);
        kc_shared_release(x->channels[k]);
    }
    return count;
}

TEST(of_each_select_exactly_one_clause_takes_effect_whoever_meets) {
    EACH(n) for (kc_kind_t kind = KC_RENDEZVOUS; kind <= KC_BUFFERED; kind++) {
        kc_task_t *tasks[6];
        struct exchange x;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&x.next, 0);
        kc_atomic_store(&x.sent, 0);
        kc_atomic_store(&x.received, 0);
        kc_atomic_store(&x.sum, 0);
        for (int k = 0; k < CHANNELS; k++)
            x.channels[k] = shared(kind, 2);
        for (int i = 0; i < 6; i++)
            tasks[i] = spawn(s, exchanges, &x);
        for (int i = 0; i < 6; i++)
            joined(tasks[i]);
        int left = left_over(&x);
        CHECK(kc_atomic_load(&x.sent), >, 0);
        CHECK(kc_atomic_load(&x.sent), ==, kc_atomic_load(&x.received) + left);
        CHECK(kc_atomic_load(&x.sum), ==, 0);
        end(s);
    }
}

static int meets(struct exchange *x, bool sends) {
    kc_clause_t clauses[2];
    kc_select_t select;
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 2; k++)
            if (sends)
                kc_shared_clause_send(&clauses[k], x->channels[k], ELEMENT(i));
            else
                kc_shared_clause_recv(&clauses[k], x->channels[k]);
        kc_select_init(&select, clauses, 2, KC_BIASED, KC_RAISE);
        CHECK(kc_select_wait(&select, LONG), >=, 0);
    }
    return 0;
}

static int sends_on_either(void *x) {
    return meets(x, true);
}

static int receives_from_either(void *x) {
    return meets(x, false);
}

TEST(two_selects_that_could_meet_do_not_miss_each_other) {
    EACH(n) {
        struct exchange x = {.channels = {shared(KC_RENDEZVOUS, 0), shared(KC_RENDEZVOUS, 0)}};
        kc_sched_t *s = started(n, KC_RESUME_QUEUE);
        kc_task_t *one = spawn(s, sends_on_either, &x), *other = spawn(s, receives_from_either, &x);
        CHECK(joined(one), ==, 0);
        CHECK(joined(other), ==, 0);
        end(s);
        kc_shared_release(x.channels[0]);
        kc_shared_release(x.channels[1]);
    }
}

/* -- the end of a wait */

struct ends {
    kc_shared_t *empty, *other;
    kc_atomic_int broken, cancelled, ready;
};

static int waits_for_either(void *arg) {
    struct ends *ends = arg;
    kc_clause_t clauses[2];
    kc_select_t select;
    kc_shared_clause_recv(&clauses[0], ends->empty);
    kc_shared_clause_recv(&clauses[1], ends->other);
    kc_select_init(&select, clauses, 2, KC_BIASED, KC_RAISE);
    int rc = kc_select_wait(&select, -1);
    kc_atomic_add_sc(rc == -EPIPE ? &ends->broken : &ends->cancelled, 1);
    return rc;
}

static int waits_to_receive(void *arg) {
    struct ends *ends = arg;
    intptr_t rc = got(ends->empty, LONG);
    kc_atomic_add_sc(rc == -EPIPE ? &ends->broken : &ends->cancelled, 1);
    return (int)rc;
}

static int waits_to_send(void *arg) {
    struct ends *ends = arg;
    int rc = kc_send(ends->other, ELEMENT(1), -1);
    kc_atomic_add_sc(rc == -EPIPE ? &ends->broken : &ends->cancelled, 1);
    return rc;
}

static void begin(kc_sched_t *s, struct ends *ends) {
    *ends = (struct ends){.empty = shared(KC_RENDEZVOUS, 0), .other = shared(KC_RENDEZVOUS, 0)};
    kc_atomic_store(&ends->broken, 0);
    kc_atomic_store(&ends->cancelled, 0);
    spawn_many(s, 50, waits_for_either, ends);
    spawn_many(s, 30, waits_to_receive, ends);
    while (kc_atomic_load(&ends->broken) == 0) {
        kc_snapshot_t books;
        kc_shared_snapshot(ends->empty, &books);
        if (books.waiting_receivers == 80)
            break;
    }
}

TEST(a_close_wakes_all_who_wait) {
    EACH(n) {
        struct ends ends;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        begin(s, &ends);
        CHECK(kc_shared_close(ends.empty, NULL), ==, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&ends.broken), ==, 80);
        CHECK(kc_atomic_load(&ends.cancelled), ==, 0);
        end(s);
        kc_shared_release(ends.empty);
        kc_shared_release(ends.other);
    }
}

TEST(a_shutdown_ends_every_wait_and_leaves_no_trace) {
    EACH(n) {
        struct ends ends;
        kc_snapshot_t books;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        begin(s, &ends);
        kc_shared_t *full = shared(KC_BUFFERED, 1), *other = ends.other;
        CHECK(kc_send(full, ELEMENT(1), 0), ==, 0);
        ends.other = full;
        spawn_many(s, 20, waits_to_send, &ends);
        do
            kc_shared_snapshot(full, &books);
        while (books.waiting_senders != 20);
        CHECK(kc_sched_shutdown(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&ends.cancelled), ==, 100);
        kc_shared_snapshot(ends.empty, &books);
        CHECK(books.waiting_receivers, ==, 0);
        CHECK(books.failed_cancelled, ==, 30);
        kc_sched_destroy(s);
        kc_shared_release(ends.empty);
        kc_shared_release(full);
        kc_shared_release(other);
    }
}

static bool nothing_changes(kc_sched_t *s, kc_shared_t *clock, int64_t ns) {
    kc_sched_stats_t before = stats_of(s);
    CHECK(got(clock, ns), ==, -ETIME);
    kc_sched_stats_t after = stats_of(s);
    return memcmp(&before, &after, sizeof before) == 0;
}

TEST(nobody_wakes_while_selects_and_timed_calls_wait) {
    EACH(n) {
        struct ends ends;
        kc_shared_t *clock = shared(KC_RENDEZVOUS, 0);
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        begin(s, &ends);
        bool is_still = false;
        for (int i = 0; i < 100 && !is_still; i++) /* on a busy machine one may be on its way to sleep for long */
            is_still = nothing_changes(s, clock, 30 * MS);
        CHECK(is_still, ==, 1);
        end(s);
        kc_shared_release(clock);
        kc_shared_release(ends.empty);
        kc_shared_release(ends.other);
    }
}

TEST(who_is_cancelled_leaves_no_trace) {
    EACH(n) {
        struct ends ends = {.empty = shared(KC_RENDEZVOUS, 0)};
        kc_snapshot_t books;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *task = spawn(s, waits_to_receive, &ends);
        do
            kc_shared_snapshot(ends.empty, &books);
        while (books.waiting_receivers == 0);
        CHECK(kc_task_cancel(task), ==, 0);
        CHECK(joined(task), ==, -ECANCELED);
        CHECK(kc_send(ends.empty, ELEMENT(1), 0), ==, -EAGAIN);
        end(s);
        kc_shared_release(ends.empty);
    }
}

TEST(a_thread_waits_in_time) {
    kc_shared_t *ch = shared(KC_BUFFERED, 1);
    kc_snapshot_t books;
    CHECK(got(ch, 0), ==, -EAGAIN);
    CHECK(got(ch, MS), ==, -ETIME);
    CHECK(kc_send(ch, ELEMENT(5), MS), ==, 0);
    CHECK(kc_send(ch, ELEMENT(6), MS), ==, -ETIME);
    CHECK(kc_send(ch, ELEMENT(6), 0), ==, -EAGAIN);
    CHECK(got(ch, -1), ==, 5);
    kc_shared_close(ch, NULL);
    CHECK(got(ch, -1), ==, -EPIPE);
    CHECK(kc_send(ch, ELEMENT(6), -1), ==, -EPIPE);
    kc_shared_snapshot(ch, &books);
    CHECK(books.failed_would_block, ==, 2);
    CHECK(books.failed_deadline, ==, 2);
    CHECK(books.failed_closed, ==, 2);
    kc_shared_release(ch);
}

/* -- hooks and turns */

struct hooked {
    kc_shared_t *ch;
    int told, destroyed, reason;
};

static void tell(void *ctx, void *element, kc_undelivered_t why) {
    struct hooked *hooked = ctx;
    kc_snapshot_t books;
    hooked->told += (int)VALUE(element);
    hooked->reason = (int)why;
    CHECK(kc_shared_snapshot(hooked->ch, &books), ==, 0); /* no lock is held */
}

static void destroy(void *ctx, void *element) {
    ((struct hooked *)ctx)->destroyed += (int)VALUE(element);
}

TEST(what_reaches_nobody_is_told_once_and_without_a_lock) {
    struct hooked hooked = {NULL, 0, 0, 0};
    kc_chan_hooks_t hooks = {tell, destroy, &hooked, NULL};
    kc_clause_t clause;
    kc_select_t select;
    CHECK(kc_shared_make(&hooked.ch, KC_BUFFERED, 2, KC_DROP_OLDEST, &hooks), ==, 0);
    for (int i = 1; i <= 3; i++)
        CHECK(kc_send(hooked.ch, ELEMENT(i), 0), ==, 0);
    CHECK(hooked.told, ==, 1);
    kc_shared_clause_send(&clause, hooked.ch, ELEMENT(4));
    kc_select_init(&select, &clause, 1, KC_BIASED, KC_RAISE);
    CHECK(kc_select_wait(&select, 0), ==, 0);
    CHECK(hooked.told, ==, 1 + 2);
    CHECK(hooked.reason, ==, KC_UNDELIVERED_OVERFLOW);
    CHECK(kc_shared_cancel(hooked.ch, NULL, KC_UNDELIVERED_CANCELLED), ==, 0);
    CHECK(hooked.told, ==, 1 + 2 + 3 + 4);
    CHECK(hooked.destroyed, ==, hooked.told);
    CHECK(hooked.reason, ==, KC_UNDELIVERED_CANCELLED);
    CHECK(got(hooked.ch, -1), ==, -EPIPE);
    kc_shared_release(hooked.ch);
    CHECK(hooked.told, ==, 10);
}

static int fills(void *ch) {
    for (int i = 0; i < 10 * KC_SCHED_BUDGET; i++)
        kc_send(ch, ELEMENT(i), -1);
    return kc_shared_close(ch, NULL);
}

static int empties(void *ch) {
    while (got(ch, -1) >= 0)
        ;
    return 0;
}

TEST(one_that_never_has_to_wait_lets_others_run) {
    kc_shared_t *ch = shared(KC_UNLIMITED, 0);
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1, .inject_every = 1});
    kc_snapshot_t books;
    spawn_many(s, 1, fills, ch);
    spawn_many(s, 1, empties, ch);
    kc_sched_start(s);
    CHECK(kc_sched_drain(s, LONG), ==, 0);
    kc_shared_snapshot(ch, &books);
    CHECK(books.received, ==, 10 * KC_SCHED_BUDGET);
    CHECK(books.peak_length, <=, 2 * KC_SCHED_BUDGET);
    end(s);
    kc_shared_release(ch);
}

TEST(misuse_changes_nothing) {
    kc_shared_t *ch = shared(KC_RENDEZVOUS, 0);
    kc_clause_t clause;
    kc_select_t select;
    kc_chan_hooks_t hooks = {NULL, NULL, NULL, (void (*)(void *, kc_waiter_t *, bool))misuse_changes_nothing};
    kc_shared_t *none;
    CHECK(kc_shared_make(&none, KC_RENDEZVOUS, 0, KC_SUSPEND, &hooks), ==, -EINVAL);
    CHECK(kc_shared_make(&none, KC_RENDEZVOUS, 1, KC_SUSPEND, NULL), ==, -EINVAL);
    CHECK(none == NULL, ==, 1);
    CHECK(kc_shared_cancel(ch, NULL, (kc_undelivered_t)99), ==, -EINVAL);
    kc_shared_clause_recv(&clause, ch);
    kc_select_init(&select, &clause, 1, KC_BIASED, KC_RAISE);
    CHECK(kc_select_wait(&select, 0), ==, -EAGAIN);
    CHECK(kc_select_wait(&select, MS), ==, -ETIME);
    kc_shared_release(ch);
}

int main(void) {
    RUN(each_element_reaches_one_receiver_and_those_of_one_sender_stay_in_order);
    RUN(of_each_select_exactly_one_clause_takes_effect_whoever_meets);
    RUN(two_selects_that_could_meet_do_not_miss_each_other);
    RUN(a_close_wakes_all_who_wait);
    RUN(a_shutdown_ends_every_wait_and_leaves_no_trace);
    RUN(nobody_wakes_while_selects_and_timed_calls_wait);
    RUN(who_is_cancelled_leaves_no_trace);
    RUN(a_thread_waits_in_time);
    RUN(what_reaches_nobody_is_told_once_and_without_a_lock);
    RUN(one_that_never_has_to_wait_lets_others_run);
    RUN(misuse_changes_nothing);
    return DONE;
}
