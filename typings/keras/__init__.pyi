# Keras has no complete annotations; what pyright infers from its code rejects much of what it accepts.
from typing import Any

def __getattr__(name: str) -> Any: ...
