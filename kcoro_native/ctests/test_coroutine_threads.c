/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Coroutines and several threads: who resumes, who unparks, and that nothing is lost between. Row: C5. */

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"
#include "kcoro/atomic.h"
#include "kcoro/coroutine.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 10000
#else
#define ROUNDS 100000
#endif

/* Where other programs want the processors too, each hand-over may take milliseconds: these seconds are enough then, and
 * that many rounds are made whatever they take. */
#ifndef ENOUGH_SECONDS
#define ENOUGH_SECONDS 20
#endif
#define FEWEST 200

static kc_atomic_int reached;
static int written, is_last; /* by whoever unparks, before it does; read by who was unparked */

static int parks_often(void *arg) {
    (void)arg;
    for (int i = 1;; i++) {
        kc_coro_park();
        if (written != i)
            return i;
        int ends = is_last; /* read before it may be written again */
        kc_atomic_store(&reached, i);
        if (ends)
            return 0;
    }
}

static void *unparks(void *co) {
    time_t end = time(NULL) + ENOUGH_SECONDS;
    for (int i = 1; !is_last; i++) {
        written = i;
        is_last = i == ROUNDS || (i >= FEWEST && time(NULL) > end);
        kc_coro_unpark(co);
        while (kc_atomic_load(&reached) != i)
            if (kc_coro_state(co) == KC_CORO_FINISHED)
                return NULL;
            else
                sched_yield();
    }
    return NULL;
}

static void drive(kc_coro_t *co) {
    for (;;)
        switch (kc_coro_state(co)) {
        case KC_CORO_FINISHED:
            return;
        case KC_CORO_PARKED:
        case KC_CORO_RUNNING:
            sched_yield();
            break;
        default:
            kc_coro_resume(co);
        }
}

static void *drives(void *co) {
    drive(co);
    return NULL;
}

static void race(int drivers) {
    pthread_t waker, other;
    kc_coro_t *co;
    int result = -1;
    kc_atomic_store(&reached, 0);
    written = is_last = 0;
    CHECK(kc_coro_create(&co, parks_often, NULL, NULL), ==, 0);
    pthread_create(&waker, NULL, unparks, co);
    if (drivers == 2)
        pthread_create(&other, NULL, drives, co);
    drive(co);
    if (drivers == 2)
        pthread_join(other, NULL);
    pthread_join(waker, NULL);
    CHECK(kc_coro_result(co, &result), ==, 0);
    CHECK(result, ==, 0);
    CHECK(kc_atomic_load(&reached), ==, written);
    CHECK(is_last, ==, 1);
    kc_coro_destroy(co);
}

TEST(no_unpark_is_lost_between_two_threads) {
    race(1);
}

TEST(two_threads_may_want_to_resume_the_same) {
    race(2);
}

/* -- it moves */

static pthread_t ran_in[2];

static void look(int step) {
    ran_in[step] = pthread_self();
}

/* Compilers take pthread_self for a constant of the whole body, and would look once. */
static void (*volatile looks)(int step) = look;

static int moves(void *arg) {
    (void)arg;
    kc_coro_t *self = kc_coro_current();
    for (int i = 0; i < 2; i++) {
        looks(i);
        CHECK(kc_coro_current() == self, ==, 1);
        kc_coro_yield();
    }
    return 5;
}

static void *resumes(void *co) {
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_current() == NULL, ==, 1);
    return NULL;
}

TEST(a_coroutine_goes_on_in_another_thread) {
    pthread_t thread;
    kc_coro_t *co;
    int result = 0;
    kc_coro_create(&co, moves, NULL, NULL);
    kc_coro_resume(co);
    pthread_create(&thread, NULL, resumes, co);
    pthread_join(thread, NULL);
    CHECK(pthread_equal(ran_in[0], pthread_self()) != 0, ==, 1);
    CHECK(pthread_equal(ran_in[1], pthread_self()) != 0, ==, 0);
    kc_coro_resume(co);
    kc_coro_result(co, &result);
    CHECK(result, ==, 5);
    kc_coro_destroy(co);
}

/* -- it runs elsewhere */

static kc_atomic_int is_inside, may_leave;

static int stays(void *arg) {
    (void)arg;
    kc_atomic_store(&is_inside, 1);
    while (kc_atomic_load(&may_leave) == 0)
        sched_yield();
    return 0;
}

TEST(what_runs_in_another_thread_is_neither_resumed_nor_destroyed) {
    pthread_t thread;
    kc_coro_t *co;
    kc_coro_create(&co, stays, NULL, NULL);
    pthread_create(&thread, NULL, resumes, co);
    while (kc_atomic_load(&is_inside) == 0)
        sched_yield();
    CHECK(kc_coro_resume(co), ==, -EINVAL);
    CHECK(kc_coro_destroy(co), ==, -EINVAL);
    CHECK(kc_coro_state(co), ==, KC_CORO_RUNNING);
    CHECK(kc_coro_unpark(co), ==, 0);
    kc_atomic_store(&may_leave, 1);
    pthread_join(thread, NULL);
    CHECK(kc_coro_destroy(co), ==, 0);
}

/* -- numbers */

static void *makes(void *ids) {
    for (int i = 0; i < 1500; i++) {
        kc_coro_t *co;
        kc_coro_create(&co, stays, NULL, NULL);
        ((uint64_t *)ids)[i] = kc_coro_id(co);
        kc_coro_destroy(co);
    }
    return NULL;
}

TEST(no_number_is_given_twice) {
    static uint64_t ids[2][1500];
    static unsigned char seen[20000];
    pthread_t thread;
    pthread_create(&thread, NULL, makes, ids[0]);
    makes(ids[1]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3000; i++) {
        uint64_t id = ids[i / 1500][i % 1500];
        CHECK(id > 0 && id < sizeof seen && seen[id] == 0, ==, 1);
        seen[id % sizeof seen] = 1;
    }
}

int main(void) {
    RUN(no_unpark_is_lost_between_two_threads);
    RUN(two_threads_may_want_to_resume_the_same);
    RUN(a_coroutine_goes_on_in_another_thread);
    RUN(what_runs_in_another_thread_is_neither_resumed_nor_destroyed);
    RUN(no_number_is_given_twice);
    return DONE;
}
