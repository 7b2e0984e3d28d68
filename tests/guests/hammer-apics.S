/* SPDX-License-Identifier: BSD-2-Clause */
/* Random accesses of any width and alignment to the APICs' pages, interrupts on. */
#include "hammer.inc"

#define IOAPIC          0xfec00000

main:
        begin_noise
        next    ebx
        and     ebx, 0xfff
        test    ebp, 0x1000
        jz      1f
        and     ebx, 0xff0
1:      next    edi
        and     edi, 0x10
        mov     edi, IOAPIC
        test    ebp, 0x20
        jz      2f
        mov     edi, LAPIC
2:      test    ebp, 0x40
        jz      3f
        and     ebx, 0x7f
3:      next    ecx
        and     ecx, 7
        next    eax
        cmp     ecx, 1
        jb      1f
        je      2f
        cmp     ecx, 3
        jb      3f
        je      4f
        cmp     ecx, 5
        jb      5f
        mov     [edi + ebx], eax
        jmp     again
1:      mov     al, [edi + ebx]
        jmp     again
2:      mov     ax, [edi + ebx]
        jmp     again
3:      mov     eax, [edi + ebx]
        jmp     again
4:      mov     [edi + ebx], al
        jmp     again
5:      mov     [edi + ebx], ax
        jmp     again
