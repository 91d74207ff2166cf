/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What each tunable of the scheduler changes, as one line of numbers; test_scheduler.py compiles it with other defaults. */

#include <stdio.h>

#include "kcoro/shared.h"
#include "ring.h"

static kc_sched_t *made(size_t workers) {
    kc_sched_options_t options = {.workers = workers};
    kc_sched_t *s = NULL;
    kc_sched_create(&s, &options);
    return s;
}

/* Let it come to rest, and end it. */
static kc_sched_stats_t after(kc_sched_t *s) {
    kc_sched_stats_t stats;
    kc_sched_start(s);
    kc_sched_drain(s, -1);
    kc_sched_stats(s, &stats);
    kc_sched_shutdown(s, -1);
    kc_sched_destroy(s);
    return stats;
}

static int returns(void *arg) {
    (void)arg;
    return 0;
}

static int spawns_many(void *arg) {
    for (int i = 0; i < 400; i++)
        kc_sched_spawn(kc_sched_current(), NULL, returns, arg, NULL, 0);
    return 0;
}

static kc_atomic_int has_run;

static int yields_until(void *arg) {
    (void)arg;
    while (kc_atomic_load(&has_run) == 0)
        kc_task_yield();
    return 0;
}

static int sets(void *arg) {
    (void)arg;
    kc_atomic_store(&has_run, 1);
    return 0;
}

static kc_task_t *other[2];

static int wakes_the_other(void *self) {
    for (int i = 0; i < 60; i++) {
        kc_task_unpark(other[self == &other[0]]);
        kc_task_park(-1);
    }
    kc_task_unpark(other[self == &other[0]]);
    return 0;
}

static int fills(void *ch) {
    for (int i = 0; i < 1000; i++)
        kc_send(ch, NULL, -1);
    return 0;
}

int main(void) {
    kc_shared_t *ch;
    kc_sched_t *s = made(2);
    printf("steal_scan=%d", (int)after(s).steals_probes / 2);

    s = made(1);
    kc_sched_spawn(s, NULL, spawns_many, NULL, NULL, 0);
    printf(" deque_room=%d", (int)after(s).donations);

    int room = 0;
    for (s = made(1); kc_sched_spawn(s, NULL, returns, NULL, NULL, 0) == 0;)
        room++;
    after(s);
    printf(" inject_room=%d", room);

    s = made(1);
    kc_sched_spawn(s, NULL, yields_until, NULL, NULL, 0);
    kc_sched_spawn(s, NULL, sets, NULL, NULL, 0);
    printf(" inject_every=%d", (int)after(s).yields + 1);

    s = made(1);
    for (int i = 0; i < 2; i++)
        kc_sched_spawn(s, &other[i], wakes_the_other, &other[i], NULL, 0);
    kc_sched_stats_t stats = after(s);
    printf(" inline_most=%d", (int)(stats.fastpath_hits / stats.deque_hits));

    kc_shared_make(&ch, KC_UNLIMITED, 0, KC_SUSPEND, NULL);
    s = made(1);
    kc_sched_spawn(s, NULL, fills, ch, NULL, 0);
    printf(" budget=%d", 1000 / (int)after(s).yields);
    kc_shared_release(ch);
    for (int i = 0; i < 2; i++)
        kc_task_join(other[i], NULL, 0);

    kci_ring_t ring;
    kci_ring_make(&ring, 0);
    kci_ring_reserve(&ring, 1);
    printf(" first_room=%d\n", (int)ring.room);
    kci_ring_free(&ring);
    return 0;
}
