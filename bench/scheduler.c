/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Our side of bench/scheduler.py: `scheduler WHAT WORKERS COUNT WIDTH [queue] [keep]` prints one JSON object of what was
** done, what it took by the clock and of the processor, and how late the sleepers woke. The programs are those of scheduler.go, one to one.
**
** queue  a task that is woken waits for its turn (KC_RESUME_QUEUE)
** keep   the stacks of all tasks stay in the process, as Go's do between two collections
*/

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kcoro/kcoro.h"
#include "kcoro/stack.h"

#define HOUR INT64_C(3600000000000)
#define MS INT64_C(1000000)

static long count, width;
static uint64_t total;
static kc_sched_t *sched, *beside; /* `beside` has a worker of its own, for whoever is to be apart */

/* -- what may not fail */

static void *number(uint64_t n) {
    return (void *)(uintptr_t)n;
}

static void must(int rc) {
    if (rc < 0) {
        fprintf(stderr, "a call has failed: %s\n", kc_code_name(rc));
        exit(1);
    }
}

static void *room(long items, size_t size) {
    void *memory = calloc((size_t)items, size);
    if (memory == NULL)
        must(-ENOMEM);
    return memory;
}

static kc_task_t *spawn(kc_sched_t *s, kc_coro_fn fn, void *arg) {
    kc_task_t *task;
    must(kc_sched_spawn(s, &task, fn, arg, NULL, 0));
    return task;
}

static uint64_t joined(kc_task_t *task) {
    int result;
    must(kc_task_join(task, &result, -1));
    must(result);
    return (uint64_t)result;
}

static kc_shared_t *channel(kc_kind_t kind, size_t capacity) {
    kc_shared_t *ch;
    must(kc_shared_make(&ch, kind, capacity, KC_SUSPEND, NULL));
    return ch;
}

static uint64_t received(kc_shared_t *ch, int64_t timeout) {
    void *element;
    must(kc_recv(ch, &element, timeout));
    return (uint64_t)(uintptr_t)element;
}

/* -- turns */

static int yields(void *arg) {
    long turns = count / 2;
    (void)arg;
    for (long i = 0; i < turns; i++)
        must(kc_task_yield());
    return (int)turns;
}

static void yield(void) {
    kc_task_t *one = spawn(sched, yields, NULL), *other = spawn(sched, yields, NULL);
    total += joined(one) + joined(other);
}

/* -- channels */

static kc_shared_t *ask, *reply;

static int answers(void *arg) {
    (void)arg;
    for (long i = 0; i < count; i++)
        must(kc_send(reply, number(received(ask, -1) + 1), -1));
    return 0;
}

static void round_trips(kc_sched_t *where, int64_t timeout) {
    ask = channel(KC_RENDEZVOUS, 0);
    reply = channel(KC_RENDEZVOUS, 0);
    kc_task_t *answerer = spawn(where, answers, NULL);
    for (long i = 0; i < count; i++) {
        must(kc_send(ask, number((uint64_t)i), -1));
        total += received(reply, timeout);
    }
    joined(answerer);
    kc_shared_release(ask);
    kc_shared_release(reply);
}

static void rendezvous(void) {
    round_trips(sched, -1);
}

static void apart(void) {
    round_trips(beside, -1);
}

static void deadline(void) {
    round_trips(sched, HOUR);
}

static int sends(void *ch) {
    for (long i = 0; i < count; i++)
        must(kc_send(ch, number((uint64_t)i), -1));
    return 0;
}

static void buffered(void) {
    kc_shared_t *ch = channel(KC_BUFFERED, 128);
    kc_task_t *sender = spawn(sched, sends, ch);
    for (long i = 0; i < count; i++)
        total += received(ch, -1);
    joined(sender);
    kc_shared_release(ch);
}

/* -- tasks */

static int returns(void *n) {
    return (int)(uintptr_t)n;
}

/* Start `width` of them, then join each, again and again. */
static void batches(kc_coro_fn fn) {
    kc_task_t **tasks = room(width, sizeof *tasks);
    for (long first = 0; first < count; first += width) {
        for (long i = 0; i < width; i++)
            tasks[i] = spawn(sched, fn, number((uint64_t)(first + i)));
        for (long i = 0; i < width; i++)
            total += joined(tasks[i]);
    }
    free(tasks);
}

static void spawns(void) {
    batches(returns);
}

/* About a microsecond that no compiler can shorten. */
static int computes(void *n) {
    uint64_t x = (uint64_t)(uintptr_t)n;
    for (int i = 0; i < 1000; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        x ^= x >> 33;
    }
    return (int)(x & 0xffff);
}

