/* SPDX-License-Identifier: BSD-2-Clause */
/* The PC's clocks against each other, as a guest can measure them. */
#include "kernel.inc"

#define PIC1            0x20
#define PIC2            0xa0
#define PIT_2           0x42
#define PIT_0           0x40
#define PIT_CONTROL     0x43
#define PORT61          0x61
#define GATE2           0x1
#define OUT2            0x20
#define RTC_INDEX       0x70
#define RTC_DATA        0x71
#define PM_TIMER        0x608
#define PM_TICKS        357955          /* 100 ms of 3.579545 MHz */
#define IRQ0            0x30            /* vectors */
#define IRQ8            0x38
#define LAPIC_VECTOR    0x28
#define LVT_TIMER       (LAPIC+0x320)
#define INITIAL_COUNT   (LAPIC+0x380)
#define CURRENT_COUNT   (LAPIC+0x390)
#define DIVIDE          (LAPIC+0x3e0)
#define MASKED          0x10000
#define PERIODIC        0x20000
#define BY_1            0xb
#define BY_16           0x3

        .macro  outb port, value
        mov     al, \value
        out     \port, al
        .endm

        .macro  rtc register, value
        outb    RTC_INDEX, \register
        outb    RTC_DATA, \value
        .endm

/* Nanoseconds from here on, until `elapsed` leaves them in EBX. */
        .macro  stopwatch
        rdtsc
        mov     [started], eax
        .endm

        .macro  elapsed
        rdtsc
        sub     eax, [started]
        mov     ebx, eax
        .endm

        .macro  wait_high
77:     in      al, PORT61
        test    al, OUT2
        jz      77b
        .endm

        .macro  wait_low
77:     in      al, PORT61
        test    al, OUT2
        jnz     77b
        .endm

        .macro  load_channel2 mode, count
        outb    PIT_CONTROL, 0xb0+2*\mode
        mov     ax, \count
        out     PIT_2, al
        mov     al, ah
        out     PIT_2, al
        .endm

main:
        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        outb    PIC1, 0x11              /* the PICs at 30h and 38h, IRQ 0, 2 and 8 open */
        outb    PIC1+1, IRQ0
        outb    PIC1+1, 4
        outb    PIC1+1, 1
        outb    PIC2, 0x11
        outb    PIC2+1, IRQ8
        outb    PIC2+1, 2
        outb    PIC2+1, 1
        outb    PIC1+1, 0xfa
        outb    PIC2+1, 0xfe
        gate    IRQ0, on_pit
        gate    IRQ8, on_rtc
        gate    LAPIC_VECTOR, on_lapic

/* ---- five clocks over 100 ms of the ACPI timer ---- */

        rtc     0xa, 0x26               /* periodic, 1024 Hz */
        rtc     0xb, 0x42
        outb    RTC_INDEX, 0xc
        in      al, RTC_DATA
        apic_write DIVIDE, BY_1
        apic_write LVT_TIMER, PERIODIC+LAPIC_VECTOR
        outb    PIT_CONTROL, 0x34       /* mode 2, 1193 ticks: 1000.15 Hz */
        mov     ax, 1193
        out     PIT_0, al
        mov     al, ah
        out     PIT_0, al
        apic_write INITIAL_COUNT, 1000000
        mov     edx, PM_TIMER
        in      eax, dx
        mov     ebp, eax
        stopwatch
        mov     edx, PM_TIMER
        sti
1:      in      eax, dx
        sub     eax, ebp
        cmp     eax, PM_TICKS
        jb      1b
        cli
        mov     [pm_ticks], eax
        elapsed
        tell    "tsc", ebx
        tell    "pm", [pm_ticks]
        tell    "pit", [pit_count]
        tell    "rtc", [rtc_count]
        tell    "lapic", [lapic_count]
        outb    PIC1+1, 0xff
        apic_write LVT_TIMER, MASKED

        apic_write DIVIDE, BY_16
        apic_write INITIAL_COUNT, 0xffffffff
        stopwatch
1:      elapsed
        cmp     ebx, 1000000
        jb      1b
        apic_read CURRENT_COUNT
        not     eax
        mov     ebp, eax
        elapsed
        tell    "lapic by 16", ebp
        tell    "over", ebx

