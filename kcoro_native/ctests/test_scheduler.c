/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Tasks on one, two and eight workers: their life, results, waits and end. Rows: SC3, SC6, SC7, C6. */

#include <pthread.h>
#include <stdlib.h>

#include "../csrc/work.h"
#include "kcoro/memory.h"
#include "kcoro/stack.h"
#include "workers.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 2000
#else
#define ROUNDS 20000
#endif

static kc_atomic_int counter;

static int adds_one(void *arg) {
    (void)arg;
    kc_atomic_add_sc(&counter, 1);
    return 0;
}

static int returns(void *number) {
    return (int)VALUE(number);
}

static int waits_for_ever(void *arg) {
    (void)arg;
    int rc = kc_task_park(-1);
    kc_atomic_add_sc(&counter, 1);
    return rc;
}

/* -- beginning and end */

TEST(every_task_runs_once) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&counter, 0);
        spawn_many(s, 1000, adds_one, NULL);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&counter), ==, 1000);
        end(s);
    }
}

TEST(whoever_joins_gets_the_result) {
    EACH(n) {
        kc_task_t *tasks[100];
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        for (int i = 0; i < 100; i++)
            tasks[i] = spawn(s, returns, ELEMENT(i));
        for (int i = 99; i >= 0; i--)
            CHECK(joined(tasks[i]), ==, i);
        end(s);
    }
}

static int spawns_and_joins(void *depth) {
    kc_task_t *left, *right;
    if (depth == NULL)
        return 1;
    left = spawn(kc_sched_current(), spawns_and_joins, ELEMENT(VALUE(depth) - 1));
    right = spawn(kc_sched_current(), spawns_and_joins, ELEMENT(VALUE(depth) - 1));
    int sum = joined(left);
    return sum + joined(right);
}

TEST(tasks_join_tasks) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        CHECK(joined(spawn(s, spawns_and_joins, ELEMENT(9))), ==, 512);
        end(s);
    }
}

TEST(what_was_spawned_before_the_start_waits_for_it) {
    kc_sched_t *s = made((kc_sched_options_t){.workers = 2, .inject_room = 3});
    kc_task_t *task;
    kc_atomic_store(&counter, 0);
    spawn_many(s, 3, adds_one, NULL);
    CHECK(kc_sched_spawn(s, &task, adds_one, NULL, NULL, LONG), ==, -EAGAIN);
    CHECK(task == NULL, ==, 1);
    CHECK(kc_sched_start(s), ==, 0);
    CHECK(kc_sched_start(s), ==, -EINVAL);
    CHECK(kc_sched_drain(s, LONG), ==, 0);
    CHECK(kc_atomic_load(&counter), ==, 3);
    end(s);
}

TEST(what_never_began_is_told_to_whoever_joins) {
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1});
    kc_atomic_store(&counter, 0);
    kc_task_t *task = spawn(s, adds_one, NULL);
    CHECK(kc_sched_destroy(s), ==, -EINVAL);
    CHECK(kc_sched_shutdown(s, 0), ==, 0);
    CHECK(kc_sched_spawn(s, NULL, adds_one, NULL, NULL, 0), ==, -ECANCELED);
    CHECK(kc_sched_destroy(s), ==, 0);
    CHECK(joined(task), ==, -ECANCELED); /* the handle outlives the scheduler */
    CHECK(kc_atomic_load(&counter), ==, 0);
}

TEST(a_shutdown_has_the_tasks_that_wait_clean_up) {
    EACH(n) {
        kc_task_t *task;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&counter, 0);
        spawn_many(s, 99, waits_for_ever, NULL);
        task = spawn(s, waits_for_ever, NULL);
        CHECK(kc_sched_drain(s, LONG), ==, 100);
        CHECK(kc_task_join(task, NULL, 0), ==, -EAGAIN);
        CHECK(kc_task_join(task, NULL, MS), ==, -ETIME);
        CHECK(kc_sched_shutdown(s, LONG), ==, 0);
        CHECK(kc_atomic_load(&counter), ==, 100);
        CHECK(joined(task), ==, -ECANCELED);
        CHECK(kc_sched_destroy(s), ==, 0);
    }
}

