"""A stand-in for the registry of Codec-SUPERB's package SoundCodec: it loads and lists codecs as the real one does."""

from __future__ import annotations

import sys

REGISTRY = """
    import importlib, os

    def load_codec(codec_name):
        codec = importlib.import_module(f"SoundCodec.codec.{codec_name}").Codec()
        if codec.setting is None:
            codec.setting = codec_name
        return codec

    def codec_supports_decode(codec_name):
        return getattr(importlib.import_module(f"SoundCodec.codec.{codec_name}").Codec, "supports_decode", True)

    def list_codec(ignore_list=["__init__.py"]):
        names = os.listdir(os.path.dirname(__file__))
        return sorted(n[:-3] for n in names if n.endswith(".py") and n not in ignore_list)
"""


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "SoundCodec"]:
        del sys.modules[name]
