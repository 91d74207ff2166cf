/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The loop of the extension, for all files loop_*.c: tasks and who steps them, scopes, and what a task can wait in.
**
** A scheduler steps coroutines and knows nothing else. A loop is a scheduler that is also a host: it parks tasks,
** waits for the world, and ends with its run.
**
** Rule 1: a coroutine speaks to who steps it by what it yields. None with the state already changed, by one of our own
** awaitables, needs nothing more; None alone lets the others run; PARK parks; all else is an error of the program.
** Rule 2: a task that has not finished is kept alive by its scheduler, in `oldest`; a queue only points to it.
** Rule 3: what a parked task waits for is `wait`. Who cancels asks it first; one that was won already is not cancelled.
** Rule 4: Python code runs in steps, callbacks and Py_DECREF. Every field is set before one of these.
*/
#ifndef KPY_LOOP_H
#define KPY_LOOP_H

#include "types.h"

typedef struct kpy_task kpy_task_t;
typedef struct kpy_scheduler kpy_scheduler_t;
typedef struct kpy_loop kpy_loop_t;
typedef struct kpy_scope kpy_scope_t;
typedef struct kpy_nursery kpy_nursery_t;

enum kpy_task_state { KPY_CREATED, KPY_READY, KPY_RUNNING, KPY_PARKED, KPY_FINISHED };

/* What a parked task waits in; says how a cancellation is asked for. */
enum kpy_wait {
    KPY_NO_WAIT,     /* runs, or is shielded: nothing is asked, and nothing interrupts it */
    KPY_WAIT_OBJECT, /* an operation of Python: its method give_up */
    KPY_WAIT_PLACE,  /* an operation of this extension */
    KPY_WAIT_TIMER   /* a sleep */
};

/* One coroutine that is stepped. */
struct kpy_task {
    PyObject_HEAD
    kpy_scheduler_t *owner; /* a reference */
    kpy_task_t *older, *younger;
    PyObject *coro, *context, *name; /* name: NULL until somebody asks, or who started it named it */
    PyObject *thrown;                /* raised by the next step; after the end, the error */
    union { /* by the state: one is NULL while the other is used, and a parked task is as small as it can be */
        PyObject *wait;   /* what it is parked in, or NULL; of a block, what tells why */
        PyObject *result; /* once FINISHED */
    };
    /* Told of the end: a nursery, a launcher, or a callable of result and error; NULL: it is kept for take(). */
    PyObject *done;
    PyObject *handle; /* of a child that a launcher has started: its kcoro_core.scope.Task */
    kpy_scope_t *scope;             /* a reference */
    kpy_task_t *before, *behind;    /* in the list of the scope */
    uint64_t id;
    uint8_t state, wait_kind;
    bool injected, permit, interrupted, yielded;
    bool to_ask; /* a scope that was cancelled has yet to ask it */
    bool is_inline; /* a stackful function waits in it that runs next when a task wakes it; see loop_step.c */
    PyObject *weakrefs;
};

/* A queue of runnable tasks: a ring whose size is a power of two. */
typedef struct kpy_queue {
    kpy_task_t **slots;
    size_t size, head, length;
} kpy_queue_t;

/* Steps tasks. */
struct kpy_scheduler {
    PyObject_HEAD
    kpy_state_t *state;
    kpy_queue_t queue;
    kpy_task_t *running;
    kpy_task_t *slot;  /* the first of the queue, if the running task woke it to be the next; or NULL */
    unsigned in_a_row; /* steps that came from the slot */
    kpy_task_t *oldest, *youngest; /* those that have not finished; a reference to each */
    PyObject *now, *pick;          /* now: NULL reads the monotonic clock; pick: NULL takes the oldest */
    PyObject *failed;              /* a dict of id: task; errors that nobody has taken */
    kc_timers_t timers;
    PyObject *timer_errors; /* a list while timers fire, or NULL */
    struct kpy_timer *waiting; /* the timers of call_at in the wheel; a reference to each */
    bool is_loop, is_ended;
    uint64_t submitted, completed, steps, parks, unparks, fired, fastpath, pulls;
    PyObject *weakrefs;
};

/* A scheduler that is a host. */
struct kpy_loop {
    kpy_scheduler_t base;
    long credit, quantum;
    long slice; /* steps, at most, before it looks at the world */
    bool is_cancelling; /* some scope was cancelled; until then cancel points need not look */
    bool is_finishing;  /* the main task has ended, and the background is to follow */
    bool is_driven;     /* somebody is in _drive or _close_all */
    bool is_forked;     /* this process is a child of the one that runs the loop */
    PyObject *calls; /* a list: functions that other threads want called */
    PyObject *idle;  /* of a clock that is not the monotonic one: idle(deadline) answers how long to wait, in seconds */
    PyObject *pausing, *at_cancel_point, *at_checkpoint; /* the awaitables that have no state of their own */
    PyObject *main;      /* the main task; not counted, NULL before and after it */
    PyObject *interrupt; /* an exception for the main task, or NULL */
    PyObject *watches;   /* a dict of fd: list of watches */
    kc_poller_t *poller;
    int signal_fd; /* where the interpreter writes when a signal came, or -1 */
    size_t watching; /* callbacks that wait for descriptors */
};

