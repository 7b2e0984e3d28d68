/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before the first guest instruction: is this the Unicorn that layout.h describes?
 *
 * Every offset is proven on an engine of its own, once in a process: a value is put at the offset
 * and asked for through the public API, or through a function of Unicorn's that is known to use
 * the field; what neither shows, a few guest instructions do (probe.c). selfcheck_fields lists all
 * of them by their names in layout.h, and a test shifts each in turn.
 */
#include <stdlib.h>
#include <string.h>

#include "selfcheck.h"

enum {
    UC_X86_REG_CS = 11, UC_X86_REG_DS = 17, UC_X86_REG_ES = 28, UC_X86_REG_FPSW = 31,
    UC_X86_REG_FS = 32, UC_X86_REG_GS = 33, UC_X86_REG_RIP = 41, UC_X86_REG_SS = 49,
    UC_X86_REG_CR0 = 50, UC_X86_REG_DR0 = 66, UC_X86_REG_FP0 = 82, UC_X86_REG_XMM0 = 122,
    UC_X86_REG_IDTR = 242, UC_X86_REG_GDTR = 243, UC_X86_REG_LDTR = 244, UC_X86_REG_TR = 245,
    UC_X86_REG_FPCW = 246, UC_X86_REG_FPTAG = 247, UC_X86_REG_MSR = 248, UC_X86_REG_MXCSR = 249,
    UC_X86_REG_RFLAGS = 253, UC_X86_REG_FIP = 254, UC_X86_REG_FCS = 255, UC_X86_REG_FDP = 256,
    UC_X86_REG_FDS = 257,
};

/* Different in every byte that is asked for. */
static const uint8_t pattern[16] = {
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08, 0x19, 0x2a, 0x3b, 0x4c, 0x5d, 0x6e, 0x7f, 0x10,
};

/* Does the API find at `reg` what is put at `offset`? */
static bool read_by_api(struct engine *e, int reg, int offset, size_t size)
{
    uint8_t seen[64] = {0}, before[16];
    memcpy(before, e->env + offset, size);
    memcpy(e->env + offset, pattern, size);
    unicorn.reg_read(e->uc, reg, seen);
    memcpy(e->env + offset, before, size);
    return memcmp(seen, pattern, size) == 0;
}

static bool msr_by_api(struct engine *e, uint32_t number, int offset, size_t size)
{
    struct {
        uint32_t number;
        uint64_t value;
    } msr = {number, 0};
    uint8_t before[8];
    memcpy(before, e->env + offset, size);
    memcpy(e->env + offset, pattern, size);
    unicorn.reg_read(e->uc, UC_X86_REG_MSR, &msr);
    memcpy(e->env + offset, before, size);
    return memcmp(&msr.value, pattern, size) == 0;
}

#define BY_API(field, reg, size)                                                        \
    static bool field(struct engine *e, int at)                                         \
    {                                                                                   \
        return read_by_api(e, reg, at, size);                                           \
    }
#define BY_MSR(field, number, size)                                                     \
    static bool field(struct engine *e, int at)                                         \
    {                                                                                   \
        return msr_by_api(e, number, at, size);                                         \
    }

BY_API(eip, UC_X86_REG_RIP, 8)
BY_API(fpuc, UC_X86_REG_FPCW, 2)
BY_API(fpip, UC_X86_REG_FIP, 8)
BY_API(fpcs, UC_X86_REG_FCS, 2)
BY_API(fpdp, UC_X86_REG_FDP, 8)
BY_API(fpds, UC_X86_REG_FDS, 2)
BY_API(mxcsr, UC_X86_REG_MXCSR, 4)
BY_MSR(efer, 0xc0000080, 8)
BY_MSR(star, 0xc0000081, 8)
BY_MSR(lstar, 0xc0000082, 8)
BY_MSR(cstar, 0xc0000083, 8)
BY_MSR(fmask, 0xc0000084, 8)
BY_MSR(kernelgsbase, 0xc0000102, 8)
BY_MSR(tsc_aux, 0xc0000103, 8)
BY_MSR(sysenter_cs, 0x174, 4)
BY_MSR(sysenter_esp, 0x175, 8)
BY_MSR(sysenter_eip, 0x176, 8)
BY_MSR(misc_enable, 0x1a0, 8)
BY_MSR(pat, 0x277, 8)

