"""What one request may take, and all of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a picture, of an upload, and of what is done at once."""

    max_pixels: int
    upload_bytes: int
    jobs: int
    timeout_s: float  # of the work on a picture
    waiting: int = 200  # requests, for one of the jobs
    waiting_seconds: float = 60.0
    uploads: int = 20  # received or waiting at once
    upload_seconds: float = 60.0  # to receive one
