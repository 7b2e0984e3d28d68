/* SPDX-License-Identifier: BSD-2-Clause */
/* Calling Python from inside a run. What it raises is kept until the run is over. */
#include "engine.h"

void keep_exception(struct engine *e)
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
    e->kicked = e->abandoned = true;
    e->attention = 0;
}

uint64_t ask(struct engine *e, PyObject *method, size_t count, const uint64_t *arguments)
{
    PyObject *boxed[5] = {NULL};
    for (size_t i = 0; i < count; i++)
        boxed[i] = PyLong_FromUnsignedLongLong(arguments[i]);
    e->in_python = true;
    give_back_port(e);
    suspend_grants(e);
    PyObject *result = PyObject_CallFunctionObjArgs(method, boxed[0], boxed[1], boxed[2], boxed[3],
                                                    NULL); /* the first NULL ends them */
    e->in_python = false;
    for (size_t i = 0; i < count; i++)
        Py_XDECREF(boxed[i]);
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
