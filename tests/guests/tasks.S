/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware tasks of 32-bit protected mode, and the I/O permission bitmap. */
#include "kernel.inc"

#define TASK2           SPARE           /* descriptors of our own */
#define TASK_GATE       (SPARE+8)
#define SHORT_TASK      (SPARE+16)
#define ABSENT_TASK     (SPARE+24)

#define TSS_BACK        0
#define TSS_CR3         28
#define TSS_EIP         32
#define TSS_EFLAGS      36
#define TSS_EAX         40
#define TSS_EBX         52
#define TSS_ESP         56
#define TSS_ES          72
#define TSS_CS          76
#define TSS_SS          80
#define TSS_DS          84
#define BUSY            2
#define LEAVE           0x30            /* an interrupt that ring 3 may call to say it came through */

        .macro  task_descriptor selector, at, limit, type
        lea     eax, [\at]
        mov     edx, eax
        shl     eax, 16
        or      eax, \limit
        mov     [gdt + \selector], eax
        mov     eax, edx
        and     edx, 0xff000000
        shr     eax, 16
        and     eax, 0xff
        or      eax, edx
        or      eax, \type << 8
        mov     [gdt + \selector + 4], eax
        .endm

        .macro  aim at
        mov     dword ptr [tss2 + TSS_EIP], offset \at
        mov     dword ptr [tss2 + TSS_ESP], offset task_stack_top
        mov     dword ptr [tss2 + TSS_EFLAGS], 2
        mov     dword ptr [tss2 + TSS_CS], CODE0
        and     byte ptr [gdt + TASK2 + 5], 0xff - BUSY
        .endm

main:
        task_descriptor TASK2, tss2, 103, 0x89
        task_descriptor SHORT_TASK, tss2, 50, 0x89
        task_descriptor ABSENT_TASK, tss2, 103, 0x09
        mov     dword ptr [gdt + TASK_GATE], TASK2 << 16
        mov     dword ptr [gdt + TASK_GATE + 4], 0x8500
        mov     eax, cr3
        mov     [tss2 + TSS_CR3], eax
        mov     dword ptr [tss2 + TSS_ES], DATA0
        mov     dword ptr [tss2 + TSS_SS], DATA0
        mov     dword ptr [tss2 + TSS_DS], DATA0
        mov     dword ptr [tss2 + TSS_EAX], 0x1111
        gate    LEAVE, stub_48, GATE_FOR_RING3

/* ---- JMP: there and back ---- */

        aim     1f
        mov     ebx, 0x2222
        jmp     TASK2:0
2:      check   ebx, 0x2222, "JMP back: the registers are as they were"
        str     cx
        movzx   ecx, cx
        check   ecx, TASK, "TR is the first task"
        jmp     3f
1:      mov     ebx, eax
        mov     esi, esp
        mov     [seen], esi
        mov     eax, cr0
        mov     [seen + 4], eax
        str     [seen + 8]
        mov     al, [gdt + TASK + 5]
        mov     [seen + 12], al
        mov     al, [gdt + TASK2 + 5]
        mov     [seen + 13], al
        jmp     TASK:0
3:      check   [tss2 + TSS_EBX], 0x1111, "JMP: the new task has its own EAX"
        mov     edx, offset task_stack_top
        mov     ebx, edx
        check   [seen], ebx, "and its own stack"
        mov     ecx, [seen + 4]
        and     ecx, 8
        check   ecx, 8, "CR0.TS is set"
        movzx   ecx, word ptr [seen + 8]
        check   ecx, TASK2, "TR is the second task"
        movzx   ecx, byte ptr [seen + 12]
        check   ecx, 0x89, "the first is not busy"
        movzx   ecx, byte ptr [seen + 13]
        check   ecx, 0x8b, "the second is"
        clts

/* ---- CALL and IRET ---- */

        aim     1f
        call    TASK2:0
        jmp     2f
1:      pushfd
        pop     ebx
        iretd
2:      mov     ecx, [tss2 + TSS_EBX]
        and     ecx, FLAG_NT
        check   ecx, FLAG_NT, "CALL sets NT"
        movzx   ecx, word ptr [tss2 + TSS_BACK]
        check   ecx, TASK, "and the back link"
        movzx   ecx, byte ptr [gdt + TASK2 + 5]
        check   ecx, 0x89, "IRET leaves the task available"
        pushfd
        pop     ecx
        and     ecx, FLAG_NT
        check   ecx, 0, "and NT clear in the first"

/* ---- gates ---- */

        aim     1f
        call    TASK_GATE:0
        jmp     2f
1:      mov     ebx, 0x3333
        iretd
2:      check   [tss2 + TSS_EBX], 0x3333, "CALL through a task gate"

        mov     dword ptr [idt + 0x22 * 8], TASK2 << 16
        mov     dword ptr [idt + 0x22 * 8 + 4], 0x8500
        aim     1f
        int     0x22
        jmp     2f
1:      mov     ebx, 0x4444
        iretd
2:      check   [tss2 + TSS_EBX], 0x4444, "INT through a task gate"

        mov     dword ptr [idt + 11 * 8], TASK2 << 16
        mov     dword ptr [idt + 11 * 8 + 4], 0x8500
        aim     1f
        mov     dword ptr [tss + TSS_EIP], 0
        mov     ax, NOT_PRESENT
        mov     es, ax
        nop
        jmp     2f
1:      pop     ebx                     /* the error code, on the task's stack */
        mov     word ptr [tss + TSS_EAX], DATA0         /* repair the cause, go again */
        iretd
