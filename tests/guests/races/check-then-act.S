/* SPDX-License-Identifier: BSD-2-Clause */
/* Check, then act: each step is atomic, but what was checked is no longer so at the second. */
#include "races.inc"

main:   race    take_ticket, take_ticket
        xor     eax, eax
        mov     ecx, ROUNDS
1:      cmp     dword ptr [tickets + rcx*4], 0
        je      2f
        inc     eax
2:      dec     ecx
        jnz     1b
        mov     [oversold], eax
        check   [oversold], 0, "no ticket is sold twice"
        jmp     finish

take_ticket:
        xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
        cmp     dword ptr [tickets + rbx*4], 0
        je      2f
        lock dec dword ptr [tickets + rbx*4]
2:      dec     ebx
        jnz     1b
        ret

        .data
oversold: .long 0
tickets: .fill  ROUNDS + 1, 4, 1
