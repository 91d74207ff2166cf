/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Stackful functions: being stepped, closed and thrown away; rules in stackful.h, their waits in stackful_wait.c. */

#include "stackful.h"

#include <stddef.h>

#include "coroutine.h"
#include "loop_await.h"
#include "module.h"

KPY_THREAD_WORD kpy_stackful_t *kpy_stackful_here;

/* -- a step */

static void run(void *owner) {
    kpy_stackful_t *self = owner;
    PyObject *fn = self->fn, *args = self->args, *kwargs = self->kwargs;
    self->fn = self->args = self->kwargs = NULL;
    self->result = PyObject_Call(fn, args, kwargs);
    if (self->result == NULL)
        self->error = kpy_take_exception();
    Py_DECREF(fn);
    Py_DECREF(args);
    Py_XDECREF(kwargs);
}

static int refuse(kpy_stackful_t *self, PyObject *kind, const char *why) {
    PyErr_Format(kind, "%R %s", self, why);
    return -1;
}

static int begin(kpy_stackful_t *self) {
    if (kpy_loop_here == NULL || kpy_loop_here->base.running == NULL)
        return refuse(self, self->state->loops->wrong_loop,
                      "can wait on the native host only: start the program with run(main, host=\"native\")");
    return kpy_private_begin(&self->stack, self->bytes, self->qualname, NULL);
}

static int may_step(kpy_stackful_t *self) {
    if (self->life == KPY_STACKFUL_RUNNING)
        return refuse(self, PyExc_ValueError, "is being stepped already");
    if (self->life == KPY_STACKFUL_OVER)
        return refuse(self, PyExc_RuntimeError, "has ended: what one call gave is awaited once");
    if (self->life == KPY_STACKFUL_WAITING && kpy_private_is_foreign(&self->stack))
        return refuse(self, PyExc_RuntimeError, "began in another thread, and goes on only there");
    return 0;
}

/* As for coroutines, a StopIteration is not mistaken for the end of what is stepped. */
static void raise_error(PyObject *error) {
    if (PyErr_GivenExceptionMatches(error, PyExc_StopIteration)) {
        PyErr_SetString(PyExc_RuntimeError, "a stackful function raised StopIteration");
        PyObject *raised = kpy_take_exception();
        PyException_SetCause(raised, Py_NewRef(error));
        PyException_SetContext(raised, error);
        error = raised;
    }
    kpy_raise(error);
}

static PySendResult came_back(kpy_stackful_t *self, PyObject **result) {
    *result = self->result;
    self->result = NULL;
    if (!kpy_private_is_over(&self->stack)) {
        self->life = KPY_STACKFUL_WAITING;
        return PYGEN_NEXT;
    }
    self->life = KPY_STACKFUL_OVER;
    kpy_private_end(&self->stack);
    if (*result != NULL)
        return PYGEN_RETURN;
    PyObject *error = self->error;
    self->error = NULL;
    raise_error(error);
    return PYGEN_ERROR;
}

static void end_unbegun(kpy_stackful_t *self) {
    self->life = KPY_STACKFUL_OVER;
    Py_CLEAR(self->fn);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
}

/* Takes the reference to `error`; with NULL its wait() goes on with `value`. */
static PySendResult step(kpy_stackful_t *self, PyObject *value, PyObject *error, PyObject **result) {
    *result = NULL;
    if (may_step(self) != 0) {
        Py_XDECREF(error);
        return PYGEN_ERROR;
    }
    if (self->life == KPY_STACKFUL_CREATED && (error != NULL || begin(self) != 0)) {
        end_unbegun(self);
        if (error != NULL)
            kpy_raise(error);
        return PYGEN_ERROR;
    }
    kpy_stackful_t *outer = kpy_stackful_here;
    kpy_coroutine_t *below = kpy_switching_here.current;
    self->life = KPY_STACKFUL_RUNNING;
    self->given = Py_NewRef(value);
    self->thrown = error;
    kpy_stackful_here = self;
    kpy_switching_here.current = NULL; /* its yield would leave this stack instead of its own */
    Py_INCREF(self);
    kpy_private_switch(NULL, &self->stack);
    kpy_stackful_here = outer;
    kpy_switching_here.current = below;
    Py_CLEAR(self->given); /* of a step that began it */
    PySendResult sent = came_back(self, result);
    Py_DECREF(self);
    return sent;
}

/* -- as a coroutine */

static PyObject *await(PyObject *self) {
    return Py_NewRef(self);
}

static PySendResult send(PyObject *obj, PyObject *value, PyObject **result) {
    return step((kpy_stackful_t *)obj, value, NULL, result);
}

static PyObject *next(PyObject *obj) {
    PyObject *result;
    PySendResult sent = send(obj, Py_None, &result);
    return kpy_next_of(((kpy_stackful_t *)obj)->state->loops, sent, result);
}

static PyObject *send_method(PyObject *obj, PyObject *value) {
    PyObject *result;
    PySendResult sent = send(obj, value, &result);
    return kpy_await_sent(((kpy_stackful_t *)obj)->state->loops, sent, result);
}

static PyObject *throw(PyObject *obj, PyObject *const *args, Py_ssize_t count) {
    PyObject *result;
    kpy_await_throw(args, count);
    PySendResult sent = step((kpy_stackful_t *)obj, Py_None, kpy_take_exception(), &result);
    return kpy_await_sent(((kpy_stackful_t *)obj)->state->loops, sent, result);
}