/* A block that can be cancelled; see hosts/scopes.py, whose functions work on it. */
struct kpy_scope {
    PyObject_HEAD
    kpy_loop_t *loop;            /* a reference */
    kpy_scope_t *parent;         /* a reference, or NULL */
    kpy_scope_t *before, *behind; /* its siblings */
    kpy_scope_t *inner;          /* the first of those right inside; not counted */
    kpy_task_t *tasks;           /* those whose innermost scope it is; not counted */
    PyObject *task;              /* who entered it, or NULL */
    bool shield, cancel_called, cancelled_caught;
    PyObject *weakrefs;
};

/* Children that live inside one block. */
struct kpy_nursery {
    PyObject_HEAD
    kpy_loop_t *loop; /* a reference */
    kpy_scope_t *scope;
    PyObject *errors; /* a list */
    PyObject *waiter; /* the task that waits for the children, or NULL */
    Py_ssize_t children;
    bool closed;
    PyObject *weakrefs;
};

/* The slots of a kcoro_core.scope.Task. */
enum kpy_handle_slot {
    KPY_HANDLE_ID,
    KPY_HANDLE_NAME,
    KPY_HANDLE_VALUE,
    KPY_HANDLE_ERROR,
    KPY_HANDLE_WAITING,
    KPY_HANDLE_HOME,
    KPY_HANDLE_SLOTS
};

/* What the files of the loop share in one interpreter. */
struct kpy_loops {
    PyTypeObject *task, *scheduler, *loop, *scope, *nursery, *timer, *watch;
    PyTypeObject *launcher, *stackful, *coroutine;
    struct kpy_coroutine *begun, *dropped; /* coroutines; see coroutine.h */
    uint64_t coroutines;                   /* how many were made */
    size_t stack_bytes;                    /* of their stacks; 0: KPY_STACK_BYTES */
    bool is_ending;                        /* no more are made */
    PyTypeObject *park, *pause, *cancel_point, *checkpoint, *block, *sleep, *exchange, *plan; /* awaitables */
    /* From core: what schedulers share, classes, exceptions, functions. */
    PyObject *park_trap, *task_states;
    PyObject *poll_spec, *stats, *coroutine_abc;
    PyObject *wrong_loop, *cancelled;
    PyObject *report, *again, *await_it, *end_of_iteration, *nowhere;
    /* From kpy_quicken; NULL before it. Where objects of these classes keep what is looked at. */
    PyTypeObject *face_class;
    PyObject *selected_class, *recv_class, *send_class;
    PyObject *handle_class, *handle_ids, *handle_pending; /* scope.Task, its numbers, and its value before the end */
    PyObject *slow_send, *slow_recv, *slow_next;          /* the methods of the Python face */
    PyObject *slow_launch;                                /* the method of scope.Scope */
    Py_ssize_t home_at, core_at;                 /* _home and _core of a face */
    Py_ssize_t selected_at[4];                   /* index, value, clause and error of a Selected */
    Py_ssize_t handle_at[KPY_HANDLE_SLOTS];
    /* Names. */
    PyObject *str_task, *str_give_up, *str_throw, *str_close, *str_qualname, *str_value, *str_name;
    PyObject *str_enter_here, *str_closed_error, *str_channel, *str_del;
    PyObject *stop;              /* a StopIteration that carries results of awaits, or NULL */
    struct kpy_exchange *spares; /* exchanges that ended, linked by `face` */
    int spare_count;
};

/* Whether an object, or NULL, is a task. */
static inline bool kpy_is_task(kpy_state_t *state, PyObject *object) {
    return object != NULL && Py_TYPE(object) == state->loops->task;
}

/* The loop that runs in this thread, or NULL. */
extern KPY_THREAD_WORD kpy_loop_t *kpy_loop_here;

/* -- loop_queue.c */

/* Have room for so many tasks: 0, or -1 and MemoryError. A scheduler has it for all that live, each of which stands in it
** once at most, so that waking one needs no memory. */
int kpy_queue_reserve(kpy_queue_t *queue, size_t tasks);
void kpy_queue_push(kpy_queue_t *queue, kpy_task_t *task);
void kpy_queue_push_first(kpy_queue_t *queue, kpy_task_t *task);
kpy_task_t *kpy_queue_take(kpy_queue_t *queue, size_t index);
void kpy_queue_remove(kpy_queue_t *queue, kpy_task_t *task); /* if it is there */
void kpy_queue_free(kpy_queue_t *queue);

