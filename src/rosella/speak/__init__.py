"""Text and a voice become a waveform: `rosella.load(model).speak("[S1] Hello.")`."""

from rosella.speak.speaker import MAX_BATCH, Speaker, Speech, Voice, load

__all__ = ["MAX_BATCH", "Speaker", "Speech", "Voice", "load"]
