/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts in every window an instruction can open or close. The local APIC's self-IPI makes
 * one pending at a known instruction; each handler notes where it came in.
 */
#include "kernel.inc"

#define LOW             0x21            /* vectors of two priority classes */
#define HIGH            0x31
#define LONG            200000          /* bytes for string instructions to take their time over */
#define TIMER           0x32
#define LAPIC_TIMER     (LAPIC+0x320)
#define LAPIC_INITIAL   (LAPIC+0x380)
#define LAPIC_DIVIDE    (LAPIC+0x3e0)
#define PERIODIC        0x20000

        .macro  pend vector
        apic_write LAPIC_ICR, ICR_SELF+\vector
        .endm

        .macro  came_in at, words
        mov     ebx, offset \at
        check   [came_at], ebx, "\words"
        mov     dword ptr [came_at], 0
        .endm

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        gate    LOW, on_low
        gate    HIGH, on_high
        gate    TIMER, on_timer
        gate    2, on_nmi

/* ---- where IF becomes set ---- */

        cli
        pend    LOW
        sti
        inc     ebx                     /* the shadow: one more instruction */
1:      nop
        cli
        came_in 1b, "after the instruction that follows STI"

        pend    LOW
        sti
        cli                             /* in the shadow: it never comes */
        nop
        nop
        check   [came_at], 0, "not between STI and CLI"
        PUSHF
        or      dword ptr [STK], FLAG_IF
        POPF
1:      nop
        cli
        came_in 1b, "right after POPF"

        pend    LOW
#if BITS == 64
        mov     rax, rsp
        push    DATA0
        push    rax
        push    FLAG_IF + 2
        push    CODE0
        push    offset 1f
#else
        push    FLAG_IF + 2
        push    CODE0
        push    offset 1f
#endif
        RETURN
1:      nop
        cli
        came_in 1b, "right after IRET"

        pend    LOW
        sti
        hlt
1:      cli
        came_in 1b, "STI HLT with one pending goes on after HLT"

        pend    LOW
        mov     eax, DATA0
        sti
        mov     ss, ax                  /* in STI's shadow; a second shadow is not added */
        nop
        nop
        cli
        mov     eax, [came_at]
        test    eax, eax
        setnz   al
        movzx   eax, al
        check   eax, 1, "STI MOV SS does not lose it"
        mov     dword ptr [came_at], 0

/* ---- MOV SS and POP SS ---- */

        sti
        nop
        mov     eax, DATA0
        mov     edi, LAPIC_ICR
        mov     dword ptr [DST], ICR_SELF + LOW
        mov     ss, ax
        nop                             /* its stack pointer would be set here */
1:      nop
        cli
        came_in 1b, "after the instruction that follows MOV SS"
#if BITS == 32
        sti
        nop
        push    DATA0
        mov     edi, LAPIC_ICR
        mov     dword ptr [DST], ICR_SELF + LOW
        pop     ss
        nop
1:      nop
        cli
        came_in 1b, "after the instruction that follows POP SS"
#endif
        mov     eax, DATA0
        mov     edi, LAPIC_ICR
        mov     dword ptr [DST], ICR_SELF + ICR_NMI
        mov     ss, ax
        nop
1:      nop
        came_in 1b, "an NMI too"

/* ---- TF and the shadows ---- */

        try     1f
        mov     ecx, DATA0
        PUSHF
        or      dword ptr [STK], FLAG_TF
        POPF
        mov     ss, cx
        nop
2:      nop
1:      caught  1, 0, 2b, "no single step between MOV SS and the next"

/* ---- string instructions: interrupted and resumed exactly ---- */

        mov     dword ptr [inside], 0
        apic_write LAPIC_DIVIDE, 0xb
        apic_write LAPIC_TIMER, PERIODIC+TIMER
        apic_write LAPIC_INITIAL, 777
        mov     al, 0x5a
        mov     edi, SUPERVISOR
        mov     ecx, LONG
        sti
