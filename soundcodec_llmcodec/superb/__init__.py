"""The side that faces Codec-SUPERB's package SoundCodec: the contract, our codecs under it, and their registration."""

from soundcodec_llmcodec.superb.adapter import Codec
from soundcodec_llmcodec.superb.interface import BatchExtractedUnit, CodecInterface, ExtractedUnit
from soundcodec_llmcodec.superb.register import Registration, SoundCodecMissingError, register, unregister

__all__ = [
    "BatchExtractedUnit",
    "Codec",
    "CodecInterface",
    "ExtractedUnit",
    "Registration",
    "SoundCodecMissingError",
    "register",
    "unregister",
]
