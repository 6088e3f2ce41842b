"""`python -m apps.providers.adapters.llama_factory JOB_DIR COMMAND…`"""

from apps.providers.adapters.llama_factory.tool import LlamaFactory
from apps.providers.launching.launcher import main

if __name__ == "__main__":
    main(LlamaFactory)
