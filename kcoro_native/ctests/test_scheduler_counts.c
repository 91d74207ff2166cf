/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Each counter of the scheduler is provoked to an exact number, on one, two and eight workers. Rows: SC2, SC6, SC11. */

#include <string.h>
#include <time.h>

#include "workers.h"

static kc_atomic_int inside, may_leave;

static int returns(void *number) {
    return (int)VALUE(number);
}

static int waits(void *arg) {
    (void)arg;
    return kc_task_park(-1);
}

static uint64_t steps(const kc_sched_stats_t *stats) {
    return stats->fastpath_hits + stats->deque_hits + stats->inject_pulls + stats->steals_succeeded;
}

/* What holds whatever has run. */
static kc_sched_stats_t quiet(kc_sched_t *s, int left) {
    CHECK(kc_sched_drain(s, LONG), ==, left);
    kc_sched_stats_t stats = stats_of(s);
    CHECK(stats.fastpath_hits + stats.fastpath_misses, ==, steps(&stats));
    CHECK(stats.steals_succeeded + stats.steals_failures, ==, stats.steals_probes);
    CHECK(stats.tasks_completed + stats.yields + stats.waits, ==, steps(&stats));
    CHECK(stats.tasks_submitted - stats.tasks_completed, ==, left);
    CHECK(stats.parks - stats.wakeups, <=, kc_sched_workers(s));
    return stats;
}

/* Hold all workers but one, so that nobody steals. */
static int holds(void *arg) {
    (void)arg;
    kc_atomic_add_sc(&inside, 1);
    while (kc_atomic_load(&may_leave) == 0)
        ;
    return 0;
}

static kc_sched_t *held(size_t n) {
    kc_sched_t *s = started(n, KC_RESUME_INLINE);
    kc_atomic_store(&inside, 0);
    kc_atomic_store(&may_leave, 0);
    spawn_many(s, (int)n - 1, holds, NULL);
    while (kc_atomic_load(&inside) != (int)n - 1)
        ;
    return s;
}

TEST(what_threads_spawn_is_pulled) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        spawn_many(s, 777, returns, NULL);
        kc_sched_stats_t stats = quiet(s, 0);
        CHECK(stats.tasks_submitted, ==, 777);
        CHECK(stats.tasks_completed, ==, 777);
        CHECK(stats.inject_pulls, ==, 777);
        CHECK(stats.fastpath_misses, ==, 777);
        end(s);
    }
}

TEST(a_worker_asks_so_many_others_and_sleeps) {
    EACH(n) for (size_t scan = 1; scan <= 5; scan += 4) {
        kc_sched_t *s = made((kc_sched_options_t){.workers = n, .steal_scan = scan});
        kc_sched_start(s);
        kc_sched_stats_t stats = quiet(s, 0);
        CHECK(stats.steals_probes, ==, n == 1 ? 0 : n * scan);
        CHECK(stats.steals_failures, ==, stats.steals_probes);
        CHECK(stats.parks, ==, n);
        CHECK(stats.wakeups, ==, 0);
        end(s);
    }
}

TEST(one_is_woken_for_each_task_that_comes_to_sleepers) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        quiet(s, 0);
        for (int i = 1; i <= 50; i++) {
            spawn_many(s, 1, returns, NULL);
            kc_sched_stats_t stats = quiet(s, 0);
            CHECK(stats.wakeups, ==, i);
            CHECK(stats.parks, ==, n + (size_t)i);
        }
        end(s);
    }
}

static int yields(void *count) {
    for (intptr_t i = 0; i < VALUE(count); i++)
        kc_task_yield();
    return 0;
}

TEST(a_yield_goes_through_the_queue) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        spawn_many(s, 1, yields, ELEMENT(300));
        kc_sched_stats_t stats = quiet(s, 0);
        CHECK(stats.yields, ==, 300);
        CHECK(stats.deque_hits + stats.steals_succeeded, ==, 300);
        CHECK(stats.fastpath_hits, ==, 0);
        end(s);
    }
}

