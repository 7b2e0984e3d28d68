/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The x87 functions, on this CPU as a guest has them: results that mpmath gives, to the last bit, and a
 * sum over 3,000 operands that is to be the same on every host.
 */
#include "kernel.inc"

#define C0              0x0100
#define C1              0x0200
#define C2              0x0400
#define C3              0x4000
#define ROUNDS          3000

/* ST0 is this number; it is popped. */
        .macro  gives high, low, top, words
        fstp    tbyte ptr [number]
        mov     eax, [number]
        xor     eax, \low
        mov     edx, [number + 4]
        xor     edx, \high
        or      eax, edx
        movzx   edx, word ptr [number + 8]
        xor     edx, \top
        or      eax, edx
        check   eax, 0, "\words"
        .endm

/* Of these bits of the status word these are set. */
        .macro  says mask, wanted, words
        fnstsw  ax
        and     eax, \mask
        check   eax, \wanted, "\words"
        .endm

main:
        fninit
        fld     qword ptr [three]
        fsin
        gives   0x9081c36d, 0xb6aada79, 0x3ffc, "FSIN"
        fld     qword ptr [large]
        fcos
        gives   0xe4e7b3eb, 0xa12dbf3b, 0xbffe, "FCOS"
        fld     qword ptr [thousand_million_million]
        fsincos
        gives   0x8360bcba, 0x0acc128f, 0xbffe, "FSINCOS: the cosine"
        gives   0xdbb7b8f4, 0x0de0426e, 0x3ffe, "and the sine"
        fldpi
        fsin
        gives   0x80000000, 0x00000000, 0xbfbf, "FSIN of pi: what is left beyond 66 bits of it"
        fld     qword ptr [three_quarters]
        fptan
        gives   0x80000000, 0, 0x3fff, "FPTAN: a one"
        gives   0xee7d1b08, 0x87775f06, 0x3ffe, "above the tangent"
        says    C2, 0, "which is complete"
        fld     qword ptr [two_to_63]
        fsin
        says    C2, C2, "2^63 is out of range"
        gives   0x80000000, 0, 0x403e, "and stays"
        fld     qword ptr [minus_one_and_a_quarter]
        fld     qword ptr [minus_three]
        fpatan
        gives   0xafcb98a9, 0x2a42b6cf, 0xc000, "FPATAN"
        fld     qword ptr [minus_three_eighths]
        f2xm1
        gives   0xea6357ba, 0xabe4948b, 0xbffc, "F2XM1"
        fld     qword ptr [three]
        fld     qword ptr [ten]
        fyl2x
        gives   0x9f73da38, 0xd9d4a83f, 0x4002, "FYL2X"
        fld     qword ptr [minus_two]
        fld     qword ptr [one_64th]
        fyl2xp1
        gives   0xb73cb42e, 0x16914c53, 0xbffa, "FYL2XP1"
        fld     qword ptr [seven_quarters]
        fld     qword ptr [odd_number]
        fprem
        says    C0 + C1 + C2 + C3, C1 + C3, "FPREM: the quotient's last bits"
        gives   0xe0000000, 0x00000000, 0x3ffe, "and what is left"
        fld     qword ptr [odd_number]
        fprem1
        says    C0 + C1 + C2 + C3, C0, "FPREM1: the quotient's last bits"
        gives   0xe0000000, 0x00000000, 0xbffe, "and what is left"
        fstp    st(0)
        says    0x3800, 0, "the stack is empty again"

        mov     ecx, ROUNDS
        fldz
1:      mov     [counter], ecx
        fild    dword ptr [counter]
        fld     st(0)
        fmul    qword ptr [three_quarters]
        fsin
        faddp   st(2), st(0)
        fld     st(0)
        fsincos
        fpatan
        faddp   st(2), st(0)
        fld     st(0)
        fptan
        fstp    st(0)
        faddp   st(2), st(0)
        fld1
        fld1
        fdiv    st(0), st(2)
        fyl2xp1
        faddp   st(2), st(0)
        fld     st(0)
        fcos
        f2xm1
        faddp   st(2), st(0)
        fldpi
        fld     st(1)
        fyl2x
        faddp   st(2), st(0)
        fldpi
        fld     st(1)
        fprem1
        faddp   st(3), st(0)
        fstp    st(0)
        fstp    st(0)
        dec     ecx
        jnz     1b
        gives   0xba4ba489, 0x43e9e3f3, 0x400f, "the sum over many operands"
        jmp     finish

        .data
        .balign 8
three:                          .double 3
large:                          .double -100000.5
thousand_million_million:       .double 1e15
three_quarters:                 .double 0.75
two_to_63:                      .double 9223372036854775808
minus_one_and_a_quarter:        .double -1.25
minus_three:                    .double -3
minus_three_eighths:            .double -0.375
ten:                            .double 10
minus_two:                      .double -2
one_64th:                       .double 0.015625
seven_quarters:                 .double 1.75
odd_number:                     .double 1000000000000000.125
number:                         .skip 16
counter:                        .long 0
