/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The life of a scheduler. Contracts in kcoro/scheduler.h. */

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "kcoro/stack.h"
#include "work.h"

/* -- making and freeing */

static size_t processors(void) {
#ifdef _SC_NPROCESSORS_ONLN
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    if (count > KC_SCHED_WORKERS_MOST)
        return KC_SCHED_WORKERS_MOST;
    if (count > 0)
        return (size_t)count;
#endif
    return 1;
}

static size_t or_else(size_t wish, size_t otherwise) {
    return wish != 0 ? wish : otherwise;
}

static void settle(kc_sched_options_t *options, const kc_sched_options_t *wishes) {
    memset(options, 0, sizeof *options);
    if (wishes != NULL)
        *options = *wishes;
    options->workers = or_else(options->workers, processors());
    options->steal_scan = or_else(options->steal_scan, KC_SCHED_STEAL_SCAN_MAX);
    options->inline_most = or_else(options->inline_most, KC_SCHED_INLINE_MAX);
    options->inject_room = or_else(options->inject_room, KC_SCHED_INJECT_ROOM);
    options->inject_every = or_else(options->inject_every, KC_SCHED_INJECT_EVERY);
}

static void init_shard(kci_shard_t *shard) {
    pthread_mutex_init(&shard->lock, NULL);
    kc_atomic_store(&shard->references, 1);
}

static void init_worker(kci_worker_t *worker, kc_sched_t *s, size_t index) {
    memset(worker, 0, sizeof *worker);
    worker->sched = s;
    worker->chance = s->options.seed + index;
    worker->hint = s->options.workers;
    kci_deque_init(&worker->deque);
    init_shard(&worker->shard);
    kci_cond_init(&worker->bell);
}

static void init_parts(kc_sched_t *s) {
    kci_cond_init(&s->inject.has_room);
    kci_cond_init(&s->quiet);
    pthread_mutex_init(&s->inject.lock, NULL);
    init_shard(&s->foreign);
    kc_atomic_store(&s->shards, (int)s->options.workers + 1);
    pthread_mutex_init(&s->timers_lock, NULL);
    pthread_mutex_init(&s->idle_lock, NULL);
    kc_timers_init(&s->timers, kci_now());
    s->announced = s->deadline = KC_NEVER;
    for (size_t i = 0; i < s->options.workers; i++)
        init_worker(&s->workers[i], s, i);
}

void kci_shard_release(kc_sched_t *s, kci_shard_t *shard) {
    if (kc_atomic_add_sc(&shard->references, -1) != 0)
        return;
    pthread_mutex_destroy(&shard->lock);
    if (kc_atomic_add_sc(&s->shards, -1) != 0)
        return;
    kci_free(s->workers);
    kci_free(s);
}

static void free_all(kc_sched_t *s) {
    for (size_t i = 0; i < s->options.workers; i++)
        pthread_cond_destroy(&s->workers[i].bell);
    pthread_cond_destroy(&s->inject.has_room);
    pthread_cond_destroy(&s->quiet);
    pthread_mutex_destroy(&s->inject.lock);
    pthread_mutex_destroy(&s->timers_lock);
    pthread_mutex_destroy(&s->idle_lock);
    for (size_t i = 0; i < s->options.workers; i++)
        kci_shard_release(s, &s->workers[i].shard);
    kci_shard_release(s, &s->foreign); /* last, for it keeps the memory until then */
}

static bool is_legal(const kc_sched_options_t *options) {
    return options->workers <= KC_SCHED_WORKERS_MOST && options->inject_room <= INT32_MAX / 2 &&
           (options->resume == KC_RESUME_INLINE || options->resume == KC_RESUME_QUEUE) &&
           options->stack_size <= KC_STACK_MOST;
}

int kc_sched_create(kc_sched_t **out, const kc_sched_options_t *options) {
    kc_sched_options_t settled;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    settle(&settled, options);
    if (!is_legal(&settled))
        return -EINVAL;
    if (strcmp(kc_coro_switcher(), "none") == 0)
        return -ENOTSUP;
    kc_sched_t *s = kci_alloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    memset(s, 0, sizeof *s);
    s->options = settled;
    s->workers = kci_alloc(settled.workers, sizeof *s->workers);
    if (s->workers == NULL) {
        kci_free(s);
        return -ENOMEM;
    }
    init_parts(s);
    *out = s;
    return 0;
}

/* -- starting and ending */

