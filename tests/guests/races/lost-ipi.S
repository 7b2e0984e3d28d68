/* SPDX-License-Identifier: BSD-2-Clause */
/* Lost IPI: a second message of one vector, sent while the first waits, is the same message. */
#include "races.inc"
#define WORK    0x30
#define SENT    4

main:   gate    WORK, on_work
        race    send, listen
        check   [worked], SENT, "every message is worked on"
        jmp     finish

send:   meet
        mov     ebx, SENT
1:      lock inc dword ptr [asked]
        send_to 1, WORK
        mov     ecx, 95                 /* surely it is done by then */
2:      pause
        dec     ecx
        jnz     2b
        dec     ebx
        jnz     1b
        mov     ecx, 200
3:      pause
        dec     ecx
        jnz     3b
        mov     dword ptr [over], 1
        ret

listen: xor     r15d, r15d
        meet
        sti
1:      pause
        cmp     dword ptr [over], 0
        je      1b
        cli
        ret

on_work:                                /* does one piece of work, whatever was asked for */
        push    DST
        inc     dword ptr [worked]
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

        .data
asked:  .long   0
worked: .long   0
over:   .long   0
