/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs: INIT and start-up messages, interrupts between CPUs, memory that they share, code
 * and page tables that one changes under another. The machine has CPUS of them, 2 or more.
 *
 * The first CPU starts the others, which then wait for jobs: a function for each to call.
 */
#include "kernel.inc"
#include "cpus.inc"

#define OTHER_START     0xa000
#define PING            0x30            /* vectors */
#define SHOOT           0x31
#define ROUNDS          100000

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        gate    PING, on_ping
        gate    SHOOT, on_shoot
        gate    2, on_nmi
        call    count_cpus

/* ---- start ---- */

        lea     SRC, [other_start]
        mov     edi, OTHER_START
        mov     ecx, offset other_start_end - other_start
        rep     movsb

        send_to 1, ICR_STARTUP+(OTHER_START >> 12)
        await   started_elsewhere, 1
        call    start_cpus
        mov     ebx, [others]
        check   [alive], ebx, "all CPUs start"
        check   [wrong_ids], 0, "each knows its number by the local APIC and by CPUID"
        check   [boot_flags], 0, "none of them is the one that boots"
        mov     ecx, APIC_BASE
        rdmsr
        and     eax, BSP
        check   eax, BSP, "the first one is"
        check   [started_elsewhere], 1, "a CPU that waits after reset takes a start-up message"

/* ---- what they share ---- */

        give_all add_locked
        call    add_locked
        call    join
        mov     eax, [others]
        inc     eax
        imul    eax, eax, ROUNDS
        check   [counter], eax, "increments with LOCK are all there"

        give    1, answer
        mov     ebx, 1
3:      mov     [question], ebx
4:      pause
        cmp     [reply], ebx
        jne     4b
        inc     ebx
        cmp     ebx, 1000
        jb      3b
        call    join
        check   [reply], 999, "questions and answers in memory"

        give_all take_tickets
        call    take_tickets
        call    join
        mov     eax, [others]
        inc     eax
        imul    eax, eax, 500
        check   [served], eax, "a ticket lock serves all"
        check   [inside], 0, "one at a time"
        check   [intruders], 0, "never two"

/* ---- interrupts between them ---- */

        give    1, listen
        await   listening, 1
        mov     ebx, 200
5:      mov     eax, [pings]
        mov     [seen], eax
        send_to 1, PING
6:      pause
        mov     eax, [pings]
        cmp     eax, [seen]
        je      6b
        dec     ebx
        jnz     5b
        mov     dword ptr [stop_listening], 1
        send_to 1, PING
        call    join
        check   [pings], 201, "every interrupt ends HLT and is taken once"

        mov     dword ptr [stop_listening], 0
        mov     dword ptr [listening], 0
        mov     dword ptr [pings], 0
        give_all listen
        mov     ebx, [others]
7:      pause
        cmp     [listening], ebx
        jne     7b
        mov     dword ptr [stop_listening], 1
        apic_write LAPIC_ICR, ICR_OTHERS+PING
        call    join
        check   [pings], ebx, "one interrupt to all others"

        apic_write LAPIC_ICR, ICR_OTHERS+ICR_NMI
        mov     ecx, 1000000
8:      pause
        cmp     [nmis], ebx
        je      9f
        dec     ecx
        jnz     8b
9:      check   [nmis], ebx, "an NMI to all others"

/* ---- code that another CPU changes ---- */

        mov     byte ptr [patched], 0xb8        /* mov eax, N; ret */
        mov     dword ptr [patched + 1], 1
        mov     byte ptr [patched + 5], 0xc3
        give    1, call_patched
        mov     ebx, 1
10:     mov     [patched + 1], ebx
11:     pause
        cmp     [returned], ebx
        jne     11b
        inc     ebx
        cmp     ebx, 500
        jb      10b
        mov     dword ptr [patched + 1], -1
        call    join
        check   [returned], -1, "a function is seen as it was last written"

/* ---- page tables that another CPU changes ---- */

        give    1, read_page
        await   page_read, 1
        check   [page_value], 0x11111111, "a page of the first table"
#if BITS == 64
        mov     qword ptr [0x3000 + 8 * (ABSENT >> 21)], 0x600083
#else
        mov     dword ptr [0x2000 + 4 * (ABSENT >> 22)], 0x400083
#endif
        send_to 1, SHOOT
        await   shot, 1
        mov     dword ptr [page_read], 0
        mov     dword ptr [read_again], 1
        call    join
        check   [page_value], 0x22222222, "after a shootdown the page of the new one"

/* ---- INIT ---- */

        mov     eax, [alive]
        mov     [expected], eax
        send_to 1, ICR_STARTUP+(OTHER_START >> 12)
        mov     ecx, 10000
