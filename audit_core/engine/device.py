"""Device of a model: which there are, what is set before one is used, and how numbers come back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit_core.errors import ModelRefused
from audit_core.evidence.environment import Accelerator
from audit_core.models.devices import CPU, DEVICES

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def require_device(name: str) -> None:
    """Refuse a device that is not here, and set one that is to exact float32.

    Raises:
        ModelRefused: no such device, or this machine or this PyTorch lacks it.
    """
    import torch

    if name == CPU:
        return
    if name not in DEVICES:
        raise ModelRefused(
            f"Device {ascii(name)[:40]}.", wanted=f"one of {', '.join(DEVICES)}.",
            remedy="name one of them; which of several GPUs is used, CUDA_VISIBLE_DEVICES says.",
        )  # fmt: skip
    is_here = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
    if not is_here:
        raise ModelRefused(
            f"Device {name}, which PyTorch {torch.__version__} does not find on this machine.",
            wanted="a device that PyTorch can use.",
            remedy="install its driver and a build of PyTorch for it, or open the model on the CPU.",
        )
    set_exact()


def set_exact() -> None:
    """Compute products of float32 in float32: TF32 keeps 10 of 23 bits, which moves an effect by more than the tolerance."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def name_device(name: str) -> str:
    """The device's own name, part of the identity of what is computed on it; empty for the CPU."""
    import platform

    import torch

    if name == CPU:
        return ""
    return torch.cuda.get_device_name() if name == "cuda" else f"{platform.machine()} {platform.processor()}".strip()


def read_accelerator(name: str, own_name: str) -> Accelerator:
    """What the manifest of a run says about the device that computed it."""
    import torch

    return Accelerator(own_name or None, 1, None, torch.version.cuda if name == "cuda" else None)


def measure_free(name: str) -> int:
    """Bytes that are free on a device other than the CPU."""
    import torch

    if name == "mps":
        return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory()))
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info()[0])


def release_memory(device: torch.device) -> None:
    """Give back what a failed run reserved."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory did not suffice; PyTorch has no class of error for that of MPS."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor's numbers for use outside the engine; those of the CPU are not copied."""
    return tensor.cpu().numpy()


def from_numpy(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """A tensor with these numbers; on the CPU, with the array's own memory."""
    import torch

    return torch.from_numpy(array).to(device)


def widen(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor where it can be added up in float64, which MPS lacks."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor
