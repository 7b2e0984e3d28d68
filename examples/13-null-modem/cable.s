# SPDX-License-Identifier: BSD-2-Clause
# A cable of a program: what arrives on COM1 leaves on COM2, and the other way round.
        .include "../serial.s"

_start: xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        call    listen
        mov     bx, COM1
        mov     si, offset on_com1
        call    say
        mov     bx, COM2
        mov     si, offset on_com2
        call    say

both:   cli
        mov     bx, COM1
        call    take
        mov     bx, COM2
        jnc     pass
        call    take
        mov     bx, COM1
        jnc     pass
        sti                             # nothing anywhere: sleep until a uart interrupts
        hlt
        jmp     both
pass:   call    put
        jmp     both

on_com1:.asciz  "This is COM1. I hand on what you type to COM2.\r\n"
on_com2:.asciz  "This is COM2. I hand on what you type to COM1.\r\n"
