"""Audio files <-> mono float32 arrays: decode (PyAV), resample (soxr), loudness, encode and write (PyAV)."""

from rosella.audio.decoding import AudioInfo, Reader, blocks, decode, is_url, open_source, probe
from rosella.audio.signal import LOUDNESS_DBFS, PEAK, normalise_loudness, resample, speech_level, speech_span
from rosella.audio.writing import require_writable, write, write_pieces

__all__ = [
    "LOUDNESS_DBFS",
    "PEAK",
    "AudioInfo",
    "Reader",
    "blocks",
    "decode",
    "is_url",
    "normalise_loudness",
    "open_source",
    "probe",
    "require_writable",
    "resample",
    "speech_level",
    "speech_span",
    "write",
    "write_pieces",
]
