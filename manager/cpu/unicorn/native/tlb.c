/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New entries of the soft TLB: what asked for one, which physical addresses there are, where the
 * memory of a device really is, and whether stores may bypass us (see codepages.c).
 */
#include "engine.h"

enum { PROT_STORE = 2, PROT_FETCH = 4 };
enum { BY_FETCH = 2 }; /* an access that asks for an entry */

/* Remembers the access for what follows. */
EXPORT bool x86_cpu_tlb_fill_x86_64(void *cs, uint64_t address, int size, int access,
                                    int mmu_index, bool probe, uintptr_t host_pc)
{
    struct engine *e = engine_of(cs);
    if (e != NULL) {
        e->fill_address = address;
        e->fill_access = access;
        e->fill_probe = probe;
        e->fill_pc = host_pc;
    }
    return unicorn.tlb_fill(cs, address, size, access, mmu_index, probe, host_pc);
}

/* A page table entry names an address beyond those that there are. Those bits are reserved: a
 * page fault that says so (Intel SDM vol. 3, 4.7). Unicorn takes all 52. */
static void refuse_physical(struct engine *e, int mmu_index)
{
    enum { FROM_USER = 1 };
    enum { PRESENT = 1, WRITE = 2, USER = 4, RESERVED = 8, FETCH = 16 };
    if (e == NULL || e->fill_probe)
        return;
    int error = PRESENT | RESERVED;
    error |= e->fill_access == 1 ? WRITE : 0;
    error |= mmu_index == FROM_USER ? USER : 0;
    error |= e->fill_access == BY_FETCH && (FIELD(uint64_t, e->env, ENV_EFER) & EFER_NXE) ? FETCH : 0;
    FIELD(uint64_t, e->env, ENV_CR + 2 * 8) = e->fill_address;
    unicorn.raise_exception(e->env, VECTOR_PF, error, e->fill_pc);
}

/* A new TLB entry starts out watched; let stores through at once where nothing needs watching. */
EXPORT void tlb_set_page_with_attrs_x86_64(void *cs, uint64_t virtual, uint64_t physical,
                                           uint32_t attributes, int protection, int mmu_index,
                                           uint64_t size)
{
    struct engine *e = engine_of(cs);
    if (physical >> PHYSICAL_BITS)
        refuse_physical(e, mmu_index);
    const struct ram *ram = e != NULL ? ram_at(e, physical) : NULL;
    uint64_t home = ram != NULL ? physical - ram->base + ram->home : physical;
    /* Unicorn lets no store to a page that may be executed bypass us. */
    if (ram != NULL && ram->touched != NULL && e->fill_access != BY_FETCH)
        protection &= ~PROT_FETCH;
    if (ram != NULL)
        protection = mark_guard(e, ram, physical, protection);
    unicorn.tlb_set_page(cs, virtual, home, attributes, protection, mmu_index, size);
    if (ram != NULL && (protection & PROT_STORE) && code_pages_allow_store(e, ram, physical))
        unicorn.tlb_set_dirty(cs, virtual);
}
