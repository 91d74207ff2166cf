/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* How types are made, and how they are called. */

#include <stdarg.h>

#include "module.h"

PyTypeObject *kpy_make_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, vectorcallfunc call) {
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type == NULL)
        return NULL;
    type->tp_vectorcall = call;
    if (PyModule_AddType(module, type) != 0)
        Py_CLEAR(type);
    return type;
}

kpy_state_t *kpy_state_of(PyTypeObject *type) {
    return PyType_GetModuleState(type);
}

/* The keywords of a vectorcall as a dict; an empty one without keywords. */
static PyObject *keywords(PyObject *const *values, PyObject *kwnames) {
    PyObject *named = PyDict_New();
    Py_ssize_t count = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; named != NULL && i < count; i++)
        if (PyDict_SetItem(named, PyTuple_GET_ITEM(kwnames, i), values[i]) != 0)
            Py_CLEAR(named);
    return named;
}

/* The results borrow: whoever called holds the arguments. */
int kpy_parse(PyObject *const *args, size_t nargsf, PyObject *kwnames, const char *format, char **names, ...) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *named = keywords(args + count, kwnames), *tuple = PyTuple_New(count);
    int done = 0;
    if (named != NULL && tuple != NULL) {
        va_list results;
        for (Py_ssize_t i = 0; i < count; i++)
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
        va_start(results, names);
        done = PyArg_VaParseTupleAndKeywords(tuple, named, format, names, results);
        va_end(results);
    }
    Py_XDECREF(named);
    Py_XDECREF(tuple);
    return done;
}
