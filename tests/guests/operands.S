/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What instructions demand of their operands: 16-byte alignment (Intel SDM vol. 1, 4.1.1 and vol. 2,
 * table 2-21), alignment in ring 3 with AC, forms that do not exist, canonical addresses, RPLs.
 */
#include "kernel.inc"

#define TASK64          SPARE           /* two descriptors each in 64-bit mode */
#define LDT64           (SPARE+0x10)

/* An instruction with a memory operand [BAS] at an odd multiple of eight. */
        .macro  aligned instruction:vararg
        lea     BAS, [area + 8]
        try     1f
2:      \instruction
1:      caught  13, 0, 2b, "GP: \instruction"
        lea     BAS, [area + 16]
        try     1f
        \instruction
1:      uncaught "aligned it is done"
        .endm

        .macro  anywhere instruction:vararg
        lea     BAS, [area + 9]
        try     1f
        \instruction
1:      uncaught "unaligned it is done: \instruction"
        .endm

        .macro  undefined words, bytes:vararg
        try     1f
2:      .byte   \bytes
        nop
        nop
1:      caught  6, 0, 2b, "UD by \words"
        .endm

main:
        mov     ACC, cr4
        or      eax, 0x600              /* OSFXSR, OSXMMEXCPT */
        mov     cr4, ACC
        fninit

/* ---- 16-byte operands of SSE ---- */

        .irp    name, movaps, movapd, movdqa
        aligned \name xmm0, [BAS]
        aligned \name [BAS], xmm0
        .endr
        .irp    name, movntps, movntpd, movntdq
        aligned \name [BAS], xmm0
        .endr
        .irp    name, addps, mulpd, andps, orpd, xorps, unpcklps, unpckhpd, sqrtps, maxpd, rsqrtps
        aligned \name xmm0, [BAS]
        .endr
        .irp    name, paddb, psubq, pmulhuw, pand, punpcklbw, punpckhqdq, packuswb, pcmpeqd, psllw
        aligned \name xmm0, [BAS]
        .endr
        .irp    name, cvtdq2ps, cvtps2dq, cvtpd2ps, cvtpd2dq, cvttps2dq, addsubps, haddpd, movsldup
        aligned \name xmm0, [BAS]
        .endr
        .irp    name, pshufd, pshufhw, pshuflw, shufps, shufpd, cmpps, cmppd
        aligned \name xmm0, [BAS], 0
        .endr
        aligned fxsave [BAS]
        .irp    name, movups, movupd, movdqu
        anywhere \name xmm0, [BAS]
        anywhere \name [BAS], xmm0
        .endr
        anywhere lddqu xmm0, [BAS]
        .irp    name, movlps, movhps, movlpd, movhpd, movq, cvtps2pd, cvtdq2pd, cvtpi2ps, movddup
        anywhere \name xmm0, [BAS]
        .endr
        .irp    name, movss, addss, ucomiss, cvtss2sd, sqrtsd, comisd, subsd
        anywhere \name xmm0, [BAS]
        .endr
        anywhere movq mm0, [BAS]
        anywhere paddw mm0, [BAS]
        anywhere pshufw mm0, [BAS], 0
        anywhere pinsrw xmm0, [BAS], 0
        anywhere cvtpd2pi mm0, xmm0
        emms
        mov     eax, 1
        cpuid
        bt      ecx, 19
        jnc     no_sse4
        .irp    name, pshufb, phaddd, pabsw, pmaddubsw, pmulld, pminsd, pcmpeqq, pcmpgtq, ptest
        aligned \name xmm0, [BAS]
        .endr
        .irp    name, palignr, roundps, roundpd, blendps, pblendw, dpps, mpsadbw
        aligned \name xmm0, [BAS], 0
        .endr
        aligned movntdqa xmm0, [BAS]
        aligned pblendvb xmm1, [BAS], xmm0
        .irp    name, pmovsxbw, pmovzxdq, pmovsxbq
        anywhere \name xmm0, [BAS]
        .endr
        .irp    name, roundss, roundsd, insertps, pinsrd, pinsrb
        anywhere \name xmm0, [BAS], 0
        .endr
        .irp    name, pcmpistri, pcmpistrm, pcmpestri, pcmpestrm
        anywhere \name xmm0, [BAS], 0
        .endr
        anywhere pshufb mm0, [BAS]
        anywhere pextrd [BAS], xmm0, 1
        emms
        mov     eax, 1
        cpuid
        bt      ecx, 25
        jnc     no_sse4
        aligned aesenc xmm0, [BAS]
        aligned aeskeygenassist xmm0, [BAS], 0
        aligned pclmulqdq xmm0, [BAS], 0
