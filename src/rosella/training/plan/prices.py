"""What things cost: the dated list that is shipped, or the user's own."""

from __future__ import annotations

import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from rosella.errors import UserError
from rosella.recipes import Part


class Price(Part):
    """In US dollars, as found somewhere on a day."""

    price: Annotated[float, Field(ge=0)]
    date: datetime.date
    source: str


class Prices(Part):
    """A month of storage and what leaves a region are for a GiB."""

    chip_hour: dict[str, Price]
    storage_gib_month: Price
    egress_gib: Price


def load_prices(path: Path | None) -> Prices:
    """The user's list, or the shipped one; UserError with one sentence for a list that is none."""
    place = path or files("rosella.training.plan") / "prices.yaml"
    try:
        return Prices.model_validate(yaml.safe_load(place.read_text("utf-8")))
    except OSError as error:
        raise UserError(f"Cannot read the prices {place}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UserError(f"The prices {place} are not valid YAML: correct them and try again.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(
            f"The prices {place} are not usable: {key}: {first['msg']}; docs/plan.md shows the form."
        ) from None
