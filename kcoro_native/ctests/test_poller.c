/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Every poller of the build means the same; and the log, which tells which was taken. */

#include "kcoro/poller.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "kcoro/log.h"

#define MANY 100

static const char *kind;
static kc_poller_t *poller;
static kc_ready_t ready[MANY];

static void begin(int *ends) {
    CHECK(kc_poller_make(&poller, kind), ==, 0);
    CHECK(strcmp(kc_poller_name(poller), kind), ==, 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
}

static void finish(const int *ends) {
    CHECK(kc_poller_free(poller), ==, 0);
    close(ends[0]);
    close(ends[1]);
}

TEST(a_descriptor_is_told_as_long_as_it_is_ready) {
    int ends[2];
    char byte;
    begin(ends);
    CHECK(kc_poller_add(poller, ends[0], KC_READ, ELEMENT(7)), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    CHECK(write(ends[1], "x", 1), ==, 1);
    for (int i = 0; i < 2; i++) {
        CHECK(kc_poller_wait(poller, ready, MANY, -1), ==, 1);
        CHECK(ready[0].fd, ==, ends[0]);
        CHECK(ready[0].ready, ==, KC_READ);
        CHECK(VALUE(ready[0].ctx), ==, 7);
    }
    CHECK(read(ends[0], &byte, 1), ==, 1);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    finish(ends);
}

TEST(what_is_wanted_may_change) {
    int ends[2];
    begin(ends);
    CHECK(write(ends[1], "x", 1), ==, 1);
    CHECK(kc_poller_add(poller, ends[0], KC_WRITE, NULL), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 1);
    CHECK(ready[0].ready, ==, KC_WRITE);
    CHECK(kc_poller_mod(poller, ends[0], KC_READ | KC_WRITE, ELEMENT(3)), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 1);
    CHECK(ready[0].ready, ==, KC_READ | KC_WRITE);
    CHECK(VALUE(ready[0].ctx), ==, 3);
    CHECK(kc_poller_mod(poller, ends[0], 0, NULL), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    CHECK(kc_poller_mod(poller, ends[0], KC_READ, NULL), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 1);
    CHECK(kc_poller_del(poller, ends[0]), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    CHECK(kc_poller_add(poller, ends[0], 0, NULL), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    finish(ends);
}

TEST(an_end_is_told_to_readers_and_writers_and_to_nobody_else) {
    int ends[2];
    begin(ends);
    CHECK(kc_poller_add(poller, ends[0], KC_READ, NULL), ==, 0);
    close(ends[1]);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 1);
    CHECK(ready[0].ready, ==, KC_READ);
    CHECK(kc_poller_mod(poller, ends[0], 0, NULL), ==, 0);
    CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    CHECK(kc_poller_free(poller), ==, 0);
    close(ends[0]);
}

TEST(a_small_array_starves_nobody) {
    int ends[MANY][2], told[MANY] = {0};
    begin(ends[0]);
    for (int i = 0; i < MANY; i++) {
        if (i != 0)
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), ==, 0);
        CHECK(kc_poller_add(poller, ends[i][0], KC_WRITE, ELEMENT(i)), ==, 0);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(kc_poller_wait(poller, ready, 3, 0), ==, 3);
        for (int k = 0; k < 3; k++)
            told[VALUE(ready[k].ctx)]++;
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(told[i], >=, 2);
        if (i % 2 != 0)
            CHECK(kc_poller_del(poller, ends[i][0]), ==, 0);
    }
    int rest = 0;
    for (int i = 0; i < 5; i++)
        rest = kc_poller_wait(poller, ready, MANY, 0);
    CHECK(rest, ==, MANY / 2);
    for (int i = 1; i < MANY; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
    finish(ends[0]);
}

TEST(many_wakes_end_one_wait) {
    int ends[2];
    begin(ends);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100000; i++)
            CHECK(kc_poller_wake(poller), ==, 0);
        CHECK(kc_poller_wait(poller, ready, MANY, -1), ==, 0);
        CHECK(kc_poller_wait(poller, ready, MANY, 0), ==, 0);
    }
    finish(ends);
}

static void *wake_often(void *ctx) {
    for (int i = 0; i < 1000; i++)
        kc_poller_wake(ctx);
    return NULL;
}

TEST(another_thread_wakes) {
    int ends[2];
    pthread_t thread;
    begin(ends);
    for (int round = 0; round < 20; round++) {
        CHECK(pthread_create(&thread, NULL, wake_often, poller), ==, 0);
        CHECK(kc_poller_wait(poller, ready, MANY, -1), ==, 0); /* hangs, if a wake is lost */
        CHECK(pthread_join(thread, NULL), ==, 0);
    }
    finish(ends);
}

TEST(a_timeout_does_not_end_early) {
    int ends[2];
    struct timespec began, ended;
    begin(ends);
    clock_gettime(CLOCK_MONOTONIC, &began);
    CHECK(kc_poller_wait(poller, ready, MANY, 1000001), ==, 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    CHECK((ended.tv_sec - began.tv_sec) * 1000000000 + ended.tv_nsec - began.tv_nsec, >, 1000000);
    finish(ends);
}

TEST(misuse_is_refused) {
    int ends[2];
    begin(ends);
    int file = open(__FILE__, O_RDONLY), closed = dup(ends[0]);
    close(closed);
    CHECK(kc_poller_add(poller, ends[0], KC_READ, NULL), ==, 0);
    CHECK(kc_poller_add(poller, ends[0], KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_add(poller, closed, KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_add(poller, -1, KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_add(poller, ends[1], 4, NULL), ==, -EINVAL);
    CHECK(kc_poller_add(NULL, ends[1], KC_READ, NULL), ==, -EINVAL);
    if (file >= 0)
        CHECK(kc_poller_add(poller, file, KC_READ, NULL), ==, -ENOTSUP);
    CHECK(kc_poller_mod(poller, ends[1], KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_mod(poller, ends[0], 8, NULL), ==, -EINVAL);
    CHECK(kc_poller_mod(poller, 100000, KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_mod(NULL, ends[0], KC_READ, NULL), ==, -EINVAL);
    CHECK(kc_poller_del(poller, ends[1]), ==, -EINVAL);
    CHECK(kc_poller_del(poller, -1), ==, -EINVAL);
    CHECK(kc_poller_del(NULL, 0), ==, -EINVAL);
    CHECK(kc_poller_wait(NULL, ready, 1, 0), ==, -EINVAL);
    CHECK(kc_poller_wait(poller, NULL, 1, 0), ==, -EINVAL);
    CHECK(kc_poller_wait(poller, ready, 0, 0), ==, -EINVAL);
    CHECK(kc_poller_wake(NULL), ==, -EINVAL);
    CHECK(kc_poller_free(NULL), ==, -EINVAL);
    CHECK(kc_poller_make(NULL, NULL), ==, -EINVAL);
    CHECK(kc_poller_name(NULL) == NULL, ==, 1);
    close(file);
    finish(ends);
}

static int lines;

static void count_line(void *ctx, kc_log_level_t level, const char *text) {
    (void)ctx;
    CHECK(level, ==, KC_LOG_DEBUG);
    CHECK(strstr(text, "poller") != NULL, ==, 1);
    lines++;
}

TEST(the_choice_is_told_to_whoever_listens) {
    CHECK(kc_log_use((kc_log_level_t)9, count_line, NULL), ==, -EINVAL);
    CHECK(kc_log_use(KC_LOG_DEBUG, count_line, NULL), ==, 0);
    CHECK(kc_poller_make(&poller, NULL), ==, 0);
    CHECK(strcmp(kc_poller_name(poller), kc_poller_known(0)), ==, 0);
    CHECK(lines, ==, 1);
    kc_poller_free(poller);
    CHECK(kc_log_use(KC_LOG_WARNING, count_line, NULL), ==, 0);
    CHECK(kc_poller_make(&poller, "no such poller"), ==, -ENOTSUP);
    CHECK(poller == NULL, ==, 1);
    CHECK(kc_poller_make(&poller, "poll"), ==, 0);
    CHECK(kc_log_use(KC_LOG_DEBUG, NULL, NULL), ==, 0);
    kc_poller_free(poller);
    CHECK(lines, ==, 1);
}

int main(void) {
    RUN(the_choice_is_told_to_whoever_listens);
    for (size_t i = 0; (kind = kc_poller_known(i)) != NULL; i++) {
        RUN(a_descriptor_is_told_as_long_as_it_is_ready);
        RUN(what_is_wanted_may_change);
        RUN(an_end_is_told_to_readers_and_writers_and_to_nobody_else);
        RUN(a_small_array_starves_nobody);
        RUN(many_wakes_end_one_wait);
        RUN(another_thread_wakes);
        RUN(a_timeout_does_not_end_early);
        RUN(misuse_is_refused);
    }
    return DONE;
}
