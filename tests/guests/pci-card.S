/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver for the test card (tests/support/pci_card.py) in slot 5: its BARs sized, moved and
 * disabled, its memory, its ROM, DMA, and its interrupt by pin, MSI and MSI-X.
 */
#include "kernel.inc"

#define CARD            0x80002800      /* slot 5, for CONFIG_ADDRESS */
#define COMMAND         0x04
#define BAR(n)          (0x10+4*(n))
#define ROM_BAR         0x30
#define CAPABILITIES    0x34
#define IO_SPACE        0x1
#define MEMORY_SPACE    0x2
#define BUS_MASTER      0x4
#define INTX_DISABLE    0x400

#define SCRATCH         0x04            /* registers of the card */
#define ADDRESS         0x08
#define LENGTH          0x10
#define START           0x14
#define DONE            0x18
#define INTERRUPT       0x1c
#define BUFFER          0x800
#define FROM_RAM        1
#define TO_RAM          2
#define PIN_LOW         0x80
#define CARD_ID         0x44524143      /* "CARD" */

#define WINDOW          0xe0000000      /* 16 MiB from here are mapped */
#define ELSEWHERE       0xe0800000
#define ROM_HERE        0xe0c00000
#define HIGH            0x100000000     /* 64-bit mode only: 2 MiB from here are mapped */
#define RAM             0x200000        /* where DMA goes */

#define IOAPIC          0xfec00000
#define ENTRY(pin)      (0x10+2*(pin))
#define LEVEL           0x8000
#define BY_PIN          0x28
#define BY_MSI          0x30            /* and three more */
#define BY_MSIX         0x34            /* and three more */

        .macro  config register
        mov     edx, 0xcf8
        mov     eax, CARD + \register
        out     dx, eax
        mov     edx, 0xcfc
        in      eax, dx
        .endm

        .macro  configure register, value
        mov     edx, 0xcf8
        mov     eax, CARD + \register
        out     dx, eax
        mov     edx, 0xcfc
        mov     eax, \value
        out     dx, eax
        .endm

        /* a register of the card at the address in BAS */
        .macro  card register
        mov     eax, [BAS + \register]
        .endm

        .macro  tell_card register, value
        mov     dword ptr [BAS + \register], \value
        .endm

        .macro  at_bar number
        config  BAR(\number)
        and     eax, ~0xf
        mov     ebx, eax
        .endm

        .macro  ioapic_write register, value
        mov     edi, IOAPIC
        mov     dword ptr [DST], \register
        mov     dword ptr [DST + 0x10], \value
        .endm

        .macro  window
        sti
        nop
        nop
        cli
        .endm

        .macro  counted counter, wanted, words
        mov     ecx, [\counter]
        mov     dword ptr [\counter], 0
        check   ecx, \wanted, "\words"
        .endm

        /* the capability of this id; its address for CONFIG_ADDRESS goes to [capability] */
        .macro  find_capability id
        mov     cl, \id
        call    look_for_capability
        .endm

        /* a register of that capability: EAX */
        .macro  capability offset
        mov     edx, 0xcf8
        mov     eax, [capability]
        add     eax, \offset
        out     dx, eax
        mov     edx, 0xcfc
        in      eax, dx
        .endm

        .macro  set_capability offset, value
        mov     edx, 0xcf8
        mov     eax, [capability]
        add     eax, \offset
        out     dx, eax
        mov     edx, 0xcfc
        mov     eax, \value
        out     dx, eax
        .endm

main:
#if BITS == 64
        mov     qword ptr [0x2020], 0x8003      /* PDPT: the fifth GiB */
        mov     rax, HIGH + 0x83
        mov     [0x8000], rax
        mov     rax, cr3
        mov     cr3, rax
#else
        .set    page, 0
        .rept   4
        mov     dword ptr [0x2000 + 4 * (0x380 + page)], WINDOW + page * 0x400000 + 0x83
        .set    page, page + 1
        .endr
        mov     eax, cr3
        mov     cr3, eax
