/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Coroutines in one thread: their states, their order, their results, and misuse. Rows: C1, C5, C6, C8. */

#include "kcoro/coroutine.h"

#include <setjmp.h>
#include <string.h>

#include "check.h"

/* What the bodies did, in order. */
static char trace[200];

static void note(const char *what) {
    strcat(trace, what);
}

static kc_coro_t *make(kc_coro_fn fn, void *arg) {
    kc_coro_t *co = NULL;
    CHECK(kc_coro_create(&co, fn, arg, NULL), ==, 0);
    return co;
}

static int counts_to_three(void *arg) {
    for (const char *step = arg; *step != '\0'; step++) {
        char one[2] = {*step, '\0'};
        note(one);
        kc_coro_yield();
    }
    note(".");
    return 7;
}

TEST(two_coroutines_alternate) {
    kc_coro_t *a = make(counts_to_three, "123"), *b = make(counts_to_three, "abc");
    trace[0] = '\0';
    for (int i = 0; i < 4; i++) {
        CHECK(kc_coro_resume(a), ==, 0);
        CHECK(kc_coro_resume(b), ==, 0);
    }
    CHECK(strcmp(trace, "1a2b3c.."), ==, 0);
    CHECK(kc_coro_destroy(a), ==, 0);
    CHECK(kc_coro_destroy(b), ==, 0);
}

TEST(a_body_that_returns_has_a_result) {
    kc_coro_t *co = make(counts_to_three, "");
    int result = 0;
    CHECK(kc_coro_state(co), ==, KC_CORO_CREATED);
    CHECK(kc_coro_result(co, &result), ==, -EAGAIN);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    CHECK(kc_coro_result(co, &result), ==, 0);
    CHECK(result, ==, 7);
    CHECK(kc_coro_resume(co), ==, -EINVAL);
    CHECK(kc_coro_unpark(co), ==, 0);
    CHECK(kc_coro_destroy(co), ==, 0);
}

static int parks(void *arg) {
    note("<");
    CHECK(kc_coro_park(), ==, 0);
    note(arg);
    return 0;
}

TEST(a_parked_one_waits_for_unpark) {
    kc_coro_t *co = make(parks, ">");
    trace[0] = '\0';
    kc_coro_resume(co);
    CHECK(kc_coro_state(co), ==, KC_CORO_PARKED);
    CHECK(kc_coro_resume(co), ==, -EAGAIN);
    CHECK(kc_coro_unpark(co), ==, 1);
    CHECK(kc_coro_state(co), ==, KC_CORO_READY);
    CHECK(strcmp(trace, "<"), ==, 0);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    CHECK(strcmp(trace, "<>"), ==, 0);
    kc_coro_destroy(co);
}

TEST(an_unpark_before_the_park_is_not_lost) {
    kc_coro_t *co = make(parks, ">");
    CHECK(kc_coro_unpark(co), ==, 0);
    CHECK(kc_coro_unpark(co), ==, 0);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    kc_coro_destroy(co);
}

static int parks_twice(void *arg) {
    (void)arg;
    kc_coro_park();
    kc_coro_park();
    return 0;
}

TEST(several_unparks_are_one) {
    kc_coro_t *co = make(parks_twice, NULL);
    CHECK(kc_coro_unpark(co) + kc_coro_unpark(co), ==, 0);
    kc_coro_resume(co);
    CHECK(kc_coro_state(co), ==, KC_CORO_PARKED);
    CHECK(kc_coro_unpark(co), ==, 1);
    CHECK(kc_coro_unpark(co), ==, 0); /* it is ready: this one counts for its next park */
    kc_coro_resume(co);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    kc_coro_destroy(co);
}

static int unparks_itself(void *arg) {
    (void)arg;
    CHECK(kc_coro_unpark(kc_coro_current()), ==, 0);
    CHECK(kc_coro_park(), ==, 0);
    return 1;
}

TEST(one_that_unparks_itself_does_not_stop) {
    kc_coro_t *co = make(unparks_itself, NULL);
    kc_coro_resume(co);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    kc_coro_destroy(co);
}

/* -- one resumes another */

static kc_coro_t *inner, *outer;

static int is_inner(void *arg) {
    (void)arg;
    note("i");
    CHECK(kc_coro_current() == inner, ==, 1);
    CHECK(kc_coro_state(outer), ==, KC_CORO_RUNNING);
    CHECK(kc_coro_resume(outer), ==, -EINVAL);
    CHECK(kc_coro_yield_to(outer), ==, -EINVAL);
    CHECK(kc_coro_destroy(outer), ==, -EINVAL);
    kc_coro_yield();
    note("j");
    return 0;
}

