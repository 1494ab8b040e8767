"""Imports the model's classes without modules that inference never uses.

The transformers modules that define InstructBLIP import scipy's optimizer, TorchDynamo,
distributed training and template engines. They take two thirds of the time of a cold `antifake
check`. Inside `deferred`, `from module import name` binds a `LazyObject` instead: the real object
is imported at its first use, as PEP 810 proposes for the language.

A `LazyObject` is never in `sys.modules`, so any other import of the module gets the module. If a
version of transformers does not fit, its classes are imported in the ordinary way, which takes
longer; see `fallback_reason`.
"""

import builtins
import gc
import importlib
import importlib.util
import logging
import operator
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from threading import RLock
from types import ModuleType, SimpleNamespace
from typing import Any

DEFERRED = (
    "accelerate",
    "jinja2",
    "scipy",
    "sklearn",
    "torch._dynamo",
    "torch._inductor",
    "torch.distributed._composable",
    "torch.distributed.checkpoint",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "torch.nn.attention.flex_attention",
    # These use one of the above at import time, mostly as a decorator.
    "transformers.distributed.expert_parallel",
    "transformers.distributed.tensor_parallel",
    "transformers.generation.continuous_batching.cache",
    "transformers.integrations.bitnet",
    "transformers.integrations.deepgemm",
    "transformers.integrations.eager_paged",
    "transformers.integrations.flex_attention",
    "transformers.integrations.sonicmoe",
    # The last runs the __init__ of transformers, see without_init; the others import it.
    "transformers.image_processing_utils",
    "transformers.video_processing_utils",
    "transformers.processing_utils",
)
"""Modules to defer. A name that a version of transformers lacks does no harm."""

log = logging.getLogger(__name__)

_one_at_a_time = RLock()
_fallback_reason: str | None = None


def _through(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: operation(self.resolve_(), *args, **kwargs)


class LazyObject:
    """Stands for a name of a module, which is imported when the name is first used.

    `except` needs a real class, so `deferred` imports names of errors at once.
    """

    def __init__(self, home: str, name: str, get: Callable[[], Any], scope: dict[str, Any]) -> None:
        self._home = home
        self._name = name
        self._get = get
        self._scope = scope

    def resolve_(self) -> Any:
        """Returns the real object, and binds it to the names that were bound to this one."""
        if "_real" not in vars(self):
            self._real = self._get()
            for name in [name for name, value in self._scope.items() if value is self]:
                self._scope[name] = self._real
        return self._real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.resolve_(), name)

    def __repr__(self) -> str:
        return f"<lazy {self._name} from {self._home}>"

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.resolve_(),)

    def _exists(self) -> bool:
        return "_real" in vars(self) or self._home in sys.modules

    # No object can be an instance of a class that was never imported.
    def __instancecheck__(self, instance: object) -> bool:
        return self._exists() and isinstance(instance, self.resolve_())

    def __subclasscheck__(self, cls: type) -> bool:
        return self._exists() and issubclass(cls, self.resolve_())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LazyObject):
            return (self._home, self._name) == (other._home, other._name)
        # A constant is compared by value, so an equal object may exist.
        return (self._exists() or self._name.isupper()) and bool(self.resolve_() == other)

    # `Name | None` occurs in annotations, which are rarely evaluated.
    def __or__(self, other: Any) -> "LazyObject":
        return LazyObject(
            self._home, f"{self._name} | {other}", lambda: self.resolve_() | other, {}
        )

    def __ror__(self, other: Any) -> "LazyObject":
        return LazyObject(
            self._home, f"{other} | {self._name}", lambda: other | self.resolve_(), {}
        )

    # Python looks these up on the type, not through `__getattr__`.
    __call__ = _through(operator.call)
    __bool__ = _through(bool)
    __contains__ = _through(operator.contains)
    __getitem__ = _through(operator.getitem)
    __hash__ = _through(hash)
    __iter__ = _through(iter)
    __len__ = _through(len)


