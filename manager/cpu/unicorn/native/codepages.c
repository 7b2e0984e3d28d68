/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of RAM hold translated code.
 *
 * QEMU lets a store go straight to RAM unless code was translated from that page. Unicorn lost the
 * rule: it watches pages by the virtual address they run at, so that a store through another
 * mapping goes unseen, and it sends every store to an executable page, seen or not, down its slow
 * path. Here the rule is back, by physical page: a TLB entry lets stores through directly if and
 * only if nothing was translated from the page it maps.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { PAGE_BITS = 12, PAGE_SIZE = 1 << PAGE_BITS };

bool code_pages_add(struct engine *e, uint64_t home, uint64_t length, void *host)
{
    if (e->ram_count == RAM_REGIONS) {
        PyErr_SetString(PyExc_ValueError, "too many RAM regions");
        return false;
    }
    uint64_t start = unicorn.ram_address(e->uc, host);
    uint64_t pages = (start + length) >> PAGE_BITS;
    if (pages > e->code_pages) {
        uint8_t *grown = realloc(e->has_code, pages);
        if (grown == NULL) {
            PyErr_NoMemory();
            return false;
        }
        memset(grown + e->code_pages, 0, pages - e->code_pages);
        e->has_code = grown;
        e->code_pages = pages;
    }
    struct ram ram = {home, length, home, start, host, NULL, NULL};
    if (home >> PHYSICAL_BITS) {
        ram.base = NOWHERE;
        ram.touched = calloc(1, length >> PAGE_BITS);
        if (ram.touched == NULL) {
            PyErr_NoMemory();
            return false;
        }
    }
    e->ram[e->ram_count++] = ram;
    return true;
}

void code_pages_free(struct engine *e)
{
    free(e->has_code);
    for (int i = 0; i < e->ram_count; i++)
        if (e->ram[i].whole == NULL)
            free(e->ram[i].touched);
}

/* RAM by Unicorn's own numbering ("ram address"), which starts a new range for each region. */
const struct ram *ram_at(const struct engine *e, uint64_t physical)
{
    for (int i = 0; i < e->ram_count; i++)
        if (physical - e->ram[i].base < e->ram[i].length)
            return &e->ram[i];
    return NULL;
}

void *ram_pointer(const struct engine *e, uint64_t physical, uint64_t length)
{
    const struct ram *ram = ram_at(e, physical);
    if (ram == NULL || length > ram->length - (physical - ram->base))
        return NULL;
    return (char *)ram->host + (physical - ram->base);
}

static bool holds_code(const struct engine *e, uint64_t page)
{
    return page < e->code_pages && e->has_code[page];
}

void code_pages_invalidate(struct engine *e, uint64_t physical, uint64_t end)
{
    for (int i = 0; i < e->ram_count; i++) {
        const struct ram *ram = &e->ram[i];
        if (end <= ram->base || physical >= ram->base + ram->length)
            continue;
        uint64_t first = physical > ram->base ? physical - ram->base : 0;
        uint64_t last = (end - ram->base < ram->length ? end - ram->base : ram->length) - 1;
        const uint8_t *page = e->has_code + ((ram->start + first) >> PAGE_BITS);
        const uint8_t *behind = e->has_code + ((ram->start + last) >> PAGE_BITS) + 1;
        for (; page < behind && (page = memchr(page, 1, behind - page)) != NULL; page++) {
            uint64_t start = (uint64_t)(page - e->has_code) << PAGE_BITS;
            uint64_t from = start > ram->start + first ? start : ram->start + first;
            uint64_t to = start + PAGE_SIZE - 1 < ram->start + last ? start + PAGE_SIZE
                                                                    : ram->start + last + 1;
            unicorn.invalidate(e->uc, from, to);
        }
    }
}

static struct ram *ram_of(struct engine *e, uint64_t home)
{
    for (int i = 0; i < e->ram_count; i++)
        if (e->ram[i].home == home && e->ram[i].whole == NULL)
            return &e->ram[i];
    PyErr_Format(PyExc_ValueError, "no memory has its home at %#llx", (unsigned long long)home);
    return NULL;
}

/* Memory of a device is at another address now. Unicorn asks for a page's address when it fills its
 * TLB, so that is where memory moves; see below. Translated code goes, because blocks of one page
 * jump to each other without asking. */
PyObject *engine_place_ram(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long home;
    PyObject *base;
    if (!PyArg_ParseTuple(args, "KO", &home, &base))
        return NULL;
    unsigned long long address = base != Py_None ? PyLong_AsUnsignedLongLong(base) : NOWHERE;
    if (PyErr_Occurred())
        return NULL;
    struct ram *ram = ram_of(e, home);
    if (ram == NULL)
        return NULL;
    code_pages_invalidate(e, ram->base, ram->base + ram->length);
    ram->base = address;
    flush_tlbs(e);
    Py_RETURN_NONE;
}

/* The part of a device's memory that has a second place, made when it is first wanted. */
static struct ram *part_of(struct engine *e, const struct ram *whole)
{
    for (int i = 0; i < e->ram_count; i++)
        if (e->ram[i].whole == whole)
            return &e->ram[i];
    if (e->ram_count == RAM_REGIONS) {
        PyErr_SetString(PyExc_ValueError, "too many RAM regions");
        return NULL;
    }
    struct ram *part = &e->ram[e->ram_count++];
    *part = *whole;
    part->whole = whole;
    part->base = NOWHERE;
    return part;
}

/* A part of a device's memory is at a second address too. It has the whole's pages for all that is
 * counted by page: code that was translated from them, and stores. */
