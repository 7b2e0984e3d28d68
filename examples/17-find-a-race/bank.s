# SPDX-License-Identifier: BSD-2-Clause
# A bank with two clerks, a CPU each. Both pay into one account.
        .intel_syntax noprefix
        .globl  start
        .set    COM1, 0x3f8
        .set    APIC_SPURIOUS, 0xfee000f0
        .set    APIC_COMMAND, 0xfee00300
        .set    INIT, 0xc4500           # to all other CPUs
        .set    STARTUP, 0xc4600
        .set    PAGE, 0x8000            # where the second CPU begins
        .set    DEPOSITS, 20

        .balign 4
        .long   0x1badb002              # multiboot 1
        .long   0
        .long   -0x1badb002

# ---- what it is about ----

clerk:  lock inc dword ptr [present]
1:      pause                           # until both are there
        cmp     dword ptr [present], 2
        jb      1b
        mov     ecx, DEPOSITS
2:      call    deposit
        dec     ecx
        jnz     2b
        lock inc dword ptr [finished]
        ret

deposit:
        mov     eax, [balance]
        add     eax, 1
        mov     [balance], eax
        ret

take:   mov     eax, 1                  # a spin lock
        xchg    eax, [lock]
        test    eax, eax
        jz      1f
        pause
        jmp     take
1:      ret

release:
        mov     dword ptr [lock], 0
        ret

# ---- the first CPU ----

start:  mov     esp, offset stacks + 4096
        mov     esi, offset second
        mov     edi, PAGE
        mov     ecx, offset second_end - second
        rep movsb
        mov     dword ptr [APIC_SPURIOUS], 0x1ff
        mov     dword ptr [APIC_COMMAND], INIT
        mov     dword ptr [APIC_COMMAND], STARTUP + (PAGE >> 12)
        call    clerk
1:      pause
        cmp     dword ptr [finished], 2
        jb      1b
        mov     esi, offset right
        cmp     dword ptr [balance], 2 * DEPOSITS
        je      2f
        mov     esi, offset wrong
2:      call    print
        mov     eax, [balance]
        mov     cl, 10
        div     cl
        add     ax, 0x3030              # two digits
        mov     [digits], ax
        mov     esi, offset digits
        call    print
idle:   sti
        hlt
        jmp     idle

print:  mov     dx, COM1
1:      lodsb
        test    al, al
        jz      2f
        out     dx, al
        jmp     1b
2:      ret

# ---- the second CPU: in real mode, in PAGE, then as the first ----

        .code16
second: cli
        mov     ax, cs
        mov     ds, ax
        .byte   0x66                    # a base of 32 bits
        lgdt    [gdtr - second]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea              # jmp 8:second_32
        .long   second_32
        .word   8
gdtr:   .word   gdt_end - gdt - 1
        .long   gdt
second_end:
        .code32
second_32:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, offset stacks + 8192
        call    clerk
        jmp     idle

        .data
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
balance:  .long 0
lock:     .long 0
present:  .long 0
finished: .long 0
right:  .asciz  "right: "
wrong:  .asciz  "wrong: "
digits: .asciz  "00\r\n"
        .bss
        .balign 16
stacks: .skip   8192
