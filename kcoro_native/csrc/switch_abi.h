/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Which switcher this build has; for C and for assembly. -DKC_USE_UCONTEXT takes that of csrc/port, -DKC_NO_SWITCHER
** none. */
#ifndef KCI_SWITCH_ABI_H
#define KCI_SWITCH_ABI_H

#if defined(KC_NO_SWITCHER)
#define KCI_SWITCH_NONE
#define KCI_SWITCHER "none"
#elif defined(KC_USE_UCONTEXT)
#define KCI_SWITCHER "ucontext"
#elif defined(__ELF__) && defined(__x86_64__) && defined(__LP64__)
#define KCI_SWITCH_X86_64
#define KCI_SWITCHER "x86-64"
#elif defined(__ELF__) && defined(__aarch64__) && defined(__LP64__)
#define KCI_SWITCH_AARCH64
#define KCI_SWITCHER "aarch64"
#elif defined(__ELF__) && defined(__riscv) && __riscv_xlen == 64
#define KCI_SWITCH_RISCV64
#define KCI_SWITCHER "riscv64"
#else
#define KCI_SWITCH_NONE
#define KCI_SWITCHER "none"
#endif

#endif
