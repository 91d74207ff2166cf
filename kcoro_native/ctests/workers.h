/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A scheduler of one, two or eight workers for each test; see EACH. */
#ifndef WORKERS_H
#define WORKERS_H

#include "check.h"
#include "kcoro/atomic.h"
#include "kcoro/scheduler.h"

/* A wait that is only there so that a fault is a failure and no hang. */
#define LONG INT64_C(60000000000)
#define MS INT64_C(1000000)

static const size_t numbers[] = {1, 2, 8};

/* The body is run with `n` workers, for each n. */
#define EACH(n) for (size_t at_ = 0, n = numbers[0]; at_ < 3; n = numbers[++at_ % 3])

static inline kc_sched_t *made(kc_sched_options_t options) {
    kc_sched_t *s;
    CHECK(kc_sched_create(&s, &options), ==, 0);
    return s;
}

static inline kc_sched_t *started(size_t workers, kc_resume_t resume) {
    kc_sched_t *s = made((kc_sched_options_t){.workers = workers, .resume = resume});
    CHECK(kc_sched_start(s), ==, 0);
    return s;
}

static inline void end(kc_sched_t *s) {
    CHECK(kc_sched_shutdown(s, LONG), ==, 0);
    CHECK(kc_sched_destroy(s), ==, 0);
}

static inline kc_task_t *spawn(kc_sched_t *s, kc_coro_fn fn, void *arg) {
    kc_task_t *task = NULL;
    CHECK(kc_sched_spawn(s, &task, fn, arg, NULL, LONG), ==, 0);
    return task;
}

static inline void spawn_many(kc_sched_t *s, int count, kc_coro_fn fn, void *arg) {
    for (int i = 0; i < count; i++)
        CHECK(kc_sched_spawn(s, NULL, fn, arg, NULL, LONG), ==, 0);
}

static inline int joined(kc_task_t *task) {
    int result = -1;
    CHECK(kc_task_join(task, &result, LONG), ==, 0);
    return result;
}

static inline kc_sched_stats_t stats_of(kc_sched_t *s) {
    kc_sched_stats_t stats;
    CHECK(kc_sched_stats(s, &stats), ==, 0);
    return stats;
}

#endif
