/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a program has set about private stacks, and how many there are; see kcoro/stack.h. */

#include <kcoro/stack.h>

#include "loop.h"
#include "module.h"
#include "slabs.h"
#include "stackful.h"

/* How many a thread keeps for itself, at most: they are taken again without a lock. */
#define NEAR 64

PyObject *kpy_use_stacks(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    kpy_state_t *state = PyModule_GetState(module);
    size_t numbers[2];
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_use_stacks takes a size and a number");
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        numbers[i] = PyLong_AsSize_t(args[i]);
        if (numbers[i] == (size_t)-1 && PyErr_Occurred())
            return NULL;
    }
    size_t near = numbers[1] < NEAR ? numbers[1] : NEAR;
    const kc_stack_rules_t rules = {kci_guards_by_default(), near, numbers[1] - near};
    state->loops->stack_bytes = numbers[0];
    kc_stacks_use(&rules);
    Py_RETURN_NONE;
}

PyObject *kpy_count_stacks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    kc_stack_counts_t counts;
    kc_stacks_count(&counts);
    return Py_BuildValue("{s:n, s:n, s:n, s:n, s:n}", "slabs", (Py_ssize_t)counts.slabs, "stacks",
                         (Py_ssize_t)counts.stacks, "guarded", (Py_ssize_t)counts.guarded, "used",
                         (Py_ssize_t)counts.used, "dropped", (Py_ssize_t)counts.dropped);
}
