# The stubs that type checkers bundle for TensorFlow reject much of what it accepts (`x[..., None]`,
# mixed integers and tensors as shapes). For checking, everything of TensorFlow is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