/* 0, or -1 and what it raised instead of ending. */
static int close_it(kpy_stackful_t *self) {
    PyObject *result, *error;
    if (self->life == KPY_STACKFUL_CREATED)
        end_unbegun(self);
    if (self->life == KPY_STACKFUL_OVER)
        return 0;
    if ((error = PyObject_CallNoArgs(PyExc_GeneratorExit)) == NULL)
        return -1;
    PySendResult sent = step(self, Py_None, error, &result);
    Py_XDECREF(result);
    if (sent == PYGEN_NEXT)
        return refuse(self, PyExc_RuntimeError, "was closed, and waits all the same");
    if (sent == PYGEN_ERROR && !PyErr_ExceptionMatches(PyExc_GeneratorExit))
        return -1;
    PyErr_Clear();
    return 0;
}

static PyObject *close_method(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    if (close_it((kpy_stackful_t *)obj) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* -- its life */

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fn", "args", "kwargs", "qualname", "stack_size", "is_inline", NULL};
    PyObject *fn, *given, *named, *qualname;
    Py_ssize_t bytes;
    int is_inline;
    kpy_state_t *state = kpy_state_of_class(type);
    if (state == NULL ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "OO!O!Unp:Stackful", names, &fn, &PyTuple_Type, &given, &PyDict_Type,
                                     &named, &qualname, &bytes, &is_inline))
        return NULL;
    kpy_stackful_t *self = (kpy_stackful_t *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->fn = Py_NewRef(fn);
    self->args = Py_NewRef(given);
    self->kwargs = PyDict_GET_SIZE(named) != 0 ? Py_NewRef(named) : NULL;
    self->qualname = Py_NewRef(qualname);
    self->bytes = (size_t)bytes;
    self->is_inline = is_inline != 0;
    self->stack.body = run;
    self->stack.owner = self;
    return (PyObject *)self;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_stackful_t *self = (kpy_stackful_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->fn);
    Py_VISIT(self->args);
    Py_VISIT(self->kwargs);
    return 0;
}

static int clear(PyObject *obj) {
    kpy_stackful_t *self = (kpy_stackful_t *)obj;
    Py_CLEAR(self->fn);
    Py_CLEAR(self->args);
    Py_CLEAR(self->kwargs);
    return 0;
}

/* One that waits is closed; where that cannot be, its stack stays as it is, for ever. */
static void finalize(PyObject *obj) {
    kpy_stackful_t *self = (kpy_stackful_t *)obj;
    PyObject *raised = kpy_take_exception();
    if (self->life == KPY_STACKFUL_CREATED)
        kpy_never_awaited(obj);
    else if (self->life == KPY_STACKFUL_WAITING && !kpy_is_finalizing() && close_it(self) != 0)
        PyErr_WriteUnraisable(obj);
    kpy_raise(raised);
}

static void dealloc(PyObject *obj) {
    kpy_stackful_t *self = (kpy_stackful_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    if (PyObject_CallFinalizerFromDealloc(obj) != 0)
        return;
    PyObject_GC_UnTrack(obj);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    clear(obj);
    Py_CLEAR(self->qualname);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyObject *repr(PyObject *obj) {
    static const char *const words[] = {"not begun", "running", "waiting", "ended"};
    kpy_stackful_t *self = (kpy_stackful_t *)obj;
    return PyUnicode_FromFormat("<stackful %R %s>", self->qualname, words[self->life]);
}

/* -- what it tells */

static PyObject *get_frame(PyObject *obj, void *Py_UNUSED(closure)) {
    PyObject *frame = kpy_private_frame(&((kpy_stackful_t *)obj)->stack);
    return frame != NULL ? frame : Py_NewRef(Py_None);
}

static PyObject *get_awaited(PyObject *obj, void *Py_UNUSED(closure)) {
    PyObject *awaited = ((kpy_stackful_t *)obj)->awaited;
    return Py_NewRef(awaited != NULL ? awaited : Py_None);
}

static PyObject *get_running(PyObject *obj, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(((kpy_stackful_t *)obj)->life == KPY_STACKFUL_RUNNING);
}

PyObject *kpy_no_stackful(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    const char *why = kpy_private_missing();
    return why == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(why);
}

/* -- the type */

static PyMethodDef methods[] = {
    {"send", send_method, METH_O, "As for coroutines."},
    {"throw", (PyCFunction)(void (*)(void))throw, METH_FASTCALL, "As for coroutines."},
    {"close", close_method, METH_NOARGS, "As for coroutines."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"cr_frame", get_frame, NULL, "The innermost frame, while it waits in its own thread; else None.", NULL},
    {"cr_await", get_awaited, NULL, "What it waits in, or None.", NULL},
    {"cr_running", get_running, NULL, "Whether it is being stepped.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__qualname__", T_OBJECT, offsetof(kpy_stackful_t, qualname), READONLY, "The name of its function."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_stackful_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One call of a plain function on a stack of its own, which is awaited once."},
    {Py_tp_new, make},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_am_await, await},
    {Py_am_send, send},
    {Py_tp_iter, await},
    {Py_tp_iternext, next},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Stackful",
    .basicsize = sizeof(kpy_stackful_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int kpy_init_stackful(PyObject *module, kpy_state_t *state) {
    if (kpy_private_measure() != 0)
        return -1;
    state->loops->stackful = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->stackful == NULL ? -1 : PyModule_AddType(module, state->loops->stackful);
}
