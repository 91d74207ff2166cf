/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The inside of the scheduler, for scheduler.c, scheduler_books.c, worker.c, idle.c, inject.c, task.c, wait.c and
** seat.c; docs/SCHEDULER_DESIGN.md has the reasons.
**
** Locks, in the order in which they are taken: a shard's, then `timers_lock`; that of the inject queue, then
** `idle_lock`; those of channels, then those of trees of tokens; the others are taken last and alone.
** Between taking and leaving them nothing switches.
*/
#ifndef KCI_WORK_H
#define KCI_WORK_H

#include <pthread.h>

#include "deque.h"
#include "kcoro/scheduler.h"
#include "kcoro/timer.h"
#include "kcoro/waiter.h"

typedef struct kci_worker kci_worker_t;
typedef struct kci_wait kci_wait_t;
typedef struct kci_shard kci_shard_t;

/* Where the one that wakes a task and the worker that it leaves meet. */
enum kci_word { KCI_GOES_ON, KCI_WOKEN, KCI_WAITS };

/* Why a task came back to its worker. */
enum kci_why { KCI_YIELDED, KCI_STOPPED };

struct kc_task {
    kc_task_t *next; /* in the inject queue */
    kc_coro_t *co;   /* NULL: it has finished */
    kc_sched_t *sched;
    kc_atomic_int word; /* an enum kci_word */
    kc_atomic_int is_cancelled;
    kc_atomic_ptr op;   /* the kc_op_t that it waits for, which a cancel ends; or NULL */
    kc_atomic_int references;
    kci_shard_t *shard; /* whose lock guards what follows */
    kc_task_t *older, *newer;
    kc_waiter_t *joiner, *parked;
    bool may_go_on; /* it was unparked before it parked */
    int result;
    kc_atomic_int is_finished; /* then there is a result, and the scheduler may be gone */
};

/* Some of the tasks that have not finished: those that one worker has spawned, or all threads. It is part of the
** scheduler, whose memory stays as long as one of them has references: who has a handle needs the lock. */
struct kci_shard {
    pthread_mutex_t lock;
    kc_atomic_int references; /* the scheduler, and each task that has not been freed */
    kc_task_t *newest;
    size_t count;
    uint64_t spawned;
};

/* One call that waits: of a task, or of a thread, where `task` is NULL. On the stack of its owner. */
struct kci_wait {
    kc_parker_t parker;
    kci_wait_t *next; /* of those to be woken when the lock is left */
    kc_task_t *task;
    kc_op_t *op;
    kc_waiter_t *in_time; /* who wins when time has come; NULL: the operation expires */
    kc_timer_t timer;
    pthread_mutex_t lock; /* what follows is a thread's */
    pthread_cond_t woken;
    bool is_woken;
};

/* Tasks that came from outside of the workers, oldest first; linked through themselves. */
typedef struct kci_inject {
    pthread_mutex_t lock;
    pthread_cond_t has_room;
    kc_task_t *first, *last;
    kc_atomic_int length;
} kci_inject_t;

typedef struct kci_counts {
    kc_atomic_count completed, fastpath_hits, deque_hits, inject_pulls, probes, stolen, donations, yields, waits, parks,
        wakeups, timers;
} kci_counts_t;

struct kci_worker {
    kc_sched_t *sched;
    kc_task_t *task; /* that runs */
    kc_task_t *slot; /* that was woken just now, and runs next */
    int why;         /* an enum kci_why: the task's last words */
    size_t ticks, in_a_row;
    size_t spent; /* calls of the task that did not have to wait, in a row */
    uint64_t chance;
    pthread_t thread;
    pthread_cond_t bell;
    kci_worker_t *below, *above; /* of those that sleep */
    bool sleeps, is_searching;
    size_t hint; /* whose queue was not empty when it last looked */
    kci_counts_t counts;
    kci_shard_t shard;
    kci_deque_t deque;
};

struct kc_sched {
    kc_sched_options_t options;
    kci_worker_t *workers; /* options.workers of them */
    kci_inject_t inject;
    kci_shard_t foreign; /* tasks that threads have spawned */
    kc_atomic_int shards; /* those that have references */
    kc_atomic_int is_stopping;
    bool is_started, is_over; /* is_over is guarded by idle_lock */

    pthread_mutex_t timers_lock;
    kc_timers_t timers;
    kc_atomic_int timer_count;
    uint64_t announced; /* the deadline that sleepers know of */

