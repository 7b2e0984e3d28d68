/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other half of the CPU.
 *
 * Unicorn leaves out what a PC needs and a sandbox does not: hardware
 * interrupts, SYSCALL, I/O permission, a time-stamp counter of its own time.
 * libunicorn is not linked -Bsymbolic, so a function defined here, in a library
 * that was loaded with RTLD_GLOBAL first, is the one that its JIT calls.
 *
 * Most of these are reached from translated code and may leave by longjmp.
 * The rule: no Python frame is ever below such a call. A callback into Python
 * has returned before anything here can jump.
 */
#include "engine.h"

void *translator;


/* Descriptor attributes of the flat segments that SYSCALL and SYSENTER load. */
enum {
    CODE64_RING0 = 0xa09b00, /* G L P S code readable accessed */
    CODE32_RING0 = 0xc09b00, /* G D P S code readable accessed */
    DATA_RING0 = 0xc09300,   /* G B P S data writable accessed */
};

#define ALL_EFLAGS 0xffffffffu

static void load_flat(void *env, int index, uint32_t selector, uint32_t flags)
{
    struct segment *segment = &FIELD(struct segment, env, ENV_SEGS + index * sizeof(*segment));
    segment->selector = selector;
    segment->base = 0;
    segment->limit = 0xffffffff;
    segment->flags = flags;
}

static void enter_ring0(void *env, uint32_t cs_selector, bool code64)
{
    load_flat(env, SEG_CS, cs_selector & 0xfffc, code64 ? CODE64_RING0 : CODE32_RING0);
    load_flat(env, SEG_SS, (cs_selector & 0xfffc) + 8, DATA_RING0);
    unicorn.update_hflags(env);
    segments_changed(env);
}

/* ---- time ---- */

/* Unicorn asks at the start of a block and after every load and store whether to stop, and would
 * then leave the block in the middle. We stop between blocks only, where time is exact, so the
 * question is not written into translated code at all: neither by its own generator, */
EXPORT void check_exit_request_x86_64(void *tcg)
{
    (void)tcg;
}

EXPORT void helper_check_exit_request_x86_64(void *uc, uint32_t in_delay_slot)
{
    (void)uc;
    (void)in_delay_slot;
}

/* The translator does not count the temporaries that its calls leave behind, and writes beyond the
 * last: a block of many such instructions ends early. */
static void bound_temporaries(void *tcg)
{
    enum { OF_ONE_INSTRUCTION = 64 };
    translator = tcg;
    if (FIELD(int, tcg, TCG_NB_TEMPS) > TCG_TEMPS_MAX - OF_ONE_INSTRUCTION &&
        FIELD(int, tcg, TCG_NB_OPS) < TCG_OPS_FULL)
        FIELD(int, tcg, TCG_NB_OPS) += TCG_OPS_FULL;
}

/* nor as a call at the start of each block. */
EXPORT void tcg_gen_callN_x86_64(void *tcg, void *function, void *result, int count,
                                 void **arguments)
{
    if (function == (void *)helper_check_exit_request_x86_64)
        return;
    bound_temporaries(tcg);
    operands_call(tcg, function);
    unicorn.generate_call(tcg, function, result, count, arguments);
    operands_called(tcg, function);
}

/* RDTSC and RDTSCP: one tick per nanosecond of virtual time. */
EXPORT uint64_t cpu_get_tsc_x86_64(void *env)
{
    (void)env;
    return running_engine->now / TICKS_PER_NS;
}

/* PAUSE: Unicorn leaves and re-enters its whole CPU loop for it; going round once is enough. */
EXPORT void helper_pause_x86_64(void *env, int length)
{
    FIELD(uint64_t, env, ENV_EIP) += length;
    FIELD(uint32_t, env, ENV_HFLAGS) &= ~HF_INHIBIT_IRQ;
    charge(running_engine, PAUSE_TICKS);
    yield_turn(running_engine);
    unicorn.single_step(env); /* #DB if TF is set */
    unicorn.loop_exit_noexc(running_engine->cs);
}

/* ---- interrupts ---- */

/* May jump. */
static void interrupt(struct engine *e, int vector)
{
    delivery_begins(e, DELIVERY_INTERRUPT, vector);
    unicorn.do_hardirq(e->env, vector, 1);
    e->delivering = false;
    segments_changed(e->env);
}

