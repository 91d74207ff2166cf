/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Tasks: coroutines in C that a pool of threads, the workers, run; whoever has nothing to do steals from the others.
**
**     kc_sched_create --> kc_sched_start --> kc_sched_spawn ... --> kc_sched_shutdown --> kc_sched_destroy
**
** Rule 1: a task runs in one worker at a time, and after each yield or wait perhaps in another one: rule 5 of
** kcoro/coroutine.h holds for its body. Only kc_task_yield, a wait of this library, and its end let others run.
** Rule 2: a task that yields goes behind all that wait in its worker. One that is woken by a task may run next there
** (KC_RESUME_INLINE), a few times in a row, and then those that wait have their turn.
** Rule 3: a worker without work sleeps, until there is some or a timer is due. Nobody polls.
** Rule 4: after kc_task_cancel and kc_sched_shutdown each wait of a task ends with -ECANCELED, so that its body can
** clean up and return.
** Rule 5: misuse is -EINVAL and changes nothing.
**
** timeout_ns  nanoseconds; 0 tries once, negative waits for ever. Threads may call what says so; tasks may call all but
**             kc_sched_drain, kc_sched_shutdown and kc_sched_destroy
*/
#ifndef KCORO_SCHEDULER_H
#define KCORO_SCHEDULER_H

#include "coroutine.h"

#ifndef KC_SCHED_STEAL_SCAN_MAX
/* How many other workers one without work asks, at random, before it sleeps. */
#define KC_SCHED_STEAL_SCAN_MAX 4
#endif

#ifndef KC_SCHED_INLINE_MAX
/* How many tasks a worker runs in a row because they were woken just now; then those that wait have their turn. */
#define KC_SCHED_INLINE_MAX 3
#endif

#ifndef KC_SCHED_INJECT_ROOM
/* How many tasks that threads have spawned may wait to be begun; a thread that spawns more waits. */
#define KC_SCHED_INJECT_ROOM 4096
#endif

#ifndef KC_SCHED_INJECT_EVERY
/* After how many steps a worker looks at what comes from outside and at the clock, though it has work. */
#define KC_SCHED_INJECT_EVERY 61
#endif

/* The most workers that a scheduler can have. */
#define KC_SCHED_WORKERS_MOST 256

typedef struct kc_sched kc_sched_t;
typedef struct kc_task kc_task_t;

/* When a task runs that another task has woken. */
typedef enum kc_resume {
    /* Next, in the same worker, as soon as the one that woke it stops: what both use is in its cache then.
    ** It cannot be stolen meanwhile; bodies that compute for long without a yield hold it up. */
    KC_RESUME_INLINE = 0,
    /* In its turn, behind those that wait in the same worker; another worker may steal it.
    ** For bodies that compute for long. */
    KC_RESUME_QUEUE = 1
} kc_resume_t;

/* What may be said of a new scheduler; all zero is what NULL means. */
typedef struct kc_sched_options {
    size_t workers;      /* 0: one for each processor */
    kc_resume_t resume;
    size_t steal_scan;   /* 0: KC_SCHED_STEAL_SCAN_MAX */
    size_t inline_most;  /* 0: KC_SCHED_INLINE_MAX */
    size_t inject_room;  /* 0: KC_SCHED_INJECT_ROOM */
    size_t inject_every; /* 0: KC_SCHED_INJECT_EVERY */
    size_t stack_size;   /* of tasks of which nothing else is said; 0: KC_CORO_STACK */
    uint64_t seed;       /* of the chance by which workers choose whom to ask */
} kc_sched_options_t;

/* What a scheduler, or one of its workers, has done so far. Each step of a task came from one of four places:
** fastpath_hits + deque_hits + inject_pulls + steals_succeeded are all steps, and fastpath_misses all but the first. */
typedef struct kc_sched_stats {
    uint64_t tasks_submitted;  /* spawned */
    uint64_t tasks_completed;  /* whose body has returned, or that were cancelled before it began */
    uint64_t fastpath_hits;    /* steps of tasks that were woken just now by the one before them */
    uint64_t fastpath_misses;  /* other steps */
    uint64_t deque_hits;       /* steps of tasks from the worker's own queue */
    uint64_t inject_pulls;     /* steps of tasks that came from outside of the workers, or were donated */
    uint64_t steals_probes;    /* times that another worker's queue was asked */
    uint64_t steals_succeeded; /* ... and gave a task, whose step followed */
    uint64_t steals_failures;  /* ... and did not */
    uint64_t donations;        /* tasks that went to the common queue because the worker's own was full */
    uint64_t yields;           /* steps that ended by a yield */
    uint64_t waits;            /* steps that ended by a wait */
    uint64_t parks;            /* times that a worker went to sleep */
    uint64_t wakeups;          /* times that one woke, whatever for; parks - wakeups sleep now */
    uint64_t timers;           /* waits that a timer ended */
} kc_sched_stats_t;

