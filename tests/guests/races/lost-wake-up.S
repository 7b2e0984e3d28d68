/* SPDX-License-Identifier: BSD-2-Clause */
/* Lost wake-up: a message that comes between the look and the HLT wakes nobody. */
#include "races.inc"
#define WAKE    0x30

main:   gate    WAKE, on_wake
        race    produce, consume
        check   [consumed], 6*ROUNDS, "every message wakes the consumer"
        jmp     finish

produce:
        mov     ebx, 6*ROUNDS
1:      meet
        mov     dword ptr [ready], 1
        send_to 1, WAKE
2:      pause
        cmp     dword ptr [ready], 0
        jne     2b
        dec     ebx
        jnz     1b
        ret

consume:
        xor     r15d, r15d
        mov     ebx, 6*ROUNDS
1:      meet
        sti
2:      cmp     dword ptr [ready], 0
        jne     3f
        inc     dword ptr [naps]
        hlt                             /* with interrupts on since before the look */
        jmp     2b
3:      cli
        inc     dword ptr [consumed]
        mov     dword ptr [ready], 0
        dec     ebx
        jnz     1b
        ret

on_wake:
        push    DST
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

        .data
ready:  .long   0
consumed: .long 0
naps:   .long   0
