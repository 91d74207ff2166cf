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
** MXCSR and the x87 word are loaded only where their control bits differ: on some processors a load costs more than all
** the rest. The sticky flags of MXCSR belong to nobody, and stay as they are.
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
    leaq -56(%rsp), %rsp
    .cfi_adjust_cfa_offset 56
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %r15, 8(%rsp)
    .cfi_rel_offset r15, 8
    movq %r14, 16(%rsp)
    .cfi_rel_offset r14, 16
    movq %r13, 24(%rsp)
    .cfi_rel_offset r13, 24
    movq %r12, 32(%rsp)
    .cfi_rel_offset r12, 32
    movq %rbx, 40(%rsp)
    .cfi_rel_offset rbx, 40
    movq %rbp, 48(%rsp)
    .cfi_rel_offset rbp, 48
    movq %rsp, %r10
    movq %rsp, (%rdi)
    movq %rsi, %rsp /* what is described above holds for the other stack as well */
    movq 56(%rsp), %r9
    movq 8(%rsp), %r15
    .cfi_restore r15
    movq 16(%rsp), %r14
    .cfi_restore r14
    movq 24(%rsp), %r13
    .cfi_restore r13
    movq 32(%rsp), %r12
    .cfi_restore r12
    movq 40(%rsp), %rbx
    .cfi_restore rbx
    movq 48(%rsp), %rbp
    .cfi_restore rbp
    movl (%rsp), %eax
    cmpl %eax, (%r10) /* late: what stmxcsr has written takes a while to be read */
    jne 2f
    movzwl 4(%rsp), %r8d
    cmpw %r8w, 4(%r10)
    jne 3f
1:  leaq 64(%rsp), %rsp
    .cfi_remember_state
    .cfi_adjust_cfa_offset -64
    .cfi_register rip, r9
    movq %rdx, %rax
    notrack jmp *%r9
    .cfi_restore_state
2:  movl (%r10), %ecx
    xorl %ecx, %eax
    andl $0xffc0, %eax /* the control bits that differ */
    je 4f
    xorl %eax, %ecx
    movl %ecx, (%rsp)
    ldmxcsr (%rsp)
4:  movzwl 4(%rsp), %r8d
    cmpw %r8w, 4(%r10)
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
