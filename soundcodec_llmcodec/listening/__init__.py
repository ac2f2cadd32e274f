"""Original and reconstruction on one HTML page: to hear, to look at, and to read off."""

from soundcodec_llmcodec.listening.listening_page import build
from soundcodec_llmcodec.listening.recordings import SECONDS, Excerpt, read_excerpt

__all__ = ["SECONDS", "Excerpt", "build", "read_excerpt"]
