import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feda2v_cli.errors import ProfileError
from feda2v_cli.legacy.config.convert import Conversion, convert
from feda2v_cli.legacy.config.read import read_text
from feda2v_cli.legacy.config.report import report
from feda2v_cli.legacy.config.write import profile_text
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import Profile

#: What the table of a test leaves out.
NODES: dict[str, Any] = {"0": {"dataset": "ESC50", "selected_classes": ["dog", "rain"]}}


class Converted:
    """What a configuration became, and what loading the written profile gives again."""

    def __init__(self, conversion: Conversion, directory: Path) -> None:
        self.conversion = conversion
        self.text = profile_text(conversion, "new.toml")
        self.report = report(conversion, "new.toml")
        path = directory / "new.toml"
        path.write_text(self.text, encoding="utf-8")
        self.profile: Profile = load_profile(str(path), environment={}).profile

    def value(self, dotted: str) -> Any:
        value: Any = self.profile.model_dump(mode="json")
        for part in dotted.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value

    @property
    def warnings(self) -> str:
        return "\n".join(self.report["warnings"])

    @property
    def notes(self) -> str:
        return "\n".join(self.report["notes"])


Converter = Callable[..., Converted]


@pytest.fixture
def converted(tmp_path: Path) -> Converter:
    """Converts the text of a configuration, or sections of one; nodes are there when none are given."""

    def run(config: str | dict[str, Any] | None = None, *, strict: bool = False, **sections: Any) -> Converted:
        text = config if isinstance(config, str) else json.dumps({"nodes": NODES} | (config or {}) | sections)
        return Converted(convert(read_text(text, "old.json"), strict=strict), tmp_path)

    return run


@pytest.fixture
def refusal(converted: Converter) -> Callable[..., str]:
    """The message with which a configuration is refused."""

    def run(*arguments: Any, **sections: Any) -> str:
        with pytest.raises(ProfileError) as caught:
            converted(*arguments, **sections)
        return str(caught.value)

    return run
