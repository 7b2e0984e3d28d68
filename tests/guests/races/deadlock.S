/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlock by order: each CPU holds one lock and waits for the other. */
#include "races.inc"

main:   race    there, back
        check   [moved], 2*ROUNDS, "both locks are let go"
        jmp     finish

there:  mov     ebx, ROUNDS
1:      meet
        take    left
        take    right
        inc     dword ptr [moved]
        release right
        release left
        dec     ebx
        jnz     1b
        ret

back:   xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
        take    right
        take    left
        inc     dword ptr [moved]
        release left
        release right
        dec     ebx
        jnz     1b
        ret

        .data
left:   .long   0
right:  .long   0
moved:  .long   0
