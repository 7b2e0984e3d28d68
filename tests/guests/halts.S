/* SPDX-License-Identifier: BSD-2-Clause */
/* HLT: what ends it when RFLAGS.IF is clear. */
#include "kernel.inc"

#define PIC1            0x20
#define PIC2            0xa0
#define PIT_0           0x40
#define PIT_CONTROL     0x43
#define ONE_SHOT        0x30            /* channel 0, mode 0 */
#define MILLISECOND     1193
#define IOAPIC          0xfec00000
#define TIMER_ENTRY     (0x10+2*2)      /* the timer's is pin 2 */
#define LAPIC_LINT0     (LAPIC+0x350)
#define BY_NMI          0x400
#define MASKED          0x10000
#define DR6_BS          0x4000

        .macro  outb port, value
        mov     al, \value
        out     \port, al
        .endm

        .macro  start_timer
        outb    PIT_CONTROL, ONE_SHOT
        outb    PIT_0, MILLISECOND & 0xff
        outb    PIT_0, MILLISECOND >> 8
        .endm

        .macro  timer_entry value
        mov     edi, IOAPIC
        mov     dword ptr [DST], TIMER_ENTRY
        mov     dword ptr [DST + 0x10], \value
        .endm

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        gate    2, on_nmi
        outb    PIC1+1, 0xff
        outb    PIC2+1, 0xff

/* ---- an NMI that comes in HLT ---- */

        mov     edi, IOAPIC
        mov     dword ptr [DST], TIMER_ENTRY+1
        mov     dword ptr [DST + 0x10], 0
        timer_entry BY_NMI
        start_timer
        hlt
1:      check   [nmis], 1, "an NMI through the I/O APIC ends HLT with IF clear"
        mov     ebx, offset 1b
        check   [came_at], ebx, "and comes in after it"
        timer_entry MASKED

        outb    PIC1, 0x11
        outb    PIC1+1, 0x30
        outb    PIC1+1, 0x04
        outb    PIC1+1, 0x01
        outb    PIC1+1, 0xfe
        apic_write LAPIC_LINT0, BY_NMI
        start_timer
        hlt
        check   [nmis], 2, "so does one that the 8259 requests through LINT0"
        apic_write LAPIC_LINT0, MASKED
        outb    PIC1+1, 0xff

/* ---- single steps ---- */

        xor     eax, eax
        mov     dr6, ACC
        try     1f
        PUSHF
        or      dword ptr [STK], FLAG_TF
        POPF
        hlt
2:      nop
1:      caught  1, 0, 2b, "a single step over HLT with IF clear"
        mov     ACC, dr6
        and     eax, DR6_BS
        check   eax, DR6_BS, "DR6 says so"

        try     1f
        PUSHF
        or      dword ptr [STK], FLAG_TF+FLAG_IF
        POPF
        hlt
2:      nop
1:      cli
        caught  1, 0, 2b, "a single step over HLT with IF set"
        jmp     finish

on_nmi: push    ACC
        mov     eax, [STK + SLOT]
        mov     [came_at], eax
        inc     dword ptr [nmis]
        pop     ACC
        RETURN

        .data
        .balign 8
nmis:   .quad   0
came_at: .quad  0
