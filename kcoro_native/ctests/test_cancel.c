/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What the model test does not reach of tokens: their memory, misuse, depth; and scopes. */

#include "kcoro/cancel.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kcoro/scope.h"
#include "parkers.h"

static int heard;

struct owned {
    kc_subscription_t subscription;
    kc_token_t *token;
    struct owned *other;
};

static void hear(kc_subscription_t *self) {
    (void)self;
    heard++;
}

static void hear_and_free_all(kc_subscription_t *self) {
    struct owned *owned = (struct owned *)self;
    heard++;
    CHECK(kc_token_end(owned->token), ==, 0);
    free(owned->token);
    free(owned);
}

static void hear_and_forget_another(kc_subscription_t *self) {
    struct owned *owned = (struct owned *)self;
    heard++;
    CHECK(kc_token_unsubscribe(&owned->other->subscription), ==, 0);
    CHECK(kc_token_forget(&owned->other->subscription), ==, 1);
    free(owned->other);
}

TEST(a_callback_may_free_its_token_and_itself) {
    kc_token_t root;
    kc_token_init(&root, NULL);
    heard = 0;
    for (int i = 0; i < 5; i++) {
        struct owned *owned = calloc(1, sizeof *owned);
        owned->token = malloc(sizeof *owned->token);
        kc_token_init(owned->token, &root);
        kc_token_subscribe(owned->token, &owned->subscription, hear_and_free_all);
    }
    CHECK(kc_token_trigger(&root, ELEMENT(1)), ==, 1);
    CHECK(heard, ==, 5);
    CHECK(kc_token_end(&root), ==, 0);
}

TEST(a_callback_whose_memory_goes_away_is_forgotten_even_while_others_run) {
    kc_token_t token;
    struct owned first = {.other = calloc(1, sizeof first)};
    kc_token_init(&token, NULL);
    heard = 0;
    kc_token_subscribe(&token, &first.subscription, hear_and_forget_another);
    kc_token_subscribe(&token, &first.other->subscription, hear);
    kc_token_trigger(&token, NULL);
    CHECK(heard, ==, 1);
}

TEST(depth_has_no_limit) {
    enum { DEEP = 200000 };
    kc_token_t *chain = calloc(DEEP, sizeof *chain);
    kc_subscription_t last = {0};
    heard = 0;
    kc_token_init(&chain[0], NULL);
    for (int i = 1; i < DEEP; i++)
        kc_token_init(&chain[i], &chain[i - 1]);
    kc_token_subscribe(&chain[DEEP - 1], &last, hear);
    CHECK(kc_token_trigger(&chain[0], ELEMENT(3)), ==, 1);
    CHECK(heard, ==, 1);
    CHECK(VALUE(chain[DEEP - 1].reason), ==, 3);
    free(chain);
}

TEST(misuse_of_tokens_is_refused) {
    kc_token_t token, child;
    kc_subscription_t s = {0};
    CHECK(kc_token_init(NULL, NULL), ==, -EINVAL);
    CHECK(kc_token_init(&token, &token), ==, -EINVAL);
    CHECK(kc_token_init(&token, NULL), ==, 0);
    CHECK(kc_token_init(&child, &token), ==, 0);
    CHECK(kc_token_end(&token), ==, -EINVAL);
    CHECK(kc_token_end(&child), ==, 0);
    CHECK(kc_token_subscribe(NULL, &s, hear), ==, -EINVAL);
    CHECK(kc_token_subscribe(&token, NULL, hear), ==, -EINVAL);
    CHECK(kc_token_subscribe(&token, &s, NULL), ==, -EINVAL);
    CHECK(kc_token_unsubscribe(&s) + kc_token_forget(&s) + kc_token_unsubscribe(NULL) + kc_token_forget(NULL), ==, 0);
    CHECK(kc_token_subscribe(&token, &s, hear), ==, 0);
    CHECK(kc_token_subscribe(&token, &s, hear), ==, -EINVAL);
    CHECK(kc_token_end(&token), ==, -EINVAL);
    CHECK(kc_token_unsubscribe(&s), ==, 1);
    CHECK(kc_token_trigger(NULL, NULL), ==, -EINVAL);
    CHECK(kc_token_is_set(NULL), ==, -EINVAL);
    CHECK(kc_token_end(NULL), ==, -EINVAL);
    CHECK(kc_token_trigger(&token, NULL) + kc_token_trigger(&token, NULL), ==, 1);
    CHECK(kc_token_subscribe(&token, &s, hear), ==, -ECANCELED);
}

