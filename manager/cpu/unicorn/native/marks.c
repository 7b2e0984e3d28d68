/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mark: a point in a run to which the engine comes back, as often as asked.
 *
 * Most pages are as they were. Which are not is known without a system call and without a slower
 * store: after a mark a TLB entry that was filled for a load or a fetch lets no store through, so
 * the first store to its page fills it anew, and there the old content is put aside (tlb.c). What
 * bypasses the TLB says so before it writes: the page walk's accessed and dirty bits, the host.
 * Memory of devices, into which they may write at any time, is copied and compared as a whole.
 *
 * Translations are kept, but for those of pages that are put back.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { PAGE_BITS = 12, PAGE_SIZE = 1 << PAGE_BITS };
enum { PROT_STORE = 2, BY_STORE = 1 };
enum { CHUNK_PAGES = 64, CHUNKS_KEPT = 64 }; /* 16 MiB stay allocated for the next time */

/* A page that differs from the mark: where it is, and its old content; NULL for zeros. */
struct aside {
    uint64_t page; /* by Unicorn's RAM address */
    char *host;
    char *content;
};

struct marked_cpu {
    char env[ENV_UC];
    uint32_t interrupt_request;
    uint32_t halted;
    int32_t exception_index;
    bool waiting;
    uint64_t hold;
    struct tear tear;
};

struct mark {
    uint8_t *noted; /* one per page, by Unicorn's RAM address */
    uint64_t pages;
    struct aside *asides;
    size_t aside_count, aside_room;
    char **chunks; /* of CHUNK_PAGES old contents each */
    size_t chunk_count, contents;
    bool lost; /* there was no room for an old content */
    char *of_devices[RAM_REGIONS];

    uint64_t now, charged, turn_end, draws;
    int current;
    bool rewritten;
    uint64_t rest;
    int int_length;
    int32_t cflags_next;
    uint64_t break_count;
    struct break_ breaks[BREAKS_KEPT];
    int delivery_count;
    struct delivery deliveries[DELIVERIES_MAX];
    struct refusal refusal;
    struct marked_cpu cpus[]; /* cpu_count of them */
};

/* What engine and mark have alike, under the same names: how far the run is. */
#define COPY_COURSE(to, from)                                                                      \
    do {                                                                                           \
        (to)->now = (from)->now;                                                                   \
        (to)->charged = (from)->charged;                                                           \
        (to)->turn_end = (from)->turn_end;                                                         \
        (to)->draws = (from)->draws;                                                               \
        (to)->rewritten = (from)->rewritten;                                                       \
        (to)->rest = (from)->rest;                                                                 \
        (to)->int_length = (from)->int_length;                                                     \
        (to)->break_count = (from)->break_count;                                                   \
        memcpy((to)->breaks, (from)->breaks, sizeof((to)->breaks));                                \
        (to)->delivery_count = (from)->delivery_count;                                             \
        memcpy((to)->deliveries, (from)->deliveries, sizeof((to)->deliveries));                    \
        (to)->refusal = (from)->refusal;                                                           \
    } while (0)

void mark_free(struct engine *e)
{
    struct mark *m = e->mark;
    e->mark = NULL;
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->chunk_count; i++)
        free(m->chunks[i]);
    for (int i = 0; i < RAM_REGIONS; i++)
        free(m->of_devices[i]);
    free(m->chunks);
    free(m->asides);
    free(m->noted);
    free(m);
}

/* ---- pages ---- */

