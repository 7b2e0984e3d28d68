# SPDX-License-Identifier: BSD-2-Clause
# A 64-bit kernel. A multiboot 2 loader enters it in 32-bit protected mode; it builds page tables,
# goes to long mode, and reads on COM1 what the loader has told it.
        .intel_syntax noprefix
        .globl start

        .set COM1, 0x3f8
        .set PM1_CONTROL, 0x604
        .set SLEEP_S5, 0x3400
        .set CR0_PG, 1 << 31
        .set CR4_PAE, 1 << 5
        .set EFER, 0xc0000080
        .set EFER_LME, 1 << 8
        .set PRESENT_WRITABLE, 0x03
        .set BIG, 0x80                  # a page of 2 MiB
        .set CODE64, 0x08

# ---- the header that a boot loader looks for

        .section .multiboot, "a"
header: .long   0xe85250d6              # multiboot 2
        .long   0                       # to be entered in 32-bit mode
        .long   header_end - header
        .long   -(0xe85250d6 + header_end - header)
        .word   0, 0                    # end of the tags
        .long   8
header_end:

# ---- 32 bits: EAX has the loader's magic number, EBX the address of its information

        .text
        .code32
start:  mov     esp, offset stack_top
        mov     edi, ebx                # the 64-bit code's argument

        # Four levels of tables; three have one entry, the last maps 1 GiB where it is.
        mov     eax, offset level3 + PRESENT_WRITABLE
        mov     [level4], eax
        mov     eax, offset level2 + PRESENT_WRITABLE
        mov     [level3], eax
        xor     ecx, ecx
1:      mov     eax, ecx
        shl     eax, 21
        or      eax, PRESENT_WRITABLE | BIG
        mov     [level2 + ecx * 8], eax
        inc     ecx
        cmp     ecx, 512
        jb      1b

        mov     eax, cr4
        or      eax, CR4_PAE
        mov     cr4, eax
        mov     eax, offset level4
        mov     cr3, eax
        mov     ecx, EFER
        rdmsr
        or      eax, EFER_LME
        wrmsr
        mov     eax, cr0
        or      eax, CR0_PG
        mov     cr0, eax                # long mode is on, in a 32-bit segment
        lgdt    [gdt_register]
        jmp     CODE64:long_mode

# ---- 64 bits

        .code64
long_mode:
        xor     eax, eax
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        lea     rsi, hello[rip]
        call    say

        # The information: its size, a reserved word, then tags of (type, size), 8-byte aligned.
        lea     rbx, [rdi + 8]
tag:    mov     eax, [rbx]
        test    eax, eax
        jz      done
        cmp     eax, 1
        jne     2f
        lea     rsi, cmdline[rip]
        call    say
        lea     rsi, [rbx + 8]
        call    say
        lea     rsi, newline[rip]
        call    say
2:      cmp     dword ptr [rbx], 4
        jne     3f
        lea     rsi, memory[rip]
        call    say
        mov     eax, [rbx + 12]         # KiB above 1 MiB
        shr     eax, 10
        inc     eax
        call    say_number
        lea     rsi, mib[rip]
        call    say
3:      mov     eax, [rbx + 4]
        add     rax, 7
        and     rax, -8
        add     rbx, rax
        jmp     tag

done:   lea     rsi, deep[rip]
        call    say
        mov     rax, 0x123456789        # more than 32 bits
        mov     rcx, 10000019
        xor     edx, edx
        div     rcx
        call    say_number
        lea     rsi, newline[rip]
        call    say
        mov     dx, PM1_CONTROL
        mov     ax, SLEEP_S5
        out     dx, ax
        hlt

# Send the text at RSI.
say:    mov     dx, COM1
1:      lodsb
        test    al, al
        jz      2f
        out     dx, al
        jmp     1b
2:      ret

# Send RAX as a decimal number.
say_number:
        xor     ecx, ecx
        mov     r8d, 10
1:      xor     edx, edx
        div     r8
        push    rdx
        inc     ecx
        test    rax, rax
        jnz     1b
        mov     dx, COM1
2:      pop     rax
        add     al, '0'
        out     dx, al
        loop    2b
        ret

hello:  .asciz  "64 bits.\r\n"
cmdline:.asciz  "Command line: "
memory: .asciz  "Memory: "
mib:    .asciz  " MiB\r\n"
deep:   .asciz  "0x123456789 / 10000019 = "
newline:.asciz  "\r\n"

        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      # code, 64 bits
gdt_register:
        .word   gdt_register - gdt - 1
        .quad   gdt

        .bss
        .balign 4096
level4: .skip   4096
level3: .skip   4096
level2: .skip   4096
        .skip   4096
stack_top:
