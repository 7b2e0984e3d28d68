/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts from the uarts to the CPU: through the 8259s and the I/O APIC, edge and level,
 * shared, re-routed. The machine has com1, com3 (both IRQ 4) and a PCI uart in slot 4.
 */
#include "kernel.inc"

#define PIC1            0x20
#define PIC2            0xa0
#define IOAPIC          0xfec00000
#define ENTRY(pin)      (0x10+2*(pin))
#define MASKED          0x10000
#define LEVEL           0x8000
#define COM3            0x3e8
#define IER             1
#define IIR             2
#define LCR             3
#define MCR             4
#define LSR             5
#define SCRATCH         7
#define THRI            0x2
#define OUT2            0x8
#define LOOP            0x10
#define UART_SLOT       0x80002000      /* slot 4, for CONFIG_ADDRESS */
#define LPC_SLOT        0x8000f800      /* slot 31 */
#define IRQ4            0x34            /* vectors */
#define IRQ7            0x37
#define IRQ10           0x3a
#define IRQ11           0x3b
#define BY_IOAPIC       0x28
#define BY_PIRQ         0x29

        .macro  outb port, value
        mov     edx, \port
        mov     al, \value
        out     dx, al
        .endm

        .macro  inb port
        mov     edx, \port
        in      al, dx
        .endm

        .macro  config_read slot, register
        mov     edx, 0xcf8
        mov     eax, \slot + \register
        out     dx, eax
        mov     edx, 0xcfc
        in      eax, dx
        .endm

        .macro  config_write slot, register, value
        mov     edx, 0xcf8
        mov     eax, \slot + \register
        out     dx, eax
        mov     edx, 0xcfc
        mov     eax, \value
        out     dx, eax
        .endm

        .macro  ioapic_write register, value
        mov     edi, IOAPIC
        mov     dword ptr [DST], \register
        mov     dword ptr [DST + 0x10], \value
        .endm

        .macro  ioapic_read register
        mov     edi, IOAPIC
        mov     dword ptr [DST], \register
        mov     eax, [DST + 0x10]
        .endm

/* Lets interrupts in for a moment. */
        .macro  window
        sti
        nop
        nop
        cli
        .endm

        .macro  counted counter, wanted, words
        mov     ebx, [\counter]
        mov     dword ptr [\counter], 0
        check   ebx, \wanted, "\words"
        .endm

main:
        outb    PIC1, 0x11
        outb    PIC1+1, 0x30
        outb    PIC1+1, 4
        outb    PIC1+1, 1
        outb    PIC2, 0x11
        outb    PIC2+1, 0x38
        outb    PIC2+1, 2
        outb    PIC2+1, 1
        gate    IRQ4, on_irq4
        gate    IRQ7, on_irq7
        gate    IRQ10, on_irq10
        gate    IRQ11, on_irq11
        gate    BY_IOAPIC, on_ioapic
        gate    BY_PIRQ, on_pirq

/* ---- COM1 by the PIC: THR empty ---- */

        outb    PIC1+1, 0xef            /* IRQ 4 open */
        outb    PIC2+1, 0xff
        outb    COM1+MCR, OUT2
        outb    COM1+IER, THRI
        window
        counted irq4, 1, "PIC: THR empty, once"
        outb    COM1+MCR, 0
        outb    COM1+IER, 0
        outb    COM1+IER, THRI
        window
        counted irq4, 0, "OUT2 clear: the interrupt stays in the uart"
        outb    COM1+MCR, OUT2
        window
        counted irq4, 1, "OUT2 set again: it comes out"
        outb    COM1+IER, 0

/* ---- com1 and com3 on one edge-triggered line ---- */

        mov     dword ptr [served], 0
        outb    COM3+MCR, OUT2
        outb    COM1+IER, THRI
        outb    COM3+IER, THRI
        window
        counted irq4, 1, "shared IRQ 4: one edge for both"
        check   [served], 2, "and both were served"
        mov     dword ptr [served], 0
        outb    COM3+IER, 0
        outb    COM3+IER, THRI
        window
        counted irq4, 1, "the line fell in between: a new edge"
        outb    COM1+IER, 0
        outb    COM3+IER, 0
        mov     dword ptr [served], 0

/* ---- priority, and a request that goes away ---- */

        outb    PIC1+1, 0xff
        outb    COM1+IER, THRI
        outb    PIC1, 0x0a              /* read IRR */
        inb     PIC1
        and     eax, 0x10
        check   eax, 0x10, "PIC: IRR shows IRQ 4, masked"
        inb     COM1+IIR                /* the uart takes it back */
        outb    PIC1+1, 0xef
        window
        counted irq4, 0, "a request that was taken back is no IRQ 4"
        outb    COM1+IER, 0
        outb    PIC1+1, 0xff

/* ---- COM1 by the I/O APIC, edge ---- */

        apic_write LAPIC_SVR, SVR_ENABLE+0xff
        ioapic_read 1
        and     eax, 0xff00ff
        check   eax, 0x170020, "I/O APIC: 24 pins"
        ioapic_write ENTRY(4)+1, 0
        ioapic_write ENTRY(4), BY_IOAPIC
        outb    COM1+IER, THRI
        window
        outb    COM1+IER, 0             /* before anything is printed */
        counted by_ioapic, 1, "I/O APIC pin 4: THR empty"
        counted irq4, 0, "not by the PIC too"
        ioapic_write ENTRY(4), MASKED+BY_IOAPIC
        outb    COM1+IER, THRI
        window
        outb    COM1+IER, 0
        counted by_ioapic, 0, "masked: nothing"

/* ---- the PCI uart by the I/O APIC, level ---- */

        config_read UART_SLOT, 0x10
        and     eax, ~3
        mov     [uart], eax
        ioapic_write ENTRY(16), LEVEL+BY_PIRQ   /* whichever PIRQ the slot has */
        ioapic_write ENTRY(17), LEVEL+BY_PIRQ
        ioapic_write ENTRY(18), LEVEL+BY_PIRQ
        ioapic_write ENTRY(19), LEVEL+BY_PIRQ
        mov     dword ptr [patience], 3
        mov     edx, [uart]
        inc     edx
        mov     al, THRI
        out     dx, al
        window
        window
        counted by_pirq, 3, "level: again after each EOI, until the uart is served"
        config_read UART_SLOT, 4
        shr     eax, 16
        and     eax, 8
        check   eax, 0, "PCI status: no interrupt now"
        mov     edx, [uart]
        inc     edx
        xor     al, al
        out     dx, al
        config_write UART_SLOT, 4, 0x401        /* interrupt disable */
        mov     edx, [uart]
        inc     edx
        mov     al, THRI
        out     dx, al
        window
        counted by_pirq, 0, "the command register disables INTx"
        config_read UART_SLOT, 4
        shr     eax, 16
        and     eax, 8
        check   eax, 8, "while the status register shows it"
        ioapic_write ENTRY(16), MASKED
        ioapic_write ENTRY(17), MASKED
        ioapic_write ENTRY(18), MASKED
        ioapic_write ENTRY(19), MASKED

/* ---- the PCI uart by the PIC: the PIRQ is re-routed under it ---- */

        outb    0x4d1, 0x0c             /* IRQ 10 and 11 are level-triggered */
        outb    PIC1+1, 0xfb
        outb    PIC2+1, 0xf3
        config_write LPC_SLOT, 0x60, 0x0a0a0a0a
        config_write UART_SLOT, 4, 1
        mov     dword ptr [patience], 1
        window
        counted irq10, 1, "PIRQ to IRQ 10"
        mov     edx, [uart]
        inc     edx
        xor     al, al
        out     dx, al
        mov     al, THRI
        out     dx, al
        config_write LPC_SLOT, 0x60, 0x0b0b0b0b         /* while it is asserted */
        mov     dword ptr [patience], 1
        window
        counted irq10, 0, "moved to IRQ 11: not on 10"
        counted irq11, 1, "but on 11"
        config_write LPC_SLOT, 0x60, 0x80808080
        mov     edx, [uart]
        inc     edx
        xor     al, al
        out     dx, al
        mov     al, THRI
        out     dx, al
        window
        mov     ebx, [irq11]
        add     ebx, [irq10]
        check   ebx, 0, "routed nowhere: nothing"

