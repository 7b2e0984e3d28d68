/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine as a Python type: making one, running it, reading and writing its state. */
#define _DEFAULT_SOURCE /* strsignal */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

enum { UC_ARCH_X86 = 4, UC_MODE_64 = 8, UC_X86_REG_RIP = 41 };
enum { UC_CTL_USE_EXITS = 4, UC_CTL_CPU_MODEL = 7, UC_CTL_TCG_BUFFER_SIZE = 13 };
#define UC_CTL_WRITE(type, arguments) ((type) | (arguments) << 26 | 1 << 30)

int unicorn_failed(const char *what, int error)
{
    PyErr_Format(PyExc_RuntimeError, "%s: %s", what, unicorn.strerror(error));
    return -1;
}

struct engine *opened(PyObject *engine)
{
    struct engine *e = (struct engine *)engine;
    if (e != NULL && e->uc != NULL)
        return e;
    PyErr_SetString(PyExc_RuntimeError, "the engine is closed");
    return NULL;
}

bool open_unicorn(struct engine *e, int cpu_model, unsigned code_buffer)
{
    uint64_t rip;
    int error = unicorn.open(UC_ARCH_X86, UC_MODE_64, &e->uc);
    if (error != 0) {
        e->uc = NULL;
        unicorn_failed("opening Unicorn", error);
        return false;
    }
    const char *step = "choosing the CPU model";
    if ((error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_CPU_MODEL, 1), cpu_model)) == 0) {
        step = "bounding the translations";
        error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_TCG_BUFFER_SIZE, 1), code_buffer);
    }
    if (error == 0) { /* an exit address would make it walk the guest's page tables after each run */
        step = "disabling exit addresses";
        error = unicorn.ctl(e->uc, UC_CTL_WRITE(UC_CTL_USE_EXITS, 1), 1);
    }
    if (error == 0) {
        step = "building the CPU"; /* which the first access does */
        error = unicorn.reg_read(e->uc, UC_X86_REG_RIP, &rip);
    }
    if (error != 0) {
        unicorn.close(e->uc);
        e->uc = NULL;
        unicorn_failed(step, error);
        return false;
    }
    e->cs = unicorn.get_cpu(e->uc, -1);
    e->env = e->cs + CS_TO_ENV;
    return true;
}

static int engine_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"cpu_model", "cpu_count", "quantum", "code_buffer",
                            "keep_tlbs", NULL};
    struct engine *e = (struct engine *)self;
    int cpu_model, cpu_count, keep_tlbs, error;
    unsigned code_buffer;
    unsigned long long quantum;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iiKIp", names, &cpu_model, &cpu_count,
                                     &quantum, &code_buffer, &keep_tlbs))
        return -1;
    if (cpu_count < 1 || cpu_count > CPUS_MAX) {
        PyErr_Format(PyExc_ValueError, "an engine has 1 to %d CPUs", CPUS_MAX);
        return -1;
    }
    if (!layout_is_right() || e->uc != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call prove() first, and make each engine once");
        return -1;
    }
    if ((e->mapped = PyList_New(0)) == NULL)
        return -1;

    if (!open_unicorn(e, cpu_model, code_buffer))
        return -1;
    correct_features(e);
    demand_alignment(e);
    e->quantum = quantum * TICKS_PER_NS;
    e->keep_tlbs = keep_tlbs;
    for (; e->cpu_count < cpu_count; e->cpu_count++)
        if ((e->cpus[e->cpu_count] = cpu_make(e, e->cpu_count)) == NULL)
            return -1;
    set_topology(e);
    e->current = e->cpus[0];
    first_turn(e);
    engine_join(e);

    if ((error = number_ram_apart(e)) != 0)
        return unicorn_failed("mapping RAM", error);
    if ((error = add_hooks(e)) != 0)
        return unicorn_failed("adding hooks", error);
    return 0;
}

