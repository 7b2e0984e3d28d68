# SPDX-License-Identifier: BSD-2-Clause
# A vault with a code of four digits. After three wrong ones it locks for ever.
        .include "../serial.s"

_start: xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        call    listen
        mov     bx, COM1
        cld

try:    mov     si, offset ask
        call    say
        mov     cx, 4
        mov     di, offset code
        mov     bp, 0                   # how many digits were wrong
digit:  call    get
        push    ax
        mov     al, '*'
        call    put
        pop     ax
        scasb                           # AL with the next digit of the code
        je      1f
        inc     bp
1:      loop    digit
        test    bp, bp
        jz      open
        mov     si, offset wrong
        call    say
        dec     byte ptr [left]
        jnz     try
        mov     si, offset locked
        call    say
ever:   call    get                     # the port is not read any more
        jmp     ever

open:   mov     si, offset opened
        call    say
        jmp     try

left:   .byte   3
code:   .ascii  "4711"
ask:    .asciz  "\r\nCode? "
wrong:  .asciz  " Wrong."
locked: .asciz  " Locked for ever.\r\n"
opened: .asciz  " Open. There is a pony in it."