static int is_outer(void *arg) {
    (void)arg;
    note("o");
    CHECK(kc_coro_resume(inner), ==, 0);
    CHECK(kc_coro_current() == outer, ==, 1);
    note("p");
    kc_coro_yield();
    CHECK(kc_coro_resume(inner), ==, 0);
    note("q");
    return 0;
}

TEST(whoever_resumes_waits_for_the_yield) {
    trace[0] = '\0';
    inner = make(is_inner, NULL);
    outer = make(is_outer, NULL);
    kc_coro_resume(outer);
    CHECK(kc_coro_state(inner), ==, KC_CORO_SUSPENDED);
    note("m");
    kc_coro_resume(outer);
    CHECK(strcmp(trace, "oipmjq"), ==, 0);
    CHECK(kc_coro_current() == NULL, ==, 1);
    kc_coro_destroy(inner);
    kc_coro_destroy(outer);
}

static int yields_to(void *arg) {
    note("a");
    CHECK(kc_coro_yield_to(*(kc_coro_t **)arg), ==, 0);
    note("c");
    return 0;
}

static int is_yielded_to(void *arg) {
    (void)arg;
    note("b");
    kc_coro_yield();
    return 0;
}

TEST(who_is_yielded_to_comes_back_to_the_same_resumer) {
    kc_coro_t *second = make(is_yielded_to, NULL), *first = make(yields_to, &second);
    trace[0] = '\0';
    CHECK(kc_coro_resume(first), ==, 0);
    CHECK(strcmp(trace, "ab"), ==, 0);
    CHECK(kc_coro_state(first), ==, KC_CORO_SUSPENDED);
    CHECK(kc_coro_state(second), ==, KC_CORO_SUSPENDED);
    CHECK(kc_coro_resume(first), ==, 0);
    CHECK(strcmp(trace, "abc"), ==, 0);
    CHECK(kc_coro_destroy(first), ==, 0);
    CHECK(kc_coro_destroy(second), ==, 0); /* in the middle */
}

static int chain(void *arg) {
    kc_coro_t *next;
    int depth = *(int *)arg, result;
    if (depth == 0)
        return 0;
    depth--;
    next = make(chain, &depth);
    kc_coro_resume(next);
    CHECK(kc_coro_result(next, &result), ==, 0);
    kc_coro_destroy(next);
    return result + 1;
}

TEST(a_chain_of_resumes_comes_back_in_order) {
    int depth = 500, result = 0;
    kc_coro_t *co = make(chain, &depth);
    kc_coro_resume(co);
    kc_coro_result(co, &result);
    CHECK(result, ==, 500);
    kc_coro_destroy(co);
}

/* A sanitizer that does not know the stack says so here. */
static int jumps(void *arg) {
    jmp_buf back;
    volatile char here[64];
    memset((void *)here, 1, sizeof here);
    if (setjmp(back) == 0) {
        kc_coro_yield();
        longjmp(back, 1);
    }
    note(arg);
    return here[63];
}

TEST(a_body_may_jump_within_its_own_stack) {
    kc_coro_t *co = make(jumps, "j");
    int result = 0;
    trace[0] = '\0';
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_resume(co), ==, 0);
    CHECK(kc_coro_result(co, &result) + result, ==, 1);
    CHECK(strcmp(trace, "j"), ==, 0);
    kc_coro_destroy(co);
}

/* -- who it is */

TEST(names_and_numbers) {
    kc_coro_options_t options = {100000, "a name that is far longer than there is room for"};
    kc_coro_t *named, *other = make(parks, NULL);
    char text[100], expected[100];
    CHECK(kc_coro_create(&named, parks, NULL, &options), ==, 0);
    CHECK(strcmp(kc_coro_name(named), "a name that is far longer than "), ==, 0);
    CHECK(kc_coro_id(named), >, kc_coro_id(other));
    CHECK(strcmp(kc_coro_name(other), ""), ==, 0);
    CHECK(kc_coro_rename(other, "parser"), ==, 0);
    snprintf(expected, sizeof expected, "parser#%" PRIu64 " CREATED, stack of ", kc_coro_id(other));
    CHECK(kc_coro_describe(other, text, sizeof text), ==, strlen(text));
    CHECK(strncmp(text, expected, strlen(expected)), ==, 0);
    CHECK(kc_coro_describe(other, NULL, 0), ==, strlen(text));
    CHECK(kc_coro_rename(other, NULL) + (int)strlen(kc_coro_name(other)), ==, 0);
    kc_coro_destroy(other);
    kc_coro_destroy(named);
}

