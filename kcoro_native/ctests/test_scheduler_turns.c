/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Whose turn it is: fairness, stealing, back-pressure, chains of wakes. Rows: SC1, SC4, SC12. */

#include <pthread.h>
#include <sched.h>

#include "workers.h"

#if defined(CHAIN)
/* Whoever compiles it has said how long. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHAIN 500
#else
#define CHAIN 10000
#endif

static kc_atomic_int counter;

static int returns(void *number) {
    return (int)VALUE(number);
}

/* -- fairness */

#define TURNS 20000

static kc_atomic_int turns[2];

static int spins(void *number) {
    int self = (int)VALUE(number);
    while (kc_atomic_load(&turns[0]) + kc_atomic_load(&turns[1]) < TURNS) {
        kc_atomic_add_sc(&turns[self], 1);
        kc_task_yield();
    }
    return 0;
}

TEST(one_that_only_yields_starves_nobody) {
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1});
    kc_atomic_store(&turns[0], 0);
    kc_atomic_store(&turns[1], 0);
    kc_task_t *one = spawn(s, spins, ELEMENT(0)), *other = spawn(s, spins, ELEMENT(1));
    kc_sched_start(s);
    joined(one);
    joined(other);
    CHECK(kc_atomic_load(&turns[0]), >, TURNS * 45 / 100);
    CHECK(kc_atomic_load(&turns[1]), >, TURNS * 45 / 100);
    end(s);
}

struct pair {
    kc_task_t *other;
    kc_atomic_int *stop;
};

static int wakes_the_other(void *arg) {
    struct pair *pair = arg;
    while (kc_atomic_load(pair->stop) == 0) {
        kc_task_unpark(pair->other);
        kc_task_park(-1);
    }
    kc_task_unpark(pair->other);
    return 0;
}

static int stops_them(void *stop) {
    for (int i = 0; i < 100; i++)
        kc_task_yield();
    kc_atomic_store(stop, 1);
    return 0;
}

TEST(two_that_wake_each_other_for_ever_starve_nobody) {
    EACH(n) {
        kc_atomic_int stop;
        kc_sched_t *s = made((kc_sched_options_t){.workers = n});
        struct pair pairs[2] = {{NULL, &stop}, {NULL, &stop}};
        kc_atomic_store(&stop, 0);
        kc_task_t *one = spawn(s, wakes_the_other, &pairs[0]), *other = spawn(s, wakes_the_other, &pairs[1]);
        pairs[0].other = other;
        pairs[1].other = one;
        kc_task_t *third = spawn(s, stops_them, &stop);
        kc_sched_start(s);
        joined(third);
        kc_task_unpark(one);
        kc_task_unpark(other);
        CHECK(kc_sched_drain(s, LONG), ==, 0); /* each wakes the other once more, whose handle has to be there */
        joined(one);
        joined(other);
        end(s);
    }
}

/* -- what comes from outside */

static int yields_until(void *has_run) {
    int count = 0;
    while (kc_atomic_load(has_run) == 0) {
        kc_task_yield();
        count++;
    }
    return count;
}

static int sets(void *word) {
    kc_atomic_store(word, 1);
    return 0;
}

TEST(a_busy_worker_looks_outside_every_so_many_steps) {
    for (size_t every = 5; every <= 61; every += 56) {
        kc_atomic_int has_run;
        kc_atomic_store(&has_run, 0);
        kc_sched_t *s = made((kc_sched_options_t){.workers = 1, .inject_every = every == 61 ? 0 : every});
        kc_task_t *busy = spawn(s, yields_until, &has_run);
        spawn_many(s, 1, sets, &has_run);
        kc_sched_start(s);
        CHECK(joined(busy), ==, every - 1);
        end(s);
    }
}

static kc_atomic_int may_leave;

static int holds(void *arg) {
    kc_atomic_add_sc(&counter, 1);
    while (kc_atomic_load(&may_leave) == 0)
        ;
    return (int)VALUE(arg);
}

static void *lets_them_go(void *s) {
    while (kc_sched_spawn(s, NULL, returns, NULL, NULL, 0) != -EAGAIN)
        ;
    CHECK(kc_sched_spawn(s, NULL, returns, NULL, NULL, MS), ==, -ETIME);
    kc_atomic_store(&may_leave, 1);
    return NULL;
}

TEST(a_thread_that_spawns_too_much_is_held_up) {
    EACH(n) {
        pthread_t thread;
        kc_sched_t *s = made((kc_sched_options_t){.workers = n, .inject_room = 16});
        kc_atomic_store(&counter, 0);
        kc_atomic_store(&may_leave, 0);
        kc_sched_start(s);
        spawn_many(s, (int)n, holds, NULL);
        while (kc_atomic_load(&counter) != (int)n)
            ;
        pthread_create(&thread, NULL, lets_them_go, s);
        spawn_many(s, 500, returns, NULL); /* waits, now and then */
        pthread_join(thread, NULL);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        end(s);
    }
}

static void *spawns_too_much(void *s) {
    while (kc_sched_spawn(s, NULL, returns, NULL, NULL, LONG) == 0)
        kc_atomic_add_sc(&counter, 1);
    return NULL;
}

