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
* The profile means what the run was, which is not always what the file says: what no run read is left out, and where
  the file is silent the earlier default is written, if it is another than ours. The report names both.
* What belongs to a part of a run that is switched off is left out, whatever it is: `0` epochs beside
  `global_model_train: false`, generators that are loaded, images every `0` rounds, adapters that are not saved.
* Only what differs from a default is written.
* A **warning** says what makes another result than the file asks for, or than the run had; one line says the rest.
  What is the same for several nodes is told once.
* Comments of the file (`_comment…` keys, `//`, `#`, `/* */`) become comments of the profile, at their place.
* Keys that the earlier system did not have stay as comments, and are reported; `--strict` makes them errors.
* A file of another algorithm (`federation.algorithm`) is refused, and called that.

## Which encoder

AST (`MIT/ast-finetuned-audioset-10-10-0.4593`, the extra `[hf]` and its weights) is what a file means that names it,
that has 1,214 as its sequence length or asks for the class token, or that trains adapters and gives no sequence length:
`embedding.tokens` is `"all"` or `"cls"` then. A file with another length, and no name, gets the built-in encoder.

## Where the data lie

The earlier system had the paths of its data sets and of its text embeddings in its code, and never read `dataset.path`.

| data set of the nodes | the profile has |
|---|---|
| ESC50 alone | no root: `--data-root` gives the official ESC-50 or the earlier folders; else the built-in sounds |
| VEGAS alone | `data.dataset = "vegas"` and `data.root = "data/VEGAS"`, which `--data-root` replaces |
| VGGSound alone | `data.dataset = "vggsound"` and `data.root = "data/VGGSound"` |
| several | `data.root = "data/ESC-50"` for ESC50; `dataset` and `root` of their own for nodes of the others |

A root that is not there, or not in the layout that is named, is an error: no data set is ever taken for another.

* **Splits.** ESC-50 goes by its folds where a node names some or no ratio (the earlier system split it by ratio all the
  same, which is a warning). VEGAS goes by ratio, VGGSound by ratio or, with `use_official_split`, its own split.
* **Parts.** `samples_per_node`, `node_split_id` and `node_split_seed` become `nodes.N.block`, disjoint parts of each
  class; `num_samples_per_class` becomes `clips_per_class`.

## What the file runs

| `generator_only_mode` | `generator_training_mode` | `use_pretrained_generators` | the profile is for |
|---|---|---|---|
| true | | | RUN 1: `feda2v train-generators -p new.toml` |
| | true | | RUN 1, then RUN 2 |
| | | true | RUN 2: `feda2v federate -p new.toml` |
| | | | RUN 2, without synthetic samples; with `use_generator`, RUN 1 and then RUN 2 |

With `adapter_load_checkpoint` RUN 2 evaluates adapters of `checkpoint.load_adapters` and trains none
(`federation.rounds = 0`).

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
