/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers, model-specific registers, CPUID and the time-stamp counter. */
#include "kernel.inc"

        .macro  msr_refuses number, low, high, words
        try     1f
        mov     ecx, \number
        mov     eax, \low
        mov     edx, \high
2:      wrmsr
1:      caught  13, 0, 2b, "\words"
        .endm

        .macro  msr_keeps number, low, high, words
        mov     ecx, \number
        mov     eax, \low
        mov     edx, \high
        wrmsr
        xor     eax, eax
        xor     edx, edx
        rdmsr
        mov     ebx, edx
        mov     ecx, eax
        mov     edi, \low
        check   ecx, edi, "\words"
        check   ebx, \high, "its upper half"
        .endm

        .macro  refuses register, clear, set, words
        try     1f
        mov     ACC, \register
        and     eax, ~(\clear)
        or      eax, \set
2:      mov     \register, ACC
1:      caught  13, 0, 2b, "\words"
        .endm

main:
/* ---- model-specific registers ---- */

        mov     ecx, 0x12345
        try     1f
2:      rdmsr
1:      caught  13, 0, 2b, "GP by RDMSR of none there is"
        msr_refuses 0x12345, 0, 0, "GP by WRMSR to none there is"
        mov     ecx, 0xfe
        rdmsr
        mov     ebx, eax
        check   ebx, 0x508, "MTRRCAP: eight variable ranges, fixed ranges, write-combining"
        msr_refuses 0xfe, 0x508, 0, "GP by writing to MTRRCAP"
        mov     ecx, 0x2ff
        rdmsr
        mov     ebx, eax
        check   ebx, 0xc06, "MTRRs as firmware leaves them: enabled, write-back by default"
        .irp    number, 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f
        msr_keeps \number, 0x06050401, 0x00060606, "a fixed MTRR"
        .endr
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7
        msr_keeps 0x200+2*\number, 0x12345006, 0xff, "an MTRR's base"
        msr_keeps 0x201+2*\number, 0xfffff800, 0xff, "an MTRR's mask"
        .endr
        msr_keeps 0x2ff, 0x806, 0, "the default memory type"
        msr_refuses 0x2ff, 0x802, 0, "GP by a default type that is none"
        msr_refuses 0x2ff, 0x1806, 0, "GP by a reserved bit of the default type"
        msr_refuses 0x250, 0x02060606, 0, "GP by a type that is none in a fixed MTRR"
        msr_refuses 0x26f, 0, 0x07000000, "GP by another in the last of them"
        msr_refuses 0x200, 0x12345003, 0, "GP by a type that is none in an MTRR's base"
        msr_refuses 0x200, 0x12345106, 0, "GP by a reserved bit of an MTRR's base"
        msr_refuses 0x20e, 0, 0x100, "GP by an MTRR's base beyond the physical addresses"
        msr_refuses 0x201, 0x400, 0, "GP by a reserved bit of an MTRR's mask"
        msr_refuses 0x20f, 0x800, 0x100, "GP by an MTRR's mask beyond the physical addresses"
        mov     ecx, 0x210
        try     1f
2:      rdmsr
1:      caught  13, 0, 2b, "GP by a ninth variable MTRR"
        .irp    number, 0x17, 0x2a, 0x2c, 0x8b, 0xc1, 0xcd, 0x119, 0x179, 0x186, 0x1d9, 0x1db
        mov     ecx, \number
        rdmsr
        mov     ebx, eax
        check   ebx, 0, "an MSR of Intel's that kernels read and nothing depends on"
        .endr
        .irp    number, 0xc0010004, 0xc0010010, 0xc0010015, 0xc001001a, 0xc001001d, 0xc0010058
        mov     ecx, \number
        rdmsr
        mov     ebx, eax
        check   ebx, 0, "one of AMD's"
        .endr
        mov     ecx, 0x800
        try     1f
2:      rdmsr
1:      caught  13, 0, 2b, "GP by the x2APIC's registers: CPUID has none"
        msr_keeps 0x174, 0x10, 0, "SYSENTER_CS"
        msr_keeps 0x175, 0x12345678, 0, "SYSENTER_ESP"
        msr_keeps 0x176, 0x12345678, 0, "SYSENTER_EIP"
        msr_keeps 0x277, 0x01040600, 0x07050400, "PAT"
        msr_refuses 0x277, 2, 0, "GP by a PAT entry that is no memory type"
        msr_keeps 0x1a0, 0x1001, 0, "MISC_ENABLE"
        msr_keeps 0xc0000081, 0x11111111, 0x22222222, "STAR"
