/* SPDX-License-Identifier: BSD-2-Clause */
/* One CPU of an engine as a Python type: its pins, and its state as bytes. */
#include <string.h>

#include "engine.h"

static const char *const call_names[CALLS] = {
    [CALL_READ_PORT] = "read_port",     [CALL_WRITE_PORT] = "write_port",
    [CALL_ACKNOWLEDGE] = "acknowledge", [CALL_READ_MSR] = "read_msr",
    [CALL_WRITE_MSR] = "write_msr",     [CALL_READ_CR8] = "read_cr8",
    [CALL_WRITE_CR8] = "write_cr8",
};

struct cpu *cpu_make(struct engine *e, int number)
{
    PyObject *type = cpu_type();
    struct cpu *c =
        type != NULL ? (struct cpu *)PyType_GenericAlloc((PyTypeObject *)type, 0) : NULL;
    Py_XDECREF(type);
    if (c == NULL)
        return NULL;
    c->engine = (struct engine *)Py_NewRef((PyObject *)e);
    c->number = number;
    if (number > 0 && !bank_make(c))
        Py_CLEAR(c);
    return c;
}

static struct engine *engine_of_cpu(PyObject *self)
{
    return opened((PyObject *)((struct cpu *)self)->engine);
}

/* The platform holds the CPU and the CPU the platform's methods: a cycle for the collector. */
static int cpu_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct cpu *c = (struct cpu *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->engine);
    for (int i = 0; i < CALLS; i++)
        Py_VISIT(c->calls[i]);
    return 0;
}

static int cpu_clear(PyObject *self)
{
    struct cpu *c = (struct cpu *)self;
    for (int i = 0; i < CALLS; i++)
        Py_CLEAR(c->calls[i]);
    Py_CLEAR(c->engine);
    return 0;
}

static void cpu_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    bank_free((struct cpu *)self);
    cpu_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *cpu_connect(PyObject *self, PyObject *platform)
{
    struct cpu *c = (struct cpu *)self;
    for (int i = 0; i < CALLS; i++) {
        PyObject *method = PyObject_GetAttrString(platform, call_names[i]);
        if (method == NULL)
            return NULL;
        replace_reference(&c->calls[i], method);
    }
    Py_RETURN_NONE;
}

/* ---- pins ---- */

static void request(struct engine *e, struct cpu *c, uint32_t bit)
{
    if (bit == INTERRUPT_HARD && !(*cpu_request(c) & INTERRUPT_HARD))
        hold_interrupt(c);
    *cpu_request(c) |= bit;
    if (c == e->current)
        e->attention = 0;
    else
        cpu_woken(c);
}

static PyObject *cpu_set_intr(PyObject *self, PyObject *level)
{
    struct engine *e = engine_of_cpu(self);
    int asserted = PyObject_IsTrue(level);
    if (asserted < 0 || e == NULL)
        return NULL;
    if (asserted)
        request(e, (struct cpu *)self, INTERRUPT_HARD);
    else
        *cpu_request((struct cpu *)self) &= ~INTERRUPT_HARD;
    Py_RETURN_NONE;
}

static PyObject *cpu_nmi(PyObject *self, PyObject *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    request(e, (struct cpu *)self, INTERRUPT_NMI);
    Py_RETURN_NONE;
}

static PyObject *cpu_can_interrupt(PyObject *self, PyObject *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    struct cpu *c = (struct cpu *)self;
    return e != NULL ? PyBool_FromLong(takes(c, cpu_env(c), *cpu_request(c))) : NULL;
}

/* ---- state ---- */

static PyObject *cpu_peek(PyObject *self, PyObject *args)
{
    struct engine *e = engine_of_cpu(self);
    unsigned offset, length;
    if (e == NULL || !PyArg_ParseTuple(args, "II", &offset, &length))
        return NULL;
    if (offset > ENV_UC || length > ENV_UC - offset) {
        PyErr_SetString(PyExc_IndexError, "outside the CPU state");
        return NULL;
    }
    return PyBytes_FromStringAndSize(cpu_env((struct cpu *)self) + offset, length);
}

