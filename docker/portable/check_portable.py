"""Check that the machine code of extension modules runs on any x86-64-v2 or armv8-a processor.

python check_portable.py MODULE...      (needs objdump)
"""

from __future__ import annotations

import importlib.util
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

BASELINES = {"x86_64": "x86-64-v2", "amd64": "x86-64-v2", "aarch64": "armv8-a", "arm64": "armv8-a"}

# Instructions of x86-64-v3 and later, in addition to those that begin with v (AVX, AVX2, AVX-512, FMA,
# F16C) or k (its masks). Not tzcnt: older processors run it as bsf, and compilers use it only where
# both give the same result.
_LATER = {
    "andn", "bextr", "blsi", "blsmsk", "blsr", "bzhi", "lzcnt", "movbe",
    "mulx", "pdep", "pext", "rorx", "sarx", "shlx", "shrx",
}  # fmt: skip
# Instructions of armv8.2-a and later, in addition to those with SVE registers. Not the atomics of
# armv8.1-a: the compiler's own library has them, and checks the processor before it uses them.
_LATER_ON_ARM = {
    "bfcvt", "bfdot", "bfmlalb", "bfmlalt", "bfmmla", "fcadd", "fcmla", "fjcvtzs", "fmlal", "fmlal2",
    "fmlsl", "fmlsl2", "sdot", "smmla", "sudot", "udot", "ummla", "usdot", "usmmla",
}  # fmt: skip
# Registers of SVE, and 16-bit arithmetic: "z0.s", "p0/m", "v0.8h" of an instruction on floats.
_SVE = re.compile(r"\b(z\d+\.[bhsdq]|p\d+(/[mz]|\.[bhsd]))\b")
_HALF = re.compile(r"\bv\d+\.[48]h\b")
_CONVERSIONS = ("fcvt", "fmov")


def beyond(disassembly: Iterable[str], machine: str = "x86_64") -> tuple[int, Counter[str]]:
    """Return the number of instructions, and the counts of those that the machine's baseline lacks.

    Args:
        disassembly: lines of `objdump --disassemble --no-show-raw-insn`.
        machine: a key of BASELINES.
    """
    is_later = _is_later if BASELINES[machine] == "x86-64-v2" else _is_later_on_arm
    instructions, found = 0, Counter[str]()
    for line in disassembly:
        address, colon, rest = line.partition(":\t")
        if not colon or not address.startswith(" "):
            continue
        instructions += 1
        mnemonic, _, operands = rest.strip().partition("\t" if "\t" in rest.strip() else " ")
        if is_later(mnemonic, operands):
            found[mnemonic] += 1
    return instructions, found


def _is_later(mnemonic: str, _: str) -> bool:
    return mnemonic in _LATER or mnemonic.startswith(("v", "k"))


def _is_later_on_arm(mnemonic: str, operands: str) -> bool:
    if mnemonic in _LATER_ON_ARM or _SVE.search(operands):
        return True
    return (
        mnemonic.startswith("f")
        and not mnemonic.startswith(_CONVERSIONS)
        and bool(_HALF.search(operands))
    )


def main(modules: list[str]) -> int:
    """Check each module. Returns the exit status, 1 if a check failed."""
    status, machine = 0, platform.machine()
    if machine not in BASELINES:
        # portable-cc only sets a baseline for these machines.
        print(f"not checked: {machine} isn't one of {', '.join(BASELINES)}")
        return 0
    baseline = BASELINES[machine]
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            print(f"{module}: isn't installed")
            status = 1
            continue
        command = ["objdump", "--disassemble", "--no-show-raw-insn", spec.origin]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as objdump:
            instructions, found = beyond(objdump.stdout or (), machine)
        if objdump.returncode or not instructions:
            print(f"{spec.origin}: objdump can't disassemble it")
            status = 1
        elif found:
            worst = ", ".join(f"{name} ({count})" for name, count in found.most_common(5))
            print(
                f"{spec.origin}: {found.total():,} instructions that {baseline} lacks, such as {worst}"
            )
            status = 1
        else:
            print(f"{spec.origin}: {instructions:,} instructions, all of {baseline}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
