/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a worker does: whose turn it is, and what becomes of a task after its step. Contracts in work.h. */

#include "kcoro/select.h"
#include "work.h"

/* -- tasks that may go on */

/* The newest half of a full queue goes to all, in its order, so that what is older stays ahead of it. */
static void donate(kci_worker_t *self, kc_task_t *newest) {
    kc_task_t *first = newest;
    int count = 1;
    newest->next = NULL;
    for (kc_task_t *task; count <= KC_SCHED_DEQUE_ROOM / 2 && (task = kci_deque_pop(&self->deque)) != NULL; count++) {
        task->next = first;
        first = task;
    }
    kc_atomic_count_add(&self->counts.donations, (uint64_t)count);
    kci_inject_push(self->sched, first, newest, count);
}

static void queue(kci_worker_t *self, kc_task_t *task) {
    if (kci_deque_push(&self->deque, task))
        kci_notify(self->sched);
    else
        donate(self, task);
}

void kci_task_ready(kc_task_t *task, bool may_be_next) {
    kci_worker_t *self = kci_seat()->worker;
    if (self == NULL || self->sched != task->sched) {
        kci_inject_push(task->sched, task, task, 1);
        return;
    }
    if (may_be_next && self->task != NULL && self->sched->options.resume == KC_RESUME_INLINE) {
        kc_task_t *displaced = self->slot;
        self->slot = task;
        task = displaced;
    }
    if (task != NULL)
        queue(self, task);
}

void kci_task_wake(kc_task_t *task) {
    if (kc_atomic_swap_if(&task->word, KCI_GOES_ON, KCI_WOKEN))
        return; /* it has not stopped yet, and whoever sees it stop has it go on */
    kc_atomic_store(&task->word, KCI_GOES_ON);
    kci_task_ready(task, true);
}

/* -- whose turn it is */

static kc_task_t *found(kc_task_t *task, kc_atomic_count *where) {
    if (task != NULL)
        kc_atomic_count_add(where, 1);
    return task;
}

/* What was woken just now; but after some of these in a row it goes behind those that wait. */
static kc_task_t *take_slot(kci_worker_t *self) {
    kc_task_t *task = self->slot;
    if (task == NULL)
        return NULL;
    self->slot = NULL;
    if (self->in_a_row >= self->sched->options.inline_most) {
        queue(self, task);
        return NULL;
    }
    self->in_a_row++;
    return found(task, &self->counts.fastpath_hits);
}

/* The oldest of a queue: until somebody has it, or there is none. */
static kc_task_t *take(kci_deque_t *deque) {
    bool lost;
    kc_task_t *task;
    do
        task = kci_deque_take(deque, &lost);
    while (lost);
    return task;
}

static size_t choose_victim(kci_worker_t *self) {
    size_t count = self->sched->options.workers, own = (size_t)(self - self->sched->workers);
    size_t victim = self->hint;
    self->hint = count;
    if (victim >= count || victim == own)
        victim = (own + 1 + kc_pick_random(&self->chance, count - 1)) % count;
    return victim;
}

static kc_task_t *steal(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    kc_task_t *task = NULL;
    if (s->options.workers == 1)
        return NULL;
    kci_search_begin(self);
    for (size_t probes = 0; probes < s->options.steal_scan && task == NULL; probes++) {
        bool lost;
        kc_atomic_count_add(&self->counts.probes, 1);
        task = kci_deque_take(&s->workers[choose_victim(self)].deque, &lost);
    }
    return found(task, &self->counts.stolen);
}

static kc_task_t *next(kci_worker_t *self) {
    kc_sched_t *s = self->sched;
    kc_task_t *task = NULL;
    if (++self->ticks % s->options.inject_every == 0) {
        kci_run_timers(s);
        task = found(kci_inject_pull(s), &self->counts.inject_pulls);
    }
    if (task == NULL && (task = take_slot(self)) != NULL)
        return task;
    self->in_a_row = 0;
    if (task == NULL)
        task = found(take(&self->deque), &self->counts.deque_hits);
    if (task == NULL)
        task = found(kci_inject_pull(s), &self->counts.inject_pulls);
    return task != NULL ? task : steal(self);
}

/* -- a step */

/* It has been left, and nobody else has it but the one that wakes it. */
static void stopped(kci_worker_t *self, kc_task_t *task) {
    kc_atomic_count_add(&self->counts.waits, 1);
    if (kc_atomic_swap_if(&task->word, KCI_GOES_ON, KCI_WAITS))
        return; /* from here on it may be anywhere, and gone */
    kc_atomic_store(&task->word, KCI_GOES_ON);
    kci_task_ready(task, false);
}

static void finished(kci_worker_t *self, kc_task_t *task, int result) {
    kc_atomic_count_add(&self->counts.completed, 1);
    kci_task_finish(task, result);
}

static void run(kci_worker_t *self, kc_task_t *task) {
    int result;
    if (kci_task_must_end(task) && kc_coro_state(task->co) == KC_CORO_CREATED) {
        finished(self, task, -ECANCELED);
        return;
    }
    self->task = task;
    self->why = KCI_YIELDED;
    self->spent = 0;
    kc_coro_resume(task->co);
    self->task = NULL;
    if (self->why == KCI_STOPPED) {
        stopped(self, task);
    } else if (kc_coro_result(task->co, &result) == 0) {
        finished(self, task, result);
    } else {
        kc_atomic_count_add(&self->counts.yields, 1);
        queue(self, task);
    }
}

void *kci_work(void *worker) {
    kci_worker_t *self = worker;
    kci_seat()->worker = self;
    for (bool goes_on = true; goes_on;) {
        kc_task_t *task = next(self);
        if (task != NULL) {
            kci_search_end(self, true);
            run(self, task);
        } else {
            goes_on = kci_idle(self);
        }
    }
    kci_seat()->worker = NULL;
    return NULL;
}
