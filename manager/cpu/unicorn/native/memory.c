/* SPDX-License-Identifier: BSD-2-Clause */
/* What answers at a physical address: RAM, ROM, a device, or nobody. */
#include "engine.h"

enum { UC_HOOK_MEM_WRITE_PROT = 1 << 8 };
enum { UC_PROT_READ_EXEC = 5, UC_PROT_ALL = 7 };

/* An address where there is neither RAM nor a device: the bus floats high. */
static uint64_t read_hole(void *uc, uint64_t offset, unsigned size, void *opaque)
{
    (void)uc;
    (void)offset;
    (void)size;
    (void)opaque;
    return UINT64_MAX;
}

static void write_hole(void *uc, uint64_t offset, unsigned size, uint64_t value, void *opaque)
{
    (void)uc;
    (void)offset;
    (void)size;
    (void)value;
    (void)opaque;
}

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

/* A device in memory. Unicorn keeps `opaque`, a tuple (engine, read, write). */
enum { MMIO_ENGINE, MMIO_READ, MMIO_WRITE };

static uint64_t read_mmio(void *uc, uint64_t offset, unsigned size, void *opaque)
{
    struct engine *e = (struct engine *)PyTuple_GET_ITEM((PyObject *)opaque, MMIO_ENGINE);
    charge(e, MMIO_TICKS);
    if (size == 8)
        return read_mmio(uc, offset, 4, opaque) | read_mmio(uc, offset + 4, 4, opaque) << 32;
    uint64_t value = ask(e, PyTuple_GET_ITEM((PyObject *)opaque, MMIO_READ), 2,
                         (uint64_t[]){offset, size});
    return value & (UINT32_MAX >> (32 - 8 * size));
}

static void write_mmio(void *uc, uint64_t offset, unsigned size, uint64_t value, void *opaque)
{
    struct engine *e = (struct engine *)PyTuple_GET_ITEM((PyObject *)opaque, MMIO_ENGINE);
    (void)uc;
    charge(e, MMIO_TICKS);
    if (size == 8) {
        write_mmio(uc, offset, 4, value, opaque);
        write_mmio(uc, offset + 4, 4, value >> 32, opaque);
        return;
    }
    ask(e, PyTuple_GET_ITEM((PyObject *)opaque, MMIO_WRITE), 3,
        (uint64_t[]){offset, size, value & (UINT32_MAX >> (32 - 8 * size))});
}

PyObject *engine_map_ram(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long base, offset, length;
    PyObject *memory;
    if (e == NULL || !PyArg_ParseTuple(args, "KOKK", &base, &memory, &offset, &length))
        return NULL;
    /* The memoryview keeps the buffer exported, hence in place, for the engine's lifetime. */
    PyObject *view = PyMemoryView_FromObject(memory);
    if (view == NULL)
        return NULL;
    Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    int status = -1;
    if (buffer->readonly || offset + length > (unsigned long long)buffer->len)
        PyErr_SetString(PyExc_ValueError, "RAM must be a writable buffer that holds the range");
    else {
        char *host = (char *)buffer->buf + offset;
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
    PyObject *view = PyMemoryView_FromObject(memory);
    if (view == NULL)
        return NULL;
    Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    int status = -1;
    int error = unicorn.mem_map_ptr(e->uc, base, buffer->len, UC_PROT_ALL, buffer->buf);
    if (error == 0) /* mapping read-only is not enough: only this makes stores vanish */
        error = unicorn.mem_protect(e->uc, base, buffer->len, UC_PROT_READ_EXEC);
    if (error == 0)
        error = unicorn.hook_add(e->uc, &hook, UC_HOOK_MEM_WRITE_PROT, on_rom_write, e, base,
                                 base + buffer->len - 1);
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
    int error = unicorn.mmio_map(e->uc, base, length, read_hole, NULL, write_hole, NULL);
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
    PyObject *device = PyTuple_Pack(3, self, read, write);
    if (device == NULL)
        return NULL;
    int error = unicorn.mmio_map(e->uc, base, length, read_mmio, device, write_mmio, device);
    int status = error != 0 ? unicorn_failed("mapping a device", error)
                            : PyList_Append(e->mapped, device);
    Py_DECREF(device);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}
