/* SPDX-License-Identifier: BSD-2-Clause */
/* What answers at a physical address: RAM, ROM, a device, or nothing. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { UC_HOOK_MEM_WRITE_PROT = 1 << 8 };
enum { UC_PROT_READ_EXEC = 5, UC_PROT_ALL = 7 };

/* A store to ROM: the bus cycle happens, nothing takes it. */
static bool on_rom_write(void *uc, int type, uint64_t address, int size, int64_t value,
                         void *opaque)
{
    (void)uc;
    (void)type;
    (void)address;
    (void)size;
    (void)value;
    (void)opaque;
    return true;
}

/*
 * Where there is neither RAM nor ROM, accesses come here, aligned and of 1, 2 or 4 bytes: Unicorn
 * splits all others. Unicorn itself has nothing but holes there; which device answers says a table
 * of ours, so that one can come, go and move while the guest runs without a change to what Unicorn
 * has mapped.
 */
static struct claim *claim_at(const struct engine *e, uint64_t address)
{
    size_t low = 0, high = e->claim_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (e->claims[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->claim_count && e->claims[low].base <= address ? &e->claims[low] : NULL;
}

static uint64_t read_hole(void *uc, uint64_t offset, unsigned size, void *opaque)
{
    const struct hole *hole = opaque;
    struct engine *e = hole->engine;
    const struct claim *claim = claim_at(e, hole->base + offset);
    (void)uc;
    if (claim == NULL)
        return UINT64_MAX; /* the bus floats high */
    charge(e, MMIO_TICKS);
    PyObject *read = Py_NewRef(claim->read); /* the device may give up its claim meanwhile */
    uint64_t address = hole->base + offset;
    uint64_t value = read_device(e, memory_place(address, (int)size), read, address - claim->base,
                                 (int)size);
    Py_DECREF(read);
    leave_if_abandoned(e, FIELD(uintptr_t, e->cs, CS_MEM_IO_PC));
    return value;
}

static void write_hole(void *uc, uint64_t offset, unsigned size, uint64_t value, void *opaque)
{
    const struct hole *hole = opaque;
    struct engine *e = hole->engine;
    const struct claim *claim = claim_at(e, hole->base + offset);
    (void)uc;
    if (claim == NULL)
        return;
    charge(e, MMIO_TICKS);
    PyObject *write = Py_NewRef(claim->write);
    uint64_t address = hole->base + offset;
    write_device(e, memory_place(address, (int)size), write, address - claim->base, (int)size, value);
    Py_DECREF(write);
    leave_if_abandoned(e, FIELD(uintptr_t, e->cs, CS_MEM_IO_PC));
}

/* Unicorn numbers RAM by where its smallest block ends, so that a block that is larger than one
 * before it gets the numbers of another: translated code of two pages cannot be told apart then.
 * Once a block was freed, it looks for numbers that are free. */
int number_ram_apart(struct engine *e)
{
    static char page[4096] __attribute__((aligned(4096)));
    int error = unicorn.mem_map_ptr(e->uc, 0, sizeof(page), UC_PROT_ALL, page);
    return error != 0 ? error : unicorn.mem_unmap(e->uc, 0, sizeof(page));
}

/* A view that keeps `memory` exported, hence in place, as long as it lives; where that is, and as
 * what, goes to `buffer`. NULL with an exception set. */
static PyObject *keep_in_place(PyObject *memory, Py_buffer *buffer)
{
    PyObject *view = PyMemoryView_FromObject(memory);
    if (view != NULL && PyObject_GetBuffer(view, buffer, PyBUF_SIMPLE) < 0)
        Py_CLEAR(view);
    if (view != NULL)
        PyBuffer_Release(buffer);
    return view;
}

PyObject *engine_map_ram(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long base, offset, length;
    PyObject *memory;
    if (e == NULL || !PyArg_ParseTuple(args, "KOKK", &base, &memory, &offset, &length))
        return NULL;
    Py_buffer buffer;
    PyObject *view = keep_in_place(memory, &buffer); /* for the engine's lifetime */
    if (view == NULL)
        return NULL;
    int status = -1;
    if (buffer.readonly || offset + length > (unsigned long long)buffer.len)
        PyErr_SetString(PyExc_ValueError, "RAM must be a writable buffer that holds the range");
    else {
        char *host = (char *)buffer.buf + offset;
        int error = unicorn.mem_map_ptr(e->uc, base, length, UC_PROT_ALL, host);
        if (error != 0)
            unicorn_failed("mapping RAM", error);
        else if (code_pages_add(e, base, length, host))
            status = PyList_Append(e->mapped, view);
    }
    Py_DECREF(view);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *engine_map_rom(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long base;
    PyObject *memory;
    size_t hook;
    if (e == NULL || !PyArg_ParseTuple(args, "KO", &base, &memory))
        return NULL;
    Py_buffer buffer;
    PyObject *view = keep_in_place(memory, &buffer);
    if (view == NULL)
        return NULL;
    int status = -1;
    int error = unicorn.mem_map_ptr(e->uc, base, buffer.len, UC_PROT_ALL, buffer.buf);
    if (error == 0) /* mapping read-only is not enough: only this makes stores vanish */
        error = unicorn.mem_protect(e->uc, base, buffer.len, UC_PROT_READ_EXEC);
    if (error == 0)
        error = unicorn.hook_add(e->uc, &hook, UC_HOOK_MEM_WRITE_PROT, on_rom_write, e, base,
                                 base + buffer.len - 1);
    status = error != 0 ? unicorn_failed("mapping ROM", error) : PyList_Append(e->mapped, view);
    Py_DECREF(view);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *engine_map_hole(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long base, length;
    if (e == NULL || !PyArg_ParseTuple(args, "KK", &base, &length))
        return NULL;
    struct hole *hole = malloc(sizeof(*hole));
    if (hole == NULL)
        return PyErr_NoMemory();
    *hole = (struct hole){e, base, e->holes};
    e->holes = hole;
    int error = unicorn.mmio_map(e->uc, base, length, read_hole, hole, write_hole, hole);
    if (error != 0) {
        unicorn_failed("mapping a hole", error);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *engine_map_mmio(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long base, length;
    PyObject *read, *write;
    if (e == NULL || !PyArg_ParseTuple(args, "KKOO", &base, &length, &read, &write))
        return NULL;
    size_t at = 0;
    while (at < e->claim_count && e->claims[at].base < base)
        at++;
    bool taken = (at > 0 && e->claims[at - 1].end > base) ||
                 (at < e->claim_count && e->claims[at].base < base + length);
    if (taken || (base | length) % 4 || base + length <= base) {
        PyErr_Format(PyExc_ValueError, "no device can have %llu bytes at %#llx", length, base);
        return NULL;
    }
    struct claim *grown = realloc(e->claims, (e->claim_count + 1) * sizeof(*grown));
    if (grown == NULL)
        return PyErr_NoMemory();
    e->claims = grown;
    memmove(grown + at + 1, grown + at, (e->claim_count - at) * sizeof(*grown));
    grown[at] = (struct claim){base, base + length, Py_NewRef(read), Py_NewRef(write)};
    e->claim_count++;
    Py_RETURN_NONE;
}

PyObject *engine_unmap_mmio(PyObject *self, PyObject *base)
{
    struct engine *e = (struct engine *)self;
    unsigned long long address = PyLong_AsUnsignedLongLong(base);
    if (PyErr_Occurred())
        return NULL;
    struct claim *found = claim_at(e, address);
    if (found == NULL || found->base != address) {
        PyErr_Format(PyExc_ValueError, "no device begins at %#llx", address);
        return NULL;
    }
    struct claim gone = *found;
    e->claim_count--;
    memmove(found, found + 1, (char *)(e->claims + e->claim_count) - (char *)found);
    Py_DECREF(gone.read);
    Py_DECREF(gone.write);
    Py_RETURN_NONE;
}

int visit_claims(struct engine *e, visitproc visit, void *arg)
{
    for (size_t i = 0; i < e->claim_count; i++) {
        Py_VISIT(e->claims[i].read);
        Py_VISIT(e->claims[i].write);
    }
    return 0;
}

void clear_claims(struct engine *e)
{
    while (e->claim_count > 0) {
        struct claim gone = e->claims[--e->claim_count];
        Py_DECREF(gone.read);
        Py_DECREF(gone.write);
    }
}

void free_holes(struct engine *e)
{
    free(e->claims);
    for (struct hole *next, *hole = e->holes; hole != NULL; hole = next) {
        next = hole->next;
        free(hole);
    }
}
