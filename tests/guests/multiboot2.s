# SPDX-License-Identifier: BSD-2-Clause
# A multiboot 2 kernel that tells on COM1 how it was entered and what its boot loader passed, a line
# each, then ends the machine through the debug-exit port with 0. It is entered at its first byte.

        .set HEADER_MAGIC, 0xe85250d6
        .set TAG_COMMAND_LINE, 1
        .set TAG_LOADER, 2
        .set TAG_MODULE, 3
        .set TAG_MEMORY_MAP, 6
        .set TAG_ACPI_OLD, 14
        .set TAG_ACPI_NEW, 15
        .set SIGNATURE_LENGTH, 8
        .set COM1, 0x3f8
        .set COM1_LSR, 0x3fd
        .set LSR_THRE, 0x20
        .set DEBUG_EXIT, 0xf4

        .macro  tell words
        .pushsection .data
77:     .asciz  "\words"
        .popsection
        mov     esi, offset 77b
        call    print
        .endm

        .text
_start: jmp     start

        .balign 8
header: .long   HEADER_MAGIC
        .long   0                       # to be entered in 32-bit mode
        .long   header_end - header
        .long   -(HEADER_MAGIC + header_end - header)
        .word   0, 0                    # end of the tags
        .long   8
header_end:

start:  mov     esp, offset stack_top
        cld
        mov     edi, ebx                # the boot information
        push    eax
        tell    "magic "
        pop     eax
        call    print_hex
        tell    "\ncr0 "
        mov     eax, cr0
        call    print_hex
        tell    "\nflags "
        pushfd
        pop     eax
        call    print_hex
        call    print_line

        add     edi, 8
next_tag:
        mov     eax, [edi]
        mov     ebx, [edi + 4]          # the tag's length with its head
        test    eax, eax
        jz      finish
        cmp     eax, TAG_COMMAND_LINE
        je      command_line
        cmp     eax, TAG_LOADER
        je      loader
        cmp     eax, TAG_MODULE
        je      module
        cmp     eax, TAG_MEMORY_MAP
        je      memory_map
        cmp     eax, TAG_ACPI_OLD
        je      acpi
        cmp     eax, TAG_ACPI_NEW
        je      acpi
        tell    "tag "
        mov     eax, [edi]
        call    print_hex
        call    print_line
tag_done:
        lea     edi, [edi + ebx + 7]
        and     edi, -8
        jmp     next_tag

command_line:
        tell    "command line: "
        jmp     tag_text
loader: tell    "loader: "
tag_text:
        lea     esi, [edi + 8]
        call    print
        call    print_line
        jmp     tag_done

module: tell    "module "
        lea     esi, [edi + 16]
        call    print
        tell    ": "
        mov     esi, [edi + 8]
        mov     ecx, [edi + 12]
        sub     ecx, esi
        call    print_length
        call    print_line
        jmp     tag_done

acpi:   tell    "acpi "
        lea     esi, [edi + 8]
        mov     ecx, SIGNATURE_LENGTH
        call    print_length
        call    print_line
        jmp     tag_done

memory_map:                             # each line: base, length, type
        lea     ebp, [edi + 16]
next_range:
        lea     eax, [edi + ebx]
        cmp     ebp, eax
        jae     tag_done
        tell    "memory "
        mov     eax, [ebp + 4]
        call    print_hex
        mov     eax, [ebp]
        call    print_hex
        tell    " "
        mov     eax, [ebp + 12]
        call    print_hex
        mov     eax, [ebp + 8]
        call    print_hex
        tell    " "
        mov     eax, [ebp + 16]
        call    print_hex
        call    print_line
        add     ebp, [edi + 8]          # an entry's length
        jmp     next_range

finish: tell    "end\n"
        xor     eax, eax
        mov     edx, DEBUG_EXIT
        out     dx, al
1:      hlt
        jmp     1b

print:  lodsb                           # at ESI, up to a zero
        test    al, al
        jz      1f
        call    print_character
        jmp     print
1:      ret

print_length:                           # at ESI, ECX characters
        jecxz   1f
        lodsb
        call    print_character
        dec     ecx
        jmp     print_length
1:      ret

print_hex:                              # EAX
        mov     ecx, 8
1:      rol     eax, 4
        push    eax
        and     al, 15
        cmp     al, 10
        jb      2f
        add     al, 'a' - '0' - 10
2:      add     al, '0'
        call    print_character
        pop     eax
        dec     ecx
        jnz     1b
        ret

print_line:
        mov     al, '\n'
print_character:
        push    eax
        mov     edx, COM1_LSR
1:      in      al, dx
        test    al, LSR_THRE
        jz      1b
        mov     edx, COM1
        pop     eax
        out     dx, al
        ret

        .bss
        .balign 16
        .skip   1024
stack_top:
