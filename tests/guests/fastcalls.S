/* SPDX-License-Identifier: BSD-2-Clause */
/* SYSCALL/SYSRET and SYSENTER/SYSEXIT, by whatever the CPU model has of them. */
#include "kernel.inc"

#if BITS == 64
#define EXIT_32          sysexitd
#else
#define EXIT_32          sysexit
#endif
#define RETURN_32        sysretd

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_EFER         0xc0000080
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_CSTAR        0xc0000083
#define MSR_FMASK        0xc0000084
/* SYSENTER and SYSCALL want their segments in this order, the RING3_* for 64 bits last. */
#define CODE0_FAST       SPARE
#define DATA0_FAST       (SPARE+8)
#define CODE3_32         (SPARE+16)
#define DATA3_FAST       (SPARE+24)
#define CODE3_64         (SPARE+32)
#define DATA3_64         (SPARE+40)

        .macro  set_msr number, low, high=0
        mov     ecx, \number
        mov     eax, \low
        mov     edx, \high
        wrmsr
        .endm

main:
#if BITS == 64
        mov     rax, 0x00af9b000000ffff
        mov     [gdt + CODE0_FAST], rax
        mov     rax, 0x00affb000000ffff
        mov     [gdt + CODE3_64], rax
        mov     dword ptr [gdt + DATA3_64], 0xffff
        mov     dword ptr [gdt + DATA3_64 + 4], 0x00cff300
#else
        mov     dword ptr [gdt + CODE0_FAST], 0xffff
        mov     dword ptr [gdt + CODE0_FAST + 4], 0x00cf9b00
#endif
        mov     dword ptr [gdt + DATA0_FAST], 0xffff
        mov     dword ptr [gdt + DATA0_FAST + 4], 0x00cf9300
        mov     dword ptr [gdt + CODE3_32], 0xffff
        mov     dword ptr [gdt + CODE3_32 + 4], 0x00cffb00
        mov     dword ptr [gdt + DATA3_FAST], 0xffff
        mov     dword ptr [gdt + DATA3_FAST + 4], 0x00cff300

        xor     eax, eax
        cpuid
        mov     [vendor], ebx           /* "Genu" or "Auth" */

/* ---- SYSENTER ---- */

        cmp     dword ptr [vendor], 0x756e6547
        je      intel
#if BITS == 64
        try     1f
2:      sysenter
1:      caught  6, 0, 2b, "AMD: UD by SYSENTER in long mode"
        try     1f
2:      EXIT_32
1:      caught  6, 0, 2b, "AMD: UD by SYSEXIT in long mode"
        jmp     amd
#endif
intel:
        set_msr MSR_SYSENTER_CS, 0
        try3    2f, 1f
2:      sysenter
1:      caught  13, 0, 2b, "GP by SYSENTER while its MSR is 0"
        try     1f
2:      EXIT_32
1:      caught  13, 0, 2b, "GP by SYSEXIT while its MSR is 0"
        set_msr MSR_SYSENTER_CS, CODE0_FAST
        set_msr MSR_SYSENTER_ESP, "offset kernel_stack_top - 256"
        set_msr MSR_SYSENTER_EIP, "offset 1f"
        enter_ring3 2f, FLAG_IF+FLAG_CF+2
2:      sysenter
1:      mov     [seen_stack], STK
        mov     [seen_cs], cs
        mov     [seen_ss], ss
        PUSHF
        pop     WIDE [seen_flags]
        mov     ax, DATA0
        mov     ds, ax
        mov     es, ax
        check   [seen_cs], CODE0_FAST, "SYSENTER loads CS from its MSR"
        check   [seen_ss], DATA0_FAST, "and SS, the next"
        mov     ebx, offset kernel_stack_top - 256
        check   [seen_stack], ebx, "and the stack pointer"
        mov     ecx, [seen_flags]
        and     ecx, FLAG_IF
        check   ecx, 0, "IF is clear"
        mov     ecx, [seen_flags]
        and     ecx, FLAG_CF
        check   ecx, FLAG_CF, "CF is as it was"
        try     1f
        mov     DAT, offset 2f
        mov     CNT, offset user_stack_top
        EXIT_32
2:      mov     ebx, esp
3:      cli
1:      caught  13, 0, 3b, "SYSEXIT goes to ring 3"
        check   [got_cs], CODE3_32+3, "with the code segment after those two"
        check   [got_ss], DATA3_FAST+3, "and the data segment"
        mov     ecx, offset user_stack_top
        check   ebx, ecx, "and the stack that RCX told"
#if BITS == 64
        try     1f
        mov     rdx, offset 2f
        mov     rcx, offset user_stack_top
        sysexitq