/* -- loop_task.c */

kpy_task_t *kpy_task_make(kpy_scheduler_t *owner, PyObject *coro, PyObject *name);
void kpy_task_end(kpy_task_t *task, PyObject *result, PyObject *error); /* out of its scheduler; takes references */
PyObject *kpy_task_name(kpy_task_t *task);
void kpy_task_set_scope(kpy_task_t *task, kpy_scope_t *scope);

/* -- loop_step.c */

void kpy_enqueue(kpy_task_t *task); /* runnable, at the tail */
void kpy_enqueue_woken(kpy_task_t *task); /* the same; or the next one, where it is to be and a task has woken it */
void kpy_dequeue(kpy_task_t *task); /* if it is there */
kpy_task_t *kpy_take_slot(kpy_scheduler_t *self); /* who is to be the next one; NULL: nobody, or too many were */
void kpy_empty_queue(kpy_scheduler_t *self);
void kpy_ready(kpy_task_t *task);
/* The same for who only knows the task: nothing but its own wake ends a wait in an operation or in time. */
void kpy_wake_task(kpy_task_t *task);
void kpy_go_on(kpy_task_t *task); /* the running task waits no more, and did not yield to say so */
int kpy_step(kpy_scheduler_t *self, kpy_task_t *task);
int kpy_close_task(kpy_task_t *task);

/* -- loop_scheduler.c */

int kpy_scheduler_setup(kpy_scheduler_t *self, kpy_state_t *state, PyObject *now, PyObject *pick);
kpy_task_t *kpy_next(kpy_scheduler_t *self);
int kpy_scheduler_traverse(PyObject *self, visitproc visit, void *arg);
int kpy_scheduler_clear(PyObject *self);
void kpy_scheduler_free(kpy_scheduler_t *self); /* all that it holds, but for its own memory */
extern PyMethodDef kpy_scheduler_methods[];

/* -- loop_time.c */

int kpy_now(kpy_scheduler_t *self, double *now);
uint64_t kpy_key(double seconds); /* a time as a number that orders as it does */
double kpy_seconds(uint64_t key);
int kpy_expire(kpy_scheduler_t *self); /* fires what is due; how many, or -1 */
int kpy_timers_traverse(kpy_scheduler_t *self, visitproc visit, void *arg);
void kpy_timers_cancel(kpy_scheduler_t *self); /* those of call_at */
PyObject *kpy_call_at(kpy_scheduler_t *self, double deadline, PyObject *fn);

/* -- loop_scope.c */

bool kpy_in_force(const kpy_scope_t *scope);
void kpy_scope_enlist(kpy_scope_t *scope, kpy_task_t *task);
void kpy_scope_delist(kpy_task_t *task);
int kpy_scope_cancel(kpy_scope_t *scope);

/* -- loop_nursery.c */

int kpy_child_ended(kpy_nursery_t *self, PyObject *error);

/* -- loop_host.c */

kpy_task_t *kpy_loop_current(kpy_loop_t *self); /* the running task, or NULL and WrongLoop */
kpy_task_t *kpy_start_task(kpy_loop_t *self, PyObject *coro, PyObject *name, kpy_scope_t *scope, PyObject *done);
PyObject *kpy_coroutine(kpy_loop_t *self, PyObject *fn, PyObject *const *args, Py_ssize_t count);
void kpy_close_unstarted(kpy_loop_t *self, PyObject *coro); /* keeps the exception that is being raised */
int kpy_check_fork(kpy_loop_t *self);

/* -- loop_wait.c */

void kpy_never_awaited(PyObject *self); /* warns, in its dealloc */
PyObject *kpy_await(PyObject *self); /* am_await of what is its own iterator */
PyObject *kpy_result(struct kpy_loops *loops, PyObject *value); /* the end of an await, for tp_iternext; takes value */
int kpy_interrupt(kpy_task_t *task); /* a parked task whose scope is cancelled: 0, or -1 */
PySendResult kpy_raise_cancelled(kpy_loop_t *self);
PySendResult kpy_pause(kpy_loop_t *self, kpy_task_t *task, PyObject **result); /* behind the others, a new quantum */
/* Parked from here on, until somebody wins `wait`. */
PySendResult kpy_park(kpy_loop_t *self, kpy_task_t *task, PyObject *wait, enum kpy_wait kind, PyObject **result);
void kpy_wake_waiting(kpy_operation_t *operation); /* for its `wake`: the task is parked in it */
/* A parked task runs again: true when it was cancelled. */
bool kpy_resume(kpy_task_t *task);
/* Something else ends the wait of a task in `wait`: the end of its coroutine, or an exception thrown into it. */
void kpy_stop_waiting(kpy_task_t *task, PyObject *wait);
void kpy_stop_pausing(kpy_task_t *task); /* the same for a turn of the others */
/* Whether a task may step what `waiting`, or NULL, is parked in; RuntimeError else. A task that runs although it is
** parked in just this is stepped by another loop, inside of its step: then its wait is to be left. */
bool kpy_may_step(kpy_task_t *waiting, kpy_task_t *task);
PySendResult kpy_refuse_await(void); /* RuntimeError: somebody waits already, with this awaitable or in this task */
PySendResult kpy_refuse_loop(void);  /* RuntimeError: whoever steps this did not wait */
/* Whether a cancel point of this task raises: 1 and an exception, 0, or -1 and another exception. */
int kpy_is_cancelled(kpy_loop_t *self, kpy_task_t *task);
PyObject *kpy_wait_park(kpy_loop_t *self, PyObject *op);
PyObject *kpy_wait_block(kpy_loop_t *self, PyObject *why);

