/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What test_model.py and test_times.py call. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>

#include "kcoro/kcoro.h"

#define CHANNELS 3
#define WORDS 10               /* of one step */
#define HEAD (2 + 3 * CHANNELS) /* words before the steps, at most */

/*
** Run `count` steps of WORDS numbers each; head is {channels, hook mode, then kind, capacity, overflow of each}.
**
** Returns how many numbers the trace has; those beyond `room` were not written.
*/
size_t run_program(const int32_t *head, const int32_t *steps, size_t count, int32_t *trace, size_t room);

/* The same for programs about timers, and about tokens; each number takes two words of the trace. */
size_t run_timers(const int32_t *steps, size_t count, int32_t *trace, size_t room);
size_t run_tokens(const int32_t *steps, size_t count, int32_t *trace, size_t room);

/*
** What a call answers: shape is {kind, capacity, overflow}; form and situation are places in the enums of semantics.py.
** -EAGAIN of a form that waits means that it waits. *dropped is set to how many elements the channel has dropped.
*/
int run_outcome(const int32_t *shape, int sending, int form, int situation, int32_t *dropped);

#endif
