/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Selects on a loop: what a Selector waits in whose clauses are all Recv and Send of channels of this engine; see
** loop_await.h. The steps are those of kcoro_core.select.Selector.wait, to the letter.
**
** A plan is what a selector keeps from one wait to the next: its clauses, their channels, and the operation with its
** arms, which are used again when nobody else refers to them any more.
*/

#include "loop_await.h"

#include <stddef.h>

#include "chan.h"
#include "claim.h"
#include "module.h"

enum stage { IDLE, BEGUN, PARKED, IN_TURN };

/* One clause of a plan; a reference to each object. */
typedef struct kpy_part {
    PyObject *clause, *face;
    kpy_channel_t *core;
    kpy_arm_t *arm; /* NULL before the first wait */
    bool sending;
} kpy_part_t;

typedef struct kpy_plan {
    PyObject_VAR_HEAD
    kpy_state_t *state;
    kpy_select_t *op; /* of the last wait, or NULL */
    PyObject *rule;   /* what a closed channel means */
    PyObject *order;  /* the indices in the order in which they are looked at, a list; NULL: from `first` on, around */
    Py_ssize_t first;
    PyObject *outcome; /* IN_TURN: what was won */
    kpy_task_t *task;  /* PARKED, IN_TURN: who waits */
    uint8_t stage;
    kpy_part_t parts[1];
} kpy_plan_t;

static struct kpy_loops *loops_of(const kpy_plan_t *self) {
    return self->state->loops;
}

static kc_waiter_t *waiter(const kpy_part_t *part) {
    return (kc_waiter_t *)&part->arm->place;
}

/* -- making a plan */

/* Whether the clause is one of ours, about a channel of ours; a reference to each is taken then. 1, 0 or -1. */
static int take_part(kpy_state_t *state, kpy_part_t *part, PyObject *clause) {
    struct kpy_loops *loops = state->loops;
    PyTypeObject *type = Py_TYPE(clause);
    if ((PyObject *)type != loops->recv_class && (PyObject *)type != loops->send_class)
        return 0;
    PyObject *face = PyObject_GetAttr(clause, loops->str_channel);
    if (face == NULL)
        return -1;
    PyObject *core = PyObject_TypeCheck(face, loops->face_class) ? *kpy_slot(face, loops->core_at) : NULL;
    if (core == NULL || Py_TYPE(core) != state->channel) {
        Py_DECREF(face);
        return 0;
    }
    part->clause = Py_NewRef(clause);
    part->face = face;
    part->core = (kpy_channel_t *)Py_NewRef(core);
    part->sending = (PyObject *)type == loops->send_class;
    return 1;
}

PyObject *kpy_plan(PyObject *obj, PyObject *const *args, Py_ssize_t count) {
    kpy_state_t *state = ((kpy_loop_t *)obj)->base.state;
    if (count != 2 || !PyList_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "plan() takes a list of clauses, and what a closed channel means");
    Py_ssize_t clauses = PyList_GET_SIZE(args[0]);
    if (clauses == 0 || state->loops->face_class == NULL)
        Py_RETURN_NONE;
    kpy_plan_t *self = (kpy_plan_t *)state->loops->plan->tp_alloc(state->loops->plan, clauses); /* all zero */
    if (self == NULL)
        return NULL;
    self->state = state;
    self->rule = Py_NewRef(args[1]);
    for (Py_ssize_t i = 0; i < clauses; i++) {
        int taken = take_part(state, &self->parts[i], PyList_GET_ITEM(args[0], i));
        if (taken > 0)
            continue;
        Py_DECREF(self);
        return taken < 0 ? NULL : Py_NewRef(Py_None);
    }
    return (PyObject *)self;
}

static PyObject *plan_start(PyObject *obj, PyObject *order) {
    kpy_plan_t *self = (kpy_plan_t *)obj;
    if (self->stage != IDLE)
        return PyErr_Format(PyExc_RuntimeError, "this plan is being waited on");
    Py_CLEAR(self->order);
    self->first = PyList_Check(order) ? 0 : PyLong_AsSsize_t(order);
    if (self->first == -1 && PyErr_Occurred())
        return NULL;
    self->order = PyList_Check(order) ? Py_NewRef(order) : NULL;
    self->stage = BEGUN;
    return Py_NewRef(obj);
}

/* -- how it ends */

