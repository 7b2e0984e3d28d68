# SPDX-License-Identifier: BSD-2-Clause
# Says hello on COM1, then powers the machine off. Entered in 16-bit real mode.
        .intel_syntax noprefix
        .code16
        .globl _start

        .set COM1, 0x3f8
        .set LSR, 5                     # line status register
        .set LSR_THRE, 0x20             # room for a byte
        .set PM1_CONTROL, 0x604         # ACPI power management
        .set SLEEP_S5, 0x3400           # sleep type 5: off

_start: xor     ax, ax
        mov     ds, ax
        mov     si, offset hello
next:   lodsb
        test    al, al
        jz      off
        mov     ah, al
        mov     dx, COM1 + LSR
wait:   in      al, dx
        test    al, LSR_THRE
        jz      wait
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        jmp     next

off:    mov     dx, PM1_CONTROL
        mov     ax, SLEEP_S5
        out     dx, ax
        hlt

hello:  .asciz  "Hello, I am the only program on this PC.\r\n"
