"""Where Python asks for a tensor's numbers: a GPU is waited for there."""

from torch.overrides import TorchFunctionMode

READS = {"item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__"}


class Reads(TorchFunctionMode):
    """Notes after which iteration each number was asked for."""

    def __init__(self):
        super().__init__()
        self.iteration = 0
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in READS:
            self.found.append(self.iteration)
        return function(*args, **(kwargs or {}))