/* A Selected, made without its __init__, which sets one attribute after the other by a function. */
static PyObject *selected(kpy_plan_t *self, Py_ssize_t index, PyObject *value) {
    struct kpy_loops *loops = loops_of(self);
    PyTypeObject *type = (PyTypeObject *)loops->selected_class;
    PyObject *number = PyLong_FromSsize_t(index), *won = number == NULL ? NULL : type->tp_alloc(type, 0);
    if (won == NULL) {
        Py_XDECREF(number);
        Py_DECREF(value);
        return NULL;
    }
    *kpy_slot(won, loops->selected_at[0]) = number;
    *kpy_slot(won, loops->selected_at[1]) = value;
    *kpy_slot(won, loops->selected_at[2]) = Py_NewRef(self->parts[index].clause);
    *kpy_slot(won, loops->selected_at[3]) = Py_NewRef(Py_None);
    return won;
}

static PySendResult over(kpy_plan_t *self, PyObject *result, PyObject **out) {
    self->stage = IDLE;
    *out = result;
    return result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
}

static PySendResult failed(kpy_plan_t *self) {
    self->stage = IDLE;
    return PYGEN_ERROR;
}

/* It ended at once, and spends a credit; behind the last one the others have a turn. */
static PySendResult spend(kpy_plan_t *self, kpy_loop_t *loop, PyObject *won, PyObject **result) {
    if (won == NULL || loop->credit > 0) {
        loop->credit -= won != NULL;
        return over(self, won, result);
    }
    Py_XSETREF(self->outcome, won);
    self->stage = IN_TURN;
    Py_XSETREF(self->task, (kpy_task_t *)Py_NewRef(loop->base.running));
    return kpy_pause(loop, loop->base.running, result);
}

/* -- looking */

/* Whether the general way has to be taken: something stands in front of a channel now. */
static bool is_beyond(const kpy_plan_t *self) {
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        const kpy_part_t *part = &self->parts[i];
        if (*kpy_slot(part->face, loops_of(self)->core_at) != (PyObject *)part->core)
            return true;
    }
    return false;
}

static int check_homes(kpy_plan_t *self, kpy_loop_t *loop) {
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        if (kpy_enter_face(loops_of(self), self->parts[i].face, loop) != 0)
            return -1;
    return 0;
}

static PyObject *offered_by(const kpy_plan_t *self, const kpy_part_t *part) {
    return part->sending ? PyObject_GetAttr(part->clause, loops_of(self)->str_value) : Py_NewRef(Py_None);
}

/* Take the effect of a clause if it is ready: 0 and a value, or a code of libkcoro; 1 with an exception. */
static int try_part(kpy_plan_t *self, kpy_part_t *part, PyObject **value) {
    kpy_channel_t *core = part->core;
    void *element = NULL;
    int code;
    if ((part->sending ? kc_chan_send_must_wait(core->ch) : kc_chan_recv_must_wait(core->ch)) == 1)
        return -EAGAIN;
    PyObject *offered = offered_by(self, part);
    if (offered == NULL)
        return 1;
    kpy_enter(core);
    code = part->sending ? kc_chan_send_now(core->ch, offered) : kc_chan_recv_now(core->ch, &element);
    kpy_leave(core);
    if (!part->sending || code != 0)
        Py_DECREF(offered);
    *value = element != NULL ? (PyObject *)element : Py_NewRef(Py_None);
    if (code != 0)
        Py_CLEAR(*value);
    return code;
}

static Py_ssize_t at(const kpy_plan_t *self, Py_ssize_t turn) {
    if (self->order != NULL)
        return turn < PyList_GET_SIZE(self->order) ? PyLong_AsSsize_t(PyList_GET_ITEM(self->order, turn)) : -1;
    Py_ssize_t index = self->first + turn;
    return index < Py_SIZE(self) ? index : index - Py_SIZE(self);
}

/* Look at all clauses: 0, the index and the value of the first that was ready, -EAGAIN, or another code as above. */
static int look(kpy_plan_t *self, Py_ssize_t *index, PyObject **value) {
    for (Py_ssize_t turn = 0; turn < Py_SIZE(self); turn++) {
        *index = at(self, turn);
        if (*index < 0 || *index >= Py_SIZE(self))
            return -EINVAL;
        int code = try_part(self, &self->parts[*index], value);
        if (code != -EAGAIN)
            return code;
    }
    return -EAGAIN;
}

/* -- waiting */

/* Whether the operation and the arms of the last wait are nobody's but the plan's. */
static bool is_ours(const kpy_plan_t *self) {
    if (self->op == NULL || Py_REFCNT(self->op) != 1 + Py_SIZE(self) || self->op->base.weakrefs != NULL)
        return false;
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        const kpy_arm_t *arm = self->parts[i].arm;
        if (arm == NULL || Py_REFCNT(arm) != 1 || arm->weakrefs != NULL)
            return false;
    }
    return true;
}

