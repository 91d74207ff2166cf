/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* What a coroutine is, for people and programs; contracts in kcoro/coroutine.h and kcoro/stack.h. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "near.h"
#include "switch_abi.h"

static const char *const states[] = {"CREATED", "READY", "RUNNING", "SUSPENDED", "PARKED", "FINISHED"};

int kc_coro_state(const kc_coro_t *co) {
    return co == NULL ? -EINVAL : kc_atomic_load((kc_atomic_int *)&co->state);
}

int kc_coro_result(const kc_coro_t *co, int *out) {
    if (co == NULL || out == NULL)
        return -EINVAL;
    if (kc_coro_state(co) != KC_CORO_FINISHED)
        return -EAGAIN;
    *out = co->result;
    return 0;
}

uint64_t kc_coro_id(const kc_coro_t *co) {
    return co == NULL ? 0 : co->id;
}

const char *kc_coro_name(const kc_coro_t *co) {
    return co == NULL ? NULL : co->name;
}

int kc_coro_rename(kc_coro_t *co, const char *name) {
    size_t length;
    if (co == NULL)
        return -EINVAL;
    length = name == NULL ? 0 : strlen(name);
    if (length >= sizeof co->name)
        length = sizeof co->name - 1;
    if (length != 0)
        memmove(co->name, name, length); /* it may be its own */
    co->name[length] = '\0';
    return 0;
}

int kc_coro_stack(const kc_coro_t *co, void **low, size_t *bytes) {
    if (co == NULL || low == NULL || bytes == NULL)
        return -EINVAL;
    *low = co->stack->low;
    *bytes = (size_t)(co->stack->top - co->stack->low);
    return 0;
}

int kc_coro_describe(const kc_coro_t *co, char *text, size_t room) {
    int state = kc_coro_state(co);
    if (state < 0 || (text == NULL && room != 0))
        return -EINVAL;
    return snprintf(text, room, "%s#%" PRIu64 " %s, stack of %zu bytes", co->name, co->id, states[state],
                    (size_t)(co->stack->top - co->stack->low));
}

const char *kc_coro_switcher(void) {
    return KCI_SWITCHER;
}

int kc_coro_checks(void) {
    kci_here(); /* it reads the environment */
    return KCORO_CTX_DIAGNOSTICS ? kci_checks_all() : -ENOTSUP;
}

int kc_stacks_trim(void) {
    kci_near_leave(kci_here());
    return kci_stacks_trim();
}
