/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Tasks: how they begin and end, and how they wait for each other. Contracts in kcoro/scheduler.h. */

#include <string.h>

#include "alloc.h"
#include "work.h"

/* -- beginning */

static void enter(kc_task_t *task) {
    kci_shard_t *shard = task->shard;
    pthread_mutex_lock(&shard->lock);
    task->older = shard->newest;
    if (shard->newest != NULL)
        shard->newest->newer = task;
    shard->newest = task;
    shard->count++;
    shard->spawned++;
    kc_atomic_add_sc(&shard->references, 1);
    pthread_mutex_unlock(&shard->lock);
}

/* With the shard's lock. */
static void unlink_task(kc_task_t *task) {
    kci_shard_t *shard = task->shard;
    *(task->newer != NULL ? &task->newer->older : &shard->newest) = task->older;
    if (task->older != NULL)
        task->older->newer = task->newer;
    shard->count--;
}

static void free_task(kc_task_t *task) {
    kci_shard_release(task->sched, task->shard);
    kci_free(task);
}

static void drop(kc_task_t *task) {
    if (kc_atomic_add_sc(&task->references, -1) == 0)
        free_task(task);
}

static int make(kc_task_t **out, kc_sched_t *s, kc_coro_fn fn, void *arg, const kc_coro_options_t *options) {
    kc_coro_options_t how = {0, NULL};
    if (options != NULL)
        how = *options;
    if (how.stack_size == 0)
        how.stack_size = s->options.stack_size;
    kc_task_t *task = kci_alloc(1, sizeof *task);
    if (task == NULL)
        return -ENOMEM;
    memset(task, 0, sizeof *task);
    int rc = kc_coro_create(&task->co, fn, arg, &how);
    if (rc != 0) {
        kci_free(task);
        return rc;
    }
    task->sched = s;
    kc_atomic_store(&task->word, KCI_GOES_ON);
    kc_atomic_store(&task->is_cancelled, 0);
    kc_atomic_store(&task->is_finished, 0);
    kc_atomic_store_ptr(&task->op, NULL);
    *out = task;
    return 0;
}

/* It was not taken: as if it had never been. */
static void unmake(kc_task_t *task) {
    pthread_mutex_lock(&task->shard->lock);
    unlink_task(task);
    task->shard->spawned--;
    pthread_mutex_unlock(&task->shard->lock);
    kc_coro_destroy(task->co);
    free_task(task);
}

int kc_sched_spawn(kc_sched_t *s, kc_task_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options,
                   int64_t timeout_ns) {
    kci_worker_t *worker = kci_seat()->worker;
    kc_task_t *task;
    if (s == NULL || fn == NULL)
        return -EINVAL;
    if (kc_atomic_load(&s->is_stopping) != 0)
        return -ECANCELED;
    int rc = make(&task, s, fn, arg, options);
    if (rc != 0)
        return rc;
    bool is_inside = worker != NULL && worker->sched == s;
    task->shard = is_inside ? &worker->shard : &s->foreign;
    kc_atomic_store(&task->references, out != NULL ? 2 : 1);
    if (out != NULL)
        *out = task; /* now: it may have finished when this returns */
    enter(task);
    if (is_inside) {
        kci_task_ready(task, false);
        return 0;
    }
    rc = kci_inject_new(s, task, worker != NULL ? 0 : timeout_ns); /* a worker must not be held up */
    if (rc != 0)
        unmake(task);
    if (rc != 0 && out != NULL)
        *out = NULL;
    return rc;
}

/* -- its end */

void kci_task_finish(kc_task_t *task, int result) {
    kc_sched_t *s = task->sched;
    kci_shard_t *shard = task->shard;
    kc_coro_destroy(task->co);
    task->co = NULL;
    pthread_mutex_lock(&shard->lock);
    unlink_task(task);
    task->result = result;
    if (task->joiner != NULL)
        kc_waiter_complete(task->joiner, NULL);
    kc_atomic_store(&task->is_finished, 1); /* from here on the waiter may be gone: one that gave up looks at this */
    kci_leave(&shard->lock);
    drop(task);
    if (kc_atomic_load(&s->is_stopping) == 0)
        return;
    pthread_mutex_lock(&s->idle_lock);
    pthread_cond_broadcast(&s->quiet);
    pthread_mutex_unlock(&s->idle_lock);
}

static int take_result(kc_task_t *task, int *result) {
    if (result != NULL)
        *result = task->result;
    drop(task);
    return 0;
}

/* Stand in the place of the one that joins. 0; -EAGAIN: it has finished meanwhile; -EINVAL: somebody stands there. */
static int stand(kc_task_t *task, kc_waiter_t *w) {
    int rc = 0;
    pthread_mutex_lock(&task->shard->lock);
    if (kc_atomic_load(&task->is_finished) != 0)
        rc = -EAGAIN;
    else if (task->joiner != NULL)
        rc = -EINVAL;
    else
        task->joiner = w;
    pthread_mutex_unlock(&task->shard->lock);
    return rc;
}

