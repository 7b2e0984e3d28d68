# SPDX-License-Identifier: BSD-2-Clause
# Counts the bytes that arrive on COM1. All that it knows is in its RAM, in AX, and on its way.
        .include "../serial.s"

_start: xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        call    listen
        mov     bx, COM1
        mov     si, offset ready
        call    say
        xor     cx, cx

next:   call    get
        inc     cx
        call    put
        mov     si, offset is
        call    say
        mov     ax, cx
        call    say_number
        mov     si, offset newline
        call    say
        jmp     next

ready:  .asciz  "Send me something.\r\n"
is:     .asciz  " is number "
newline:.asciz  "\r\n"
