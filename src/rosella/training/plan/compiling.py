"""The training step, compiled for devices that need not be there; run as a program, in a process of its own.

`python -m rosella.training.plan.compiling` reads a `Request` as JSON from its input and ends its output with one line, a
`Memory` as JSON. A process of its own, since JAX is bound to the platform it begins with.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax.sharding import Mesh
    from jax.stages import Lowered

    from rosella.model.config import DiaConfig
    from rosella.training.batches import Batch
    from rosella.training.order import Bucket
    from rosella.training.recipe import Recipe

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TEMPORARIES = re.compile(
    r"HLO temporaries \(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"
)
_ALL = re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm")


@dataclass(frozen=True)
class Request:
    """A bucket: `rows` in all, each of `frames` codec frames, `text_bytes` bytes and `places` utterances.

    `topology` is what `get_topology_desc` takes, or None for the devices at hand; `config` a `config.json`.
    """

    recipe: dict[str, Any]
    config: dict[str, Any]
    rows: int
    frames: int
    text_bytes: int
    places: int
    topology: dict[str, Any] | None


@dataclass(frozen=True)
class Memory:
    """Bytes on one device. The `room` there is for them, and at times the parts, are known of a step that does not fit."""

    needed: int
    arguments: int | None = None
    temporaries: int | None = None
    room: int | None = None


def main() -> None:
    request = Request(**json.loads(sys.stdin.read()))
    print(json.dumps(asdict(answer(request))), flush=True)


def answer(request: Request) -> Memory:
    """Compile what is asked for. What the compiler refuses for another reason than memory is raised."""
    from rosella.model.config import DiaConfig
    from rosella.training.mesh import choose_mesh
    from rosella.training.order import Bucket
    from rosella.training.recipe import Recipe

    recipe, config = Recipe.model_validate(request.recipe), DiaConfig.from_dict(request.config)
    mesh = choose_mesh(recipe.mesh, described(request.topology) if request.topology else None)
    bucket = Bucket(request.rows, request.frames, request.text_bytes, request.places)
    return measure(recipe, config, mesh, bucket)


def described(topology: dict[str, Any]) -> Sequence[Any]:
    """The devices of a slice that is not there."""
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", **topology).devices


def measure(recipe: Recipe, config: DiaConfig, mesh: Mesh, bucket: Bucket) -> Memory:
    """What the step takes on each device of `mesh`, for batches of that shape."""
    import jax

    lowered, arguments = lower(recipe, config, mesh, bucket)
    try:
        found: Any = lowered.compile().memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        return exhausted(error, arguments)
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    temporaries = found.temp_size_in_bytes + found.generated_code_size_in_bytes
    if mesh.devices.flat[0].platform == "tpu":
        # Sizes of temporaries add up to a third more there than what is held at once, which decides whether a step fits.
        temporaries = found.peak_memory_in_bytes - kept
    return Memory(kept + temporaries, kept, temporaries)


def lower(recipe: Recipe, config: DiaConfig, mesh: Mesh, bucket: Bucket) -> tuple[Lowered, int]:
    """The step as training makes it, ready to be compiled, and the bytes of its arguments on one device."""
    import jax
    from jax.sharding import NamedSharding

    from rosella.model.sharding import ROWS
    from rosella.training.optimizer import make_optimizer
    from rosella.training.state import Skeleton, abstract_state
    from rosella.training.step import make_step

    skeleton = Skeleton.computing(config, recipe)
    state = abstract_state(skeleton.abstract(mesh), make_optimizer(recipe.optimizer))
    batch = abstract_batch(config, bucket, NamedSharding(mesh, ROWS))
    arguments = sum(map(_bytes_on_one, jax.tree.leaves((state, batch))))
    return make_step(skeleton, recipe, mesh).lower(state, batch), arguments


def abstract_batch(config: DiaConfig, bucket: Bucket, placed: Any = None) -> Batch:
    """A batch as shapes, each with its place."""
    import jax

    from rosella.training.batches import Batch, blank

    def shaped(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct((bucket.rows, *leaf.shape[1:]), leaf.dtype, sharding=placed)

    return Batch(*map(shaped, blank(config, bucket, 1)))


def _bytes_on_one(leaf: Any) -> int:
    return math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize


def exhausted(error: Exception, arguments: int) -> Memory:
    """What the compiler says that a step needs which does not fit; another error is raised again."""
    if found := _TEMPORARIES.search(str(error)):
        temporaries, room = _sizes(found)
        return Memory(arguments + temporaries, arguments, temporaries, room)
    if found := _ALL.search(str(error)):
        needed, room = _sizes(found)
        return Memory(needed, arguments, needed - arguments, room)
    raise error


def _sizes(found: re.Match[str]) -> tuple[int, int]:
    first, first_unit, second, second_unit = found.groups()
    return int(float(first) * UNITS[first_unit]), int(float(second) * UNITS[second_unit])


if __name__ == "__main__":
    main()
