/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/*
** What every file in assembly ends with, also one that is empty on this machine: a linker takes the word of the object
** that promises least.
*/
#ifdef __ELF__
#ifdef __aarch64__
/* All branch targets are marked (BTI), and return addresses may be signed (PAC). */
    .section .note.gnu.property, "a", %note
    .p2align 3
    .word 4
    .word 16
    .word 5
    .asciz "GNU"
    .word 0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
    .word 4
    .word 3
    .word 0
#endif
/* Nothing here executes a stack. */
    .section .note.GNU-stack, "", %progbits
#endif
