/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The methods of a channel's face that are fast on a loop, and the classes of core that the loop makes or knows.
**
** With a deadline or a token, outside a run of the loop, and where something stands in front of the channel, the method
** of the Python face does what it does on every host.
*/

#include "loop.h"
#include "module.h"

/* Most faces belong to this loop, or to none so far; only the others need the check of the Python face, and those that
** pass it belonged to a run that is over, and belong to none. */
int kpy_enter_face(struct kpy_loops *loops, PyObject *face, kpy_loop_t *loop) {
    PyObject **home = kpy_slot(face, loops->home_at);
    if (*home == (PyObject *)loop || *home == loops->nowhere)
        return 0;
    PyObject *host = PyObject_CallMethodNoArgs(face, loops->str_enter_here);
    if (host == NULL)
        return -1;
    Py_DECREF(host);
    Py_XSETREF(*home, Py_NewRef(loops->nowhere));
    return 0;
}

/* -- calls */

/* Of the class that was quickened last; there is one for each interpreter that has this module, and one such. */
static kpy_state_t *quickened;

/* What a call without deadline and token gives inside a run; NULL, without an exception, when the Python face has to
** answer. */
static PyObject *quick(PyObject *face, PyObject *keywords, bool sending, PyObject *value, bool iterates) {
    kpy_loop_t *loop = kpy_loop_here;
    if (loop == NULL || keywords != NULL || loop->base.state != quickened)
        return NULL;
    PyObject *core = *kpy_slot(face, quickened->loops->core_at);
    if (core == NULL || Py_TYPE(core) != quickened->channel)
        return NULL;
    return kpy_exchange_new(quickened, face, (kpy_channel_t *)core, sending, value, iterates);
}

static PyObject *slow(PyObject *function, PyObject *face, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    PyObject *all[8] = {face};
    if (count + named >= (Py_ssize_t)(sizeof all / sizeof *all)) {
        PyErr_SetString(PyExc_TypeError, "send() takes a value, recv() none; both a timeout and a token");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count + named; i++)
        all[i + 1] = args[i];
    return PyObject_Vectorcall(function, all, (size_t)count + 1, keywords);
}

static PyObject *face_send(PyObject *face, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
    PyObject *exchange = count == 1 ? quick(face, keywords, true, args[0], false) : NULL;
    if (exchange != NULL || PyErr_Occurred())
        return exchange;
    return slow(quickened->loops->slow_send, face, args, count, keywords);
}

static PyObject *face_recv(PyObject *face, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
    PyObject *exchange = count == 0 ? quick(face, keywords, false, Py_None, false) : NULL;
    if (exchange != NULL || PyErr_Occurred())
        return exchange;
    return slow(quickened->loops->slow_recv, face, args, count, keywords);
}

static PyObject *face_next(PyObject *face, PyObject *Py_UNUSED(ignored)) {
    PyObject *exchange = quick(face, NULL, false, Py_None, true);
    if (exchange != NULL || PyErr_Occurred())
        return exchange;
    return PyObject_CallOneArg(quickened->loops->slow_next, face);
}

static PyMethodDef face_methods[] = {
    {"send", FAST(face_send), METH_FASTCALL | METH_KEYWORDS,
     KPY_DOC("send($self, value, timeout=None, cancel=None)", "As kcoro_core.channel.Channel.send.")},
    {"recv", FAST(face_recv), METH_FASTCALL | METH_KEYWORDS,
     KPY_DOC("recv($self, timeout=None, cancel=None)", "As kcoro_core.channel.Channel.recv.")},
    {"__anext__", face_next, METH_NOARGS, KPY_DOC("__anext__($self)", "As kcoro_core.channel.Channel.__anext__.")},
    {NULL, NULL, 0, NULL},
};

/* Where the class keeps an attribute of its slots; -1 with an exception when it is none. */
static Py_ssize_t place_of_slot(PyObject *cls, const char *name) {
    PyObject *member = PyObject_GetAttrString(cls, name);
    Py_ssize_t offset = -1;
    if (member != NULL && Py_TYPE(member) == &PyMemberDescr_Type)
        offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else if (member != NULL)
        PyErr_Format(PyExc_TypeError, "%s of %R is no slot", name, cls);
    Py_XDECREF(member);
    return offset;
}

static int keep_slow(struct kpy_loops *loops, PyObject *cls) {
    PyObject **where[] = {&loops->slow_send, &loops->slow_recv, &loops->slow_next};
    for (size_t i = 0; i < 3; i++) {
        PyObject *function = PyObject_GetAttrString(cls, face_methods[i].ml_name);
        if (function == NULL)
            return -1;
        Py_XSETREF(*where[i], function);
    }
    loops->home_at = place_of_slot(cls, "_home");
    loops->core_at = place_of_slot(cls, "_core");
    return loops->home_at < 0 || loops->core_at < 0 ? -1 : 0;
}

static int keep_classes(struct kpy_loops *loops, PyObject *const *classes) {
    static const char *const attributes[] = {"index", "value", "clause", "error"};
    for (size_t i = 0; i < 4; i++)
        if ((loops->selected_at[i] = place_of_slot(classes[1], attributes[i])) < 0)
            return -1;
    Py_XSETREF(loops->face_class, (PyTypeObject *)Py_NewRef(classes[0]));
    Py_XSETREF(loops->selected_class, Py_NewRef(classes[1]));
    Py_XSETREF(loops->recv_class, Py_NewRef(classes[2]));
    Py_XSETREF(loops->send_class, Py_NewRef(classes[3]));
    return 0;
}

PyObject *kpy_quicken_scopes(PyObject *module, PyObject *const *objects, Py_ssize_t count) {
    static const char *const slots[] = {"id", "name", "_value", "_error", "_waiting", "_home"};
    struct kpy_loops *loops = ((kpy_state_t *)PyModule_GetState(module))->loops;
    if (count != 4)
        return PyErr_Format(PyExc_TypeError, "_quicken_scopes takes Task, Scope, numbers, and a value");
    for (size_t i = 0; i < KPY_HANDLE_SLOTS; i++)
        if ((loops->handle_at[i] = place_of_slot(objects[0], slots[i])) < 0)
            return NULL;
    Py_XSETREF(loops->slow_launch, PyObject_GetAttrString(objects[1], "launch"));
    if (loops->slow_launch == NULL)
        return NULL;
    Py_XSETREF(loops->handle_ids, Py_NewRef(objects[2]));
    Py_XSETREF(loops->handle_pending, Py_NewRef(objects[3]));
    Py_XSETREF(loops->handle_class, Py_NewRef(objects[0]));
    Py_RETURN_NONE;
}

PyObject *kpy_quicken(PyObject *module, PyObject *const *classes, Py_ssize_t count) {
    kpy_state_t *state = PyModule_GetState(module);
    if (count != 4 || !PyType_Check(classes[0]) || !PyType_Check(classes[1]))
        return PyErr_Format(PyExc_TypeError, "_quicken takes the classes of channels, of Selected, Recv and Send");
    PyObject *cls = classes[0];
    if (keep_slow(state->loops, cls) != 0 || keep_classes(state->loops, classes) != 0)
        return NULL;
    for (PyMethodDef *def = face_methods; def->ml_name != NULL; def++) {
        PyObject *method = PyDescr_NewMethod((PyTypeObject *)cls, def);
        int rc = method == NULL ? -1 : PyObject_SetAttrString(cls, def->ml_name, method);
        Py_XDECREF(method);
        if (rc != 0)
            return NULL;
    }
    quickened = state;
    Py_RETURN_NONE;
}
