"""Text and a voice become a waveform: `rosella.load(model).speak("[S1] Hello.")`."""

from rosella.speak.past import Past
from rosella.speak.speaker import MAX_BATCH, Speaker, Speech, compiled, load
from rosella.speak.voices import SavedVoice, Voice, VoiceShelf, make_voice, read_voice_file, save_voice

__all__ = [
    "MAX_BATCH",
    "Past",
    "SavedVoice",
    "Speaker",
    "Speech",
    "Voice",
    "VoiceShelf",
    "compiled",
    "load",
    "make_voice",
    "read_voice_file",
    "save_voice",
]