#endif
        gate    BY_PIN, on_pin
        gate    BY_MSI, on_msi0
        gate    BY_MSI+1, on_msi1
        gate    BY_MSI+2, on_msi2
        gate    BY_MSI+3, on_msi3
        gate    BY_MSIX, on_msix0
        gate    BY_MSIX+3, on_msix3
        apic_write LAPIC_SVR, SVR_ENABLE+0xff

/* ---- what the header says ---- */

        config  0
        check   eax, 0x10f11af4, "id"
        config  COMMAND
        check   eax, 0x02100003, "command and status: decoding, with capabilities"
        configure COMMAND, 0
        configure BAR(0), -1
        configure BAR(1), -1
        configure BAR(2), -1
        configure BAR(3), -1
        configure BAR(4), -1
        configure BAR(5), -1
        configure ROM_BAR, -1
        config  BAR(0)
        check   eax, 0xfffff000, "BAR 0: 4 KiB, 32 bits"
        config  BAR(1)
        check   eax, 0xffffffe1, "BAR 1: 32 ports"
        config  BAR(2)
        check   eax, 0xfffff00c, "BAR 2: 4 KiB, 64 bits, prefetchable"
        config  BAR(3)
        check   eax, 0xffffffff, "BAR 3: its upper half"
        config  BAR(4)
        check   eax, 0xffff0008, "BAR 4: 64 KiB, prefetchable"
        config  BAR(5)
        check   eax, 0, "BAR 5: none"
        config  ROM_BAR
        check   eax, 0xfffff801, "ROM: 2 KiB"

/* ---- registers ---- */

        configure ROM_BAR, ROM_HERE
        configure BAR(0), WINDOW
        configure BAR(1), 0xd000
        configure BAR(2), WINDOW+0x1000
        configure BAR(3), 0
        configure BAR(4), WINDOW+0x10000
        mov     ebx, WINDOW
        card    0
        check   eax, -1, "nothing answers while decoding is off"
        configure COMMAND, MEMORY_SPACE
        card    0
        check   eax, CARD_ID, "registers at BAR 0"
        tell_card SCRATCH, 0x12345678
        movzx   eax, byte ptr [BAS + SCRATCH + 1]
        check   eax, 0x56, "a byte of a register"
        movzx   eax, word ptr [BAS + SCRATCH + 1]
        check   eax, 0x3456, "a word across two bytes of it"
        mov     edx, 0xd004
        in      eax, dx
        check   eax, -1, "no ports while I/O decoding is off"
        configure COMMAND, MEMORY_SPACE+IO_SPACE
        mov     edx, 0xd004
        in      eax, dx
        check   eax, 0x12345678, "the same registers as ports"
        configure BAR(0), ELSEWHERE
        card    0
        check   eax, -1, "a BAR that moved answers here no more"
        mov     ebx, ELSEWHERE
        card    SCRATCH
        check   eax, 0x12345678, "but there"
        configure BAR(0), RAM
        mov     dword ptr [RAM], 0x5a
        check   [RAM], 0x5a, "RAM comes before a BAR"
        configure BAR(0), LAPIC
        apic_read LAPIC_SVR
        check   eax, SVR_ENABLE+0xff, "so does the local APIC"
        configure BAR(0), WINDOW+0x10000
        mov     ebx, WINDOW+0x10000
        mov     dword ptr [BAS], 0x77
        card    0
        check   eax, 0x77, "and a BAR that was there before"
        configure BAR(4), ELSEWHERE
        card    0
        check   eax, CARD_ID, "until it goes"
        configure BAR(0), WINDOW

/* ---- memory ---- */

        mov     ebx, ELSEWHERE
        card    0
        check   eax, 0x77, "memory moves with its content"
        lea     DST, [BAS + 0x100]
        mov     eax, 0xa5a5a5a5
        mov     ecx, 0x2000
        rep     stosd
        mov     eax, [BAS + 0x80fc]
        check   eax, 0xa5a5a5a5, "and is written to like RAM"
        mov     dword ptr [BAS], 0x00c301b0     /* mov al, 1; ret */
        xor     eax, eax
        call    BAS
        check   eax, 1, "code runs in it"
        mov     byte ptr [BAS + 1], 2
        xor     eax, eax
        call    BAS
        check   eax, 2, "and may be changed"
        configure COMMAND, 0
        card    0
        check   eax, -1, "it is gone while decoding is off"
        configure COMMAND, MEMORY_SPACE
        card    0
        check   eax, 0x00c302b0, "and comes back as it was"

