/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the model test does not reach of timers: their memory, misuse, and very many of them. */

#include "kcoro/timer.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static int fired;
static uint64_t last_deadline;
static kc_timers_t timers;

static void fire(kc_timer_t *self) {
    fired++;
    CHECK(self->deadline, >=, last_deadline);
    last_deadline = self->deadline;
}

static void fire_and_free(kc_timer_t *self) {
    fired++;
    free(self);
}

static void fire_again(kc_timer_t *self) {
    fired++;
    kc_timer_start(&timers, self, self->deadline, fire_again);
}

static void fire_inside(kc_timer_t *self) {
    (void)self;
    fired++;
    CHECK(kc_timers_expire(&timers, 1000), ==, -EINVAL);
}

static void begin(void) {
    fired = 0;
    last_deadline = 0;
    CHECK(kc_timers_init(&timers, 0), ==, 0);
}

TEST(a_hundred_thousand_timers_fire_in_order) {
    enum { MANY = 100000 };
    kc_timer_t *all = calloc(MANY, sizeof *all);
    uint64_t x = 1;
    begin();
    for (int i = 0; i < MANY; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        CHECK(kc_timer_start(&timers, &all[i], x >> (x % 40), fire), ==, 0);
    }
    for (int i = 0; i < MANY; i += 2)
        CHECK(kc_timer_cancel(&all[i]), ==, 1);
    CHECK(kc_timers_count(&timers), ==, MANY / 2);
    for (uint64_t now = 1; now < UINT64_MAX / 3; now *= 3)
        kc_timers_expire(&timers, now);
    kc_timers_expire(&timers, UINT64_MAX - 1);
    CHECK(fired, ==, MANY / 2);
    CHECK(kc_timers_count(&timers), ==, 0);
    CHECK(kc_timers_next(&timers) == KC_NEVER, ==, 1);
    free(all);
}

TEST(never_does_not_come) {
    kc_timer_t timer = {0};
    begin();
    kc_timer_start(&timers, &timer, KC_NEVER, fire);
    CHECK(kc_timers_next(&timers) == KC_NEVER, ==, 1);
    CHECK(kc_timers_expire(&timers, UINT64_MAX), ==, 0);
    CHECK(kc_timers_expire(&timers, UINT64_MAX), ==, 0);
    CHECK(kc_timers_count(&timers), ==, 1);
    CHECK(kc_timer_cancel(&timer), ==, 1);
}

TEST(a_callback_may_free_its_timer) {
    begin();
    for (int i = 0; i < 10; i++)
        kc_timer_start(&timers, calloc(1, sizeof(kc_timer_t)), (uint64_t)i % 3, fire_and_free);
    CHECK(kc_timers_expire(&timers, 5), ==, 10);
    CHECK(fired, ==, 10);
}

TEST(a_timer_that_starts_itself_fires_once_for_each_expire) {
    kc_timer_t timer = {0};
    begin();
    kc_timer_start(&timers, &timer, 3, fire_again);
    CHECK(kc_timers_expire(&timers, 10), ==, 1);
    CHECK(kc_timers_next(&timers), ==, 3);
    CHECK(kc_timers_expire(&timers, 10), ==, 1);
    kc_timer_cancel(&timer);
}

TEST(a_clock_that_goes_back_fires_nothing_early) {
    kc_timer_t a = {0}, b = {0};
    begin();
    kc_timers_expire(&timers, UINT64_C(1) << 40);
    kc_timer_start(&timers, &a, 5, fire);
    kc_timer_start(&timers, &b, 7, fire);
    CHECK(kc_timers_expire(&timers, 4), ==, 0);
    CHECK(kc_timers_expire(&timers, 6), ==, 1);
    CHECK(kc_timers_expire(&timers, 7), ==, 1);
}

TEST(misuse_is_refused) {
    kc_timer_t timer = {0}, inside = {0};
    begin();
    CHECK(kc_timers_init(NULL, 0), ==, -EINVAL);
    CHECK(kc_timer_start(NULL, &timer, 1, fire), ==, -EINVAL);
    CHECK(kc_timer_start(&timers, NULL, 1, fire), ==, -EINVAL);
    CHECK(kc_timer_start(&timers, &timer, 1, NULL), ==, -EINVAL);
    CHECK(kc_timer_start(&timers, &timer, 1, fire), ==, 0);
    CHECK(kc_timer_start(&timers, &timer, 1, fire), ==, -EINVAL);
    CHECK(kc_timer_cancel(NULL), ==, 0);
    CHECK(kc_timer_cancel(&timer), ==, 1);
    CHECK(kc_timer_cancel(&timer), ==, 0);
    CHECK(kc_timers_expire(NULL, 1), ==, -EINVAL);
    CHECK(kc_timers_next(NULL) == KC_NEVER, ==, 1);
    CHECK(kc_timers_count(NULL), ==, 0);
    kc_timer_start(&timers, &inside, 1, fire_inside);
    CHECK(kc_timers_expire(&timers, 1), ==, 1);
}

int main(void) {
    RUN(a_hundred_thousand_timers_fire_in_order);
    RUN(never_does_not_come);
    RUN(a_callback_may_free_its_timer);
    RUN(a_timer_that_starts_itself_fires_once_for_each_expire);
    RUN(a_clock_that_goes_back_fires_nothing_early);
    RUN(misuse_is_refused);
    return DONE;
}
