/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Tells Valgrind where stacks are, so that it need not guess from large steps of the stack pointer. */

#ifdef KC_HAVE_VALGRIND
#include <valgrind/valgrind.h>

#include "fibers.h"

unsigned kci_valgrind_begin(void *low, void *high) {
    return VALGRIND_STACK_REGISTER(low, high);
}

void kci_valgrind_end(unsigned stack) {
    VALGRIND_STACK_DEREGISTER(stack);
}
#else
/* ISO C forbids an empty file. */
extern const char kci_valgrind_is_not_told;
const char kci_valgrind_is_not_told = 1;
#endif
