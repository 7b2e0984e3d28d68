/* SPDX-License-Identifier: BSD-2-Clause */
/* Missing barrier: a compiler was free to write the flag before what it stands for. */
#include "races.inc"

main:   race    publish, read
        check   [stale], 0, "what is published is there"
        jmp     finish

publish:
        mov     ebx, ROUNDS
1:      meet
        mov     dword ptr [flags + rbx*4], 1
        mov     dword ptr [values + rbx*4], 42
        dec     ebx
        jnz     1b
        ret

read:   xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
2:      cmp     dword ptr [flags + rbx*4], 0
        jne     3f
        pause
        jmp     2b
3:      cmp     dword ptr [values + rbx*4], 42
        je      4f
        inc     dword ptr [stale]
4:      dec     ebx
        jnz     1b
        ret

        .data
stale:  .long   0
flags:  .fill   ROUNDS + 1, 4, 0
values: .fill   ROUNDS + 1, 4, 0
