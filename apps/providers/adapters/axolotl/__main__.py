"""`python -m apps.providers.adapters.axolotl JOB_DIR COMMAND…`"""

from apps.providers.adapters.axolotl.tool import Axolotl
from apps.providers.launching.launcher import main

if __name__ == "__main__":
    main(Axolotl)
