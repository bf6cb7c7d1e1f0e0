"""What hears: the earlier system had one encoder, AST, whose tokens adapters saw all and generators pooled."""

from collections.abc import Sequence
from typing import Any

from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.folds import Node
from feda2v_cli.profile.key_path import KeyPath

AST = "MIT/ast-finetuned-audioset-10-10-0.4593"
#: Tokens that AST gives: 12 x 101 patches, and two before them.
_ALL = (1214, "1214")
_NAME: KeyPath = ("feda2v", "audio_model_name")
_LENGTH: KeyPath = ("feda2v", "generator_training_sequence_length")
_CLS: KeyPath = ("feda2v", "use_cls_token_only")
_ENCODER: KeyPath = ("embedding", "encoder")
_TOKENS: KeyPath = ("embedding", "tokens")


def settle_encoder(draft: Draft, nodes: Sequence[Node]) -> None:
    """Set encoder and tokens.

    AST is what a file means that names it, that asks for all of its tokens or its class token, or that trains adapters
    and says nothing of a length. A file that pools to a few tokens means no more than that.

    Args:
        draft: what is written into.
        nodes: place and keys of every node.
    """
    adapters = draft.purpose is not Purpose.TRAIN
    length = None if "generators" in draft.off else draft.value(_LENGTH)
    tokens, source = _tokens(length, adapters=adapters)
    cls = adapters and draft.is_on(*map(str, _CLS))
    own = [_is_true(node.get("use_cls_token_only")) for _, node in nodes] if adapters else []
    if cls:
        if length is not None:
            draft.note(_LENGTH, "adapters took the class token alone: generators make it too")
        tokens, source = "cls", _CLS
    if tokens is not None:
        if source is None:
            draft.fill_in("feda2v.generator_training_sequence_length", tokens, _TOKENS)
        else:
            draft.set(_TOKENS, tokens, source)
    for index, ((path, _), wanted) in enumerate(zip(nodes, own, strict=bool(own))):
        if wanted is not None and wanted != cls:
            draft.set(
                ("nodes", index, "tokens"), "cls" if wanted else _tokens(length, adapters=True)[0], (*path, _CLS[1])
            )
    _set_encoder(draft, is_ast=tokens in ("all", "cls") or any(own))


def _tokens(length: Any, *, adapters: bool) -> tuple[Any, KeyPath | None]:
    """The tokens that a length means, and the key that says so."""
    if length is None:
        return ("all" if adapters else None), None
    return ("all" if length in _ALL else length), _LENGTH


def _set_encoder(draft: Draft, *, is_ast: bool) -> None:
    named = draft.value(_NAME)
    if named is not None and str(named).lower() not in {"ast", AST.lower()}:
        draft.warn(_NAME, f"the earlier system always took {AST}, and so does the profile")
    if named is not None:
        draft.set(_ENCODER, AST, _NAME)
    elif is_ast:
        draft.fill_in("feda2v.audio_model_name", AST, _ENCODER)


def _is_true(value: Any) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())
