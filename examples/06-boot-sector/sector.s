# SPDX-License-Identifier: BSD-2-Clause
# A boot sector: 512 bytes, entered in real mode at 0x7c00. It switches to 32-bit protected mode,
# asks the CPU who made it, says so on COM1, and ends with the status that it was given.
        .intel_syntax noprefix
        .globl _start

        .set COM1, 0x3f8
        .set DEBUG_EXIT, 0xf4
        .set CR0_PE, 1
        .set CODE, 0x08                 # selectors: the GDT's second and third entry
        .set DATA, 0x10

        .code16
_start: cli
        xor     ax, ax
        mov     ds, ax
        lgdt    [gdt_register]
        mov     eax, cr0
        or      al, CR0_PE
        mov     cr0, eax
        jmp     CODE:protected

        .code32
protected:
        mov     ax, DATA
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7c00
        xor     eax, eax
        cpuid                           # EBX, EDX, ECX: the vendor, twelve letters
        mov     [vendor], ebx
        mov     [vendor + 4], edx
        mov     [vendor + 8], ecx
        mov     esi, offset text
        mov     dx, COM1
next:   lodsb
        test    al, al
        jz      done
        out     dx, al
        jmp     next
done:   mov     dx, DEBUG_EXIT
        mov     al, 21
        out     dx, al
        hlt

text:   .ascii  "512 bytes, 32 bits, made by "
vendor: .ascii  "????????????\r\n\0"

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # code: base 0, limit 4 GiB, 32 bits
        .quad   0x00cf93000000ffff      # data: the same
gdt_register:
        .word   gdt_register - gdt - 1
        .long   gdt

        .org    510                     # what a BIOS looks for at the end of a boot sector
        .word   0xaa55
