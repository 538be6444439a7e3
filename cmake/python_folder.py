"""Print where this interpreter looks for packages below a prefix."""

import os
import site
import sys

prefix = os.path.realpath(sys.argv[1])
below = []
for folder in site.getsitepackages():
    relative = os.path.relpath(os.path.realpath(folder), prefix)
    if not relative.startswith(os.pardir):
        below.append(relative)

# Below /usr there is also /usr/local, which is another prefix.
below.sort(key=lambda folder: (folder.startswith("local" + os.sep), len(folder)))
if below:
    print(below[0])
else:
    # Some other prefix: like the interpreter's own, for PYTHONPATH.
    name = os.path.basename(site.getsitepackages()[0])
    version = "python%d.%d" % sys.version_info[:2]
    print(os.path.join(sys.platlibdir, version, name))
