"""docs/convert-config.md, made from the mapping table.

Make it again with `python -m feda2v_cli.legacy.config.page > docs/convert-config.md`.
"""

import sys

from feda2v_cli.legacy.config import rules
from feda2v_cli.legacy.config.legacy_key import LegacyKey
from feda2v_cli.legacy.config.table import FOREIGN_SECTIONS, SECTIONS, TABLE

_LEAVES_OUT = (rules.drop, rules.node_count, rules.aggregation_method)
_HEAD = """\
# Where every key of an old configuration went

<!-- Made from the table of the converter. Make it again with:
     python -m feda2v_cli.legacy.config.page > docs/convert-config.md -->

`feda2v convert-config old.json -o new.toml` turns a JSON configuration of the earlier system into a profile, and
reports where every key went. This page shows the same, key by key, for reading beside an old file.

* Keys above others in a table beat them where both would set the same key of the profile; the report says which won.
* `null` is a key that is not written.
* Only what differs from a default is written. Where a file leaves open what had another default in the earlier system,
  the report names both.
* Comments of the file (`_comment…` keys, `//`, `#`, `/* */`) become comments of the profile, at their place.
* Keys that the earlier system did not have stay as comments, and are reported; `--strict` makes them errors.
* The earlier system had the paths of its data sets and of its text embeddings in its code. Give the data with
  `--data-root`; without it a run takes the built-in sounds, and says so.
* VEGAS, VGGSound and other data sets are not supported yet. Their nodes keep their classes and get a `root` of their
  own (`data/VEGAS`) that has to hold the clips in the layout of ESC-50. Until it does the run stops with an error: a
  profile never runs on other data unnoticed. `--strict` makes them errors of the conversion.

## What the file runs

| `generator_only_mode` | `generator_training_mode` | `use_pretrained_generators` | the profile is for |
|---|---|---|---|
| true | | | RUN 1: `feda2v train-generators -p new.toml` |
| | true | | RUN 1, then RUN 2 |
| | | true | RUN 2: `feda2v federate -p new.toml` |
| | | | RUN 2, without synthetic samples; with `use_generator`, RUN 1 and then RUN 2 |

Contradictions are errors: a mode that needs generators with `use_generator` false, `generator_only_mode` with
`generator_training_mode` false, `kd` without generators, `per_group` without groups.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for section in SECTIONS:
        title = "nodes.N (N is the id of a node)" if section == "nodes" else section
        parts += [f"\n## {title}\n", "\n| key | becomes | what changes, or why it is left out |\n|---|---|---|\n"]
        parts += [_row(key) for key in TABLE if key.section == section]
    parts += ["\n## Other sections\n", "\n| section | becomes | why it is left out |\n|---|---|---|\n"]
    parts += [f"| `{section}` | left out | {reason} |\n" for section, reason in FOREIGN_SECTIONS.items()]
    return "".join(parts)


def _row(key: LegacyKey) -> str:
    becomes = ", ".join(f"`{name}`" for name in key.becomes) or ("left out" if key.rule in _LEAVES_OUT else "read")
    texts = [
        key.why,
        "" if key.legacy_default is None else f"where it is not written: {key.legacy_default}",
    ]
    return f"| `{key.name}` | {becomes} | {'; '.join(text for text in texts if text)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