class _Import:
    """Replaces `builtins.__import__`, the only hook that knows the importing module."""

    def __init__(self, heavy: Sequence[str], by: str) -> None:
        self._heavy = heavy
        self._by = by
        self._import = builtins.__import__
        self._plain: dict[tuple[str, str], list[str]] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        scope: Any = globals or {}
        importer = str(scope.get("__name__"))
        if _is_in(importer, self._by):
            module = importlib.util.resolve_name("." * level + name, scope["__package__"])
            if not fromlist and self._is_heavy(module.partition(".")[0], importer):
                return self._lazy_package(module, importer, scope)
            lazy = [n for n in fromlist or () if self._can_wait(module, n, importer)]
            if lazy:
                now = [n for n in fromlist or () if n not in lazy]
                found = self._import(name, globals, locals, now, level) if now else None
                names = {n: getattr(found, n) for n in now}
                return SimpleNamespace(
                    **names, **{n: self._lazy_name(module, n, scope) for n in lazy}
                )
        return self._import(name, globals, locals, fromlist, level)

    def _is_heavy(self, module: str, importer: str) -> bool:
        # Once a heavy module is imported after all, its own imports are ordinary.
        return module not in sys.modules and any(
            _is_in(module, heavy) and not _is_in(importer, heavy) for heavy in self._heavy
        )

    def _can_wait(self, module: str, name: str, importer: str) -> bool:
        return not name.endswith(("*", "Error", "Exception", "Warning")) and (
            self._is_heavy(module, importer) or self._is_heavy(f"{module}.{name}", importer)
        )

    def _lazy_name(self, module: str, name: str, scope: dict[str, Any]) -> Any:
        if name in typing.__all__:
            # Some modules pass on what annotations need, which Python evaluates at once.
            return getattr(typing, name)

        def get() -> Any:
            return getattr(self._import(module, fromlist=(name,)), name)

        return LazyObject(module, name, get, scope)

    def _lazy_package(self, module: str, importer: str, scope: dict[str, Any]) -> LazyObject:
        """For `import a.b`, which binds `a`. Several such lines share one name and all parts."""
        root = module.partition(".")[0]
        parts = self._plain.setdefault((importer, root), [])
        parts.append(module)
        return LazyObject(root, root, lambda: [self._import(part) for part in parts][-1], scope)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@contextmanager
def deferred(*heavy: str, by: str) -> Iterator[None]:
    """Defers imports of `heavy` modules by the package `by` to their first use.

    This concerns imports inside the block, by any thread, of modules that are not imported yet.
    Only one thread can be in the block; a second one waits. A `LazyObject` may be used from any
    thread.
    """
    with _one_at_a_time:
        ordinary = builtins.__import__
        builtins.__import__ = _Import(heavy, by)
        try:
            yield
        finally:
            builtins.__import__ = ordinary


class _AllowInGraphQueue(MetaPathFinder):
    """Queues calls of `allow_in_graph` until TorchDynamo is imported.

    The decorator returns the function unchanged and registers it with TorchDynamo, which it
    imports to do so. Only TorchDynamo itself reads that register.
    """

    def __init__(self, mark: Callable[[Any], Any]) -> None:
        self._mark = mark
        self._functions: list[Any] = []

    def allow_in_graph(self, function: Any) -> Any:
        if "torch._dynamo" in sys.modules:
            return self._mark(function)
        self._functions.append(function)
        return function

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "torch._dynamo":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_tell(module: ModuleType) -> None:
                run(module)
                sys.meta_path.remove(self)
                for function in self._functions:
                    module.allow_in_graph(function)

            spec.loader.exec_module = run_and_tell  # type: ignore[method-assign]
        return spec


@contextmanager
def allow_in_graph_deferred() -> Iterator[None]:
    """Defers `allow_in_graph` until TorchDynamo is imported; see _AllowInGraphQueue."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    torch: Any = importlib.import_module("torch")
    ordinary = torch.compiler.allow_in_graph
    marks = _AllowInGraphQueue(ordinary)
    sys.meta_path.insert(0, marks)
    torch.compiler.allow_in_graph = marks.allow_in_graph
    dynamo: Any = LazyObject(
        "torch._dynamo", "*", lambda: importlib.import_module("torch._dynamo"), {}
    )
    dynamo.allow_in_graph = marks.allow_in_graph
    torch._dynamo = dynamo  # noqa: SLF001 - importing the real one puts it here
    try:
        yield
    finally:
        torch.compiler.allow_in_graph = ordinary
        if vars(torch).get("_dynamo") is dynamo:
            del torch._dynamo  # noqa: SLF001


class _PackageStub(ModuleType):
    """A package whose `__init__` has not run; after the block it forwards to the real one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or spec.submodule_search_locations is None:
            raise ImportError(f"{name} is not a package with a folder of its own", name=name)
        self.__spec__ = spec
        self.__file__ = spec.origin
        self.__package__ = name
        self.__path__ = list(spec.submodule_search_locations)
        # The only name that submodules of transformers need from the package.
        source = Path(spec.origin).read_text(encoding="utf-8")
        if version := re.search(r'^__version__ = "(.+)"', source, re.MULTILINE):
            self.__version__ = version[1]

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def without_init(*packages: str) -> Iterator[None]:
    """Lets submodules of `packages` be imported without running the packages' `__init__`.

    The `__init__` of transformers reads all its 2,000 files to find the names that it exports. It
    still does so when the package is imported after the block.
    """
    stand_ins: list[_PackageStub] = []
    try:
        for name in packages:
            if name not in sys.modules:
                stand_ins.append(_PackageStub(name))
                sys.modules[name] = stand_ins[-1]
        yield
    finally:
        for stand_in in stand_ins:
            if sys.modules.get(stand_in.__name__) is stand_in:
                del sys.modules[stand_in.__name__]


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Imports make many objects and no garbage; collecting it took a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def transformers_classes(language_model: str = "llama") -> SimpleNamespace:
    """Returns the transformers classes that a detector needs, by their own names.

    `language_model` is the kind of the language model: llama or t5.

    They are the same objects that an ordinary import gives. `no_init_weights` is among them: in
    it modules are built without random initialization.
    """
    before = set(sys.modules)
    try:
        with (
            _garbage_collection_paused(),
            without_init("transformers", "transformers.models"),
            deferred(*DEFERRED, by="transformers"),
            allow_in_graph_deferred(),
        ):
            return _import_classes(language_model)
    except Exception as error:  # noqa: BLE001 - an unknown version: slow is better than not at all
        _fall_back(error)
        for name in set(sys.modules) - before:
            if _is_in(name, "transformers"):
                del sys.modules[name]
        return _import_classes(language_model)


def fallback_reason() -> str | None:
    """Returns why this process imports transformers whole; None if it does not."""
    return _fallback_reason


def _fall_back(error: Exception) -> None:
    global _fallback_reason  # noqa: PLW0603 - like the imports themselves, a fact of the process
    if _fallback_reason is None:
        text = (str(error).strip().splitlines() or [""])[0][:200]
        _fallback_reason = f"{type(error).__name__}: {text}"
        log.warning(
            "Lazy imports do not fit this version of transformers (%s). Loading the model takes "
            "some seconds longer.",
            _fallback_reason,
        )


_LANGUAGE_MODELS = {
    "llama": ("transformers.models.llama.modeling_llama", ("LlamaConfig", "LlamaModel")),
    "t5": ("transformers.models.t5.modeling_t5", ("T5Config", "T5Model")),
}


def _import_classes(language_model: str) -> SimpleNamespace:
    instructblip = importlib.import_module("transformers.models.instructblip.modeling_instructblip")
    home, own = _LANGUAGE_MODELS.get(language_model, _LANGUAGE_MODELS["llama"])
    filling = importlib.import_module("transformers.initialization")
    modeling = importlib.import_module("transformers.modeling_utils")
    names = {
        modeling: ("ALL_ATTENTION_FUNCTIONS",),
        filling: ("no_init_weights",),
        instructblip: (
            "BaseModelOutput",
            "InstructBlipConfig",
            "InstructBlipQFormerConfig",
            "InstructBlipQFormerModel",
            "InstructBlipVisionConfig",
            "InstructBlipVisionModel",
        ),
        importlib.import_module(home): own,
    }
    return SimpleNamespace(**{n: getattr(m, n) for m, ns in names.items() for n in ns})
