/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* How a task or a thread waits, and what ends a wait. Contracts in work.h. */

#include <string.h>
#include <time.h>

#include "work.h"

#define SECOND UINT64_C(1000000000)

/* -- time */

uint64_t kci_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

struct timespec kci_timespec(uint64_t at) {
    struct timespec time;
    if (at / SECOND > INT32_MAX) /* later than any clock of this kind comes; time_t may be small */
        at = INT32_MAX * SECOND;
    time.tv_sec = (time_t)(at / SECOND);
    time.tv_nsec = (long)(at % SECOND);
    return time;
}

uint64_t kci_deadline(int64_t timeout_ns) {
    if (timeout_ns < 0)
        return KC_NEVER;
    uint64_t now = kci_now(), span = (uint64_t)timeout_ns;
    return span < KC_NEVER - now ? now + span : KC_NEVER;
}

int kci_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t how;
    if (pthread_condattr_init(&how) != 0)
        return -ENOMEM;
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(cond, &how);
    pthread_condattr_destroy(&how);
    return rc != 0 ? -ENOMEM : 0;
}

/* -- timers */

static bool time_has_come(const kci_wait_t *wait) {
    return wait->in_time != NULL ? kc_waiter_complete(wait->in_time, NULL) : kc_op_expire(wait->op);
}

static void expired(kc_timer_t *timer) {
    kci_wait_t *wait = (kci_wait_t *)(void *)((char *)timer - offsetof(kci_wait_t, timer));
    kci_worker_t *worker = kci_seat()->worker;
    if (time_has_come(wait) && worker != NULL)
        kc_atomic_count_add(&worker->counts.timers, 1);
}

/* Tell those that sleep of the earliest deadline, if it is another one. */
static void announce(kc_sched_t *s) {
    uint64_t next = kc_timers_next(&s->timers);
    kc_atomic_store(&s->timer_count, (int)(kc_timers_count(&s->timers) != 0));
    if (next == s->announced)
        return;
    s->announced = next;
    kci_announce(s, next);
}

void kci_run_timers(kc_sched_t *s) {
    if (kc_atomic_load(&s->timer_count) == 0)
        return;
    pthread_mutex_lock(&s->timers_lock);
    kc_timers_expire(&s->timers, kci_now());
    announce(s);
    kci_leave(&s->timers_lock);
}

static void start_timer(kci_wait_t *wait, kc_sched_t *s, int64_t timeout_ns) {
    pthread_mutex_lock(&s->timers_lock);
    kc_timer_start(&s->timers, &wait->timer, kci_deadline(timeout_ns), expired);
    announce(s);
    pthread_mutex_unlock(&s->timers_lock);
}

/* Behind it the timer's function neither runs nor will. What sleepers know may be too early: then one wakes once. */
static void stop_timer(kci_wait_t *wait, kc_sched_t *s) {
    pthread_mutex_lock(&s->timers_lock);
    kc_timer_cancel(&wait->timer);
    kc_atomic_store(&s->timer_count, (int)(kc_timers_count(&s->timers) != 0));
    pthread_mutex_unlock(&s->timers_lock);
}

/* -- waking, once no lock is held */

/* The parker of a wait: it is called under the lock of whatever decided the operation. */
static void decided(kc_parker_t *parker, kc_op_t *op) {
    kci_wait_t *wait = (kci_wait_t *)(void *)parker;
    kci_seat_t *seat = kci_seat();
    (void)op;
    wait->next = NULL;
    *(seat->last != NULL ? &seat->last->next : &seat->first) = wait;
    seat->last = wait;
}

static void wake_thread(kci_wait_t *wait) {
    pthread_mutex_lock(&wait->lock);
    wait->is_woken = true;
    pthread_cond_signal(&wait->woken);
    pthread_mutex_unlock(&wait->lock);
}

void kci_wake_owners(void) {
    kci_seat_t *seat = kci_seat();
    kci_wait_t *wait = seat->first;
    seat->first = seat->last = NULL;
    while (wait != NULL) {
        kci_wait_t *next = wait->next; /* whoever is woken takes its memory away */
        if (wait->task != NULL)
            kci_task_wake(wait->task);
        else
            wake_thread(wait);
        wait = next;
    }
}

void kci_leave(pthread_mutex_t *lock) {
    pthread_mutex_unlock(lock);
    kci_wake_owners();
}

/* -- waiting */

int kci_wait_begin(kci_wait_t *wait, kc_op_t *op) {
    memset(wait, 0, sizeof *wait);
    wait->parker.unpark = decided;
    wait->task = kc_task_current();
    wait->op = op;
    if (wait->task != NULL)
        return 0;
    if (pthread_mutex_init(&wait->lock, NULL) != 0)
        return -ENOMEM;
    if (kci_cond_init(&wait->woken) == 0)
        return 0;
    pthread_mutex_destroy(&wait->lock);
    return -ENOMEM;
}

void kci_wait_end(kci_wait_t *wait) {
    if (wait->task != NULL)
        return;
    pthread_mutex_destroy(&wait->lock);
    pthread_cond_destroy(&wait->woken);
}

/* Let the worker go; it was woken exactly once when this returns. */
static void stop(kc_task_t *self) {
    if (kc_atomic_swap_if(&self->word, KCI_WOKEN, KCI_GOES_ON))
        return;
    kci_seat()->worker->why = KCI_STOPPED;
    kc_coro_yield();
}

/*
** A cancel or shutdown that begins from here on finds the operation, or is seen here; and one that has found it is
** awaited, because the operation lies on this stack.
*/
static void wait_as_task(kci_wait_t *wait, kc_task_t *self) {
    kc_atomic_swap_ptr_sc(&self->op, wait->op);
    if (kci_task_must_end(self)) {
        kc_op_revoke(wait->op);
        kci_wake_owners();
    }
    stop(self);
    kc_atomic_swap_ptr_sc(&self->op, NULL);
    if (kci_task_must_end(self)) {
        pthread_mutex_lock(&self->shard->lock);
        pthread_mutex_unlock(&self->shard->lock);
    }
}

static void expire_here(kci_wait_t *wait) {
    pthread_mutex_unlock(&wait->lock);
    time_has_come(wait);
    kci_wake_owners();
    pthread_mutex_lock(&wait->lock);
}

static void wait_as_thread(kci_wait_t *wait, int64_t timeout_ns) {
    uint64_t deadline = kci_deadline(timeout_ns);
    pthread_mutex_lock(&wait->lock);
    while (!wait->is_woken) {
        struct timespec until = kci_timespec(deadline);
        if (deadline == KC_NEVER) {
            pthread_cond_wait(&wait->woken, &wait->lock);
        } else if (pthread_cond_timedwait(&wait->woken, &wait->lock, &until) != 0 && kci_now() >= deadline) {
            expire_here(wait);
            deadline = KC_NEVER; /* it was decided, by this thread or another one, and is about to be woken */
        }
    }
    pthread_mutex_unlock(&wait->lock);
}

int kci_wait(kci_wait_t *wait, int64_t timeout_ns) {
    if (wait->task != NULL) {
        kc_sched_t *s = wait->task->sched;
        if (timeout_ns >= 0)
            start_timer(wait, s, timeout_ns);
        wait_as_task(wait, wait->task);
        if (timeout_ns >= 0)
            stop_timer(wait, s);
    } else {
        wait_as_thread(wait, timeout_ns);
        kci_wait_end(wait);
    }
    return kc_op_result(wait->op);
}
