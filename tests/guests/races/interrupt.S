/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt against thread, on one CPU: the handler counts, too. */
#include "races.inc"
#define TICK    0x30

main:   apic_write LAPIC_SVR, SVR_ENABLE+0xff
        gate    TICK, on_tick
        sti
        mov     ebx, ROUNDS
1:      mov     eax, [ticks]
        mov     [before], eax
        apic_write LAPIC_ICR, ICR_SELF+TICK
2:      mov     ecx, 200                /* other work */
3:      dec     ecx
        jnz     3b
        mov     eax, [count]
        inc     eax
        mov     [count], eax
        inc     dword ptr [done]
        mov     eax, [ticks]
        cmp     eax, [before]
        je      2b
        dec     ebx
        jnz     1b
        cli
        mov     ebx, [done]
        add     ebx, [ticks]
        check   [count], ebx, "what was counted is counted"
        jmp     finish

on_tick:
        push    DST
        inc     dword ptr [count]
        inc     dword ptr [ticks]
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

        .data
count:  .long   0
done:   .long   0
ticks:  .long   0
before: .long   0
