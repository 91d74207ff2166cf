/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switch from one stack to another. One file for each ABI: switch_x86_64.S, switch_aarch64.S, switch_riscv64.S, and
** port/switch_ucontext.c. What these files in assembly have is hidden: in a shared object it belongs to that object, is
** reached without a detour, and is never that of another copy of the library.
*/
#ifndef KCI_SWITCH_H
#define KCI_SWITCH_H

#include <stdint.h>

#include "switch_abi.h"

/* What is done behind a switch, with what was left. */
typedef void kci_then_t(void *left);

/*
** Keep on this stack what a callee has to keep, put the stack pointer into the first word of `from`, go over to the
** stack whose pointer is the first word of `to`, call then(from) there, unless it is NULL, and go on. From that call on
** another thread may switch to `from`.
**
** Returns 0 when somebody switches to `from`.
*/
int kci_switch(void *from, void *to, kci_then_t *then);

/*
** The same with nothing to do behind it, and it ends in a return. A processor expects the return of the other stack to
** go where this one was called: if all calls come from one place it is right, and so it is for the callers as far as
** they are the same. Where calls come from many places kci_switch is faster.
*/
int kci_switch_back(void *from, void *to);

/* As kci_switch, from a stack that nobody is to go on with: the control words of floating point need not be kept. */
int kci_switch_last(void *from, void *to, kci_then_t *then);

/*
** Prepare a stack that ends below `top`, which is a multiple of 16. The first switch to it calls entry with its `to`,
** which must not return. Floating point is set as it is now.
**
** Returns what to put into the first word of what is switched to. It lies on that stack.
*/
void *kci_switch_prepare(void *top, void (*entry)(void *to));

/*
** A machine may have several ways to keep what is kept, and is asked once, before others switch, which is the fastest.
** kci_switch_ways() says how many there are, at least 1; kci_switch_use(way) takes one, from 0; for tests.
*/
void kci_switch_tune(void);
int kci_switch_ways(void);
void kci_switch_use(int way);

#ifdef KCI_SWITCH_X86_64
/* 0: MXCSR is loaded; 1: only where its control bits differ. */
extern int kci_switch_compares;

/* Load words[0] and words[1] into MXCSR in turn, so often; it is as before then. */
void kci_switch_load(const uint32_t words[2], unsigned times);
#endif

#endif
