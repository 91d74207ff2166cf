/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switcher of x86-64, System V ABI; contracts in switch.h.
**
**     offset from the saved stack pointer, which is 8 above a multiple of 16
**     0    MXCSR           4    x87 control word
**     8    r15     16   r14     24   r13     32   r12     40   rbx     48   rbp
**     56   where to go on
**
** It ends in a jump: a `ret` to another place than its call would be mispredicted each time, which costs five switches.
** MXCSR and the x87 word are loaded only where their control bits differ: a load costs more than all the rest. The
** sticky flags of MXCSR belong to nobody, and stay as they are.
**
** CET: the jump is `notrack`, and shadow stacks are not kept, so that this file carries no property note. A linker then
** leaves both out of the program's.
*/

#include "switch_abi.h"

#ifdef KCI_SWITCH_X86_64

    .text

    .globl kci_switch
    .type kci_switch, @function
    .p2align 4
kci_switch: /* rdi save, rsi to, rdx pass */
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movl (%rsp), %ecx
    movzwl 4(%rsp), %r8d
    movq %rsp, (%rdi)
    movq %rsi, %rsp /* what is described above holds for the other stack as well */
    movl %ecx, %eax
    xorl (%rsp), %eax
    testl $0xffc0, %eax
    jne 2f
    cmpw 4(%rsp), %r8w
    jne 3f
1:  addq $8, %rsp
    .cfi_remember_state
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    movq %rdx, %rax
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    notrack jmp *%rcx
    .cfi_restore_state
2:  andl $0xffc0, %eax /* the control bits that differ */
    xorl %eax, %ecx
    movl %ecx, (%rsp)
    ldmxcsr (%rsp)
    cmpw 4(%rsp), %r8w
    je 1b
3:  fldcw 4(%rsp)
    jmp 1b
    .cfi_endproc
    .size kci_switch, . - kci_switch

    .globl kci_switch_prepare
    .type kci_switch_prepare, @function
    .p2align 4
kci_switch_prepare: /* rdi top, rsi entry, rdx fell */
    .cfi_startproc
    endbr64
    leaq -80(%rdi), %rax
    leaq begin(%rip), %rcx
    stmxcsr (%rax)
    fnstcw 4(%rax)
    movq %rdx, 24(%rax) /* r13 */
    movq %rsi, 32(%rax) /* r12 */
    movq $0, 48(%rax)   /* rbp: who follows frame pointers stops here */
    movq %rcx, 56(%rax)
    movq $0, 64(%rax)   /* where a return address would be, for unwinders that do not know `undefined` */
    ret
    .cfi_endproc
    .size kci_switch_prepare, . - kci_switch_prepare

    .type begin, @function
begin: /* rax pass */
    .cfi_startproc
    .cfi_undefined rip /* the outermost frame */
    endbr64
    movq %rax, %rdi
    callq *%r12
    callq *%r13
    ud2
    .cfi_endproc
    .size begin, . - begin

#endif

#include "switch_end.h"
