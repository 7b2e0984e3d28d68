/* SPDX-License-Identifier: BSD-2-Clause */
/* The extension module: link(), Engine, and the layout as numbers for state.py. */
#include "selfcheck.h"

PyObject *engine_type(void);

static PyObject *module_link(PyObject *module, PyObject *path)
{
    (void)module;
    const char *name = PyUnicode_AsUTF8AndSize(path, NULL);
    if (name == NULL || !link_unicorn(name))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *module_misplaced(PyObject *module, PyObject *args)
{
    const char *name = NULL;
    int shift = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "|zi", &name, &shift))
        return NULL;
    if (unicorn.open == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call link() first");
        return NULL;
    }
    contain_crashes();
    return selfcheck(name, shift);
}

static PyObject *module_prove(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (unicorn.open == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call link() first");
        return NULL;
    }
    contain_crashes();
    if (!layout_is_right())
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"link", module_link, METH_O, "link(path): load libunicorn and find its functions"},
    {"prove", module_prove, METH_NOARGS, "prove(): is Unicorn laid out as layout.h has it?"},
    {"misplaced", module_misplaced, METH_VARARGS,
     "misplaced(name=None, shift=0): the field that is not where layout.h has it, or None"},
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
    for (const struct field *field = selfcheck_fields; field->name != NULL; field++)
        if (PyModule_AddIntConstant(module, field->name, field->offset) < 0)
            return NULL;
    return module;
}