/* The CPU loop asks this whenever a request is pending and it is between blocks. */
EXPORT bool x86_cpu_exec_interrupt_x86_64(void *cs, int request)
{
    struct engine *e = running_engine;
    if (e->replay || e->watch_hits || e->part || e->debugger.walking) /* the instruction comes to its end first, then its #DB */
        return false;
    if (takes_nmi(e->env, request)) {
        FIELD(uint32_t, cs, CS_INTERRUPT_REQUEST) &= ~INTERRUPT_NMI;
        FIELD(uint32_t, e->env, ENV_HFLAGS2) |= HF2_NMI_MASKED;
        note_break(e, -1, VECTOR_NMI);
        interrupt(e, VECTOR_NMI);
        return true;
    }
    if (shadowed(e))
        e->attention = 0;
    if (e->stopping || !takes_intr(e->current, e->env, (uint32_t)request))
        return false;
    int vector = ask0(e, CALL_ACKNOWLEDGE) & 0xff;
    if (e->raised != NULL)
        return false;
    note_break(e, -1, vector);
    interrupt(e, vector);
    return true;
}

/* HLT: an interrupt that is waiting already is taken at once, as the block that ends here was too
 * long to take it before. A single step ends it, too. */
EXPORT void helper_hlt_x86_64(void *env, int length)
{
    FIELD(uint32_t, env, ENV_HFLAGS) &= ~HF_INHIBIT_IRQ;
    bool steps = FIELD(uint64_t, env, ENV_EFLAGS) & EFLAGS_TF;
    running_engine->current->hold = 0; /* HLT is where it may come at any time */
    if (steps || takes_interrupt(running_engine)) {
        FIELD(uint64_t, env, ENV_EIP) += length;
        unicorn.single_step(env); /* raises #DB if TF is set */
        unicorn.loop_exit_noexc(running_engine->cs);
    }
    unicorn.hlt(env, length);
}

/* STI and POPF may make interrupts possible: what races with a handler races from here on. */
EXPORT void helper_sti_x86_64(void *env)
{
    FIELD(uint64_t, env, ENV_EFLAGS) |= EFLAGS_IF;
    if (running_engine->seeded)
        may_yield(running_engine);
}

EXPORT void helper_write_eflags_x86_64(void *env, uint64_t value, uint32_t mask)
{
    bool enables = (value & mask & EFLAGS_IF) && !(FIELD(uint64_t, env, ENV_EFLAGS) & EFLAGS_IF);
    unicorn.write_eflags(env, value, mask);
    if (enables && running_engine->seeded)
        may_yield(running_engine);
}

/* Whether real mode's vector is 0000:0000, where no handler is. */
static bool null_vector(struct engine *e, int vector)
{
    const struct segment *idt = &FIELD(struct segment, e->env, ENV_IDT);
    const uint32_t *entry = ram_pointer(e, idt->base + 4 * vector, sizeof(*entry));
    return entry != NULL && *entry == 0;
}

/* INT n, INT3 and INTO. Unicorn moves eip past them before they are delivered; where that fails,
 * the fault is to show the instruction itself: see on_exception(). */
EXPORT void raise_interrupt_x86_64(void *env, int vector, int is_int, int error_code, int length)
{
    struct engine *e = running_engine;
    e->int_length = length;
    bool real_mode = !(FIELD(uint64_t, env, ENV_CR) & CR0_PE);
    if (is_int && real_mode && e->bios_watch != NULL && null_vector(e, vector)) {
        ask(e, e->bios_watch, 1, (uint64_t[]){vector});
        leave_if_abandoned(e, 0);
    }
    unicorn.raise_interrupt(env, vector, is_int, error_code, length);
}

/* A fault that names an entry of a 64-bit IDT: Unicorn counts its entries in eights of bytes
 * where the error code counts in the vector's own number. */
EXPORT void raise_exception_err_x86_64(void *env, int vector, int error_code)
{
    enum { IN_IDT = 2, LOW_BITS = 3 };
    bool of_gate = (vector == VECTOR_GP || vector == VECTOR_NP) && (error_code & LOW_BITS) == IN_IDT;
    if (of_gate && (FIELD(uint64_t, env, ENV_EFER) & EFER_LMA))
        error_code = ((error_code >> 4) << 3) | IN_IDT;
    unicorn.raise_exception(env, vector, error_code, 0);
}

