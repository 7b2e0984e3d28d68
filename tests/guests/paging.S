/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables: accessed and dirty bits, sizes, INVLPG, reserved bits, SMEP and SMAP (last: no ring 3 after). */
#include "kernel.inc"

#define PRESENT         0x1
#define WRITABLE        0x2
#define USER            0x4
#define ACCESSED        0x20
#define DIRTY           0x40
#define LARGE           0x80
/* Where the pages under test are seen; each is one entry of page_table. */
#define WINDOW          0x600000
#define PAGE(n)         (WINDOW+0x1000*n)
#define FRAME(n)        (0x200000+0x1000*n)

#if BITS == 64
#define ENTRY_SIZE      8
#define DIRECTORY       (0x3000+8*(WINDOW>>21))
#else
#define ENTRY_SIZE      4
#define DIRECTORY       (0x2000+4*(WINDOW>>22))
#endif
#define ENTRY(n)        [page_table + ENTRY_SIZE * (n + (WINDOW >> 12) % (4096 / ENTRY_SIZE))]

        .macro  map n, bits
        mov     dword ptr ENTRY(\n), FRAME(\n) + \bits
        invlpg  [PAGE(\n)]
        .endm

        .macro  bits n, wanted, words
        mov     ebx, ENTRY(\n)
        and     ebx, ACCESSED + DIRTY
        check   ebx, \wanted, "\words"
        .endm

main:
        lea     ACC, [page_table]
        or      eax, PRESENT + WRITABLE + USER
        mov     [DIRECTORY], eax
        mov     ACC, cr3
        mov     cr3, ACC

        map     1, PRESENT+WRITABLE
        bits    1, 0, "nothing set at first"
        mov     eax, [PAGE(1)]
        bits    1, ACCESSED, "a load sets the accessed bit"
        mov     [PAGE(1)], eax
        bits    1, ACCESSED+DIRTY, "a store sets the dirty bit"
        mov     ebx, [DIRECTORY]
        and     ebx, ACCESSED
        check   ebx, ACCESSED, "the directory's accessed bit is set too"
        map     2, PRESENT+WRITABLE
        mov     byte ptr [PAGE(2)], 0xc3
        bits    2, ACCESSED+DIRTY, "a store sets both"
        map     2, PRESENT
        mov     ACC, PAGE(2)
        call    ACC
        bits    2, ACCESSED, "a fetch sets the accessed bit"
        try     1f
2:      mov     [PAGE(2)], al
1:      caught  14, 3, 2b, "PF by a store to it, read-only now"
        bits    2, ACCESSED, "a store that faults sets no dirty bit"

        map     3, PRESENT+WRITABLE
        mov     dword ptr [PAGE(3)], 0x3333
        mov     dword ptr ENTRY(3), FRAME(4) + PRESENT + WRITABLE
        invlpg  [PAGE(3)]
        mov     dword ptr [PAGE(3)], 0x4444
        mov     dword ptr ENTRY(3), FRAME(3) + PRESENT + WRITABLE
        invlpg  [PAGE(3)]
        check   [PAGE(3)], 0x3333, "INVLPG makes the new entry count"
        check   [FRAME(4)], 0x4444, "the store went where the old one pointed"
        map     3, 0
        try     1f
2:      inc     dword ptr [PAGE(3) + 8]
1:      mov     ACC, cr2
        check   eax, PAGE(3)+8, "CR2"

        map     5, PRESENT+WRITABLE
        map     6, 0
        mov     dword ptr [FRAME(5) + 0xffc], 0x11111111
        try     1f
2:      mov     dword ptr [PAGE(6) - 2], 0x22222222
1:      caught  14, 2, 2b, "PF by a store across a page's end"
        mov     ACC, cr2
        check   eax, PAGE(6), "CR2 is the part that is absent"
        check   [FRAME(5) + 0xffc], 0x11111111, "nothing was stored"
        map     6, PRESENT+WRITABLE
        mov     dword ptr [PAGE(6) - 2], 0x22222222
        movzx   ebx, word ptr [FRAME(6)]
        check   ebx, 0x2222, "with the page present it goes to both"

        map     7, PRESENT+WRITABLE
        try3    2f, 1f
