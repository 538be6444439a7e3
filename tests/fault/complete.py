"""Whether the scenes of memory_fault.cc use every public function.

    complete.py libbridge/bridge.sym tests/fault/memory_fault.cc...
"""

import pathlib
import re
import sys


def main():
    names = re.findall(r"^bridge_\w+", pathlib.Path(sys.argv[1]).read_text(), re.M)
    text = "\n".join(pathlib.Path(name).read_text() for name in sys.argv[2:])
    called = set(re.findall(r"\b(bridge_\w+)\(", text))
    missing = [name for name in names if name not in called]
    for name in missing:
        print(f"no scene without memory calls {name}")
    if not names:
        print("there are no names")
    return 1 if missing or not names else 0


sys.exit(main())
