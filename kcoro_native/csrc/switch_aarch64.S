/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switcher of aarch64, AAPCS64; contracts in switch.h.
**
**     offset from the saved stack pointer, which is a multiple of 16
**     0    x19 .. x28 (8 bytes each)     80   x29, the frame pointer     88   x30, where to go on
**     96   d8 .. d15                     160  FPCR
**
** FPCR is written only where it differs. It ends in `ret`, the one jump that may land behind a call with BTI on. The
** state of SVE and SME is not kept: a function of the base ABI keeps none either.
*/

#include "switch_abi.h"

#ifdef KCI_SWITCH_AARCH64

#define FRAME 176

    .text

    .globl kci_switch
    .hidden kci_switch
    .type kci_switch, %function
    .globl kci_switch_last
    .hidden kci_switch_last
    .type kci_switch_last, %function
    .globl kci_switch_back
    .hidden kci_switch_back
    .type kci_switch_back, %function
    .p2align 4
kci_switch_back: /* x0 from, x1 to; kci_switch ends in a return as well */
    .cfi_startproc
    hint #34 /* bti c */
    mov x2, #0
    b kci_switch
    .cfi_endproc
    .size kci_switch_back, . - kci_switch_back

    .p2align 4
kci_switch: /* x0 from, x1 to, x2 then */
kci_switch_last:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #FRAME
    .cfi_def_cfa_offset FRAME
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    ldr x10, [x1]
    mov sp, x10 /* what is described above holds for the other stack as well */
    ldr x10, [sp, #160]
    cmp x9, x10
    b.eq 1f
    msr fpcr, x10
1:  ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldr x29, [sp, #80]
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    cbz x2, 2f
    mov x20, x1
    .cfi_rel_offset x20, 8
    blr x2
    mov x1, x20
    ldr x20, [sp, #8]
    .cfi_restore x20
2:  ldr x30, [sp, #88]
    .cfi_restore x30
    add sp, sp, #FRAME
    .cfi_def_cfa_offset 0
    mov w0, #0
    ret
    .cfi_endproc
    .size kci_switch, . - kci_switch
    .size kci_switch_last, . - kci_switch_last

    .globl kci_switch_prepare
    .hidden kci_switch_prepare
    .type kci_switch_prepare, %function
    .p2align 4
kci_switch_prepare: /* x0 top, x1 entry */
    .cfi_startproc
    hint #34
    sub x0, x0, #FRAME
    str x1, [x0, #0] /* x19 */
    adr x9, begin
    stp xzr, x9, [x0, #80] /* x29: who follows frame pointers stops here */
    mrs x9, fpcr
    str x9, [x0, #160]
    ret
    .cfi_endproc
    .size kci_switch_prepare, . - kci_switch_prepare

    .type begin, %function
    .p2align 2
begin: /* x1 to */
    .cfi_startproc
    .cfi_undefined x30 /* the outermost frame */
    hint #36 /* bti j */
    mov x0, x1
    blr x19
    brk #1
    .cfi_endproc
    .size begin, . - begin

#endif

#include "switch_end.h"