2:      mov     eax, [PAGE(7)]
1:      caught  14, 5, 2b, "PF by ring 3 on a page of ring 0"
        map     7, PRESENT+USER
        try3    2f, 1f
2:      mov     [PAGE(7)], eax
1:      caught  14, 7, 2b, "PF by a store of ring 3 to a read-only page"

#if BITS == 32
        /* the same in PAE: three levels, entries of 64 bits, NX */
        mov     edi, offset pae_pdpt
        lea     eax, [pae_directory]
        or      eax, PRESENT
        mov     [edi], eax
        mov     dword ptr [pae_directory], LARGE + PRESENT + WRITABLE + USER
        mov     dword ptr [pae_directory + 8], 0x200000 + LARGE + PRESENT + WRITABLE
        mov     dword ptr [pae_directory + 16], 0x200000 + LARGE + PRESENT + WRITABLE
        mov     dword ptr [pae_directory + 20], 0x80000000
        mov     dword ptr [pae_directory + 24], 0x200000 + LARGE + PRESENT + WRITABLE
        mov     dword ptr [pae_directory + 28], 0x200   /* bit 41 of the address */
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x800              /* EFER.NXE */
        wrmsr
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        jmp     1f
1:      mov     eax, cr4
        or      eax, 0x20               /* PAE */
        mov     cr4, eax
        mov     cr3, edi
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        jmp     1f
1:      mov     dword ptr [0x200100], 0x5555
        check   [0x400100], 0x5555, "PAE: two pages of 2 MiB, one frame"
        try     1f
        mov     eax, 0x400000
        jmp     eax
1:      caught  14, 0x11, 0x400000, "PAE: PF by a jump to a page with NX"
        try     1f
2:      mov     eax, [0x600000]
1:      caught  14, 9, 2b, "PAE: PF by an address beyond the physical ones"
        try     1f
2:      mov     eax, [0x40000000]
1:      caught  14, 0, 2b, "PAE: PF by a directory that is absent"
        mov     ebx, [pae_directory + 8]
        and     ebx, ACCESSED + DIRTY
        check   ebx, ACCESSED+DIRTY, "PAE: accessed and dirty"
#else
        try     1f
        mov     rax, 0x123456789abc
2:      mov     rbx, [rax]
1:      caught  14, 0, 2b, "PF by a 48-bit address that nothing maps"
        mov     rbx, cr2
        shr     rbx, 32
        check   ebx, 0x1234, "CR2 has all of it"
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        test    ebx, 1 << 7
        jz      1f
        and     qword ptr [0x3000], ~USER       /* what we run is for ring 0 now */
        mov     rax, cr3
        mov     cr3, rax
        mov     rax, cr4
        bts     rax, 20                 /* SMEP */
        mov     cr4, rax
        map     7, PRESENT+USER+WRITABLE
        mov     byte ptr [PAGE(7)], 0xc3
        try     1f
        mov     eax, PAGE(7)
        jmp     rax
1:      mov     eax, 7
        xor     ecx, ecx
        cpuid
        test    ebx, 1 << 7
        jz      1f
        caught  14, 0x11, PAGE(7), "SMEP: PF by ring 0 running a page of ring 3"
        mov     rax, cr4
        btr     rax, 20
        mov     cr4, rax
1:      mov     eax, 7
        xor     ecx, ecx
        cpuid
        test    ebx, 1 << 20
        jz      done
        map     7, PRESENT+USER+WRITABLE
        mov     rax, cr4
        bts     rax, 21                 /* SMAP */
        mov     cr4, rax
        try     1f
2:      mov     eax, [PAGE(7)]
1:      mov     rax, cr4
        btr     rax, 21
        mov     cr4, rax
        caught  14, 1, 2b, "SMAP: PF by ring 0 reading a page of ring 3"
done:
#endif
        jmp     finish

        .bss
        .balign 4096
page_table:     .skip 4096
pae_directory:  .skip 4096
pae_pdpt:       .skip 32
