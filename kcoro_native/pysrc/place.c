/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* A place in a queue: what it offers, and whose it is. */

#include "loop.h"
#include "module.h"

void kpy_place_init(kpy_place_t *place, PyObject *owner, kc_op_t *op, int index, bool sending, PyObject *value) {
    kc_waiter_init(&place->as_try.waiter, op, index, sending, Py_NewRef(value));
    place->owner = owner;
    place->at = NULL;
    place->leaving = NULL;
    place->is_leaving = false;
}

kpy_place_t *kpy_place_of(kpy_state_t *state, PyObject *waiter) {
    if (Py_TYPE(waiter) == state->operation || Py_TYPE(waiter) == state->loops->exchange)
        return &((kpy_operation_t *)waiter)->place;
    if (Py_TYPE(waiter) == state->arm)
        return &((kpy_arm_t *)waiter)->place;
    PyErr_Format(PyExc_TypeError,
                 "a channel of the native engine takes operations and arms that kcoro_select of the same engine made, "
                 "not %R",
                 waiter);
    return NULL;
}