    pthread_mutex_t idle_lock;
    pthread_cond_t quiet;
    kci_worker_t *sleepers, *timekeeper;
    kc_atomic_int sleeping, searching;
    uint64_t deadline; /* `announced`, for those who hold idle_lock */
};

/* What a thread knows of the scheduler. */
typedef struct kci_seat {
    kci_worker_t *worker; /* NULL: it is none */
    kci_wait_t *first, *last; /* to be woken when the lock is left */
} kci_seat_t;

/* -- seat.c */

/* The seat of this thread. Never inlined: a compiler must not keep its address over a switch. */
kci_seat_t *kci_seat(void);

/* -- wait.c */

/* Nanoseconds on the clock of this process that never goes back. */
uint64_t kci_now(void);

/* A point of time on it, as pthread_cond_timedwait takes it. */
struct timespec kci_timespec(uint64_t at);

/* The point of time in which a wait from now on ends; KC_NEVER where it is negative. */
uint64_t kci_deadline(int64_t timeout_ns);

/* A condition variable on that clock. 0 or -ENOMEM. */
int kci_cond_init(pthread_cond_t *cond);

/* Prepare to wait for `op`, whose parker is to be wait->parker; kci_wait or kci_wait_end has to follow. 0; or -ENOMEM,
** in a thread. */
int kci_wait_begin(kci_wait_t *wait, kc_op_t *op);

/* It need not wait after all. */
void kci_wait_end(kci_wait_t *wait);

/*
** Wait until the operation is decided. No lock is held. Behind it nobody knows `wait`, and only those know `op` who
** hold the lock of something in whose queue a waiter of it stands.
**
** Returns kc_op_result.
*/
int kci_wait(kci_wait_t *wait, int64_t timeout_ns);

/* Leave a lock under which operations may have been decided, and wake their owners. */
void kci_leave(pthread_mutex_t *lock);

/* Wake the owners of the operations that were decided in this thread. */
void kci_wake_owners(void);

/* Run the timers that are due. */
void kci_run_timers(kc_sched_t *s);

/* -- task.c */

/* Whether each wait of the task has to end: it was cancelled, or its scheduler is shut down. In the one order. */
static inline bool kci_task_must_end(kc_task_t *task) {
    return kc_atomic_load_sc(&task->sched->is_stopping) != 0 || kc_atomic_load_sc(&task->is_cancelled) != 0;
}

/* The task's body has returned, or never begins. */
void kci_task_finish(kc_task_t *task, int result);

/* -- worker.c */

/* Wake a task that waits, or is about to; called once for each of its waits. */
void kci_task_wake(kc_task_t *task);

/* Have it run in its turn; `may_be_next`: perhaps as the next one of this worker. */
void kci_task_ready(kc_task_t *task, bool may_be_next);

/* What the thread of a worker does. */
void *kci_work(void *worker);

/* -- scheduler.c */

/* How many tasks have not finished. */
size_t kci_sched_live(kc_sched_t *s);

/* Count one reference less; the last one of all shards frees the scheduler's memory. */
void kci_shard_release(kc_sched_t *s, kci_shard_t *shard);

/* -- inject.c */

/* Put a chain of `count` tasks, from first to last, behind the others. When it returns the scheduler may be gone. */
void kci_inject_push(kc_sched_t *s, kc_task_t *first, kc_task_t *last, int count);

/* Put a new one there, once there is room. 0, -EAGAIN, -ETIME or -ECANCELED. */
int kci_inject_new(kc_sched_t *s, kc_task_t *task, int64_t timeout_ns);

/* Take the oldest; NULL: there is none. */
kc_task_t *kci_inject_pull(kc_sched_t *s);

/* -- idle.c */

/* There is work that anybody may take: see to it that somebody comes. Behind an _sc operation that made it visible. */
void kci_notify(kc_sched_t *s);

/* From here on others rely on this worker to find what is there. Harmless where it is a searcher. */
void kci_search_begin(kci_worker_t *self);

/* It has found work, or has given up and will look once more. Harmless where it is no searcher. */
void kci_search_end(kci_worker_t *self, bool found);

/* Sleep until there is work, or time has come. False: the scheduler is over. */
bool kci_idle(kci_worker_t *self);

/* Somebody has to wake at `deadline`; the caller holds timers_lock. */
void kci_announce(kc_sched_t *s, uint64_t deadline);

/* Whoever kept the time has work now: another one that sleeps does it. */
void kci_hand_time_over(kc_sched_t *s);

#endif
