/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real mode: the interrupt vector table, segments that wrap, A20, the instructions only a 16-bit
 * program uses, and "unreal" mode. Loaded at 7C00 with all segments 0.
 */
        .intel_syntax noprefix
        .code16

#define COM1            0x3f8
#define COM1_LSR        0x3fd
#define LSR_THRE        0x20
#define DEBUG_EXIT      0xf4
#define PORT92          0x92
#define KEYBOARD_OUTPUT 0xd1            /* the next byte goes to its output port: A20 is bit 1 */
#define FLAG_TF         0x100
#define FLAG_IF         0x200
#define FAR             0x2000          /* a segment of our own */

        .macro  text words
        .pushsection .rodata
77:     .asciz  "\words"
        .popsection
        mov     si, offset 77b
        .endm

        .macro  check value, wanted, words
        mov     eax, \value
        mov     edx, \wanted
        text    "\words"
        call    report
        .endm

        .macro  check16 value, wanted, words
        movzx   eax, \value
        mov     edx, \wanted
        text    "\words"
        call    report
        .endm

        .macro  vector number, handler
        mov     word ptr ds:[\number * 4], offset \handler
        mov     word ptr ds:[\number * 4 + 2], 0
        .endm

/* An exception or interrupt whose handler is `note`: it came in at this place. */
        .macro  came_in at, words
        mov     bx, offset \at
        movzx   ebx, bx
        movzx   eax, word ptr [came_ip]
        mov     edx, ebx
        text    "\words"
        call    report
        mov     word ptr [came_ip], 0
        .endm

        .section .text.start, "ax"
        .globl  _start
_start:
        jmp     main
        .text
main:
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld

/* ---- the vector table ---- */

        vector  0x40, note
        vector  0, note_fault
        vector  1, note
        vector  3, note
        vector  4, note
        vector  5, note_fault
        vector  6, note_fault
        mov     word ptr [skip], 2
        sti
        int     0x40
1:      came_in 1b, "INT goes through the vector table"
        check16 "word ptr [came_cs]", 0, "CS is saved"
        mov     bx, [came_flags]
        and     bx, FLAG_IF
        check16 bx, FLAG_IF, "flags are saved, with IF"
        check16 "word ptr [in_flags]", 0, "IF and TF are clear in the handler"
        xor     cx, cx
1:      div     cx
        came_in 1b, "DE shows the instruction"
1:      ud2
        came_in 1b, "UD"
        int3
1:      came_in 1b, "INT3"
        mov     al, 0x7f
        inc     al
        into
1:      came_in 1b, "INTO"
        mov     ax, 11
        mov     word ptr [skip], 4
1:      bound   ax, [bounds]
        came_in 1b, "BOUND"
        pushf
        pop     ax
        or      ax, FLAG_TF
        push    ax
        popf
        nop
1:      came_in 1b, "TF: a trap after one instruction"
        cli
        lidt    [moved_table]
        mov     ax, FAR
        mov     es, ax
        mov     word ptr es:[0x40 * 4], offset note
        mov     word ptr es:[0x40 * 4 + 2], 0
        vector  0x40, note_wrong
        int     0x40
1:      lidt    [usual_table]
        came_in 1b, "LIDT moves the table"

/* ---- segments and addresses ---- */

        mov     ax, FAR
        mov     es, ax
        mov     byte ptr es:[1], 0x77
        mov     byte ptr es:[0xffff], 0x78
        mov     bx, 0xffff
        mov     si, 2
        mov     al, es:[bx + si]
        check16 al, 0x77, "an offset wraps at 64 KiB"
        mov     ax, FAR
        mov     ss, ax
        xor     sp, sp
        push    0x1234
        mov     bx, sp
        xor     ax, ax
        mov     ss, ax
        mov     sp, 0x7c00
        check16 bx, 0xfffe, "the stack pointer wraps"
        check16 "word ptr es:[0xfffe]", 0x1234, "and what was pushed is there"
        mov     byte ptr ds:[0x500], 0x11
        mov     ax, 0xffff
        mov     es, ax
        mov     byte ptr es:[0x510], 0x22
        check16 "byte ptr ds:[0x500]", 0x11, "A20 open: FFFF:0510 is above 1 MiB"
        in      al, PORT92              /* the gate is open while either control says so */
        and     al, 0xfd
        out     PORT92, al
        mov     al, KEYBOARD_OUTPUT
        out     0x64, al
        mov     al, 0xdd
        out     0x60, al
        jmp     1f
1:      check16 "byte ptr es:[0x510]", 0x11, "A20 closed: it is 500h"
        mov     byte ptr es:[0x510], 0x33
        check16 "byte ptr ds:[0x500]", 0x33, "for stores too"
        in      al, PORT92
        or      al, 2
        out     PORT92, al
        jmp     1f
1:      check16 "byte ptr es:[0x510]", 0x22, "A20 open again: nothing was lost"

