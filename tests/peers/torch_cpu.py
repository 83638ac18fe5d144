"""Imports PyTorch on a machine where most of its CUDA libraries are left out.

The wheel on the package index links to cuDNN, cuBLAS and others, some 2 GB that a
CPU never calls. `cargo xtask peers` puts empty libraries of their names on the
search path; with symbols bound at their first call, the import then passes, and
only a call of CUDA itself could fail.
"""

import os
import sys

_flags = sys.getdlopenflags()
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
try:
    import torch
finally:
    sys.setdlopenflags(_flags)

__all__ = ["torch"]
