/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual-8086 mode under a monitor: what traps, what does not, and what the monitor sees. */
#include "kernel.inc"

#define PLACE           0x8000          /* where the 8086 programs run */
#define SEGMENT         (PLACE/16)
#define STACK_SEGMENT   0x700

/* Runs 8086 code (up to the label 9) in virtual-8086 mode with these flags. */
        .macro  try86 resume, flags=0
        try     \resume
        mov     ebx, \flags
        call    enter_v86
        .endm

        .macro  at86 at
        mov     eax, offset \at
        sub     eax, offset programs
        mov     [want_ip], eax
        .endm

        .macro  caught86 vector, error, at, words
        mov     dword ptr [want_vector], \vector
        mov     dword ptr [want_error], \error
        at86    \at
        text    "\words"
        call    report_caught
        .endm

        .macro  program start, resume, flags=0
        mov     ecx, offset \start
        try86   \resume, \flags
        .endm

main:
        lea     esi, [programs]
        mov     edi, PLACE
        mov     ecx, offset programs_end - programs
        rep     movsb

        program p_cli, 1f
1:      caught86 13, 0, p_cli, "IOPL 0: GP by CLI"
        check   [got_cs], SEGMENT, "CS is a segment of the 8086 kind"
        mov     ecx, [got_flags]
        and     ecx, FLAG_VM
        check   ecx, FLAG_VM, "VM is in the saved flags"
        check   [got_ss], STACK_SEGMENT, "SS too"
        program p_sti, 1f
1:      caught86 13, 0, p_sti, "IOPL 0: GP by STI"
        program p_pushf, 1f
1:      caught86 13, 0, p_pushf, "IOPL 0: GP by PUSHF"
        program p_popf, 1f
1:      caught86 13, 0, p_popf, "IOPL 0: GP by POPF"
        program p_int, 1f
1:      caught86 13, 0, p_int, "IOPL 0: GP by INT"
        program p_iret, 1f
1:      caught86 13, 0, p_iret, "IOPL 0: GP by IRET"
        program p_hlt, 1f, FLAG_IOPL3
1:      caught86 13, 0, p_hlt, "IOPL 3: GP by HLT"
        program p_cr0, 1f, FLAG_IOPL3
1:      caught86 13, 0, p_cr0, "IOPL 3: GP by MOV from CR0"
        program p_lar, 1f, FLAG_IOPL3
1:      caught86 6, 0, p_lar, "UD by an instruction of protected mode"
        program p_in, 1f, FLAG_IOPL3
1:      caught86 13, 0, p_in, "IOPL 3: GP by IN, the bitmap decides"
        gate    3, stub_3, GATE_FOR_RING3
        and     byte ptr [tss + TSS_BITMAP + 0x80 / 8], 0xfe
        program p_in, 1f
1:      caught86 3, 0, p_in_end, "IN that the bitmap allows"
        program p_divide, 1f
1:      caught86 0, 0, p_divide_at, "DE"
        program p_ud, 1f
1:      caught86 6, 0, p_ud, "UD"

        gate    0x30, stub_48, GATE_FOR_RING3
        program p_int30, 1f, FLAG_IOPL3
1:      caught86 0x30, 0, p_int30_end, "IOPL 3: INT through a gate of ring 3"
        program p_int, 1f, FLAG_IOPL3
1:      caught86 13, IN_IDT(0x21), p_int, "IOPL 3: GP by INT through a gate of ring 0"

        program p_memory, 1f, FLAG_IOPL3
1:      caught86 0x30, 0, p_memory_end, "loads and stores by segment and offset"
        movzx   ecx, word ptr [0x12345]
        check   ecx, 0xbeef, "reach linear 16 * segment + offset"
        program p_flags, 1f, FLAG_IOPL3+FLAG_IF
1:      caught86 0x30, 0, p_flags_end, "IOPL 3: CLI, STI and PUSHF just run"
        movzx   ecx, word ptr [0x12347]
        and     ecx, FLAG_IF
        check   ecx, 0, "CLI cleared IF"
        jmp     finish

/* ECX is the program, EBX the flags. */
enter_v86:
        sub     ecx, offset programs
        push    0                       /* GS FS DS ES */
        push    0
        push    0x1234
        push    0
        push    STACK_SEGMENT
        push    0xffe
        or      ebx, FLAG_VM + 2
        push    ebx
        push    SEGMENT
        push    ecx
        iretd

        .code16
programs:
p_cli:          cli
p_sti:          sti
p_pushf:        pushf
p_popf:         popf
p_int:          int     0x21
p_iret:         iret
p_hlt:          hlt
p_cr0:          mov     eax, cr0
p_lar:          lar     ax, ax
p_in:           in      al, 0x80
                int3
p_in_end:       nop
p_divide:       xor     cx, cx
p_divide_at:    div     cx
p_ud:           ud2
p_int30:        int     0x30
p_int30_end:    nop
p_memory:       mov     ax, 0xbeef
                mov     [5], ax
                mov     bx, [5]
                cmp     ax, bx
                jne     p_ud
                int     0x30
p_memory_end:   nop
p_flags:        sti
                cli
                pushf
                pop     word ptr [7]
                sti
                int     0x30
p_flags_end:    nop
programs_end:
