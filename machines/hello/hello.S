/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello: a small guest for a small PC.
 *
 * It owns the whole machine: no firmware, no libraries. It is loaded at 0x7C00 and entered there
 * in real mode, switches to 32-bit protected mode, and then lives on three interrupts: the timer,
 * COM1, and the first PCI serial port it finds. Read it from top to bottom; the order is the
 * order in which things happen.
 *
 *   1. real mode -> protected mode       4. PCI scan
 *   2. interrupt controllers and gates   5. main loop, commands
 *   3. timer, uarts                      6. interrupt handlers
 *                                        7. printing, text, memory
 *
 * Register habits: %ebx is the uart that a routine works on (struct below), %edi a PCI function,
 * %eax the argument and the result. All other registers survive a call.
 */

/* ---- Hardware: names and numbers from the chips' datasheets ---- */

/* 8259A interrupt controllers: master and slave, the slave on the master's IRQ 2. */
#define PIC1_COMMAND    0x20
#define PIC1_DATA       0x21
#define PIC2_COMMAND    0xA0
#define PIC2_DATA       0xA1
#define ICW1_INIT_ICW4  0x11            /* start initialisation, ICW4 will follow, edge, cascade */
#define ICW4_8086       0x01
#define OCW2_EOI        0x20            /* non-specific end of interrupt */
#define OCW3_READ_ISR   0x0B            /* next read of the command port gives the ISR */
#define ELCR1           0x4D0           /* edge/level: a set bit makes IRQ 0-7 level-triggered */
#define ELCR2           0x4D1           /* the same for IRQ 8-15 */

#define VECTOR_BASE     0x20            /* IRQ n arrives as vector 0x20 + n */
#define IRQ_TIMER       0
#define IRQ_CASCADE     2
#define IRQ_COM1        4

/* 8254 timer. Channel 0 drives IRQ 0. */
#define PIT_CHANNEL0    0x40
#define PIT_CONTROL     0x43
#define PIT_RATE        0x34            /* channel 0, low byte then high byte, mode 2 */
#define PIT_HZ          1193182
#define TICKS_PER_S     100
#define PIT_DIVISOR     ((PIT_HZ + TICKS_PER_S / 2) / TICKS_PER_S)

/* 16550 uart: offsets from its first port. */
#define COM1            0x3F8
#define RBR             0               /* read: received byte */
#define THR             0               /* write: byte to send */
#define DLL             0               /* divisor latch, while LCR.DLAB is set */
#define DLH             1
#define IER             1
#define IER_ERBFI       0x01            /* interrupt when a byte was received */
#define IIR             2               /* read */
#define IIR_NONE        0x01            /* set: nothing pending */
#define FCR             2               /* write */
#define FCR_ON_CLEAR    0x07            /* FIFOs on and emptied, trigger at one byte */
#define LCR             3
#define LCR_8N1         0x03
#define LCR_DLAB        0x80
#define MCR             4
#define MCR_DTR_RTS     0x03
#define MCR_OUT2        0x08            /* on a PC, gates the interrupt line of an ISA uart */
#define LSR             5
#define LSR_DR          0x01            /* a received byte is waiting */
#define LSR_THRE        0x20            /* room to send */
#define LSR_TEMT        0x40            /* everything has left the chip */
#define MSR             6
#define SCR             7               /* scratch: storage, good for asking "are you there?" */

/* PCI configuration mechanism 1: write where, then read or write what. */
#define PCI_ADDRESS     0xCF8
#define PCI_DATA        0xCFC
#define PCI_ENABLE      0x80000000
#define PCI_NEXT        0x100           /* from one function to the next; 8 functions per slot */
#define PCI_END         (PCI_ENABLE + 32 * 8 * PCI_NEXT)        /* past slot 31 of bus 0 */
#define PCI_ID          0x00            /* device id << 16 | vendor id */
#define PCI_COMMAND     0x04
#define PCI_COMMAND_IO  0x01            /* answer at the I/O BARs */
#define PCI_CLASS       0x08            /* class << 8 | revision */
#define PCI_HEADER      0x0C            /* header type in bits 23:16 */
#define PCI_MULTI       0x00800000      /* header type: functions 1-7 may exist too */
#define PCI_BAR0        0x10
#define PCI_BAR_IO      0x01            /* this BAR counts I/O ports, not memory */
#define PCI_INTERRUPT   0x3C            /* bits 7:0: the IRQ that INTx is routed to */
#define CLASS_SERIAL    0x0700          /* simple communication, serial controller */

