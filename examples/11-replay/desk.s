# SPDX-License-Identifier: BSD-2-Clause
# A reception desk: asks for names and counts the guests. It has a bug.
        .include "../serial.s"

        .set NAME, 0x7e00               # eight bytes are enough for each name
        .set COUNT, NAME + 8

_start: xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        call    listen
        mov     bx, COM1
        cld
        mov     word ptr [COUNT], 0

guest:  mov     si, offset ask
        call    say
        mov     di, NAME
letter: call    get
        call    put
        cmp     al, '\r'
        je      entered
        stosb                           # ... but who checks?
        jmp     letter
entered:mov     byte ptr [di], 0
        inc     word ptr [COUNT]
        mov     si, offset welcome
        call    say
        mov     ax, [COUNT]
        call    say_number
        jmp     guest

welcome:.asciz  "\nWelcome, guest number "
ask:    .asciz  "\r\nYour name? "
