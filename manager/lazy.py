# SPDX-License-Identifier: BSD-2-Clause
"""Dataclasses whose methods are made when the first of them is used.

`dataclasses` writes and compiles the methods of every class as its module is imported; a command
that ends in a tenth of a second spends a third of its time on classes that it never uses. Here
only the slots are laid when a class is made, and `dataclasses` does the rest at the first instance,
comparison or look at the fields. Before and after, a class is what `dataclasses` makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  which exports it
else:
    from _thread import RLock  # not `threading`, which takes as long to import as ten classes

    _lock = RLock()
    _METHODS = ("__init__", "__repr__", "__eq__")
    _GUARDS = ("__setattr__", "__delattr__")  # of a frozen class
    _CLASS_VARIABLES = ("ClassVar", "typing.ClassVar")

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True):
        """As `dataclasses.dataclass`; the methods wait only for a class with slots."""

        def decorate(cls: type) -> type:
            annotations = cls.__dict__.get("__annotations__", {})  # noqa: RUF063  not the bases'
            if slots and eq and all(isinstance(kind, str) for kind in annotations.values()):
                return _Waiting(cls, annotations, frozen).cls
            from dataclasses import dataclass as at_once

            return at_once(cls, frozen=frozen, slots=slots, eq=eq)

        return decorate if cls is None else decorate(cls)

    class _Waiting:
        """A class whose methods are not made yet, and what they are to be made of.

        It stands in the class for the attributes that `dataclasses` adds, as their descriptor.
        `dataclasses` works at a model of the class, so no thread meets one that is half made.
        """

        __slots__ = ("_frozen", "_model", "_stands", "cls")

        def __init__(self, cls: type, annotations: dict[str, str], frozen: bool) -> None:
            namespace = dict(cls.__dict__)
            namespace.pop("__dict__", None)
            namespace.pop("__weakref__", None)
            names = [
                name for name, kind in annotations.items() if not kind.startswith(_CLASS_VARIABLES)
            ]
            self._frozen = frozen
            self._model = {**namespace, "__doc__": cls.__doc__ or cls.__name__}
            for name in names:
                namespace.pop(name, None)
            taken = {name for base in cls.__mro__[1:] for name in _slots_of(base)}
            own = tuple(name for name in names if name not in taken)
            self._stands = [name for name in _METHODS if name not in namespace]
            for name in self._stands:
                namespace[name] = self._stand_in(name)
            if not frozen:
                namespace.setdefault("__hash__", None)
            elif "__hash__" not in namespace:
                self._stands.append("__hash__")
                namespace["__hash__"] = self._stand_in("__hash__")
            if frozen and "__getstate__" not in namespace:
                namespace["__getstate__"] = _state
                namespace["__setstate__"] = _set_state
            for name in ("__dataclass_fields__", "__dataclass_params__", "__match_args__"):
                if name not in namespace:
                    self._stands.append(name)
                    namespace[name] = _Made(self, name)
            namespace["__slots__"] = own
            self.cls = type(cls)(cls.__name__, cls.__bases__, namespace)
            self.cls.__qualname__ = cls.__qualname__

        def _stand_in(self, name: str) -> Any:
            def first(*args: Any, **named: Any) -> Any:
                self.make()
                return getattr(self.cls, name)(*args, **named)

            return first

        def make(self) -> None:
            """Have `dataclasses` make the methods, once."""
            with _lock:
                if not self._stands:
                    return
                from dataclasses import dataclass as at_once

                cls = self.cls
                model = type(cls)(cls.__name__, cls.__bases__, self._model)
                model.__qualname__ = cls.__qualname__
                at_once(model, frozen=self._frozen)
                for name in [*self._stands, *_GUARDS * self._frozen]:
                    made = model.__dict__[name]
                    for cell in getattr(made, "__closure__", None) or ():
                        if cell.cell_contents is model:
                            cell.cell_contents = cls
                    setattr(cls, name, made)
                self._stands, self._model = [], {}

    class _Made:
        """Stands for an attribute of a class until it is looked at."""

        __slots__ = ("_name", "_waiting")

        def __init__(self, waiting: _Waiting, name: str) -> None:
            self._waiting = waiting
            self._name = name

        def __get__(self, instance: object, owner: type) -> Any:
            self._waiting.make()
            return getattr(owner, self._name)

    def _slots_of(cls: type) -> tuple[str, ...]:
        slots = cls.__dict__.get("__slots__", ())
        return (slots,) if isinstance(slots, str) else tuple(slots)

    def _state(self: Any) -> list[Any]:
        from dataclasses import fields

        return [getattr(self, item.name) for item in fields(self)]

    def _set_state(self: Any, state: list[Any]) -> None:
        from dataclasses import fields

        for item, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, item.name, value)
