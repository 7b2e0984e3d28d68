/* SPDX-License-Identifier: BSD-2-Clause */
/* Missing lock: two CPUs add to a balance; one reads it while the other is about to write. */
#include "races.inc"

main:   race    deposit, deposit
        check   [balance], 2*ROUNDS, "every deposit is in the balance"
        jmp     finish

deposit:
        xor     r15d, r15d
        mov     ebx, ROUNDS
1:      meet
        mov     eax, [balance]
        inc     eax
        mov     [balance], eax
        dec     ebx
        jnz     1b
        ret

        .data
balance: .long  0
