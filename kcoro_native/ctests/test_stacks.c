/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Where stacks come from, how many have guards, and when they go back. Rows: C1, C7, C10. */

#include "kcoro/stack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kcoro/coroutine.h"
#include "kcoro/memory.h"

#define MANY 1000

static kc_coro_t *all[MANY];
static kc_stack_counts_t now;

static int parks(void *arg) {
    int *at = arg;
    kc_coro_park();
    return *at;
}

static kc_coro_t *make(kc_coro_fn fn, void *arg, size_t bytes) {
    kc_coro_options_t options = {bytes, NULL};
    kc_coro_t *co = NULL;
    CHECK(kc_coro_create(&co, fn, arg, &options), ==, 0);
    return co;
}

/* As many that have begun and stand in the middle. */
static void park_many(int count, size_t bytes) {
    static int numbers[MANY];
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        all[i] = make(parks, &numbers[i], bytes);
        CHECK(kc_coro_resume(all[i]), ==, 0);
    }
    kc_stacks_count(&now);
}

static void finish_many(int count) {
    for (int i = 0; i < count; i++) {
        int result = -1;
        CHECK(kc_coro_unpark(all[i]), ==, 1);
        CHECK(kc_coro_resume(all[i]), ==, 0);
        CHECK(kc_coro_result(all[i], &result), ==, 0);
        CHECK(result, ==, i);
        CHECK(kc_coro_destroy(all[i]), ==, 0);
    }
    kc_stacks_count(&now);
}

/* Nothing is left when all were destroyed and trimmed. */
static void expect_nothing(void) {
    kc_stacks_trim();
    kc_stacks_count(&now);
    CHECK(now.slabs, ==, 0);
    CHECK(now.stacks, ==, 0);
    CHECK(now.guarded, ==, 0);
    CHECK(now.used, ==, 0);
}

/* -- sizes */

static int uses_most_of(void *arg) {
    size_t bytes = *(size_t *)arg;
    volatile char room[bytes];
    for (size_t i = 0; i < bytes; i += 64)
        room[i] = (char)i;
    return room[64] == 64;
}

TEST(a_stack_has_the_size_that_was_asked_for) {
    static const size_t sizes[] = {1, 16384, 65536, 100000, 1 << 20, 8 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t bytes = sizes[i] < 16384 ? 8192 : sizes[i] - 6144;
        kc_coro_t *co = make(uses_most_of, &bytes, sizes[i]);
        int result = 0;
        kc_coro_resume(co);
        CHECK(kc_coro_result(co, &result) + result, ==, 1);
        kc_coro_destroy(co);
    }
}

TEST(a_larger_stack_is_not_made_of_a_smaller_one) {
    size_t bytes = 200000;
    kc_coro_t *small = make(parks, NULL, 65536), *large;
    kc_coro_destroy(small);
    large = make(uses_most_of, &bytes, 262144);
    kc_coro_resume(large);
    CHECK(kc_coro_state(large), ==, KC_CORO_FINISHED);
    kc_coro_destroy(large);
}

/* -- the cache */

TEST(a_stack_that_was_given_back_is_used_again) {
    kc_coro_t *first = make(parks, NULL, 0), *second;
    kc_coro_destroy(first);
    second = make(parks, NULL, 0);
    CHECK(second == first, ==, 1);
    kc_coro_destroy(second);
}

TEST(what_was_created_and_destroyed_leaves_nothing) {
    for (int i = 0; i < 10000; i++) {
        kc_coro_t *co = make(parks, NULL, 0);
        kc_coro_resume(co);
        kc_coro_destroy(co);
    }
    kc_stacks_count(&now);
    CHECK(now.slabs, ==, 1);
    expect_nothing();
}

TEST(beyond_the_mark_stacks_lose_their_pages_and_slabs_go) {
    kc_stack_rules_t rules = {8192, 0, 64};
    kc_stacks_use(&rules);
    park_many(640, 0);
    CHECK(now.slabs, ==, 10);
    CHECK(now.used, ==, 640);
    size_t dropped = now.dropped;
    finish_many(640);
    CHECK(now.slabs, <=, 2);
    CHECK(now.dropped - dropped, >=, 500);
    park_many(640, 0); /* what lost its pages is as good as new */
    finish_many(640);
    kc_stacks_use(NULL);
    expect_nothing();
}

static void *lives(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++)
        kc_coro_destroy(make(parks, NULL, 0));
    return NULL;
}

TEST(a_thread_that_ends_gives_its_stacks_back) {
    pthread_t thread;
    pthread_create(&thread, NULL, lives, NULL);
    pthread_join(thread, NULL);
    expect_nothing();
}

/* -- guards */

TEST(there_are_as_many_guards_as_their_share) {
    kc_stack_rules_t rules = {130, 0, 1024};
    kc_stacks_use(&rules);
    park_many(MANY, 0);
    CHECK(now.guarded, ==, 130); /* two slabs of 64, and the lowest stack of two others */
    finish_many(MANY);
    expect_nothing();
    rules.guards = 0;
    kc_stacks_use(&rules);
    park_many(MANY, 0);
    CHECK(now.guarded, ==, 0);
    finish_many(MANY);
    kc_stacks_use(NULL);
    expect_nothing();
}

TEST(stacks_side_by_side_can_be_used_to_their_ends) {
    kc_stack_rules_t rules = {0, 0, 1024};
    size_t bytes = 65536 - 4096;
    kc_stacks_use(&rules);
    for (int i = 0; i < 100; i++)
        all[i] = make(i % 2 != 0 ? uses_most_of : parks, &bytes, 0);
    for (int i = 0; i < 100; i++)
        CHECK(kc_coro_resume(all[i]), ==, 0);
    for (int i = 0; i < 100; i++)
        kc_coro_destroy(all[i]);
    kc_stacks_use(NULL);
    expect_nothing();
}

/* -- memory */

static void *refuses(void *ctx, void *block, size_t size) {
    (void)ctx, (void)block, (void)size;
    return NULL;
}

static void releases(void *ctx, void *block) {
    (void)ctx;
    free(block);
}

TEST(without_memory_nothing_is_created) {
    const kc_memory_t none = {refuses, releases, NULL};
    kc_coro_t *co = (kc_coro_t *)&none;
    expect_nothing();
    kc_memory_use(&none);
    CHECK(kc_coro_create(&co, parks, NULL, NULL), ==, -ENOMEM);
    CHECK(co == NULL, ==, 1);
    kc_memory_use(NULL);
    expect_nothing();
}

TEST(misuse_is_refused) {
    CHECK(kc_stacks_count(NULL), ==, -EINVAL);
}

int main(void) {
    RUN(a_stack_has_the_size_that_was_asked_for);
    RUN(a_larger_stack_is_not_made_of_a_smaller_one);
    RUN(a_stack_that_was_given_back_is_used_again);
    expect_nothing();
    RUN(what_was_created_and_destroyed_leaves_nothing);
    RUN(beyond_the_mark_stacks_lose_their_pages_and_slabs_go);
    RUN(a_thread_that_ends_gives_its_stacks_back);
    RUN(there_are_as_many_guards_as_their_share);
    RUN(stacks_side_by_side_can_be_used_to_their_ends);
    RUN(without_memory_nothing_is_created);
    RUN(misuse_is_refused);
    return DONE;
}