static int waits_again_and_again(void *arg) {
    (void)arg;
    CHECK(kc_task_park(-1), ==, -ECANCELED);
    CHECK(kc_task_park(-1), ==, -ECANCELED);
    CHECK(kc_task_sleep(LONG), ==, -ECANCELED);
    CHECK(kc_task_yield(), ==, -ECANCELED);
    return 7;
}

TEST(after_a_shutdown_no_wait_holds_a_task_up) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *task = spawn(s, waits_again_and_again, NULL);
        CHECK(kc_sched_drain(s, LONG), ==, 1);
        CHECK(kc_sched_shutdown(s, LONG), ==, 0);
        CHECK(joined(task), ==, 7);
        CHECK(kc_sched_destroy(s), ==, 0);
    }
}

TEST(one_task_may_be_cancelled) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *one = spawn(s, waits_again_and_again, NULL), *other = spawn(s, waits_for_ever, NULL);
        kc_atomic_store(&counter, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 2);
        CHECK(kc_task_cancel(one), ==, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 1);
        CHECK(kc_task_cancel(one), ==, 0); /* it has finished */
        CHECK(joined(one), ==, 7);
        CHECK(kc_atomic_load(&counter), ==, 0);
        kc_task_unpark(other);
        CHECK(joined(other), ==, 0);
        end(s);
    }
}

static int cancels_itself(void *arg) {
    (void)arg;
    kc_task_cancel(kc_task_current());
    return kc_task_park(-1);
}

TEST(a_task_may_cancel_itself_and_one_that_has_not_begun) {
    kc_sched_t *s = made((kc_sched_options_t){.workers = 1});
    kc_task_t *itself = spawn(s, cancels_itself, NULL), *later = spawn(s, adds_one, NULL);
    kc_atomic_store(&counter, 0);
    CHECK(kc_task_cancel(later), ==, 0);
    CHECK(kc_sched_start(s), ==, 0);
    CHECK(joined(itself), ==, -ECANCELED);
    CHECK(joined(later), ==, -ECANCELED);
    CHECK(kc_atomic_load(&counter), ==, 0);
    CHECK(kc_task_cancel(NULL), ==, -EINVAL);
    end(s);
}

static int parks_until_cancelled(void *arg) {
    (void)arg;
    while (kc_task_park(MS / 100) != -ECANCELED)
        ;
    return 0;
}

TEST(a_cancel_comes_at_any_time) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        for (int i = 0; i < ROUNDS / 20; i++) {
            kc_task_t *task = spawn(s, parks_until_cancelled, NULL);
            if (i % 3 == 0)
                kc_task_unpark(task);
            CHECK(kc_task_cancel(task), ==, 0);
            int result = joined(task);
            CHECK(result == 0 || result == -ECANCELED, ==, 1);
        }
        end(s);
    }
}

static int yields_until_told(void *arg) {
    while (kc_atomic_load(arg) == 0)
        kc_task_yield();
    return 0;
}

TEST(a_shutdown_that_is_not_over_says_so_and_can_be_repeated) {
    EACH(n) {
        kc_atomic_int told;
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&told, 0);
        spawn_many(s, 1, yields_until_told, &told);
        while (stats_of(s).yields == 0)
            ;
        CHECK(kc_sched_drain(s, 0), ==, -ETIME);
        CHECK(kc_sched_shutdown(s, MS), ==, -ETIME);
        CHECK(kc_sched_destroy(s), ==, -EINVAL);
        kc_atomic_store(&told, 1);
        end(s);
    }
}

TEST(nothing_is_left_behind) {
    kc_stack_counts_t before, after;
    kc_stacks_trim();
    kc_stacks_count(&before);
    for (int i = 0; i < 3; i++) {
        kc_sched_t *s = started(8, KC_RESUME_INLINE);
        spawn_many(s, 500, i == 1 ? adds_one : waits_for_ever, NULL);
        end(s);
    }
    kc_stacks_trim();
    kc_stacks_count(&after);
    CHECK(after.used, ==, before.used);
    CHECK(after.slabs, ==, before.slabs);
}

/* -- waiting */

static int parks_often(void *arg) {
    (void)arg;
    for (int i = 1; kc_task_park(-1) == 0; i++)
        kc_atomic_store(&counter, i);
    return kc_atomic_load(&counter);
}

