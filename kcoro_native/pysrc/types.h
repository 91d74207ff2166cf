/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The Python objects of the extension, for all of its files: what they hold, and who owns what.
**
** Rule 1: an element is a strong reference. Where libkcoro owns an element, it owns that reference.
** Rule 2: a waiter that stands in the queue of a channel is kept alive by that channel.
** Rule 3: Python code may run in every Py_DECREF and every callback. What libkcoro lets go while it works is therefore
** kept in the channel's `leaving` until the outermost call on it ends, and every field is set before a DECREF.
** Rule 4: all types are heap types of one module object and hold its state, so that each interpreter has its own, and
** nothing is left behind when the module goes. What uses the state holds the module itself: a type that the cycle
** collector has cleared does not hold it any more, and may still have instances.
*/
#ifndef KPY_TYPES_H
#define KPY_TYPES_H

#include <stdbool.h>

#include "python.h"

#include "kcoro/kcoro.h"

typedef struct kpy_state kpy_state_t;
typedef struct kpy_place kpy_place_t;
typedef struct kpy_operation kpy_operation_t;
typedef struct kpy_select kpy_select_t;
typedef struct kpy_arm kpy_arm_t;
typedef struct kpy_channel kpy_channel_t;

/* What stands in a channel's queue: a part of an operation, or of an arm. */
struct kpy_place {
    kc_try_t as_try;      /* the waiter's value: a strong reference to what is offered, or NULL for None */
    PyObject *owner;      /* the object that this is a part of, and that is kept alive; not counted */
    kpy_channel_t *at;    /* where it stands; not counted, for whoever stands there has left when the channel goes */
    kpy_place_t *leaving; /* the next of those that a channel lets go */
    bool is_leaving;      /* whether it is one of them */
};

/* One call that may wait; plain ones stand in a queue by `place`. */
struct kpy_operation {
    PyObject_HEAD
    /* Its value: a strong reference to what was received, or NULL for None. Its task: the host's, likewise. */
    kc_op_t op;
    kpy_place_t place; /* unused in a select, whose arms have places */
    kpy_state_t *state;
    PyObject *parker; /* its method unpark(operation) is called once it is decided; NULL for nobody */
    /* A host written in C is told by this instead, unless it is NULL. It may free the operation's last reference. */
    void (*wake)(kpy_operation_t *self);
    PyObject *error; /* what to raise; made when op.error is set without one */
    PyObject *weakrefs;
};

/* The operation of a select. */
struct kpy_select {
    kpy_operation_t base;
    PyObject *reason; /* of the channel that is about to shut one of its arms; not counted, NULL but for then */
};

/* One clause of a select, waiting in one queue. */
struct kpy_arm {
    PyObject_HEAD
    kpy_place_t place;
    kpy_select_t *select; /* never NULL: the waiter needs its claim word */
    PyObject *weakrefs;
};

/* One channel. */
struct kpy_channel {
    PyObject_HEAD
    kc_chan_t *ch;
    kpy_state_t *state;
    PyObject *kind, *overflow, *capacity;
    PyObject *on_undelivered; /* NULL: nobody is told */
    PyObject *reason;         /* of the close; NULL before it */
    kc_borrower_t borrower;   /* calls lent_to */
    kc_keeper_t keeper;       /* calls kept_by */
    PyObject *lent_to, *kept_by;
    int depth;                /* how many calls on it are under way, one inside the other */
    kpy_place_t *leaving;     /* those whom the channel keeps alive no more, when depth is 0 again */
    PyObject *weakrefs;
};

/* How many operations that ended are kept to be used again. */
#define KPY_SPARE_OPERATIONS 256

/* What one interpreter's copy of the module holds. */
struct kpy_state {
    PyObject *module; /* not counted */
    PyTypeObject *operation, *select, *arm, *channel, *waiting;
    /* Shared with the reference engine. */
    PyObject *ok, *would_block, *closed, *nobody;
    PyObject *channel_closed, *snapshot, *report_unraisable;
    PyObject *kinds, *overflows, *undelivered, *closed_rules; /* tuples, by number */
    PyObject *unpark, *recall, *ask, *freed, *arrived, *drained; /* names of methods */
    kpy_place_t *spares;                                      /* the places of spare operations, by `leaving` */
    struct kpy_loops *loops;                                  /* see loop.h */
    int spare_count;
};

#endif
