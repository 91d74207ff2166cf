/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inject queue: tasks that come to the workers from outside. Contracts in work.h.
**
** Rule: whoever brings a task tells the workers before it leaves the lock. Until then nobody takes the task, and the
** scheduler is not over; behind it the task may have ended and the scheduler may be gone, of which those who wake a
** task from elsewhere know nothing.
*/

#include <time.h>

#include "work.h"

static void append(kci_inject_t *q, kc_task_t *first, kc_task_t *last, int count) {
    last->next = NULL;
    *(q->last != NULL ? &q->last->next : &q->first) = first;
    q->last = last;
    kc_atomic_add_sc(&q->length, count);
}

void kci_inject_push(kc_sched_t *s, kc_task_t *first, kc_task_t *last, int count) {
    pthread_mutex_lock(&s->inject.lock);
    append(&s->inject, first, last, count);
    kci_notify(s);
    pthread_mutex_unlock(&s->inject.lock);
}

/* Wait for room, with the lock held. */
static int wait_for_room(kc_sched_t *s, uint64_t deadline) {
    kc_atomic_int *length = &s->inject.length;
    while (kc_atomic_load(&s->is_stopping) == 0 && (size_t)kc_atomic_load(length) >= s->options.inject_room) {
        if (deadline == 0 || !s->is_started)
            return -EAGAIN;
        if (kci_now() >= deadline)
            return -ETIME;
        struct timespec until = kci_timespec(deadline);
        if (deadline == KC_NEVER)
            pthread_cond_wait(&s->inject.has_room, &s->inject.lock);
        else
            pthread_cond_timedwait(&s->inject.has_room, &s->inject.lock, &until);
    }
    return kc_atomic_load(&s->is_stopping) != 0 ? -ECANCELED : 0;
}

int kci_inject_new(kc_sched_t *s, kc_task_t *task, int64_t timeout_ns) {
    uint64_t deadline = timeout_ns == 0 ? 0 : kci_deadline(timeout_ns);
    pthread_mutex_lock(&s->inject.lock);
    int rc = wait_for_room(s, deadline);
    if (rc == 0) {
        append(&s->inject, task, task, 1);
        kci_notify(s);
    }
    pthread_mutex_unlock(&s->inject.lock);
    return rc;
}

kc_task_t *kci_inject_pull(kc_sched_t *s) {
    kci_inject_t *q = &s->inject;
    if (kc_atomic_load_sc(&q->length) == 0)
        return NULL;
    pthread_mutex_lock(&q->lock);
    kc_task_t *task = q->first;
    if (task != NULL) {
        q->first = task->next;
        if (q->first == NULL)
            q->last = NULL;
        kc_atomic_add_sc(&q->length, -1);
        pthread_cond_signal(&q->has_room); /* each time: several may wait, and each pull makes room for one */
    }
    pthread_mutex_unlock(&q->lock);
    return task;
}