string_store:
        rep     stosb
        mov     esi, SUPERVISOR
        mov     edi, SUPERVISOR + LONG
        mov     ecx, LONG / 4
string_move:
        rep     movsd
        mov     al, 0x5b
        mov     edi, SUPERVISOR
        mov     ecx, LONG * 2
string_scan:
        repne   scasb
        cli
        apic_write LAPIC_INITIAL, 0
        check   ecx, 0, "REPNE SCASB looks at every byte"
        xor     ebx, ebx
        mov     esi, SUPERVISOR
        mov     ecx, LONG * 2 / 4
1:      lodsd
        cmp     eax, 0x5a5a5a5a
        je      2f
        inc     ebx
2:      dec     ecx
        jnz     1b
        check   ebx, 0, "REP STOSB and REP MOVSD store every byte"
        check   [SUPERVISOR + LONG * 2], 0, "and none beyond"
        mov     eax, [inside]
        cmp     eax, 20
        seta    al
        movzx   eax, al
        check   eax, 1, "with many interrupts inside them"
        tell    "inside", [inside]
        tell    "timer", [timer_count]

/* ---- nesting and priority ---- */

        mov     dword ptr [order], 0
        mov     byte ptr [nest], 1
        pend    LOW
        sti
        nop
        nop
        cli
        mov     byte ptr [nest], 0
        check   [order], 0x134, "a higher one nests, a lower one waits for EOI"

/* ---- NMI ---- */

        mov     dword ptr [order], 0
        mov     byte ptr [nmi_again], 1
        pend    ICR_NMI
        jmp     1f
1:      nop
        jmp     1f
1:      check   [order], 0x5656, "an NMI in an NMI handler waits for IRET"
        mov     dword ptr [order], 0
        pend    ICR_NMI
        hlt                             /* IF is clear, and yet it goes on */
        check   [order], 0x56, "an NMI ends HLT with IF clear"
        jmp     finish

/* order gets a digit for each step: 1-4 on_low and on_high, 5 and 6 on_nmi */
        .macro  step digit
        shl     dword ptr [order], 4
        or      dword ptr [order], \digit
        .endm

on_low:
        push    ACC
        push    DST
        mov     eax, [STK + 2 * SLOT]
        mov     [came_at], eax
        cmp     byte ptr [nest], 0
        je      2f
        cmp     byte ptr [nest], 1
        jne     1f
        inc     byte ptr [nest]
        step    1
        pend    LOW                     /* the same class: waits */
        sti
        nop
        nop
        pend    HIGH                    /* a higher class: comes in */
        jmp     3f
3:      nop
        cli
        jmp     2f
1:      step    4
2:      apic_write LAPIC_EOI, 0
        cmp     byte ptr [nest], 2
        jne     1f
        mov     byte ptr [nest], 3
1:      pop     DST
        pop     ACC
        RETURN

on_high:
        push    DST
        step    3
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

on_nmi:
        push    ACC
        push    DST
        mov     eax, [STK + 2 * SLOT]
        mov     [came_at], eax
        step    5
        cmp     byte ptr [nmi_again], 0
        je      1f
        mov     byte ptr [nmi_again], 0
        pend    ICR_NMI                 /* blocked until this one's IRET */
        jmp     2f
2:      nop
        jmp     1f
1:      step    6
        pop     DST
        pop     ACC
        RETURN

on_timer:
        push    ACC
        push    DST
        inc     dword ptr [timer_count]
        mov     eax, [STK + 2 * SLOT]
        cmp     eax, offset string_store
        je      1f
        cmp     eax, offset string_move
        je      1f
        cmp     eax, offset string_scan
        jne     2f
1:      cmp     ecx, 0
        je      2f
        inc     dword ptr [inside]
2:      apic_write LAPIC_EOI, 0
        pop     DST
        pop     ACC
        RETURN

        .data
came_at:        .long 0
inside:         .long 0
timer_count:    .long 0
order:          .long 0
nest:           .byte 0
nmi_again:      .byte 0