/* ---- instructions of 16-bit programs ---- */

        mov     ax, 0x0035
        aam
        check16 ax, 0x0503, "AAM"
        aad
        check16 ax, 0x0035, "AAD"
        mov     al, 0x38
        add     al, 0x45
        daa
        check16 al, 0x83, "DAA"
        mov     al, 0x83
        sub     al, 0x38
        das
        check16 al, 0x45, "DAS"
        mov     ax, 0x000f
        aaa
        check16 ax, 0x0105, "AAA"
        mov     bx, offset table
        mov     al, 2
        xlat
        check16 al, 0x33, "XLAT"
        les     di, [pointer]
        check16 di, 0x1234, "LES: the offset"
        mov     bx, es
        check16 bx, 0x5678, "LES: the segment"
        mov     ax, 1
        mov     bx, 2
        mov     cx, 3
        pusha
        xor     ax, ax
        xor     bx, bx
        popa
        shl     bx, 4
        or      ax, bx
        shl     cx, 8
        or      ax, cx
        check16 ax, 0x321, "PUSHA and POPA"
        push    ds
        call    0:far_routine
        check16 bx, 0x4321, "a far call and its RETF 2"
        mov     bp, 0x1111
        enter   8, 0
        mov     bx, bp
        sub     bx, sp
        leave
        check16 bx, 8, "ENTER"
        check16 bp, 0x1111, "LEAVE"
        mov     eax, 0x12345678
        mov     ebx, 0x10000001
        add     eax, ebx
        check   eax, 0x22345679, "32-bit operands"
        mov     ecx, 0x10003
        xor     bx, bx
1:      inc     bx
        loop    1b
        check16 bx, 3, "LOOP counts in CX"
        mov     ax, FAR
        mov     es, ax
        mov     di, 0xfffe
        mov     cx, 4
        mov     al, 0x99
        rep     stosb
        check16 di, 2, "REP STOSB wraps in its segment"
        check16 "byte ptr es:[1]", 0x99, "and stores at its start"

/* ---- 64 KiB is all that an offset reaches ---- */

        vector  13, note_fault
        mov     word ptr [skip], 4
        mov     edi, 0xfffc
        mov     eax, [edi]
        check16 "word ptr [came_ip]", 0, "a 32-bit offset up to 64 KiB"
        mov     edi, 0x10000
1:      mov     eax, [edi]
        came_in 1b, "GP beyond it"
        mov     edi, 0xfffd
1:      mov     [edi], eax
        came_in 1b, "GP across it"

/* ---- unreal mode: 4 GiB limits, kept when protection is left ---- */

        cli
        lgdt    [flat_table]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 8
        mov     fs, bx
        and     al, 0xfe
        mov     cr0, eax
        xor     bx, bx
        mov     fs, bx
        mov     edi, 0x200000
        mov     dword ptr fs:[edi], 0xcafef00d
        check   "dword ptr fs:[edi]", 0xcafef00d, "unreal mode reaches beyond 1 MiB"
        smsw    bx
        and     bx, 1
        check16 bx, 0, "in real mode"
        mov     eax, [failures]
        mov     dx, DEBUG_EXIT
        out     dx, al
1:      hlt
        jmp     1b

far_routine:
        mov     bx, 0x4321
        retf    2

/* Notes where it came in; note_fault steps over the instruction. */
note_fault:
        push    bp
        mov     bp, sp
        push    ax
        mov     ax, [bp + 2]
        mov     [came_ip], ax
        mov     ax, [skip]
        add     [bp + 2], ax
        pop     ax
        pop     bp
        iret
note:
        push    bp
        mov     bp, sp
        push    ax
        mov     ax, [bp + 2]
        mov     [came_ip], ax
        mov     ax, [bp + 4]
        mov     [came_cs], ax
        mov     ax, [bp + 6]
        mov     [came_flags], ax
        and     word ptr [bp + 6], 0xffff - FLAG_TF
        pushf
        pop     ax
        and     ax, FLAG_TF + FLAG_IF
        mov     [in_flags], ax
        pop     ax
        pop     bp
        iret
note_wrong:
        mov     word ptr [came_ip], 0xdead
        iret

report:                                 /* EAX found, EDX wanted, SI says of what */
        pusha
        cmp     eax, edx
        jne     1f
        push    si
        text    "ok "
        call    print
        pop     si
        call    print
        mov     al, '\n'
        call    print_character
        popa
        ret
1:      inc     dword ptr [failures]
        push    eax
        push    si
        text    "FAIL "
        call    print
        pop     si
        call    print
        text    ": got "
        call    print
        pop     eax
        mov     cx, 8
2:      rol     eax, 4
        push    ax
        and     al, 15
        cmp     al, 10
        jb      3f
        add     al, 'a' - '0' - 10
3:      add     al, '0'
        call    print_character
        pop     ax
        loop    2b
        mov     al, '\n'
        call    print_character
        popa
        ret

print:  lodsb
        test    al, al
        jz      1f
        call    print_character
        jmp     print
1:      ret

print_character:
        push    dx
        push    ax
        mov     dx, COM1_LSR
1:      in      al, dx
        test    al, LSR_THRE
        jz      1b
        pop     ax
        mov     dx, COM1
        out     dx, al
        pop     dx
        ret

        .data
        .balign 4
failures:       .long 0
skip:           .word 2
came_ip:        .word 0
came_cs:        .word 0xffff
came_flags:     .word 0
in_flags:       .word 0xffff
bounds:         .word 1, 10
pointer:        .word 0x1234, 0x5678
table:          .byte 0x11, 0x22, 0x33
moved_table:    .word 0x3ff
                .long FAR * 16
usual_table:    .word 0x3ff
                .long 0
                .balign 8
descriptors:
                  .quad 0
                .quad 0x00cf93000000ffff
flat_table:     .word 15
                .long descriptors
