/* SPDX-License-Identifier: BSD-2-Clause */
/* ABA: the head of a lock-free stack is what it was, but what is behind it is not. */
#include "races.inc"

main:   race    shuffle, shuffle
        check   [intruders], 0, "no node has two owners"
        jmp     finish

shuffle:
        xor     r15d, r15d
        mov     ebx, 4*ROUNDS
1:      meet
        call    pop_node
        mov     r12d, eax
        call    pop_node
        mov     r13d, eax
        mov     edi, r12d
        call    push_node
        pause                           /* uses the other */
        mov     edi, r13d
        call    push_node
        dec     ebx
        jnz     1b
        ret

pop_node:                               /* EAX: a node, 0 for none */
        mov     eax, [head]
        test    eax, eax
        jz      1f
        mov     ecx, [next + rax*4]
        lock cmpxchg [head], ecx
        jnz     pop_node
        lock inc dword ptr [owners + rax*4]
        cmp     dword ptr [owners + rax*4], 1
        je      1f
        lock inc dword ptr [intruders]
1:      ret

push_node:                              /* EDI */
        test    edi, edi
        jz      2f
        lock dec dword ptr [owners + rdi*4]
        mov     eax, [head]
1:      mov     [next + rdi*4], eax
        lock cmpxchg [head], edi
        jnz     1b
2:      ret

        .data
intruders: .long 0
head:   .long   1
next:   .long   0, 2, 3, 4, 0
owners: .fill   5, 4, 0