/* ---- the modes of the PIT's channel 2, seen at port 61h; 1193 ticks are 1 ms ---- */

        outb    PORT61, GATE2
        load_channel2 0, 1193
        stopwatch
        in      al, PORT61
        and     eax, OUT2
        mov     ebp, eax
        wait_high
        elapsed
        check   ebp, 0, "mode 0: OUT is low at once"
        tell    "mode 0", ebx

        outb    PORT61, 0
        load_channel2 1, 1193
        in      al, PORT61
        and     eax, OUT2
        check   eax, OUT2, "mode 1: OUT is high until the gate rises"
        outb    PORT61, GATE2
        stopwatch
        wait_low
        wait_high
        elapsed
        tell    "mode 1", ebx

        load_channel2 3, 2386
        wait_low
        wait_high
        stopwatch
        wait_low
        elapsed
        mov     ebp, ebx
        wait_high
        elapsed
        tell    "mode 3 high", ebp
        tell    "mode 3 period", ebx
        outb    PORT61, 0
        in      al, PORT61
        and     eax, OUT2
        check   eax, OUT2, "mode 3: without the gate OUT is high"

        outb    PORT61, GATE2
        load_channel2 2, 0xffff
        outb    PIT_CONTROL, 0x80       /* latch */
        mov     ecx, 1000
1:      in      al, 0x80
        loop    1b
        in      al, PIT_2
        mov     bl, al
        in      al, PIT_2
        mov     bh, al
        movzx   ebp, bx
        outb    PIT_CONTROL, 0xd8       /* read back: count of channel 2 */
        in      al, PIT_2
        mov     bl, al
        in      al, PIT_2
        mov     bh, al
        movzx   ebx, bx
        sub     ebp, ebx
        tell    "latched", ebp
        outb    PIT_CONTROL, 0xe8       /* read back: its status */
        in      al, PIT_2
        and     eax, 0x3f
        check   eax, 0x34, "read-back: two bytes, mode 2"

/* ---- the RTC's once-a-second interrupts, asleep in between ---- */

        rtc     0xb, 0x12               /* update ended */
        outb    RTC_INDEX, 0xc
        in      al, RTC_DATA
        outb    PIC1+1, 0xfb
        call    sleep
        stopwatch
        call    sleep
        elapsed
        tell    "update", ebx
        mov     al, [rtc_flags]
        and     eax, 0x90
        check   eax, 0x90, "register C: update ended"

        outb    RTC_INDEX, 0            /* alarm in two seconds, any minute and hour */
        in      al, RTC_DATA
        add     al, 2
        daa
        cmp     al, 0x60
        jb      1f
        sub     al, 0x60
1:      mov     bl, al
        outb    RTC_INDEX, 1
        outb    RTC_DATA, bl
        rtc     3, 0xff
        rtc     5, 0xff
        rtc     0xb, 0x22
        outb    RTC_INDEX, 0xc
        in      al, RTC_DATA
        stopwatch
        call    sleep
        elapsed
        tell    "alarm", ebx
        mov     al, [rtc_flags]
        and     eax, 0xa0
        check   eax, 0xa0, "register C: alarm"
        jmp     finish

sleep:  mov     eax, [rtc_count]
1:      sti
        hlt
        cli
        cmp     eax, [rtc_count]
        je      1b
        ret

on_pit: push    eax
        inc     dword ptr [pit_count]
        outb    PIC1, 0x20
        pop     eax
        iretd

on_rtc: push    eax
        inc     dword ptr [rtc_count]
        outb    RTC_INDEX, 0xc
        in      al, RTC_DATA
        mov     [rtc_flags], al
        outb    PIC2, 0x20
        outb    PIC1, 0x20
        pop     eax
        iretd

on_lapic:
        push    edi
        inc     dword ptr [lapic_count]
        apic_write LAPIC_EOI, 0
        pop     edi
        iretd

        .data
started:        .long 0
pm_ticks:       .long 0
pit_count:      .long 0
rtc_count:      .long 0
lapic_count:    .long 0
rtc_flags:      .byte 0