static int make_arm(kpy_plan_t *self, Py_ssize_t index, PyObject *value) {
    kpy_part_t *part = &self->parts[index];
    PyObject *number = PyLong_FromSsize_t(index);
    PyObject *args[] = {(PyObject *)self->op, number, part->sending ? Py_True : Py_False, value};
    PyObject *arm = number == NULL ? NULL : PyObject_Vectorcall((PyObject *)self->state->arm, args, 4, NULL);
    Py_XDECREF(number);
    Py_XSETREF(part->arm, (kpy_arm_t *)arm);
    return arm == NULL ? -1 : 0;
}

static void renew_arm(kpy_plan_t *self, Py_ssize_t index, PyObject *value) {
    kpy_part_t *part = &self->parts[index];
    PyObject *old = waiter(part)->value;
    kpy_place_init(&part->arm->place, (PyObject *)part->arm, &self->op->base.op, (int)index, part->sending, value);
    Py_XDECREF(old);
}

static void renew_op(kpy_plan_t *self) {
    kpy_select_t *op = self->op;
    kc_closed_rule_t rule = op->base.op.closed_rule;
    kpy_operation_clear((PyObject *)op);
    kc_op_init_select(&op->base.op, rule, (size_t)Py_SIZE(self));
    kpy_place_init(&op->base.place, (PyObject *)op, &op->base.op, 0, false, Py_None);
    kpy_operation_init(&op->base, self->state);
    Py_DECREF(self->state->module); /* it holds the module already */
    op->reason = NULL;
}

static int prepare(kpy_plan_t *self) {
    bool ours = is_ours(self);
    if (ours)
        renew_op(self);
    else {
        PyObject *op = PyObject_CallFunction((PyObject *)self->state->select, "On", self->rule, Py_SIZE(self));
        if (op == NULL)
            return -1;
        Py_XSETREF(self->op, (kpy_select_t *)op);
    }
    self->op->base.wake = kpy_wake_waiting;
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        PyObject *value = offered_by(self, &self->parts[i]);
        int rc = value == NULL ? -1 : 0;
        if (rc == 0 && ours)
            renew_arm(self, i, value);
        else if (rc == 0)
            rc = make_arm(self, i, value);
        Py_XDECREF(value);
        if (rc != 0)
            return -1;
    }
    return 0;
}

static void set_home(kpy_plan_t *self, PyObject *face, kpy_loop_t *loop) {
    PyObject **home = kpy_slot(face, loops_of(self)->home_at), *old = *home;
    *home = Py_NewRef(loop);
    Py_XDECREF(old);
}

static void withdraw(kpy_plan_t *self) {
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        kpy_part_t *part = &self->parts[i];
        if (part->arm == NULL || waiter(part)->list == NULL)
            continue;
        kpy_enter(part->core);
        kpy_channel_withdraw(part->core, &part->arm->place);
        kpy_leave(part->core);
    }
}

static int enlist(kpy_plan_t *self, kpy_loop_t *loop) {
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        kpy_part_t *part = &self->parts[i];
        set_home(self, part->face, loop);
        if (kpy_channel_enqueue(part->core, &part->arm->place) != 0)
            return -1;
    }
    return 0;
}

static PySendResult park(kpy_plan_t *self, kpy_loop_t *loop, PyObject **result) {
    kpy_task_t *task = loop->base.running;
    if (prepare(self) != 0 || enlist(self, loop) != 0) {
        withdraw(self);
        return failed(self);
    }
    kpy_operation_t *op = &self->op->base;
    if (loop->is_cancelling && kpy_in_force(task->scope) && kc_op_give_up(&op->op) == 1) {
        loop->credit = loop->quantum;
        withdraw(self);
        self->stage = IDLE;
        return kpy_raise_cancelled(loop);
    }
    Py_XSETREF(op->op.task, Py_NewRef(task));
    Py_XSETREF(self->task, (kpy_task_t *)Py_NewRef(task));
    self->stage = PARKED;
    return kpy_park(loop, task, (PyObject *)op, KPY_WAIT_PLACE, result);
}

static PySendResult begin(kpy_plan_t *self, kpy_loop_t *loop, PyObject **result) {
    PyObject *value = NULL;
    Py_ssize_t index = 0;
    if (is_beyond(self))
        return over(self, Py_NewRef(Py_None), result);
    if (check_homes(self, loop) != 0)
        return failed(self);
    if (loop->is_cancelling && kpy_is_cancelled(loop, loop->base.running) != 0)
        return failed(self);
    int code = look(self, &index, &value);
    if (code == 0)
        return spend(self, loop, selected(self, index, value), result);
    if (code == -EAGAIN)
        return park(self, loop, result);
    if (code == -EPIPE) /* a channel is closed: the face knows what that means; nothing was taken */
        return over(self, Py_NewRef(Py_None), result);
    if (!PyErr_Occurred())
        PyErr_SetString(code == -ENOMEM ? PyExc_MemoryError : PyExc_ValueError, "a select could not look at a clause");
    return failed(self);
}