no_sse4:
        mov     ecx, 0x12345678
        lea     BAS, [area + 8]
        try     1f
        mov     dword ptr [area + 8], 0
        inc     ecx
        movaps  [BAS], xmm0
        inc     ecx
1:      check   ecx, 0x12345679, "what came before a store that is refused is done, it and the rest not"

/* ---- alignment check ---- */

        mov     ACC, cr0
        or      eax, 0x40000            /* AM */
        mov     cr0, ACC
        .irp    name, 2, 4, 8
        try3    2f, 1f, FLAG_AC+2
2:      .if     \name == 2
        mov     ax, [area + 1]
        .elseif \name == 4
        mov     [area + 2], eax
        .else
        fld     qword ptr [area + 4]
        .endif
1:      caught  17, 0, 2b, "AC by an unaligned operand of \name bytes"
        .endr
        try3    3f, 1f, FLAG_AC+2
3:      mov     STK, offset user_stack_top - 2
2:      push    ACC
1:      caught  17, 0, 2b, "AC by PUSH"
        try3    2f, 1f, FLAG_AC+2
2:      movups  xmm0, [area + 16]
        mov     al, [area + 3]
        mov     ax, [area + 2]
        mov     eax, [area + 4]
        ud2
1:      check   [got_vector], 6, "no AC by aligned ones, and by bytes"
        try3    2f, 1f, 2
2:      mov     eax, [area + 1]
        ud2
1:      check   [got_vector], 6, "no AC without RFLAGS.AC"
        PUSHF
        or      dword ptr [STK], FLAG_AC
        POPF
        try     1f
        mov     eax, [area + 1]
1:      uncaught "no AC in ring 0"
        PUSHF
        and     dword ptr [STK], ~FLAG_AC
        POPF
        mov     ACC, cr0
        and     eax, ~0x40000
        mov     cr0, ACC
        try3    2f, 1f, FLAG_AC+2
2:      mov     eax, [area + 1]
        ud2
1:      check   [got_vector], 6, "no AC without CR0.AM"

/* ---- forms that there are not ---- */

        undefined "LOCK BTS of a register", 0xf0, 0x0f, 0xab, 0xc8
        undefined "LOCK BTR of a register", 0xf0, 0x0f, 0xba, 0xf0, 0x01
        undefined "LOCK INC of a register", 0xf0, 0xff, 0xc0
        undefined "LOCK MOV", 0xf0, 0x89, 0x00
        undefined "LOCK CMP", 0xf0, 0x39, 0x00
        undefined "MOVNTI of a register", 0x0f, 0xc3, 0xc0
        undefined "CMPXCHG8B of a register", 0x0f, 0xc7, 0xc8
        undefined "LEA of a register", 0x8d, 0xc0
        undefined "BOUND or a bad EVEX", 0x62, 0xf1, 0x00, 0x00
        undefined "SGDT of a register", 0x0f, 0x01, 0xc0+0x2e
        undefined "MOV CS", 0x8e, 0xc8
        undefined "MOV to CR1", 0x0f, 0x22, 0xc8
        undefined "a segment register 6", 0x8e, 0xf0
        undefined "far CALL of a register", 0xff, 0xd8
        undefined "far JMP of a register", 0xff, 0xe8
        mov     eax, 1
        cpuid
        bt      ecx, 22
        jnc     no_movbe
        mov     dword ptr [area], 0x11223344
        movbe   ebx, [area]
        check   ebx, 0x44332211, "MOVBE from memory"
        movbe   [area], ebx
        check   [area], 0x11223344, "MOVBE to memory"
        undefined "MOVBE r32, r32", 0x0f, 0x38, 0xf0, 0xc1
        undefined "MOVBE r16, r16", 0x66, 0x0f, 0x38, 0xf1, 0xc1
        xor     ebx, ebx
        mov     ecx, 1
        crc32   ebx, ecx
        check   ebx, 0xdd45aab8, "CRC32 of a register is another instruction"
no_movbe:

