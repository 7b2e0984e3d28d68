/* SPDX-License-Identifier: BSD-2-Clause */
/* The extension module: link(), Engine, and the layout as numbers for state.py. */
#include "engine.h"

PyObject *engine_type(void);

static PyObject *module_link(PyObject *module, PyObject *path)
{
    (void)module;
    const char *name = PyUnicode_AsUTF8(path);
    if (name == NULL || !link_unicorn(name))
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"link", module_link, METH_O, "link(path): load libunicorn and find its functions"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "The native half of the CPU.", -1, methods,
    NULL, NULL, NULL, NULL,
};

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"STOP_DEADLINE", STOP_DEADLINE},
    {"STOP_KICK", STOP_KICK},
    {"STOP_HALT", STOP_HALT},
    {"STOP_SHUTDOWN", STOP_SHUTDOWN},
    {"STOP_FAULT", STOP_FAULT},
    {"STOP_DEBUGGER", STOP_DEBUGGER},
#define OFFSET(name) {#name, name}
    OFFSET(ENV_REGS), OFFSET(ENV_EIP), OFFSET(ENV_EFLAGS), OFFSET(ENV_HFLAGS),
    OFFSET(ENV_HFLAGS2), OFFSET(ENV_SEGS), OFFSET(ENV_LDT), OFFSET(ENV_TR), OFFSET(ENV_GDT),
    OFFSET(ENV_IDT), OFFSET(ENV_CR), OFFSET(ENV_A20_MASK), OFFSET(ENV_EFER), OFFSET(ENV_FPSTT),
    OFFSET(ENV_FPUS), OFFSET(ENV_FPUC), OFFSET(ENV_FPTAGS), OFFSET(ENV_FPREGS), OFFSET(ENV_FPCS), OFFSET(ENV_FPDS), OFFSET(ENV_FPIP),
    OFFSET(ENV_FPDP), OFFSET(ENV_MISC_ENABLE),
    OFFSET(ENV_MXCSR), OFFSET(ENV_XMM), OFFSET(ENV_SYSENTER_CS), OFFSET(ENV_SYSENTER_ESP),
    OFFSET(ENV_SYSENTER_EIP), OFFSET(ENV_STAR), OFFSET(ENV_LSTAR), OFFSET(ENV_CSTAR),
    OFFSET(ENV_FMASK), OFFSET(ENV_KERNELGSBASE), OFFSET(ENV_TSC_AUX), OFFSET(ENV_XCR0),
    OFFSET(ENV_PAT), OFFSET(ENV_SMBASE), OFFSET(ENV_DR),
#undef OFFSET
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module != NULL ? engine_type() : NULL;
    if (type == NULL || PyModule_AddObjectRef(module, "Engine", type) < 0)
        return NULL;
    Py_DECREF(type);
    if ((type = cpu_type()) == NULL || PyModule_AddObjectRef(module, "Cpu", type) < 0)
        return NULL;
    Py_DECREF(type);
    for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
            return NULL;
    return module;
}
