"""jaxtyping's names where it is installed; where it is not, the annotations stay unread strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
else:
    try:
        from jaxtyping import Bool, Float
    except ImportError:
        Bool = Float = Any

__all__ = ["Bool", "Float"]
