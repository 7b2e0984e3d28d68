/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driving Unicorn: when it runs, when it stops, what time it is.
 *
 * uc_emu_start runs until the block hook ends it. Between blocks everything is exact: eip,
 * flags and virtual time; nowhere else does a run stop.
 */
#define _DEFAULT_SOURCE /* strsignal */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { UC_ARCH_X86 = 4, UC_MODE_64 = 8 };
enum { UC_HOOK_INTR = 1 << 0, UC_HOOK_BLOCK = 1 << 3, UC_HOOK_MEM_WRITE_PROT = 1 << 8 };
enum { UC_HOOK_INSN_INVALID = 1 << 14 };
enum { UC_PROT_READ_EXEC = 5, UC_PROT_ALL = 7 };
enum { UC_CTL_USE_EXITS = 4, UC_CTL_CPU_MODEL = 7, UC_CTL_TCG_BUFFER_SIZE = 13 };
#define UC_CTL_WRITE(type, arguments) ((type) | (arguments) << 26 | 1 << 30)

struct engine *running_engine;

/* ---- callbacks into Python ---- */

static void keep_exception(struct engine *e)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (e->raised == NULL && value != NULL) {
        if (traceback != NULL)
            PyException_SetTraceback(value, traceback);
        e->raised = Py_NewRef(value);
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    e->kicked = true;
    e->attention = 0;
}

uint64_t ask(struct engine *e, PyObject *method, size_t count, const uint64_t *arguments)
{
    PyObject *boxed[3] = {NULL};
    for (size_t i = 0; i < count; i++)
        boxed[i] = PyLong_FromUnsignedLongLong(arguments[i]);
    e->in_python = true;
    PyObject *result = PyObject_Vectorcall(method, boxed, count, NULL);
    e->in_python = false;
    for (size_t i = 0; i < count; i++)
        Py_DECREF(boxed[i]);
    uint64_t value = 0;
    if (result != NULL && result != Py_None)
        value = PyLong_AsUnsignedLongLongMask(result);
    Py_XDECREF(result);
    if (PyErr_Occurred()) {
        keep_exception(e);
        return UINT64_MAX;
    }
    return value;
}

static const char *const call_names[CALLS] = {
    [CALL_READ_PORT] = "read_port",     [CALL_WRITE_PORT] = "write_port",
    [CALL_ACKNOWLEDGE] = "acknowledge", [CALL_READ_MSR] = "read_msr",
    [CALL_WRITE_MSR] = "write_msr",     [CALL_READ_CR8] = "read_cr8",
    [CALL_WRITE_CR8] = "write_cr8",
};

/* ---- hooks ---- */

static void __attribute__((noinline, cold)) look_closer(struct engine *e, uint64_t address,
                                                  uint32_t size)
{
    if (debugged(e) && debugger_instruction(e, address, size))
        return;
    if (e->cut) {
        e->cut = false; /* attention stays 0: look again at the next block */
        e->debugger.walk_end = address + size;
        e->now += size;
        return;
    }
    e->replay = false;
    if (e->watch_hits)
        raise_watch_hits(e);
    if (takes_interrupt(e)) {
        e->attention = e->kicked || debugged(e) ? 0 : e->deadline;
        unicorn.loop_exit_noexc(e->cs);
    }
    if (e->kicked || e->now >= e->deadline) {
        e->stopping = true;
        unicorn.emu_stop(e->uc);
        unicorn.loop_exit_noexc(e->cs);
    }
    if (debugged(e))
        debugger_block(e, address, size);
    else
        e->attention = e->deadline;
    e->now += size;
}

static void on_block(void *uc, uint64_t address, uint32_t size, void *opaque)
{
    struct engine *e = opaque;
    (void)uc;
    if (__builtin_expect(e->now < e->attention, 1))
        e->now += size;
    else
        look_closer(e, address, size);
}

/* What an instruction that ends in an exception leaves undone, it will begin anew. Only its own
 * trap takes along what it has hit. */
static void drop_unfinished(struct engine *e, uint32_t vector)
{
    if (e->watch_hits && vector == VECTOR_DB)
        FIELD(uint64_t, e->env, ENV_DR + 6 * 8) |= e->watch_hits;
    e->watch_hits = 0;
    e->replay = false;
    e->translating = false;
    e->owed = 0;
    debugger_interrupted(e);
}

