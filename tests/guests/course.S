# SPDX-License-Identifier: BSD-2-Clause
# A kernel as courses have it, with a driver that knows the ports of the AT's disk and nothing else.
# Its boot sector loads the rest by polling; the kernel then reads and writes by interrupt 14,
# whole sectors at a time by REP INSW and REP OUTSW, and tells on COM1 what it finds.
    .code16
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    lgdt gdt_pointer
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 8, offset protected
    .code32
protected:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x7c00
    mov esi, 1                  # sectors 1 to 4, to 7E00h, right behind
    mov edi, 0x7e00
1:  mov cl, 0x20
    call command
    call ready
    mov ecx, 256
    mov edx, 0x1f0
    cld
    rep insw
    inc esi
    cmp esi, 5
    jne 1b
    jmp kernel

command:                        # CL on sector ESI of the master
    call ready
    mov edx, 0x1f2
    mov al, 1
    out dx, al
    inc edx
    mov eax, esi
    out dx, al
    inc edx
    mov al, ah
    out dx, al
    inc edx
    xor al, al
    out dx, al
    inc edx
    mov al, 0xe0
    out dx, al
    inc edx
    mov al, cl
    out dx, al
    ret

ready:                          # until it is not busy and ready
    mov edx, 0x1f7
2:  in al, dx
    and al, 0xc0
    cmp al, 0x40
    jne 2b
    ret

gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
    .org 510
    .word 0xaa55

kernel:
    mov edi, offset idt + 8 * 0x2e
    mov eax, offset disk_interrupt
    mov [edi], ax
    mov word ptr [edi + 2], 8
    mov word ptr [edi + 4], 0x8e00
    shr eax, 16
    mov [edi + 6], ax
    lidt idt_pointer
    mov esi, offset pic_setup   # vectors 20h and 28h; only the cascade and IRQ 14
3:  movzx edx, byte ptr [esi]
    mov al, [esi + 1]
    out dx, al
    add esi, 2
    cmp esi, offset pic_setup_end
    jne 3b
    mov edx, 0x3f6
    xor al, al
    out dx, al                  # interrupts from the drive

    mov edx, 0x1f6              # is there a slave? its status is 0 if not
    mov al, 0xf0
    out dx, al
    inc edx
    in al, dx
    mov esi, offset no_slave
    test al, al
    jz 4f
    mov esi, offset slave
4:  call print
    mov edx, 0x1f6
    mov al, 0xe0
    out dx, al
    sti

    mov esi, 8                  # what is there
    call read
    mov esi, offset buffer
    call print
    mov esi, offset buffer      # in capitals, to the next sector
5:  mov al, [esi]
    cmp al, 'a'
    jb 6f
    and al, 0xdf
    mov [esi], al
6:  inc esi
    cmp esi, offset buffer + 512
    jne 5b
    mov esi, 9
    mov cl, 0x30
    mov byte ptr came, 0
    call command
    mov edx, 0x1f7
7:  in al, dx
    test al, 8
    jz 7b
    push esi
    mov esi, offset buffer
    mov ecx, 256
    mov edx, 0x1f0
    rep outsw
    pop esi
    call wait
    mov edi, offset buffer
    mov ecx, 128
    xor eax, eax
    rep stosd
    mov esi, 9
    call read
    mov esi, offset buffer
    call print
    xor al, al
    out 0xf4, al
8:  hlt
    jmp 8b

read:                           # sector ESI to the buffer
    mov cl, 0x20
    mov byte ptr came, 0
    call command
    call wait
    mov edi, offset buffer
    mov ecx, 256
    mov edx, 0x1f0
    rep insw
    ret

wait:
    cli
    cmp byte ptr came, 0
    jne 9f
    sti
    hlt
    jmp wait
9:  sti
    ret

disk_interrupt:
    push eax
    push edx
    mov edx, 0x1f7
    in al, dx
    mov byte ptr came, 1
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop edx
    pop eax
    iretd

print:
    mov edx, 0x3fd
1:  in al, dx
    test al, 0x20
    jz 1b
    lodsb
    test al, al
    jz 2f
    mov edx, 0x3f8
    out dx, al
    jmp print
2:  ret

pic_setup:
    .byte 0x20, 0x11, 0xa0, 0x11, 0x21, 0x20, 0xa1, 0x28, 0x21, 4, 0xa1, 2
    .byte 0x21, 1, 0xa1, 1, 0x21, 0xfb, 0xa1, 0xbf
pic_setup_end:
no_slave: .asciz "no slave\n"
slave: .asciz "a slave\n"
came: .byte 0
idt_pointer:
    .word 8 * 0x2f - 1
    .long idt
    .org 2560
    .equ idt, 0x9000
    .equ buffer, 0xa000
