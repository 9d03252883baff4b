"""Options of commands, made of the descriptions in `settings`."""

from __future__ import annotations

from typing import Any

from ..settings import Parameter


def add_option(container: Any, parameter: Parameter, destination: str) -> None:
    """The option of one parameter; what is not given is None.

    Parameters
    ----------
    container : `argparse` parser or group of arguments.
    parameter : of a settings group.
    destination : name of the value among the parsed options.
    """
    unit = f" ({parameter.unit})" if parameter.unit else ""
    default = "" if parameter.default is None else f"; default {parameter.default}"
    value: dict[str, Any] = {
        "type": parameter.type,
        "choices": parameter.choices or None,
        "metavar": None if parameter.choices else parameter.type.__name__.upper(),
    }
    if parameter.type is bool:
        value = {"action": "store_const", "const": not parameter.default}
    help_text = f"{parameter.help}{unit}{default}".replace("%", "%%")
    container.add_argument(f"--{parameter.option}", dest=destination, help=help_text, **value)
