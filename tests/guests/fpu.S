/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87, MMX and SSE under a timer whose handler saves them with FXSAVE, uses them itself, and
 * restores them: the same long calculation, undisturbed and interrupted, has one result.
 */
#include "kernel.inc"

#define TIMER           0x32
#define LAPIC_TIMER     (LAPIC+0x320)
#define LAPIC_INITIAL   (LAPIC+0x380)
#define LAPIC_DIVIDE    (LAPIC+0x3e0)
#define PERIODIC        0x20000
#define ROUNDS          3000

main:
        mov     ACC, cr4
        or      eax, 0x600
        mov     cr4, ACC
        gate    TIMER, on_timer
        apic_write LAPIC_SVR, SVR_ENABLE+0xff

        mov     edi, offset alone
        call    calculate
        apic_write LAPIC_DIVIDE, 0xb
        apic_write LAPIC_TIMER, PERIODIC+TIMER
        apic_write LAPIC_INITIAL, 3333
        sti
        mov     edi, offset disturbed
        call    calculate
        cli
        apic_write LAPIC_INITIAL, 0

        xor     ebx, ebx
        mov     ecx, 8
1:      mov     eax, [alone + ecx * 4 - 4]
        cmp     eax, [disturbed + ecx * 4 - 4]
        je      2f
        inc     ebx
2:      loop    1b
        check   ebx, 0, "the interrupted calculation has the same result"
        cmp     dword ptr [interrupts], 5
        seta    cl
        movzx   ecx, cl
        check   ecx, 1, "it was interrupted"
        check   [alone + 8], ROUNDS, "MMX has counted"
        mov     eax, [alone]
        cmp     eax, 0
        setne   cl
        movzx   ecx, cl
        check   ecx, 1, "x87 has a result"

        fninit
        fld1
        fldz
        fdivp                           /* masked: infinity, and the flag */
        fnstsw  ax
        and     eax, 4
        check   eax, 4, "x87: division by zero sets ZE"
        fstp    dword ptr [alone]
        check   [alone], 0x7f800000, "and gives infinity"
        fldpi
        fistp   dword ptr [alone]
        check   [alone], 3, "FISTP rounds"
        fldcw   [toward_zero]
        fldl2t
        fistp   dword ptr [alone]
        check   [alone], 3, "toward zero as well"
        cvttss2si eax, [minus_two_and_a_half]
        check   eax, -2, "SSE: CVTTSS2SI"
        ldmxcsr [round_down]
        cvtss2si eax, [minus_two_and_a_half]
        check   eax, -3, "MXCSR has the rounding"
        jmp     finish

/* The result goes to [DST]: 8 bytes of x87, 8 of MMX, 16 of SSE. */
calculate:
        ldmxcsr [usual]
        fninit
        fld1
        movaps  xmm0, [seeds]
        movaps  xmm1, [seeds + 16]
        mov     ecx, ROUNDS
1:      fldpi
        fmul    st(0), st(1)
        fsqrt
        faddp
        fld1
        fld1
        faddp
        fdivp
        mulps   xmm0, xmm1
        addps   xmm0, [seeds]
        sqrtps  xmm0, xmm0
        loop    1b
        fstp    qword ptr [DST]
        movaps  [DST + 16], xmm0
        pxor    mm0, mm0
        mov     ecx, ROUNDS
1:      paddd   mm0, [one]
        loop    1b
        movq    [DST + 8], mm0
        emms
        ret

on_timer:
        push    DST
        fxsave  [saved]
        fninit
        fldz
        fldpi
        fmul    st(0), st(0)
        xorps   xmm0, xmm0
        movaps  xmm1, xmm0
        pcmpeqd mm0, mm0
        inc     dword ptr [interrupts]
        fxrstor [saved]
        apic_write LAPIC_EOI, 0
        pop     DST
        RETURN

        .data
        .balign 16
seeds:          .float 1.5, 2.25, 3.125, 4.0625
                .float 0.9, 0.8, 0.7, 0.6
one:            .long 1, 0
                .balign 16
alone:          .skip 48
disturbed:      .skip 48
interrupts:     .long 0
usual:          .long 0x1f80
round_down:     .long 0x3f80
toward_zero:    .word 0x0f7f
                .balign 4
minus_two_and_a_half:
                .float -2.5
        .bss
        .balign 16
saved:          .skip 512