/* ---- the ROM ---- */

        mov     ebx, ROM_HERE
        card    0
        check   eax, -1, "no ROM before it is enabled"
        configure ROM_BAR, ROM_HERE+1
        card    0
        and     eax, 0xffff
        check   eax, 0xaa55, "the ROM's signature"
        tell_card 0, 0
        card    0
        and     eax, 0xffff
        check   eax, 0xaa55, "cannot be written"
        configure ROM_BAR, 0

#if BITS == 64
/* ---- above 4 GiB ---- */

        configure BAR(2), 0x1000
        configure BAR(3), 1
        mov     rbx, HIGH + 0x1000
        card    12
        check   eax, 1, "a 64-bit BAR above 4 GiB"
        configure BAR(2), WINDOW+0x1000
        configure BAR(3), 0
        card    12
        check   eax, -1, "and back"
#endif

/* ---- DMA ---- */

        mov     ebx, WINDOW
        mov     dword ptr [RAM], 0x11223344
        mov     dword ptr [RAM + 4], 0x55667788
        tell_card ADDRESS, RAM
        tell_card ADDRESS+4, 0
        tell_card LENGTH, 8
        tell_card START, FROM_RAM
        card    DONE
        check   eax, 0, "no DMA without bus mastering"
        configure COMMAND, MEMORY_SPACE+BUS_MASTER
        tell_card START, FROM_RAM
        card    DONE
        check   eax, 8, "DMA from RAM"
        card    BUFFER+4
        check   eax, 0x55667788, "brings what is there"
        tell_card ADDRESS, RAM+0x100
        tell_card START, TO_RAM
        check   [RAM+0x100], 0x11223344, "DMA to RAM"
        tell_card ADDRESS, WINDOW
        tell_card START, TO_RAM
        card    DONE
        check   eax, 0, "not to where there is none"
        tell_card ADDRESS+4, 0x100
        tell_card START, FROM_RAM
        card    DONE
        check   eax, 0, "and not beyond all addresses"
        tell_card ADDRESS+4, 0
        mov     dword ptr [RAM + 0x200], 0x00c301b0
        mov     ecx, 20
1:      mov     eax, RAM + 0x200
        call    ACC
        dec     ecx
        jnz     1b
        tell_card BUFFER, 0x00c309b0            /* mov al, 9; ret */
        tell_card ADDRESS, RAM+0x200
        tell_card LENGTH, 4
        tell_card START, TO_RAM
        mov     eax, RAM + 0x200
        call    ACC
        movzx   eax, al
        check   eax, 9, "DMA into code is seen"

/* ---- the pin ---- */

        .set    pin, 16
        .rept   4
        ioapic_write ENTRY(pin)+1, 0
        ioapic_write ENTRY(pin), LEVEL+BY_PIN
        .set    pin, pin + 1
        .endr
        mov     ebx, WINDOW
        tell_card INTERRUPT, 0
        window
        counted by_pin, 1, "the pin"
        configure COMMAND, MEMORY_SPACE+BUS_MASTER+INTX_DISABLE
        tell_card INTERRUPT, 0
        config  COMMAND
        shr     eax, 16
        and     eax, 8
        check   eax, 8, "INTx disable: the status says it wants to"
        window
        counted by_pin, 0, "but the pin stays low"
        configure COMMAND, MEMORY_SPACE+BUS_MASTER
        window
        counted by_pin, 1, "until it may"

