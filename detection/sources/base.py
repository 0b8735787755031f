"""What a source of frames must offer."""

from typing import Protocol

from detection.types import Camera, Frame, Unobserved


class FrameSource(Protocol):
    """Asks cameras for a picture. Asynchronous, so that a thousand slow cameras wait beside each other."""

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        """A frame, or why there is none. Never raises for anything that a camera or network does."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


class FailedLookError(Exception):
    """Ends a source's talk with a device or platform; `unobserved` is what its `grab` answers."""

    def __init__(self, unobserved: Unobserved) -> None:
        super().__init__(unobserved.reason.value)
        self.unobserved = unobserved
