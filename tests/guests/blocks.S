/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Long straight code under a timer: the CPU takes interrupts where a block of translated code ends, so
 * what it was interrupted at tells where that is. It is to be the same on every host, though the
 * translator needs more operations for them on one host than on another.
 */
#include "kernel.inc"

#define TIMER           0x32
#define LAPIC_TIMER     (LAPIC+0x320)
#define LAPIC_INITIAL   (LAPIC+0x380)
#define LAPIC_DIVIDE    (LAPIC+0x3e0)
#define PERIODIC        0x20000
#if BITS == 64
#define PLACES          0x4525b958
#define FRAME           rbp
#else
#define PLACES          0x022dd837
#define FRAME           ebp
#endif

main:
        mov     ACC, cr4
        or      eax, 0x600
        mov     cr4, ACC
        fninit
        gate    TIMER, on_timer
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        apic_write LAPIC_DIVIDE, 0xb
        apic_write LAPIC_TIMER, PERIODIC+TIMER
        apic_write LAPIC_INITIAL, 2777
        lea     SRC, [numbers]
        mov     ebx, 200
        mov     FRAME, STK
        mov     eax, 5
        sti
1:
        .rept   500
        paddd   xmm0, [SRC]
        .endr
        .rept   200
        psubb   xmm1, [SRC + 16]
        pcmpgtw xmm2, xmm1
        pandn   xmm3, [SRC]
        .endr
        .rept   300
        fld     qword ptr [SRC]         /* leaves temporaries behind in the translator */
        fadd    qword ptr [SRC + 8]
        fstp    qword ptr [sums]
        .endr
#if BITS == 32
        .rept   150
        pushad
        popad
        .endr
        .rept   20
        enter   0, 31
        leave
        .endr
#endif
        .rept   600
        btr     [SRC + 4], eax          /* one operation more for the translator without BMI */
        bsf     edx, eax
        .endr
        dec     ebx
        jnz     1b
        cli
        cmp     dword ptr [interrupts], 50
        seta    cl
        movzx   ecx, cl
        check   ecx, 1, "it was interrupted"
        check   [places], PLACES, "at the same places as everywhere"
        jmp     finish

on_timer:
        push    ACC
        push    DST
        inc     dword ptr [interrupts]
        imul    eax, [places], 31
        add     eax, [STK + 2 * SLOT]
        mov     [places], eax
        apic_write LAPIC_EOI, 0
        pop     DST
        pop     ACC
        RETURN

        .data
        .balign 16
numbers:        .long 0x10203, 0x7f80ff01, 3, 4
                .double 1.5, 2.5
sums:           .double 0
interrupts:     .long 0
places:         .long 0
