/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The methods of a channel about a link's share in it; see kcoro_core.engine.ChannelCore. */
#ifndef KPY_LENDING_H
#define KPY_LENDING_H

#include "types.h"

void kpy_lending_init(kpy_channel_t *self);

PyObject *kpy_lend(PyObject *o, PyObject *borrower);
PyObject *kpy_lendable(PyObject *o, PyObject *unused);
PyObject *kpy_lend_slots(PyObject *o, PyObject *number);
PyObject *kpy_fill(PyObject *o, PyObject *const *args, Py_ssize_t count);
PyObject *kpy_replaced(PyObject *o, PyObject *number);
PyObject *kpy_hold_back(PyObject *o, PyObject *flag);
PyObject *kpy_answered(PyObject *o, PyObject *unused);
PyObject *kpy_end_lending(PyObject *o, PyObject *unused);
PyObject *kpy_keep(PyObject *o, PyObject *keeper);
PyObject *kpy_take_ahead(PyObject *o, PyObject *unused);
PyObject *kpy_end_keeping(PyObject *o, PyObject *unused);
PyObject *kpy_hand_out(PyObject *o, PyObject *unused);
PyObject *kpy_settle(PyObject *o, PyObject *args, PyObject *kwargs);
PyObject *kpy_settle_ahead(PyObject *o, PyObject *args, PyObject *kwargs);
PyObject *kpy_ask(PyObject *o, PyObject *op);
PyObject *kpy_is_shared(PyObject *o, PyObject *flag);
PyObject *kpy_may_meet(PyObject *o, PyObject *flag);
PyObject *kpy_want(PyObject *o, PyObject *flag);

#endif
