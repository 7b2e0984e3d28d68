# SPDX-License-Identifier: BSD-2-Clause
# A boot sector that knows INT 13h only: it prints sector 1 of the disk that it came from, copies it
# to sector 2, reads that back and prints it, then leaves by the debug-exit port.
    .code16
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov drive, dl
    mov di, 1
    mov ah, 0x42                # extended read
    call transfer
    call print
    mov di, 2
    mov ax, 0x4300              # extended write, without verification
    call transfer
    mov byte ptr [0x8000], '!'
    mov ah, 0x42
    call transfer
    call print
    xor al, al
    out 0xf4, al
stop:
    hlt
    jmp stop

transfer:                       # one sector, DI on the disk, 8000h in memory
    mov sector, di
    mov dl, drive
    mov si, offset packet
    int 0x13
    jnc 1f
    mov al, 1
    out 0xf4, al
1:  ret

print:                          # the text at 8000h, to COM1
    mov si, 0x8000
2:  mov dx, 0x3fd
    in al, dx
    test al, 0x20
    jz 2b
    lodsb
    test al, al
    jz 1b
    mov dx, 0x3f8
    out dx, al
    jmp 2b

drive:  .byte 0
packet: .byte 16, 0
    .word 1, 0x8000, 0
sector: .word 0, 0, 0, 0
    .org 510
    .word 0xaa55