2:      mov     r8, 0x123456789
3:      cli
1:      caught  13, 0, 3b, "SYSEXIT with REX.W stays in 64-bit code"
        check   [got_cs], CODE3_64+3, "with the segment for it"
        mov     rbx, 0x123456789
        cmp     r8, rbx
        sete    cl
        movzx   ecx, cl
        check   ecx, 1, "and runs it"
#endif
        try3    2f, 1f
2:      EXIT_32
1:      caught  13, 0, 2b, "GP by SYSEXIT in ring 3"
#if BITS == 32
        cmp     dword ptr [vendor], 0x756e6547
        je      done
#endif

/* ---- SYSCALL ---- */
amd:
        try     1f
2:      syscall
1:      caught  6, 0, 2b, "UD by SYSCALL while EFER.SCE is clear"
        mov     ecx, MSR_EFER
        rdmsr
        or      eax, 1
        wrmsr
#if BITS == 32
        set_msr MSR_STAR, "offset 1f", CODE0_FAST+((CODE3_32+3)<<16)
        enter_ring3 2f, FLAG_IF+2
2:      syscall
3:      nop
1:      mov     [seen_cs], cs
        mov     ebx, ecx
        PUSHF
        pop     dword ptr [seen_flags]
        mov     ax, DATA0
        mov     ds, ax
        mov     es, ax
        check   [seen_cs], CODE0_FAST, "legacy SYSCALL loads CS from STAR"
        mov     ecx, offset 3b
        check   ebx, ecx, "ECX is the return address"
        mov     ecx, [seen_flags]
        and     ecx, FLAG_IF
        check   ecx, 0, "IF is clear"
        try     1f
        mov     ecx, offset 2f
        sysretd
2:      cli
1:      caught  13, 0, 2b, "legacy SYSRET goes to ring 3"
        check   [got_cs], CODE3_32+3, "with CS from STAR"
#else
        set_msr MSR_STAR, 0, CODE0_FAST+((CODE3_32+3)<<16)
        set_msr MSR_LSTAR, "offset 1f"
        set_msr MSR_CSTAR, "offset 4f"
        set_msr MSR_FMASK, FLAG_IF+FLAG_CF
        enter_ring3 2f, FLAG_IF+FLAG_CF+2
2:      syscall
3:      nop
1:      mov     [seen_cs], cs
        mov     [seen_ss], ss
        mov     rbx, rcx
        mov     [seen_stack], rsp
        lea     rsp, [kernel_stack_top]
        pushfq
        pop     qword ptr [seen_flags]
        mov     [saved_flags], r11
        check   [seen_cs], CODE0_FAST, "SYSCALL loads CS from STAR"
        check   [seen_ss], DATA0_FAST, "and SS, the next"
        mov     ecx, offset 3b
        check   ebx, ecx, "RCX is the return address"
        mov     ebx, offset user_stack_top
        check   [seen_stack], ebx, "the stack is still the caller's"
        mov     ecx, [seen_flags]
        and     ecx, FLAG_IF+FLAG_CF
        check   ecx, 0, "the flags of FMASK are clear"
        mov     ecx, [saved_flags]
        and     ecx, FLAG_IF+FLAG_CF
        check   ecx, FLAG_IF+FLAG_CF, "R11 has them as they were"
        try     1f
        mov     rcx, offset 2f
        mov     r11d, FLAG_CF + 2
        sysretq
2:      setc    bl
3:      cli
1:      caught  13, 0, 3b, "SYSRET goes to ring 3"
        check   [got_cs], CODE3_64+3, "in 64-bit code: STAR + 16"
        check   [got_ss], CODE3_32+8+3, "its stack: STAR + 8"
        movzx   ecx, bl
        check   ecx, 1, "with the flags of R11"

        cmp     dword ptr [vendor], 0x756e6547  /* Intel has no SYSCALL there */
        je      done
        try     1f
        mov     ecx, offset 2f
        mov     r11d, 2
        sysretd
        .code32
2:      inc     ebx                     /* compatibility mode */
        syscall
3:      nop
        .code64
4:      mov     rbx, rcx
        mov     [seen_cs], cs
        lea     rsp, [kernel_stack_top]
        check   [seen_cs], CODE0_FAST, "SYSCALL from compatibility mode"
        mov     ecx, offset 3b
        check   ebx, ecx, "enters at CSTAR, RCX is the return address"
1:
#endif
        try3    2f, 1f
2:      RETURN_32
1:      caught  13, 0, 2b, "GP by SYSRET in ring 3"
done:   jmp     finish

        .data
        .balign 8
vendor:         .quad 0
seen_stack:     .quad 0
seen_cs:        .quad 0
seen_ss:        .quad 0
seen_flags:     .quad 0
saved_flags:    .quad 0