BY_MSR(mtrr_default, 0x2ff, 8)

static bool mtrr_fixed(struct engine *e, int at)
{
    static const uint32_t numbers[11] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                         0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    for (int n = 0; n < 11; n++)
        if (!msr_by_api(e, numbers[n], at + 8 * n, 8))
            return false;
    return true;
}

static bool mtrr_variable(struct engine *e, int at)
{
    for (int n = 0; n < 16; n++)
        if (!msr_by_api(e, 0x200 + n, at + 8 * n, 8))
            return false;
    return true;
}

static bool regs(struct engine *e, int at)
{
    static const int ids[16] = {35, 38, 40, 37, 44, 36, 43, 39, /* RAX RCX RDX RBX RSP RBP RSI RDI */
                                106, 107, 108, 109, 110, 111, 112, 113};
    for (int n = 0; n < 16; n++)
        if (!read_by_api(e, ids[n], at + 8 * n, 8))
            return false;
    return true;
}

static bool segs(struct engine *e, int at)
{
    static const int ids[6] = {UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS,
                               UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS};
    for (int n = 0; n < 6; n++)
        if (!read_by_api(e, ids[n], at + (int)sizeof(struct segment) * n, 2))
            return false;
    return true;
}

/* The parts of struct segment, as the API has them for the registers that name tables. */
static bool table_by_api(struct engine *e, int reg, int at, bool is_segment)
{
    struct {
        uint16_t selector;
        uint64_t base;
        uint32_t limit, flags;
    } seen = {0};
    struct segment *segment = &FIELD(struct segment, e->env, at), before = *segment;
    *segment = (struct segment){0x1234, 0, 0x1122334455667788, 0xabcd, 0x9b00};
    unicorn.reg_read(e->uc, reg, &seen);
    *segment = before;
    return seen.base == 0x1122334455667788 && seen.limit == 0xabcd &&
           (!is_segment || (seen.selector == 0x1234 && seen.flags == 0x9b00));
}

static bool ldt(struct engine *e, int at) { return table_by_api(e, UC_X86_REG_LDTR, at, true); }
static bool tr(struct engine *e, int at) { return table_by_api(e, UC_X86_REG_TR, at, true); }
static bool gdt(struct engine *e, int at) { return table_by_api(e, UC_X86_REG_GDTR, at, false); }
static bool idt(struct engine *e, int at) { return table_by_api(e, UC_X86_REG_IDTR, at, false); }

static bool cr(struct engine *e, int at)
{
    for (int n = 0; n <= 4; n++)
        if (n != 1 && !read_by_api(e, UC_X86_REG_CR0 + n, at + 8 * n, 8))
            return false;
    return true;
}

static bool dr(struct engine *e, int at)
{
    for (int n = 0; n < 8; n++)
        if (!read_by_api(e, UC_X86_REG_DR0 + n, at + 8 * n, 8))
            return false;
    return true;
}

static bool fpregs(struct engine *e, int at)
{
    for (int n = 0; n < 8; n++)
        if (!read_by_api(e, UC_X86_REG_FP0 + n, at + 16 * n, 10))
            return false;
    return true;
}

static bool xmm(struct engine *e, int at)
{
    for (int n = 0; n < 16; n++)
        if (!read_by_api(e, UC_X86_REG_XMM0 + n, at + 64 * n, 16))
            return false;
    return true;
}

/* The status word without TOP, and TOP. */
static uint16_t status_word(struct engine *e)
{
    uint16_t seen = 0;
    unicorn.reg_read(e->uc, UC_X86_REG_FPSW, &seen);
    return seen;
}

static bool fpus(struct engine *e, int at)
{
    uint16_t before = FIELD(uint16_t, e->env, at);
    FIELD(uint16_t, e->env, at) = 0x4733;
    uint16_t seen = status_word(e);
    FIELD(uint16_t, e->env, at) = before;
    return (seen & ~0x3800) == 0x4733;
}

static bool fpstt(struct engine *e, int at)
{
    uint32_t before = FIELD(uint32_t, e->env, at);
    FIELD(uint32_t, e->env, at) = 5;
    uint16_t five = status_word(e);
    FIELD(uint32_t, e->env, at) = 2;
    uint16_t two = status_word(e);
    FIELD(uint32_t, e->env, at) = before;
    return (five >> 11 & 7) == 5 && (two >> 11 & 7) == 2;
}