static char *content_slot(struct mark *m)
{
    if (m->contents == m->chunk_count * CHUNK_PAGES) {
        char **grown = realloc(m->chunks, (m->chunk_count + 1) * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        m->chunks = grown;
        if ((grown[m->chunk_count] = malloc(CHUNK_PAGES * PAGE_SIZE)) == NULL)
            return NULL;
        m->chunk_count++;
    }
    size_t slot = m->contents++;
    return m->chunks[slot / CHUNK_PAGES] + slot % CHUNK_PAGES * PAGE_SIZE;
}

static bool is_zero(const char *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

/* Where there is no room, nothing may stop the guest; but there is no way back. */
static void put_aside(struct mark *m, uint64_t page, char *host)
{
    m->noted[page] = 1;
    if (m->aside_count == m->aside_room) {
        size_t room = m->aside_room != 0 ? 2 * m->aside_room : CHUNK_PAGES;
        struct aside *grown = realloc(m->asides, room * sizeof(*grown));
        if (grown == NULL) {
            m->lost = true;
            return;
        }
        m->asides = grown;
        m->aside_room = room;
    }
    char *content = NULL;
    if (!is_zero(host)) {
        if ((content = content_slot(m)) == NULL) {
            m->lost = true;
            return;
        }
        memcpy(content, host, PAGE_SIZE);
    }
    m->asides[m->aside_count++] = (struct aside){page, host, content};
}

static void note(struct mark *m, const struct ram *ram, uint64_t offset)
{
    uint64_t page = (ram->start + offset) >> PAGE_BITS;
    if (page < m->pages && !m->noted[page])
        put_aside(m, page, (char *)ram->host + (offset & -(uint64_t)PAGE_SIZE));
}

void mark_note_memory(struct engine *e, uint64_t physical, uint64_t end)
{
    struct mark *m = e->mark;
    for (int i = 0; m != NULL && i < e->ram_count; i++) {
        const struct ram *ram = &e->ram[i];
        if (ram->touched != NULL || end <= ram->base || physical >= ram->base + ram->length)
            continue;
        uint64_t first = physical > ram->base ? physical - ram->base : 0;
        uint64_t last = end - ram->base < ram->length ? end - ram->base : ram->length;
        for (first &= -(uint64_t)PAGE_SIZE; first < last; first += PAGE_SIZE)
            note(m, ram, first);
    }
}

int mark_guard(struct engine *e, const struct ram *ram, uint64_t physical, int protection)
{
    struct mark *m = e->mark;
    if (m == NULL || ram->touched != NULL || !(protection & PROT_STORE))
        return protection;
    uint64_t offset = physical - ram->base;
    if (e->fill_access == BY_STORE)
        note(m, ram, offset);
    uint64_t page = (ram->start + offset) >> PAGE_BITS;
    return page < m->pages && !m->noted[page] ? protection & ~PROT_STORE : protection;
}

/* The page walk sets accessed and dirty bits. */
EXPORT void x86_stl_phys_notdirty_x86_64(void *cs, uint64_t physical, uint32_t value)
{
    struct engine *e = engine_of(cs);
    if (e != NULL && e->mark != NULL)
        mark_note_memory(e, physical, physical + sizeof(value));
    unicorn.store_entry(cs, physical, value);
}

static void drop_code(struct engine *e, uint64_t page)
{
    if (e->has_code[page])
        unicorn.invalidate(e->uc, page << PAGE_BITS, (page + 1) << PAGE_BITS);
}

static void put_back_devices_memory(struct engine *e, const struct mark *m)
{
    for (int i = 0; i < e->ram_count; i++) {
        const struct ram *ram = &e->ram[i];
        if (m->of_devices[i] == NULL)
            continue;
        for (uint64_t offset = 0; offset < ram->length; offset += PAGE_SIZE) {
            char *now = (char *)ram->host + offset, *then = m->of_devices[i] + offset;
            if (memcmp(now, then, PAGE_SIZE) == 0)
                continue;
            drop_code(e, (ram->start + offset) >> PAGE_BITS);
            memcpy(now, then, PAGE_SIZE);
            ram->touched[offset >> PAGE_BITS] = 1; /* whoever shows it has to look again */
        }
    }
}

/* Memory is as it was at the mark. The TLBs still say otherwise: back_cpus comes next. */
PyObject *engine_back_memory(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    struct mark *m = e->mark;
    if (m == NULL || running_engine != NULL || e->crashed) {
        PyErr_SetString(PyExc_RuntimeError, "there is no mark, or no way back to it");
        return NULL;
    }
    if (m->lost)
        return PyErr_NoMemory();
    for (size_t i = 0; i < m->aside_count; i++) {
        const struct aside *aside = &m->asides[i];
        drop_code(e, aside->page);
        if (aside->content != NULL)
            memcpy(aside->host, aside->content, PAGE_SIZE);
        else
            memset(aside->host, 0, PAGE_SIZE);
        m->noted[aside->page] = 0;
    }
    size_t pages = m->aside_count;
    m->aside_count = m->contents = 0;
    while (m->chunk_count > CHUNKS_KEPT)
        free(m->chunks[--m->chunk_count]);
    put_back_devices_memory(e, m);
    return PyLong_FromSize_t(pages);
}

/* ---- CPUs and time ---- */

static void mark_cpus(struct engine *e, struct mark *m)
{
    uint64_t dr7 = take_breakpoints_off(e);
    for (int n = 0; n < e->cpu_count; n++) {
        const struct cpu *c = e->cpus[n];
        struct marked_cpu *kept = &m->cpus[n];
        memcpy(kept->env, cpu_env(c), ENV_UC);
        kept->interrupt_request = *cpu_request(c);
        kept->halted = *cpu_halted(c);
        kept->exception_index = *cpu_exception(c);
        kept->waiting = c->waiting;
        kept->hold = c->hold;
        kept->tear = c->tear;
    }
    FIELD(uint64_t, m->cpus[e->current->number].env, ENV_DR + 7 * 8) = dr7;
    put_breakpoints_on(e, dr7);
    m->current = e->current->number;
    m->cflags_next = FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB);
}

static void put_cpus_back(struct engine *e, const struct mark *m)
{
    bank_switch(e, e->cpus[m->current]);
    take_breakpoints_off(e);
    for (int n = 0; n < e->cpu_count; n++) {
        struct cpu *c = e->cpus[n];
        const struct marked_cpu *kept = &m->cpus[n];
        memcpy(cpu_env(c), kept->env, ENV_UC);
        *cpu_request(c) = kept->interrupt_request;
        *cpu_halted(c) = kept->halted;
        *cpu_exception(c) = kept->exception_index;
        c->waiting = kept->waiting;
        c->hold = kept->hold;
        c->tear = kept->tear;
    }
    put_breakpoints_on(e, FIELD(uint64_t, e->env, ENV_DR + 7 * 8));
    FIELD(int32_t, e->cs, CS_CFLAGS_NEXT_TB) = m->cflags_next;
}

/* Time and the CPUs are as they were at the mark. Once more after devices have driven their lines. */
PyObject *engine_back_cpus(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    const struct mark *m = e->mark;
    if (m == NULL || running_engine != NULL || e->crashed) {
        PyErr_SetString(PyExc_RuntimeError, "there is no mark, or no way back to it");
        return NULL;
    }
    put_cpus_back(e, m);
    COPY_COURSE(e, m);
    e->delivering = false;
    debugger_interrupted(e);
    flush_tlbs(e);
    Py_RETURN_NONE;
}

/* This is the point to come back to, in place of any before. Only between blocks. */
PyObject *engine_mark(PyObject *self, PyObject *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    if (running_engine != NULL || e->crashed) {
        PyErr_SetString(PyExc_RuntimeError, "no point of a run to come back to");
        return NULL;
    }
    mark_free(e);
    struct mark *m = calloc(1, sizeof(*m) + e->cpu_count * sizeof(*m->cpus));
    if (m == NULL || (m->noted = calloc(1, e->code_pages + 1)) == NULL) {
        free(m);
        return PyErr_NoMemory();
    }
    m->pages = e->code_pages;
    e->mark = m;
    for (int i = 0; i < e->ram_count; i++) {
        if (e->ram[i].touched == NULL || e->ram[i].whole != NULL)
            continue;
        if ((m->of_devices[i] = malloc(e->ram[i].length)) == NULL) {
            mark_free(e);
            return PyErr_NoMemory();
        }
        memcpy(m->of_devices[i], e->ram[i].host, e->ram[i].length);
    }
    mark_cpus(e, m);
    COPY_COURSE(m, e);
    flush_tlbs(e); /* what they let through has to come by */
    Py_RETURN_NONE;
}

PyObject *engine_forget_mark(PyObject *self, PyObject *unused)
{
    (void)unused;
    mark_free((struct engine *)self);
    Py_RETURN_NONE;
}
