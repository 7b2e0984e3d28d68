# SPDX-License-Identifier: BSD-2-Clause
# What the guests of several tutorials share, for 16-bit real mode: printing on a uart, and waiting
# for input. Included at the top of a program, it puts its code behind the program's. Registers
# survive calls unless something is returned.
        .intel_syntax noprefix
        .code16
        .globl _start

        .set COM1, 0x3f8
        .set COM2, 0x2f8
        .set IER, 1                     # interrupt enable register
        .set FCR, 2                     # FIFO control register
        .set LCR, 3                     # line control register
        .set MCR, 4                     # modem control register
        .set LSR, 5                     # line status register
        .set LSR_DR, 0x01               # a byte has arrived
        .set LSR_THRE, 0x20             # room for a byte
        .set PIC, 0x20                  # the interrupt controller that has IRQ 0-7
        .set PIC_EOI, 0x20
        .set VECTORS, 8                 # IRQ n comes as interrupt 8 + n
        .set PM1_CONTROL, 0x604         # ACPI power management
        .set SLEEP_S5, 0x3400           # sleep type 5: off

        .macro  port where, value       # OUT of a constant to a port
        mov     dx, \where
        mov     al, \value
        out     dx, al
        .endm

        .macro  uart_on base            # 8 bits, FIFOs, an interrupt for each byte that arrives
        port    \base + FCR, 0x07
        port    \base + LCR, 0x03
        port    \base + MCR, 0x0b       # DTR, RTS, and OUT2, which lets the interrupt through
        port    \base + IER, 0x01
        .endm

        .text   1
# COM1 and COM2 interrupt the CPU, which is enough to wake it from HLT. Changes AX and DX.
listen: mov     word ptr [4 * (VECTORS + 3)], offset on_uart
        mov     word ptr [4 * (VECTORS + 3) + 2], 0
        mov     word ptr [4 * (VECTORS + 4)], offset on_uart
        mov     word ptr [4 * (VECTORS + 4) + 2], 0
        port    PIC, 0x11               # ICW1: start over, four words
        port    PIC + 1, VECTORS        # ICW2
        port    PIC + 1, 0x04           # ICW3: the second controller is at IRQ 2
        port    PIC + 1, 0x01           # ICW4
        port    PIC + 1, 0xe7           # all but IRQ 3 and 4 masked
        uart_on COM1
        uart_on COM2
        ret

on_uart:push    ax
        mov     al, PIC_EOI
        out     PIC, al
        pop     ax
        iret

# AL: the next byte from the uart at BX, or carry set when there is none.
take:   push    dx
        lea     dx, [bx + LSR]
        in      al, dx
        test    al, LSR_DR
        stc
        jz      1f
        mov     dx, bx
        in      al, dx
        clc
1:      pop     dx
        ret

# AL: the next byte from the uart at BX; waits for it in HLT.
get:    cli
        call    take
        jnc     1f
        sti                             # takes effect after the next instruction: no byte is missed
        hlt
        jmp     get
1:      ret

# Send AL to the uart at BX.
put:    push    ax
        push    dx
        mov     ah, al
        lea     dx, [bx + LSR]
1:      in      al, dx
        test    al, LSR_THRE
        jz      1b
        mov     dx, bx
        mov     al, ah
        out     dx, al
        pop     dx
        pop     ax
        ret

# Send the text at SI, which a zero byte ends, to the uart at BX.
say:    push    ax
        push    si
1:      lodsb
        test    al, al
        jz      2f
        call    put
        jmp     1b
2:      pop     si
        pop     ax
        ret

# Send AX to the uart at BX: four hexadecimal digits.
say_hex:push    ax
        push    cx
        mov     cx, 4
1:      rol     ax, 4
        push    ax
        and     al, 15
        cmp     al, 10
        jb      2f
        add     al, 'a' - '0' - 10
2:      add     al, '0'
        call    put
        pop     ax
        loop    1b
        pop     cx
        pop     ax
        ret

# Send AX to the uart at BX: a decimal number.
say_number:
        push    ax
        push    cx
        push    dx
        xor     cx, cx
1:      push    cx
        xor     dx, dx
        mov     cx, 10
        div     cx
        pop     cx
        push    dx
        inc     cx
        test    ax, ax
        jnz     1b
2:      pop     ax
        add     al, '0'
        call    put
        loop    2b
        pop     dx
        pop     cx
        pop     ax
        ret

off:    mov     dx, PM1_CONTROL
        mov     ax, SLEEP_S5
        out     dx, ax
        hlt

        .text   0
