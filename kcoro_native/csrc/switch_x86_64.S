/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** The switcher of x86-64, System V ABI; contracts in switch.h.
**
**     offset from the saved stack pointer, which is a multiple of 16
**     0    MXCSR           4    x87 control word
**     8    r15     16   r14     24   r13     32   r12     40   rbx     48   rbp
**     56   where to go on
**
** It ends in a jump: a `ret` to another place than its call would be mispredicted each time, which costs five switches.
** The x87 word is loaded only where it differs, MXCSR as kci_switch_compares says; switch_tune.c knows why. The sticky
** flags of MXCSR belong to nobody.
**
** CET: the jump is `notrack`, and shadow stacks are not kept, so that this file carries no property note. A linker then
** leaves both out of the program's.
*/

#include "switch_abi.h"

#ifdef KCI_SWITCH_X86_64

    .text

    .globl kci_switch
    .hidden kci_switch
    .type kci_switch, @function
    .p2align 5
kci_switch: /* rdi from, rsi to, rdx then */
    .cfi_startproc
    endbr64
    leaq -56(%rsp), %rsp
    .cfi_adjust_cfa_offset 56
    stmxcsr (%rsp)
keep:
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
    movq (%rsi), %rsp /* what is described above holds for the other stack as well */
    cmpl $0, kci_switch_compares(%rip)
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
    jne 4f
    ldmxcsr (%rsp)
1:  movzwl 4(%rsp), %r8d
    cmpw %r8w, 4(%r10)
    jne 5f
2:  testq %rdx, %rdx
    jne 6f
3:  movq 56(%rsp), %r9
    leaq 64(%rsp), %rsp
    .cfi_remember_state
    .cfi_adjust_cfa_offset -64
    .cfi_register rip, r9
    xorl %eax, %eax
    notrack jmp *%r9
    .cfi_restore_state
4:  movl (%rsp), %eax
    movl (%r10), %r9d
    xorl %r9d, %eax
    andl $0xffc0, %eax /* the control bits that differ */
    je 1b
    xorl %r9d, %eax
    movl %eax, (%rsp)
    ldmxcsr (%rsp)
    jmp 1b
5:  fldcw 4(%rsp)
    jmp 2b
6:  movq %rsi, %rbx
    .cfi_rel_offset rbx, 40
    callq *%rdx
    movq %rbx, %rsi
    movq 40(%rsp), %rbx
    .cfi_restore rbx
    jmp 3b
    .cfi_endproc
    .size kci_switch, . - kci_switch

    .globl kci_switch_back
    .hidden kci_switch_back
    .type kci_switch_back, @function
    .p2align 4
kci_switch_back: /* rdi from, rsi to */
    .cfi_startproc
    endbr64
    leaq 1f(%rip), %rax
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    pushq %rax /* not by a call, for which a return would be missing */
    .cfi_adjust_cfa_offset 8
    xorl %edx, %edx
    jmp kci_switch
    .cfi_adjust_cfa_offset -8
    nop /* an unwinder looks up what stands before the place to go on at */
1:  addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size kci_switch_back, . - kci_switch_back

    .globl kci_switch_last
    .hidden kci_switch_last
    .type kci_switch_last, @function
    .p2align 4
kci_switch_last: /* rdi from, rsi to, rdx then */
    .cfi_startproc
    endbr64
    leaq -56(%rsp), %rsp
    .cfi_adjust_cfa_offset 56
    movl $0x1f80, (%rsp) /* something that may be loaded */
    cmpl $0, kci_switch_compares(%rip)
    je keep
    stmxcsr (%rsp)
    jmp keep
    .cfi_endproc
    .size kci_switch_last, . - kci_switch_last

    .globl kci_switch_prepare
    .hidden kci_switch_prepare
    .type kci_switch_prepare, @function
    .p2align 4
kci_switch_prepare: /* rdi top, rsi entry */
    .cfi_startproc
    endbr64
    leaq -80(%rdi), %rax
    leaq begin(%rip), %rcx
    stmxcsr (%rax)
    fnstcw 4(%rax)
    movq %rsi, 32(%rax) /* r12 */
    movq $0, 48(%rax)   /* rbp: who follows frame pointers stops here */
    movq %rcx, 56(%rax)
    movq $0, 64(%rax)   /* where a return address would be, for unwinders that do not know `undefined` */
    ret
    .cfi_endproc
    .size kci_switch_prepare, . - kci_switch_prepare

    .type begin, @function
begin: /* rsi to */
    .cfi_startproc
    .cfi_undefined rip /* the outermost frame */
    endbr64
    movq %rsi, %rdi
    callq *%r12
    ud2
    .cfi_endproc
    .size begin, . - begin

    .globl kci_switch_load
    .hidden kci_switch_load
    .type kci_switch_load, @function
    .p2align 4
kci_switch_load: /* rdi words, esi times */
    .cfi_startproc
    endbr64
    stmxcsr -4(%rsp)
1:  ldmxcsr (%rdi)
    ldmxcsr 4(%rdi)
    subl $1, %esi
    jne 1b
    ldmxcsr -4(%rsp)
    ret
    .cfi_endproc
    .size kci_switch_load, . - kci_switch_load

    .data
    .globl kci_switch_compares
    .hidden kci_switch_compares /* it is read in code that may lie anywhere */
    .type kci_switch_compares, @object
    .size kci_switch_compares, 4
    .p2align 2
kci_switch_compares:
    .long 1 /* until it is known to be slower */

#endif

#include "switch_end.h"
