# SPDX-License-Identifier: GPL-3.0-or-later
"""``zpool`` as far as tests and the rehearsed demo need it: create, destroy, list, get, export, import."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fake.alter import number, pairs
from tests.fake.errors import RefusedError, UsageError
from tests.fake.front import Streams
from tests.fake.model import World
from tests.fake.options import parse
from tests.fake.props import setting
from tests.fake.store import Store

Say = Callable[[str], None]


def run_zpool(store: Store, argv: Sequence[str], streams: Streams) -> int:
    """Run ``zpool`` with the arguments ``argv``; answers the exit status.

    The capacity of a pool is the total size of its vdev operands where they are sizes (``64M``);
    any other operand stands for as much as anybody wants.
    """
    try:
        if not argv:
            raise UsageError("zpool", "missing command")
        command = _COMMANDS.get(argv[0])
        if command is None:
            raise UsageError("zpool", f"unrecognized command '{argv[0]}'")
        with store.world() as world:
            return command(world, argv[1:], streams.out.append)
    except RefusedError as refused:
        streams.err.append(refused.text)
        return refused.status


def _create(world: World, argv: Sequence[str], out: Say) -> int:
    options = parse("create", "fndo:O:m:R:t:", argv)
    options.need(2, None, "missing vdev specification")
    name, *vdevs = options.operands
    if name in world.pools:
        raise RefusedError(f"cannot create '{name}': pool already exists")
    sizes = [number(vdev) for vdev in vdevs]
    known = [size for size in sizes if size is not None]
    world.add_pool(name, sum(known) if known else None)
    root = world.datasets[name]
    for prop, value in pairs("create", options.values("O")).items():
        setting(root.settings, prop).local = value
    mountpoint = options.value("m")
    if mountpoint is not None:
        setting(root.settings, "mountpoint").local = mountpoint
    root.mounted = "none" not in (mountpoint, *(options.values("O")))
    return 0


def _pool(world: World, name: str) -> str:
    if name not in world.pools or not world.pools[name].imported:
        raise RefusedError(f"cannot open '{name}': no such pool")
    return name


def _destroy(world: World, argv: Sequence[str], out: Say) -> int:
    options = parse("destroy", "f", argv)
    options.need(1, 1, "missing pool argument")
    name = _pool(world, options.operands[0])
    for dataset in [one for one in world.datasets.values() if one.pool == name]:
        del world.datasets[dataset.name]
    del world.pools[name]
    return 0


def _export(world: World, argv: Sequence[str], out: Say) -> int:
    for name in parse("export", "fa", argv).operands:
        world.pools[_pool(world, name)].imported = False
    return 0


def _import(world: World, argv: Sequence[str], out: Say) -> int:
    for name in parse("import", "fad:o:NR:", argv).operands:
        if name not in world.pools:
            raise RefusedError(f"cannot import '{name}': no such pool available")
        world.pools[name].imported = True
    return 0


def _value(world: World, name: str, prop: str) -> str:
    room, used = world.room(name), world.pool_used(name)
    values = {
        "name": name,
        "health": "ONLINE",
        "guid": str(world.pools[name].guid),
        "size": str(room + used),
        "free": str(room),
        "allocated": str(used),
        "alloc": str(used),
        "readonly": "off",
        "capacity": str(100 * used // (room + used)),
        "freeing": "0",
        "listsnapshots": "off",
    }
    if prop.startswith("feature@"):
        return "enabled"
    if prop not in values:
        raise UsageError("zpool", f"bad property list: invalid property '{prop}'")
    return values[prop]


def _list(world: World, argv: Sequence[str], out: Say) -> int:
    options = parse("list", "Hpo:v", argv)
    columns = (options.value("o") or "name,size,alloc,free,health").split(",")
    names = options.operands or sorted(name for name, pool in world.pools.items() if pool.imported)
    rows = [[_value(world, _pool(world, name), column) for column in columns] for name in names]
    if not options.has("H"):
        rows.insert(0, [column.upper() for column in columns])
    out("".join("\t".join(row) + "\n" for row in rows))
    return 0


def _get(world: World, argv: Sequence[str], out: Say) -> int:
    options = parse("get", "Hpo:", argv)
    options.need(1, None, "missing property argument")
    props, *names = options.operands
    columns = (options.value("o") or "name,property,value,source").split(",")
    for name in names or sorted(world.pools):
        for prop in props.split(","):
            cells = {
                "name": name,
                "property": prop,
                "value": _value(world, _pool(world, name), prop),
                "source": "-",
            }
            out("\t".join(cells[column] for column in columns) + "\n")
    return 0


_COMMANDS: dict[str, Callable[[World, Sequence[str], Say], int]] = {
    "create": _create,
    "destroy": _destroy,
    "export": _export,
    "import": _import,
    "list": _list,
    "get": _get,
}
