/* SPDX-License-Identifier: BSD-2-Clause */
/* Every exception the CPU has: vector, error code, saved CS:IP and flags, from rings 0 and 3. */
#include "kernel.inc"

#define DR6_BS          0x4000
#if BITS == 64
#define INSTRUCTION_FETCH       0x10    /* in a page fault's error code, with NX */
#else
#define INSTRUCTION_FETCH       0
#endif

#define INTERRUPT_GATE  0x30            /* a gate that ring 3 may use */

main:
        fninit

/* ---- ring 0: faults show the instruction, traps the one after it ---- */

        xor     ecx, ecx
        try     1f
2:      div     ecx
1:      caught  0, 0, 2b, "DE division by zero"
        check   [got_cs], CODE0, "CS of ring 0 is saved"

        mov     eax, 0x80000000
        cdq
        mov     ecx, -1
        try     1f
        mov     eax, 0x80000000
        cdq
2:      idiv    ecx
1:      caught  0, 0, 2b, "DE quotient too large"

        xor     eax, eax
        mov     dr6, ACC
        try     1f
        PUSHF
        or      dword ptr [STK], FLAG_TF
        POPF
        nop                             /* the first instruction under TF */
2:      nop
1:      caught  1, 0, 2b, "DB single step"
        mov     ACC, dr6
        and     eax, DR6_BS
        check   eax, DR6_BS, "DR6.BS says single step"
        mov     eax, [got_flags]
        and     eax, FLAG_TF
        check   eax, FLAG_TF, "TF is in the saved flags"
        PUSHF
        pop     ACC
        and     eax, FLAG_TF
        check   eax, 0, "TF is clear in the handler"

        try     1f
        .byte   0xf1                    /* INT1 */
2:      nop
1:      caught  1, 0, 2b, "DB by INT1"

        try     1f
        int3
2:      nop
1:      caught  3, 0, 2b, "BP by INT3"

        try     1f
        int     3
2:      nop
1:      caught  3, 0, 2b, "BP by INT 3"

#if BITS == 32
        try     1f
        mov     al, 0x7f
        add     al, 1
        into
2:      nop
1:      caught  4, 0, 2b, "OF by INTO"
        try     1f
        xor     al, al
        into
1:      uncaught "INTO without overflow does nothing"

        mov     eax, 11
        try     1f
        mov     eax, 11
2:      bound   eax, [bounds]
1:      caught  5, 0, 2b, "BR above the bounds"
        try     1f
        mov     eax, 10
        bound   eax, [bounds]
1:      uncaught "BOUND within the bounds"
#endif

        try     1f
2:      ud2
1:      caught  6, 0, 2b, "UD by UD2"
        try     1f
2:      .byte   0xf0, 0x90              /* lock nop */
1:      caught  6, 0, 2b, "UD by LOCK where it is not allowed"
        try     1f
2:      .byte   0x0f, 0xc7, 0xf0        /* rdrand eax */
1:      caught  6, 0, 2b, "UD by RDRAND"
        try     1f
2:      .byte   0x8e, 0xc8              /* mov cs, ax */
1:      caught  6, 0, 2b, "UD by MOV CS"
        try     1f
        int     6
2:      nop
1:      caught  6, 0, 2b, "INT 6 is saved as an interrupt"

        mov     ACC, cr0
        or      eax, 8                  /* TS */
        mov     cr0, ACC
        try     1f
2:      fld1
1:      caught  7, 0, 2b, "NM by x87 with TS"
        clts
        try     1f
2:      xorps   xmm0, xmm0
1:      caught  6, 0, 2b, "UD by SSE without CR4.OSFXSR"
        mov     ACC, cr0
        or      eax, 8
        mov     cr0, ACC
        mov     ACC, cr4
        or      eax, 0x600              /* OSFXSR, OSXMMEXCPT */
        mov     cr4, ACC
        try     1f
2:      xorps   xmm0, xmm0
1:      caught  7, 0, 2b, "NM by SSE with TS"
        clts
        try     1f
        fld1
        fstp    st(0)
        xorps   xmm0, xmm0
1:      uncaught "neither with TS clear"

        and     byte ptr [idt + 13 * GATE_SIZE + 5], 0x7f       /* gate 13 not present */
        try     1f
        mov     ax, BEYOND_GDT
