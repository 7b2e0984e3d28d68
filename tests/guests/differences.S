/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where this CPU differs from a real one, pinned down: docs/engine.md has the list, and what is
 * written there is what happens here.
 */
#include "kernel.inc"

#define SMALL           SPARE           /* a data segment of 16 bytes */

main:
        mov     ACC, cr4
        or      eax, 0x600
        mov     cr4, ACC

        try     1f
        ldmxcsr [unmasked]
        xorps   xmm1, xmm1
        movaps  xmm0, [ones]
        divps   xmm0, xmm1
1:      uncaught "no XM: a division by zero that is not masked goes on"
        ldmxcsr [masked]

#if BITS == 64
        try3    3f, 1f
3:      mov     rsp, 0x900000000000
2:      push    rax
1:      caught  13, 0, 2b, "GP, not SS, by a stack address that is not canonical"
#else
        mov     dword ptr [gdt + SMALL], 0x0000000f
        mov     dword ptr [gdt + SMALL + 4], 0x00409300
        mov     ecx, SMALL
        try     1f
        mov     es, cx
        fxsave  es:[16]
1:      uncaught "no limits for what a helper of the engine stores: FXSAVE goes beyond its segment"
#endif

        try     1f
2:      inc     dword ptr [ABSENT]
1:      caught  14, 0, 2b, "a read-modify-write faults as a read"
        try     1f
2:      ud2
1:      mov     ebx, [got_flags]
        and     ebx, FLAG_RF
        check   ebx, 0, "RF is clear in the flags that a fault saves"

        mov     dword ptr [cell], 0x11111111
        try3    3f, 1f
3:      mov     edi, offset cell
        mov     dx, 0x80
2:      insb
1:      caught  13, 0, 2b, "INS without permission faults"
        check   [cell], 0x11111100, "having cleared its destination"

        mov     ACC, cr0
        and     eax, ~0x20              /* NE clear */
        mov     cr0, ACC
        fninit
        fldcw   [x87_unmasked]
        fld1
        fldz
        try     1f
        fdivp
        fwait
1:      uncaught "no FERR: without CR0.NE an x87 error is lost"
        fninit
        jmp     finish

        .data
        .balign 16
ones:           .long 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000
cell:           .quad 0
unmasked:       .long 0x1d80
masked:         .long 0x1f80
x87_unmasked:   .word 0x037b