/* -- the slot */

#define LAPS 400

struct pair {
    kc_task_t *answers;
    kc_task_t *asks;
};

static int answers(void *arg) {
    struct pair *pair = arg;
    for (int i = 0; i < LAPS; i++) {
        kc_task_park(-1);
        kc_task_unpark(pair->asks);
    }
    return 0;
}

static int asks(void *arg) {
    struct pair *pair = arg;
    pair->asks = kc_task_current();
    for (int i = 0; i < LAPS; i++) {
        kc_task_unpark(pair->answers);
        kc_task_park(-1);
    }
    return 0;
}

static kc_sched_stats_t ping_pong(kc_sched_options_t options) {
    struct pair pair;
    kc_sched_t *s = made(options);
    kc_sched_start(s);
    pair.answers = spawn(s, answers, &pair);
    kc_sched_drain(s, LONG);
    spawn_many(s, 1, asks, &pair);
    kc_sched_stats_t stats = quiet(s, 0);
    end(s);
    kc_task_detach(pair.answers);
    CHECK(stats.inject_pulls, ==, 2);
    return stats;
}

TEST(who_is_woken_is_next_in_the_same_worker) {
    EACH(n) {
        kc_sched_stats_t stats = ping_pong((kc_sched_options_t){.workers = n, .inline_most = 2 * LAPS});
        CHECK(stats.fastpath_hits, ==, 2 * LAPS);
        CHECK(stats.waits, ==, 2 * LAPS);
        CHECK(stats.deque_hits + stats.steals_succeeded, ==, 0);
    }
}

TEST(after_some_in_a_row_it_is_the_turn_of_others) {
    EACH(n) {
        kc_sched_stats_t stats = ping_pong((kc_sched_options_t){.workers = n, .inline_most = 3});
        CHECK(stats.fastpath_hits, ==, 2 * LAPS - 2 * LAPS / 4);
        CHECK(stats.deque_hits + stats.steals_succeeded, ==, 2 * LAPS / 4);
    }
}

TEST(where_it_is_asked_for_every_one_that_is_woken_waits_for_its_turn) {
    EACH(n) {
        kc_sched_stats_t stats = ping_pong((kc_sched_options_t){.workers = n, .resume = KC_RESUME_QUEUE});
        CHECK(stats.fastpath_hits, ==, 0);
    }
}

/* -- the queue and thieves */

static int spawns(void *count) {
    spawn_many(kc_sched_current(), (int)VALUE(count), returns, NULL);
    return 0;
}

TEST(a_full_queue_donates_its_newest_half) {
    EACH(n) {
        kc_sched_t *s = held(n);
        kc_sched_stats_t before = stats_of(s);
        CHECK(joined(spawn(s, spawns, ELEMENT(257))), ==, 0);
        CHECK(stats_of(s).donations, ==, 129);
        while (stats_of(s).tasks_completed != 258) /* by the only one that is free */
            ;
        kc_sched_stats_t stats = stats_of(s);
        CHECK(stats.inject_pulls - before.inject_pulls, ==, 1 + 129);
        CHECK(stats.deque_hits, ==, 128);
        CHECK(stats.steals_succeeded, ==, 0);
        kc_atomic_store(&may_leave, 1);
        quiet(s, 0);
        end(s);
    }
}

static int sets(void *word) {
    kc_atomic_store(word, 1);
    return 0;
}

/* It does not stop until what it has spawned has run: somebody has to steal it. */
static int has_it_stolen(void *count) {
    for (intptr_t i = 0; i < VALUE(count); i++) {
        kc_atomic_int has_run;
        kc_atomic_store(&has_run, 0);
        spawn_many(kc_sched_current(), 1, sets, &has_run);
        while (kc_atomic_load(&has_run) == 0)
            ;
    }
    return 0;
}