static int unparks_often(void *task) {
    for (int i = 1; i <= ROUNDS; i++) {
        kc_task_unpark(task);
        while (kc_atomic_load(&counter) != i)
            kc_task_yield();
    }
    return 0;
}

TEST(no_unpark_is_lost) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_atomic_store(&counter, 0);
        kc_task_t *parks = spawn(s, parks_often, NULL);
        CHECK(joined(spawn(s, unparks_often, parks)), ==, 0);
        end(s);
        CHECK(joined(parks), ==, ROUNDS);
    }
}

TEST(a_thread_may_unpark_a_task) {
    kc_sched_t *s = started(2, KC_RESUME_INLINE);
    kc_atomic_store(&counter, 0);
    kc_task_t *parks = spawn(s, parks_often, NULL);
    for (int i = 1; i <= ROUNDS / 10; i++) {
        kc_task_unpark(parks);
        while (kc_atomic_load(&counter) != i)
            ;
    }
    end(s);
    CHECK(joined(parks), ==, ROUNDS / 10);
}

static int parks_in_time(void *arg) {
    (void)arg;
    kc_task_unpark(kc_task_current());
    kc_task_unpark(kc_task_current());
    CHECK(kc_task_park(-1), ==, 0); /* several are one */
    CHECK(kc_task_park(0), ==, -EAGAIN);
    CHECK(kc_task_park(MS), ==, -ETIME);
    CHECK(kc_task_sleep(MS), ==, 0);
    CHECK(kc_task_sleep(0), ==, 0);
    CHECK(kc_task_join(kc_task_current(), NULL, -1), ==, -EINVAL);
    CHECK(kc_sched_shutdown(kc_sched_current(), 0), ==, -EINVAL);
    CHECK(kc_sched_drain(kc_sched_current(), 0), ==, -EINVAL);
    return 0;
}

TEST(waits_end_in_time) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        CHECK(joined(spawn(s, parks_in_time, NULL)), ==, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 0);
        end(s);
    }
}

static int sleeps(void *ms) {
    return kc_task_sleep(VALUE(ms) * MS);
}

TEST(whoever_keeps_the_time_is_told_of_an_earlier_one) {
    EACH(n) {
        kc_sched_t *s = started(n, KC_RESUME_INLINE);
        kc_task_t *late = spawn(s, sleeps, ELEMENT(LONG / MS));
        CHECK(kc_task_join(late, NULL, 2 * MS), ==, -ETIME); /* by now somebody keeps the time for it */
        CHECK(joined(spawn(s, sleeps, ELEMENT(1))), ==, 0);
        end(s);
        CHECK(joined(late), ==, -ECANCELED);
    }
}

/* -- who wakes a task from outside knows nothing of its scheduler, which may be over and freed at once */

static kc_atomic_int may_end;

static int keeps_its_worker(void *arg) {
    (void)arg;
    while (kc_atomic_load(&may_end) == 0)
        ;
    return 0;
}

static void *unparks(void *task) {
    kc_task_unpark(task);
    return NULL;
}

TEST(no_task_ends_before_whoever_wakes_it_is_done_with_its_scheduler) {
    kc_sched_t *s = started(2, KC_RESUME_INLINE);
    pthread_t thread;
    kc_atomic_store(&may_end, 0);
    kc_task_t *task = spawn(s, waits_for_ever, NULL);
    CHECK(kc_sched_drain(s, LONG), ==, 1);
    kc_task_t *busy = spawn(s, keeps_its_worker, NULL);
    while (kc_atomic_load_sc(&s->sleeping) != 1 || kc_atomic_load_sc(&s->searching) != 0)
        ;
    pthread_mutex_lock(&s->idle_lock); /* whoever wakes somebody waits here, on the way to the worker that sleeps */
    pthread_create(&thread, NULL, unparks, task);
    while (kc_atomic_load_sc(&s->inject.length) != 1)
        ;
    kc_atomic_store(&may_end, 1); /* the other worker looks for work now */
    CHECK(kc_task_join(task, NULL, 20 * MS), ==, -ETIME);
    pthread_mutex_unlock(&s->idle_lock);
    CHECK(joined(task), ==, 0);
    CHECK(joined(busy), ==, 0);
    end(s);
    pthread_join(thread, NULL);
}