static void end_workers(kc_sched_t *s, size_t count) {
    pthread_mutex_lock(&s->idle_lock);
    s->is_over = true;
    for (size_t i = 0; i < count; i++)
        pthread_cond_signal(&s->workers[i].bell);
    pthread_mutex_unlock(&s->idle_lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(s->workers[i].thread, NULL);
}

/* Threads that spawn look at it under this lock. */
static void set_started(kc_sched_t *s, bool is_started) {
    pthread_mutex_lock(&s->inject.lock);
    s->is_started = is_started;
    pthread_mutex_unlock(&s->inject.lock);
}

int kc_sched_start(kc_sched_t *s) {
    if (s == NULL || s->is_started || kc_atomic_load(&s->is_stopping) != 0)
        return -EINVAL;
    set_started(s, true);
    for (size_t i = 0; i < s->options.workers; i++)
        if (pthread_create(&s->workers[i].thread, NULL, kci_work, &s->workers[i]) != 0) {
            end_workers(s, i);
            s->is_over = false;
            set_started(s, false);
            return -ENOMEM;
        }
    return 0;
}

size_t kci_sched_live(kc_sched_t *s) {
    size_t live = 0;
    for (size_t i = 0; i <= s->options.workers; i++) {
        kci_shard_t *shard = i < s->options.workers ? &s->workers[i].shard : &s->foreign;
        pthread_mutex_lock(&shard->lock);
        live += shard->count;
        pthread_mutex_unlock(&shard->lock);
    }
    return live;
}

/* Nothing runs, and nothing will by itself; with idle_lock. */
static bool is_quiet(kc_sched_t *s) {
    return (size_t)kc_atomic_load_sc(&s->sleeping) == s->options.workers &&
           kc_atomic_load_sc(&s->inject.length) == 0 && kc_atomic_load(&s->timer_count) == 0;
}

static bool has_ended(kc_sched_t *s) {
    return kci_sched_live(s) == 0;
}

/* Wait until something holds, with whatever it takes; 0 or -ETIME. */
static int wait_until(kc_sched_t *s, bool (*holds)(kc_sched_t *s), int64_t timeout_ns) {
    uint64_t deadline = kci_deadline(timeout_ns);
    int rc = 0;
    pthread_mutex_lock(&s->idle_lock);
    while (!holds(s) && rc == 0) {
        struct timespec until = kci_timespec(deadline);
        if (deadline == KC_NEVER)
            pthread_cond_wait(&s->quiet, &s->idle_lock);
        else if (kci_now() >= deadline)
            rc = -ETIME;
        else
            pthread_cond_timedwait(&s->quiet, &s->idle_lock, &until);
    }
    pthread_mutex_unlock(&s->idle_lock);
    return rc;
}

int kc_sched_drain(kc_sched_t *s, int64_t timeout_ns) {
    if (s == NULL || !s->is_started || kci_seat()->worker != NULL)
        return -EINVAL;
    int rc = wait_until(s, is_quiet, timeout_ns);
    return rc != 0 ? rc : (int)kci_sched_live(s);
}

/* End every wait of a task. One that begins later sees is_stopping. */
static void revoke_all(kci_shard_t *shard) {
    pthread_mutex_lock(&shard->lock);
    for (kc_task_t *task = shard->newest; task != NULL; task = task->older)
        kc_op_revoke(kc_atomic_load_ptr_sc(&task->op));
    kci_leave(&shard->lock);
}

/* Without workers nobody else takes them out of the queue. */
static void drop_all(kc_sched_t *s) {
    for (kc_task_t *task; (task = kci_inject_pull(s)) != NULL;)
        kci_task_finish(task, -ECANCELED);
}

int kc_sched_shutdown(kc_sched_t *s, int64_t timeout_ns) {
    if (s == NULL || kci_seat()->worker != NULL)
        return -EINVAL;
    if (s->is_over)
        return 0;
    kc_atomic_store_sc(&s->is_stopping, 1);
    pthread_mutex_lock(&s->inject.lock);
    pthread_cond_broadcast(&s->inject.has_room);
    pthread_mutex_unlock(&s->inject.lock);
    if (!s->is_started) {
        drop_all(s);
        s->is_over = true;
        return 0;
    }
    for (size_t i = 0; i < s->options.workers; i++)
        revoke_all(&s->workers[i].shard);
    revoke_all(&s->foreign);
    int rc = wait_until(s, has_ended, timeout_ns);
    if (rc == 0)
        end_workers(s, s->options.workers);
    return rc;
}

int kc_sched_destroy(kc_sched_t *s) {
    if (s == NULL || (s->is_started && !s->is_over) || (!s->is_started && kci_sched_live(s) != 0))
        return -EINVAL;
    free_all(s);
    return 0;
}
