import pickle

import pytest

from feda2v_cli.data.clip import UnreadableClipError
from feda2v_cli.errors import Feda2vError, ProfileError, RunInterrupted
from feda2v_cli.verifier.finding import Finding, FindingsError


@pytest.mark.parametrize(
    "error",
    [
        ProfileError("p.toml — two problems", ["one", "two"], hint="feda2v profiles check p.toml"),
        RunInterrupted("interrupted"),
        UnreadableClipError("a.wav", "is empty"),
        FindingsError([Finding("FA009", "x.pt", "is damaged"), Finding("FA008", "y.pt", "does not fit")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_says_the_same_in_another_process(error: Feda2vError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), other.code, other.exit_code) == (str(error), error.code, error.exit_code)
    assert vars(other) == vars(error)