/* -- a handle stays good, also for a call that looks at its task while the scheduler ends */

static kc_atomic_ptr watched;
static kc_atomic_int released;

static void *resize(void *ctx, void *block, size_t size) {
    (void)ctx;
    return realloc(block, size);
}

static void watch_releases(void *ctx, void *block) {
    (void)ctx;
    kc_atomic_add_sc(&released, block == kc_atomic_load_ptr(&watched));
    free(block);
}

static int spawns_one(void *handle) {
    return kc_sched_spawn(kc_sched_current(), handle, waits_for_ever, NULL, NULL, 0);
}

TEST(what_the_calls_of_a_handle_look_at_stays_as_long_as_the_handle) {
    static const kc_memory_t memory = {resize, watch_releases, NULL};
    kc_memory_use(&memory);
    for (int of_task = 0; of_task < 2; of_task++) {
        kc_task_t *task = NULL;
        kc_sched_t *s = started(1, KC_RESUME_INLINE);
        if (of_task)
            CHECK(joined(spawn(s, spawns_one, &task)), ==, 0);
        else
            task = spawn(s, waits_for_ever, NULL);
        kc_atomic_store_ptr(&watched, of_task ? (void *)s->workers : s); /* where the lock of its calls lies */
        kc_atomic_store(&released, 0);
        CHECK(kc_sched_drain(s, LONG), ==, 1);
        end(s);
        CHECK(kc_atomic_load(&released), ==, 0);
        CHECK(kc_task_cancel(task), ==, 0);
        CHECK(kc_task_unpark(task), ==, 0);
        CHECK(joined(task), ==, -ECANCELED);
        CHECK(kc_atomic_load(&released), ==, 1);
    }
    kc_memory_use(NULL);
}

TEST(outside_of_a_task_there_is_nothing_to_stop) {
    CHECK(kc_task_current() == NULL, ==, 1);
    CHECK(kc_task_park(-1), ==, -EINVAL);
    CHECK(kc_task_yield(), ==, -EINVAL);
    CHECK(kc_task_sleep(0), ==, -EINVAL);
    CHECK(kc_sched_create(NULL, NULL), ==, -EINVAL);
    kc_sched_t *s;
    kc_sched_options_t wrong = {.workers = KC_SCHED_WORKERS_MOST + 1};
    CHECK(kc_sched_create(&s, &wrong), ==, -EINVAL);
    wrong = (kc_sched_options_t){.resume = (kc_resume_t)2};
    CHECK(kc_sched_create(&s, &wrong), ==, -EINVAL);
    CHECK(kc_sched_create(&s, NULL), ==, 0);
    CHECK(kc_sched_workers(s), >=, 1);
    CHECK(kc_sched_drain(s, 0), ==, -EINVAL);
    CHECK(kc_sched_destroy(s), ==, 0);
}

int main(void) {
    RUN(every_task_runs_once);
    RUN(whoever_joins_gets_the_result);
    RUN(tasks_join_tasks);
    RUN(what_was_spawned_before_the_start_waits_for_it);
    RUN(what_never_began_is_told_to_whoever_joins);
    RUN(a_shutdown_has_the_tasks_that_wait_clean_up);
    RUN(after_a_shutdown_no_wait_holds_a_task_up);
    RUN(one_task_may_be_cancelled);
    RUN(a_task_may_cancel_itself_and_one_that_has_not_begun);
    RUN(a_cancel_comes_at_any_time);
    RUN(a_shutdown_that_is_not_over_says_so_and_can_be_repeated);
    RUN(nothing_is_left_behind);
    RUN(no_unpark_is_lost);
    RUN(a_thread_may_unpark_a_task);
    RUN(waits_end_in_time);
    RUN(whoever_keeps_the_time_is_told_of_an_earlier_one);
    RUN(no_task_ends_before_whoever_wakes_it_is_done_with_its_scheduler);
    RUN(what_the_calls_of_a_handle_look_at_stays_as_long_as_the_handle);
    RUN(outside_of_a_task_there_is_nothing_to_stop);
    return DONE;
}