/* ---- Our own things ---- */

#define CODE_SELECTOR   0x08
#define DATA_SELECTOR   0x10
#define CR0_PE          0x01
#define RING_SIZE       256             /* so that a byte-wide index wraps by itself */
#define LINE_SIZE       64
#define STACK_SIZE      4096
#define DUMP_START      0x7C00          /* where this program starts */
#define DUMP_SIZE       128

/* struct uart */
#define U_BASE          0               /* first port, or 0 when there is no such uart */
#define U_HEAD          4               /* ring: where the interrupt handler puts the next byte */
#define U_TAIL          5               /* ring: where the main loop takes the next byte */
#define U_RING          8
#define U_SIZE          (U_RING + RING_SIZE)

        .text

/* =================================================================================
 * 1. Real mode -> protected mode
 */
        .code16
        .globl  start
start:
        cli                             # no handlers yet
        cld
        xorw    %ax, %ax
        movw    %ax, %ds                # we were linked for segment 0
        lgdtl   gdt_register
        movl    %cr0, %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        ljmpl   $CODE_SELECTOR, $start32        # loads CS, and with it 32-bit code

        .code32
start32:
        movw    $DATA_SELECTOR, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $stack_top, %esp

        movl    $bss_start, %edi        # memory may hold anything at power-on: zero our own
        movl    $bss_end, %ecx
        subl    %edi, %ecx
        xorl    %eax, %eax
        rep stosb

        call    gates_init
        call    pic_init
        call    timer_init

        movl    $com1, %ebx
        movl    $COM1, %edx
        call    uart_init
        movl    $IRQ_COM1, %eax
        call    irq_unmask

        movb    $1, ticks_on
        sti

        movl    $text_greeting, %esi
        call    puts
        movl    $greet_pci_uart, %ebp
        call    pci_walk
        movl    $com1, %ebx
        movl    $text_hint, %esi
        call    puts
        call    prompt
        jmp     main

/* =================================================================================
 * 2. Interrupt controllers and gates
 */

/* Fill the IDT: a fault for the CPU's own vectors, the spurious handlers for every IRQ, and then
 * the three that we mean. */
gates_init:
        xorl    %eax, %eax
        movl    $on_fault, %edx
1:      call    gate_set
        incl    %eax
        cmpl    $VECTOR_BASE, %eax
        jb      1b

        movl    $on_spurious_master, %edx
2:      call    gate_set
        incl    %eax
        cmpl    $VECTOR_BASE + 8, %eax
        jb      2b

        movl    $on_spurious_slave, %edx
3:      call    gate_set
        incl    %eax
        cmpl    $VECTOR_BASE + 16, %eax
        jb      3b

        movl    $VECTOR_BASE + IRQ_TIMER, %eax
        movl    $on_timer, %edx
        call    gate_set
        movl    $VECTOR_BASE + IRQ_COM1, %eax
        movl    $on_uart_master, %edx
        call    gate_set

        lidt    idt_register
        ret

/* Gate %eax (a vector) := handler %edx. An interrupt gate: IF is clear while the handler runs. */
gate_set:
        movw    %dx, idt(, %eax, 8)
        movw    $CODE_SELECTOR, idt + 2(, %eax, 8)
        movw    $0x8E00, idt + 4(, %eax, 8)     # present, ring 0, 32-bit interrupt gate
        rorl    $16, %edx
        movw    %dx, idt + 6(, %eax, 8)
        rorl    $16, %edx
        ret

/* A PC powers up with IRQ 0-7 on vectors that the CPU uses for faults: move them away. Everything
 * stays masked except the cascade, until a driver asks. */