/* -- scopes */

TEST(the_first_failure_cancels_the_siblings_and_is_what_the_scope_ends_with) {
    kc_scope_t scope;
    kc_child_t children[4];
    kc_subscription_t listens = {0};
    struct call c;
    heard = wakes = 0;
    CHECK(kc_scope_open(&scope, NULL), ==, 0);
    for (int i = 0; i < 4; i++)
        CHECK(kc_scope_launch(&scope, &children[i]), ==, 0);
    kc_token_subscribe(&scope.token, &listens, hear);
    CHECK(kc_scope_wait(&scope, begin(&c, false, NULL)), ==, -EAGAIN);
    CHECK(kc_child_end(&children[0], 0), ==, 0);
    CHECK(scope.token.is_set, ==, 0);
    CHECK(kc_child_end(&children[1], -EPIPE), ==, 0);
    CHECK(heard, ==, 1);
    CHECK(kc_scope_launch(&scope, &children[0]), ==, -ECANCELED);
    CHECK(kc_scope_leave(&scope), ==, -EAGAIN);
    CHECK(kc_child_end(&children[2], -ECANCELED), ==, 0);
    CHECK(wakes, ==, 0);
    CHECK(kc_child_end(&children[3], -ETIME), ==, 0);
    CHECK(wakes, ==, 1);
    CHECK(kc_child_end(&children[3], 0), ==, -EINVAL);
    CHECK(children[3].done.is_set, ==, 1);
    CHECK(kc_scope_leave(&scope), ==, -EPIPE);
    CHECK(kc_scope_leave(&scope), ==, -EINVAL);
}

TEST(a_scope_is_cancelled_with_its_parent_and_cancelling_is_no_failure) {
    kc_token_t parent;
    kc_scope_t scope;
    kc_child_t child;
    struct call c;
    kc_token_init(&parent, NULL);
    CHECK(kc_scope_open(&scope, &parent), ==, 0);
    CHECK(kc_scope_wait(&scope, begin(&c, false, NULL)), ==, 0);
    kc_scope_launch(&scope, &child);
    CHECK(kc_token_end(&parent), ==, -EINVAL);
    kc_token_trigger(&parent, NULL);
    CHECK(kc_scope_cancel(&scope, NULL), ==, 0);
    kc_child_end(&child, -ECANCELED);
    CHECK(kc_scope_leave(&scope), ==, 0);
}

TEST(misuse_of_scopes_is_refused) {
    kc_scope_t scope;
    kc_child_t child;
    CHECK(kc_scope_open(NULL, NULL), ==, -EINVAL);
    CHECK(kc_scope_launch(NULL, &child), ==, -EINVAL);
    CHECK(kc_child_end(NULL, 0), ==, -EINVAL);
    CHECK(kc_scope_wait(NULL, NULL), ==, -EINVAL);
    CHECK(kc_scope_cancel(NULL, NULL), ==, -EINVAL);
    CHECK(kc_scope_leave(NULL), ==, -EINVAL);
    kc_scope_open(&scope, NULL);
    CHECK(kc_scope_launch(&scope, NULL), ==, -EINVAL);
    CHECK(kc_scope_wait(&scope, NULL), ==, -EINVAL);
    CHECK(kc_scope_leave(&scope), ==, 0);
    CHECK(kc_scope_launch(&scope, &child), ==, -EINVAL);
}

int main(void) {
    RUN(a_callback_may_free_its_token_and_itself);
    RUN(a_callback_whose_memory_goes_away_is_forgotten_even_while_others_run);
    RUN(depth_has_no_limit);
    RUN(misuse_of_tokens_is_refused);
    RUN(the_first_failure_cancels_the_siblings_and_is_what_the_scope_ends_with);
    RUN(a_scope_is_cancelled_with_its_parent_and_cancelling_is_no_failure);
    RUN(misuse_of_scopes_is_refused);
    return DONE;
}