static int join(kc_task_t *task, int64_t timeout_ns) {
    kci_wait_t wait;
    kc_waiter_t w;
    kc_op_t op;
    int rc = kci_wait_begin(&wait, &op);
    if (rc != 0)
        return rc;
    kc_op_init(&op, &wait.parker);
    kc_waiter_init(&w, &op, 0, false, NULL);
    rc = stand(task, &w);
    if (rc != 0) {
        kci_wait_end(&wait);
        return rc == -EAGAIN ? 0 : rc;
    }
    rc = kci_wait(&wait, timeout_ns);
    if (rc == 0)
        return 0;
    if (kc_atomic_load(&task->is_finished) == 0) {
        pthread_mutex_lock(&task->shard->lock);
        task->joiner = NULL;
        pthread_mutex_unlock(&task->shard->lock);
    }
    return rc;
}

int kc_task_join(kc_task_t *task, int *result, int64_t timeout_ns) {
    if (task == NULL || task == kc_task_current())
        return -EINVAL;
    if (kc_atomic_load(&task->is_finished) == 0) {
        int rc = timeout_ns == 0 ? -EAGAIN : join(task, timeout_ns);
        if (rc != 0)
            return rc;
    }
    return take_result(task, result);
}

int kc_task_detach(kc_task_t *task) {
    int rc = 0;
    if (task == NULL)
        return -EINVAL;
    if (kc_atomic_load(&task->is_finished) == 0) {
        pthread_mutex_lock(&task->shard->lock);
        rc = task->joiner != NULL ? -EINVAL : 0;
        pthread_mutex_unlock(&task->shard->lock);
    }
    if (rc == 0)
        drop(task);
    return rc;
}

int kc_task_cancel(kc_task_t *task) {
    if (task == NULL)
        return -EINVAL;
    if (kc_atomic_load(&task->is_finished) != 0)
        return 0;
    kc_atomic_store_sc(&task->is_cancelled, 1);
    pthread_mutex_lock(&task->shard->lock);
    kc_op_revoke(kc_atomic_load_ptr_sc(&task->op));
    kci_leave(&task->shard->lock);
    return 0;
}

/* -- parking */

/* A coroutine that a task has resumed itself is not the task: it could not be left for the worker. */
kc_task_t *kc_task_current(void) {
    kci_worker_t *worker = kci_seat()->worker;
    kc_task_t *task = worker != NULL ? worker->task : NULL;
    return task != NULL && task->co == kc_coro_current() ? task : NULL;
}

kc_sched_t *kc_sched_current(void) {
    kci_worker_t *worker = kci_seat()->worker;
    return worker != NULL ? worker->sched : NULL;
}

int kc_task_unpark(kc_task_t *task) {
    if (task == NULL)
        return -EINVAL;
    if (kc_atomic_load(&task->is_finished) != 0)
        return 0;
    pthread_mutex_lock(&task->shard->lock);
    if (task->parked == NULL || !kc_waiter_complete(task->parked, NULL))
        task->may_go_on = true;
    task->parked = NULL;
    kci_leave(&task->shard->lock);
    return 0;
}

/* Whether it may go on already; else `w` waits for that. */
static bool may_go_on(kc_task_t *self, kc_waiter_t *w) {
    pthread_mutex_lock(&self->shard->lock);
    bool may = self->may_go_on;
    self->may_go_on = false;
    if (!may)
        self->parked = w;
    pthread_mutex_unlock(&self->shard->lock);
    return may;
}

int kc_task_park(int64_t timeout_ns) {
    kc_task_t *self = kc_task_current();
    kci_wait_t wait;
    kc_waiter_t w;
    kc_op_t op;
    if (self == NULL)
        return -EINVAL;
    kci_wait_begin(&wait, &op);
    kc_op_init(&op, &wait.parker);
    kc_waiter_init(&w, &op, 0, false, NULL);
    if (may_go_on(self, timeout_ns != 0 ? &w : NULL))
        return 0;
    if (timeout_ns == 0)
        return -EAGAIN;
    int rc = kci_wait(&wait, timeout_ns);
    if (rc == 0)
        return 0;
    pthread_mutex_lock(&self->shard->lock);
    self->parked = NULL;
    pthread_mutex_unlock(&self->shard->lock);
    return rc;
}

int kc_task_yield(void) {
    kc_task_t *self = kc_task_current();
    if (self == NULL)
        return -EINVAL;
    kc_coro_yield();
    return kci_task_must_end(self) ? -ECANCELED : 0;
}

int kc_task_sleep(int64_t ns) {
    kci_wait_t wait;
    kc_op_t op;
    if (kc_task_current() == NULL || ns < 0)
        return -EINVAL;
    kci_wait_begin(&wait, &op);
    kc_op_init(&op, &wait.parker);
    int rc = kci_wait(&wait, ns);
    return rc == -ETIME ? 0 : rc;
}