/* ---- flags, CR0 ---- */

        mov     ACC, cr0
        mov     ecx, eax
        mov     ebx, -1
        smsw    ebx
        check   ebx, ecx, "SMSW r32 has all of CR0"
        mov     ebx, -1
        smsw    bx
        or      ecx, 0xffff0000
        check   ebx, ecx, "SMSW r16 has 16 bits"
        push    -1
        smsw    [STK]
        pop     BAS
        check   ebx, ecx, "to memory it writes 16 bits"
#if BITS == 64
        mov     rax, rsp
        push    DATA0
        push    rax
#endif
        push    FLAG_RF+2
        push    CODE0
        push    offset 1f
        RETURN
1:      PUSHF                           /* executed with RF set */
        pop     BAS
        and     ebx, FLAG_RF
        check   ebx, 0, "PUSHF pushes RF as 0"

/* ---- RDPMC ---- */

        mov     ecx, 4
        try     1f
2:      rdpmc
1:      caught  13, 0, 2b, "GP by RDPMC of a counter that there is not"
        mov     ecx, 0x80000000
        try     1f
2:      rdpmc
1:      caught  13, 0, 2b, "GP by RDPMC with another bad index"
        xor     ecx, ecx
        try3    2f, 1f
2:      rdpmc
1:      caught  13, 0, 2b, "GP by RDPMC in ring 3 without CR4.PCE"

/* ---- a pending x87 exception ---- */

        .macro  pending instruction:vararg
        fninit
        fldcw   [x87_unmasked]
        fld1
        fldz
        try     1f
        fdivp
2:      \instruction
1:      caught  16, 0, 2b, "MF by \instruction"
        .endm
        lea     BAS, [area]
        pending paddb mm0, mm1
        pending movq mm0, [BAS]
        pending movd mm0, ecx
        pending emms
        pending cvtpi2ps xmm0, mm0
        pending pshufw mm0, mm1, 0
        fninit

#if BITS == 64
/* ---- null selectors ---- */

        xor     ecx, ecx
        try     1f
        mov     ss, cx
1:      uncaught "MOV SS with a null selector in ring 0"
        mov     ecx, 3
        try     1f
2:      mov     ss, cx
1:      caught  13, 0, 2b, "GP by one whose RPL is 3"
        mov     ecx, 1
        try     1f
2:      mov     ss, cx
1:      caught  13, 0, 2b, "GP by one whose RPL is 1"
        mov     ax, DATA0
        mov     ss, ax

        mov     dword ptr [area], 0x5566
        .irp    register, fs, gs
        mov     ax, DATA0
        mov     \register, ax
        mov     ecx, 0xc0000100
        .ifc    \register, gs
        inc     ecx
        .endif
        mov     eax, offset area
        xor     edx, edx
        wrmsr
        try3    2f, 1f
2:      mov     ebx, \register:[0]
        mov     ecx, \register
        ud2
1:      check   ebx, 0x5566, "IRET to ring 3 keeps the base of \register"
        check   ecx, 0, "whose selector it clears"
        .endr

/* ---- canonical bases ---- */

        sgdt    [area]
        sidt    [area + 16]
        mov     ax, 0x8000
        mov     [area + 2 + 6], ax
        mov     [area + 18 + 6], ax
        try     1f
2:      lgdt    [area]
1:      caught  13, 0, 2b, "GP by LGDT of a base that is not canonical"
        try     1f
2:      lidt    [area + 16]
1:      caught  13, 0, 2b, "GP by LIDT of one"
        sgdt    [area + 32]
        mov     ebx, [area + 32 + 6]
        and     ebx, 0xffff0000
        check   ebx, 0, "GDTR is as it was"
        mov     rax, 0x0000890000000067
        mov     [gdt + TASK64], rax
        mov     dword ptr [gdt + TASK64 + 8], 0x00008000
        mov     cx, TASK64
        try     1f
2:      ltr     cx
1:      caught  13, TASK64, 2b, "GP by LTR of a base that is not canonical"
        mov     ecx, [gdt + TASK64 + 4]
        and     ecx, 0xff00
        check   ecx, 0x8900, "its task is not busy"
        mov     rax, 0x0000820000000067
        mov     [gdt + LDT64], rax
        mov     dword ptr [gdt + LDT64 + 8], 0x00008000
        mov     cx, LDT64
        try     1f
2:      lldt    cx
1:      caught  13, LDT64, 2b, "GP by LLDT of one"
#endif
        jmp     finish

        .data
        .balign 64
area:           .skip 1024
x87_unmasked:   .word 0x037b