static void steal(void) {
    batches(computes);
}

static kc_atomic_int has_run;

static int runs(void *arg) {
    (void)arg;
    return kc_atomic_add_sc(&has_run, 1) > 0;
}

/* This worker is busy until another one has taken what it has started. */
static void first(void) {
    kc_atomic_store(&has_run, 0);
    for (long i = 0; i < count; i++) {
        kc_task_t *task = spawn(sched, runs, NULL);
        while (kc_atomic_load(&has_run) == i)
            ;
        total += joined(task);
    }
}

/* -- time */

static uint64_t now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

static void never(kc_timer_t *timer) {
    (void)timer;
    must(-EINVAL);
}

/* Take one of `width` timers back and start it again, under a lock: Go's may be used from anywhere. */
static void rearm(void) {
    static kc_timers_t timers;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    kc_timer_t *all = room(width, sizeof *all);
    kc_timers_init(&timers, now(CLOCK_MONOTONIC));
    for (long i = 0; i < count + width; i++) {
        kc_timer_t *timer = &all[i % width];
        pthread_mutex_lock(&lock);
        total += (uint64_t)kc_timer_cancel(timer);
        must(kc_timer_start(&timers, timer, now(CLOCK_MONOTONIC) + (uint64_t)(HOUR + i * 7919 % width * MS), never));
        pthread_mutex_unlock(&lock);
    }
    free(all);
}

static uint64_t *late; /* by how much each sleeper woke late, in nanoseconds */

static int sleeps(void *n) {
    int64_t span = 100 * MS + (int64_t)(uintptr_t)n * 7919 % (width / 20) * MS;
    uint64_t until = now(CLOCK_MONOTONIC) + (uint64_t)span;
    must(kc_task_sleep(span));
    late[(uintptr_t)n % (uintptr_t)width] = now(CLOCK_MONOTONIC) - until;
    return (int)(uintptr_t)n;
}

static void sleepers(void) {
    batches(sleeps);
}

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* What 95 of 100 were not above; 0 where nobody slept. */
static uint64_t most_late(void) {
    qsort(late, (size_t)width, sizeof *late, by_size);
    return late[width * 95 / 100];
}

/* -- the command */

static void (*work)(void);

static void measure(void) {
    uint64_t began = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
    total = 0;
    work();
    began = now(CLOCK_MONOTONIC) - began;
    used = now(CLOCK_PROCESS_CPUTIME_ID) - used;
    printf("{\"count\": %ld, \"total\": %llu, \"seconds\": %.9f, \"processor\": %.9f, \"late\": %.9f}\n", count,
           (unsigned long long)total, (double)began / 1e9, (double)used / 1e9, (double)most_late() / 1e9);
}

static int warms_and_measures(void *arg) {
    long full = count;
    (void)arg;
    count = full < 10 * width ? width : full / 10 / width * width;
    work();
    count = full;
    measure();
    return 0;
}

static kc_sched_t *started(size_t workers, kc_resume_t resume) {
    kc_sched_options_t options = {.workers = workers, .resume = resume};
    kc_sched_t *s;
    must(kc_sched_create(&s, &options));
    must(kc_sched_start(s));
    return s;
}

static void end(kc_sched_t *s) {
    must(kc_sched_shutdown(s, -1));
    must(kc_sched_destroy(s));
}

static const struct {
    const char *name;
    void (*work)(void);
} all[] = {{"yield", yield},       {"rendezvous", rendezvous}, {"apart", apart}, {"deadline", deadline},
           {"buffered", buffered}, {"spawn", spawns},          {"steal", steal}, {"first", first},
           {"rearm", rearm},       {"sleepers", sleepers}};

static bool has(int argc, char **argv, const char *word) {
    for (int i = 5; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(argv[1], all[i].name) == 0)
            work = all[i].work;
    count = atol(argv[3]);
    width = atol(argv[4]);
    if (work == NULL || width < 1 || count % width != 0)
        return 2;
    late = room(width, sizeof *late);
    kc_stack_rules_t keep = {(size_t)width, 64, (size_t)width};
    if (has(argc, argv, "keep"))
        kc_stacks_use(&keep);
    kc_resume_t resume = has(argc, argv, "queue") ? KC_RESUME_QUEUE : KC_RESUME_INLINE;
    sched = started((size_t)atol(argv[2]), resume);
    beside = work == apart ? started(1, resume) : NULL;
    joined(spawn(sched, warms_and_measures, NULL));
    end(sched);
    if (beside != NULL)
        end(beside);
    free(late);
    return 0;
}