/* An exception or INT n on its way into the guest's IDT. May nest and jump. */
static void on_exception(void *uc, uint32_t vector, void *opaque)
{
    struct engine *e = opaque;
    (void)uc;
    drop_unfinished(e, vector);
    if (FIELD(int32_t, e->env, ENV_EXCEPTION_IS_INT))
        FIELD(uint64_t, e->env, ENV_EIP) = FIELD(uint64_t, e->env, ENV_NEXT_EIP) - e->int_length;
    unicorn.do_interrupt(e->cs);
}

/* #UD does not reach the hook above. */
static bool on_invalid_instruction(void *uc, void *opaque)
{
    struct engine *e = opaque;
    (void)uc;
    drop_unfinished(e, VECTOR_UD);
    deliver_int1(e);
    unicorn.do_interrupt(e->cs);
    return true;
}

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

/* ---- proof that the layout is what we think ---- */

enum { UC_X86_REG_CR3 = 53, UC_X86_REG_RAX = 35, UC_X86_REG_RIP = 41, UC_X86_REG_MSR = 248 };

static bool reads_back(struct engine *e, int reg, int offset, uint64_t pattern)
{
    uint64_t seen = 0;
    uint64_t before = FIELD(uint64_t, e->env, offset);
    FIELD(uint64_t, e->env, offset) = pattern;
    unicorn.reg_read(e->uc, reg, &seen);
    FIELD(uint64_t, e->env, offset) = before;
    return seen == pattern;
}

static bool msr_reads_back(struct engine *e, uint32_t id, int offset, uint64_t pattern)
{
    struct {
        uint32_t id;
        uint64_t value;
    } msr = {id, pattern};
    unicorn.reg_write(e->uc, UC_X86_REG_MSR, &msr);
    bool right = FIELD(uint64_t, e->env, offset) == pattern;
    FIELD(uint64_t, e->env, offset) = 0;
    return right;
}

static const char *layout_mistake(struct engine *e)
{
    char *class = FIELD(char *, e->cs, CS_CLASS);
    if (FIELD(char *, e->cs, CS_ENV_PTR) != e->env)
        return "the CPU state is elsewhere";
    if (FIELD(void *, e->cs, CS_UC) != e->uc || FIELD(void *, e->env, ENV_UC) != e->uc)
        return "the back pointers are elsewhere";
    if (FIELD(void *, class, CLASS_DO_INTERRUPT) != (void *)unicorn.do_interrupt)
        return "the CPU class is laid out otherwise";
    if (!reads_back(e, UC_X86_REG_RAX, ENV_REGS, 0x1122334455667788) ||
        !reads_back(e, UC_X86_REG_RIP, ENV_EIP, 0x8877665544332211))
        return "the general registers are elsewhere";
    if (!reads_back(e, UC_X86_REG_CR3, ENV_CR + 3 * 8, 0x123456789000))
        return "the control registers are elsewhere";
    if (!msr_reads_back(e, 0xc0000081, ENV_STAR, 0x1234567890abcdef) ||
        !msr_reads_back(e, 0xc0000082, ENV_LSTAR, 0xffff897890abcdef) ||
        !msr_reads_back(e, 0xc0000084, ENV_FMASK, 0x4700) ||
        !msr_reads_back(e, 0xc0000102, ENV_KERNELGSBASE, 0x5678123490ab) ||
        !msr_reads_back(e, 0x00000277, ENV_PAT, 0x0007040600070406))
        return "the model-specific registers are elsewhere";
    return NULL;
}

/* The class must hold our function, else libunicorn was bound before we were there. */
static bool interposed(struct engine *e)
{
    extern bool x86_cpu_exec_interrupt_x86_64(void *, int);
    char *class = FIELD(char *, e->cs, CS_CLASS);
    return FIELD(void *, class, CLASS_EXEC_INTERRUPT) == (void *)x86_cpu_exec_interrupt_x86_64;
}

