/* SPDX-License-Identifier: BSD-2-Clause */
/* A few guest instructions that show where Unicorn keeps what only a run changes. */
#include <string.h>

#include "selfcheck.h"

enum { UC_HOOK_INTR = 1 << 0, UC_HOOK_BLOCK = 1 << 3, UC_PROT_ALL = 7 };
enum { CODE = 0x1000, DEVICE = 0x2000, PAGE = 0x1000 };

/* nop; nop; nop; hlt */
static const uint8_t nops_hlt[] = {0x90, 0x90, 0x90, 0xf4};
/* int 0x21, then what follows it */
static const uint8_t int_21[] = {0xcd, 0x21, 0xf4};
/* mov ax, 0x1230; mov ds, ax: the GDT is empty, so #GP(0x1230) */
static const uint8_t wrong_selector[] = {0x66, 0xb8, 0x30, 0x12, 0x8e, 0xd8, 0xf4};

/* movabs al, [DEVICE]; hlt */
static const uint8_t load[] = {0xa0, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 0xf4};

/* movaps xmm0, [CODE + 1]; hlt */
static const uint8_t movaps[] = {0x0f, 0x28, 0x04, 0x25, 0x01, 0x10, 0, 0, 0xf4};

enum { INT = 0x21, AFTER_INT = CODE + 2, SELECTOR = 0x1230 };

/* What a probe looks at, and what was found there when it was looked at. */
struct look {
    struct engine *engine;
    int cs_at, env_at;
    uint32_t first_block; /* bytes */
    int exceptions;
    int32_t in_cs;
    uint64_t in_env;
};

static void on_block(void *uc, uint64_t address, uint32_t size, void *opaque)
{
    struct look *look = opaque;
    (void)uc;
    (void)address;
    if (look->first_block == 0)
        look->first_block = size;
}

static void on_exception(void *uc, uint32_t vector, void *opaque)
{
    struct look *look = opaque;
    (void)vector;
    look->exceptions++;
    look->in_cs = FIELD(int32_t, look->engine->cs, look->cs_at);
    look->in_env = FIELD(uint64_t, look->engine->env, look->env_at);
    unicorn.emu_stop(uc);
}

/* Runs `code` in 64-bit mode, in a page of its own; false if it cannot be run. */
static bool run(struct engine *e, const uint8_t *code, size_t length, struct look *look)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
    size_t block, exception;
    look->engine = e;
    memset(page, 0xf4, sizeof(page));
    memcpy(page, code, length);
    if (unicorn.mem_map_ptr(e->uc, CODE, sizeof(page), UC_PROT_ALL, page) != 0)
        return false;
    bool hooked = unicorn.hook_add(e->uc, &block, UC_HOOK_BLOCK, on_block, look, 1, 0) == 0 &&
                  unicorn.hook_add(e->uc, &exception, UC_HOOK_INTR, on_exception, look, 1, 0) == 0;
    if (hooked) {
        FIELD(uint64_t, e->env, ENV_EIP) = CODE;
        FIELD(struct segment, e->env, ENV_GDT).limit = 0;
        running_engine = e;
        e->crashed = contained_run(e);
        running_engine = NULL;
        unicorn.hook_del(e->uc, block);
        unicorn.hook_del(e->uc, exception);
    }
    unicorn.mem_unmap(e->uc, CODE, sizeof(page));
    return hooked && !e->crashed;
}

/* The translation flags of the next block, -1 for the usual ones: here, one instruction. */
bool probe_cflags_next_tb(struct engine *e, int at)
{
    struct look look = {0};
    if (FIELD(int32_t, e->cs, at) != -1)
        return false;
    FIELD(int32_t, e->cs, at) = ONE_INSTRUCTION;
    return run(e, nops_hlt, sizeof(nops_hlt), &look) && look.first_block == 1 &&
           FIELD(int32_t, e->cs, at) == -1;
}

bool probe_halted(struct engine *e, int at)
{
    struct look look = {0};
    return run(e, int_21, sizeof(int_21), &look) && FIELD(uint32_t, e->cs, at) == 0 &&
           run(e, nops_hlt, sizeof(nops_hlt), &look) && FIELD(uint32_t, e->cs, at) == 1;
}

bool probe_exception_index(struct engine *e, int at)
{
    struct look look = {.cs_at = at};
    return run(e, int_21, sizeof(int_21), &look) && look.exceptions == 1 && look.in_cs == INT;
}

bool probe_exception_is_int(struct engine *e, int at)
{
    struct look one = {.env_at = at}, two = {.env_at = at};
    return run(e, int_21, sizeof(int_21), &one) && (int32_t)one.in_env == 1 &&
           run(e, wrong_selector, sizeof(wrong_selector), &two) && (int32_t)two.in_env == 0;
}

bool probe_next_eip(struct engine *e, int at)
{
    struct look look = {.env_at = at};
    return run(e, int_21, sizeof(int_21), &look) && look.in_env == AFTER_INT;
}