pic_init:
        movb    $ICW1_INIT_ICW4, %al
        outb    %al, $PIC1_COMMAND
        outb    %al, $PIC2_COMMAND
        movb    $VECTOR_BASE, %al               # ICW2: the first vector
        outb    %al, $PIC1_DATA
        movb    $VECTOR_BASE + 8, %al
        outb    %al, $PIC2_DATA
        movb    $1 << IRQ_CASCADE, %al          # ICW3: master, which line has a slave
        outb    %al, $PIC1_DATA
        movb    $IRQ_CASCADE, %al               # ICW3: slave, which line am I on
        outb    %al, $PIC2_DATA
        movb    $ICW4_8086, %al
        outb    %al, $PIC1_DATA
        outb    %al, $PIC2_DATA
        movb    $~(1 << IRQ_CASCADE), %al       # OCW1: a set bit masks the line
        outb    %al, $PIC1_DATA
        movb    $0xFF, %al
        outb    %al, $PIC2_DATA
        ret

/* Let IRQ %eax (0-15) through. */
irq_unmask:
        pushl   %ecx
        pushl   %edx
        movl    $PIC1_DATA, %edx
        movl    %eax, %ecx
        cmpl    $8, %ecx
        jb      1f
        movl    $PIC2_DATA, %edx
        subl    $8, %ecx
1:      inb     %dx, %al
        btrl    %ecx, %eax
        outb    %al, %dx
        popl    %edx
        popl    %ecx
        ret

/* Make IRQ %eax (0-15) level-triggered, as PCI wants it: the line may be shared. */
irq_level:
        pushl   %ecx
        pushl   %edx
        movl    $ELCR1, %edx
        movl    %eax, %ecx
        cmpl    $8, %ecx
        jb      1f
        movl    $ELCR2, %edx
        subl    $8, %ecx
1:      inb     %dx, %al
        btsl    %ecx, %eax
        outb    %al, %dx
        popl    %edx
        popl    %ecx
        ret

/* =================================================================================
 * 3. Timer and uarts
 */

timer_init:
        movb    $PIT_RATE, %al
        outb    %al, $PIT_CONTROL
        movb    $PIT_DIVISOR & 0xFF, %al
        outb    %al, $PIT_CHANNEL0
        movb    $PIT_DIVISOR >> 8, %al
        outb    %al, $PIT_CHANNEL0
        movl    $IRQ_TIMER, %eax
        jmp     irq_unmask

/* Set up the uart at port %edx: 115200 8N1, FIFOs on, an interrupt for each received byte. When
 * nothing answers there, U_BASE stays 0 and the port is silently left alone from then on. */
uart_init:
        pushl   %edx
        movl    %edx, %ecx
        leal    SCR(%ecx), %edx
        movb    $0x5A, %al
        outb    %al, %dx
        inb     %dx, %al                        # an empty bus answers 0xFF
        cmpb    $0x5A, %al
        jne     1f
        movl    %ecx, U_BASE(%ebx)

        leal    IER(%ecx), %edx
        xorb    %al, %al
        outb    %al, %dx                        # quiet while we work
        leal    LCR(%ecx), %edx
        movb    $LCR_DLAB, %al
        outb    %al, %dx
        leal    DLL(%ecx), %edx
        movb    $1, %al                         # 115200 / 1
        outb    %al, %dx
        leal    DLH(%ecx), %edx
        xorb    %al, %al
        outb    %al, %dx
        leal    LCR(%ecx), %edx
        movb    $LCR_8N1, %al
        outb    %al, %dx
2:      leal    LSR(%ecx), %edx                 # typed ahead: take it before FCR throws it away
        inb     %dx, %al
        testb   $LSR_DR, %al
        jz      3f
        leal    RBR(%ecx), %edx
        inb     %dx, %al
        call    ring_put
        jmp     2b
3:      leal    FCR(%ecx), %edx
        movb    $FCR_ON_CLEAR, %al
        outb    %al, %dx
        leal    MCR(%ecx), %edx
        movb    $MCR_DTR_RTS | MCR_OUT2, %al
        outb    %al, %dx
        leal    IER(%ecx), %edx
        movb    $IER_ERBFI, %al
        outb    %al, %dx
1:      popl    %edx
        ret

/* =================================================================================
 * 4. PCI scan
 */