/* The base in a descriptor of a TSS or LDT in long mode, whose upper half Unicorn takes as it is. */
static void check_base(void *env, int selector, uintptr_t host_pc)
{
    enum { DESCRIPTOR = 16 };
    const struct segment *gdt = &FIELD(struct segment, env, ENV_GDT);
    uint32_t offset = selector & 0xfff8;
    bool elsewhere = (selector & 0xfffc) == 0 || (selector & 4) || offset + DESCRIPTOR - 1 > gdt->limit;
    if (elsewhere || !(FIELD(uint64_t, env, ENV_EFER) & EFER_LMA))
        return;
    uint32_t low = unicorn.load_data(env, gdt->base + offset, host_pc);
    uint32_t middle = unicorn.load_data(env, gdt->base + offset + 4, host_pc);
    uint64_t high = unicorn.load_data(env, gdt->base + offset + 8, host_pc);
    if (!canonical(high << 32 | (middle & 0xff000000) | (middle & 0xff) << 16 | low >> 16))
        unicorn.raise_exception(env, VECTOR_GP, selector & 0xfffc, host_pc);
}

/* LTR with a null selector. Unicorn takes it, and aborts when it next needs the task's stack. */
EXPORT void helper_ltr_x86_64(void *env, int selector)
{
    if ((selector & 0xfffc) == 0)
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    check_base(env, selector, JIT_PC);
    unicorn.ltr(env, selector);
}

EXPORT void helper_lldt_x86_64(void *env, int selector)
{
    check_base(env, selector, JIT_PC);
    unicorn.lldt(env, selector);
}

/* ---- single instructions ---- */

/* PUSHF: RF and VM are pushed as 0. */
EXPORT uint64_t helper_read_eflags_x86_64(void *env)
{
    return unicorn.read_eflags(env) & ~(uint64_t)(EFLAGS_RF | EFLAGS_VM);
}

/* An MMX instruction raises the x87 exception that is pending, as WAIT does. */
static void check_x87(void *env, uintptr_t host_pc)
{
    enum { ERROR_SUMMARY = 0x80 };
    if ((FIELD(uint16_t, env, ENV_FPUS) & ERROR_SUMMARY) && (FIELD(uint64_t, env, ENV_CR) & CR0_NE))
        unicorn.raise_exception(env, VECTOR_MF, 0, host_pc);
}

EXPORT void helper_enter_mmx_x86_64(void *env)
{
    check_x87(env, JIT_PC);
    unicorn.enter_mmx(env);
}

EXPORT void helper_emms_x86_64(void *env)
{
    check_x87(env, JIT_PC);
    unicorn.emms(env);
}

/* RDPMC: the counters that AMD's processors have without CPUID saying so, and which do not count. */
EXPORT void helper_rdpmc_x86_64(void *env)
{
    enum { COUNTERS = 4, AUTH = 0x68747541, HYGO = 0x6f677948 };
    uint32_t eax, vendor, ecx, edx, cpl = FIELD(uint32_t, env, ENV_HFLAGS) & HF_CPL_MASK;
    unicorn.cpuid(env, 0, 0, &eax, &vendor, &ecx, &edx);
    bool amd = vendor == AUTH || vendor == HYGO;
    bool allowed = cpl == 0 || (FIELD(uint64_t, env, ENV_CR + 4 * 8) & CR4_PCE);
    if (!allowed || !amd || (uint32_t)*reg(env, R_RCX) >= COUNTERS)
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);
    *reg(env, R_RAX) = *reg(env, R_RDX) = 0;
}

/* ---- I/O ports ---- */

/* Unicorn lets every ring do I/O. IOPL and the TSS bitmap decide on a real CPU. */
static void check_permission(void *env, uint32_t port, int log2_size, uintptr_t host_pc)
{
    uint64_t eflags = FIELD(uint64_t, env, ENV_EFLAGS);
    uint32_t cpl = FIELD(uint32_t, env, ENV_HFLAGS) & HF_CPL_MASK;
    if (!(FIELD(uint64_t, env, ENV_CR) & CR0_PE))
        return;
    if (cpl <= EFLAGS_IOPL(eflags) && !(eflags & EFLAGS_VM))
        return;
    /* Put eip back to this instruction first: the check raises #GP from here. */
    unicorn.restore_state(running_engine->cs, host_pc, true);
    unicorn.check_io[log2_size](env, port & 0xffff);
}

static uint64_t read_port(void *env, uint32_t port, int log2_size, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    int size = 1 << log2_size;
    check_permission(env, port, log2_size, host_pc);
    charge(e, PORT_TICKS);
    port &= 0xffff;
    const struct steady *known = steady_at(&e->grants, port_place(port, size), e->current);
    if (known != NULL)
        return known->value;
    uint64_t value;
    if (read_lent(e, port, size, &value))
        return value;
    value = read_device(e, port_place(port, size), e->current->calls[CALL_READ_PORT], port, size);
    leave_if_abandoned(e, host_pc);
    return value;
}

static void write_port(void *env, uint32_t port, int log2_size, uint32_t value, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    int size = 1 << log2_size;
    check_permission(env, port, log2_size, host_pc);
    charge(e, PORT_TICKS);
    port &= 0xffff;
    if (write_lent(e, port, size, value))
        return;
    write_device(e, port_place(port, size), e->current->calls[CALL_WRITE_PORT], port, size, value);
    leave_if_abandoned(e, host_pc);
}

#define PORT(letter, log2_size)                                                         \
    EXPORT uint64_t helper_in##letter##_x86_64(void *env, uint32_t port)                \
    {                                                                                   \
        return read_port(env, port, log2_size, JIT_PC);                                 \
    }                                                                                   \
    EXPORT void helper_out##letter##_x86_64(void *env, uint32_t port, uint32_t value)   \
    {                                                                                   \
        write_port(env, port, log2_size, value, JIT_PC);                                \
    }

PORT(b, 0)
PORT(w, 1)
PORT(l, 2)

/* ---- fast system calls (Intel SDM vol. 2, AMD APM vol. 3) ---- */

EXPORT void helper_syscall_x86_64(void *env, int length)
{
    if (!(FIELD(uint64_t, env, ENV_EFER) & EFER_SCE))
        unicorn.raise_exception(env, VECTOR_UD, 0, JIT_PC);

    uint64_t star = FIELD(uint64_t, env, ENV_STAR);
    uint64_t next = FIELD(uint64_t, env, ENV_EIP) + length;
    uint32_t selector = star >> 32 & 0xffff;
    if (!(FIELD(uint64_t, env, ENV_EFER) & EFER_LMA)) {
        *reg(env, R_RCX) = (uint32_t)next;
        FIELD(uint64_t, env, ENV_EFLAGS) &= ~(uint64_t)(EFLAGS_IF | EFLAGS_RF | EFLAGS_VM);
        enter_ring0(env, selector, false);
        FIELD(uint64_t, env, ENV_EIP) = (uint32_t)star;
        return;
    }

    uint64_t eflags = unicorn.read_eflags(env);
    bool from64 = FIELD(struct segment, env, ENV_SEGS + SEG_CS * sizeof(struct segment)).flags
                  & 0x200000; /* L */
    *reg(env, R_RCX) = next;
    *reg(env, R_R11) = eflags & ~(uint64_t)EFLAGS_RF;
    unicorn.write_eflags(env, eflags & ~FIELD(uint64_t, env, ENV_FMASK) & ~(uint64_t)EFLAGS_RF,
                         ALL_EFLAGS);
    enter_ring0(env, selector, true);
    FIELD(uint64_t, env, ENV_EIP) = FIELD(uint64_t, env, from64 ? ENV_LSTAR : ENV_CSTAR);
}

EXPORT void helper_sysenter_x86_64(void *env, int length)
{
    (void)length;
    uint32_t selector = FIELD(uint32_t, env, ENV_SYSENTER_CS);
    bool long_mode = FIELD(uint64_t, env, ENV_EFER) & EFER_LMA;
    if ((selector & 0xfffc) == 0)
        unicorn.raise_exception(env, VECTOR_GP, 0, JIT_PC);

    FIELD(uint64_t, env, ENV_EFLAGS) &= ~(uint64_t)(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
    enter_ring0(env, selector, long_mode);
    *reg(env, R_RSP) = FIELD(uint64_t, env, ENV_SYSENTER_ESP);
    FIELD(uint64_t, env, ENV_EIP) = FIELD(uint64_t, env, ENV_SYSENTER_EIP);
}
