/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The loop and the world: descriptors, and calls from other threads; see loop.h.
**
** The GIL is released here and nowhere else.
*/

#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <unistd.h>

/* One callback that waits for a descriptor; those of one descriptor are a list in `watches`. */
typedef struct kpy_watch {
    PyObject_HEAD
    kpy_loop_t *loop; /* a reference while it waits */
    PyObject *fn;     /* NULL once it waits no more */
    int fd;
    unsigned want;
} kpy_watch_t;

#define AT_ONCE 64

/* -- what the poller is told */

static unsigned wanted(PyObject *watches) {
    unsigned want = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(watches); i++)
        want |= ((kpy_watch_t *)PyList_GET_ITEM(watches, i))->want;
    return want;
}

/* The number may be of another file by now, which the poller has not seen: then it is added anew. */
static int tell_poller(kpy_loop_t *self, int fd, unsigned want) {
    if (kc_poller_mod(self->poller, fd, want, NULL) == 0)
        return 0;
    kc_poller_del(self->poller, fd);
    return kc_poller_add(self->poller, fd, want, NULL);
}

static PyObject *watches_of(kpy_loop_t *self, int fd, PyObject **key) {
    *key = PyLong_FromLong(fd);
    return *key == NULL ? NULL : PyDict_GetItemWithError(self->watches, *key); /* borrowed */
}

/* Wait no more. False when it waited no more already. */
static bool stop(kpy_watch_t *watch) {
    kpy_loop_t *self = watch->loop;
    PyObject *fn = watch->fn, *key;
    if (fn == NULL)
        return false;
    watch->fn = NULL;
    watch->loop = NULL;
    self->watching--;
    PyObject *watches = watches_of(self, watch->fd, &key);
    for (Py_ssize_t i = 0; watches != NULL && i < PyList_GET_SIZE(watches); i++)
        if (PyList_GET_ITEM(watches, i) == (PyObject *)watch) {
            Py_INCREF(watch);
            PyList_SetSlice(watches, i, i + 1, NULL);
            if (PyList_GET_SIZE(watches) != 0)
                tell_poller(self, watch->fd, wanted(watches));
            else {
                kc_poller_del(self->poller, watch->fd);
                PyDict_DelItem(self->watches, key);
            }
            Py_DECREF(watch);
            break;
        }
    Py_XDECREF(key);
    PyErr_Clear();
    Py_DECREF(fn);
    Py_DECREF(self);
    return true;
}

/* Call it, if it still waits. */
static void fire(kpy_watch_t *watch) {
    if (watch->fn == NULL)
        return;
    kpy_state_t *state = watch->loop->base.state;
    PyObject *fn = Py_NewRef(watch->fn);
    PyObject *answer = PyObject_CallNoArgs(fn);
    if (answer == NULL) {
        PyObject *error = kpy_take_exception();
        kpy_loop_say(state, error, "a callback of a descriptor");
        Py_DECREF(error);
    }
    if (answer != state->loops->again)
        stop(watch);
    Py_XDECREF(answer);
    Py_DECREF(fn);
}

