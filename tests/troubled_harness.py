"""`harness` with workers that follow the orders of a file; see ``troubled``."""

import functools
import pickle
import sys
from pathlib import Path

from troubled import Troubled

from harness.cli import main
from harness.launch import worker

if __name__ == "__main__":
    orders = pickle.loads(Path(sys.argv[1]).read_bytes())
    worker.Machine = functools.partial(Troubled, orders=orders)
    sys.exit(main(sys.argv[2:]))
