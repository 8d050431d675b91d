"""Annotations for people who have other tools: files of Label Studio, ELAN, Praat and subtitles, written and read back."""
