/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* The module: its state, and what each file adds to it. */
#ifndef KPY_MODULE_H
#define KPY_MODULE_H

#include "types.h"

/* The state of the module that a type belongs to. */
kpy_state_t *kpy_state(PyObject *module);

#endif
