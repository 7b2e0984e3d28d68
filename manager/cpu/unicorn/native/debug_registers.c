/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints and watchpoints as the guest sets them in DR0-DR3 and DR7 (Intel SDM vol. 3, 18.2).
 *
 * Unicorn emptied QEMU's watchpoints and looks for breakpoints by offset instead of by linear
 * address; where it finds none it stops for a debugger that is not there. Here both come from the
 * debug registers themselves.
 *
 * A data breakpoint is a trap: the instruction completes first. It may lie in the middle of a
 * block, so the block is left before the access and the instruction alone is run again (`replay`).
 * What it hit waits in `watch_hits` until the next block hook, where eip is exact.
 */
#include "engine.h"

enum { BREAKPOINTS = 4 };
enum { ON_EXECUTION = 0, ON_WRITE = 1, ON_PORT = 2, ON_ACCESS = 3 };
enum { MEMORY_READ = 1, MEMORY_WRITE = 2 };

static uint64_t dr(const void *env, int number)
{
    return FIELD(uint64_t, env, ENV_DR + 8 * number);
}

static bool enabled(const void *env, int number)
{
    return dr(env, 7) >> (2 * number) & 3;
}

static int kind(const void *env, int number)
{
    return dr(env, 7) >> (16 + 4 * number) & 3;
}

static uint64_t length(const void *env, int number)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};
    return lengths[dr(env, 7) >> (18 + 4 * number) & 3];
}

/* Which data breakpoints an access of that kind to [address, address + size) hits. */
static uint32_t watched(const void *env, uint64_t address, uint64_t size, int access)
{
    uint32_t hits = 0;
    for (int n = 0; n < BREAKPOINTS; n++) {
        uint64_t first = dr(env, n) & -length(env, n);
        bool of_kind = kind(env, n) == ON_ACCESS ||
                       (kind(env, n) == ON_WRITE && (access & MEMORY_WRITE));
        if (enabled(env, n) && of_kind && address <= first + length(env, n) - 1 &&
            first <= address + size - 1)
            hits |= 1u << n;
    }
    return hits;
}

static void __attribute__((noreturn)) debug_exception(void *env, uint32_t hits)
{
    uint64_t *dr6 = &FIELD(uint64_t, env, ENV_DR + 8 * 6);
    *dr6 = (*dr6 & ~(uint64_t)0xf) | hits;
    unicorn.raise_exception(env, VECTOR_DB, 0, 0);
}

void raise_watch_hits(struct engine *e)
{
    uint32_t hits = e->watch_hits;
    e->watch_hits = 0;
    e->replay = false;
    debug_exception(e->env, hits);
}

/* DR7 changed: TLB entries carry whether their page is watched. Unicorn reads a flag in the
 * object that it gets here, "was hit"; we set DR6 ourselves, so it stays clear. */
EXPORT int cpu_watchpoint_insert_x86_64(void *cs, uint64_t address, uint64_t length, int flags,
                                        void **watchpoint)
{
    static char never_hit[64];
    (void)address;
    (void)length;
    (void)flags;
    *watchpoint = never_hit;
    unicorn.tlb_flush(cs);
    return 0;
}

EXPORT void cpu_watchpoint_remove_by_ref_x86_64(void *cs, void *watchpoint)
{
    (void)watchpoint;
    unicorn.tlb_flush(cs);
}

/* Asked for each new TLB entry: must accesses to this page be looked at? */
EXPORT int cpu_watchpoint_address_matches_x86_64(void *cs, uint64_t address, uint64_t length)
{
    void *env = (char *)cs + CS_TO_ENV;
    const struct engine *e = engine_of(cs);
    int access = e != NULL ? debugger_watches(e, address, length) : 0;
    if (!(dr(env, 7) & 0xff))
        return access;
    if (watched(env, address, length, MEMORY_READ))
        access |= MEMORY_READ;
    if (watched(env, address, length, MEMORY_WRITE))
        access |= MEMORY_WRITE;
    return access;
}

/* An access to a watched page, before it happens. */
EXPORT void cpu_check_watchpoint_x86_64(void *cs, uint64_t address, uint64_t size,
                                        uint32_t attributes, int access, uintptr_t host_pc)
{
    struct engine *e = running_engine;
    (void)attributes;
    debugger_access(e, address, size, access, host_pc);
    uint32_t hits = watched(e->env, address, size, access);
    if (hits == 0)
        return;
    e->attention = 0;
    if (e->replay || host_pc == 0 || !unicorn.restore_state(cs, host_pc, true)) {
        e->watch_hits |= hits;
        return;
    }
    e->replay = e->cut = true;
    FIELD(int32_t, cs, CS_CFLAGS_NEXT_TB) = ONE_INSTRUCTION;
    unicorn.loop_exit_noexc(cs);
}

/* Translated code has come to an instruction with a breakpoint, and RF is clear. */
EXPORT void breakpoint_handler_x86_64(void *cs)
{
    void *env = (char *)cs + CS_TO_ENV;
    const struct segment *code = &FIELD(struct segment, env, ENV_SEGS + SEG_CS * sizeof(*code));
    uint64_t linear = code->base + FIELD(uint64_t, env, ENV_EIP);
    if (!(FIELD(uint32_t, env, ENV_HFLAGS) & HF_CS64))
        linear = (uint32_t)linear;
    uint32_t hits = 0;
    for (int n = 0; n < BREAKPOINTS; n++)
        if (enabled(env, n) && kind(env, n) == ON_EXECUTION && dr(env, n) == linear)
            hits |= 1u << n;
    if (hits)
        debug_exception(env, hits);
    FIELD(uint64_t, env, ENV_EFLAGS) |= EFLAGS_RF; /* past it, whatever it was */
    unicorn.loop_exit_noexc(cs);
}

static bool is_prefix(uint8_t byte, bool code64)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return code64 && (byte & 0xf0) == 0x40;
    }
}

/* INT1 (F1), which Unicorn takes for an invalid opcode: a #DB trap. False if it is not one. */
bool deliver_int1(struct engine *e)
{
    enum { LONGEST = 15, INT1 = 0xf1 };
    const struct segment *code = &FIELD(struct segment, e->env, ENV_SEGS + SEG_CS * sizeof(*code));
    uint64_t *eip = &FIELD(uint64_t, e->env, ENV_EIP);
    bool code64 = FIELD(uint32_t, e->env, ENV_HFLAGS) & HF_CS64;
    if (FIELD(int32_t, e->env, ENV_EXCEPTION_IS_INT))
        return false; /* INT 6 */
    for (int length = 0; length < LONGEST; length++) {
        uint64_t linear = code->base + *eip + length;
        uint8_t byte = unicorn.load_code(e->env, code64 ? linear : (uint32_t)linear);
        if (byte == INT1) {
            *eip += length + 1;
            FIELD(int32_t, e->cs, CS_EXCEPTION_INDEX) = VECTOR_DB;
            return true;
        }
        if (byte == 0xf0 || !is_prefix(byte, code64))
            return false;
    }
    return false;
}
