"""Fails unless the machine code of extension modules runs on any x86-64-v2 processor.

python check_portable.py MODULE...      (needs objdump)
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

# Of x86-64-v3 and later, beside what begins with v (AVX, AVX2, AVX-512, FMA, F16C) or k (its masks).
# tzcnt isn't here: older processors run it as bsf, and compilers use it only where both agree.
_LATER = {
    "andn", "bextr", "blsi", "blsmsk", "blsr", "bzhi", "lzcnt", "movbe",
    "mulx", "pdep", "pext", "rorx", "sarx", "shlx", "shrx",
}  # fmt: skip


def beyond(disassembly: Iterable[str]) -> tuple[int, Counter[str]]:
    """How many instructions there are, and those that x86-64-v2 lacks.

    Args:
        disassembly: lines of `objdump --disassemble --no-show-raw-insn`.
    """
    instructions, found = 0, Counter[str]()
    for line in disassembly:
        address, colon, rest = line.partition(":\t")
        if not colon or not address.startswith(" "):
            continue
        instructions += 1
        mnemonic = rest.split(maxsplit=1)[0] if rest.strip() else ""
        if mnemonic in _LATER or mnemonic.startswith(("v", "k")):
            found[mnemonic] += 1
    return instructions, found


def main(modules: list[str]) -> int:
    """Check each; returns the exit status."""
    status = 0
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            print(f"{module}: isn't installed")
            status = 1
            continue
        command = ["objdump", "--disassemble", "--no-show-raw-insn", spec.origin]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as objdump:
            instructions, found = beyond(objdump.stdout or ())
        if objdump.returncode or not instructions:
            print(f"{spec.origin}: objdump can't disassemble it")
            status = 1
        elif found:
            worst = ", ".join(f"{name} ({count})" for name, count in found.most_common(5))
            print(
                f"{spec.origin}: {found.total():,} instructions that x86-64-v2 lacks, such as {worst}"
            )
            status = 1
        else:
            print(f"{spec.origin}: {instructions:,} instructions, all of them x86-64-v2's")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