/* ---- its BAR moves while it runs ---- */

        mov     edx, [uart]
        add     edx, SCRATCH
        mov     al, 0x5a
        out     dx, al
        config_write UART_SLOT, 0x10, 0xd000
        inb     0xd000+SCRATCH
        movzx   ebx, al
        check   ebx, 0x5a, "a moved BAR: the uart is at the new place"
        mov     edx, [uart]
        add     edx, SCRATCH
        in      al, dx
        movzx   ebx, al
        check   ebx, 0xff, "and no more at the old one"
        config_write UART_SLOT, 0x10, 0xffffffff
        config_read UART_SLOT, 0x10
        check   eax, 0xfffffff9, "sizing: 8 ports"
        config_write UART_SLOT, 0x10, 0x3f9             /* over COM1 */
        config_write UART_SLOT, 4, 0
        config_write UART_SLOT, 0x10, 0xd000
        inb     0xd000+SCRATCH
        movzx   ebx, al
        check   ebx, 0xff, "I/O space disabled: nothing answers"

/* ---- the uart in loopback: FIFO trigger and THRE ---- */

        outb    COM3+MCR, LOOP
        outb    COM3+2, 0x87            /* FIFO on and empty, trigger at 8 */
        outb    COM3+IER, 1
        mov     ecx, 7
1:      mov     eax, ecx
        mov     edx, COM3
        out     dx, al
        loop    1b
        inb     COM3+IIR
        and     eax, 0xf
        check   eax, 1, "7 bytes of 8: no interrupt yet"
        outb    COM3, 0xee
        inb     COM3+IIR
        and     eax, 0xf
        check   eax, 4, "8 bytes: received data"
        inb     COM3
        movzx   ebx, al
        check   ebx, 7, "the first byte comes out first"
        inb     COM3+IIR
        and     eax, 0xf
        check   eax, 1, "below the trigger again"
        outb    COM3+IER, 0
        jmp     finish

        .macro  eoi pic
        push    ACC
        push    DAT
        .if     \pic
        outb    PIC2, 0x20
        .endif
        outb    PIC1, 0x20
        pop     DAT
        pop     ACC
        .endm

on_irq4:
        push    ACC
        push    DAT
        inc     dword ptr [irq4]
1:      xor     ah, ah                  /* serve until neither has anything */
        inb     COM1+IIR
        test    al, 1
        jnz     2f
        inc     dword ptr [served]
        inc     ah
2:      inb     COM3+IIR
        test    al, 1
        jnz     3f
        inc     dword ptr [served]
        inc     ah
3:      test    ah, ah
        jnz     1b
        eoi     0
        pop     DAT
        pop     ACC
        RETURN

on_irq7:
        inc     dword ptr [spurious]
        RETURN

/* Serves the PCI uart when patience is at its end. */
serve:
        dec     dword ptr [patience]
        jnz     1f
        mov     edx, [uart]
        add     edx, IIR
        in      al, dx
1:      ret

on_irq10:
        push    ACC
        push    DAT
        inc     dword ptr [irq10]
        call    serve
        eoi     1
        pop     DAT
        pop     ACC
        RETURN

on_irq11:
        push    ACC
        push    DAT
        inc     dword ptr [irq11]
        call    serve
        eoi     1
        pop     DAT
        pop     ACC
        RETURN

on_ioapic:
        push    ACC
        push    DAT
        push    DST
        inc     dword ptr [by_ioapic]
        inb     COM1+IIR
        apic_write LAPIC_EOI, 0
        pop     DST
        pop     DAT
        pop     ACC
        RETURN

on_pirq:
        push    ACC
        push    DAT
        push    DST
        inc     dword ptr [by_pirq]
        call    serve
        apic_write LAPIC_EOI, 0
        pop     DST
        pop     DAT
        pop     ACC
        RETURN

        .data
irq4:           .long 0
irq10:          .long 0
irq11:          .long 0
by_ioapic:      .long 0
by_pirq:        .long 0
served:         .long 0
spurious:       .long 0
patience:       .long 0
uart:           .long 0