/* -- the life of a scheduler */

/* Make a scheduler, with no thread yet; tasks may be spawned. 0 and *out; -ENOMEM; -ENOTSUP: no coroutines; -EINVAL. */
int kc_sched_create(kc_sched_t **out, const kc_sched_options_t *options);

/* Start the workers. 0; -ENOMEM: the system has no more threads, and none runs; -EINVAL: they were started before. */
int kc_sched_start(kc_sched_t *s);

/*
** Have a worker run `fn` as a task.
**
** out         set to the task, which the caller has to join or detach; NULL: nobody asks for its result
** options     borrowed, may be NULL
** timeout_ns  how long a thread waits while too many tasks that threads have spawned wait to be begun; tasks never wait
**
** Returns 0; -EAGAIN: too many, and it may not wait, or the workers have not been started; -ETIME; -ECANCELED: the
** scheduler is shut down; -ENOMEM; -EINVAL. But for 0 the body never runs.
*/
int kc_sched_spawn(kc_sched_t *s, kc_task_t **out, kc_coro_fn fn, void *arg, const kc_coro_options_t *options,
                   int64_t timeout_ns);

/*
** Wait, in a thread, until no task can go on by itself: each has finished, or waits for something other than time.
**
** Returns how many wait; -ETIME; or -EINVAL: in a task, or the workers have not been started.
*/
int kc_sched_drain(kc_sched_t *s, int64_t timeout_ns);

/*
** End it, in a thread: nothing can be spawned any more, every wait of a task ends with -ECANCELED, now and later, tasks
** that have not begun never do; wait for the others to return, then end the workers.
**
** Returns 0; -ETIME: tasks have not returned yet, and the workers go on; call it again. -EINVAL: in a task.
*/
int kc_sched_shutdown(kc_sched_t *s, int64_t timeout_ns);

/*
** Free it. Handles of tasks stay good, also in calls that are under way; the last one takes the memory along.
**
** Returns 0, or -EINVAL: it was started, and kc_sched_shutdown has not returned 0 yet.
*/
int kc_sched_destroy(kc_sched_t *s);

/* -- tasks, from anywhere */

/*
** Wait until the task's body has returned, and give up the handle.
**
** result  what the body returned; -ECANCELED if it never began; may be NULL
**
** Returns 0; -EAGAIN: it has not finished (a try); -ETIME, -ECANCELED: the caller keeps the handle; -EINVAL: it is the
** caller itself, or somebody waits for it already.
*/
int kc_task_join(kc_task_t *task, int *result, int64_t timeout_ns);

/* Give up the handle; the task goes on. 0, or -EINVAL: somebody waits for it. */
int kc_task_detach(kc_task_t *task);

/*
** End every wait of the task with -ECANCELED, now and later, so that its body can clean up and return; a body that has
** not begun never does. What has been decided before stays so.
**
** Returns 0, also when it has finished; or -EINVAL.
*/
int kc_task_cancel(kc_task_t *task);

/* Let a task go on that waits in kc_task_park, or have its next one return at once. Several are one. 0, or -EINVAL. */
int kc_task_unpark(kc_task_t *task);

/* -- from the body of a task */

/* The task that runs in this thread, or NULL, also in a coroutine that a task has resumed itself. It is no handle: it
** need not be given up. */
kc_task_t *kc_task_current(void);

/* The scheduler whose worker this thread is, or NULL. */
kc_sched_t *kc_sched_current(void);

/* Wait for kc_task_unpark. 0; -ETIME, or -EAGAIN at once; -ECANCELED; -EINVAL: in no task. */
int kc_task_park(int64_t timeout_ns);

/* Let all that wait in this worker have their turn. 0; -ECANCELED: it did, and is cancelled; -EINVAL. */
int kc_task_yield(void);

/* Let others run for so many nanoseconds, 0 or more. 0; -ECANCELED: it ended early; -EINVAL: in no task. */
int kc_task_sleep(int64_t ns);

/* -- what it does */

/* How many workers it has; 0 of a NULL. */
size_t kc_sched_workers(const kc_sched_t *s);

/* The sums over all workers; each number is exact once they sleep. 0, or -EINVAL. */
int kc_sched_stats(const kc_sched_t *s, kc_sched_stats_t *out);

/* The numbers of one worker. What threads have spawned is in the sums only. 0, or -EINVAL. */
int kc_sched_worker_stats(const kc_sched_t *s, size_t worker, kc_sched_stats_t *out);

/*
** Write one line for people, as snprintf does: workers, tasks, and each counter by its name.
**
** Returns the length without an end, which may be more than fits into `room`; or -EINVAL.
*/
int kc_sched_dump(const kc_sched_t *s, char *text, size_t room);

#endif
