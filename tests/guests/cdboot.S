# SPDX-License-Identifier: BSD-2-Clause
# What El Torito starts without emulation: prints where it comes from, and the name of the volume
# that sector 16 of the disc has, 2048 bytes as it is, then leaves by the debug-exit port.
    .code16
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    push dx
    mov si, offset packet
    mov ah, 0x42
    int 0x13
    mov al, 1
    jc leave
    pop ax                      # the drive: E0h is the first disc
    shr al, 4
    add al, 'A' - 10
    call putc
    mov si, 0x8001
    mov cx, 5
1:  lodsb
    call putc
    loop 1b
    mov si, 0x8028
    mov cx, 8
1:  lodsb
    call putc
    loop 1b
    xor al, al
leave:
    out 0xf4, al
stop:
    hlt
    jmp stop
putc:
    mov ah, al
    mov dx, 0x3fd
2:  in al, dx
    test al, 0x20
    jz 2b
    mov dx, 0x3f8
    mov al, ah
    out dx, al
    ret
packet: .byte 16, 0
    .word 1, 0x8000, 0
    .word 16, 0, 0, 0
    .org 2048
