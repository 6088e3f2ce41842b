"""`python -m apps.providers.adapters.custom JOB_DIR COMMAND…`"""

from apps.providers.adapters.custom.tool import CustomTool
from apps.providers.launching.launcher import main

if __name__ == "__main__":
    main(CustomTool)
