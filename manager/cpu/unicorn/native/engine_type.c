/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine as a Python type: making one, running it, reading and writing its state. */
#define _DEFAULT_SOURCE /* strsignal */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { UC_ARCH_X86 = 4, UC_MODE_64 = 8, UC_X86_REG_RIP = 41 };
enum { UC_CTL_USE_EXITS = 4, UC_CTL_CPU_MODEL = 7, UC_CTL_TCG_BUFFER_SIZE = 13 };
#define UC_CTL_WRITE(type, arguments) ((type) | (arguments) << 26 | 1 << 30)

static const char *const call_names[CALLS] = {
    [CALL_READ_PORT] = "read_port",     [CALL_WRITE_PORT] = "write_port",
    [CALL_ACKNOWLEDGE] = "acknowledge", [CALL_READ_MSR] = "read_msr",
    [CALL_WRITE_MSR] = "write_msr",     [CALL_READ_CR8] = "read_cr8",
    [CALL_WRITE_CR8] = "write_cr8",
};

int unicorn_failed(const char *what, int error)
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

    if ((error = add_hooks(e)) != 0)
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
    Py_VISIT(e->msr_watch);
    Py_VISIT(e->raised);
    Py_VISIT(e->mapped);
    return 0;
}

static int engine_clear(PyObject *self)
{
    struct engine *e = (struct engine *)self;
    for (int i = 0; i < CALLS; i++)
        Py_CLEAR(e->calls[i]);
    Py_CLEAR(e->msr_watch);
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

static PyObject *engine_watch_msrs(PyObject *self, PyObject *watch)
{
    Py_XSETREF(((struct engine *)self)->msr_watch, Py_NewRef(watch));
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
    {"watch_msrs", engine_watch_msrs, METH_O, "watch_msrs(f): f(number, value, written, refused)"},
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
    .name = "manager.cpu.unicorn._native.Engine",
    .basicsize = sizeof(struct engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = engine_slots,
};

PyObject *engine_type(void)
{
    return PyType_FromSpec(&engine_spec);
}