TEST(what_waits_behind_a_task_that_does_not_stop_is_stolen) {
    EACH(n) {
        if (n == 1)
            continue;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        CHECK(joined(spawn(s, has_it_stolen, ELEMENT(20))), ==, 0);
        kc_sched_stats_t stats = quiet(s, 0);
        CHECK(stats.steals_succeeded, ==, 20);
        CHECK(stats.inject_pulls, ==, 1);
        CHECK(stats.deque_hits, ==, 0);
        end(s);
    }
}

/* -- time */

static int sleeps(void *count) {
    for (intptr_t i = 0; i < VALUE(count); i++)
        kc_task_sleep(MS / 10);
    return 0;
}

TEST(each_sleep_is_one_timer) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        spawn_many(s, 5, sleeps, ELEMENT(4));
        kc_sched_stats_t stats = quiet(s, 0);
        CHECK(stats.timers, ==, 20);
        CHECK(stats.waits, <=, 20); /* a short one may be over before its task has stopped */
        end(s);
    }
}

TEST(nobody_wakes_while_tasks_wait_for_ever) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        spawn_many(s, 99, waits, NULL);
        kc_task_t *last = spawn(s, waits, NULL);
        kc_sched_stats_t before = quiet(s, 100);
        clock_t processor = clock();
        CHECK(kc_task_join(last, NULL, 30 * MS), ==, -ETIME);
        CHECK((clock() - processor) * 1000 / CLOCKS_PER_SEC, <, 10);
        kc_sched_stats_t after = stats_of(s);
        CHECK(memcmp(&before, &after, sizeof before), ==, 0);
        end(s);
        CHECK(joined(last), ==, -ECANCELED);
    }
}

/* -- for people */

/* They were spawned before its only worker began, which then slept once. */
TEST(one_line_names_every_counter) {
    static const char expected[] =
        "workers=1 tasks=0 tasks_submitted=3 tasks_completed=3 fastpath_hits=0 fastpath_misses=6 deque_hits=3 "
        "inject_pulls=3 steals_probes=0 steals_succeeded=0 steals_failures=0 donations=0 yields=3 waits=0 parks=1 "
        "wakeups=0 timers=0";
    char line[512], cut[8];
    kc_sched_stats_t mine;
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1});
    spawn_many(s, 3, yields, ELEMENT(1));
    CHECK(kc_sched_start(s), ==, 0);
    quiet(s, 0);
    CHECK(kc_sched_dump(s, line, sizeof line), ==, sizeof expected - 1);
    CHECK(strcmp(line, expected), ==, 0);
    CHECK(kc_sched_dump(s, cut, sizeof cut), ==, sizeof expected - 1);
    CHECK(strcmp(cut, "workers"), ==, 0);
    CHECK(kc_sched_worker_stats(s, 0, &mine), ==, 0);
    CHECK(mine.tasks_completed, ==, 3);
    CHECK(mine.tasks_submitted, ==, 0); /* they came from a thread */
    CHECK(kc_sched_worker_stats(s, 1, &mine), ==, -EINVAL);
    end(s);
}

int main(void) {
    RUN(what_threads_spawn_is_pulled);
    RUN(a_worker_asks_so_many_others_and_sleeps);
    RUN(one_is_woken_for_each_task_that_comes_to_sleepers);
    RUN(a_yield_goes_through_the_queue);
    RUN(who_is_woken_is_next_in_the_same_worker);
    RUN(after_some_in_a_row_it_is_the_turn_of_others);
    RUN(where_it_is_asked_for_every_one_that_is_woken_waits_for_its_turn);
    RUN(a_full_queue_donates_its_newest_half);
    RUN(what_waits_behind_a_task_that_does_not_stop_is_stolen);
    RUN(each_sleep_is_one_timer);
    RUN(nobody_wakes_while_tasks_wait_for_ever);
    RUN(one_line_names_every_counter);
    return DONE;
}
