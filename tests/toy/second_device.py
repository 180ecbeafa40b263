"""A second device without a GPU: tensors that refuse the company of tensors of the CPU, with the CPU's own arithmetic.

A tensor of this device wraps one of the CPU. Every operation on such tensors is done on what they wrap, so that results have the bits of
the CPU; one that mixes them with a tensor of the CPU raises, as on a GPU, and so does reading their numbers without a copy to the CPU.
It says nothing of a GPU's own arithmetic, memory or order of work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

DEVICE = torch.device("lazy:0")
aten = torch.ops.aten
_TAKES_CPU_INDEX = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index)
"""A GPU takes positions from the CPU in these."""
_TO = (aten._to_copy,)
_COPY = (aten.copy_,)


class SecondDeviceTensor(torch.Tensor):
    """A tensor of the second device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> SecondDeviceTensor:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=DEVICE, requires_grad=inner.requires_grad,
        )  # fmt: skip
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"SecondDeviceTensor({self.inner!r})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a tensor of the second device to numpy; copy it to the CPU first")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one operation on what its tensors wrap."""
    packet = func.overloadpacket
    wanted = kwargs.get("device")
    asks = None if wanted is None else torch.device(wanted).type == DEVICE.type
    flat: list[Any] = []
    tree_map(flat.append, (args, {k: v for k, v in kwargs.items()}))
    here = [x for x in flat if isinstance(x, SecondDeviceTensor)]
    if here and packet not in (*_TAKES_CPU_INDEX, *_TO, *_COPY):
        _refuse_mixed(func, flat)
    if here and packet in _TAKES_CPU_INDEX:
        rest = [args[0], *args[2:]]
        _refuse_mixed(func, rest)
    inner_kwargs = tree_map(_unwrap, kwargs)
    if asks:
        inner_kwargs["device"] = torch.device("cpu")
    if packet in _COPY:
        args[0].inner.copy_(_unwrap(args[1])) if isinstance(args[0], SecondDeviceTensor) else args[0].copy_(
            _unwrap(args[1])
        )
        return args[0]
    inner_args = tree_map(_unwrap, args)
    if packet is aten.histc and not args[0].is_floating_point():
        # A GPU counts whole numbers too.
        return SecondDeviceTensor(func(inner_args[0].float(), *inner_args[1:], **inner_kwargs).to(args[0].dtype))
    found = func(*inner_args, **inner_kwargs)
    is_there = bool(here) if asks is None else asks
    if not is_there:
        return found
    # What was changed in place stays the same tensor.
    known = {id(x.inner): x for x in here}

    def wrap(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return known[id(x)] if id(x) in known else SecondDeviceTensor(x)

    return tree_map(wrap, found)


def _refuse_mixed(func: Any, values: list[Any]) -> None:
    for x in values:
        if isinstance(x, torch.Tensor) and not isinstance(x, SecondDeviceTensor) and x.dim():
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but found {DEVICE} and {x.device}"
            )


def _unwrap(x: Any) -> Any:
    return x.inner if isinstance(x, SecondDeviceTensor) else x


class _Made(TorchFunctionMode):
    """Calls that reach no dispatch mode, by others that do."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.to and kwargs.get("device") is not None and len(args) == 1:
            dtype, device = kwargs.pop("dtype", None), kwargs.pop("device")
            return func(args[0] if dtype is None else func(args[0], dtype), device, **kwargs)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(args[0], SecondDeviceTensor):
            place = args[1] if isinstance(args[1], tuple) else (args[1],)
            place = tuple(torch.tensor(list(one)) if isinstance(one, list | range) else one for one in place)
            rest = [torch.tensor(x, dtype=args[0].dtype) if isinstance(x, int | float) else x for x in args[2:]]
            return func(args[0], place, *rest)
        return func(*args, **kwargs)


class _Placed(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


@contextmanager
def second_device() -> Iterator[torch.device]:
    """While it is entered, tensors can be made on the device and moved to it.

    Wrapped tensors of inference mode have no version to share with their views: without gradients is all that it is here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad() if mode else nullcontext())
        with _Made(), _Placed():
            yield DEVICE