/* -- loop_turn.c */

int kpy_make_waits(kpy_loop_t *self); /* the awaitables that each loop has */
void kpy_end_waits(kpy_loop_t *self);
int kpy_init_turn(PyObject *module, kpy_state_t *state);

/* -- loop_sleep.c */

PyObject *kpy_wait_sleep(kpy_loop_t *self, double seconds);
int kpy_init_sleep(PyObject *module, kpy_state_t *state);

/* -- loop_poll.c */

int kpy_poll_setup(kpy_loop_t *self);
void kpy_poll_end(kpy_loop_t *self);
int kpy_poll(kpy_loop_t *self, int64_t timeout_ns); /* how many descriptors were ready, or -1 */
int kpy_run_calls(kpy_loop_t *self);
extern PyMethodDef kpy_poll_methods[];

/* -- loop_drive.c */

extern PyMethodDef kpy_drive_methods[];

/* -- loop_exchange.c */

PyObject *kpy_exchange_new(kpy_state_t *state, PyObject *face, kpy_channel_t *core, bool sending, PyObject *value,
                           bool iterates);
void kpy_exchange_free_spares(struct kpy_loops *loops);

/* -- loop_face.c */

/* Where an object keeps an attribute of its slots. */
static inline PyObject **kpy_slot(PyObject *object, Py_ssize_t offset) {
    return (PyObject **)((char *)object + offset);
}

/* Give a class of channels, a subclass of the Python face, methods that are fast on a loop. The other classes, which
** are kept, are Selected, Recv and Send. */
PyObject *kpy_quicken(PyObject *module, PyObject *const *classes, Py_ssize_t count);

/* Whether a loop may touch what a face is about, as its _enter_here says: 0, or -1 and an exception. */
int kpy_enter_face(struct kpy_loops *loops, PyObject *face, kpy_loop_t *loop);

/* Keep what launchers need of kcoro_core.scope: its Task, its Scope, the numbers of tasks, and the value of one that
** runs. */
PyObject *kpy_quicken_scopes(PyObject *module, PyObject *const *objects, Py_ssize_t count);

/* -- loop_launch.c */

PyObject *kpy_launcher(PyObject *self, PyObject *args);
int kpy_launched_ended(PyObject *launcher, PyObject *handle, PyObject *result, PyObject *error);
int kpy_init_launch(PyObject *module, kpy_state_t *state);

/* -- loop_choice.c */

PyObject *kpy_plan(PyObject *self, PyObject *const *args, Py_ssize_t count);
int kpy_init_choice(PyObject *module, kpy_state_t *state);

/* -- loop_init.c */

PyObject *kpy_wrong_loop(const kpy_loop_t *self); /* the class; borrowed */
int kpy_loop_say(kpy_state_t *state, PyObject *error, const char *what); /* report an error that nobody can get */

/* -- each file's types */

int kpy_init_task(PyObject *module, kpy_state_t *state);
int kpy_init_scheduler(PyObject *module, kpy_state_t *state);
int kpy_init_time(PyObject *module, kpy_state_t *state);
int kpy_init_scope(PyObject *module, kpy_state_t *state);
int kpy_init_nursery(PyObject *module, kpy_state_t *state);
int kpy_init_host(PyObject *module, kpy_state_t *state);
int kpy_init_wait(PyObject *module, kpy_state_t *state);
int kpy_init_poll(PyObject *module, kpy_state_t *state);
int kpy_init_exchange(PyObject *module, kpy_state_t *state);

/* The whole of it: types of the loop and what they need of core. 0, or -1 and an exception. */
int kpy_init_loop(PyObject *module, kpy_state_t *state);
int kpy_loops_traverse(kpy_state_t *state, visitproc visit, void *arg);
void kpy_loops_free(kpy_state_t *state);

#endif