static PySendResult resume(kpy_plan_t *self, kpy_loop_t *loop, PyObject **result) {
    kpy_operation_t *op = &self->op->base;
    kpy_task_t *task = loop->base.running;
    if (!task->interrupted && kci_claim(&op->op) == KC_WAITING)
        return kpy_park(loop, task, (PyObject *)op, KPY_WAIT_PLACE, result); /* it was not this that woke the task */
    bool cancelled = kpy_resume(task);
    Py_CLEAR(self->task);
    withdraw(self);
    if (cancelled) {
        self->stage = IDLE;
        return kpy_raise_cancelled(loop);
    }
    int claim = kci_claim(&op->op);
    if (op->op.error != 0 || claim < 0) /* the face says what that means */
        return over(self, Py_NewRef(op), result);
    PyObject *value = op->op.value;
    op->op.value = NULL;
    Py_CLEAR(op->op.task);
    return over(self, selected(self, claim, value != NULL ? value : Py_NewRef(Py_None)), result);
}

static void plan_leave(PyObject *obj);

static PySendResult plan_advance(PyObject *obj, PyObject **result) {
    kpy_plan_t *self = (kpy_plan_t *)obj;
    kpy_loop_t *loop = kpy_loop_here;
    if (kpy_loop_current(loop) == NULL)
        return PYGEN_ERROR;
    PyObject *outcome;
    kpy_task_t *task = loop->base.running;
    if (!kpy_may_step(self->task, task)) {
        if (self->task == task)
            plan_leave(obj);
        return PYGEN_ERROR;
    }
    switch (self->stage) {
    case BEGUN:
        return begin(self, loop, result);
    case PARKED:
        return resume(self, loop, result);
    case IN_TURN:
        outcome = self->outcome;
        self->outcome = NULL;
        Py_CLEAR(self->task);
        return over(self, outcome, result);
    default:
        PyErr_SetString(PyExc_RuntimeError, "start() a plan before it is awaited");
        return PYGEN_ERROR;
    }
}

static void plan_leave(PyObject *obj) {
    kpy_plan_t *self = (kpy_plan_t *)obj;
    if (self->stage == IN_TURN && self->task != NULL)
        kpy_stop_pausing(self->task);
    if (self->stage == PARKED) {
        kc_op_give_up(&self->op->base.op);
        withdraw(self);
        if (self->task != NULL)
            kpy_stop_waiting(self->task, (PyObject *)self->op);
    }
    self->stage = IDLE;
    Py_CLEAR(self->task);
    Py_CLEAR(self->outcome);
}

KPY_AWAITABLE(plan, (loops_of((kpy_plan_t *)self)))

/* -- the type */

static int plan_traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_plan_t *self = (kpy_plan_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->op);
    Py_VISIT(self->rule);
    Py_VISIT(self->order);
    Py_VISIT(self->outcome);
    Py_VISIT(self->task);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        Py_VISIT(self->parts[i].clause);
        Py_VISIT(self->parts[i].face);
        Py_VISIT(self->parts[i].core);
        Py_VISIT(self->parts[i].arm);
    }
    return 0;
}

static int plan_clear(PyObject *obj) {
    kpy_plan_t *self = (kpy_plan_t *)obj;
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++) {
        Py_CLEAR(self->parts[i].clause);
        Py_CLEAR(self->parts[i].face);
        Py_CLEAR(self->parts[i].arm);
        Py_CLEAR(self->parts[i].core);
    }
    Py_CLEAR(self->op);
    Py_CLEAR(self->rule);
    Py_CLEAR(self->order);
    Py_CLEAR(self->outcome);
    Py_CLEAR(self->task);
    return 0;
}

static void plan_dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    plan_clear(obj);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMethodDef start_def[] = {
    {"start", plan_start, METH_O,
     KPY_DOC("start($self, order, /)", "Begin a wait: await this. order is a list of indices, or the first of them.")},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What a selector keeps from one wait on a loop to the next."},
    {Py_tp_dealloc, plan_dealloc},
    {Py_tp_traverse, plan_traverse},
    {Py_tp_clear, plan_clear},
    KPY_AWAITABLE_SLOTS(plan),
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Plan",
    .basicsize = offsetof(kpy_plan_t, parts),
    .itemsize = sizeof(kpy_part_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int kpy_init_choice(PyObject *module, kpy_state_t *state) {
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    state->loops->plan = type;
    PyObject *start = type == NULL ? NULL : PyDescr_NewMethod(type, start_def);
    int rc = start == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, "start", start);
    Py_XDECREF(start);
    return rc;
}
