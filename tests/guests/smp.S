/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs: INIT and start-up messages, interrupts between CPUs, memory that they share, code
 * and page tables that one changes under another. The machine has CPUS of them, 2 or more.
 *
 * The first CPU starts the others, which then wait for jobs: a function for each to call.
 */
#include "kernel.inc"

#define CPUS_MAX        16
#define LAPIC_ID        (LAPIC+0x20)
#define APIC_BASE       0x1b
#define BSP             0x100
#define ICR_PENDING     0x1000
#define ICR_INIT        0x4500          /* assert */
#define ICR_STARTUP     0x4600
#define ICR_OTHERS      0xc0000
#define TRAMPOLINE      0x8000
#define OTHER_START     0xa000
#define PING            0x30            /* vectors */
#define SHOOT           0x31
#define ROUNDS          100000
#define STACK           0x4000

        .macro  send_to number, command
        mov     eax, \number
        shl     eax, 24
        mov     edi, LAPIC_ICR_HIGH
        mov     [DST], eax
        apic_write LAPIC_ICR, \command
        .endm

/* Waits until a 32-bit variable has a value; a million PAUSEs are too many. */
        .macro  await variable, value
        mov     ecx, 1000000
77:     pause
        cmp     dword ptr [\variable], \value
        je      78f
        dec     ecx
        jnz     77b
78:
        .endm

/* CPU `number` is to call a function. */
        .macro  give number, function
        lea     ACC, [\function]
        mov     WIDE [jobs + \number * SLOT], ACC
        .endm

/* All other CPUs are to call it. */
        .macro  give_all function
        lea     ACC, [\function]
        mov     ecx, [others]
79:     mov     WIDE [jobs + CNT * SLOT], ACC
        dec     ecx
        jnz     79b
        .endm

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        gate    PING, on_ping
        gate    SHOOT, on_shoot
        gate    2, on_nmi
        mov     eax, 1                  /* how many there are is in CPUID */
        cpuid
        shr     ebx, 16
        and     ebx, 0xff
        dec     ebx
        mov     [others], ebx

/* ---- start ---- */

        lea     SRC, [trampoline]
        mov     edi, TRAMPOLINE
        mov     ecx, offset trampoline_end - trampoline
        cld
        rep     movsb
        lea     SRC, [other_start]
        mov     edi, OTHER_START
        mov     ecx, offset other_start_end - other_start
        rep     movsb
        lea     ACC, [gdt]
        mov     [TRAMPOLINE + trampoline_gdt - trampoline + 2], eax
        mov     word ptr [TRAMPOLINE + trampoline_gdt - trampoline], offset gdt_end - gdt - 1

        send_to 1, ICR_STARTUP+(OTHER_START >> 12)
        await   started_elsewhere, 1
        mov     eax, [others]
        mov     [expected], eax
        apic_write LAPIC_ICR, ICR_OTHERS+ICR_INIT
        apic_write LAPIC_ICR, ICR_OTHERS+ICR_STARTUP+(TRAMPOLINE >> 12)
        mov     ecx, 1000000
1:      pause
        mov     eax, [alive]
        cmp     eax, [expected]
        je      2f
        dec     ecx
        jnz     1b
2:      mov     ebx, [others]
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

join:                                   /* waits until no job is left */
        mov     ecx, [others]
1:      pause
        cmp     WIDE [jobs + CNT * SLOT], 0
        jne     1b
        dec     ecx
        jnz     1b
        ret

        .code16
trampoline:
        cli
        xor     ax, ax
        mov     ds, ax
        .byte   0x66                    /* a base of 32 bits */
        lgdt    [TRAMPOLINE + trampoline_gdt - trampoline]
#if BITS == 64
        mov     eax, 0x1000
        mov     cr3, eax
        mov     eax, 0x620              /* PAE, SSE */
        mov     cr4, eax
        mov     ecx, 0xc0000080
        mov     eax, 0x900              /* LME, NXE */
        xor     edx, edx
        wrmsr
#else
        mov     eax, 0x2000
        mov     cr3, eax
        mov     eax, 0x610              /* PSE, SSE */
        mov     cr4, eax
#endif
        mov     eax, 0x80010031         /* PG, WP, NE, ET, PE */
        mov     cr0, eax
        .byte   0x66, 0xea
        .long   other_entry
        .word   CODE0
trampoline_gdt:
        .word   0
        .long   0
trampoline_end:

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

other_entry:
        mov     ax, DATA0
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     fs, ax
        mov     gs, ax
        mov     edi, LAPIC_ID
        mov     ebx, [DST]
        shr     ebx, 24
        mov     ebp, ebx
        mov     eax, ebx
        imul    eax, eax, STACK
        lea     STK, [stacks + ACC + STACK]
        lidt    [idt_pointer]
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        mov     eax, 1
        cpuid
        shr     ebx, 24
        cmp     ebx, ebp
        je      1f
        lock inc dword ptr [wrong_ids]
1:      mov     ecx, APIC_BASE
        rdmsr
        test    eax, BSP
        jz      2f
        lock inc dword ptr [boot_flags]
2:      lock inc dword ptr [alive]
3:      pause
#if BITS == 64
        mov     rax, [jobs + rbp * 8]
        test    rax, rax
        jz      3b
        push    rbp
        call    rax
        pop     rbp
        mov     qword ptr [jobs + rbp * 8], 0
#else
        mov     eax, [jobs + ebp * 4]
        test    eax, eax
        jz      3b
        push    ebp
        call    eax
        pop     ebp
        mov     dword ptr [jobs + ebp * 4], 0
#endif
        jmp     3b

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
others:         .long 0
expected:       .long 0
alive:          .long 0
wrong_ids:      .long 0
boot_flags:     .long 0
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
        .balign 8
jobs:           .fill CPUS_MAX, 8, 0
        .balign 4096
patched:        .fill 4096, 1, 0xcc
        .bss
        .balign 4096
stacks:         .skip CPUS_MAX * STACK
        .text
