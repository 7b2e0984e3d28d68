/* SPDX-License-Identifier: BSD-2-Clause */
/* Use after free: one CPU has the pointer in a register while the other lets go of the memory. */
#include "races.inc"
#define ALIVE   0x600d
#define FREED   0xdead

main:   race    own, look
        check   [dead], 0, "no memory is read after it was freed"
        jmp     finish

own:    mov     ebx, ROUNDS
1:      mov     dword ptr [memory], ALIVE
        lea     rax, [memory]
        mov     [object], rax
        meet
        mov     qword ptr [object], 0
        mov     dword ptr [memory], FREED
        meet
        dec     ebx
        jnz     1b
        ret

look:   xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
        mov     rax, [object]
        test    rax, rax
        jz      2f
        cmp     dword ptr [rax], ALIVE
        je      2f
        inc     dword ptr [dead]
2:      meet
        dec     ebx
        jnz     1b
        ret

        .data
        .balign 8
object: .quad   0
memory: .long   0
dead:   .long   0