12:     pause
        dec     ecx
        jnz     12b
        check   [started_elsewhere], 1, "a CPU that runs takes no start-up message"

        mov     ebx, [nmis]
        send_to 1, ICR_INIT
        send_to 1, ICR_NMI
        mov     ecx, 10000
13:     pause
        dec     ecx
        jnz     13b
        check   [nmis], ebx, "a CPU that waits takes no NMI"
        send_to 1, ICR_STARTUP+(OTHER_START >> 12)
        send_to 1, ICR_STARTUP+(TRAMPOLINE >> 12)
        await   started_elsewhere, 2
        check   [started_elsewhere], 2, "INIT and a start-up message start it elsewhere"
        mov     eax, [expected]
        check   [alive], eax, "the second start-up message is ignored"
        jmp     finish

/* ---- the other CPUs ---- */

        .code16
other_start:                            /* in real mode, at the page that was named */
        mov     ax, cs
        cmp     ax, OTHER_START >> 4
        jne     1f
        mov     bx, 0xffff              /* the highest segment: no limit is above 64 KiB here */
        mov     ds, bx
        mov     ebx, offset started_elsewhere - 0xffff0
        .byte   0x67
        lock inc dword ptr [ebx]
1:      cli
        hlt
        jmp     1b
other_start_end:
#if BITS == 64
        .code64
#else
        .code32
#endif

/* ---- jobs ---- */

add_locked:
        mov     ecx, ROUNDS
1:      lock inc dword ptr [counter]
        dec     ecx
        jnz     1b
        ret

answer:
        mov     ebx, 1
1:      pause
        cmp     [question], ebx
        jne     1b
        mov     [reply], ebx
        inc     ebx
        cmp     ebx, 1000
        jb      1b
        ret

take_tickets:
        mov     ebx, 500
1:      mov     eax, 1
        lock xadd [next_ticket], eax
2:      cmp     [now_serving], eax
        je      3f
        pause
        jmp     2b
3:      inc     dword ptr [inside]
        cmp     dword ptr [inside], 1
        je      4f
        inc     dword ptr [intruders]
4:      inc     dword ptr [served]
        dec     dword ptr [inside]
        inc     dword ptr [now_serving]
        dec     ebx
        jnz     1b
        ret

listen:
        lock inc dword ptr [listening]
1:      sti
        hlt
        cli
        cmp     dword ptr [stop_listening], 0
        je      1b
        ret

call_patched:
        lea     BAS, [patched]
        call    BAS
        mov     [returned], eax
        pause
        cmp     eax, -1
        jne     call_patched
        ret

read_page:
#if BITS == 64
        mov     qword ptr [0x3000 + 8 * (ABSENT >> 21)], 0x400083
        mov     dword ptr [0x400000], 0x11111111
        mov     dword ptr [0x600000], 0x22222222
#else
        mov     dword ptr [0x2000 + 4 * (ABSENT >> 22)], 0x83 + 0x800000
        mov     ebx, cr0
        and     ebx, ~0x10000           /* READ_ONLY is where 8 MiB are */
        mov     cr0, ebx
        mov     dword ptr [0x800000], 0x11111111
        or      ebx, 0x10000
        mov     cr0, ebx
        mov     dword ptr [0x400000], 0x22222222
#endif
        mov     ebx, ABSENT
        mov     eax, [BAS]
        mov     [page_value], eax
        mov     dword ptr [page_read], 1
        sti
1:      pause
        cmp     dword ptr [read_again], 0
        je      1b
        cli
        mov     eax, [BAS]
        mov     [page_value], eax
        ret

/* ---- handlers ---- */

on_ping:
        push    DST
        lock inc dword ptr [pings]
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

on_shoot:
        push    DST
        push    BAS
        mov     ebx, ABSENT
        invlpg  [BAS]
        mov     dword ptr [shot], 1
        apic_write LAPIC_EOI, 0
        pop     BAS
        pop     DST
        RETURN

on_nmi:
        lock inc dword ptr [nmis]
        RETURN

        .data
        .balign 64
expected:       .long 0
started_elsewhere: .long 0
counter:        .long 0
question:       .long 0
reply:          .long 0
next_ticket:    .long 0
now_serving:    .long 0
inside:         .long 0
intruders:      .long 0
served:         .long 0
pings:          .long 0
seen:           .long 0
listening:      .long 0
stop_listening: .long 0
nmis:           .long 0
returned:       .long 0
page_read:      .long 0
page_value:     .long 0
read_again:     .long 0
shot:           .long 0
        .balign 4096
patched:        .fill 4096, 1, 0xcc