static bool fptags(struct engine *e, int at)
{
    static const uint8_t empty[8] = {1, 0, 1, 1, 0, 0, 1, 0};
    uint8_t before[8];
    uint16_t tags = 0;
    memcpy(before, e->env + at, 8);
    memcpy(e->env + at, empty, 8);
    unicorn.reg_read(e->uc, UC_X86_REG_FPTAG, &tags);
    memcpy(e->env + at, before, 8);
    for (int n = 0; n < 8; n++)
        if (((tags >> 2 * n & 3) == 3) != empty[n])
            return false;
    return true;
}

/* Writing RFLAGS splits it: the system's bits stay in eflags, the others go to cc_src and df. */
enum { SOME_FLAGS = 0x3000 | EFLAGS_IF, ARITHMETIC = 0x8d5, DIRECTION = 0x400, BY_EFLAGS = 1 };

static void write_flags(struct engine *e, uint64_t value)
{
    unicorn.reg_write(e->uc, UC_X86_REG_RFLAGS, &value);
}

static bool eflags(struct engine *e, int at)
{
    write_flags(e, SOME_FLAGS);
    bool set = (FIELD(uint64_t, e->env, at) & SOME_FLAGS) == SOME_FLAGS;
    write_flags(e, 2);
    return set && !(FIELD(uint64_t, e->env, at) & SOME_FLAGS);
}

static bool cc_src(struct engine *e, int at)
{
    write_flags(e, ARITHMETIC | 2);
    bool set = FIELD(uint64_t, e->env, at) == ARITHMETIC;
    write_flags(e, 2);
    return set && FIELD(uint64_t, e->env, at) == 0;
}

static bool cc_op(struct engine *e, int at)
{
    FIELD(uint32_t, e->env, at) = 7;
    write_flags(e, DIRECTION | 2); /* makes df -1, which lies next to it */
    bool right = FIELD(uint32_t, e->env, at) == BY_EFLAGS;
    write_flags(e, 2);
    return right;
}

static bool df(struct engine *e, int at)
{
    write_flags(e, DIRECTION | 2);
    bool down = FIELD(int32_t, e->env, at) == -1;
    write_flags(e, 2);
    return down && FIELD(int32_t, e->env, at) == 1;
}

/* The privilege level in hflags is that of SS. */
static bool hflags(struct engine *e, int at)
{
    struct segment *ss = &FIELD(struct segment, e->env, ENV_SEGS + SEG_SS * sizeof(*ss));
    struct segment before = *ss;
    uint32_t mode = FIELD(uint32_t, e->env, at);
    uint64_t cr0 = FIELD(uint64_t, e->env, ENV_CR);
    FIELD(uint64_t, e->env, ENV_CR) |= CR0_PE;
    ss->flags = 0xf300;
    unicorn.update_hflags(e->env);
    bool three = (FIELD(uint32_t, e->env, at) & HF_CPL_MASK) == 3;
    ss->flags = 0x9300;
    unicorn.update_hflags(e->env);
    bool zero = (FIELD(uint32_t, e->env, at) & HF_CPL_MASK) == 0;
    *ss = before;
    FIELD(uint64_t, e->env, ENV_CR) = cr0;
    FIELD(uint32_t, e->env, at) = mode;
    return three && zero;
}

static bool hflags2(struct engine *e, int at)
{
    unicorn.clgi(e->env);
    bool clear = !(FIELD(uint32_t, e->env, at) & HF2_GIF);
    unicorn.stgi(e->env);
    return clear && (FIELD(uint32_t, e->env, at) & HF2_GIF);
}

static bool a20_mask(struct engine *e, int at)
{
    enum { A20 = 1 << 20 };
    unicorn.set_a20(e->cs, 0);
    bool closed = !(FIELD(uint32_t, e->env, at) & A20);
    unicorn.set_a20(e->cs, 1);
    return closed && (FIELD(uint32_t, e->env, at) & A20);
}

