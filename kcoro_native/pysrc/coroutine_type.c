/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Coroutines as Python sees them; see coroutine.h. The class that programs have is derived from this one. */

#include "coroutine.h"

#include <stddef.h>

#include "module.h"

static const kpy_takes_t by_resume = {"resume", 0, 1, {"value", NULL}}, by_throw = {"throw", 1, 1, {"error", NULL}};
static const kpy_takes_t by_yield = {"yield_", 0, 1, {"value", NULL}};
static const kpy_takes_t by_yield_to = {"yield_to", 1, 2, {"other", "value"}};

/* -- from outside */

static PyObject *resume(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *value = NULL;
    if (names == NULL && count <= 1)
        value = count == 1 ? args[0] : NULL;
    else if (kpy_sort(&by_resume, args, count, names, &value) != 0)
        return NULL;
    return kpy_coroutine_resume((kpy_coroutine_t *)self, value != NULL ? value : Py_None);
}

static PyObject *throw(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *error = NULL;
    if (kpy_sort(&by_throw, args, count, names, &error) != 0)
        return NULL;
    if (!PyExceptionInstance_Check(error))
        return PyErr_Format(PyExc_TypeError, "throw() takes an exception, not %R", error);
    return kpy_coroutine_throw((kpy_coroutine_t *)self, error);
}

static PyObject *unpark(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    return PyBool_FromLong(kpy_coroutine_unpark((kpy_coroutine_t *)self));
}

