"""Exit code 0 when the distribution in `name==version` is installed in that version, whatever its build."""

import sys
from importlib.metadata import PackageNotFoundError, version

name, _, wanted = sys.argv[1].partition("==")
try:
    installed = version(name)
except PackageNotFoundError:
    sys.exit(1)
sys.exit(installed.split("+")[0] != wanted)
