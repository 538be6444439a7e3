"""Print where this interpreter looks for packages below a prefix."""

import os
import site
import sys

prefix = os.path.realpath(sys.argv[1])
below = []
for folder in site.getsitepackages():
    relative = os.path.relpath(os.path.realpath(folder), prefix)
    # Below /usr there is also /usr/local, which is another prefix.
    if relative.split(os.sep)[0] not in (os.pardir, "local"):
        below.append((folder not in sys.path, len(below), relative))

if below:
    print(min(below)[2])
else:
    # Some other prefix: like the interpreter's own, for PYTHONPATH.
    name = os.path.basename(site.getsitepackages()[0])
    version = "python%d.%d" % sys.version_info[:2]
    print(os.path.join(sys.platlibdir, version, name))
