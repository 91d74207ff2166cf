/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** Runs a program of coroutines that was made at random, and leaves a trace; coroutine_programs.py has the model.
**
** There is one list of steps. Whoever runs takes the next one: the thread (party -1), or the coroutine of a slot.
*/

#include <stddef.h>
#include <string.h>

#include "kcoro/kcoro.h"

enum { CREATE, RESUME, YIELD, YIELD_TO, PARK, UNPARK, DESTROY, RETURN, RESULT, BEGIN, END };

#define SLOTS 5
#define LOCALS 40

static const int *step, *last;
static int *out, *out_end;
static kc_coro_t *slots[SLOTS];

static void put(int word) {
    if (out < out_end)
        *out++ = word;
}

static int current(void) {
    int found = -1;
    for (int i = 0; i < SLOTS; i++)
        if (slots[i] != NULL && slots[i] == kc_coro_current())
            found = i;
    return found;
}

/* What happened, to whom, with which result; who runs; and the states of all. */
static void note(int party, int op, int rc) {
    put(party);
    put(op);
    put(rc);
    put(current());
    for (int i = 0; i < SLOTS; i++)
        put(kc_coro_state(slots[i]));
}

static int body(void *arg);

static int create(int slot) {
    static int parties[SLOTS] = {0, 1, 2, 3, 4};
    kc_coro_options_t options = {(size_t)(16384 << slot % 3), "random"};
    return slots[slot] != NULL ? 0 : kc_coro_create(&slots[slot], body, &parties[slot], &options);
}

static int destroy(int slot) {
    int rc = kc_coro_destroy(slots[slot]);
    if (rc == 0)
        slots[slot] = NULL;
    return rc;
}

static int result(int slot) {
    int value;
    int rc = kc_coro_result(slots[slot], &value);
    return rc != 0 ? rc : value;
}

static int act(int op, int slot) {
    switch (op) {
    case CREATE:
        return create(slot);
    case RESUME:
        return kc_coro_resume(slots[slot]);
    case YIELD:
        return kc_coro_yield();
    case YIELD_TO:
        return kc_coro_yield_to(slots[slot]);
    case PARK:
        return kc_coro_park();
    case UNPARK:
        return kc_coro_unpark(slots[slot]);
    case DESTROY:
        return destroy(slot);
    default:
        return result(slot);
    }
}

/* Take steps until one says return, or none is left. What lies on this stack stays as it is meanwhile. */
static void take_steps(int party) {
    volatile int locals[LOCALS];
    for (int i = 0; i < LOCALS; i++)
        locals[i] = party * 1000 + i;
    while (step < last) {
        int op = step[0], slot = step[1];
        step += 2;
        if (op == RETURN && party >= 0)
            return;
        note(party, op, act(op, slot));
        for (int i = 0; i < LOCALS; i++)
            if (locals[i] != party * 1000 + i)
                note(party, -1, i);
    }
}

static int body(void *arg) {
    int party = *(int *)arg;
    note(party, BEGIN, 0);
    take_steps(party);
    return party + 100;
}

/* Returns how many words the trace has, at most `room`. */
size_t run_coroutines(const int *steps, size_t count, int *trace, size_t room) {
    step = steps;
    last = steps + 2 * count;
    out = trace;
    out_end = trace + room;
    memset(slots, 0, sizeof slots);
    take_steps(-1);
    for (int i = 0; i < SLOTS; i++)
        note(-1, END, destroy(i));
    return (size_t)(out - trace);
}