#if BITS == 64
        msr_keeps 0xc0000082, 0x11111111, 0x2222, "LSTAR"
        msr_keeps 0xc0000083, 0x11111111, 0x2222, "CSTAR"
        msr_keeps 0xc0000084, 0x4700, 0, "FMASK"
        msr_refuses 0xc0000082, 0, 0x8000, "GP by an LSTAR that is not canonical"
        msr_refuses 0xc0000100, 0, 0x8000, "GP by an FS base that is not canonical"
        msr_keeps 0xc0000102, 0x11111111, 0xffff8222, "KERNEL_GS_BASE"
        mov     dword ptr [cell], 0x1234
        msr_keeps 0xc0000100, "offset cell", 0, "FS_BASE"
        mov     ebx, fs:[0]
        check   ebx, 0x1234, "FS has it"
        msr_keeps 0xc0000101, "offset cell", 0, "GS_BASE"
        msr_keeps 0xc0000102, "offset cell+8", 0, "KERNEL_GS_BASE again"
        mov     dword ptr [cell + 8], 0x5678
        swapgs
        mov     ebx, gs:[0]
        check   ebx, 0x5678, "SWAPGS"
        swapgs
        mov     ebx, gs:[0]
        check   ebx, 0x1234, "and back"
        try3    2f, 1f
2:      swapgs
1:      caught  13, 0, 2b, "GP by SWAPGS in ring 3"
        mov     ecx, 0xc0000080
        rdmsr
        xor     eax, 0x100
        mov     ebx, eax
        try     1f
        mov     eax, ebx
2:      wrmsr
1:      caught  13, 0, 2b, "GP by changing EFER.LME while paging"
#endif
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 2
        mov     ebx, eax
        try     1f
        mov     eax, ebx
2:      wrmsr
1:      caught  13, 0, 2b, "GP by a reserved bit of EFER"
        mov     ecx, 0x1b
        rdmsr
        mov     ebx, eax
        check   ebx, 0xfee00900, "APIC_BASE: enabled, of the boot processor, at FEE00000"
        msr_refuses 0x1b, 0xfee00d00, 0, "GP by enabling the x2APIC"
        msr_refuses 0x1b, 0xfee00900, 0x100, "GP by an APIC beyond the physical addresses"

/* ---- control registers ---- */

        refuses cr0, 0x1, 0x80000000, "GP by CR0: paging without protection"
        refuses cr0, 0x40000000, 0x20000000, "GP by CR0: NW without CD"
        refuses cr4, 0, 0x80000000, "GP by a reserved bit of CR4"
        refuses cr4, 0, 0x2000, "GP by CR4.VMXE: CPUID has no VMX"
        refuses cr4, 0, 0x20000, "GP by CR4.PCIDE: CPUID has no PCID"
#if BITS == 64
        refuses cr0, 0x80000000, 0, "GP by CR0: paging off in 64-bit code"
        refuses cr4, 0x20, 0, "GP by CR4: PAE off in long mode"
        try     1f
        mov     rax, 1
        shl     rax, 40
2:      mov     cr3, rax
1:      caught  13, 0, 2b, "GP by CR3 beyond the physical addresses"
        try     1f
        mov     eax, 16
2:      mov     cr8, rax
1:      caught  13, 0, 2b, "GP by CR8 above 15"
        mov     eax, 5
        mov     cr8, rax
        apic_read LAPIC+0x80
        mov     ebx, eax
        check   ebx, 0x50, "CR8 is the APIC's task priority"
        apic_write LAPIC+0x80, 0x30
        mov     rbx, cr8
        check   ebx, 3, "and the other way round"
        xor     eax, eax
        mov     cr8, rax
#endif
        try     1f
2:      .byte   0x0f, 0x20, 0xc8        /* mov eax, cr1 */
1:      caught  6, 0, 2b, "UD by CR1"
        mov     ACC, cr0
        mov     ebx, eax
        and     ebx, 0x10
        check   ebx, 0x10, "CR0.ET is set for good"
        smsw    bx
        movzx   ebx, bx
        and     ebx, 1
        check   ebx, 1, "SMSW"
        mov     ax, 0
        lmsw    ax
        smsw    bx
        and     ebx, 1
        check   ebx, 1, "LMSW does not clear PE"

