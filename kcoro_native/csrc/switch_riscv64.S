/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switcher of riscv64, psABI with doubles in registers or without; contracts in switch.h.
**
**     offset from the saved stack pointer, which is a multiple of 16
**     0    ra, where to go on     8    s0 .. s11 (8 bytes each)     104  the rounding mode     112  fs0 .. fs11
**
** The rounding mode is written only where it differs. It ends in a jump by t1, which no predictor of returns knows.
*/

#include "switch_abi.h"

#ifdef KCI_SWITCH_RISCV64

#define FRAME 208

    .text

    .globl kci_switch
    .hidden kci_switch
    .type kci_switch, @function
    .globl kci_switch_last
    .hidden kci_switch_last
    .type kci_switch_last, @function
    .p2align 2
kci_switch: /* a0 from, a1 to, a2 then */
kci_switch_last:
    .cfi_startproc
    addi sp, sp, -FRAME
    .cfi_def_cfa_offset FRAME
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    .cfi_rel_offset ra, 0
    .cfi_rel_offset s0, 8
    .cfi_rel_offset s1, 16
    .cfi_rel_offset s2, 24
    .cfi_rel_offset s3, 32
    .cfi_rel_offset s4, 40
    .cfi_rel_offset s5, 48
    .cfi_rel_offset s6, 56
    .cfi_rel_offset s7, 64
    .cfi_rel_offset s8, 72
    .cfi_rel_offset s9, 80
    .cfi_rel_offset s10, 88
    .cfi_rel_offset s11, 96
#ifdef __riscv_float_abi_double
    frrm t0
    sd t0, 104(sp)
    fsd fs0, 112(sp)
    fsd fs1, 120(sp)
    fsd fs2, 128(sp)
    fsd fs3, 136(sp)
    fsd fs4, 144(sp)
    fsd fs5, 152(sp)
    fsd fs6, 160(sp)
    fsd fs7, 168(sp)
    fsd fs8, 176(sp)
    fsd fs9, 184(sp)
    fsd fs10, 192(sp)
    fsd fs11, 200(sp)
#endif
    sd sp, 0(a0)
    ld sp, 0(a1) /* what is described above holds for the other stack as well */
#ifdef __riscv_float_abi_double
    ld t2, 104(sp)
    beq t0, t2, 1f
    fsrm t2
1:  fld fs0, 112(sp)
    fld fs1, 120(sp)
    fld fs2, 128(sp)
    fld fs3, 136(sp)
    fld fs4, 144(sp)
    fld fs5, 152(sp)
    fld fs6, 160(sp)
    fld fs7, 168(sp)
    fld fs8, 176(sp)
    fld fs9, 184(sp)
    fld fs10, 192(sp)
    fld fs11, 200(sp)
#endif
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    .cfi_restore s0
    .cfi_restore s1
    .cfi_restore s2
    .cfi_restore s3
    .cfi_restore s4
    .cfi_restore s5
    .cfi_restore s6
    .cfi_restore s7
    .cfi_restore s8
    .cfi_restore s9
    .cfi_restore s10
    .cfi_restore s11
    beqz a2, 2f
    mv s1, a1
    .cfi_rel_offset s1, 16
    jalr a2
    mv a1, s1
    ld s1, 16(sp)
    .cfi_restore s1
2:  ld t1, 0(sp)
    .cfi_register ra, t1
    addi sp, sp, FRAME
    .cfi_def_cfa_offset 0
    li a0, 0
    jr t1
    .cfi_endproc
    .size kci_switch, . - kci_switch
    .size kci_switch_last, . - kci_switch_last

    .globl kci_switch_back
    .hidden kci_switch_back
    .type kci_switch_back, @function
    .p2align 2
kci_switch_back: /* a0 from, a1 to */
    .cfi_startproc
    addi sp, sp, -16
    .cfi_def_cfa_offset 16
    sd ra, 0(sp)
    .cfi_rel_offset ra, 0
    lla ra, 1f /* not by a call, for which a return would be missing */
    li a2, 0
    j kci_switch
1:  ld ra, 0(sp)
    .cfi_restore ra
    addi sp, sp, 16
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size kci_switch_back, . - kci_switch_back

    .globl kci_switch_prepare
    .hidden kci_switch_prepare
    .type kci_switch_prepare, @function
    .p2align 2
kci_switch_prepare: /* a0 top, a1 entry */
    .cfi_startproc
    addi a0, a0, -FRAME
    lla t0, begin
    sd t0, 0(a0)
    sd zero, 8(a0) /* s0: who follows frame pointers stops here */
    sd a1, 16(a0)  /* s1 */
#ifdef __riscv_float_abi_double
    frrm t0
    sd t0, 104(a0)
#endif
    ret
    .cfi_endproc
    .size kci_switch_prepare, . - kci_switch_prepare

    .type begin, @function
    .p2align 2
begin: /* a1 to */
    .cfi_startproc
    .cfi_undefined ra /* the outermost frame */
    mv a0, a1
    jalr s1
    ebreak
    .cfi_endproc
    .size begin, . - begin

#endif

#include "switch_end.h"