/* What the CPU model claims and we do not have, or what would break determinism. */
static void correct_features(struct engine *e)
{
    uint64_t *features = &FIELD(uint64_t, e->env, ENV_FEATURES);
    features[FEAT_1_EDX] &= ~(uint64_t)(1 << 7 | 1 << 12 | 1 << 14); /* MCE MTRR MCA */
    features[FEAT_1_EDX] |= 1 << 9;                                  /* APIC */
    features[FEAT_1_ECX] &= ~(uint64_t)(1u << 3 | 1u << 21 | 1u << 30); /* MONITOR x2APIC RDRAND */
    features[FEAT_1_ECX] |= 1u << 24;                                   /* TSC-deadline timer */
    features[FEAT_7_0_EBX] &= ~(uint64_t)(1u << 14 | 1u << 18); /* MPX RDSEED */
    features[FEAT_7_0_ECX] &= ~(uint64_t)(1u << 3 | 1u << 16);  /* PKU, 57-bit addresses */
    features[FEAT_XSAVE_COMP_LO] &= 3;                          /* x87 SSE */
    features[FEAT_XSAVE_COMP_HI] = 0;
    features[FEAT_8000_0001_ECX] &= ~(uint64_t)(1u << 2);       /* SVM */
    features[FEAT_8000_0007_EDX] |= 1u << 8; /* the TSC runs at one rate, in HLT too */
}

/* ---- the Python type ---- */

static int unicorn_failed(const char *what, int error)
{
    PyErr_Format(PyExc_RuntimeError, "%s: %s", what, unicorn.strerror(error));
    return -1;
}

static int engine_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"cpu_model", "platform", "code_buffer", NULL};
    struct engine *e = (struct engine *)self;
    PyObject *platform;
    int cpu_model, error;
    unsigned code_buffer;
    size_t hook;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iOI", names, &cpu_model, &platform,
                                     &code_buffer))
        return -1;
    if (unicorn.open == NULL || e->uc != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call link() first, and make each engine once");
        return -1;
    }
    for (int i = 0; i < CALLS; i++)
        if ((e->calls[i] = PyObject_GetAttrString(platform, call_names[i])) == NULL)
            return -1;
    if ((e->mapped = PyList_New(0)) == NULL)
        return -1;

    if ((error = unicorn.open(UC_ARCH_X86, UC_MODE_64, &e->uc)) != 0)
        return unicorn_failed("opening Unicorn", error);
    if ((error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_CPU_MODEL, 1), cpu_model)) != 0)
        return unicorn_failed("choosing the CPU model", error);
    if ((error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_TCG_BUFFER_SIZE, 1), code_buffer)) != 0)
        return unicorn_failed("bounding the translations", error);
    /* An exit address would make Unicorn walk the guest's page tables after each run. */
    if ((error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_USE_EXITS, 1), 1)) != 0)
        return unicorn_failed("disabling exit addresses", error);

    uint64_t rip;
    unicorn.reg_read(e->uc, UC_X86_REG_RIP, &rip); /* the first access builds the CPU */
    e->cs = unicorn.get_cpu(e->uc, -1);
    e->env = e->cs + CS_TO_ENV;
    const char *mistake = layout_mistake(e);
    if (mistake != NULL) {
        PyErr_Format(PyExc_RuntimeError, "this Unicorn is not the one we know: %s", mistake);
        return -1;
    }
    if (!interposed(e)) {
        PyErr_SetString(PyExc_RuntimeError, "the Unicorn library was loaded before vmmgr's engine");
        return -1;
    }
    correct_features(e);
    contain_crashes();

    if ((error = unicorn.hook_add(e->uc, &hook, UC_HOOK_BLOCK, on_block, e, 1, 0)) != 0 ||
        (error = unicorn.hook_add(e->uc, &hook, UC_HOOK_INTR, on_exception, e, 1, 0)) != 0 ||
        (error = unicorn.hook_add(e->uc, &hook, UC_HOOK_INSN_INVALID, on_invalid_instruction, e, 1,
                                  0)) != 0)
        return unicorn_failed("adding hooks", error);
    return 0;
}

/* The platform holds the engine and the engine the platform's methods: a cycle for the
 * collector. RAM stays mapped, so `mapped` goes last, when Unicorn is closed. */
static int engine_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct engine *e = (struct engine *)self;
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < CALLS; i++)
        Py_VISIT(e->calls[i]);
    Py_VISIT(e->raised);
    Py_VISIT(e->mapped);
    return 0;
}