2:      mov     es, ax
1:      caught  8, 0, 2b, "DF by GP that cannot be delivered"
        or      byte ptr [idt + 13 * GATE_SIZE + 5], 0x80

        try     1f
        mov     ax, NOT_PRESENT
2:      mov     es, ax
1:      caught  11, NOT_PRESENT, 2b, "NP by a segment that is not present"
        and     byte ptr [idt + 0x21 * GATE_SIZE + 5], 0x7f
        try     1f
2:      int     0x21
1:      caught  11, IN_IDT(0x21), 2b, "NP by a gate that is not present"
        or      byte ptr [idt + 0x21 * GATE_SIZE + 5], 0x80

        try     1f
        mov     ax, NOT_PRESENT
2:      mov     ss, ax
1:      caught  12, NOT_PRESENT, 2b, "SS by a stack segment that is not present"

        try     1f
        mov     ax, BEYOND_GDT
2:      mov     es, ax
1:      caught  13, BEYOND_GDT, 2b, "GP by a selector beyond the GDT"
        try     1f
2:      int     IDT_GATES
1:      caught  13, IN_IDT(IDT_GATES), 2b, "GP by a vector beyond the IDT"
        try     1f
        mov     ax, CODE0
2:      mov     ss, ax
1:      caught  13, CODE0, 2b, "GP by a stack in a code segment"
        try     1f
        xor     eax, eax
2:      ltr     ax
1:      caught  13, 0, 2b, "GP by LTR with a null selector"
        try     1f
        mov     ax, DATA0
2:      ltr     ax
1:      caught  13, DATA0, 2b, "GP by LTR of what is no TSS"
#if BITS == 64
        try     1f
        mov     rax, 0x800000000000
2:      mov     eax, [rax]
1:      caught  13, 0, 2b, "GP by an address that is not canonical"
#endif

        try     1f
2:      mov     eax, [ABSENT + 0x123]
1:      caught  14, 0, 2b, "PF by a load from a page that is absent"
        mov     ACC, cr2
        check   eax, ABSENT + 0x123, "CR2 has the address"
        try     1f
2:      mov     [ABSENT + 0x124], eax
1:      caught  14, 2, 2b, "PF by a store to it"
        try     1f
2:      mov     [READ_ONLY], eax
1:      caught  14, 3, 2b, "PF by a store to a page that is read-only, with WP"
        mov     ACC, cr0
        and     eax, ~0x10000
        mov     cr0, ACC
        try     1f
        mov     [READ_ONLY], eax
1:      uncaught "no PF by it without WP"
        mov     ACC, cr0
        or      eax, 0x10000
        mov     cr0, ACC
        try     1f
        mov     ACC, ABSENT
        jmp     ACC
1:      caught  14, INSTRUCTION_FETCH, ABSENT, "PF by a jump to an absent page"
#if BITS == 64
        try     1f
        mov     rax, NO_EXECUTE
        jmp     rax
1:      caught  14, 0x11, NO_EXECUTE, "PF by a jump to a page with NX"
        try     1f
        mov     rax, [NO_EXECUTE]
1:      uncaught "which can be read"
        bts     qword ptr [0x3000 + 8 * 3], 45          /* beyond 40 bits: reserved */
        invlpg  [0x600000]
        try     1f
2:      mov     [0x600008], eax
1:      caught  14, 0xb, 2b, "PF by an address beyond the physical ones says reserved"
        btr     qword ptr [0x3000 + 8 * 3], 45
#endif

        fninit
        fldcw   [all_unmasked]
        fldz
        fld1
        try     1f
        fdiv    st(0), st(1)            /* the exception is pending ... */
        nop
2:      fwait                           /* ... until the next that waits */
1:      caught  16, 0, 2b, "MF by division by zero, at the next x87 instruction"
        fninit

/* ---- ring 3 ---- */

        try3    3f, 1f
3:      xor     ecx, ecx
2:      div     ecx
1:      caught  0, 0, 2b, "ring 3: DE"
        check   [got_cs], CODE3, "ring 3: its CS is saved"
        check   [got_ss], DATA3, "ring 3: its SS is saved"
        mov     ebx, offset user_stack_top
        check   [got_stack], ebx, "ring 3: its stack pointer is saved"

        try3    3f, 1f, FLAG_TF+2
