/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers: breakpoints on execution, data and ports, the RF flag, DR6. */
#include "kernel.inc"

#define ON_EXECUTION    0x0
#define ON_WRITE        0x1
#define ON_PORT         0x2
#define ON_ACCESS       0x3
#define BYTES_1         0x0
#define BYTES_2         0x4
#define BYTES_4         0xc
/* DR7 with breakpoint 0 locally enabled. */
#define DR7_0(what)     (0x401+((what)<<16))
#define DR7_1(what)     (0x404+((what)<<20))
#define DR7_OFF         0x400
#define DR6_BS          0x4000
#define SHIFTED         SPARE           /* a code segment whose base is not 0 */
#define SHIFT           0x1000

        .macro  arm address, control
        xor     eax, eax
        mov     dr6, ACC
        lea     ACC, [\address]
        mov     dr0, ACC
        mov     eax, \control
        mov     dr7, ACC
        .endm

        .macro  hit bits, words
        mov     eax, DR7_OFF
        mov     dr7, ACC
        mov     ACC, dr6
        and     eax, 0xe00f
        check   eax, \bits, "\words"
        .endm

main:
/* ---- execution: a fault, before the instruction ---- */

        arm     2f, DR7_0(ON_EXECUTION)
        try     1f
        xor     ebx, ebx
        inc     ebx
2:      inc     ebx
        inc     ebx
1:      caught  1, 0, 2b, "a breakpoint in the middle of a block"
        hit     1, "DR6 says breakpoint 0"
        check   ebx, 1, "before the instruction"

        arm     2f, DR7_OFF
        try     1f
2:      nop
1:      uncaught "a breakpoint that is disabled"

        arm     2f, DR7_0(ON_EXECUTION)+DR7_1(ON_EXECUTION)
        lea     ACC, [3f]
        mov     dr1, ACC
        try     1f
        xor     ebx, ebx
#if BITS == 64
        mov     rax, rsp
        push    DATA0
        push    rax
#endif
        push    FLAG_RF + 2
        push    CODE0
        push    offset 2f
        RETURN
2:      inc     ebx                     /* RF lets this one through, */
3:      inc     ebx                     /* and none after it */
1:      caught  1, 0, 3b, "RF suppresses one breakpoint, and only one"
        hit     2, "DR6 says breakpoint 1"
        check   ebx, 1, "the first instruction was executed"

#if BITS == 32
        lea     eax, [gdt + SHIFTED]
        mov     dword ptr [eax], (SHIFT << 16) + 0xffff
        mov     dword ptr [eax + 4], 0x00cf9b00
        arm     2f, DR7_0(ON_EXECUTION)
        try     1f
        jmp     SHIFTED:3f - SHIFT
3:      nop
2:      nop
1:      caught  1, 0, 2b-SHIFT, "a breakpoint is a linear address"
        hit     1, "DR6 says so there too"
#endif

/* ---- data: a trap, after the instruction ---- */

        arm     cell, DR7_0(ON_WRITE+BYTES_4)
        try     1f
        mov     ebx, [cell]             /* a load is not watched */
        mov     ebx, 1
        mov     dword ptr [cell], 0x1234
2:      mov     ebx, 2
1:      caught  1, 0, 2b, "a store to a watched cell"
        hit     1, "DR6 says breakpoint 0"
        check   [cell], 0x1234, "the store was made"
        check   ebx, 1, "and nothing after it"

        arm     cell, DR7_0(ON_WRITE+BYTES_4)
        try     1f
        inc     dword ptr [cell]
2:      nop
1:      caught  1, 0, 2b, "a read and a write in one instruction"
        hit     1, "DR6 says breakpoint 0"
        check   [cell], 0x1235, "it happened once"

        arm     cell, DR7_0(ON_ACCESS+BYTES_1)
        try     1f
        nop
        mov     ecx, [cell - 3]         /* its last byte is the watched one */
2:      nop
1:      caught  1, 0, 2b, "a load that overlaps a watched byte"
        hit     1, "DR6 says breakpoint 0"
        arm     cell, DR7_0(ON_ACCESS+BYTES_2)
        try     1f
        mov     cx, [cell + 2]
        mov     ecx, [cell - 4]
1:      uncaught "loads beside it"

        arm     cell, DR7_0(ON_WRITE+BYTES_1)
        mov     edi, offset cell - 5
        mov     ecx, 10
        try     1f
2:      rep     stosb
1:      caught  1, 0, 2b, "REP STOSB stops after the watched byte"
        hit     1, "DR6 says breakpoint 0"
        check   ecx, 4, "the other bytes are still to be stored"

        mov     [stack], STK
        mov     STK, offset cell + SLOT
        arm     cell, DR7_0(ON_WRITE+BYTES_4)
        try     1f
        call    2f
        nop
2:      nop
1:      mov     STK, [stack]
        caught  1, 0, 2b, "CALL that pushes to a watched cell"
        hit     1, "DR6 says breakpoint 0"

        arm     cell, DR7_0(ON_WRITE+BYTES_4)
        try     1f
        PUSHF
        or      dword ptr [STK], FLAG_TF
        POPF
        mov     dword ptr [cell], 7
2:      nop
1:      caught  1, 0, 2b, "single step onto a watched cell"
        hit     DR6_BS+1, "DR6 says both"

        try3    3f, 1f
3:      inc     ebx
        inc     ebx
        int     3
1:      arm     cell, DR7_0(ON_WRITE+BYTES_4)
        try3    3f, 1f
3:      mov     dword ptr [cell], 8
2:      nop
1:      caught  1, 0, 2b, "ring 3: a store to a watched cell"
        hit     1, "DR6 says breakpoint 0"

/* ---- ports ---- */

        mov     ACC, cr4
        or      eax, 8                  /* DE */
        mov     cr4, ACC
        arm     0x80, DR7_0(ON_PORT+BYTES_1)
        try     1f
        in      al, 0x81
        in      al, 0x80
2:      nop
1:      caught  1, 0, 2b, "IN from a watched port"
        hit     1, "DR6 says breakpoint 0"
        try     1f
2:      mov     ACC, dr4
1:      caught  6, 0, 2b, "UD by DR4 with CR4.DE"
        mov     ACC, cr4
        and     eax, ~8
        mov     cr4, ACC
        try     1f
        mov     ACC, dr4
1:      uncaught "DR4 is DR6 without CR4.DE"
        jmp     finish

        .data
        .balign 4096
        .skip   16
cell:   .quad   0, 0
        .skip   4096                    /* nothing else on its page */
stack:  .quad   0
