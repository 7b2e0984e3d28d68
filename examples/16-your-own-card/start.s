# SPDX-License-Identifier: BSD-2-Clause
# The multiboot header, and a stack for C.
        .intel_syntax noprefix
        .globl start
        .balign 4
        .long   0x1badb002              # multiboot 1
        .long   0
        .long   -0x1badb002
start:  mov     esp, offset stack_top
        call    kernel
idle:   sti
        hlt
        jmp     idle
        .bss
        .skip   4096
stack_top:
        .section .note.GNU-stack, ""