/* %eax := the 32-bit configuration register %eax of function %edi. */
pci_read:
        pushl   %edx
        orl     %edi, %eax
        movl    $PCI_ADDRESS, %edx
        outl    %eax, %dx
        movl    $PCI_DATA, %edx
        inl     %dx, %eax
        popl    %edx
        ret

/* Call %ebp for each function on bus 0, with %edi = PCI_ENABLE | slot << 11 | function << 8. */
pci_walk:
        pushl   %edi
        movl    $PCI_ENABLE, %edi
1:      movl    $PCI_ID, %eax
        call    pci_read
        cmpw    $0xFFFF, %ax                    # no such function
        je      2f
        call    *%ebp
        testl   $7 * PCI_NEXT, %edi             # only function 0 speaks for the slot
        jnz     3f
        movl    $PCI_HEADER, %eax
        call    pci_read
        testl   $PCI_MULTI, %eax
        jnz     3f
        jmp     4f
2:      testl   $7 * PCI_NEXT, %edi             # no function 0: the slot is empty
        jnz     3f
4:      addl    $7 * PCI_NEXT, %edi             # skip functions 1-7
3:      addl    $PCI_NEXT, %edi
        cmpl    $PCI_END, %edi
        jb      1b
        popl    %edi
        ret

/* %eax := the slot number of function %edi. */
pci_slot:
        movl    %edi, %eax
        shrl    $11, %eax
        andl    $31, %eax
        ret

/* For pci_walk: if this is the first serial port with I/O ports of its own, make it the second
 * console and greet there. */
greet_pci_uart:
        pushal
        cmpl    $0, pci_uart + U_BASE
        jne     9f                              # we have one already
        movl    $PCI_CLASS, %eax
        call    pci_read
        shrl    $16, %eax
        cmpl    $CLASS_SERIAL, %eax
        jne     9f
        movl    $PCI_BAR0, %eax
        call    pci_read
        testb   $PCI_BAR_IO, %al
        jz      9f
        andl    $0xFFFC, %eax
        jz      9f                              # it has no address
        cmpl    $COM1, %eax
        je      9f                              # a PCI uart that poses as COM1: in use already
        movl    %eax, %ecx

        movl    $PCI_COMMAND, %eax              # PCI_ADDRESS stays, so the write hits the same
        call    pci_read
        orl     $PCI_COMMAND_IO, %eax
        movl    $PCI_DATA, %edx
        outw    %ax, %dx

        movl    $pci_uart, %ebx
        movl    %ecx, %edx
        call    uart_init
        cmpl    $0, U_BASE(%ebx)
        je      9f

        movl    $text_pci_greeting, %esi
        call    puts
        call    pci_slot
        call    put_decimal
        movl    $text_newline, %esi
        call    puts

        movl    $com1, %ebx                     # tell the first console as well
        movl    $text_found, %esi
        call    puts
        call    pci_slot
        call    put_decimal
        movl    $text_ports, %esi
        call    puts
        movl    pci_uart + U_BASE, %eax
        movl    $4, %ecx
        call    put_hex
        movl    $PCI_INTERRUPT, %eax
        call    pci_read
        movzbl  %al, %eax
        movl    %eax, %edx
        leal    -3(%eax), %ecx                  # 3-15; 0 and 255 mean "not routed"
        cmpl    $12, %ecx
        ja      8f
        movl    $text_irq, %esi
        call    puts
        call    put_decimal
        movl    $text_newline, %esi
        call    puts

        cli                                     # level first, then the gate, then let it in
        movl    %edx, %eax
        call    irq_level
        movl    %edx, %ecx
        leal    VECTOR_BASE(%ecx), %eax
        movl    $on_uart_master, %edx
        cmpl    $8, %ecx
        jb      1f
        movl    $on_uart_slave, %edx
1:      call    gate_set
        movl    %ecx, %eax
        call    irq_unmask
        sti
        jmp     9f
8:      movl    $text_no_irq, %esi
        call    puts
9:      popal
        ret

/* =================================================================================
 * 5. Main loop and commands
 */

/* Work while there is some, then sleep. The test is made with interrupts off, and `sti` lets one
 * more instruction pass before an interrupt can come: nothing slips in between test and HLT. */
