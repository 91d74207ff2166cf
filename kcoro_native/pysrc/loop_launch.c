/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Launching children of a kcoro_core.scope.Scope on a loop: what its method launch and the coroutine around each child
** do, for the commonest case: an async function, an open scope, nothing cancelled. All else goes to the method itself.
*/

#include "loop.h"
#include "module.h"

#include <stddef.h>
#include <structmember.h>

/* What takes the place of `launch` in one scope while its block is open. */
typedef struct kpy_launcher {
    PyObject_HEAD
    vectorcallfunc call;
    kpy_loop_t *loop; /* a reference, as to the rest */
    PyObject *scope;
    kpy_nursery_t *nursery;
    PyObject *idle; /* a dict of the scope: who waits for no child to be left */
    Py_ssize_t running; /* children launched here that have not ended; the scope adds those of its method */
} kpy_launcher_t;

static struct kpy_loops *loops_of(const kpy_launcher_t *self) {
    return self->loop->base.state->loops;
}

/* -- the end of a child */

/* Only its value is to be kept: it did not fail, and nobody waits for it or for all to end. */
static bool ends_quietly(const kpy_launcher_t *self, PyObject *handle, PyObject *error) {
    PyObject *waiting = *kpy_slot(handle, loops_of(self)->handle_at[KPY_HANDLE_WAITING]);
    return error == NULL && waiting == Py_None && (PyDict_GET_SIZE(self->idle) == 0 || self->running != 0);
}

int kpy_launched_ended(PyObject *launcher, PyObject *handle, PyObject *result, PyObject *error) {
    kpy_launcher_t *self = (kpy_launcher_t *)launcher;
    kpy_nursery_t *nursery = (kpy_nursery_t *)Py_NewRef(self->nursery);
    PyObject *raised = NULL;
    self->running--;
    if (ends_quietly(self, handle, error))
        Py_XSETREF(*kpy_slot(handle, loops_of(self)->handle_at[KPY_HANDLE_VALUE]),
                   Py_NewRef(result != NULL ? result : Py_None));
    else {
        PyObject *answer = PyObject_CallMethod(self->scope, "_has_ended", "OOO", handle, result ? result : Py_None,
                                               error ? error : Py_None);
        raised = answer == NULL ? kpy_take_exception() : NULL;
        Py_XDECREF(answer);
    }
    int rc = kpy_child_ended(nursery, raised != NULL ? raised : error);
    Py_XDECREF(raised);
    Py_DECREF(nursery);
    return rc;
}

/* -- the start of one */

static PyObject *make_handle(kpy_launcher_t *self, PyObject *name) {
    struct kpy_loops *loops = loops_of(self);
    PyTypeObject *type = (PyTypeObject *)loops->handle_class;
    PyObject *id = PyIter_Next(loops->handle_ids);
    PyObject *handle = id == NULL ? NULL : type->tp_alloc(type, 0);
    if (handle == NULL) {
        Py_XDECREF(id);
        return NULL;
    }
    PyObject *values[] = {id, Py_NewRef(name), Py_NewRef(loops->handle_pending), Py_NewRef(Py_None), Py_NewRef(Py_None),
                          Py_NewRef(self->loop)};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *kpy_slot(handle, loops->handle_at[i]) = values[i];
    return handle;
}

static PyObject *start(kpy_launcher_t *self, PyObject *fn, PyObject *coro, PyObject *given) {
    PyObject *name = given != NULL ? Py_NewRef(given) : PyObject_GetAttr(fn, loops_of(self)->str_qualname);
    PyObject *handle = name == NULL ? NULL : make_handle(self, name);
    kpy_task_t *task = NULL;
    if (handle == NULL)
        kpy_close_unstarted(self->loop, coro);
    else
        task = kpy_start_task(self->loop, coro, name, self->nursery->scope, (PyObject *)self);
    Py_XDECREF(name);
    if (task == NULL) {
        Py_XDECREF(handle);
        return NULL;
    }
    self->running++;
    self->nursery->children++;
    task->handle = Py_NewRef(handle);
    Py_DECREF(task);
    return handle;
}

static bool is_plain(const kpy_launcher_t *self, PyObject *fn) {
    if (kpy_loop_here != self->loop || self->nursery->closed || self->nursery->scope->cancel_called)
        return false;
    return PyFunction_Check(fn) && (((PyCodeObject *)PyFunction_GET_CODE(fn))->co_flags & CO_COROUTINE) != 0;
}

