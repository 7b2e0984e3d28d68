/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be done through a segment (Intel SDM vol. 3, 5.3 to 5.5): its limit, its type, and the
 * null selector. 64-bit mode asks none of it; see the end.
 */
#include "kernel.inc"

#define OWN             SPARE           /* the descriptor under test */
#define OWN_CODE        (SPARE+8)

        .macro  descriptor at, low, high
        mov     dword ptr [gdt + \at], \low
        mov     dword ptr [gdt + \at + 4], \high
        .endm

/* With the descriptor under test in ES; its base is 0. */
        .macro  try_own resume
        try     \resume
        push    OWN
        pop     es
        .endm

        .macro  refused vector, words, instruction:vararg
        try_own 1f
2:      \instruction
1:      caught  \vector, 0, 2b, "\words"
        .endm

        .macro  done words, instruction:vararg
        try_own 1f
        \instruction
1:      uncaught "\words"
        .endm

main:
        mov     BAS, offset area
        mov     dword ptr [BAS], 0x11223344
#if BITS == 32

/* ---- limits ---- */

        descriptor OWN, 0x0000000f, 0x00409300          /* 16 bytes at 0, writable */
        done    "a load of the last four bytes", mov eax, es:[12]
        refused 13, "GP by a load across the limit", mov eax, es:[13]
        refused 13, "GP by a load beyond the limit", mov eax, es:[0x1000]
        done    "a load of the last byte", mov al, es:[15]
        refused 13, "GP by a byte beyond it", mov al, es:[16]
        refused 13, "GP by a store beyond it", mov es:[16], al
        refused 13, "GP by a read-modify-write", inc dword ptr es:[14]
        refused 13, "GP by an offset that wraps", mov eax, es:[0xfffffffe]
        refused 13, "GP by an x87 load", fld qword ptr es:[12]
        mov     eax, cr4
        or      eax, 0x600
        mov     cr4, eax
        refused 13, "GP by an SSE load", movups xmm0, es:[8]
        lea     esi, [area]
        mov     edi, 16
        refused 13, "GP by MOVS, to ES", movsb
        mov     edi, 16
        refused 13, "GP by STOS", stosb
        mov     edi, 16
        refused 13, "GP by SCAS", scasb
        mov     edi, 16
        refused 13, "GP by CMPS", cmpsb
        mov     edi, 16
        done    "DS is another segment", mov al, [edi]
        mov     ecx, 32
        xor     edi, edi
        try_own 1f
2:      rep stosb
1:      caught  13, 0, 2b, "GP by REP STOS at the limit"
        check   ecx, 16, "having counted what it stored"
        check   edi, 16, "up to the limit"

        .irp    register, fs, gs, ds
        descriptor OWN, 0x0000000f, 0x00409300
        mov     ecx, OWN
        try     1f
        mov     \register, cx
2:      mov     eax, \register:[13]
1:      caught  13, 0, 2b, "GP beyond the limit of \register"
        mov     cx, DATA0
        mov     \register, cx
        .endr

        descriptor OWN, 0x00000000, 0x00c09300          /* one page */
        done    "a limit in pages", mov eax, es:[0xffc]
        refused 13, "GP beyond it", mov eax, es:[0xffd]

        descriptor OWN, 0x00000fff, 0x00409700          /* expands down: 0x1000 and up */
        refused 13, "GP by a load below the limit of a segment that expands down", mov eax, es:[0xffe]
        done    "a load above it", mov eax, es:[0x1000]
        done    "up to 4 GiB", mov eax, es:[offset area]
        descriptor OWN, 0x00000fff, 0x00009700          /* up to 64 KiB */
        done    "a load below 64 KiB", mov eax, es:[0xfffc]
        refused 13, "GP above 64 KiB", mov eax, es:[0xfffd]

        descriptor OWN, 0x0000001f, 0x0040f300  /* a stack of 32 bytes, for ring 3 */
        .macro  small_stack words, instruction:vararg
        try3    3f, 1f
3:      mov     cx, OWN + 3
        mov     ss, cx
        mov     ebp, 0x24
        mov     esp, ebp
2:      \instruction
1:      caught  12, 0, 2b, "\words"
        .endm
        small_stack "SS by PUSH beyond the limit", push ecx
        small_stack "SS by CALL", call 1f
        small_stack "SS by POP", pop ecx
        small_stack "SS by RET", ret
        small_stack "SS by LEAVE", leave
        small_stack "SS by an operand that EBP names", mov eax, [ebp]
        small_stack "SS by an operand that a prefix puts there", mov eax, ss:[BAS]
        try3    3f, 1f
3:      mov     cx, OWN + 3
        mov     ss, cx
        mov     esp, 0x20
        push    ecx
        pop     edx
        mov     eax, [BAS]
        ud2
1:      check   [got_vector], 6, "what is within it, and in DS, is done"

/* ---- types ---- */

        descriptor OWN, 0x0000ffff, 0x00cf9100          /* read-only */
        done    "a load through a read-only segment", mov eax, es:[BAS]
        refused 13, "GP by a store through it", mov es:[BAS], eax
        refused 13, "GP by a read-modify-write through it", add es:[BAS], eax
        descriptor OWN, 0x0000ffff, 0x00cf9b00          /* code, readable */
        done    "a load through a code segment", mov eax, es:[BAS]
        refused 13, "GP by a store through it", mov es:[BAS], eax
        refused 13, "GP by a store through CS", mov cs:[BAS], eax
        done    "a load through CS", mov eax, cs:[BAS]
        descriptor OWN_CODE, 0x0000ffff, 0x00cf9900     /* code, not readable */
        mov     cx, OWN_CODE
        try     1f
2:      mov     es, cx
1:      caught  13, OWN_CODE, 2b, "GP by loading ES with an execute-only segment"
        try     1f
        jmp     OWN_CODE:3f
3:      mov     eax, [BAS]
2:      mov     eax, cs:[BAS]
1:      caught  13, 0, 2b, "GP by a load through an execute-only CS"
        jmp     CODE0:1f
1:

/* ---- null ---- */

        .irp    register, ds, es, fs, gs
        xor     ecx, ecx
        try     1f
        mov     \register, cx
        mov     \register, cx
2:      mov     eax, \register:[BAS]
1:      caught  13, 0, 2b, "GP by a load through a null \register"
        try     1f
        mov     \register, cx
2:      mov     byte ptr \register:[BAS], 0
1:      caught  13, 0, 2b, "GP by a store through it"
        mov     cx, DATA0
        mov     \register, cx
        .endr
        check   [area], 0x11223344, "nothing was stored"
        try3    3f, 1f
3:      mov     eax, [BAS]
2:      mov     eax, fs:[BAS]
1:      caught  13, 0, 2b, "GP through FS, which IRET to ring 3 has cleared"
        mov     ax, DATA0
        mov     fs, ax
        mov     gs, ax

/* ---- flat again ---- */

        descriptor OWN, 0x0000ffff, 0x00cf9300
        done    "a flat segment", mov es:[BAS], eax
#else
        .irp    register, ds, es, fs, gs
        xor     ecx, ecx
        try     1f
        mov     \register, cx
        mov     eax, \register:[BAS]
        mov     \register:[BAS + 4], eax
1:      uncaught "64-bit mode goes through a null \register"
        mov     cx, DATA0
        mov     \register, cx
        .endr
        descriptor OWN, 0x0000000f, 0x00409100
        mov     cx, OWN
        mov     es, cx
        try     1f
        mov     es:[BAS + 4], eax
1:      uncaught "and through one with a limit and without a right to store"
#endif
        jmp     finish

        .data
        .balign 64
area:           .skip 64