main:
        call    poll_timer
        call    poll_com1
        call    poll_pci_uart

        cli
        movl    seconds, %eax
        cmpl    announced, %eax
        jne     1f
        movb    com1 + U_HEAD, %al
        cmpb    com1 + U_TAIL, %al
        jne     1f
        movb    pci_uart + U_HEAD, %al
        cmpb    pci_uart + U_TAIL, %al
        jne     1f
        sti
        hlt
1:      sti
        jmp     main

/* Once a second, a line. Not while a command is being typed: that would tear it apart. */
poll_timer:
        movl    seconds, %eax
        cmpl    announced, %eax
        je      9f
        movl    %eax, announced
        cmpb    $0, ticks_on
        je      9f
        cmpl    $0, line_length
        jne     9f
        movl    $com1, %ebx
        call    fresh_line
        movl    $text_tick, %esi
        call    puts
        movl    announced, %eax
        call    put_decimal
        movl    $text_newline, %esi
        call    puts
9:      ret

/* COM1 is the command line: echo, collect, and act on Enter. */
poll_com1:
        movl    $com1, %ebx
1:      call    ring_get
        jc      9f
        cmpb    $'\r', %al
        je      2f
        cmpb    $'\n', %al
        je      2f
        cmpb    $'\b', %al
        je      3f
        cmpb    $0x7F, %al                      # what most terminals send for Backspace
        je      3f
        cmpb    $' ', %al
        jb      1b
        movl    line_length, %ecx
        cmpl    $LINE_SIZE, %ecx
        jae     1b                              # full: the rest of the line is not taken
        movb    %al, line(%ecx)
        call    prompt
        incl    line_length
        call    putc
        jmp     1b

2:      call    prompt                          # Enter
        movl    $text_newline, %esi
        call    puts
        call    command
        movl    $0, line_length
        call    fresh_line
        call    prompt
        jmp     1b

3:      cmpl    $0, line_length                 # Backspace
        je      1b
        decl    line_length
        movl    $text_rubout, %esi
        call    puts
        jmp     1b
9:      ret

/* The second console sends back what it gets, with Enter as a new line. */
poll_pci_uart:
        movl    $pci_uart, %ebx
1:      call    ring_get
        jc      9f
        cmpb    $'\r', %al
        jne     2f
        movb    $'\n', %al
2:      call    putc
        jmp     1b
9:      ret

/* Show the prompt, unless the cursor is already behind it or behind typed text. */
prompt:
        cmpb    $0, prompted
        jne     1f
        cmpl    $0, line_length
        jne     1f
        movl    $text_prompt, %esi
        call    puts
        movb    $1, prompted
1:      ret

/* Leave the prompt's line, if we are on one. */
fresh_line:
        cmpb    $0, prompted
        je      1f
        movl    $text_newline, %esi
        call    puts
1:      ret

/* Run the line that was typed: one letter is looked up, anything else is not ours. */
command:
        cmpl    $0, line_length
        je      9f
        cmpl    $1, line_length
        jne     8f
        movl    $commands, %esi
1:      movl    (%esi), %eax
        testl   %eax, %eax                      # end of the table
        jz      8f
        cmpb    line, %al
        je      2f
        addl    $8, %esi
        jmp     1b
2:      jmp     *4(%esi)

8:      movb    $'"', %al
        call    putc
        movl    $line, %esi
        movl    line_length, %ecx
3:      lodsb
        call    putc
        loop    3b
        movl    $text_unknown, %esi
        call    puts
9:      ret

command_help:
        movl    $text_help, %esi
        jmp     puts

/* The seconds are counted, not divided: two counters that an interrupt moves together must be
 * read with interrupts off. */
command_uptime:
        cli
        movl    ticks, %ecx
        movl    seconds, %eax
        movl    hundredths, %edx
        sti
        movl    $text_up, %esi
        call    puts
        call    put_decimal
        movb    $'.', %al
        call    putc
        movl    %edx, %eax                      # two digits
        cmpl    $10, %eax
        jae     1f
        movb    $'0', %al
        call    putc
        movl    %edx, %eax
1:      call    put_decimal
        movl    $text_seconds, %esi
        call    puts
        movl    %ecx, %eax
        call    put_decimal
        movl    $text_ticks, %esi
        jmp     puts