static PyObject *cpu_poke(PyObject *self, PyObject *args)
{
    struct engine *e = engine_of_cpu(self);
    unsigned offset;
    Py_buffer data;
    if (e == NULL || !PyArg_ParseTuple(args, "Iy*", &offset, &data))
        return NULL;
    bool fits = offset <= ENV_UC && data.len <= (Py_ssize_t)(ENV_UC - offset);
    if (fits)
        memcpy(cpu_env((struct cpu *)self) + offset, data.buf, data.len);
    PyBuffer_Release(&data);
    if (!fits) {
        PyErr_SetString(PyExc_IndexError, "outside the CPU state");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Clears what no record holds, so that a used CPU is as good as a new one. */
static PyObject *cpu_forget(PyObject *self, PyObject *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    struct cpu *before = e->current;
    bank_switch(e, (struct cpu *)self);
    e->current->hold = 0;
    e->current->tear.size = 0;
    if (e->current == before)
        debugger_interrupted(e);
    unicorn.update_dr7(e->env, 0); /* takes breakpoints off the engine's list */
    memset(e->env, 0, ENV_XCR0);
    FIELD(int32_t, e->env, ENV_OLD_EXCEPTION) = -1;
    FIELD(uint32_t, e->env, ENV_HFLAGS2) = HF2_GIF;
    FIELD(int32_t, e->env, ENV_DF) = 1;
    FIELD(uint32_t, e->cs, CS_INTERRUPT_REQUEST) = 0;
    FIELD(uint32_t, e->cs, CS_HALTED) = 0;
    FIELD(int32_t, e->cs, CS_EXCEPTION_INDEX) = -1;
    bank_switch(e, before);
    Py_RETURN_NONE;
}

/* Rebuilds what Unicorn derives from the fields that were poked. */
static PyObject *cpu_derive(PyObject *self, PyObject *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    struct cpu *before = e->current;
    bank_switch(e, (struct cpu *)self);
    uint64_t *dr7 = &FIELD(uint64_t, e->env, ENV_DR + 7 * 8);
    uint32_t enabled = (uint32_t)*dr7;
    unicorn.update_cr4(e->env, (uint32_t)FIELD(uint64_t, e->env, ENV_CR + 4 * 8));
    unicorn.update_hflags(e->env);
    alignment_check_changed(e->env);
    segments_changed(e->env);
    unicorn.update_fp_status(e->env);
    unicorn.update_mxcsr_status(e->env);
    *dr7 = 0; /* so that the update sees every breakpoint as new */
    unicorn.update_dr7(e->env, enabled);
    unicorn.tlb_flush(e->cs);
    bank_switch(e, before);
    Py_RETURN_NONE;
}

static PyObject *cpu_get_halted(PyObject *self, void *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    return e != NULL ? PyBool_FromLong(*cpu_halted((struct cpu *)self)) : NULL;
}

static int cpu_set_halted(PyObject *self, PyObject *value, void *unused)
{
    struct engine *e = engine_of_cpu(self);
    int halted = value != NULL ? PyObject_IsTrue(value) : -1;
    (void)unused;
    if (halted < 0 || e == NULL)
        return -1;
    *cpu_halted((struct cpu *)self) = halted;
    return 0;
}

static PyObject *cpu_get_nmi_pending(PyObject *self, void *unused)
{
    struct engine *e = engine_of_cpu(self);
    (void)unused;
    if (e == NULL)
        return NULL;
    return PyBool_FromLong(*cpu_request((struct cpu *)self) & INTERRUPT_NMI);
}

static PyObject *cpu_get_waiting(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct cpu *)self)->waiting);
}

static int cpu_set_waiting(PyObject *self, PyObject *value, void *unused)
{
    struct engine *e = engine_of_cpu(self);
    struct cpu *c = (struct cpu *)self;
    int waiting = value != NULL ? PyObject_IsTrue(value) : -1;
    (void)unused;
    if (waiting < 0 || e == NULL)
        return -1;
    c->waiting = waiting;
    cpu_woken(c);
    return 0;
}

static PyObject *cpu_get_begun(PyObject *self, void *unused)
{
    const struct cpu *c = (struct cpu *)self;
    (void)unused;
    return Py_BuildValue("(KiKK)", (unsigned long long)c->hold, c->tear.size,
                         (unsigned long long)c->tear.address, (unsigned long long)c->tear.value);
}

static int cpu_set_begun(PyObject *self, PyObject *value, void *unused)
{
    struct cpu *c = (struct cpu *)self;
    unsigned long long hold, address, content;
    int size;
    (void)unused;
    if (value == NULL || !PyArg_ParseTuple(value, "KiKK", &hold, &size, &address, &content))
        return -1;
    if (size < 0 || size > 8) {
        PyErr_SetString(PyExc_ValueError, "an operand has 8 bytes at most");
        return -1;
    }
    c->hold = hold;
    c->tear = (struct tear){.size = size, .address = address, .value = content};
    return 0;
}

static PyMethodDef cpu_methods[] = {
    {"connect", cpu_connect, METH_O, "connect(platform): what its ports and pins lead to"},
    {"set_intr", cpu_set_intr, METH_O, "drive the INTR pin"},
    {"nmi", cpu_nmi, METH_NOARGS, "pulse the NMI pin"},
    {"can_interrupt", cpu_can_interrupt, METH_NOARGS, "an interrupt waits and would be taken"},
    {"peek", cpu_peek, METH_VARARGS, "peek(offset, length) -> bytes of CPU state"},
    {"poke", cpu_poke, METH_VARARGS, "poke(offset, bytes)"},
    {"forget", cpu_forget, METH_NOARGS, "zero the CPU state"},
    {"derive", cpu_derive, METH_NOARGS, "rebuild derived state after poke()"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef cpu_getset[] = {
    {"waiting", cpu_get_waiting, cpu_set_waiting, "after INIT, for a start-up message", NULL},
    {"begun", cpu_get_begun, cpu_set_begun,
     "(until which tick its interrupt is held, size, address and old value of what it tears)", NULL},
    {"halted", cpu_get_halted, cpu_set_halted, "in HLT", NULL},
    {"nmi_pending", cpu_get_nmi_pending, NULL, "an NMI has not been taken yet", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot cpu_slots[] = {
    {Py_tp_doc, "One CPU of an engine; the engine makes them."},
    {Py_tp_dealloc, cpu_dealloc},
    {Py_tp_traverse, cpu_traverse},
    {Py_tp_clear, cpu_clear},
    {Py_tp_methods, cpu_methods},
    {Py_tp_getset, cpu_getset},
    {0, NULL},
};

static PyType_Spec cpu_spec = {
    .name = "manager.cpu.unicorn._native.Cpu",
    .basicsize = sizeof(struct cpu),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cpu_slots,
};

PyObject *cpu_type(void)
{
    static PyObject *type;
    if (type == NULL)
        type = PyType_FromSpec(&cpu_spec);
    return Py_XNewRef(type);
}