/* A signal came: its handler runs in PyErr_CheckSignals, and the bytes have served their purpose. */
static int swallow(int fd) {
    char bytes[64];
    while (read(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes) {
    }
    return 0;
}

static int fire_all(kpy_loop_t *self, const kc_ready_t *ready) {
    if (ready->fd == self->signal_fd)
        return swallow(ready->fd);
    PyObject *key, *watches = watches_of(self, ready->fd, &key);
    Py_XDECREF(key);
    if (watches == NULL)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *now = PyList_AsTuple(watches); /* callbacks add and remove */
    for (Py_ssize_t i = 0; now != NULL && i < PyTuple_GET_SIZE(now); i++) {
        kpy_watch_t *watch = (kpy_watch_t *)PyTuple_GET_ITEM(now, i);
        if ((watch->want & ready->ready) != 0)
            fire(watch);
    }
    Py_XDECREF(now);
    return now == NULL ? -1 : 0;
}

int kpy_poll(kpy_loop_t *self, int64_t timeout_ns) {
    kc_ready_t ready[AT_ONCE];
    int count;
    Py_BEGIN_ALLOW_THREADS
    count = kc_poller_wait(self->poller, ready, AT_ONCE, timeout_ns);
    Py_END_ALLOW_THREADS
    if (PyErr_CheckSignals() != 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (fire_all(self, &ready[i]) != 0)
            return -1;
    return count > 0 ? count : 0;
}

/* -- calls from other threads, and what is due between two steps */

int kpy_run_calls(kpy_loop_t *self) {
    PyObject *calls = self->calls;
    self->calls = PyList_New(0);
    if (self->calls == NULL) {
        self->calls = calls;
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(calls); i++) {
        PyObject *answer = PyObject_CallNoArgs(PyList_GET_ITEM(calls, i));
        if (answer == NULL) {
            PyObject *error = kpy_take_exception();
            kpy_loop_say(self->base.state, error, "a call from another thread or a signal");
            Py_DECREF(error);
        }
        Py_XDECREF(answer);
    }
    Py_DECREF(calls);
    return 0;
}

static PyObject *call_soon(PyObject *obj, PyObject *fn) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    if (self->base.is_ended)
        PyErr_SetString(kpy_wrong_loop(self), "this run of the native host has ended");
    if (self->base.is_ended || kpy_check_fork(self) != 0)
        return NULL;
    if (PyList_Append(self->calls, fn) != 0)
        return NULL;
    kc_poller_wake(self->poller);
    Py_RETURN_NONE;
}

/* -- descriptors as Python sees them */

/* It is ready without end, or cannot be watched, which whoever uses it next is told: call it back soon. */
static int fire_soon(kpy_watch_t *watch) {
    PyObject *fire_it = PyObject_GetAttrString((PyObject *)watch, "_fire");
    PyObject *answer = fire_it == NULL ? NULL : call_soon((PyObject *)watch->loop, fire_it);
    Py_XDECREF(fire_it);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

static PyObject *fire_now(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    kpy_watch_t *self = (kpy_watch_t *)obj;
    fire(self);
    if (self->fn != NULL && fire_soon(self) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static kpy_watch_t *make_watch(kpy_loop_t *self, int fd, int want, PyObject *fn) {
    PyTypeObject *type = self->base.state->loops->watch;
    kpy_watch_t *watch = (kpy_watch_t *)type->tp_alloc(type, 0);
    if (watch == NULL)
        return NULL;
    watch->loop = (kpy_loop_t *)Py_NewRef(self);
    watch->fn = Py_NewRef(fn);
    watch->fd = fd;
    watch->want = (unsigned)want;
    self->watching++;
    return watch;
}

static int begin_watch(kpy_loop_t *self, kpy_watch_t *watch) {
    PyObject *key, *watches = watches_of(self, watch->fd, &key);
    int rc = -1;
    if (watches == NULL && key != NULL && (watches = PyList_New(0)) != NULL) {
        rc = PyDict_SetItem(self->watches, key, watches);
        Py_DECREF(watches); /* the dict has it */
    }
    else if (watches != NULL)
        rc = 0;
    Py_XDECREF(key);
    if (rc != 0 || PyList_Append(watches, (PyObject *)watch) != 0)
        return -1;
    return tell_poller(self, watch->fd, wanted(watches)) == 0 ? 0 : fire_soon(watch);
}

static PyObject *wait_fd(PyObject *obj, PyObject *args) {
    int fd, want;
    PyObject *fn;
    if (!PyArg_ParseTuple(args, "iiO:wait_fd", &fd, &want, &fn))
        return NULL;
    kpy_watch_t *watch = make_watch((kpy_loop_t *)obj, fd, want, fn);
    if (watch != NULL && begin_watch((kpy_loop_t *)obj, watch) != 0) {
        PyObject *error = kpy_take_exception();
        stop(watch);
        kpy_raise(error);
        Py_CLEAR(watch);
    }
    return (PyObject *)watch;
}

static PyObject *watch_signals(PyObject *obj, PyObject *number) {
    kpy_loop_t *self = (kpy_loop_t *)obj;
    int fd = (int)PyLong_AsLong(number);
    if (PyErr_Occurred())
        return NULL;
    if (self->signal_fd >= 0)
        kc_poller_del(self->poller, self->signal_fd);
    self->signal_fd = fd;
    if (fd >= 0 && kc_poller_add(self->poller, fd, KC_READ, NULL) != 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *fd_ready(PyObject *Py_UNUSED(obj), PyObject *args) {
    int fd, want;
    if (!PyArg_ParseTuple(args, "ii:fd_ready", &fd, &want))
        return NULL;
    struct pollfd one = {.fd = fd, .events = (short)(want == KC_READ ? POLLIN : POLLOUT)};
    return PyBool_FromLong(poll(&one, 1, 0) == 1);
}

static PyObject *watch_cancel(PyObject *obj, PyObject *Py_UNUSED(ignored)) {
    return PyBool_FromLong(stop((kpy_watch_t *)obj));
}

static int watch_traverse(PyObject *obj, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(obj));
    Py_VISIT(((kpy_watch_t *)obj)->loop);
    Py_VISIT(((kpy_watch_t *)obj)->fn);
    return 0;
}

static int watch_clear(PyObject *obj) {
    stop((kpy_watch_t *)obj);
    return 0;
}

static void watch_dealloc(PyObject *obj) {
    PyTypeObject *type = Py_TYPE(obj);
    PyObject_GC_UnTrack(obj);
    Py_CLEAR(((kpy_watch_t *)obj)->fn);
    Py_CLEAR(((kpy_watch_t *)obj)->loop);
    type->tp_free(obj);
    Py_DECREF(type);
}

/* -- its life */

int kpy_poll_setup(kpy_loop_t *self) {
    self->signal_fd = -1;
    int code = kc_poller_make(&self->poller, NULL);
    if (code == 0)
        return 0;
    if (code == -ENOMEM)
        PyErr_NoMemory();
    else
        PyErr_SetString(PyExc_OSError, "no poller can be made: there are no descriptors left");
    return -1;
}

void kpy_poll_end(kpy_loop_t *self) {
    kc_poller_free(self->poller);
    self->poller = NULL;
}

PyMethodDef kpy_poll_methods[] = {
    {"wait_fd", wait_fd, METH_VARARGS, "Call a function when a descriptor is readable (1) or writable (2)."},
    {"fd_ready", fd_ready, METH_VARARGS, "Whether a descriptor is readable or writable at this instant."},
    {"call_from_thread", call_soon, METH_O, "Have a function called on the loop's thread soon; for any thread."},
    {"_watch_signals", watch_signals, METH_O, "Have the bytes behind a descriptor wake the loop, and mean no more."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef methods[] = {
    {"cancel", watch_cancel, METH_NOARGS, "Take it back: True when it was active."},
    {"_fire", fire_now, METH_NOARGS, "Call back, for what is always ready."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "One callback that waits for a descriptor."},
    {Py_tp_dealloc, watch_dealloc},
    {Py_tp_traverse, watch_traverse},
    {Py_tp_clear, watch_clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "kcoro_native._native.Watch",
    .basicsize = sizeof(kpy_watch_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int kpy_init_poll(PyObject *module, kpy_state_t *state) {
    state->loops->watch = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loops->watch == NULL ? -1 : 0;
}
