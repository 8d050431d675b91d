"""What ends a slice that was granted when nobody was there any more: a dead man's switch from its first second."""

from __future__ import annotations

from dataclasses import replace

from rosella.cloud.asking import resource
from rosella.cloud.slices import Slice
from rosella.cloud.switch import Switch, settings

_LATER = 900.0
"""Seconds after the switch that a supervisor leaves: until then a job has saved, and a first version is installed."""


def at_boot(switch: Switch, name: str, zone: str) -> str:
    """A script for every host to run as root when it starts.

    Its switch hears the beats that those of people hear. A restart of the host, which ends all others, arms it again.
    """
    patient = replace(switch, minutes=switch.minutes + (switch.grace + _LATER) / 60)
    parts = {
        "SCRIPT": resource("switch.sh").decode(),
        "SETTINGS": settings(patient, Slice(name, zone, "waiting")),
    }
    lines = resource("boot.sh").decode().splitlines()
    return "\n".join(parts.get(line, line).rstrip("\n") for line in lines) + "\n"
