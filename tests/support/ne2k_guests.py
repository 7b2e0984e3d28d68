# SPDX-License-Identifier: BSD-2-Clause
"""Guests of a few hundred bytes that drive an NE2000 at its first port, in 16-bit mode.

The registers are those of manager.devices.ne2k.registers. `setup` writes a table of register and
value pairs to the card at BX, whose ports begin at a multiple of 32.
"""

from __future__ import annotations

SETUP = """
setup:  lodsb                   /* a register, or the end */
        cmp al, 0xff
        je done
        mov dx, bx
        or dl, al
        lodsb
        out dx, al
        jmp setup
done:   ret
"""
PREPARE = (
    "0,0x21, 0xe,0x48, 1,0x46, 2,0x80, 3,0x46, 7,0xff, 0xd,0, "
    "0,0x61, 7,0x47, 0,0x22, 0xc,0x14, 0xf,0x01"
)
"""Stopped, byte-wide, receives in pages 46h to 7Fh, next in 47h; started, takes all frames.

What it receives it tells on its pin.
"""
TO_PAGE_40 = "8,0, 9,0x40, 0xa,60, 0xb,0, 0,0x12"
"""Remote DMA of 60 bytes to where frames are sent from; what follows goes to the data port."""
TRANSMIT = "7,0x40, 4,0x40, 5,60, 6,0, 0,0x26"

GREETING = f"""
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov bx, 0xc000
        mov si, offset before
        call setup
        mov si, offset frame
        mov dx, 0xc010
        mov cx, 60
        rep outsb
        mov si, offset send
        call setup
        mov dx, 0xc007
wait:   in al, dx               /* until a frame is there */
        test al, 1
        jz wait
        mov si, offset fetch
        call setup
        mov di, 0x7000
        mov dx, 0xc010
        mov cx, 46
        rep insb
        mov byte ptr [di], 0
        mov si, 0x7000
        mov dx, 0x3f8
print:  lodsb
        test al, al
        jz end
        out dx, al
        jmp print
end:    mov dx, 0x604           /* off, by PM1 control of ACPI */
        mov ax, 0x3400
        out dx, ax
        hlt
{SETUP}
before: .byte {PREPARE}, {TO_PAGE_40}, 0xff
send:   .byte {TRANSMIT}, 0xff
fetch:  .byte 8,0x12, 9,0x47, 0xa,46, 0xb,0, 0,0x0a, 0xff
frame:  .byte 0xff,0xff,0xff,0xff,0xff,0xff, 2,0,0,0,0,1, 0x88,0xb5
"""
"""Sends the 46 bytes after it, prints what it gets, powers off: a guest of `vmmgr new --lab`."""

STATION = f"""
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov word ptr [0x72 * 4], offset irq
        mov [0x72 * 4 + 2], ax
        mov al, 0x11            /* both PICs: at 08h and 70h, the second at IRQ 2 of the first */
        out 0x20, al
        out 0xa0, al
        mov al, 0x08
        out 0x21, al
        mov al, 0x70
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfb            /* IRQ 2 of the first and IRQ 10 */
        out 0x21, al
        out 0xa1, al
        mov dx, 0x4d1
        mov al, 4               /* by level */
        out dx, al
        mov bx, 0xc020
        mov si, offset before
        call setup
        mov bx, 0xc000
        mov si, offset before
        call setup
        {{BEGIN}}
take:   mov dx, 0xc000          /* page 1: where the next frame will be */
        mov al, 0x62
        out dx, al
        mov dl, 7
        in al, dx
        mov ah, al
        mov dl, 0
        mov al, 0x22
        out dx, al
        cmp ah, [fetch + 3]
        jne there
        sti
        hlt
        cli
        jmp take
there:  mov bx, 0xc000
        mov si, offset fetch
        call setup
        mov di, 0x7000
        mov dx, 0xc010
        mov cx, 64
        rep insb
        mov dx, 0xc003          /* read up to here */
        mov al, [fetch + 3]
        out dx, al
        mov al, [0x7001]        /* the page after it */
        mov [fetch + 3], al
        inc dword ptr [0x7012]
        {{TAKEN}}
pass:   mov bx, 0xc020
        mov si, offset before_sending
        call setup
        mov si, 0x7004
        mov dx, 0xc030
        mov cx, 60
        rep outsb
        mov si, offset send
        call setup
        jmp take
irq:    push ax
        push dx
        mov dx, 0xc007
        mov al, 0x7f
        out dx, al
        mov dx, 0xc027
        out dx, al
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop dx
        pop ax
        iret
{SETUP}
before: .byte {PREPARE}, 0xff
before_sending: .byte {TO_PAGE_40}, 0xff
send:   .byte {TRANSMIT}, 0xff
fetch:  .byte 8,0, 9,0x47, 0xa,64, 0xb,0, 0,0x0a, 0xff
"""
"""Waits for a frame at the first card, counts in it, and sends it on by the second card."""
FIRST = """
        mov di, 0x7004          /* the first frame, to all */
        mov al, 0xff
        mov cx, 6
        rep stosb
        mov word ptr [0x7010], 0xb588
        jmp pass
"""
ROUND = """
        mov dx, 0x3f8
        mov al, '.'             /* it is here again */
        out dx, al
        cmp dword ptr [0x7012], {HOPS}
        jb pass
        jne wrong
        mov al, '!'
        out dx, al
        jmp take
wrong:  mov al, '?'
        out dx, al
        jmp take
"""


def station() -> str:
    """One that passes on what it gets."""
    return STATION.replace("{BEGIN}", "").replace("{TAKEN}", "")


def first_station(hops: int) -> str:
    """One that sends a frame, prints a dot when it is back, and `!` after so many hops in all."""
    return STATION.replace("{BEGIN}", FIRST).replace("{TAKEN}", ROUND.replace("{HOPS}", str(hops)))
