# SPDX-License-Identifier: BSD-2-Clause
#
# An option ROM that boots the Linux kernel which fw_cfg holds.
#
# It has a boot entry vector (Plug and Play BIOS Specification 1.0A, appendix B), so the BIOS offers
# it like a disk. Started, it fetches command line, initrd, kernel and real-mode part by DMA, each
# to the address that fw_cfg names, and enters the last as Linux's boot protocol wants it. Needs a
# 386. firmware.py pads it and puts the checksums in.

        .intel_syntax noprefix
        .code16
        .globl _start

        .set SELECTOR, 0x510
        .set DMA_HIGH, 0x514
        .set DMA_LOW, 0x518
        .set CONTROL_READ_SELECTED, 0x0a
        .set CONTROL_ERROR, 1
        .set SETUP_ADDRESS, 0x16
        .set DESCRIPTOR, 0x7000         # nothing else is in low memory at boot time
        .set STACK, 0x7c00

_start:
        .byte 0x55, 0xaa
        .byte 1                         # length in units of 512 bytes
        retf                            # the BIOS calls this: there is nothing to set up
        .org 0x1a
        .word plug_and_play

        .org 0x20
plug_and_play:
        .ascii "$PnP"
        .byte 1                         # revision
        .byte 2                         # length in units of 16 bytes
        .word 0                         # no further header
        .byte 0
        .byte 0                         # checksum
        .long 0                         # device id
        .word maker
        .word product
        .byte 0, 0, 0                   # device type
        .byte 0x14                      # may be shadowed; is a boot device
        .word 0                         # no boot connection vector
        .word 0                         # no disconnect vector
        .word boot                      # boot entry vector
        .word 0
        .word 0                         # no static resources

maker:  .asciz "vmmgr"
product: .asciz "Linux from the machine file"

# For each part the keys of its address, its length and its content.
parts:
        .byte 0x13, 0x14, 0x15          # command line
        .byte 0x0a, 0x0b, 0x12          # initrd
        .byte 0x07, 0x08, 0x11          # kernel
        .byte 0x16, 0x17, 0x18          # real-mode part
parts_end:

boot:
        cli
        cld
        xor ax, ax
        mov ss, ax
        mov sp, STACK
        mov ds, ax
        mov si, offset parts
next_part:
        call next_value
        bswap eax
        mov [DESCRIPTOR + 12], eax
        mov dword ptr [DESCRIPTOR + 8], 0
        call next_value
        test eax, eax
        jz no_content
        bswap eax
        mov [DESCRIPTOR + 4], eax
        movzx eax, byte ptr cs:[si]
        shl eax, 16
        mov al, CONTROL_READ_SELECTED
        bswap eax
        mov [DESCRIPTOR], eax
        xor eax, eax
        mov dx, DMA_HIGH
        out dx, eax
        mov eax, DESCRIPTOR
        bswap eax
        mov dx, DMA_LOW
        out dx, eax
wait_done:
        mov eax, [DESCRIPTOR]
        bswap eax
        test al, CONTROL_ERROR
        jnz failed
        test eax, eax
        jnz wait_done
no_content:
        inc si
        cmp si, offset parts_end
        jb next_part

        mov al, SETUP_ADDRESS
        call value
        shr eax, 4
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        xor esp, esp                    # the segment's end
        add ax, 0x20
        push ax
        push 0
        retf

failed: int 0x18                        # the BIOS may try something else
        hlt
        jmp failed

# The next key of the list, and its item's value.
next_value:
        mov al, cs:[si]
        inc si
# EAX = the 32-bit item with key AL.
value:  movzx ax, al
        mov dx, SELECTOR
        out dx, ax
        inc dx
        mov cx, 4
next_byte:
        in al, dx
        ror eax, 8
        loop next_byte
        ret