2:      check   [tss2 + TSS_EBX], NOT_PRESENT, "NP through a task gate has its error code"
        gate    11, stub_11

        mov     dword ptr [idt + 8 * 8], TASK2 << 16
        mov     dword ptr [idt + 8 * 8 + 4], 0x8500
        aim     1f
        and     byte ptr [idt + 13 * GATE_SIZE + 5], 0x7f
        mov     ax, BEYOND_GDT
        mov     es, ax
1:      mov     ebx, [esp]
        mov     ecx, [tss2 + TSS_BACK]
        or      byte ptr [idt + 13 * GATE_SIZE + 5], 0x80
        lea     eax, [2f]
        mov     [tss + TSS_EIP], eax
        mov     [tss + TSS_EBX], ebx
        pushfd
        pop     eax
        iretd
2:      check   ebx, 0, "DF through a task gate: the old task's stack is not needed"
        gate    8, stub_8

/* ---- what is refused ---- */

        try     1f
2:      jmp     TASK:0
1:      caught  13, TASK, 2b, "GP by a jump to the busy task"
        try     1f
2:      jmp     SHORT_TASK:0
1:      caught  10, SHORT_TASK, 2b, "TS by a TSS that is too short"
        try     1f
2:      jmp     ABSENT_TASK:0
1:      caught  11, ABSENT_TASK, 2b, "NP by a TSS that is not present"
        aim     1f
        mov     dword ptr [tss2 + TSS_SS], NOT_PRESENT
        mov     dword ptr [tss2 + TSS_CS], BEYOND_GDT
        mov     dword ptr [tss2 + TSS_SS], DATA0
        mov     word ptr [tss + TSS_BACK], BEYOND_GDT
        try     1f
        pushfd
        or      dword ptr [esp], FLAG_NT
        popfd
2:      iretd
1:      caught  10, BEYOND_GDT, 2b, "TS by IRET to a task that is not"
        pushfd
        and     dword ptr [esp], ~FLAG_NT
        popfd
        mov     dword ptr [tss + 8], BEYOND_GDT         /* SS0 */
        mov     dword ptr [idt + 10 * 8], TASK2 << 16   /* TS needs a stack: a task gate */
        mov     dword ptr [idt + 10 * 8 + 4], 0x8500
        aim     1f
        enter_ring3 2f
2:      int     LEAVE
1:      pop     ebx
        mov     dword ptr [tss + 8], DATA0
        mov     [seen], ebx
        mov     eax, [tss + TSS_EIP]
        mov     [seen + 4], eax
        mov     dword ptr [tss + TSS_CS], CODE0
        mov     dword ptr [tss + TSS_SS], DATA0
        mov     dword ptr [tss + TSS_DS], DATA0
        mov     dword ptr [tss + TSS_ES], DATA0
        mov     eax, offset kernel_stack_top
        mov     [tss + 56], eax
        lea     eax, [3f]
        mov     [tss + TSS_EIP], eax
        iretd
3:      check   [seen], BEYOND_GDT, "TS by a ring 0 stack that is not"
        mov     ebx, offset 2b
        check   [seen + 4], ebx, "shows the INT itself"
        gate    10, stub_10

/* ---- the I/O bitmap ---- */

        and     byte ptr [tss + TSS_BITMAP + 0x80 / 8], 0xfe    /* allow 80h */
        and     byte ptr [tss + TSS_BITMAP + 0x90 / 8], 0xf0    /* and 90h-93h */
        and     byte ptr [tss + TSS_BITMAP + 0xffff / 8], 0x7f  /* and FFFFh */
        .macro  port_allowed text, words
        try3    3f, 1f
3:      \text
        int     LEAVE
2:
1:      caught  LEAVE, 0, 2b, "\words"
        .endm
        .macro  port_denied text, words
        try3    3f, 1f
3:      mov     dx, 0xffff
2:      \text
1:      caught  13, 0, 2b, "\words"
        .endm
        port_allowed "in al, 0x80", "IN of a byte that the bitmap allows"
        port_allowed "out 0x80, al", "OUT of a byte that the bitmap allows"
        port_denied "in al, 0x81", "IN of a byte that it does not"
        port_denied "out 0x81, al", "OUT of a byte that it does not"
        port_denied "in ax, 0x80", "IN of a word of which it allows half"
        port_denied "in eax, 0x80", "IN of a doubleword of which it allows a quarter"
        port_allowed "in ax, 0x90", "IN of a word that it allows"
        port_allowed "out 0x90, eax", "OUT of a doubleword that it allows"
        port_denied "out 0x91, eax", "OUT of a doubleword of which it allows three quarters"
        try3    3f, 1f
3:      mov     dx, 0xffff
        in      al, dx
        int     LEAVE
2:
1:      caught  LEAVE, 0, 2b, "the last port"
        port_denied "in ax, dx", "a word beyond the last port"
        mov     word ptr [tss + 0x66], TSS_SIZE
        port_denied "in al, 0x80", "a bitmap beyond the TSS allows none"
        mov     word ptr [tss + 0x66], TSS_BITMAP
        try3    3f, 1f, FLAG_IOPL3+2
3:      in      al, 0x81
        int     LEAVE
2:
1:      caught  LEAVE, 0, 2b, "IOPL 3 needs no bitmap"
        jmp     finish

        .data
        .balign 4
seen:   .long   0, 0, 0, 0
        .bss
        .balign 16
tss2:   .skip   104
        .skip   1024
task_stack_top:
        .skip   16
