/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** void through(const uint64_t *in, uint64_t *out, int (*fn)(void *), void *arg);
**
** Fill every register that a callee keeps, and the control words of floating point, from `in`; call fn(arg); write what
** they hold then to `out`; give the caller its own back. Which word is which register, test_registers.c says.
*/

#if defined(__x86_64__)
#define FRAME 104
    .text
    .globl through
    .type through, @function
through:
    .cfi_startproc
    endbr64
    subq $FRAME, %rsp
    .cfi_def_cfa_offset FRAME + 8
    movq %rbx, 0(%rsp)
    movq %rbp, 8(%rsp)
    movq %r12, 16(%rsp)
    movq %r13, 24(%rsp)
    movq %r14, 32(%rsp)
    movq %r15, 40(%rsp)
    stmxcsr 48(%rsp)
    fnstcw 52(%rsp)
    movq %rsi, 56(%rsp)
    movq 0(%rdi), %rbx
    movq 8(%rdi), %rbp
    movq 16(%rdi), %r12
    movq 24(%rdi), %r13
    movq 32(%rdi), %r14
    movq 40(%rdi), %r15
    ldmxcsr 48(%rdi)
    fldcw 56(%rdi)
    movq %rdx, %rax
    movq %rcx, %rdi
    callq *%rax
    movq 56(%rsp), %rsi
    movq %rbx, 0(%rsi)
    movq %rbp, 8(%rsi)
    movq %r12, 16(%rsi)
    movq %r13, 24(%rsi)
    movq %r14, 32(%rsi)
    movq %r15, 40(%rsi)
    movq $0, 48(%rsi)
    movq $0, 56(%rsi)
    stmxcsr 48(%rsi)
    fnstcw 56(%rsi)
    movq 0(%rsp), %rbx
    movq 8(%rsp), %rbp
    movq 16(%rsp), %r12
    movq 24(%rsp), %r13
    movq 32(%rsp), %r14
    movq 40(%rsp), %r15
    ldmxcsr 48(%rsp)
    fldcw 52(%rsp)
    addq $FRAME, %rsp
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size through, . - through

#elif defined(__aarch64__)
#define FRAME 192
    .text
    .globl through
    .type through, %function
through:
    .cfi_startproc
    hint #34
    sub sp, sp, #FRAME
    .cfi_def_cfa_offset FRAME
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    stp x9, x1, [sp, #160]
    ldp x19, x20, [x0, #0]
    ldp x21, x22, [x0, #16]
    ldp x23, x24, [x0, #32]
    ldp x25, x26, [x0, #48]
    ldp x27, x28, [x0, #64]
    ldp x29, x9, [x0, #80]
    msr fpcr, x9
    ldp d8, d9, [x0, #96]
    ldp d10, d11, [x0, #112]
    ldp d12, d13, [x0, #128]
    ldp d14, d15, [x0, #144]
    mov x0, x3
    blr x2
    ldr x1, [sp, #168]
    stp x19, x20, [x1, #0]
    stp x21, x22, [x1, #16]
    stp x23, x24, [x1, #32]
    stp x25, x26, [x1, #48]
    stp x27, x28, [x1, #64]
    mrs x9, fpcr
    stp x29, x9, [x1, #80]
    stp d8, d9, [x1, #96]
    stp d10, d11, [x1, #112]
    stp d12, d13, [x1, #128]
    stp d14, d15, [x1, #144]
    ldr x9, [sp, #160]
    msr fpcr, x9
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #FRAME
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size through, . - through

#elif defined(__riscv)
#define FRAME 224
.macro each op, base
    \op s0, 0(\base)
    \op s1, 8(\base)
    \op s2, 16(\base)
    \op s3, 24(\base)
    \op s4, 32(\base)
    \op s5, 40(\base)
    \op s6, 48(\base)
    \op s7, 56(\base)
    \op s8, 64(\base)
    \op s9, 72(\base)
    \op s10, 80(\base)
    \op s11, 88(\base)
    f\op fs0, 96(\base)
    f\op fs1, 104(\base)
    f\op fs2, 112(\base)
    f\op fs3, 120(\base)
    f\op fs4, 128(\base)
    f\op fs5, 136(\base)
    f\op fs6, 144(\base)
    f\op fs7, 152(\base)
    f\op fs8, 160(\base)
    f\op fs9, 168(\base)
    f\op fs10, 176(\base)
    f\op fs11, 184(\base)
.endm
    .text
    .globl through
    .type through, @function
through:
    .cfi_startproc
    addi sp, sp, -FRAME
    .cfi_def_cfa_offset FRAME
    each sd, sp
    frrm t0
    sd t0, 192(sp)
    sd ra, 200(sp)
    sd a1, 208(sp)
    each ld, a0
    ld t0, 192(a0)
    fsrm t0
    mv a0, a3
    jalr a2
    ld a1, 208(sp)
    each sd, a1
    frrm t0
    sd t0, 192(a1)
    each ld, sp
    ld t0, 192(sp)
    fsrm t0
    ld ra, 200(sp)
    addi sp, sp, FRAME
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size through, . - through
#endif

#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
