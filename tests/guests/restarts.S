/* SPDX-License-Identifier: BSD-2-Clause */
/* Says "boot", takes a letter on COM1 and ends or restarts the machine the way it stands for. */
#include "kernel.inc"

        .macro  on letter, at
        cmp     al, \letter
        je      \at
        .endm

main:
        text    "boot"
        call    print
        call    print_line
1:      mov     edx, COM1_LSR
        in      al, dx
        test    al, 1
        jz      1b
        mov     edx, COM1
        in      al, dx
        on      'k', keyboard
        on      'c', cf9
        on      'p', port92
        on      't', triple
        on      'e', debug_exit
        on      'h', halt
        on      's', soft_off
        on      'l', loop
        jmp     1b

keyboard:
        mov     al, 0xfe                /* pulse output line 0: RESET */
        out     0x64, al
        jmp     halt
cf9:    mov     edx, 0xcf9
        mov     al, 2
        out     dx, al
        mov     al, 6
        out     dx, al
        jmp     halt
port92: in      al, 0x92
        or      al, 1
        out     0x92, al
        jmp     halt
triple: lidt    [nothing]
        ud2
debug_exit:
        mov     al, 5
        out     DEBUG_EXIT, al
        jmp     halt
soft_off:
        mov     edx, 0x604
        mov     eax, (5 << 10) + (1 << 13)
        out     dx, ax
        jmp     halt
halt:   cli
        hlt
loop:   jmp     loop

        .data
nothing:
        .word   0
        .quad   0