/* ---- CPUID ---- */

        .macro  feature leaf, register, mask, wanted, words
        mov     eax, \leaf
        xor     ecx, ecx
        cpuid
        mov     ebx, \register
        and     ebx, \mask
        check   ebx, \wanted, "\words"
        .endm
        feature 1, edx, 1<<9, 1<<9, "CPUID: has an APIC"
        feature 1, edx, 1<<12, 1<<12, "CPUID: MTRRs"
        feature 1, edx, 1<<14, 0, "CPUID: no machine check architecture"
        feature 1, ecx, 1<<21, 0, "CPUID: no x2APIC"
        feature 1, ecx, 1<<30, 0, "CPUID: no RDRAND"
        feature 1, ecx, 1<<3, 0, "CPUID: no MONITOR"
        feature 1, ecx, 1<<5, 0, "CPUID: no VMX"
        feature 1, ecx, 1<<28, 0, "CPUID: no AVX"
        feature 1, ecx, 1<<17, 0, "CPUID: no PCID"
        feature 1, ecx, 1<<24, 1<<24, "CPUID: a TSC-deadline timer"
        feature 7, ebx, (1<<18)+(1<<14)+(1<<5), 0, "CPUID: no RDSEED, MPX, AVX2"
        feature 7, ecx, (1<<16)+(1<<3), 0, "CPUID: no 57-bit addresses, no protection keys"
        feature 0xd, eax, ~3, 0, "CPUID: XSAVE is for x87 and SSE"
        feature 0x80000001, ecx, 1<<2, 0, "CPUID: no SVM"
        feature 0x80000007, edx, 1<<8, 1<<8, "CPUID: the TSC has one rate"
        feature 0x80000008, eax, 0xff, 40, "CPUID: 40 physical address bits"
        feature 1, edx, 1<<25, 1<<25, "CPUID: SSE"

/* ---- XSAVE, where there is ---- */

        mov     eax, 1
        cpuid
        bt      ecx, 26
        jnc     no_xsave
        mov     ACC, cr4
        or      eax, 0x40600            /* OSXSAVE, OSXMMEXCPT, OSFXSR */
        mov     cr4, ACC
        try     1f
        xor     ecx, ecx
        xor     edx, edx
        mov     eax, 7
2:      xsetbv
1:      caught  13, 0, 2b, "GP by XSETBV of a part that CPUID has not"
        xor     ecx, ecx
        xor     edx, edx
        mov     eax, 3
        xsetbv
        xgetbv
        mov     ebx, eax
        check   ebx, 3, "XCR0 keeps what it has"
        fninit
        movups  xmm3, [pattern]
        xor     edx, edx
        mov     eax, 3
        xsave   [area]
        xorps   xmm3, xmm3
        xor     edx, edx
        mov     eax, 3
        xrstor  [area]
        movups  [cell], xmm3
        check   [cell + 4], 0x22222222, "XSAVE and XRSTOR keep XMM3"
no_xsave:

/* ---- the time-stamp counter ---- */

        rdtsc
        mov     ebx, eax
        mov     edi, edx
        rdtsc
        sub     eax, ebx
        sbb     edx, edi
        sets    cl
        movzx   ecx, cl
        check   ecx, 0, "RDTSC does not go back"
        mov     ACC, cr4
        or      eax, 4                  /* TSD */
        mov     cr4, ACC
        try     1f
        rdtsc
1:      uncaught "TSD does not concern ring 0"
        try3    2f, 1f
2:      rdtsc
1:      caught  13, 0, 2b, "GP by RDTSC in ring 3 with TSD"
        mov     ACC, cr4
        and     eax, ~4
        mov     cr4, ACC
        mov     eax, 0x80000001
        cpuid
        test    edx, 1 << 27
        jz      1f
        mov     ecx, 0xc0000103
        mov     eax, 0x77
        xor     edx, edx
        wrmsr
        rdtscp
        mov     ebx, ecx
        check   ebx, 0x77, "RDTSCP has TSC_AUX"
1:      jmp     finish

        .data
        .balign 16
cell:   .quad   0, 0
pattern:
        .long   0x11111111, 0x22222222, 0x33333333, 0x44444444
        .balign 64
area:   .skip   1024
