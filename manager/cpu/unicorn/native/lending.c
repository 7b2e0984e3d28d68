/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A buffer behind an I/O port. A device that lets a guest read or write many values in a row, as
 * REP INSW does, lends the buffer that they are in; accesses then go there, in the same time as
 * any other and with the same effect, but without Python.
 *
 * What a device knows changes only while Python runs. So what is lent is given back before any of
 * it does: on the next call of a callback, and at the end of a run. The last value of a buffer is
 * always the device's to hand over, as something happens then.
 */
#include <string.h>

#include "engine.h"

PyObject *engine_lend_port(PyObject *self, PyObject *args)
{
    struct engine *e = (struct engine *)self;
    unsigned int port;
    PyObject *buffer, *returned;
    Py_ssize_t start;
    int writable;
    if (!PyArg_ParseTuple(args, "IOnpO", &port, &buffer, &start, &writable, &returned))
        return NULL;
    give_back_port(e);
    if (running_engine != e) /* no guest is there to take it */
        Py_RETURN_NONE;
    if (PyObject_GetBuffer(buffer, &e->lent.view, PyBUF_WRITABLE) < 0)
        return NULL;
    e->lent.port = port;
    e->lent.writable = writable;
    e->lent.at = start;
    e->lent.returned = Py_NewRef(returned);
    Py_RETURN_NONE;
}

void give_back_port(struct engine *e)
{
    PyObject *returned = e->lent.returned;
    if (returned == NULL)
        return;
    e->lent.returned = NULL;
    PyBuffer_Release(&e->lent.view);
    PyObject *result = PyObject_CallFunction(returned, "n", e->lent.at);
    Py_DECREF(returned);
    if (result == NULL)
        keep_exception(e);
    Py_XDECREF(result);
}

/* Where the value of an access is in what is lent, or NULL if the device is to be asked. */
static char *lent_value(struct engine *e, uint32_t port, int size, bool write)
{
    struct lent *lent = &e->lent;
    bool fits = lent->returned != NULL && lent->port == port && lent->writable == write &&
                lent->at >= 0 && lent->at + size < lent->view.len;
    if (!fits)
        return NULL;
    lent->at += size;
    return (char *)lent->view.buf + lent->at - size;
}

bool read_lent(struct engine *e, uint32_t port, int size, uint64_t *value)
{
    const char *from = lent_value(e, port, size, false);
    if (from == NULL)
        return false;
    *value = 0;
    memcpy(value, from, size); /* both are little-endian */
    return true;
}

bool write_lent(struct engine *e, uint32_t port, int size, uint32_t value)
{
    char *to = lent_value(e, port, size, true);
    if (to == NULL)
        return false;
    memcpy(to, &value, size);
    return true;
}
