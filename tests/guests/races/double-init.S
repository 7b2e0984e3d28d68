/* SPDX-License-Identifier: BSD-2-Clause */
/* Double init: two CPUs find a thing not made yet, and both make it. */
#include "races.inc"

main:   race    use, use
        check   [inits], ROUNDS, "each thing is made once"
        jmp     finish

use:    xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
        cmp     dword ptr [made + rbx*4], 0
        jne     2f
        lock inc dword ptr [inits]
        mov     dword ptr [made + rbx*4], 1
2:      dec     ebx
        jnz     1b
        ret

        .data
inits:  .long   0
made:   .fill   ROUNDS + 1, 4, 0
