/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What each thread knows of the scheduler: which worker it is, and whom it has to wake.
**
** A file of its own, and kept out of optimisation at link time, as here.c is and for its reason.
*/

#include "work.h"

static _Thread_local kci_seat_t seat;

kci_seat_t *kci_seat(void) {
    return &seat;
}
