/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The deque of a worker: both of its ends, and thieves. Row: SC2. */

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "../csrc/deque.h"
#include "check.h"

#if defined(ROUNDS)
/* Whoever compiles it has said how many. */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 200000
#else
#define ROUNDS 1000000
#endif
#define THIEVES 2

static kci_deque_t queue;

static intptr_t take(void) {
    bool lost;
    return VALUE(kci_deque_take(&queue, &lost));
}

TEST(the_owner_pops_the_newest_and_anybody_takes_the_oldest) {
    kci_deque_init(&queue);
    for (int i = 1; i <= 5; i++)
        CHECK(kci_deque_push(&queue, ELEMENT(i)), ==, 1);
    CHECK(VALUE(kci_deque_pop(&queue)), ==, 5);
    CHECK(take(), ==, 1);
    CHECK(take(), ==, 2);
    CHECK(kci_deque_length(&queue), ==, 2);
    CHECK(VALUE(kci_deque_pop(&queue)), ==, 4);
    CHECK(VALUE(kci_deque_pop(&queue)), ==, 3);
    CHECK(VALUE(kci_deque_pop(&queue)), ==, 0);
    CHECK(take(), ==, 0);
    CHECK(kci_deque_length(&queue), ==, 0);
}

TEST(what_does_not_fit_is_refused_and_nothing_is_overwritten) {
    kci_deque_init(&queue);
    for (int i = 1; i <= KC_SCHED_DEQUE_ROOM; i++)
        CHECK(kci_deque_push(&queue, ELEMENT(i)), ==, 1);
    CHECK(kci_deque_push(&queue, ELEMENT(-1)), ==, 0);
    CHECK(take(), ==, 1);
    CHECK(kci_deque_push(&queue, ELEMENT(KC_SCHED_DEQUE_ROOM + 1)), ==, 1);
    CHECK(kci_deque_push(&queue, ELEMENT(-1)), ==, 0);
    for (int i = 2; i <= KC_SCHED_DEQUE_ROOM + 1; i++)
        CHECK(take(), ==, i);
    CHECK(take(), ==, 0);
}

TEST(the_counts_may_wrap_around) {
    kci_deque_init(&queue);
    kc_atomic_store(&queue.top, INT_MAX - 1);
    kc_atomic_store(&queue.bottom, INT_MAX - 1);
    for (int lap = 0; lap < 4; lap++) {
        for (int i = 1; i <= 3; i++)
            CHECK(kci_deque_push(&queue, ELEMENT(i)), ==, 1);
        CHECK(kci_deque_length(&queue), ==, 3);
        CHECK(take(), ==, 1);
        CHECK(VALUE(kci_deque_pop(&queue)), ==, 3);
        CHECK(VALUE(kci_deque_pop(&queue)), ==, 2);
        CHECK(VALUE(kci_deque_pop(&queue)), ==, 0);
    }
    CHECK(kc_atomic_load(&queue.top) < 0, ==, 1);
}

/* -- thieves */

static unsigned char seen[THIEVES + 1][ROUNDS + 1]; /* by whom each item was taken: no two write one line of it */
static int out_of_order[THIEVES];
static kc_atomic_int is_over;

static void *steals(void *number) {
    int self = (int)VALUE(number);
    for (intptr_t last = 0;;) {
        bool lost;
        int over = kc_atomic_load(&is_over);
        intptr_t item = VALUE(kci_deque_take(&queue, &lost));
        if (item != 0) {
            seen[self][item]++;
            out_of_order[self] += item <= last; /* what a thief gets is always younger than what it got before */
            last = item;
        } else if (over && !lost)
            return NULL;
        else if (!lost)
            sched_yield();
    }
}

/* Mostly few are in it, so that the owner and thieves meet at the last one. */
static void own(void) {
    for (int next = 1; next <= ROUNDS;) {
        for (int burst = next % 7 == 0 ? 64 : 2; burst != 0 && next <= ROUNDS; burst--)
            if (kci_deque_push(&queue, ELEMENT(next)))
                next++;
            else
                sched_yield();
        intptr_t item = VALUE(kci_deque_pop(&queue));
        seen[THIEVES][item]++;
        if (next % 1024 == 0)
            sched_yield();
    }
}

TEST(each_item_is_taken_exactly_once_by_the_owner_or_a_thief) {
    pthread_t threads[THIEVES];
    int wrong = 0, stolen = 0;
    kci_deque_init(&queue);
    for (intptr_t i = 0; i < THIEVES; i++)
        pthread_create(&threads[i], NULL, steals, ELEMENT(i));
    own();
    kc_atomic_store(&is_over, 1);
    for (int i = 0; i < THIEVES; i++) {
        pthread_join(threads[i], NULL);
        CHECK(out_of_order[i], ==, 0);
    }
    for (int item = 1; item <= ROUNDS; item++) {
        int by_thieves = seen[0][item] + seen[1][item];
        stolen += by_thieves;
        wrong += by_thieves + seen[THIEVES][item] != 1;
    }
    CHECK(wrong, ==, 0);
    CHECK(stolen, >, 0);
    CHECK(stolen, <, ROUNDS);
}

int main(void) {
    RUN(the_owner_pops_the_newest_and_anybody_takes_the_oldest);
    RUN(what_does_not_fit_is_refused_and_nothing_is_overwritten);
    RUN(the_counts_may_wrap_around);
    RUN(each_item_is_taken_exactly_once_by_the_owner_or_a_thief);
    return DONE;
}
