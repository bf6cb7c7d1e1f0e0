"""One module for each thread."""

import copy
import threading
from typing import Generic, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


class OfThread(Generic[Module]):
    """Copies of a module: `functional_call` puts parameters into it while it runs, which two threads cannot share.

    Args:
        module: says the architecture.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._copies = threading.local()

    @property
    def own(self) -> Module:
        """The copy of the thread that asks."""
        if not hasattr(self._copies, "module"):
            self._copies.module = copy.deepcopy(self._module)
        module: Module = self._copies.module
        return module
