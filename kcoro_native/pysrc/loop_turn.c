/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** A turn for the others, a cancel point, and both in one; see loop_await.h.
**
** They have no state but their task's, so that each loop has one object of each for all of its tasks.
*/

#include "loop_await.h"

typedef struct kpy_simple {
    PyObject_HEAD
    kpy_loop_t *loop; /* not counted: it owns this, and sets it to NULL when it goes */
} kpy_simple_t;

static kpy_loop_t *loop_of(PyObject *self) {
    return ((kpy_simple_t *)self)->loop;
}

static void simple_leave(PyObject *self) {
    kpy_task_t *task = loop_of(self) == NULL ? NULL : loop_of(self)->base.running;
    if (task == NULL)
        return;
    if (task->yielded)
        kpy_stop_pausing(task);
    task->yielded = false;
}

#define SIMPLE_LOOPS NULL /* they have no values */
#define pause_leave simple_leave
#define point_leave simple_leave

/* One that another loop steps, inside of its step, has no turn any more. */
static bool may_step(PyObject *self, kpy_task_t *task) {
    if (kpy_may_step(NULL, task))
        return true;
    simple_leave(self);
    return false;
}

static PySendResult pause_advance(PyObject *self, PyObject **result) {
    kpy_task_t *task = kpy_loop_current(loop_of(self));
    if (task == NULL || !may_step(self, task))
        return PYGEN_ERROR;
    task->yielded = !task->yielded;
    if (task->yielded)
        return kpy_pause(loop_of(self), task, result);
    return kpy_done(result);
}

static PySendResult point_advance(PyObject *self, PyObject **result) {
    kpy_loop_t *loop = loop_of(self);
    if (loop != NULL && !loop->is_cancelling)
        return kpy_done(result);
    kpy_task_t *task = kpy_loop_current(loop);
    if (task == NULL || !may_step(self, task))
        return PYGEN_ERROR;
    if (loop->is_finishing && !task->yielded && kpy_in_force(task->scope)) {
        task->yielded = true; /* who swallows this again and again lets the others run at least */
        return kpy_pause(loop, task, result);
    }
    task->yielded = false;
    return kpy_is_cancelled(loop, task) == 0 ? kpy_done(result) : PYGEN_ERROR;
}

/* A cancel point, and a turn: in this order, but for the end of a run, as at any cancel point. */
static PySendResult checkpoint_advance(PyObject *self, PyObject **result) {
    kpy_loop_t *loop = loop_of(self);
    kpy_task_t *task = kpy_loop_current(loop);
    if (task == NULL)
        return PYGEN_ERROR;
    bool looks = loop->is_cancelling && task->yielded == loop->is_finishing;
    if (looks && kpy_is_cancelled(loop, task) != 0) {
        task->yielded = false;
        return PYGEN_ERROR;
    }
    return pause_advance(self, result);
}

#define checkpoint_leave simple_leave
KPY_AWAITABLE(pause, SIMPLE_LOOPS)
KPY_AWAITABLE(checkpoint, SIMPLE_LOOPS)
KPY_AWAITABLE(point, SIMPLE_LOOPS)

static void simple_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot pause_slots[] = {
    {Py_tp_doc, "Awaited, lets the other tasks run once."},
    {Py_tp_dealloc, simple_dealloc},
    KPY_AWAITABLE_SLOTS(pause),
    {0, NULL},
};

static PyType_Slot checkpoint_slots[] = {
    {Py_tp_doc, "Awaited, raises the cancellation of its task, if there is one, and else lets the others run once."},
    {Py_tp_dealloc, simple_dealloc},
    KPY_AWAITABLE_SLOTS(checkpoint),
    {0, NULL},
};

static PyType_Slot point_slots[] = {
    {Py_tp_doc, "Awaited, raises the cancellation of its task, if there is one."},
    {Py_tp_dealloc, simple_dealloc},
    KPY_AWAITABLE_SLOTS(point),
    {0, NULL},
};

static PyObject *make_simple(kpy_loop_t *loop, PyTypeObject *type) {
    kpy_simple_t *self = (kpy_simple_t *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->loop = loop;
    return (PyObject *)self;
}

int kpy_make_waits(kpy_loop_t *self) {
    self->pausing = make_simple(self, self->base.state->loops->pause);
    self->at_cancel_point = make_simple(self, self->base.state->loops->cancel_point);
    self->at_checkpoint = make_simple(self, self->base.state->loops->checkpoint);
    return self->pausing == NULL || self->at_cancel_point == NULL || self->at_checkpoint == NULL ? -1 : 0;
}

void kpy_end_waits(kpy_loop_t *self) {
    PyObject **all[] = {&self->pausing, &self->at_cancel_point, &self->at_checkpoint};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*all[i] != NULL)
            ((kpy_simple_t *)*all[i])->loop = NULL;
        Py_CLEAR(*all[i]);
    }
}

/* -- the types */

#define PLAIN (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION)

static PyType_Spec pause_spec = {"kcoro_native._native.Pause", sizeof(kpy_simple_t), 0, PLAIN, pause_slots};
static PyType_Spec checkpoint_spec = {"kcoro_native._native.Checkpoint", sizeof(kpy_simple_t), 0, PLAIN,
                                      checkpoint_slots};
static PyType_Spec point_spec = {"kcoro_native._native.CancelPoint", sizeof(kpy_simple_t), 0, PLAIN, point_slots};

int kpy_init_turn(PyObject *module, kpy_state_t *state) {
    struct kpy_loops *loops = state->loops;
    struct {
        PyTypeObject **type;
        PyType_Spec *spec;
    } all[] = {
        {&loops->pause, &pause_spec},
        {&loops->cancel_point, &point_spec},
        {&loops->checkpoint, &checkpoint_spec},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((*all[i].type = (PyTypeObject *)PyType_FromModuleAndSpec(module, all[i].spec, NULL)) == NULL)
            return -1;
    return 0;
}
