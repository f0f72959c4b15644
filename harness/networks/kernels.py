"""Which kernels a run's networks compute with: nothing is compiled, so it can be said in words."""

import torch

_FILTERED = {
    "StyleGAN1": {"filtering": "depthwise conv2d"},
    "StyleGAN2": {
        "filtering": "depthwise conv2d",
        "modulated convolution": "one conv2d for all images, on scaled features",
    },
}


def tf32(device: torch.device) -> str:
    """Return whether float32 is rounded to TF32 there, ``on`` or ``off``."""
    rounds = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    return "on" if device.type == "cuda" and rounds else "off"


def kernel_path(model_type: str, device: torch.device) -> dict[str, str]:
    """Return the path of each kind of operation, and the arithmetic of the backend, by name.

    Args:
        model_type: as a spec's ``model.type`` says.
        device: where the networks compute, its backend set up.
    """
    if device.type == "cpu":
        backend = "oneDNN" if torch.backends.mkldnn.is_available() else "native"
        return {**_FILTERED.get(model_type, {}), "backend": backend}
    cudnn = torch.backends.cudnn
    return {
        **_FILTERED.get(model_type, {}),
        "backend": f"cuDNN {cudnn.version()}{', deterministic' if cudnn.deterministic else ''}",
        "tf32": tf32(device),
    }
