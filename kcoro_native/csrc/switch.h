/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switch from one stack to another. One file for each ABI: switch_x86_64.S, switch_aarch64.S, switch_riscv64.S, and
** port/switch_ucontext.c.
*/
#ifndef KCI_SWITCH_H
#define KCI_SWITCH_H

#include "switch_abi.h"

/*
** Keep on this stack what a callee has to keep, put the stack pointer into *save, and go on where `to` was put.
**
** Returns, when somebody switches to *save, the `pass` of that switch.
*/
void *kci_switch(void **save, void *to, void *pass);

/*
** Prepare a stack that ends below `top`, which is a multiple of 16.
**
** entry  called there by the first switch, with its `pass`; floating point is set as it is now
** fell   called if it returns
**
** Returns what to switch to. It lies on that stack.
*/
void *kci_switch_prepare(void *top, void (*entry)(void *pass), void (*fell)(void));

#endif