static PyObject *destroy(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    if (kpy_coroutine_destroy((kpy_coroutine_t *)self) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *result(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_coroutine_t *self = (kpy_coroutine_t *)obj;
    if (self->result != NULL)
        return Py_NewRef(self->result);
    if (self->error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
    else
        kpy_coroutine_say("no_result", self);
    return NULL;
}

/* -- from the body */

static PyObject *yield(PyObject *Py_UNUSED(none), PyObject *const *args, Py_ssize_t count, PyObject *names) {
    PyObject *value = NULL;
    if (names == NULL && count <= 1)
        value = count == 1 ? args[0] : NULL;
    else if (kpy_sort(&by_yield, args, count, names, &value) != 0)
        return NULL;
    return kpy_coroutine_yield(value != NULL ? value : Py_None);
}

static PyObject *park(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(ignored)) {
    return kpy_coroutine_park();
}

static PyObject *yield_to(PyObject *Py_UNUSED(none), PyObject *const *args, Py_ssize_t count, PyObject *names) {
    kpy_coroutine_t *running = kpy_switching_here.current;
    PyObject *found[2] = {NULL, NULL};
    if (kpy_sort(&by_yield_to, args, count, names, found) != 0)
        return NULL;
    if (running == NULL) {
        kpy_coroutine_outside("yield_to");
        return NULL;
    }
    if (!PyObject_TypeCheck(found[0], running->state->loops->coroutine))
        return PyErr_Format(PyExc_TypeError, "yield_to() goes on in a coroutine of this engine, not in %R", found[0]);
    return kpy_coroutine_yield_to((kpy_coroutine_t *)found[0], found[1] != NULL ? found[1] : Py_None);
}

static PyObject *current(PyObject *Py_UNUSED(none), PyObject *Py_UNUSED(ignored)) {
    kpy_coroutine_t *running = kpy_switching_here.current;
    return Py_NewRef(running != NULL ? (PyObject *)running : Py_None);
}

static PyObject *alive(PyObject *type, PyObject *Py_UNUSED(ignored)) {
    kpy_state_t *state = kpy_state_of_class((PyTypeObject *)type);
    PyObject *list = state == NULL ? NULL : PyList_New(0);
    for (kpy_coroutine_t *co = list == NULL ? NULL : state->loops->begun; co != NULL; co = co->behind)
        if (PyList_Append(list, (PyObject *)co) != 0) {
            Py_DECREF(list);
            return NULL;
        }
    return list;
}

/* -- its life */

static PyObject *name_of(PyObject *fn) {
    PyObject *name = PyObject_GetAttrString(fn, "__qualname__");
    if (name != NULL && PyUnicode_Check(name))
        return name;
    Py_XDECREF(name);
    PyErr_Clear();
    return PyType_GetQualName(Py_TYPE(fn));
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fn", "args", "name", NULL};
    PyObject *fn, *given, *name;
    kpy_state_t *state = kpy_state_of_class(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO!O:Coroutine", names, &fn, &PyTuple_Type, &given,
                                                      &name))
        return NULL;
    if (kpy_is_finalizing() || state->loops->is_ending)
        return PyErr_Format(PyExc_RuntimeError, "the interpreter is ending: no coroutine can be made any more");
    kpy_coroutine_t *self = (kpy_coroutine_t *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->id = ++state->loops->coroutines;
    self->fn = Py_NewRef(fn);
    self->args = Py_NewRef(given);
    self->name = name == Py_None ? name_of(fn) : Py_NewRef(name);
    self->context = PyContext_CopyCurrent();
    self->stack.body = kpy_coroutine_run;
    self->stack.owner = self;
    if (self->name == NULL || self->context == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_coroutine_t *self = (kpy_coroutine_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->fn);
    Py_VISIT(self->args);
    Py_VISIT(self->context);
    Py_VISIT(self->thrown);
    Py_VISIT(self->result);
    Py_VISIT(self->error);
    return 0;
}

static int clear(PyObject *obj) {
    kpy_coroutine_t *self = (kpy_coroutine_t *)obj;
    Py_CLEAR(self->fn);
    Py_CLEAR(self->args);
    Py_CLEAR(self->context);
    Py_CLEAR(self->result);
    Py_CLEAR(self->error);
    return 0;
}

static void finalize(PyObject *obj) {
    PyObject *raised = kpy_take_exception();
    kpy_coroutine_drop((kpy_coroutine_t *)obj);
    kpy_raise(raised);
}

static void dealloc(PyObject *obj) {
    kpy_coroutine_t *self = (kpy_coroutine_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    if (PyObject_CallFinalizerFromDealloc(obj) != 0)
        return;
    PyObject_GC_UnTrack(obj);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(obj);
    clear(obj);
    Py_CLEAR(self->name);
    type->tp_free(obj);
    Py_DECREF(type);
}

PyObject *kpy_end_coroutines(PyObject *module, PyObject *Py_UNUSED(unused)) {
    struct kpy_loops *loops = ((kpy_state_t *)PyModule_GetState(module))->loops;
    uint64_t me = PyThreadState_Get()->id;
    kpy_coroutine_t *next;
    loops->is_ending = true;
    for (kpy_coroutine_t *co = loops->begun; co != NULL; co = next) {
        next = co->behind;
        if (co->stack.thread_id != me || co->moved == KC_CORO_RUNNING)
            continue;
        Py_INCREF(co);
        if (kpy_coroutine_destroy(co) != 0)
            PyErr_WriteUnraisable((PyObject *)co);
        next = co->moved == KC_CORO_FINISHED ? loops->begun : co->behind; /* what it cleaned up may have ended others */
        Py_DECREF(co);
    }
    Py_RETURN_NONE;
}

/* -- what it is */

static PyObject *get_state(PyObject *self, void *Py_UNUSED(closure)) {
    return kpy_coroutine_state((kpy_coroutine_t *)self);
}

static PyObject *get_name(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_NewRef(((kpy_coroutine_t *)self)->name);
}

static int set_name(PyObject *self, PyObject *name, void *Py_UNUSED(closure)) {
    if (name == NULL || !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "the name of a coroutine is a text, not %R", name == NULL ? Py_None : name);
        return -1;
    }
    Py_XSETREF(((kpy_coroutine_t *)self)->name, Py_NewRef(name));
    return 0;
}

static PyObject *get_frame(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *frame = kpy_private_frame(&((kpy_coroutine_t *)self)->stack);
    return frame != NULL ? frame : Py_NewRef(Py_None);
}

/* -- the type */

static PyMethodDef methods[] = {
    {"resume", FAST(resume), METH_FASTCALL | METH_KEYWORDS,
     "resume($self, value=None)\n--\n\nHave it run until it yields, parks or ends."},
    {"throw", FAST(throw), METH_FASTCALL | METH_KEYWORDS,
     "throw($self, error)\n--\n\nAs resume, and the call in which it waits raises the error."},
    {"unpark", unpark, METH_NOARGS, "Let a parked one go on, or have its next park return at once."},
    {"destroy", destroy, METH_NOARGS, "End it, by CoroutineExit where it waits."},
    {"result", result, METH_NOARGS, "What its body returned; what it raised is raised again."},
    {"park", park, METH_NOARGS | METH_STATIC, "Wait until somebody unparks and resumes this one."},
    {"current", current, METH_NOARGS | METH_STATIC, "The coroutine that runs in this thread, or None."},
    {"alive", alive, METH_NOARGS | METH_CLASS, "Those that have begun and not ended, the newest first."},
    {NULL, NULL, 0, NULL},
};

/* As METH_STATIC would have them, but of a kind that the interpreter calls without a detour. */
static PyMethodDef statics[] = {
    {"yield_", FAST(yield), METH_FASTCALL | METH_KEYWORDS,
     "yield_(value=None)\n--\n\nGive a value to whoever resumed this one."},
    {"yield_to", FAST(yield_to), METH_FASTCALL | METH_KEYWORDS,
     "yield_to(other, value=None)\n--\n\nGo on in another, with a value."},
    {NULL, NULL, 0, NULL},
};

static int add_statics(PyTypeObject *type) {
    for (PyMethodDef *def = statics; def->ml_name != NULL; def++) {
        PyObject *function = PyCFunction_New(def, (PyObject *)type);
        PyObject *found = function == NULL ? NULL : PyStaticMethod_New(function);
        int rc = found == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, def->ml_name, found);
        Py_XDECREF(function);
        Py_XDECREF(found);
        if (rc != 0)
            return -1;
    }
    return 0;
}

static PyGetSetDef getset[] = {
    {"state", get_state, NULL, "Where it is: a CoroutineState.", NULL},
    {"name", get_name, set_name, "Its name, for people.", NULL},
    {"frame", get_frame, NULL, "The innermost frame, while it waits, in its own thread; else None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"id", T_ULONGLONG, offsetof(kpy_coroutine_t, id), READONLY, "Its number, from 1."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(kpy_coroutine_t, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A function with a stack of its own."},
    {Py_tp_new, make},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Coroutine",
    .basicsize = sizeof(kpy_coroutine_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int kpy_init_coroutine(PyObject *module, kpy_state_t *state) {
    kpy_private_prepare();
    state->loops->coroutine = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    if (state->loops->coroutine == NULL || add_statics(state->loops->coroutine) != 0)
        return -1;
    return PyModule_AddType(module, state->loops->coroutine);
}
