# Builds count_bytes.cpp once against the installed PyTorch, and reads its counters.
import ctypes
import hashlib
import subprocess
import tempfile
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("count_bytes.cpp")


def build() -> Path:
    """The compiled library, in a folder named after the source and PyTorch's version."""
    key = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"fewtune-bench-{key}" / "count_bytes.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        root = Path(torch.__file__).parent
        unfinished = library.with_suffix(".tmp")
        subprocess.run(
            ["g++", "-O2", "-std=c++17", "-fPIC", "-shared", SOURCE, "-o", unfinished]
            + [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}", f"-I{root / 'include'}"]
            + [f"-L{root / 'lib'}", "-ltorch_cpu", "-lc10", "-Wl,--unresolved-symbols=ignore-in-shared-libs"],
            check=True,
        )
        unfinished.rename(library)
    return library


class ByteCounter:
    """Counts every CPU tensor allocated from here on."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(build()))
        for name in ("live", "peak"):
            getattr(self._library, f"count_bytes_{name}").restype = ctypes.c_int64
        self._library.count_bytes_start()

    def live(self) -> int:
        return self._library.count_bytes_live()

    def peak(self) -> int:
        return self._library.count_bytes_peak()

    def reset_peak(self) -> None:
        self._library.count_bytes_reset_peak()