/* Sixteen bytes a line: address, hexadecimal, text. */
command_memory:
        movl    $DUMP_START, %edi
1:      movl    %edi, %eax
        movl    $8, %ecx
        call    put_hex
        movl    $text_column, %esi
        call    puts
        xorl    %edx, %edx
2:      movb    (%edi, %edx), %al
        movl    $2, %ecx
        call    put_hex
        movb    $' ', %al
        call    putc
        incl    %edx
        cmpl    $16, %edx
        jb      2b
        movb    $' ', %al
        call    putc
        xorl    %edx, %edx
3:      movb    (%edi, %edx), %al
        cmpb    $' ', %al
        jb      4f
        cmpb    $'~', %al
        jbe     5f
4:      movb    $'.', %al
5:      call    putc
        incl    %edx
        cmpl    $16, %edx
        jb      3b
        movl    $text_newline, %esi
        call    puts
        addl    $16, %edi
        cmpl    $DUMP_START + DUMP_SIZE, %edi
        jb      1b
        ret

command_ticks:
        xorb    $1, ticks_on
        movl    $text_ticks_on, %esi
        jnz     1f
        movl    $text_ticks_off, %esi
1:      jmp     puts

command_pci:
        movl    $print_function, %ebp
        jmp     pci_walk

/* For pci_walk: "slot.function vendor:device class cccccc irq n bar0 xxxxxxxx". */
print_function:
        pushal
        call    pci_slot
        call    put_decimal
        movb    $'.', %al
        call    putc
        movl    %edi, %eax
        shrl    $8, %eax
        andl    $7, %eax
        call    put_decimal
        movl    $text_column, %esi
        call    puts

        movl    $PCI_ID, %eax
        call    pci_read
        movl    %eax, %edx
        movl    $4, %ecx
        call    put_hex
        movb    $':', %al
        call    putc
        movl    %edx, %eax
        shrl    $16, %eax
        call    put_hex

        movl    $text_class, %esi
        call    puts
        movl    $PCI_CLASS, %eax
        call    pci_read
        shrl    $8, %eax
        movl    $6, %ecx
        call    put_hex

        movl    $PCI_INTERRUPT, %eax
        call    pci_read
        testl   $0xFF00, %eax                   # no interrupt pin
        jz      1f
        movl    $text_irq, %esi
        call    puts
        movzbl  %al, %eax
        call    put_decimal
1:      movl    $PCI_BAR0, %eax
        call    pci_read
        testl   %eax, %eax
        jz      2f
        movl    $text_bar0, %esi
        call    puts
        movl    $8, %ecx
        call    put_hex
2:      movl    $text_newline, %esi
        call    puts
        popal
        ret

/* With interrupts off nothing can end the HLT: this is how a program ends a PC. */
command_quit:
        movl    $text_halted, %esi
        call    puts
die:    cli
        movl    com1 + U_BASE, %edx
        testl   %edx, %edx
        jz      2f
        addl    $LSR, %edx
1:      inb     %dx, %al                        # let the last byte leave the chip
        testb   $LSR_TEMT, %al
        jz      1b
2:      hlt
        jmp     2b

/* =================================================================================
 * 6. Interrupt handlers
 */

/* Every 10 ms. Only counts: the printing is the main loop's, so that lines do not mix. */
on_timer:
        pushl   %eax
        incl    ticks
        incl    hundredths
        cmpl    $TICKS_PER_S, hundredths
        jb      1f
        movl    $0, hundredths
        incl    seconds
1:      movb    $OCW2_EOI, %al
        outb    %al, $PIC1_COMMAND
        popl    %eax
        iret

/* COM1, or a PCI uart on IRQ 3-7. A line can be shared, so each handler asks both uarts. */
on_uart_master:
        pushal
        call    uarts_service
        movb    $OCW2_EOI, %al                  # after the uart is quiet: a level would fire again
        outb    %al, $PIC1_COMMAND
        popal
        iret

/* A PCI uart on IRQ 8-15: the slave passes it on through the master, and both want their EOI. */
on_uart_slave:
        pushal
        call    uarts_service
        movb    $OCW2_EOI, %al
        outb    %al, $PIC2_COMMAND
        outb    %al, $PIC1_COMMAND
        popal
        iret

