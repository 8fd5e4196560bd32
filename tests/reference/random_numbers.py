"""Slow, clear definitions of the random numbers of remodeling, in Python's exact integers."""

from __future__ import annotations

WORD = 1 << 32
GOLDEN = 0x9E3779B9


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32-20 as Salmon et al. 2011 define it: 20 rounds, a key word injected after every fourth."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    schedule = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    left, right = ((c + k) % WORD for c, k in zip(counter, key, strict=True))
    for number in range(20):
        left = (left + right) % WORD
        turn = rotations[number % 8]
        right = ((right << turn | right >> (32 - turn)) % WORD) ^ left
        if number % 4 == 3:
            injection = number // 4 + 1
            left = (left + schedule[injection % 3]) % WORD
            right = (right + schedule[(injection + 1) % 3] + injection) % WORD
    return left, right


def words(seed: int, step: int, stream: int, index: int) -> tuple[int, int]:
    """The two words of one index: the key is (seed, 8 step + stream), the counter (index, 0)."""
    return threefry((seed, (step * 8 + stream) % WORD), (index, 0))


def below(word: int, bound: int) -> int:
    """floor(word / 2**32 * bound)."""
    return word * bound >> 32


def dither(cell: int, salt: int) -> int:
    """A number 0..255 that depends on voxel and BMU alone: two multiplications and a shift mix the bits."""
    mixed = (cell * 2654435761 % WORD) ^ salt
    return ((mixed ^ mixed >> 15) * 2246822519 % WORD) >> 24


def finalized(word: int) -> int:
    """The finalizer of MurmurHash3: each bit of the word turns over about half of the bits that come out."""
    word = (word ^ word >> 16) * 0x85EBCA6B % WORD
    word = (word ^ word >> 13) * 0xC2B2AE35 % WORD
    return word ^ word >> 16


def takes_step(gained: int, mass: int, step: int, cell: int, salt: int) -> bool:
    """Whether a voxel of ``mass`` after it has gained some takes the new step of formation: chance gained / mass."""
    start = finalized(cell * 2654435761 % WORD ^ salt)
    return below(finalized((start + step * GOLDEN) % WORD), mass) < gained
