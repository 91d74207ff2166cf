/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Coroutines of Python: their moves; rules in coroutine.h. */

#include "coroutine.h"

#include "stackful.h"

KPY_THREAD_WORD kpy_switching_t kpy_switching_here;

/* -- those that have begun */

static void enlist(kpy_coroutine_t *co) {
    struct kpy_loops *loops = co->state->loops;
    co->before = NULL;
    co->behind = loops->begun;
    if (loops->begun != NULL)
        loops->begun->before = co;
    loops->begun = co;
}

static void delist(kpy_coroutine_t *co) {
    *(co->before != NULL ? &co->before->behind : &co->state->loops->begun) = co->behind;
    if (co->behind != NULL)
        co->behind->before = co->before;
    co->before = co->behind = NULL;
}

/* -- arriving */

/* Take what has come along with a switch; the last reference to who was left may be given up here. */
static PyObject *take_value(kpy_switching_t *here) {
    PyObject *value = here->value;
    kpy_coroutine_t *left = here->left;
    here->value = NULL;
    here->left = NULL;
    Py_XDECREF(left);
    return value;
}

/* In a body that goes on: what was given to it, or NULL and what was thrown. */
static PyObject *go_on(kpy_coroutine_t *self) {
    PyObject *value = take_value(&kpy_switching_here), *error = self->thrown;
    if (error == NULL)
        return value;
    self->thrown = NULL;
    Py_XDECREF(value);
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

/* -- the body */

static void keep_error(kpy_coroutine_t *self) {
    PyObject *error = kpy_take_exception(), *exit_class = kpy_coroutine_exit_class();
    bool exits = exit_class != NULL && PyErr_GivenExceptionMatches(error, exit_class);
    PyErr_Clear();
    Py_XDECREF(exit_class);
    if (exits)
        Py_DECREF(error);
    else
        self->error = error;
}

void kpy_coroutine_run(void *owner) {
    kpy_coroutine_t *self = owner;
    PyObject *fn = self->fn, *args = self->args;
    self->fn = self->args = NULL;
    Py_XDECREF(take_value(&kpy_switching_here)); /* there is none but None for who begins */
    self->result = PyObject_Call(fn, args, NULL);
    if (self->result == NULL)
        keep_error(self);
    Py_DECREF(fn);
    Py_DECREF(args);
}

/* It has ended, and this is what its resumer gets. */
static PyObject *outcome(kpy_coroutine_t *co) {
    kpy_private_end(&co->stack);
    delist(co);
    co->moved = KC_CORO_FINISHED;
    if (co->error == NULL)
        return Py_NewRef(co->result != NULL ? co->result : Py_None);
    kpy_raise(Py_NewRef(co->error));
    return NULL;
}

/* -- a switch */

/* In who waited in a move from outside: what it gets from whoever has come back, `came`, a reference. */
static PyObject *come_back(kpy_coroutine_t *came) {
    PyObject *value = take_value(&kpy_switching_here);
    if (kpy_private_is_over(&came->stack))
        value = outcome(came);
    PyObject *error = value == NULL ? kpy_take_exception() : NULL;
    Py_DECREF(came); /* may run code */
    if (error != NULL)
        kpy_raise(error);
    return value;
}

/*
** Have another go on in place of who runs, with `value`; states are changed already. The result of the move.
**
** left     the body that moves, or NULL in a move from outside
** entered  who goes on, and is RUNNING; NULL: whoever resumed `left`
**
** One function for all moves, called last by each: so what returns on one stack was called in the same way on the
** other, and the processor knows where to. Else each such return costs as much as the switch.
*/
static KPY_APART PyObject *move(kpy_coroutine_t *left, kpy_coroutine_t *entered, PyObject *value) {
    kpy_switching_t *here = &kpy_switching_here;
    kpy_coroutine_t *me = here->current;
    kpy_stackful_t *waiting = kpy_stackful_here;
    if (entered != NULL)
        here->current = (kpy_coroutine_t *)Py_NewRef(entered);
    here->value = Py_NewRef(value);
    kpy_stackful_here = NULL; /* wait() would leave the stack of the resumer */
    kpy_private_switch(left != NULL ? &left->stack : NULL, entered != NULL ? &entered->stack : NULL);
    kpy_coroutine_t *came = here->current;
    here->current = me;
    kpy_stackful_here = waiting;
    return left != NULL ? go_on(left) : come_back(came);
}

/* -- moves from outside */

static bool is_foreign(const kpy_coroutine_t *co) {
    return co->stack.thread_id != 0 && kpy_private_is_foreign(&co->stack);
}

/* Whether that may be done with it here and now: 0, or -1 and the refusal. */
static int admit(const char *verb, kpy_coroutine_t *co, bool of_parked, PyObject *value) {
    if (is_foreign(co))
        return kpy_coroutine_say("foreign", co);
    if (co->moved == KC_CORO_RUNNING || co->moved == KC_CORO_FINISHED || (co->moved == KC_CORO_PARKED && !of_parked))
        return kpy_coroutine_refuse(verb, co);
    if (co->moved == KC_CORO_CREATED && value != Py_None)
        return kpy_coroutine_say("early", co);
    return 0;
}

/* Give it a stack, if it has none: 0, or -1 and an exception. */
static int bind(kpy_coroutine_t *co) {
    if (co->moved != KC_CORO_CREATED)
        return 0;
    if (kpy_private_begin(&co->stack, co->state->loops->stack_bytes, co->name, co->context) != 0)
        return -1;
    co->context = NULL;
    enlist(co);
    return 0;
}

/* Those of this thread that others have dropped. */
static void end_dropped(struct kpy_loops *loops) {
    uint64_t me = PyThreadState_Get()->id;
    for (kpy_coroutine_t **at = &loops->dropped; *at != NULL;) {
        kpy_coroutine_t *co = *at;
        if (co->stack.thread_id != me) {
            at = &co->next_dropped;
            continue;
        }
        *at = co->next_dropped;
        kpy_coroutine_drop(co);
        Py_DECREF(co);
        at = &loops->dropped; /* the list may have changed */
    }
}

PyObject *kpy_coroutine_resume(kpy_coroutine_t *co, PyObject *value) {
    if (co->state->loops->dropped != NULL)
        end_dropped(co->state->loops);
    if (admit("resume", co, false, value) != 0 || bind(co) != 0)
        return NULL;
    co->moved = KC_CORO_RUNNING;
    return move(NULL, co, value);
}

/* Its body never runs. What it was given goes last, as that may run code. */
static void never_begin(kpy_coroutine_t *co) {
    PyObject *fn = co->fn, *args = co->args, *context = co->context;
    co->moved = KC_CORO_FINISHED;
    co->fn = co->args = co->context = NULL;
    Py_XDECREF(fn);
    Py_XDECREF(args);
    Py_XDECREF(context);
}

PyObject *kpy_coroutine_throw(kpy_coroutine_t *co, PyObject *error) {
    if (admit("throw", co, true, Py_None) != 0)
        return NULL;
    if (co->moved == KC_CORO_CREATED) {
        co->error = Py_NewRef(error);
        never_begin(co);
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        return NULL;
    }
    co->thrown = Py_NewRef(error);
    co->moved = KC_CORO_RUNNING;
    return move(NULL, co, Py_None);
}

static PyObject *make_exit(void) {
    PyObject *exit_class = kpy_coroutine_exit_class();
    PyObject *error = exit_class == NULL ? NULL : PyObject_CallNoArgs(exit_class);
    Py_XDECREF(exit_class);
    return error;
}

int kpy_coroutine_destroy(kpy_coroutine_t *co) {
    if (co->moved == KC_CORO_CREATED)
        never_begin(co);
    if (co->moved == KC_CORO_FINISHED)
        return 0;
    if (admit("destroy", co, true, Py_None) != 0)
        return -1;
    PyObject *error = make_exit();
    if (error == NULL)
        return -1;
    co->thrown = error;
    co->moved = KC_CORO_RUNNING;
    PyObject *came = move(NULL, co, Py_None);
    Py_XDECREF(came);
    if (came == NULL)
        return -1;
    return co->moved == KC_CORO_FINISHED ? 0 : kpy_coroutine_say("clung", co);
}

bool kpy_coroutine_unpark(kpy_coroutine_t *co) {
    if (co->moved == KC_CORO_PARKED) {
        co->moved = KC_CORO_READY;
        return true;
    }
    co->permit = co->moved != KC_CORO_FINISHED;
    return false;
}

/* -- moves of the body */

/* The coroutine that runs, if it may be left here; NULL and an exception else. */
static kpy_coroutine_t *own(const char *verb) {
    kpy_coroutine_t *self = kpy_switching_here.current;
    if (self == NULL)
        kpy_coroutine_outside(verb);
    return self == NULL || kpy_private_may_leave(&self->stack, self->state->loops->str_del) != 0 ? NULL : self;
}

static PyObject *leave(kpy_coroutine_t *self, int becomes, PyObject *value) {
    self->moved = (uint8_t)becomes;
    return move(self, NULL, value);
}

PyObject *kpy_coroutine_yield(PyObject *value) {
    kpy_coroutine_t *self = own("yield_");
    return self == NULL ? NULL : leave(self, KC_CORO_SUSPENDED, value);
}

PyObject *kpy_coroutine_park(void) {
    kpy_coroutine_t *self = own("park");
    if (self == NULL)
        return NULL;
    if (!self->permit)
        return leave(self, KC_CORO_PARKED, Py_None);
    self->permit = false;
    return Py_NewRef(Py_None);
}

PyObject *kpy_coroutine_yield_to(kpy_coroutine_t *other, PyObject *value) {
    kpy_coroutine_t *self = own("yield_to");
    if (self == NULL || admit("yield_to", other, false, value) != 0 || bind(other) != 0)
        return NULL;
    self->moved = KC_CORO_SUSPENDED;
    other->moved = KC_CORO_RUNNING;
    kpy_switching_here.left = self;
    return move(self, other, value);
}

/* -- those that nobody wants */

static bool is_alive(uint64_t thread_id) {
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (thread != NULL && thread->id != thread_id)
        thread = PyThreadState_Next(thread);
    return thread != NULL;
}

void kpy_coroutine_drop(kpy_coroutine_t *co) {
    if (co->stack.co == NULL || co->moved == KC_CORO_FINISHED || kpy_is_finalizing())
        return; /* nothing waits, or nothing is to run any more */
    if (!is_foreign(co)) {
        if (kpy_coroutine_destroy(co) != 0)
            PyErr_WriteUnraisable((PyObject *)co);
    }
    else if (is_alive(co->stack.thread_id)) { /* its thread does it, and until then it lives */
        co->next_dropped = co->state->loops->dropped;
        co->state->loops->dropped = (kpy_coroutine_t *)Py_NewRef(co);
        return;
    }
    if (co->stack.co != NULL)
        delist(co); /* abandoned: its stack stays as it is */
}