bool probe_error_code(struct engine *e, int at)
{
    struct look look = {.env_at = at};
    FIELD(int32_t, e->env, ENV_OLD_EXCEPTION) = -1;
    return run(e, wrong_selector, sizeof(wrong_selector), &look) &&
           (int32_t)look.in_env == SELECTOR;
}

static uint64_t on_load(void *uc, uint64_t offset, unsigned size, void *opaque)
{
    struct look *look = opaque;
    uintptr_t host_pc = FIELD(uintptr_t, look->engine->cs, look->cs_at);
    (void)uc;
    (void)offset;
    (void)size;
    look->in_cs = unicorn.restore_state(look->engine->cs, host_pc, false);
    return 0;
}

/* An address in translated code, from which the instruction that accesses a device is found. */
bool probe_mem_io_pc(struct engine *e, int at)
{
    struct look look = {.engine = e, .cs_at = at};
    if (unicorn.mmio_map(e->uc, DEVICE, PAGE, on_load, &look, NULL, NULL) != 0)
        return false;
    bool ran = run(e, load, sizeof(load), &look);
    unicorn.mem_unmap(e->uc, DEVICE, PAGE);
    return ran && look.in_cs == 1;
}

/* What is seen of a translation: for each instruction a value before and one after it. */
static struct {
    int at, count;
    uint64_t pc[16];
    int32_t is_jmp[16];
} seen;

static void on_translation(struct engine *e, void *db)
{
    (void)e;
    if (seen.count < 16) {
        seen.pc[seen.count] = FIELD(uint64_t, db, seen.at);
        seen.is_jmp[seen.count++] = FIELD(int32_t, db, seen.at);
    }
}

static bool watch_translation(struct engine *e, int at)
{
    struct look look = {0};
    seen.at = at;
    seen.count = 0;
    e->translation_watch = on_translation;
    bool ran = run(e, nops_hlt, sizeof(nops_hlt), &look);
    e->translation_watch = NULL;
    return ran && seen.count == 2 * sizeof(nops_hlt);
}

/* The address of the next instruction: it moves on by one at each of these. */
bool probe_pc_next(struct engine *e, int at)
{
    bool right = watch_translation(e, at);
    for (int n = 0; n < seen.count; n++)
        right = right && seen.pc[n] == CODE + (uint64_t)(n + 1) / 2;
    return right;
}

/* What ends the block: nothing until HLT. */
bool probe_is_jmp(struct engine *e, int at)
{
    enum { NORETURN = 2 };
    bool right = watch_translation(e, at);
    for (int n = 0; n < seen.count; n++)
        right = right && seen.is_jmp[n] == (n == seen.count - 1 ? NORETURN : 0);
    return right;
}

static int unaligned_accesses;

static void on_unaligned(void *cs, uint64_t address, int access, int mmu_index, uintptr_t host_pc)
{
    (void)address;
    (void)access;
    (void)mmu_index;
    (void)host_pc;
    unaligned_accesses++;
    unicorn.emu_stop(FIELD(void *, cs, CS_UC));
    unicorn.loop_exit_noexc(cs);
}

/* Called for an access that is not aligned as its translation demands. */
bool probe_unaligned(struct engine *e, int at)
{
    struct look look = {0};
    void **slot = &FIELD(void *, FIELD(char *, e->cs, CS_CLASS), at), *before = *slot;
    if (before != NULL)
        return false;
    *slot = (void *)on_unaligned;
    unaligned_accesses = 0;
    FIELD(uint64_t, e->env, ENV_CR) &= ~(uint64_t)(CR0_EM | CR0_TS);
    unicorn.update_cr4(e->env, CR4_PAE | CR4_OSFXSR);
    bool ran = run(e, movaps, sizeof(movaps), &look);
    *slot = before;
    return ran && unaligned_accesses == 1;
}

/* It is what was raised last, so that a second fault becomes a double fault. */
bool probe_old_exception(struct engine *e, int at)
{
    struct look look = {.env_at = at};
    FIELD(int32_t, e->env, at) = -1;
    return run(e, wrong_selector, sizeof(wrong_selector), &look) &&
           (int32_t)look.in_env == VECTOR_GP;
}

/* What is asked for between two blocks is gone when the next one is begun. */
bool probe_nb_temps(struct engine *e, int at)
{
    enum { I64 = 1 };
    struct look look = {0};
    if (!run(e, int_21, sizeof(int_21), &look))
        return false;
    int before = FIELD(int, translator, at);
    for (int n = 0; n < 3; n++) /* the first ones may be old ones that were given back */
        unicorn.new_temporary(translator, I64, true);
    int after = FIELD(int, translator, at);
    unicorn.new_temporary(translator, I64, true);
    return before > 0 && after > before && FIELD(int, translator, at) == after + 1;
}

bool probe_nb_ops(struct engine *e, int at)
{
    struct look look = {0};
    if (!run(e, int_21, sizeof(int_21), &look))
        return false;
    int before = FIELD(int, translator, at);
    unicorn.emit_operation(translator, 0);
    return before > 0 && FIELD(int, translator, at) == before + 1;
}