3:      nop
2:      nop
1:      caught  1, 0, 2b, "ring 3: DB single step"
        gate    3, stub_3, GATE_FOR_RING3
        try3    3f, 1f
3:      int3
2:      nop
1:      caught  3, 0, 2b, "ring 3: BP"
        gate    3, stub_3
        try3    2f, 1f
2:      int3
1:      caught  13, IN_IDT(3), 2b, "ring 3: GP by INT3 through a gate of ring 0"
        try3    2f, 1f
2:      int     0x21
1:      caught  13, IN_IDT(0x21), 2b, "ring 3: GP by INT through a gate of ring 0"
        gate    INTERRUPT_GATE, stub_48, GATE_FOR_RING3
        try3    3f, 1f
3:      int     INTERRUPT_GATE
2:      nop
1:      caught  INTERRUPT_GATE, 0, 2b, "ring 3: INT through a gate of ring 3"
        try3    3f, 1f
3:      .byte   0xf1
2:      nop
1:      caught  1, 0, 2b, "ring 3: INT1 needs no gate of ring 3"
#if BITS == 32
        gate    4, stub_4, GATE_FOR_RING3
        try3    3f, 1f
3:      mov     al, 0x7f
        inc     al
        into
2:      nop
1:      caught  4, 0, 2b, "ring 3: OF"
        try3    3f, 1f
3:      mov     eax, -6
2:      bound   eax, [bounds]
1:      caught  5, 0, 2b, "ring 3: BR"
#endif
        try3    2f, 1f
2:      ud2
1:      caught  6, 0, 2b, "ring 3: UD"
        mov     ACC, cr0
        or      eax, 8
        mov     cr0, ACC
        try3    2f, 1f
2:      fld1
1:      caught  7, 0, 2b, "ring 3: NM"
        clts
        try3    3f, 1f
3:      mov     ax, NOT_PRESENT3
2:      mov     es, ax
1:      caught  11, NOT_PRESENT3, 2b, "ring 3: NP"
        try3    3f, 1f
3:      mov     ax, NOT_PRESENT + 3
2:      mov     ss, ax
1:      caught  13, NOT_PRESENT, 2b, "ring 3: GP by a stack of ring 0"
        try3    2f, 1f
2:      cli
1:      caught  13, 0, 2b, "ring 3: GP by CLI"
        try3    2f, 1f
2:      hlt
1:      caught  13, 0, 2b, "ring 3: GP by HLT"
        try3    2f, 1f
2:      in      al, 0x60
1:      caught  13, 0, 2b, "ring 3: GP by IN"
        try3    2f, 1f
2:      mov     ACC, cr0
1:      caught  13, 0, 2b, "ring 3: GP by MOV from CR0"
        try3    2f, 1f
2:      mov     ACC, dr6
1:      caught  13, 0, 2b, "ring 3: GP by MOV from DR6"
        try3    2f, 1f
2:      rdmsr
1:      caught  13, 0, 2b, "ring 3: GP by RDMSR"
        try3    2f, 1f
2:      lidt    [idt_pointer]
1:      caught  13, 0, 2b, "ring 3: GP by LIDT"
        try3    2f, 1f
2:      mov     eax, [ABSENT]
1:      caught  14, 4, 2b, "ring 3: PF by a load from an absent page"
        try3    2f, 1f
2:      mov     eax, [SUPERVISOR]
1:      caught  14, 5, 2b, "ring 3: PF by a load from a page of ring 0"
        try3    2f, 1f
2:      mov     [SUPERVISOR], eax
1:      caught  14, 7, 2b, "ring 3: PF by a store to a page of ring 0"
        try3    2f, 1f
2:      mov     [READ_ONLY], eax
1:      caught  14, 7, 2b, "ring 3: PF by a store to a read-only page"
        try3    3f, 1f
3:      fldcw   [all_unmasked]
        fldz
        fld1
        fdiv    st(0), st(1)
2:      fwait
1:      caught  16, 0, 2b, "ring 3: MF"
        fninit
        jmp     finish


        .data
bounds:         .long -5, 10
all_unmasked:   .word 0x0300
