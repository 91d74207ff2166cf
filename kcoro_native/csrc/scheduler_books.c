/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a scheduler has done: counters and the line for people. Contracts in kcoro/scheduler.h. */

#include <stdio.h>
#include <string.h>

#include "work.h"

/* Reading takes a lock and changes nothing. */
static uint64_t spawned(const kci_shard_t *shard) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&shard->lock;
    pthread_mutex_lock(lock);
    uint64_t count = shard->spawned;
    pthread_mutex_unlock(lock);
    return count;
}

static void add(kc_sched_stats_t *sum, const kci_worker_t *worker) {
    kci_counts_t *counts = (kci_counts_t *)&worker->counts; /* C11 loads from words that are not const only */
    uint64_t hits = kc_atomic_count_load(&counts->fastpath_hits), queued = kc_atomic_count_load(&counts->deque_hits);
    uint64_t pulled = kc_atomic_count_load(&counts->inject_pulls), stolen = kc_atomic_count_load(&counts->stolen);
    uint64_t probes = kc_atomic_count_load(&counts->probes);
    sum->tasks_submitted += spawned(&worker->shard);
    sum->tasks_completed += kc_atomic_count_load(&counts->completed);
    sum->fastpath_hits += hits;
    sum->fastpath_misses += queued + pulled + stolen;
    sum->deque_hits += queued;
    sum->inject_pulls += pulled;
    sum->steals_probes += probes;
    sum->steals_succeeded += stolen;
    sum->steals_failures += probes > stolen ? probes - stolen : 0;
    sum->donations += kc_atomic_count_load(&counts->donations);
    sum->yields += kc_atomic_count_load(&counts->yields);
    sum->waits += kc_atomic_count_load(&counts->waits);
    sum->parks += kc_atomic_count_load(&counts->parks);
    sum->wakeups += kc_atomic_count_load(&counts->wakeups);
    sum->timers += kc_atomic_count_load(&counts->timers);
}

size_t kc_sched_workers(const kc_sched_t *s) {
    return s != NULL ? s->options.workers : 0;
}

int kc_sched_worker_stats(const kc_sched_t *s, size_t worker, kc_sched_stats_t *out) {
    if (s == NULL || out == NULL || worker >= s->options.workers)
        return -EINVAL;
    memset(out, 0, sizeof *out);
    add(out, &s->workers[worker]);
    return 0;
}

int kc_sched_stats(const kc_sched_t *s, kc_sched_stats_t *out) {
    if (s == NULL || out == NULL)
        return -EINVAL;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < s->options.workers; i++)
        add(out, &s->workers[i]);
    out->tasks_submitted += spawned(&s->foreign);
    return 0;
}

#define U(name) (unsigned long long)stats.name

int kc_sched_dump(const kc_sched_t *s, char *text, size_t room) {
    kc_sched_stats_t stats;
    if ((text == NULL && room != 0) || kc_sched_stats(s, &stats) != 0)
        return -EINVAL;
    return snprintf(text, room,
                    "workers=%zu tasks=%zu tasks_submitted=%llu tasks_completed=%llu fastpath_hits=%llu "
                    "fastpath_misses=%llu deque_hits=%llu inject_pulls=%llu steals_probes=%llu steals_succeeded=%llu "
                    "steals_failures=%llu donations=%llu yields=%llu waits=%llu parks=%llu wakeups=%llu timers=%llu",
                    s->options.workers, kci_sched_live((kc_sched_t *)s), U(tasks_submitted), U(tasks_completed),
                    U(fastpath_hits), U(fastpath_misses), U(deque_hits), U(inject_pulls), U(steals_probes),
                    U(steals_succeeded), U(steals_failures), U(donations), U(yields), U(waits), U(parks), U(wakeups),
                    U(timers));
}
