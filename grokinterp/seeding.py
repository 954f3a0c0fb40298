"""Independent random streams from small seeds.

Two generators with the same small seed give the same numbers, so noise "with seed 0" would be
proportional to an initialisation "with seed 0". Each purpose therefore has a stream of its own.
"""

import hashlib

import torch


def generator(purpose: str, seed: int) -> torch.Generator:
    """A CPU generator whose stream depends on both the purpose and the seed.

    >>> draws = [float(torch.rand(1, generator=generator(p, 0))) for p in ("init", "noise", "init")]
    >>> draws[0] == draws[2], draws[0] == draws[1]
    (True, False)
    """
    digest = hashlib.sha256(f"grokinterp:{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