static int engine_clear(PyObject *self)
{
    struct engine *e = (struct engine *)self;
    for (int i = 0; i < CALLS; i++)
        Py_CLEAR(e->calls[i]);
    Py_CLEAR(e->raised);
    if (e->crashed) { /* nothing of it can be trusted, closing it neither */
        e->uc = NULL;
        e->mapped = NULL;
    }
    if (e->uc != NULL) {
        unicorn.close(e->uc);
        e->uc = NULL;
    }
    Py_CLEAR(e->mapped);
    return 0;
}

/* Frees what is large now; otherwise the garbage collector does, when it comes round. */
static PyObject *engine_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (running_engine == (struct engine *)self) {
        PyErr_SetString(PyExc_RuntimeError, "the engine is running");
        return NULL;
    }
    engine_clear(self);
    Py_RETURN_NONE;
}

static void engine_dealloc(PyObject *self)
{
    struct engine *e = (struct engine *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    engine_clear(self);
    free(e->has_code);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *engine_map_ram(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long base, offset, length;
    PyObject *memory;
    if (!PyArg_ParseTuple(args, "KOKK", &base, &memory, &offset, &length))
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

static PyObject *engine_map_rom(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long base;
    PyObject *memory;
    size_t hook;
    if (!PyArg_ParseTuple(args, "KO", &base, &memory))
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

static PyObject *engine_map_hole(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long base, length;
    if (!PyArg_ParseTuple(args, "KK", &base, &length))
        return NULL;
    int error = unicorn.mmio_map(e->uc, base, length, read_hole, NULL, write_hole, NULL);
    if (error != 0) {
        unicorn_failed("mapping a hole", error);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *engine_map_mmio(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned long long base, length;
    PyObject *read, *write;
    if (!PyArg_ParseTuple(args, "KKOO", &base, &length, &read, &write))
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

static enum stop why_stopped(struct engine *e)
{
    if (e->error != 0 || e->crashed)
        return STOP_FAULT;
    if (e->stopping && e->debugger.hit)
        return STOP_DEBUGGER;
    if (e->stopping)
        return e->kicked ? STOP_KICK : STOP_DEADLINE;
    if (FIELD(uint32_t, e->cs, CS_HALTED))
        return STOP_HALT;
    return STOP_SHUTDOWN;
}

/* A time in ns as ticks; what is too far away to count is never. */
static bool as_ticks(PyObject *time, uint64_t *ticks)
{
    uint64_t ns = PyLong_AsUnsignedLongLong(time);
    if (PyErr_Occurred())
        return false;
    *ticks = ns <= UINT64_MAX / TICKS_PER_NS ? ns * TICKS_PER_NS : UINT64_MAX;
    return true;
}

static PyObject *engine_run(PyObject *self, PyObject *deadline)
{
    struct engine *e = (struct engine *)self;
    if (!as_ticks(deadline, &e->deadline))
        return NULL;
    if (running_engine != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an engine is already running");
        return NULL;
    }
    if (e->crashed || e->uc == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the engine has crashed or is closed");
        return NULL;
    }
    e->kicked = e->stopping = e->cut = e->replay = false;
    e->watch_hits = 0;
    e->translating = false;
    e->owed = 0;
    e->debugger.hit = HIT_NONE;
    e->debugger.asked = e->debugger.alone = false;
    e->attention = 0; /* an interrupt may be waiting */
    running_engine = e;
    e->crashed = contained_run(e);
    running_engine = NULL;
    if (e->raised != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(e->raised), e->raised);
        Py_CLEAR(e->raised);
        return NULL;
    }
    return PyLong_FromLong(why_stopped(e));
}

static PyObject *engine_now(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((struct engine *)self)->now / TICKS_PER_NS);
}

static PyObject *engine_advance(PyObject *self, PyObject *time)
{
    struct engine *e = (struct engine *)self;
    uint64_t ticks;
    if (!as_ticks(time, &ticks))
        return NULL;
    if (ticks > e->now)
        charge(e, ticks - e->now);
    Py_RETURN_NONE;
}

static PyObject *engine_limit(PyObject *self, PyObject *time)
{
    struct engine *e = (struct engine *)self;
    uint64_t ticks;
    if (!as_ticks(time, &ticks))
        return NULL;
    if (ticks < e->deadline) {
        e->deadline = ticks;
        e->attention = 0;
    }
    Py_RETURN_NONE;
}

static PyObject *engine_kick(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    e->kicked = true;
    e->attention = 0;
    Py_RETURN_NONE;
}

static PyObject *engine_set_intr(PyObject *self, PyObject *level)
{
    struct engine *e = (struct engine *)self;
    int asserted = PyObject_IsTrue(level);
    if (asserted < 0)
        return NULL;
    if (asserted) {
        FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) |= INTERRUPT_HARD;
        e->attention = 0;
    } else {
        FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) &= ~INTERRUPT_HARD;
    }
    Py_RETURN_NONE;
}

static PyObject *engine_can_interrupt(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    return PyBool_FromLong(takes_interrupt(e));
}

static PyObject *engine_nmi(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) |= INTERRUPT_NMI;
    e->attention = 0;
    Py_RETURN_NONE;
}

static PyObject *engine_set_a20(PyObject *self, PyObject *enabled)
{
    int on = PyObject_IsTrue(enabled);
    if (on < 0)
        return NULL;
    unicorn.set_a20(((struct engine *)self)->cs, on);
    Py_RETURN_NONE;
}

static PyObject *engine_invalidate(PyObject *self, PyObject *args)
{
    unsigned long long start, end;
    if (!PyArg_ParseTuple(args, "KK", &start, &end))
        return NULL;
    code_pages_invalidate((struct engine *)self, start, end);
    Py_RETURN_NONE;
}

static PyObject *engine_peek(PyObject *self, PyObject *args)
{
    unsigned offset, length;
    if (!PyArg_ParseTuple(args, "II", &offset, &length))
        return NULL;
    if (offset > ENV_SIZE || length > ENV_SIZE - offset) {
        PyErr_SetString(PyExc_IndexError, "outside the CPU state");
        return NULL;
    }
    return PyBytes_FromStringAndSize(((struct engine *)self)->env + offset, length);
}

static PyObject *engine_poke(PyObject *self, PyObject *args)
{
    unsigned offset;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "Iy*", &offset, &data))
        return NULL;
    bool fits = offset <= ENV_SIZE && data.len <= (Py_ssize_t)(ENV_SIZE - offset);
    if (fits)
        memcpy(((struct engine *)self)->env + offset, data.buf, data.len);
    PyBuffer_Release(&data);
    if (!fits) {
        PyErr_SetString(PyExc_IndexError, "outside the CPU state");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *engine_get_halted(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(FIELD(uint32_t, ((struct engine *)self)->cs, CS_HALTED));
}

static int engine_set_halted(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    int halted = value != NULL ? PyObject_IsTrue(value) : -1;
    if (halted < 0)
        return -1;
    FIELD(uint32_t, ((struct engine *)self)->cs, CS_HALTED) = halted;
    return 0;
}

static PyObject *engine_get_nmi_pending(PyObject *self, void *unused)
{
    (void)unused;
    uint32_t request = FIELD(uint32_t, ((struct engine *)self)->cs, CS_INTERRUPT_REQUEST);
    return PyBool_FromLong(request & INTERRUPT_NMI);
}

static PyObject *engine_get_time(PyObject *self, void *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    return Py_BuildValue("(KK)", (unsigned long long)e->now, (unsigned long long)e->charged);
}

static int engine_set_time(PyObject *self, PyObject *value, void *unused)
{
    struct engine *e = (struct engine *)self;
    unsigned long long now, charged;
    (void)unused;
    if (value == NULL || !PyArg_ParseTuple(value, "KK", &now, &charged))
        return -1;
    e->now = now;
    e->charged = charged;
    return 0;
}

static PyObject *engine_get_fault(PyObject *self, void *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    if (e->crashed)
        return PyUnicode_FromFormat("the engine crashed: %s", strsignal(e->crashed));
    return PyUnicode_FromString(unicorn.strerror(e->error));
}

/* Clears what no record holds, so that a used engine is as good as a new one. */
static PyObject *engine_forget(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    debugger_interrupted(e);
    unicorn.update_dr7(e->env, 0); /* takes breakpoints off the engine's list */
    memset(e->env, 0, ENV_XCR0);
    FIELD(int32_t, e->env, ENV_OLD_EXCEPTION) = -1;
    FIELD(uint32_t, e->env, ENV_HFLAGS2) = HF2_GIF;
    FIELD(int32_t, e->env, ENV_DF) = 1;
    FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) = 0;
    FIELD(uint32_t, e->cs, CS_HALTED) = 0;
    FIELD(int32_t, e->cs, CS_EXCEPTION_INDEX) = -1;
    Py_RETURN_NONE;
}

/* Rebuilds what Unicorn derives from the fields that were poked. */
static PyObject *engine_derive(PyObject *self, PyObject *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    uint64_t *dr7 = &FIELD(uint64_t, e->env, ENV_DR + 7 * 8);
    uint32_t enabled = (uint32_t)*dr7;
    unicorn.update_cr4(e->env, (uint32_t)FIELD(uint64_t, e->env, ENV_CR + 4 * 8));
    unicorn.update_hflags(e->env);
    unicorn.update_fp_status(e->env);
    unicorn.update_mxcsr_status(e->env);
    *dr7 = 0; /* so that the update sees every breakpoint as new */
    unicorn.update_dr7(e->env, enabled);
    unicorn.tlb_flush(e->cs);
    Py_RETURN_NONE;
}

static PyMethodDef engine_methods[] = {
    {"map_ram", engine_map_ram, METH_VARARGS, "map_ram(base, buffer, offset, length)"},
    {"map_rom", engine_map_rom, METH_VARARGS, "map_rom(base, buffer): stores are dropped"},
    {"map_mmio", engine_map_mmio, METH_VARARGS, "map_mmio(base, length, read, write)"},
    {"map_hole", engine_map_hole, METH_VARARGS, "map_hole(base, length): reads as all ones"},
    {"run", engine_run, METH_O, "run(deadline) -> why it stopped"},
    {"now", engine_now, METH_NOARGS, "virtual time in ns"},
    {"advance", engine_advance, METH_O, "advance(time): sleep until then"},
    {"limit", engine_limit, METH_O, "limit(deadline): stop no later than this"},
    {"kick", engine_kick, METH_NOARGS, "stop at the next block boundary"},
    {"set_intr", engine_set_intr, METH_O, "drive the INTR pin"},
    {"nmi", engine_nmi, METH_NOARGS, "pulse the NMI pin"},
    {"can_interrupt", engine_can_interrupt, METH_NOARGS, "an interrupt waits and would be taken"},
    {"set_a20", engine_set_a20, METH_O, "open or close the A20 gate"},
    {"invalidate", engine_invalidate, METH_VARARGS, "invalidate(start, end): RAM was written"},
    {"peek", engine_peek, METH_VARARGS, "peek(offset, length) -> bytes of CPU state"},
    {"poke", engine_poke, METH_VARARGS, "poke(offset, bytes)"},
    {"forget", engine_forget, METH_NOARGS, "zero the CPU state"},
    {"close", engine_close, METH_NOARGS, "let go of everything; only time can be asked for then"},
    {"derive", engine_derive, METH_NOARGS, "rebuild derived state after poke()"},
    {"set_breakpoints", engine_set_breakpoints, METH_O, "set_breakpoints(addresses)"},
    {"set_watchpoints", engine_set_watchpoints, METH_O,
     "set_watchpoints((address, length, access), ...): access is 1 read, 2 write or 3"},
    {"pass_here", engine_pass, METH_O, "pass_here(step): no breakpoint at the next instruction"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_getset[] = {
    {"halted", engine_get_halted, engine_set_halted, "the CPU is in HLT", NULL},
    {"nmi_pending", engine_get_nmi_pending, NULL, "an NMI has not been taken yet", NULL},
    {"time", engine_get_time, engine_set_time, "(ticks, those of them that are no code)", NULL},
    {"hit", engine_get_hit, NULL, "(what the debugger stopped for, where)", NULL},
    {"in_block", engine_get_in_block, NULL, "stopped in the middle of a block", NULL},
    {"fault", engine_get_fault, NULL, "why Unicorn gave up, in its words", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "One Unicorn x86-64 engine, stopped between blocks only."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, engine_init},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_traverse, engine_traverse},
    {Py_tp_clear, engine_clear},
    {Py_tp_methods, engine_methods},
    {Py_tp_getset, engine_getset},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "manager.cpu._native.Engine",
    .basicsize = sizeof(struct engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = engine_slots,
};

PyObject *engine_type(void)
{
    return PyType_FromSpec(&engine_spec);
}