TEST(a_shutdown_lets_go_of_threads_that_are_held_up) {
    pthread_t thread;
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1, .inject_room = 4});
    kc_atomic_store(&counter, 0);
    kc_atomic_store(&may_leave, 0);
    kc_sched_start(s);
    kc_task_t *task = spawn(s, holds, NULL);
    pthread_create(&thread, NULL, spawns_too_much, s);
    while (kc_atomic_load(&counter) < 5)
        sched_yield();
    CHECK(kc_sched_shutdown(s, 0), ==, -ETIME);
    pthread_join(thread, NULL);
    kc_atomic_store(&may_leave, 1);
    end(s);
    CHECK(joined(task), ==, 0);
}

/* -- stealing */

#define JOBS 1000
#define AT_ONCE 200 /* so many fit into the queue of one worker: none is donated */

/* They are as long as each other on any machine: as many as there are workers run at a time, and wait for each other. */
static int works(void *workers) {
    int group = (int)VALUE(workers), arrived = kc_atomic_add_sc(&counter, 1);
    while (kc_atomic_load(&counter) < (arrived + group - 1) / group * group)
        sched_yield();
    return 0;
}

static int spawns_jobs(void *workers) {
    spawn_many(kc_sched_current(), AT_ONCE, works, workers);
    return 0;
}

TEST(all_workers_share_what_one_was_given) {
    EACH(n) {
        kc_sched_stats_t each;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&counter, 0);
        for (int jobs = 0; jobs < JOBS; jobs += AT_ONCE) {
            spawn_many(s, 1, spawns_jobs, ELEMENT(n));
            CHECK(kc_sched_drain(s, LONG), ==, 0);
        }
        CHECK(stats_of(s).steals_succeeded, >=, n == 1 ? 0 : JOBS / 10);
        CHECK(stats_of(s).donations, ==, 0);
        for (size_t i = 0; i < n; i++) {
            kc_sched_worker_stats(s, i, &each);
            CHECK(each.tasks_completed, >=, JOBS / n);
        }
        end(s);
    }
}

/* Jobs that wait for nobody, neither for time nor for each other. */
static int computes(void *arg) {
    volatile unsigned number = 1;
    for (int i = 0; i < 1000; i++)
        number = number * 5 + 1;
    kc_atomic_add_sc(&counter, 1);
    return (int)VALUE(arg);
}

/* Who gave them keeps its worker until half of them have run: those were stolen. */
static int gives_jobs(void *arg) {
    spawn_many(kc_sched_current(), AT_ONCE, computes, arg);
    while (kc_atomic_load(&counter) < AT_ONCE / 2)
        sched_yield();
    return 0;
}

TEST(others_steal_the_jobs_of_one_that_is_busy) {
    EACH(n) {
        if (n == 1)
            continue;
        kc_sched_stats_t all, each;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&counter, 0);
        CHECK(joined(spawn(s, gives_jobs, NULL)), ==, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        all = stats_of(s);
        CHECK(kc_atomic_load(&counter), ==, AT_ONCE);
        CHECK(all.steals_succeeded, >=, AT_ONCE / 2);
        CHECK(all.steals_succeeded + all.deque_hits, ==, AT_ONCE);
        CHECK(all.tasks_completed, ==, AT_ONCE + 1);
        CHECK(all.inject_pulls, ==, 1);
        CHECK(all.donations, ==, 0);
        for (size_t i = 0; i < n; i++) {
            kc_sched_worker_stats(s, i, &each);
            CHECK(each.tasks_completed, ==, each.steals_succeeded + each.deque_hits + each.inject_pulls);
            CHECK(each.inject_pulls == 1 ? each.steals_succeeded : each.deque_hits, ==, 0); /* there is one queue */
        }
        end(s);
    }
}

/* -- chains */

static kc_task_t *links[CHAIN + 1];

static int wakes_the_next(void *number) {
    int rc = kc_task_park(-1);
    if (VALUE(number) < CHAIN)
        kc_task_unpark(links[VALUE(number) + 1]);
    kc_atomic_add_sc(&counter, 1);
    return rc;
}

TEST(a_long_chain_of_wakes_uses_up_no_stack_and_nobodys_patience) {
    EACH(n) for (int resume = KC_RESUME_INLINE; resume <= KC_RESUME_QUEUE; resume++) {
        kc_coro_options_t small = {16384, NULL};
        kc_sched_t *s = started(n, (kc_resume_t)resume);
        kc_atomic_store(&counter, 0);
        for (int i = 0; i <= CHAIN; i++)
            CHECK(kc_sched_spawn(s, &links[i], wakes_the_next, ELEMENT(i), &small, LONG), ==, 0);
        CHECK(kc_sched_drain(s, LONG), ==, CHAIN + 1);
        kc_task_unpark(links[0]);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&counter), ==, CHAIN + 1);
        kc_sched_stats_t stats = stats_of(s);
        CHECK(stats.fastpath_hits, ==, resume == KC_RESUME_INLINE ? CHAIN - CHAIN / 4 : 0);
        end(s);
        for (int i = 0; i <= CHAIN; i++)
            CHECK(joined(links[i]), ==, 0);
    }
}

int main(void) {
    RUN(one_that_only_yields_starves_nobody);
    RUN(two_that_wake_each_other_for_ever_starve_nobody);
    RUN(a_busy_worker_looks_outside_every_so_many_steps);
    RUN(a_thread_that_spawns_too_much_is_held_up);
    RUN(a_shutdown_lets_go_of_threads_that_are_held_up);
    RUN(all_workers_share_what_one_was_given);
    RUN(others_steal_the_jobs_of_one_that_is_busy);
    RUN(a_long_chain_of_wakes_uses_up_no_stack_and_nobodys_patience);
    return DONE;
}