static bool xcr0(struct engine *e, int at)
{
    uint64_t cr4 = FIELD(uint64_t, e->env, ENV_CR + 4 * 8), before = FIELD(uint64_t, e->env, at);
    FIELD(uint64_t, e->env, ENV_CR + 4 * 8) |= CR4_OSXSAVE;
    FIELD(uint64_t, e->env, at) = 7;
    bool seven = unicorn.xgetbv(e->env, 0) == 7;
    FIELD(uint64_t, e->env, at) = 3;
    bool three = unicorn.xgetbv(e->env, 0) == 3;
    FIELD(uint64_t, e->env, at) = before;
    FIELD(uint64_t, e->env, ENV_CR + 4 * 8) = cr4;
    return seven && three;
}

/* Nothing outside of SMM reads it; a reset sets it. */
static bool smbase(struct engine *e, int at)
{
    return FIELD(uint32_t, e->env, at) == 0x30000;
}

static bool features(struct engine *e, int at)
{
    enum { WORDS = FEAT_1_ECX + 1 };
    uint64_t *words = &FIELD(uint64_t, e->env, at), before[WORDS];
    uint32_t eax, ebx, ecx, edx;
    memcpy(before, words, sizeof(before));
    words[FEAT_1_EDX] = 0x01234567;
    words[FEAT_1_ECX] = 0x00765432;
    unicorn.cpuid(e->env, 1, 0, &eax, &ebx, &ecx, &edx);
    memcpy(words, before, sizeof(before));
    return edx == 0x01234567 && ecx == 0x00765432;
}

/* The TLB's flags and counters: a flush clears the one and counts in the other. */
static bool tlb(struct engine *e, int at)
{
    FIELD(uint16_t, e->env, at) = 7;
    uint64_t flushes = FIELD(uint64_t, e->env, at + 8);
    unicorn.tlb_flush(e->cs);
    return FIELD(uint16_t, e->env, at) == 0 && FIELD(uint64_t, e->env, at + 8) == flushes + 1;
}

/* A new TLB has 256 entries of 64 bytes for each mode, in new tables. */
static bool tlb_fast(struct engine *e, int at)
{
    enum { ENTRY = 64, ENTRIES = 256, TABLES = 2 * MMU_MODES };
    char *tlb = e->env + ENV_TLB;
    void *before[TABLES], *after[TABLES];
    bool right = true;
    for (int mode = 0; mode < MMU_MODES; mode++) {
        before[mode] = FIELD(void *, e->env, at + 16 * mode + 8);
        before[MMU_MODES + mode] = FIELD(void *, tlb, TLB_IOTLB(mode));
    }
    unicorn.tlb_init(e->cs);
    for (int mode = 0; mode < MMU_MODES; mode++) {
        right = right && FIELD(uint64_t, e->env, at + 16 * mode) == (ENTRIES - 1) * ENTRY;
        after[mode] = FIELD(void *, e->env, at + 16 * mode + 8);
        after[MMU_MODES + mode] = FIELD(void *, tlb, TLB_IOTLB(mode));
    }
    for (int n = 0; n < TABLES; n++)
        right = right && before[n] != NULL && after[n] != NULL && before[n] != after[n];
    for (int n = 0; right && n < TABLES; n++)
        free(before[n]);
    return right;
}

/* It lies behind a pointer into the fields before env, and a flush of the TLB empties it. */
static bool jmp_cache(struct engine *e, int at)
{
    if (FIELD(char *, e->cs, at - 8) != e->env + ENV_TLB + TLB_SIZE)
        return false;
    for (int n = 0; n < JMP_CACHE_SIZE; n += 8)
        FIELD(uint64_t, e->cs, at + n) = 1;
    unicorn.tlb_flush(e->cs);
    for (int n = 0; n < JMP_CACHE_SIZE; n += 8)
        if (FIELD(uint64_t, e->cs, at + n) != 0)
            return false;
    return true;
}

/* CPUID leaf 4 has one less than the cores in its upper bits; threads count elsewhere. */
static bool nr_cores(struct engine *e, int at)
{
    uint32_t eax, ebx, ecx, edx;
    int32_t before = FIELD(int32_t, e->cs, at);
    FIELD(int32_t, e->cs, at) = 5;
    unicorn.cpuid(e->env, 4, 0, &eax, &ebx, &ecx, &edx);
    FIELD(int32_t, e->cs, at) = before;
    return before == 1 && eax >> 26 == 5 - 1;
}

static bool env_uc(struct engine *e, int at) { return FIELD(void *, e->env, at) == e->uc; }

/* ---- CPUState and CPUClass ---- */

