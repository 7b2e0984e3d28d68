/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two CPUs change the same variables by single instructions, with LOCK and without. With LOCK, and
 * by XCHG, nothing is lost, whose turn it may be; without it something is, as on a PC.
 */
#include "kernel.inc"
#include "cpus.inc"

#define ROUNDS          2000

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        call    count_cpus
        call    start_cpus
        give    1, change
        call    change
        call    join
        check   [by_lock_inc], 2*ROUNDS, "LOCK INC"
        check   [by_lock_xadd], 2*ROUNDS, "LOCK XADD"
        check   [guarded], 2*ROUNDS, "a lock by XCHG"
        check   [by_inc], 2*ROUNDS, "INC"
        check   [by_add], 2*ROUNDS, "ADD"
        check   [by_xadd], 2*ROUNDS, "XADD"
        jmp     finish

change:
        mov     ebx, ROUNDS
1:      lock inc dword ptr [by_lock_inc]
        mov     eax, 1
        lock xadd [by_lock_xadd], eax
        inc     dword ptr [by_inc]
        add     dword ptr [by_add], 1
        mov     eax, 1
        xadd    [by_xadd], eax
2:      mov     eax, 1
        xchg    eax, [guard]
        test    eax, eax
        jz      3f
        pause
        jmp     2b
3:      mov     eax, [guarded]
        inc     eax
        mov     [guarded], eax
        mov     dword ptr [guard], 0
        dec     ebx
        jnz     1b
        ret

        .data
by_lock_inc:    .long   0
by_lock_xadd:   .long   0
by_inc:         .long   0
by_add:         .long   0
by_xadd:        .long   0
guard:          .long   0
guarded:        .long   0