/* Devices hold the engine and the engine their methods: a cycle for the collector. RAM stays mapped, so `mapped` goes last, when Unicorn is closed. */
static int engine_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct engine *e = (struct engine *)self;
    Py_VISIT(Py_TYPE(self));
    for (int n = 0; n < e->cpu_count; n++)
        Py_VISIT(e->cpus[n]);
    Py_VISIT(e->msr_watch);
    Py_VISIT(e->bios_watch);
    Py_VISIT(e->lent.returned);
    Py_VISIT(e->raised);
    Py_VISIT(e->mapped);
    return visit_claims(e, visit, arg);
}

static int engine_clear(PyObject *self)
{
    struct engine *e = (struct engine *)self;
    for (int n = 0; n < e->cpu_count; n++)
        bank_free(e->cpus[n]);
    while (e->cpu_count > 0) {
        e->cpu_count--;
        Py_CLEAR(e->cpus[e->cpu_count]);
    }
    engine_leave(e);
    Py_CLEAR(e->msr_watch);
    Py_CLEAR(e->bios_watch);
    if (e->lent.returned != NULL)
        PyBuffer_Release(&e->lent.view);
    Py_CLEAR(e->lent.returned);
    Py_CLEAR(e->raised);
    end_grants(e);
    clear_claims(e);
    if (e->crashed) { /* it is in an unknown state, not even closed safely */
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

/* Frees what is large now; otherwise the garbage collector does. */
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
    mark_free(e);
    code_pages_free(e);
    free_holes(e);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *engine_set_a20(PyObject *self, PyObject *enabled)
{
    struct engine *e = opened(self);
    int on = PyObject_IsTrue(enabled);
    if (on < 0 || e == NULL)
        return NULL;
    set_a20(e, on);
    Py_RETURN_NONE;
}

static PyObject *engine_watch_msrs(PyObject *self, PyObject *watch)
{
    replace_reference(&((struct engine *)self)->msr_watch, Py_NewRef(watch));
    Py_RETURN_NONE;
}

static PyObject *engine_watch_bios_calls(PyObject *self, PyObject *watch)
{
    replace_reference(&((struct engine *)self)->bios_watch, Py_NewRef(watch));
    Py_RETURN_NONE;
}

static PyObject *engine_invalidate(PyObject *self, PyObject *args)
{
    struct engine *e = opened(self);
    unsigned long long start, end;
    if (e == NULL || !PyArg_ParseTuple(args, "KK", &start, &end))
        return NULL;
    mark_note_memory(e, start, end);
    code_pages_invalidate(e, start, end);
    Py_RETURN_NONE;
}

static PyObject *engine_get_fault(PyObject *self, void *unused)
{
    struct engine *e = (struct engine *)self;
    (void)unused;
    if (e->crashed)
        return PyUnicode_FromFormat("the engine crashed: %s", strsignal(e->crashed));
    return PyUnicode_FromString(unicorn.strerror(e->error));
}

static PyObject *engine_get_crashed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct engine *)self)->crashed);
}

static PyObject *engine_get_cpus(PyObject *self, void *unused)
{
    struct engine *e = opened(self);
    (void)unused;
    PyObject *cpus = e != NULL ? PyTuple_New(e->cpu_count) : NULL;
    for (int n = 0; cpus != NULL && n < e->cpu_count; n++)
        PyTuple_SetItem(cpus, n, Py_NewRef((PyObject *)e->cpus[n]));
    return cpus;
}