static bool stopped(struct engine *e, int at)
{
    unicorn.stop_current(e->uc);
    bool is = FIELD(uint8_t, e->cs, at) == 1;
    unicorn.resume(e->cs);
    return is && FIELD(uint8_t, e->cs, at) == 0;
}

static bool interrupt_request(struct engine *e, int at)
{
    FIELD(uint32_t, e->cs, at) = INTERRUPT_HARD | INTERRUPT_NMI;
    unicorn.reset_interrupt(e->cs, INTERRUPT_NMI);
    bool right = FIELD(uint32_t, e->cs, at) == INTERRUPT_HARD;
    FIELD(uint32_t, e->cs, at) = 0;
    return right;
}

static bool env_ptr(struct engine *e, int at) { return FIELD(char *, e->cs, at) == e->env; }
static bool cs_uc(struct engine *e, int at) { return FIELD(void *, e->cs, at) == e->uc; }

/* Where `env` begins, which every other row relies on. */
static bool to_env(struct engine *e, int at)
{
    return FIELD(char *, e->cs, CS_ENV_PTR) == e->cs + at;
}

static bool class(struct engine *e, int at)
{
    char *class = FIELD(char *, e->cs, at);
    return class == FIELD(char *, e->cs, CS_CLASS) && class != NULL;
}

static bool class_do_interrupt(struct engine *e, int at)
{
    return FIELD(void *, FIELD(char *, e->cs, CS_CLASS), at) == (void *)unicorn.do_interrupt;
}

static bool class_exec_interrupt(struct engine *e, int at)
{
    extern bool x86_cpu_exec_interrupt_x86_64(void *, int);
    return FIELD(void *, FIELD(char *, e->cs, CS_CLASS), at) ==
           (void *)x86_cpu_exec_interrupt_x86_64;
}

#define FIELD_ROW(name, prover) {#name, name, prover}