uarts_service:
        movl    $com1, %ebx
        call    uart_service
        movl    $pci_uart, %ebx
        /* fall through */

/* Serve one uart until it has nothing left to say. On an edge-triggered line this loop is vital:
 * a cause left standing keeps the line high, and there would never be another edge. */
uart_service:
        movl    U_BASE(%ebx), %ecx
        testl   %ecx, %ecx
        jz      9f
1:      leal    IIR(%ecx), %edx
        inb     %dx, %al
        testb   $IIR_NONE, %al
        jnz     9f
        leal    MSR(%ecx), %edx                 # reading MSR and LSR clears causes we do not use
        inb     %dx, %al
2:      leal    LSR(%ecx), %edx
        inb     %dx, %al
        testb   $LSR_DR, %al
        jz      1b
        leal    RBR(%ecx), %edx
        inb     %dx, %al
        call    ring_put
        jmp     2b
9:      ret

/* A controller reports a spurious interrupt as its lowest-priority line (7 or 15), with no bit in
 * its ISR, and must then get no EOI. When it was the slave's, the master did see a real IRQ 2. */
on_spurious_slave:
        pushl   %eax
        movb    $OCW3_READ_ISR, %al
        outb    %al, $PIC2_COMMAND
        inb     $PIC2_COMMAND, %al
        testb   %al, %al
        jz      1f
        movb    $OCW2_EOI, %al                  # a real one after all
        outb    %al, $PIC2_COMMAND
1:      movb    $OCW2_EOI, %al
        outb    %al, $PIC1_COMMAND
        popl    %eax
        iret

on_spurious_master:
        pushl   %eax
        movb    $OCW3_READ_ISR, %al
        outb    %al, $PIC1_COMMAND
        inb     $PIC1_COMMAND, %al
        testb   %al, %al
        jz      1f
        movb    $OCW2_EOI, %al
        outb    %al, $PIC1_COMMAND
1:      popl    %eax
        iret

/* The CPU refused something: a bug of ours. There is nothing to return to. */
on_fault:
        movl    $com1, %ebx
        movl    $text_fault, %esi
        call    puts
        jmp     die

/* Ring of uart %ebx := byte %al. Full: the byte is lost, as it would be in the chip. */
ring_put:
        pushl   %ecx
        movzbl  U_HEAD(%ebx), %ecx
        incb    %cl
        cmpb    U_TAIL(%ebx), %cl
        je      1f
        decb    %cl
        movb    %al, U_RING(%ebx, %ecx)
        incb    U_HEAD(%ebx)                    # last: now the main loop may see it
1:      popl    %ecx
        ret

/* %al := the oldest byte in the ring of uart %ebx. Carry is set when there is none. Only the main
 * loop moves the tail and only the handler moves the head, so no lock is needed. */
ring_get:
        pushl   %ecx
        movzbl  U_TAIL(%ebx), %ecx
        cmpb    U_HEAD(%ebx), %cl
        je      1f
        movb    U_RING(%ebx, %ecx), %al
        incb    U_TAIL(%ebx)
        popl    %ecx
        clc
        ret
1:      popl    %ecx
        stc
        ret

/* =================================================================================
 * 7. Printing, text, memory
 */

/* Send %al to uart %ebx, waiting for room. A new line is CR LF on a serial line. */
putc:
        cmpb    $'\n', %al
        jne     putc_raw
        movb    $'\r', %al
        call    putc_raw
        movb    $'\n', %al
        cmpl    $com1, %ebx
        jne     putc_raw
        movb    $0, prompted
putc_raw:
        pushl   %ecx
        pushl   %edx
        movb    %al, %cl
        movl    U_BASE(%ebx), %edx
        testl   %edx, %edx
        jz      2f
        addl    $LSR, %edx
1:      inb     %dx, %al
        testb   $LSR_THRE, %al
        jz      1b
        subl    $LSR - THR, %edx
        movb    %cl, %al
        outb    %al, %dx
2:      movb    %cl, %al
        popl    %edx
        popl    %ecx
        ret