/* Whether the keywords are none, or a plain `name=`; its value, NULL for none that counts. */
static bool is_only_name(const kpy_launcher_t *self, PyObject *keywords, PyObject *const *values, PyObject **name) {
    *name = NULL;
    if (keywords == NULL)
        return true;
    if (PyTuple_GET_SIZE(keywords) != 1 || PyTuple_GET_ITEM(keywords, 0) != loops_of(self)->str_name)
        return false;
    if (values[0] == Py_None)
        return true;
    *name = values[0];
    return PyUnicode_CheckExact(*name) && PyUnicode_GET_LENGTH(*name) != 0;
}

static PyObject *slow(kpy_launcher_t *self, PyObject *const *args, size_t count, PyObject *keywords) {
    size_t all = count + (keywords == NULL ? 0 : (size_t)PyTuple_GET_SIZE(keywords));
    PyObject **with_scope = PyMem_New(PyObject *, all + 1);
    if (with_scope == NULL)
        return PyErr_NoMemory();
    with_scope[0] = self->scope;
    for (size_t i = 0; i < all; i++)
        with_scope[i + 1] = args[i];
    PyObject *handle = PyObject_Vectorcall(loops_of(self)->slow_launch, with_scope, count + 1, keywords);
    PyMem_Free(with_scope);
    return handle;
}

static PyObject *launch(PyObject *obj, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    kpy_launcher_t *self = (kpy_launcher_t *)obj;
    size_t count = (size_t)PyVectorcall_NARGS(nargsf);
    PyObject *name;
    if (count == 0 || !is_only_name(self, keywords, args + count, &name) || !is_plain(self, args[0]))
        return slow(self, args, count, keywords);
    PyObject *coro = PyObject_Vectorcall(args[0], args + 1, count - 1, NULL);
    if (coro == NULL) { /* its arguments do not fit, which is the child's error, and has had no effect */
        PyErr_Clear();
        return slow(self, args, count, keywords);
    }
    PyObject *handle = start(self, args[0], coro, name);
    Py_DECREF(coro);
    return handle;
}

/* -- its life */

PyObject *kpy_launcher(PyObject *obj, PyObject *args) {
    kpy_loop_t *loop = (kpy_loop_t *)obj;
    struct kpy_loops *loops = loop->base.state->loops;
    PyObject *scope, *nursery, *idle;
    if (!PyArg_ParseTuple(args, "OO!O!:launcher", &scope, loops->nursery, &nursery, &PyDict_Type, &idle))
        return NULL;
    if (loops->handle_class == NULL)
        Py_RETURN_NONE;
    kpy_launcher_t *self = (kpy_launcher_t *)loops->launcher->tp_alloc(loops->launcher, 0);
    if (self == NULL)
        return NULL;
    self->call = launch;
    self->loop = (kpy_loop_t *)Py_NewRef(loop);
    self->scope = Py_NewRef(scope);
    self->nursery = (kpy_nursery_t *)Py_NewRef(nursery);
    self->idle = Py_NewRef(idle);
    return (PyObject *)self;
}

static int traverse(PyObject *obj, visitproc visit, void *arg) {
    kpy_launcher_t *self = (kpy_launcher_t *)obj;
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(self->loop);
    Py_VISIT(self->scope);
    Py_VISIT(self->nursery);
    Py_VISIT(self->idle);
    return 0;
}

static int clear(PyObject *obj) {
    kpy_launcher_t *self = (kpy_launcher_t *)obj;
    Py_CLEAR(self->scope);
    return 0;
}

static void dealloc(PyObject *obj) {
    kpy_launcher_t *self = (kpy_launcher_t *)obj;
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    clear(obj);
    Py_CLEAR(self->nursery);
    Py_CLEAR(self->idle);
    Py_CLEAR(self->loop);
    type->tp_free(obj);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"running", T_PYSSIZET, offsetof(kpy_launcher_t, running), READONLY, "How many that it launched still run."},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(kpy_launcher_t, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Launches children of one scope; as its method launch."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Launcher",
    .basicsize = sizeof(kpy_launcher_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int kpy_init_launch(PyObject *module, kpy_state_t *state) {
    state->loops->launcher = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->launcher == NULL ? -1 : 0;
}