const struct field selfcheck_fields[] = {
    /* pointers first: a wrong one must not be followed */
    FIELD_ROW(CS_UC, cs_uc), FIELD_ROW(CS_ENV_PTR, env_ptr), FIELD_ROW(CS_TO_ENV, to_env),
    FIELD_ROW(CS_CLASS, class), FIELD_ROW(ENV_UC, env_uc),
    FIELD_ROW(CLASS_DO_INTERRUPT, class_do_interrupt),
    FIELD_ROW(CLASS_EXEC_INTERRUPT, class_exec_interrupt),
    FIELD_ROW(ENV_TLB, tlb), FIELD_ROW(ENV_TLB_FAST, tlb_fast), FIELD_ROW(CS_JMP_CACHE, jmp_cache),
    FIELD_ROW(ENV_REGS, regs), FIELD_ROW(ENV_EIP, eip), FIELD_ROW(ENV_EFLAGS, eflags),
    FIELD_ROW(ENV_CC_SRC, cc_src), FIELD_ROW(ENV_CC_OP, cc_op), FIELD_ROW(ENV_DF, df),
    FIELD_ROW(ENV_HFLAGS, hflags), FIELD_ROW(ENV_HFLAGS2, hflags2), FIELD_ROW(ENV_SEGS, segs),
    FIELD_ROW(ENV_LDT, ldt), FIELD_ROW(ENV_TR, tr), FIELD_ROW(ENV_GDT, gdt),
    FIELD_ROW(ENV_IDT, idt), FIELD_ROW(ENV_CR, cr), FIELD_ROW(ENV_A20_MASK, a20_mask),
    FIELD_ROW(ENV_EFER, efer), FIELD_ROW(ENV_FPSTT, fpstt), FIELD_ROW(ENV_FPUS, fpus),
    FIELD_ROW(ENV_FPUC, fpuc), FIELD_ROW(ENV_FPTAGS, fptags), FIELD_ROW(ENV_FPREGS, fpregs),
    FIELD_ROW(ENV_FPCS, fpcs), FIELD_ROW(ENV_FPDS, fpds), FIELD_ROW(ENV_FPIP, fpip),
    FIELD_ROW(ENV_FPDP, fpdp), FIELD_ROW(ENV_MXCSR, mxcsr), FIELD_ROW(ENV_XMM, xmm),
    FIELD_ROW(ENV_SYSENTER_CS, sysenter_cs), FIELD_ROW(ENV_SYSENTER_ESP, sysenter_esp),
    FIELD_ROW(ENV_SYSENTER_EIP, sysenter_eip), FIELD_ROW(ENV_STAR, star),
    FIELD_ROW(ENV_LSTAR, lstar), FIELD_ROW(ENV_CSTAR, cstar), FIELD_ROW(ENV_FMASK, fmask),
    FIELD_ROW(ENV_KERNELGSBASE, kernelgsbase), FIELD_ROW(ENV_TSC_AUX, tsc_aux),
    FIELD_ROW(ENV_XCR0, xcr0), FIELD_ROW(ENV_MISC_ENABLE, misc_enable), FIELD_ROW(ENV_PAT, pat),
    FIELD_ROW(ENV_MTRR_FIXED, mtrr_fixed), FIELD_ROW(ENV_MTRR_DEFAULT, mtrr_default),
    FIELD_ROW(ENV_MTRR_VARIABLE, mtrr_variable),
    FIELD_ROW(ENV_SMBASE, smbase), FIELD_ROW(ENV_DR, dr), FIELD_ROW(ENV_FEATURES, features),
    FIELD_ROW(CS_NR_CORES, nr_cores), FIELD_ROW(CS_STOPPED, stopped), FIELD_ROW(CS_INTERRUPT_REQUEST, interrupt_request),
    /* by guest instructions, last: they leave the engine changed */
    FIELD_ROW(CS_CFLAGS_NEXT_TB, probe_cflags_next_tb), FIELD_ROW(CS_HALTED, probe_halted),
    FIELD_ROW(CS_EXCEPTION_INDEX, probe_exception_index),
    FIELD_ROW(CS_MEM_IO_PC, probe_mem_io_pc), FIELD_ROW(DB_PC_NEXT, probe_pc_next),
    FIELD_ROW(DB_IS_JMP, probe_is_jmp),
    FIELD_ROW(CLASS_DO_UNALIGNED_ACCESS, probe_unaligned),
    FIELD_ROW(ENV_ERROR_CODE, probe_error_code),
    FIELD_ROW(ENV_EXCEPTION_IS_INT, probe_exception_is_int),
    FIELD_ROW(ENV_NEXT_EIP, probe_next_eip), FIELD_ROW(ENV_OLD_EXCEPTION, probe_old_exception),
    FIELD_ROW(TCG_NB_TEMPS, probe_nb_temps), FIELD_ROW(TCG_NB_OPS, probe_nb_ops),
    {NULL, 0, NULL},
};

/* The first field that is not where layout.h has it, or NULL. The one called `name`, if any, is
 * looked for `shift` bytes further on. */
static const char *misplaced(struct engine *e, const char *name, int shift)
{
    for (const struct field *field = selfcheck_fields; field->name != NULL; field++) {
        bool shifted = name != NULL && strcmp(field->name, name) == 0;
        if (!field->holds(e, field->offset + (shifted ? shift : 0)))
            return field->name;
    }
    return NULL;
}

PyObject *selfcheck(const char *name, int shift)
{
    struct engine probed;
    struct cpu cpu;
    memset(&probed, 0, sizeof(probed));
    memset(&cpu, 0, sizeof(cpu));
    cpu.engine = &probed;
    probed.current = &cpu;
    if (!open_unicorn(&probed, 0, 1 << 20))
        return NULL;
    const char *field = misplaced(&probed, name, shift);
    unicorn.close(probed.uc);
    return field != NULL ? PyUnicode_FromString(field) : Py_NewRef(Py_None);
}

bool layout_is_right(void)
{
    static bool proven;
    if (proven || unicorn.open == NULL)
        return proven;
    PyObject *field = selfcheck(NULL, 0);
    if (field == Py_None)
        proven = true;
    else if (field != NULL && PyUnicode_CompareWithASCIIString(field, "CLASS_EXEC_INTERRUPT") == 0)
        PyErr_SetString(PyExc_RuntimeError, "Unicorn does not call vmmgr's native half, which was "
                                            "loaded after it, or not for all to see");
    else if (field != NULL)
        PyErr_Format(PyExc_RuntimeError, "this Unicorn is not laid out as the 2.1.4 that vmmgr knows: "
                     "%U is elsewhere",
                     field);
    Py_XDECREF(field);
    return proven;
}