PyObject *engine_place_part(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long home, offset, length;
    PyObject *base;
    if (!PyArg_ParseTuple(args, "KKKO", &home, &offset, &length, &base))
        return NULL;
    unsigned long long address = base != Py_None ? PyLong_AsUnsignedLongLong(base) : NOWHERE;
    if (PyErr_Occurred())
        return NULL;
    const struct ram *whole = ram_of(e, home);
    if (whole == NULL)
        return NULL;
    bool pages = (offset | length | address) % PAGE_SIZE == 0 && length > 0;
    if (!pages || whole->touched == NULL || offset > whole->length ||
        length > whole->length - offset) {
        PyErr_SetString(PyExc_ValueError, "a part is whole pages of a device's memory");
        return NULL;
    }
    struct ram *part = part_of(e, whole);
    if (part == NULL)
        return NULL;
    code_pages_invalidate(e, part->base, part->base + part->length);
    *part = (struct ram){
        .base = address,
        .length = length,
        .home = whole->home + offset,
        .start = whole->start + offset,
        .host = (char *)whole->host + offset,
        .touched = whole->touched + (offset >> PAGE_BITS),
        .whole = whole,
    };
    flush_tlbs(e);
    Py_RETURN_NONE;
}

/* Which pages of a device's memory the guest has stored to, and from now on anew: the next store to
 * each comes to us again. */
PyObject *engine_touched(PyObject *self, PyObject *home)
{
    struct engine *e = (struct engine *)self;
    unsigned long long place = PyLong_AsUnsignedLongLong(home);
    if (PyErr_Occurred())
        return NULL;
    struct ram *ram = ram_of(e, place);
    if (ram == NULL)
        return NULL;
    if (ram->touched == NULL) {
        PyErr_SetString(PyExc_ValueError, "only memory of devices is watched");
        return NULL;
    }
    size_t pages = ram->length >> PAGE_BITS;
    PyObject *found = PyBytes_FromStringAndSize((char *)ram->touched, pages);
    if (found == NULL || memchr(ram->touched, 1, pages) == NULL)
        return found;
    memset(ram->touched, 0, pages);
    reset_dirty(e, (uintptr_t)ram->host, ram->length);
    return found;
}

static void touch(struct engine *e, uint64_t ram_address)
{
    for (int i = 0; i < e->ram_count; i++) {
        const struct ram *ram = &e->ram[i];
        if (ram->touched != NULL && ram_address - ram->start < ram->length)
            ram->touched[(ram_address - ram->start) >> PAGE_BITS] = 1;
    }
}

/* The first code was translated from a page: stores to it must be seen, whatever their mapping. */
EXPORT void tlb_protect_code_x86_64(void *uc, uint64_t ram_address)
{
    struct engine *e = engine_of_uc(uc);
    for (int i = 0; i < e->ram_count; i++) {
        const struct ram *ram = &e->ram[i];
        if (ram_address - ram->start < ram->length) {
            e->has_code[ram_address >> PAGE_BITS] = 1;
            uintptr_t host = (uintptr_t)ram->host + ((ram_address - ram->start) & -(uint64_t)PAGE_SIZE);
            reset_dirty(e, host, PAGE_SIZE);
            return;
        }
    }
}

/* The last code of a page is gone. */
EXPORT void tlb_unprotect_code_x86_64(void *uc, uint64_t ram_address)
{
    struct engine *e = engine_of_uc(uc);
    if (e != NULL && ram_address >> PAGE_BITS < e->code_pages)
        e->has_code[ram_address >> PAGE_BITS] = 0;
}

/* Unicorn's own watch by virtual address: not needed any more, and it walks the TLB each time. */
EXPORT void tlb_reset_dirty_by_vaddr_x86_64(void *cs, uint64_t start, uint64_t length)
{
    (void)cs;
    (void)start;
    (void)length;
}

EXPORT void tb_flush_x86_64(void *cs)
{
    struct engine *e = engine_of(cs);
    unicorn.tb_flush(cs);
    if (e == NULL)
        return;
    memset(e->has_code, 0, e->code_pages);
    e->translating = false;
}

/*
 * A store to a page that may hold code. A store into the block that is running ends it: Unicorn
 * translates the storing instruction alone and starts over with it. A stop just before that
 * one-instruction block would make the next run translate a longer one, store again and charge
 * its time twice, so ask for none.
 */
EXPORT void tb_invalidate_phys_page_fast_x86_64(void *uc, void *pages, uint64_t start, int length,
                                                uintptr_t host_pc)
{
    struct engine *e = engine_of_uc(uc);
    e->stored_page = start >> PAGE_BITS;
    touch(e, start);
    if (!holds_code(e, e->stored_page))
        return;
    uint64_t attention = e->attention;
    e->cut = true;
    e->attention = 0;
    unicorn.page_written(uc, pages, start, length, host_pc); /* may jump */
    e->cut = false;
    e->attention = attention;
}

/* After such a store: may the next ones go straight to RAM? */
EXPORT void tlb_set_dirty_x86_64(void *cs, uint64_t virtual)
{
    struct engine *e = engine_of(cs);
    if (!holds_code(e, e->stored_page))
        unicorn.tlb_set_dirty(cs, virtual);
}

bool code_pages_allow_store(const struct engine *e, const struct ram *ram, uint64_t physical)
{
    uint64_t page = (physical - ram->base) >> PAGE_BITS;
    bool watched = ram->touched != NULL && !ram->touched[page];
    return !watched && !e->has_code[(ram->start >> PAGE_BITS) + page];
}