TEST(a_stack_says_where_it_is) {
    kc_coro_options_t options = {100000, NULL};
    kc_coro_t *co, *other = make(parks, NULL);
    void *low = NULL, *low_of_other = NULL;
    size_t bytes = 0, bytes_of_other = 0;
    CHECK(kc_coro_create(&co, parks, NULL, &options), ==, 0);
    CHECK(kc_coro_stack(co, &low, &bytes), ==, 0);
    CHECK(kc_coro_stack(other, &low_of_other, &bytes_of_other), ==, 0);
    CHECK(bytes, >, 100000);
    CHECK(bytes_of_other, >, KC_CORO_STACK / 2);
    /* It lies in the high end itself, and its stack has no byte of another one's. */
    CHECK((char *)co > (char *)low && (char *)co < (char *)low + bytes, ==, 1);
    CHECK((char *)low + bytes <= (char *)low_of_other || (char *)low_of_other + bytes_of_other <= (char *)low, ==, 1);
    CHECK(kc_coro_stack(NULL, &low, &bytes), ==, -EINVAL);
    CHECK(kc_coro_stack(co, NULL, &bytes), ==, -EINVAL);
    CHECK(kc_coro_stack(co, &low, NULL), ==, -EINVAL);
    kc_coro_destroy(other);
    kc_coro_destroy(co);
}

/* -- misuse */

static int misuses(void *arg) {
    kc_coro_t *self = kc_coro_current();
    (void)arg;
    CHECK(kc_coro_resume(self), ==, -EINVAL);
    CHECK(kc_coro_yield_to(self), ==, -EINVAL);
    CHECK(kc_coro_destroy(self), ==, -EINVAL);
    CHECK(kc_coro_yield_to(NULL), ==, -EINVAL);
    CHECK(kc_coro_state(self), ==, KC_CORO_RUNNING);
    return 0;
}

TEST(misuse_is_refused) {
    kc_coro_options_t vast = {SIZE_MAX, NULL};
    kc_coro_t *co = make(misuses, NULL), *none;
    int result;
    CHECK(kc_coro_create(NULL, parks, NULL, NULL), ==, -EINVAL);
    CHECK(kc_coro_create(&none, NULL, NULL, NULL), ==, -EINVAL);
    CHECK(kc_coro_create(&none, parks, NULL, &vast), ==, -EINVAL);
    CHECK(kc_coro_yield(), ==, -EINVAL);
    CHECK(kc_coro_park(), ==, -EINVAL);
    CHECK(kc_coro_yield_to(co), ==, -EINVAL);
    CHECK(kc_coro_state(co), ==, KC_CORO_CREATED);
    CHECK(kc_coro_resume(NULL), ==, -EINVAL);
    CHECK(kc_coro_unpark(NULL), ==, -EINVAL);
    CHECK(kc_coro_destroy(NULL), ==, -EINVAL);
    CHECK(kc_coro_state(NULL), ==, -EINVAL);
    CHECK(kc_coro_result(NULL, &result), ==, -EINVAL);
    CHECK(kc_coro_result(co, NULL), ==, -EINVAL);
    CHECK(kc_coro_rename(NULL, "x"), ==, -EINVAL);
    CHECK(kc_coro_describe(NULL, NULL, 0), ==, -EINVAL);
    CHECK(kc_coro_describe(co, NULL, 5), ==, -EINVAL);
    CHECK(kc_coro_id(NULL), ==, 0);
    CHECK(kc_coro_name(NULL) == NULL, ==, 1);
    kc_coro_resume(co);
    CHECK(kc_coro_state(co), ==, KC_CORO_FINISHED);
    CHECK(kc_coro_yield_to(co), ==, -EINVAL);
    kc_coro_destroy(co);
}

int main(void) {
    RUN(two_coroutines_alternate);
    RUN(a_body_that_returns_has_a_result);
    RUN(a_parked_one_waits_for_unpark);
    RUN(an_unpark_before_the_park_is_not_lost);
    RUN(several_unparks_are_one);
    RUN(one_that_unparks_itself_does_not_stop);
    RUN(whoever_resumes_waits_for_the_yield);
    RUN(who_is_yielded_to_comes_back_to_the_same_resumer);
    RUN(a_chain_of_resumes_comes_back_in_order);
    RUN(a_body_may_jump_within_its_own_stack);
    RUN(names_and_numbers);
    RUN(a_stack_says_where_it_is);
    RUN(misuse_is_refused);
    return DONE;
}