/* ---- MSI ---- */

        find_capability 5
        check   eax, 1, "MSI is listed"
        capability 0
        shr     eax, 16
        check   eax, 0x184, "4 vectors, 64 bits, with masks"
        set_capability 4, LAPIC
        set_capability 8, 0
        set_capability 12, BY_MSI
        set_capability 0, 0x210000              /* enable, 4 vectors */
        mov     ebx, WINDOW
        tell_card INTERRUPT, 0
        tell_card INTERRUPT, 3
        window
        counted by_msi0, 1, "MSI 0"
        counted by_msi3, 1, "MSI 3"
        counted by_pin, 0, "and not the pin"
        set_capability 16, 2
        mov     ebx, WINDOW
        tell_card INTERRUPT, 1
        tell_card INTERRUPT, 2
        window
        counted by_msi1, 0, "MSI 1 is masked"
        counted by_msi2, 1, "MSI 2 is not"
        capability 20
        check   eax, 2, "1 is pending"
        set_capability 16, 0
        window
        counted by_msi1, 1, "and comes when it may"
        configure COMMAND, MEMORY_SPACE
        mov     ebx, WINDOW
        tell_card INTERRUPT, 0
        window
        counted by_msi0, 0, "no message without bus mastering"
        configure COMMAND, MEMORY_SPACE+BUS_MASTER
        set_capability 0, 0

/* ---- MSI-X ---- */

        find_capability 0x11
        check   eax, 1, "MSI-X is listed"
        capability 0
        shr     eax, 16
        check   eax, 3, "4 vectors"
        capability 4
        check   eax, 2, "the table is at the start of BAR 2"
        mov     ebx, WINDOW+0x1000
        tell_card 0, LAPIC
        tell_card 4, 0
        tell_card 8, BY_MSIX
        tell_card 12, 0
        tell_card 48, RAM+0x300
        tell_card 52, 0
        tell_card 56, 0xfeedf00d
        tell_card 60, 0
        set_capability 0, 0x80000000
        mov     ebx, WINDOW
        tell_card INTERRUPT, 0
        window
        counted by_msix0, 1, "MSI-X 0"
        tell_card INTERRUPT, 3
        check   [RAM+0x300], 0xfeedf00d, "a message may go to RAM"
        set_capability 0, 0xc0000000            /* function mask */
        mov     ebx, WINDOW
        tell_card INTERRUPT, 0
        window
        counted by_msix0, 0, "all are masked"
        mov     ebx, WINDOW+0x1000
        card    64
        check   eax, 1, "0 is pending"
        set_capability 0, 0x80000000
        window
        counted by_msix0, 1, "and comes when it may"
        mov     ebx, WINDOW+0x1000
        tell_card 48, LAPIC
        tell_card 56, 0x400                     /* NMI */
        gate    2, on_msix3
        mov     ebx, WINDOW
        tell_card INTERRUPT, 3
        jmp     1f                      /* interrupts come between blocks of code */
1:      counted by_msix3, 1, "a message that is an NMI"
        jmp     finish

/* The capability with the id in CL: EAX is 1 if there is one. */
look_for_capability:
        config  CAPABILITIES
1:      movzx   eax, al
        test    eax, eax
        jz      2f
        mov     edx, 0xcf8
        add     eax, CARD
        mov     [capability], eax
        out     dx, eax
        mov     edx, 0xcfc
        in      eax, dx
        cmp     al, cl
        mov     al, ah
        jne     1b
        mov     eax, 1
2:      ret

        .macro  handler name, counter
\name:  push    ACC
        push    DST
        inc     dword ptr [\counter]
        apic_write LAPIC_EOI, 0
        pop     DST
        pop     ACC
        RETURN
        .endm

on_pin: push    ACC
        push    BAS
        push    DST
        inc     dword ptr [by_pin]
        mov     ebx, WINDOW
        tell_card INTERRUPT, PIN_LOW
        apic_write LAPIC_EOI, 0
        pop     DST
        pop     BAS
        pop     ACC
        RETURN
        handler on_msi0, by_msi0
        handler on_msi1, by_msi1
        handler on_msi2, by_msi2
        handler on_msi3, by_msi3
        handler on_msix0, by_msix0
on_msix3:
        inc     dword ptr [by_msix3]
        RETURN

        .data
capability:     .long 0
by_pin:         .long 0
by_msi0:        .long 0
by_msi1:        .long 0
by_msi2:        .long 0
by_msi3:        .long 0
by_msix0:       .long 0
by_msix3:       .long 0