/* Send the string at %esi, which ends with a zero byte. */
puts:
        pushl   %eax
        pushl   %esi
1:      lodsb
        testb   %al, %al
        jz      2f
        call    putc
        jmp     1b
2:      popl    %esi
        popl    %eax
        ret

/* Send the low %ecx digits (1-8) of %eax in hexadecimal. */
put_hex:
        pushal
        movl    %eax, %edx
        movl    %ecx, %esi
        movl    $8, %ecx                        # bring the first wanted digit to the top
        subl    %esi, %ecx
        shll    $2, %ecx
        shll    %cl, %edx
1:      roll    $4, %edx
        movl    %edx, %eax
        andl    $15, %eax
        movb    digits(%eax), %al
        call    putc
        decl    %esi
        jnz     1b
        popal
        ret

/* Send %eax in decimal. */
put_decimal:
        pushal
        movl    $10, %esi
        xorl    %ecx, %ecx
1:      xorl    %edx, %edx                      # digits come out last first: stack them
        divl    %esi
        pushl   %edx
        incl    %ecx
        testl   %eax, %eax
        jnz     1b
2:      popl    %eax
        movb    digits(%eax), %al
        call    putc
        loop    2b
        popal
        ret

/* ---- What the CPU reads ---- */

        .p2align 3
gdt:    .quad   0
        .quad   0x00CF9B000000FFFF              # 0x08: code, base 0, 4 GiB, 32-bit, ring 0
        .quad   0x00CF93000000FFFF              # 0x10: data, the same
gdt_register:
        .word   gdt_register - gdt - 1
        .long   gdt
idt_register:
        .word   8 * (VECTOR_BASE + 16) - 1
        .long   idt

commands:
        .long   'h', command_help
        .long   'u', command_uptime
        .long   'm', command_memory
        .long   't', command_ticks
        .long   'p', command_pci
        .long   'q', command_quit
        .long   0

digits:                 .ascii  "0123456789abcdef"
text_newline:           .asciz  "\n"
text_rubout:            .asciz  "\b \b"
text_prompt:            .asciz  "> "
text_greeting:          .asciz  "Hello from vmmgr\n"
text_pci_greeting:      .asciz  "Hello from vmmgr, PCI uart in slot "
text_found:             .asciz  "PCI uart in slot "
text_ports:             .asciz  ", ports from 0x"
text_irq:               .asciz  ", IRQ "
text_no_irq:            .asciz  ", no IRQ: it will not hear you\n"
text_hint:              .asciz  "Type h and Enter for help.\n"
text_tick:              .asciz  "tick "
text_up:                .asciz  "up "
text_seconds:           .asciz  " s, "
text_ticks:             .asciz  " ticks\n"
text_ticks_on:          .asciz  "Ticks are on.\n"
text_ticks_off:         .asciz  "Ticks are off.\n"
text_column:            .asciz  "  "
text_class:             .asciz  ", class "
text_bar0:              .asciz  ", BAR0 "
text_unknown:           .asciz  "\" is not a command; h lists them.\n"
text_halted:            .asciz  "Halted.\n"
text_fault:             .asciz  "\nThe CPU raised a fault. Halted.\n"
text_help:
        .ascii  "h  this help\n"
        .ascii  "u  uptime\n"
        .ascii  "m  memory at 0x7c00, where this program starts\n"
        .ascii  "t  tick lines on or off\n"
        .ascii  "p  PCI functions\n"
        .asciz  "q  halt\n"

/* ---- What we write: on pages of its own (hello.ld), away from the code ---- */

        .bss
        .p2align 3
idt:            .skip   8 * (VECTOR_BASE + 16)
ticks:          .skip   4                       # timer interrupts since the start
hundredths:     .skip   4                       # of the current second
seconds:        .skip   4
announced:      .skip   4                       # the last second that poll_timer looked at
line_length:    .skip   4
line:           .skip   LINE_SIZE               # what has been typed so far
ticks_on:       .skip   1
prompted:       .skip   1                       # the prompt is the last thing on COM1's screen
        .p2align 3
com1:           .skip   U_SIZE
pci_uart:       .skip   U_SIZE
        .p2align 4
stack:          .skip   STACK_SIZE
stack_top:
