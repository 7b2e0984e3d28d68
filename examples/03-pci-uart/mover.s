# SPDX-License-Identifier: BSD-2-Clause
# Finds the PCI uart in slot 4, speaks through it, moves it to other ports, and speaks again. After
# that it says where the uart is whenever a byte arrives on COM1; q powers off.
        .include "../serial.s"

        .set ADDRESS, 0xcf8             # PCI configuration: where ...
        .set DATA, 0xcfc                # ... and what
        .set SLOT4, 0x80000000 | 4 << 11
        .set COMMAND, 0x04
        .set BAR0, 0x10
        .set ELSEWHERE, 0xd000

        .macro  pci register            # choose a register of slot 4
        mov     dx, ADDRESS
        mov     eax, SLOT4 | \register
        out     dx, eax
        mov     dx, DATA
        .endm

_start: xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        call    listen
        call    tell
        call    speak

        pci     COMMAND                 # no I/O decoding while the address changes
        mov     ax, 0
        out     dx, ax
        pci     BAR0
        mov     eax, ELSEWHERE
        out     dx, eax
        pci     COMMAND
        mov     ax, 1
        out     dx, ax

        call    tell
        call    speak
        mov     bx, COM1
        mov     si, offset old
        call    say
        mov     dx, 0xc000 + LSR
        in      al, dx
        xor     ah, ah
        call    say_hex
        mov     si, offset newline
        call    say

again:  mov     bx, COM1
        call    get
        cmp     al, 'q'
        je      off
        call    tell
        call    speak
        jmp     again

# Say on COM1 where the uart is.
tell:   mov     bx, COM1
        mov     si, offset where
        call    say
        call    base
        call    say_hex
        mov     si, offset newline
        jmp     say

# Say it on the uart itself.
speak:  call    base
        mov     bx, ax
        mov     si, offset hello
        call    say
        call    say_hex
        mov     si, offset newline
        jmp     say

# AX: the first port of the uart, as its BAR has it.
base:   pci     BAR0
        in      eax, dx
        and     al, 0xfc                # the low bits say that it is an I/O BAR
        ret

where:  .asciz  "The PCI uart is at "
hello:  .asciz  "Hello from port "
old:    .asciz  "At its old place a read gives "
newline:.asciz  "\r\n"