static PyMethodDef engine_methods[] = {
    {"map_ram", engine_map_ram, METH_VARARGS, "map_ram(base, buffer, offset, length)"},
    {"place_ram", engine_place_ram, METH_VARARGS, "place_ram(home, base or None)"},
    {"place_part", engine_place_part, METH_VARARGS,
     "place_part(home, offset, length, base or None)"},
    {"touched", engine_touched, METH_O, "touched(home): pages stored to since, one byte each"},
    {"map_rom", engine_map_rom, METH_VARARGS, "map_rom(base, buffer): stores are dropped"},
    {"map_mmio", engine_map_mmio, METH_VARARGS, "map_mmio(base, length, read, write)"},
    {"unmap_mmio", engine_unmap_mmio, METH_O, "unmap_mmio(base): the device there is gone"},
    {"map_hole", engine_map_hole, METH_VARARGS, "map_hole(base, length): reads as all ones"},
    {"run", engine_run, METH_O, "run(deadline) -> why it stopped"},
    {"follow_seed", engine_follow_seed, METH_VARARGS, "follow_seed(seed, jitter in ns, tear)"},
    {"first_turn", engine_first_turn, METH_NOARGS, "the first CPU has its turn, from now"},
    {"idle", engine_get_idle, METH_NOARGS, "no CPU has anything to do"},
    {"yield_turn", engine_yield, METH_NOARGS, "from a callback: the turn ends at the next block"},
    {"now", engine_now, METH_NOARGS, "virtual time in ns"},
    {"advance", engine_advance, METH_O, "advance(time): sleep until then"},
    {"limit", engine_limit, METH_O, "limit(deadline): stop no later than this"},
    {"kick", engine_kick, METH_NOARGS, "stop at the next block boundary"},
    {"abandon", engine_abandon, METH_NOARGS, "stop with the port or memory access under way"},
    {"set_a20", engine_set_a20, METH_O, "open or close the A20 gate"},
    {"watch_msrs", engine_watch_msrs, METH_O, "watch_msrs(f): f(number, value, written, refused)"},
    {"lend_port", engine_lend_port, METH_VARARGS,
     "lend_port(port, buffer, start, writable, returned): accesses to go there; returned(at) then"},
    {"steady", (PyCFunction)(void (*)(void))engine_steady, METH_FASTCALL,
     "steady(size=1): the read under way changes nothing, and gives the same until Python runs"},
    {"absorb", (PyCFunction)(void (*)(void))engine_absorb, METH_VARARGS | METH_KEYWORDS,
     "absorb(buffer or None, most, size=1): writes like this one only add to it"},
    {"watch_bios_calls", engine_watch_bios_calls, METH_O,
     "watch_bios_calls(f): f(number) at INT n in real mode without a handler"},
    {"invalidate", engine_invalidate, METH_VARARGS, "invalidate(start, end): RAM is about to be written"},
    {"mark", engine_mark, METH_NOARGS, "this is the point to come back to"},
    {"forget_mark", engine_forget_mark, METH_NOARGS, "nothing will come back"},
    {"back_memory", engine_back_memory, METH_NOARGS,
     "memory as it was at the mark: how many pages were not; then back_cpus()"},
    {"back_cpus", engine_back_cpus, METH_NOARGS, "time and CPUs as they were at the mark"},
    {"close", engine_close, METH_NOARGS, "let go of everything; only time can be asked for then"},
    {"set_breakpoints", engine_set_breakpoints, METH_O, "set_breakpoints(addresses)"},
    {"set_watchpoints", engine_set_watchpoints, METH_O,
     "set_watchpoints((address, length, access), ...): access is 1 read, 2 write or 3"},
    {"pass_here", engine_pass, METH_VARARGS,
     "pass_here(step, cpu=the present one): no breakpoint at the next instruction"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_getset[] = {
    {"cpus", engine_get_cpus, NULL, "its CPUs", NULL},
    {"current", engine_get_current, NULL, "the number of the CPU whose turn it is", NULL},
    {"turn", engine_get_turn, engine_set_turn,
     "(the CPU whose turn it is, the tick at which it ends, numbers drawn)", NULL},
    {"breaks", engine_get_breaks, NULL,
     "what came between instructions last: [(tick, CPU, linear address, next CPU or -1, vector "
     "or -1, torn, times)]", NULL},
    {"time", engine_get_time, engine_set_time, "(ticks, those of them that are no code)", NULL},
    {"hit", engine_get_hit, NULL, "(what the debugger stopped for, where)", NULL},
    {"in_block", engine_get_in_block, NULL, "stopped in the middle of a block", NULL},
    {"deliveries", engine_get_deliveries, NULL,
     "what was last on its way into the IDT, each caused by the one before", NULL},
    {"refused_msr", engine_get_refused_msr, NULL, "the last RDMSR or WRMSR that was refused", NULL},
    {"crashed", engine_get_crashed, NULL, "it died in a run", NULL},
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
